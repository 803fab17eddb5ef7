// SPDX-License-Identifier: Apache-2.0
//! Lists, differences, names that go, and what is cleared up.

use crate::world::{MIB, World, has};
use std::fs::File;
use std::os::unix::fs::FileExt as _;

#[test]
fn who_only_looks_makes_no_folder() {
    let world = World::new();
    std::fs::create_dir(world.path("new")).unwrap();
    has(
        &world.done("ls --state-dir new"),
        &["no images in", "groundstate image import"],
    );
    assert_eq!(world.json("list --state-dir new"), serde_json::json!([]));
    assert!(!world.path("new/images").exists());
    std::fs::write(world.path("file"), "").unwrap();
    for line in [
        "ls",
        "ls --state-dir file",
        "show d",
        "gc --yes",
        "fsck",
        "diff a b",
        "rm a 1",
        "export a --output x",
    ] {
        has(
            &world.refused(line, 1),
            &["there is no repository", "--state-dir"],
        );
    }
    assert!(!world.path("state").exists());
}

#[test]
fn a_disk_is_listed_shown_compared_removed_and_cleared_up() {
    let world = World::new();
    world.import_disk("d", "1");
    let disk = File::options()
        .write(true)
        .open(world.path("made.raw"))
        .unwrap();
    disk.write_all_at(b"changed", 60 * MIB).unwrap();
    world.done("import made.raw --format raw --name d --version 2");
    has(
        &world.done("ls"),
        &["NAME", "STORED", "CHANNELS", "whole-disk", "no trust root"],
    );
    let rows = world.json("ls");
    assert_eq!(
        (&rows[0]["version"], &rows[1]["version"]),
        (&"1".into(), &"2".into())
    );
    let digest = rows[0]["manifest"].as_str().unwrap().to_owned();
    for line in ["show d 1", "show d:1", &format!("show {digest}")] {
        has(
            &world.done(line),
            &[digest.as_str(), "Debian for a test", "EFI system"],
        );
    }
    has(
        &world.done("show d:1"),
        &["smallest disk   72 MiB", "from the disk's beginning"],
    );
    let printed = world.run("show d:1 --manifest").stdout;
    assert_eq!(groundstate_api::Digest::of(&printed).to_string(), digest);
    has(&world.refused("show d:9", 1), &["no version 9", "1, 2"]);
    has(&world.refused("show e", 1), &["no image e"]);
    has(&world.refused("show d@stable", 3), &["do now:"]);
    has(&world.refused("show d:1 2", 1), &["two versions"]);
    let diff = world.json("diff d:1 d:2");
    assert_eq!(
        (&diff["fetch_chunks"], &diff["write"]),
        (&1.into(), &4_096.into())
    );
    has(
        &world.done("diff d:1 d:2"),
        &["partition 2 root: 4 KiB", "added"],
    );
    assert_eq!(world.json("diff d:2 d:2")["fetch"], 0);
    has(
        &world.refused("rm d", 1),
        &["say which version of d", "d:1, d:2"],
    );
    has(&world.refused("rm e", 1), &["no image e"]);
    has(&world.done("rm d:2"), &["24 hours from now"]);
    has(&world.refused("show d:2", 1), &["no version 2"]);
    let kept = world.json("gc --yes");
    assert_eq!(kept["removed_chunks"], 0, "young: {kept}");
    // What the next one frees is what is young now: a manifest, and the chunk that changed.
    assert_eq!(
        (&kept["live_manifests"], &kept["young"]),
        (&1.into(), &2.into()),
        "{kept}"
    );
    has(
        &world.done("gc --dry-run"),
        &["kept until that is 24 hours old: 2 files", "--grace 0"],
    );
    let told = world.json("gc --dry-run --grace 0");
    assert!(told["removed_chunks"].as_u64() > Some(0), "{told}");
    let gone = world.json("gc --yes --grace 0");
    assert_eq!(gone["removed_chunks"], told["removed_chunks"]);
    world.done("export d:1 --output one.raw");
    has(&world.done("fsck"), &["nothing is wrong"]);
}

/// fsck and gc speak of the same files.
#[test]
fn fsck_counts_what_gc_frees() {
    let world = World::new();
    world.import_disk("d", "1");
    has(
        &world.done("fsck"),
        &["0 files (0 B) that no image names\n"],
    );
    world.done("rm d:1");
    let young = &world.json("gc --yes")["young"];
    assert!(young.as_u64() > Some(1), "{young}");
    let counted = format!("; {young} files (");
    has(
        &world.done("fsck"),
        &[&counted, "that no image names, and `groundstate image gc`"],
    );
}

/// `groundstate image ls | head -1`.
#[test]
fn who_is_not_read_any_more_ends_quietly() {
    let world = World::new();
    world.import_disk("d", "1");
    for line in ["ls", "show d", "fsck"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = world.command(line).stdout(writer).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("panicked"), "{line}: {said}");
        let ended = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert_eq!(ended, Some(13), "{line}: SIGPIPE; {said}");
    }
}

#[test]
fn a_damaged_repository_is_named_and_healed_by_the_next_import() {
    let world = World::new();
    world.import_disk("d", "1");
    // Every byte of the first chunk that is found changes: what a single one does depends on where it lies.
    let chunk = walk(&world.path("state/images/chunks")).unwrap();
    let whole: Vec<u8> = std::fs::read(&chunk).unwrap();
    std::fs::write(
        &chunk,
        whole.iter().map(|byte| byte ^ 0x55).collect::<Vec<u8>>(),
    )
    .unwrap();
    has(
        &world.refused("fsck", 1),
        &["damaged", "needed by d 1", "an image is hurt"],
    );
    has(&world.refused("export d --output x.raw", 1), &["chunk"]);
    assert!(!world.path("x.raw").exists());
    world.refused("fsck --heal", 1);
    world.done("import made.raw --format raw --name d --version 1");
    has(&world.done("fsck"), &["nothing is wrong"]);
}

fn walk(dir: &std::path::Path) -> Option<std::path::PathBuf> {
    let mut entries: Vec<_> = std::fs::read_dir(dir).ok()?.flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::path);
    entries.into_iter().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            walk(&path)
        } else {
            (entry.metadata().ok()?.len() > 40).then_some(path)
        }
    })
}

#[test]
fn what_lies_among_the_names_is_named_and_the_rest_is_listed() {
    let world = World::new();
    world.import_disk("d", "1");
    std::fs::write(world.path("state/images/names/notes.txt"), "mine").unwrap();
    std::fs::write(world.path("state/images/names/d/1.bak"), "half").unwrap();
    let output = world.run("ls");
    assert_eq!(output.status.code(), Some(1));
    let (listed, said) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    has(&listed, &["NAME", "whole-disk"]);
    has(
        &said,
        &[
            "names/notes.txt: ",
            "names/d/1.bak: ",
            "do now: groundstate image fsck",
        ],
    );
    let output = world.run("ls --json");
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), rows.as_array().unwrap().len()),
        (Some(1), 1)
    );
    world.done("show d:1");
    has(
        &world.refused("show d", 1),
        &["names/d/1.bak", "fsck --heal"],
    );
    has(
        &world.refused("fsck", 1),
        &["lies among the names", "no image is hurt", "fsck --heal"],
    );
    has(
        &world.done("fsck --heal"),
        &["taken out of the way", "no image is hurt"],
    );
    world.done("ls");
    world.done("show d");
}
