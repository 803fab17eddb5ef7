// SPDX-License-Identifier: Apache-2.0
//! Imports that are killed, that run beside one another, that find the disk full or the folder read-only.
//!
//! Each of them is this program again, as a process of its own: [`child`] is what that process does.

use crate::disk::{CHUNK, disk, files, folder, import, import_at, read_back};
use image_repo::{FsckVerdict, GcRules, RepoError, Repository};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DIR: &str = "IMAGE_REPO_CHILD_DIR";
const TASK: &str = "IMAGE_REPO_CHILD_TASK";

fn many(from: u64, count: u64) -> Vec<u8> {
    disk(&(from..from + count).collect::<Vec<_>>())
}

/// What a child does. Without its environment it is a test that has nothing to do.
#[test]
fn child() {
    let (Some(dir), Ok(task)) = (std::env::var_os(DIR), std::env::var(TASK)) else {
        return;
    };
    let dir = Path::new(&dir);
    match task.as_str() {
        "large" => {
            let repository = Repository::open(dir).unwrap();
            import_at(&repository, 3, "large", &many(1, 300)).unwrap();
        }
        "left" | "right" => {
            let repository = Repository::open(dir).unwrap();
            let (from, level) = if task == "left" { (1, 1) } else { (40, 5) };
            import_at(&repository, level, &task, &many(from, 80)).unwrap();
        }
        "full" => full(dir),
        "read-only" => read_only(dir),
        other => panic!("{other}"),
    }
}

fn start(dir: &Path, task: &str) -> Child {
    prepared(Command::new(std::env::current_exe().unwrap()), dir, task)
}

fn prepared(mut command: Command, dir: &Path, task: &str) -> Child {
    command
        .args(["--exact", "crash::child", "--nocapture"])
        .env(DIR, dir)
        .env(TASK, task)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn an_import_that_is_killed_leaves_a_clean_repository() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    let kept = import(&repository, "kept", &many(290, 20)).image;
    // How long a whole one takes, so that the moments lie within.
    let begin = Instant::now();
    let whole = folder();
    assert!(start(whole.path(), "large").wait().unwrap().success());
    let took = begin.elapsed();
    for round in 0..12u32 {
        let mut child = start(dir.path(), "large");
        std::thread::sleep(took * (1 + (round * 7) % 12) / 13);
        child.kill().unwrap();
        let done = child.wait().unwrap().success();
        let report = repository.fsck(false, &mut |_| {}).unwrap();
        assert_eq!(report.verdict, FsckVerdict::Clean, "{report:?}");
        let images = repository.list().unwrap();
        // One that says it is done has its image; one that was killed between the name and its own end has it too.
        let named = images.len() == 2;
        assert!(images.len() == 1 || named, "{images:?}");
        assert!(named || !done);
        repository.verify(&kept).unwrap();
        if named {
            let whole = images.iter().find(|one| one.version == "large").unwrap();
            repository.verify(whole).unwrap();
            repository.remove("disk", "large").unwrap();
        }
        if round == 5 {
            let rules = GcRules {
                grace: Duration::ZERO,
                ..GcRules::default()
            };
            repository.gc(&rules).unwrap();
        }
    }
    let again = import_at(&repository, 3, "large", &many(1, 300)).unwrap();
    assert!(read_back(&repository, &again.image) == many(1, 300));
    assert!(read_back(&repository, &kept) == many(290, 20));
    assert!(
        !files(dir.path())
            .iter()
            .any(|path| path.starts_with("tmp/"))
    );
    let report = repository.fsck(false, &mut |_| {}).unwrap();
    assert_eq!(report.verdict, FsckVerdict::Clean);
}

#[test]
fn what_a_power_cut_left_under_a_name_is_not_believed() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    let bytes = many(1, 8);
    // Chunks that are named and whose bytes never reached the disk: no manifest names them.
    for (index, plain) in bytes.chunks(CHUNK).enumerate() {
        let digest = groundstate_api::Digest::of(plain).hex();
        let folder = dir.path().join("chunks").join(&digest[..2]);
        std::fs::create_dir_all(&folder).unwrap();
        let mut stored = zstd::bulk::compress(plain, 3).unwrap();
        match index % 4 {
            0 => stored.clear(),
            1 => stored.fill(0),
            2 => stored.truncate(stored.len() / 2),
            _ => stored.push(0),
        }
        std::fs::write(folder.join(digest), stored).unwrap();
    }
    let image = import(&repository, "1", &bytes);
    assert_eq!(image.new_chunks, 8);
    repository.verify(&image.image).unwrap();
    assert!(read_back(&repository, &image.image) == bytes);
}

