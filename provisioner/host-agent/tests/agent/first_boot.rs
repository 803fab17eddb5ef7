// SPDX-License-Identifier: Apache-2.0
//! Specialisation: what it leaves, that a second boot changes nothing, and that it survives a cut anywhere.

use crate::stage::{KEY, Stage, boot, root, seed};
use groundstate_api::host::{HostSeed, SEED_PATH, SPECIALISED_PATH};
use host_agent::{Moment, Root, Specialisation, Specialised, status_text};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

fn run(root: &Root, stage: &Stage, number: u8) -> Result<Specialised, host_agent::AgentError> {
    Specialisation::take_up(root, stage, boot(number))?.run(|_| {})
}

/// Every file of the root with its bytes.
fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.insert(
                    path.strip_prefix(dir).unwrap().display().to_string(),
                    fs::read(&path).unwrap(),
                );
            }
        }
    }
    files
}

/// What, before and after, without what is random.
fn story(done: &Specialised) -> Vec<String> {
    let random = |what: &str| matches!(what, "machine-id" | "ssh host keys");
    done.changes
        .iter()
        .map(|c| {
            format!(
                "{}: {} -> {}",
                c.what,
                c.before,
                if random(&c.what) {
                    "(random)"
                } else {
                    &c.after
                }
            )
        })
        .collect()
}