#[test]
fn two_imports_at_once_are_both_whole() {
    let dir = folder();
    for _ in 0..2 {
        let children = ["left", "right"].map(|task| start(dir.path(), task));
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        let repository = Repository::open(dir.path()).unwrap();
        for (name, from) in [("left", 1), ("right", 40)] {
            let image = repository.find("disk", Some(name)).unwrap();
            repository.verify(&image).unwrap();
            assert!(read_back(&repository, &image) == many(from, 80));
            repository.remove("disk", name).unwrap();
        }
        let rules = GcRules {
            grace: Duration::ZERO,
            ..GcRules::default()
        };
        std::fs::remove_dir_all(dir.path().join("leases")).unwrap();
        repository.gc(&rules).unwrap();
        assert_eq!(repository.list().unwrap(), []);
        assert_eq!(crate::disk::chunk_files(dir.path()), Vec::<String>::new());
    }
}

/// Runs a task where a mount was made before, in a namespace of its own; `None` where there may be none.
fn in_namespace(mount: &str, dir: &Path, task: &str) -> Option<bool> {
    let can = Command::new("unshare").args(["-Urm", "true"]).output();
    if !can.is_ok_and(|out| out.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "no namespace can be made");
        eprintln!("skipped: no namespace can be made here");
        return None;
    }
    let mut command = Command::new("unshare");
    let script = format!("{mount} && exec \"$0\" \"$@\"");
    command
        .args(["-Urm", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap());
    Some(prepared(command, dir, task).wait().unwrap().success())
}

fn full(dir: &Path) {
    let repository = Repository::open(dir).unwrap();
    let small = import(&repository, "small", &many(1, 10)).image;
    let error = import_at(&repository, 1, "large", &many(1, 300)).unwrap_err();
    assert!(matches!(error, RepoError::Full { .. }), "{error}");
    assert_eq!(repository.list().unwrap().len(), 1);
    repository.verify(&small).unwrap();
    let report = repository.fsck(false, &mut |_| {}).unwrap();
    assert_eq!(report.verdict, FsckVerdict::Clean, "{report:?}");
    // What it has left is room again, and the next one fits.
    let rules = GcRules {
        grace: Duration::ZERO,
        ..GcRules::default()
    };
    assert!(repository.gc(&rules).unwrap().removed_chunks > 0);
    let next = import(&repository, "next", &many(400, 30)).image;
    assert!(read_back(&repository, &next) == many(400, 30));
}

#[test]
fn a_full_disk_is_named_and_leaves_a_clean_repository() {
    let dir = folder();
    let mount = format!("mount -t tmpfs -o size=4m tmpfs {}", dir.path().display());
    assert_ne!(in_namespace(&mount, dir.path(), "full"), Some(false));
}

fn read_only(dir: &Path) {
    let repository = Repository::open(dir).unwrap();
    let image = repository.find("disk", None).unwrap();
    repository.verify(&image).unwrap();
    assert!(read_back(&repository, &image) == many(1, 5));
    let report = repository.fsck(false, &mut |_| {}).unwrap();
    assert_eq!(report.verdict, FsckVerdict::Clean);
    repository.show(&image).unwrap();
    let error = import_at(&repository, 1, "2", &many(1, 5)).unwrap_err();
    assert!(error.to_string().contains("Read-only"), "{error}");
    assert!(repository.gc(&GcRules::default()).is_err());
    assert!(repository.remove("disk", "1").is_err());
}

#[test]
fn a_read_only_folder_can_be_read() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    import(&repository, "1", &many(1, 5));
    let at = dir.path().display();
    let mount = format!("mount --bind {at} {at} && mount -o remount,bind,ro {at}");
    assert_ne!(in_namespace(&mount, dir.path(), "read-only"), Some(false));
    assert_eq!(repository.list().unwrap().len(), 1);
}