fn check_end(root: &Root) {
    let text = |path: &str| root.read_text(path).unwrap().unwrap();
    assert_eq!(text("etc/hostname"), "node1\n");
    assert_eq!(
        text("etc/hosts"),
        "127.0.0.1\tlocalhost\n127.0.1.1\tnode1\n"
    );
    let machine_id = text("etc/machine-id");
    assert!(
        machine_id.len() == 33 && !machine_id.starts_with("1111"),
        "{machine_id:?}"
    );
    assert!(!text("etc/ssh/ssh_host_ed25519_key.pub").contains("image"));
    assert_eq!(text("etc/fstab").lines().count(), 2);
    assert_eq!(
        text("proc/self/mountinfo").lines().count(),
        2,
        "mounted once"
    );
    let mode = |path: &str| fs::metadata(root.at(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(text("etc/groundstate/credential/host.key"), KEY);
    assert_eq!(
        (
            mode("etc/groundstate/credential"),
            mode("etc/groundstate/credential/host.key")
        ),
        (0o700, 0o600)
    );
    let left: HostSeed = root.read_json(SEED_PATH).unwrap().unwrap();
    assert_eq!(
        (
            left.key_pem.as_str(),
            left.certificate_pem.as_str(),
            left.node
        ),
        ("", "", seed().node)
    );
    assert!(!root.at("var/lib/groundstate/specialising.json").exists());
    // The device is the file system's own 64 MiB, in which the agent writes nothing by itself.
    for (path, bytes) in tree(root.path())
        .into_iter()
        .filter(|(path, _)| !path.starts_with("dev/"))
    {
        let secret = bytes.windows(6).any(|window| window == b"secret");
        assert_eq!(
            secret,
            path == "etc/groundstate/credential/host.key",
            "{path}"
        );
    }
}

const STORY: [&str; 6] = [
    "host name: debian-image -> node1",
    "machine-id: 11111111111111111111111111111111 -> (random)",
    "ssh host keys: ED25519 SHA256:image -> (random)",
    "root file system: 16 MiB -> 64 MiB",
    "credential: in /var/lib/groundstate/seed.json -> in /etc/groundstate/credential, readable by root only, certificate file sha256 ",
    "volume /data/gs-data-1: not mounted -> mounted: ext4 UUID=8c3f0e9a-0000-4000-8000-000000000001 on disk GS-DATA-1",
];

fn check_story(done: &Specialised) {
    let story = story(done);
    assert_eq!(story.len(), STORY.len(), "{story:#?}");
    for (line, wanted) in story.iter().zip(STORY) {
        assert!(line.starts_with(wanted), "{line}\n{wanted}");
    }
}

#[test]
fn a_second_boot_changes_nothing() {
    let (dir, root) = root();
    let stage = Stage::new(&root, false);
    let first = run(&root, &stage, 1).unwrap();
    check_end(&root);
    check_story(&first);
    let after = tree(dir.path());
    let second_boot = Stage::new(&root, false);
    assert_eq!(
        run(&root, &second_boot, 2).unwrap(),
        first,
        "the report stays that of the first boot"
    );
    assert_eq!(tree(dir.path()), after);
    assert!(
        second_boot.log.borrow().is_empty(),
        "{:?}",
        second_boot.log.borrow()
    );
}

#[test]
fn after_a_cut_at_any_move_it_comes_to_the_same_end_and_the_same_report() {
    let mut cuts = 0;
    for cut in 0.. {
        let (_dir, root) = root();
        let stage = Stage::new(&root, false);
        let mut going = Specialisation::take_up(&root, &stage, boot(1)).unwrap();
        let moments: Vec<Moment> = (0..cut).map(|_| going.advance().unwrap()).collect();
        if matches!(moments.last(), Some(Moment::Complete(_))) {
            break;
        }
        drop(going);
        check_story(&run(&root, &stage, 2).unwrap());
        check_end(&root);
        cuts += 1;
    }
    assert_eq!(cuts, 19, "six steps noted, acted and done, and nothing yet");
}

#[test]
fn after_any_command_failed_it_can_be_taken_up_again() {
    let mut failures = 0;
    for call in 0.. {
        let (_dir, root) = root();
        let stage = Stage::new(&root, false);
        stage.fail_at.set(Some(call));
        let outcome = run(&root, &stage, 1);
        let Err(error) = outcome else { break };
        assert!(
            error.to_string().contains("made to fail") || error.to_string().contains("host name"),
            "{error}"
        );
        assert!(!root.at(SPECIALISED_PATH).exists());
        let text = status_text(&root).unwrap();
        assert!(text.contains("specialised  not yet"), "{text}");
        check_story(&run(&root, &stage, 1).unwrap());
        check_end(&root);
        failures += 1;
    }
    assert_eq!(
        failures, 6,
        "host name, fingerprints before and after, ssh-keygen -A, resize2fs, mount"
    );
}

#[test]
fn the_real_ssh_keygen_and_resize2fs_do_what_the_report_says() {
    let (_dir, root) = root();
    root.remove("etc/ssh/ssh_host_ed25519_key.pub").unwrap();
    root.remove("etc/ssh/ssh_host_ed25519_key").unwrap();
    let mut ssh_keygen = Command::new("ssh-keygen");
    ssh_keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(root.at("etc/ssh/ssh_host_ed25519_key"));
    let made = ssh_keygen.status().unwrap();
    assert!(made.success());
    let stage = Stage::new(&root, true);
    let done = run(&root, &stage, 1).unwrap();
    check_end(&root);
    let keys = done
        .changes
        .iter()
        .find(|change| change.what == "ssh host keys")
        .unwrap();
    assert!(
        keys.before.starts_with("ED25519 SHA256:") && !keys.before.contains(','),
        "{keys:?}"
    );
    for kind in ["RSA SHA256:", "ECDSA SHA256:", "ED25519 SHA256:"] {
        assert!(keys.after.contains(kind), "{keys:?}");
    }
    assert!(!keys.after.contains(keys.before.as_str()));
    let size = done
        .changes
        .iter()
        .find(|change| change.what == "root file system")
        .unwrap();
    assert_eq!(
        (size.before.as_str(), size.after.as_str()),
        ("16 MiB", "64 MiB")
    );
    let checked = Command::new("/sbin/e2fsck")
        .arg("-fn")
        .arg(root.at("dev/nvme0n1p2"))
        .output()
        .unwrap();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
}

#[test]
fn an_image_without_ssh_server_gets_no_keys() {
    let (_dir, root) = root();
    fs::remove_dir_all(root.at("etc/ssh")).unwrap();
    let done = run(&root, &Stage::new(&root, false), 1).unwrap();
    assert!(
        done.changes
            .iter()
            .all(|change| change.what != "ssh host keys")
    );
    assert!(!root.at("etc/ssh").exists());
}

#[test]
fn a_host_of_another_making_and_a_foreign_root_are_refused_with_the_path() {
    let (_dir, root) = root();
    let mut later = seed();
    later.schema = 99;
    root.write_json(SEED_PATH, &later).unwrap();
    let error = run(&root, &Stage::new(&root, false), 1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("schema is 99"), "{error}");
    root.remove(SEED_PATH).unwrap();
    let error = run(&root, &Stage::new(&root, false), 1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("var/lib/groundstate/seed.json"), "{error}");
    assert!(matches!(
        status_text(&root),
        Err(host_agent::StatusError::NotAHost { .. })
    ));
    root.write_json(SEED_PATH, &seed()).unwrap();
    root.write(
        "proc/self/mountinfo",
        b"25 1 259:2 / / rw - xfs /dev/nvme0n1p2 rw\n",
        0o644,
    )
    .unwrap();
    let error = run(&root, &Stage::new(&root, false), 1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("/dev/nvme0n1p2 is xfs, not ext4"), "{error}");
}

#[test]
fn the_status_tells_a_technician_what_was_done() {
    let (_dir, root) = root();
    run(&root, &Stage::new(&root, false), 1).unwrap();
    let text = status_text(&root).unwrap();
    assert!(
        text.contains("node         node1\n")
            && text.contains("  host name: debian-image -> node1\n"),
        "{text}"
    );
    assert!(
        text.contains("the agent has not run in this boot"),
        "{text}"
    );
    assert!(!text.contains("secret"));
}

#[test]
fn a_host_whose_disk_was_rebuilt_stays_who_it_is_and_mounts_the_new_volume() {
    let (_dir, root) = root();
    let stage = Stage::new(&root, false);
    run(&root, &stage, 1).unwrap();
    let text = |path: &str| root.read_text(path).unwrap().unwrap();
    let identity = || {
        (
            text("etc/machine-id"),
            text("etc/ssh/ssh_host_ed25519_key.pub"),
            text("etc/hostname"),
        )
    };
    let before = identity();
    let mut again = seed();
    again.plan = "fedcba9876543210".repeat(4).parse().unwrap();
    again.run = "run-2".parse().unwrap();
    again.same_host = true;
    again.key_pem = KEY.replace("secret", "second");
    let mut new = again.volumes[0].clone();
    new.uuid = "8c3f0e9a-0000-4000-8000-000000000002".into();
    new.mount_point = "/data/NEW-1".into();
    new.fs = groundstate_api::plan::VolumeFs::Xfs;
    again.volumes.push(new);
    root.write_json(SEED_PATH, &again).unwrap();
    let done = run(&root, &stage, 2).unwrap();
    assert_eq!(identity(), before);
    let what: Vec<&str> = done.changes.iter().map(|one| one.what.as_str()).collect();
    assert!(what.contains(&"volume /data/NEW-1"), "{what:?}");
    assert!(
        !what.contains(&"machine-id") && !what.contains(&"ssh host keys"),
        "{what:?}"
    );
    let fstab = text("etc/fstab");
    assert!(
        fstab.contains("UUID=8c3f0e9a-0000-4000-8000-000000000002 /data/NEW-1 xfs"),
        "{fstab}"
    );
    assert_eq!(fstab.lines().count(), 3);
    assert!(text("etc/groundstate/credential/host.key").contains("second"));
}
