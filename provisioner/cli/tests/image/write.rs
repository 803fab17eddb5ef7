// SPDX-License-Identifier: Apache-2.0
//! Writing into files that stand in for disks: what is refused, what is asked, and what stands there afterwards.

use crate::world::{MIB, World, has, is_root};
use std::fs;
use std::process::Command;

#[test]
fn an_image_stands_on_a_larger_disk_whole_and_with_guids_of_its_own() {
    let world = World::new();
    world.import_disk("d", "1");
    let line = "write d lab.img --size 128MiB --allow-unsigned";
    has(
        &world.done(line),
        &[
            "d 1 stands on lab.img",
            "read back",
            "3 of 3 GUIDs are new",
            "1 names",
        ],
    );
    has(&world.tool("sgdisk", "-v lab.img"), &["No problems found"]);
    let new = world.guid("lab.img", 2);
    assert_ne!(new, world.guid("made.raw", 2));
    has(
        &world.tool("mtype", "-i lab.img@@1M ::loader/entries/host.conf"),
        &[new.to_lowercase().as_str()],
    );
    // The root file system is the image's, byte for byte.
    let at = usize::try_from(41 * MIB).unwrap();
    let root = world.read("root.ext4");
    assert!(world.read("lab.img")[at..at + root.len()] == root);
    // A second disk is another disk; a third with the GUIDs kept is the image itself.
    world.done("write d two.img --size 128MiB --allow-unsigned --no-read-back");
    assert_ne!(world.guid("two.img", 2), new);
    let written = world.json("write d same.img --size 72MiB --allow-unsigned --keep-guids");
    assert_eq!(written["read_back"], true);
    assert!(world.read("same.img") == world.read("made.raw"));
}

#[test]
fn the_last_partition_grows_where_it_is_asked() {
    let world = World::new();
    world.import_disk("d", "1");
    let last = |disk: &str| world.tool("sgdisk", &format!("-i 2 {disk}"));
    world.done("write d as-is.img --size 128MiB --allow-unsigned");
    let said = last("as-is.img");
    assert!(!said.contains("Last sector: 260095 "), "{said}");
    let said = world.done("write d grown.img --size 128MiB --allow-unsigned --grow");
    has(
        &said,
        &["partition 2 is grown from", "for the host to grow"],
    );
    has(&last("grown.img"), &["Last sector: 260095 "]);
    has(
        &world.tool("sgdisk", "-v grown.img"),
        &["No problems found"],
    );
    // With the GUIDs as they are, too.
    world.done("write d same.img --size 128MiB --allow-unsigned --grow --keep-guids");
    has(&last("same.img"), &["Last sector: 260095 "]);
    assert_eq!(world.guid("same.img", 2), world.guid("made.raw", 2));
}

#[test]
fn what_cannot_stand_there_is_refused_before_anything_is_written() {
    let world = World::new();
    world.import_disk("d", "1");
    let blank = world.blank("lab.img", 128);
    let is_blank = || fs::read(&blank).unwrap().iter().all(|byte| *byte == 0);
    world.blank("small.img", 64);
    for (line, status, words) in [
        (
            "write d lab.img",
            3,
            &[
                "no trust root",
                "--allow-unsigned",
                "trust pin FILE",
                "trust init --key",
            ][..],
        ),
        ("write d@stable lab.img --allow-unsigned", 3, &["do now:"]),
        (
            "write d small.img --allow-unsigned",
            3,
            &["needs 72 MiB", "64 MiB", "nothing was written"],
        ),
        (
            "write d lab.img --allow-unsigned --sector-size 4096",
            3,
            &["sectors of 512", "sectors of 4096", "nothing was written"],
        ),
        ("write d none.img --allow-unsigned", 1, &["--size 1GiB"]),
        (
            "write d /dev/groundstate-none --size 1GiB --allow-unsigned",
            1,
            &["not made in that folder"],
        ),
        (
            "write d lab.img --size 100MiB --allow-unsigned",
            1,
            &["128 MiB already"],
        ),
        (
            "write d . --allow-unsigned",
            1,
            &["neither a disk nor a file"],
        ),
        ("write e lab.img --allow-unsigned", 1, &["no image e"]),
        ("write d 9 lab.img --allow-unsigned", 1, &["no version 9"]),
        (
            "write d lab.img --allow-unsigned --wipe OTHER",
            3,
            &["--wipe names OTHER", "--wipe lab.img"],
        ),
    ] {
        has(&world.refused(line, status), words);
    }
    assert!(!world.path("none.img").exists());
    assert!(is_blank());
}

#[test]
fn no_file_is_made_or_made_longer_for_what_is_refused() {
    let world = World::new();
    world.import_disk("d", "1");
    let blank = world.blank("lab.img", 128);
    world.blank("small.img", 64);
    for line in [
        "write d new.img --size 64MiB --allow-unsigned",
        "write d new.img --size 128MiB",
        "write d new.img --size 128MiB --allow-unsigned --wipe OTHER",
        "write d small.img --size 128MiB --allow-unsigned --wipe OTHER",
    ] {
        world.refused(line, 3);
    }
    assert!(!world.path("new.img").exists());
    assert_eq!(world.read("small.img").len() as u64, 64 * MIB);
    // A table that is refused by name is refused before the first byte, too.
    let mut bytes = world.read("made.raw");
    bytes[446 + 16 + 4] = 0x07;
    fs::write(world.path("hybrid.raw"), &bytes).unwrap();
    world.done("import hybrid.raw --format raw --name h --version 1");
    has(
        &world.refused("write h lab.img --allow-unsigned", 3),
        &["hybrid MBR", "nothing was written"],
    );
    assert!(fs::read(&blank).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn what_holds_something_is_only_overwritten_where_it_is_said() {
    let world = World::new();
    world.import_disk("d", "1");
    world.disk("mine.img");
    let before = world.read("mine.img");
    has(
        &world.refused("write d mine.img --allow-unsigned", 3),
        &["mine.img holds something", "ext4 on partition 2", "--yes"],
    );
    assert!(world.read("mine.img") == before);
    // The same image once more: what stands there is kept but for what the fitting changes.
    let written = world.json("write d mine.img --allow-unsigned --yes");
    assert!(written["kept"].as_u64().unwrap() > 60 * MIB, "{written}");
    has(&world.tool("sgdisk", "-v mine.img"), &["No problems found"]);
    has(
        &world.done("write d mine.img --allow-unsigned --wipe mine.img"),
        &["d 1 stands on mine.img"],
    );
}

#[test]
fn a_root_file_system_goes_into_a_file_or_a_partition_and_onto_no_disk() {
    let world = World::new();
    world.disk("made.raw");
    world.boot_files();
    world.done(
        "import root.ext4 --format raw --name r --version 1 --kernel vmlinuz --initrd initrd --boot-loader loader.efi",
    );
    world.done("write r r.img --size 40MiB --allow-unsigned");
    let root = world.read("root.ext4");
    assert!(world.read("r.img")[..root.len()] == root);
    world.blank("loop.img", 128);
    let Some(device) = Loop::new(&world, "loop.img", 512) else {
        return;
    };
    has(
        &world.refused(&format!("write r {} --allow-unsigned", device.0), 3),
        &["goes into a partition or a file"],
    );
}

/// A loop device over a file; needs root, and says where it was not tried.
struct Loop(String);

impl Loop {
    fn new(world: &World, file: &str, sector: u32) -> Option<Self> {
        if !is_root() {
            eprintln!("not tried on a loop device: this needs root");
            return None;
        }
        let output = Command::new("losetup")
            .args(["--find", "--show", "--sector-size", &sector.to_string()])
            .arg(world.path(file))
            .output()
            .unwrap();
        if !output.status.success() {
            eprintln!("not tried on a loop device: {output:?}");
            return None;
        }
        Some(Self(
            String::from_utf8(output.stdout).unwrap().trim().to_owned(),
        ))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _detached = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[test]
fn a_device_is_written_past_the_cache_and_one_that_is_in_use_never() {
    let world = World::new();
    world.import_disk("d", "1");
    world.blank("loop.img", 128);
    let Some(device) = Loop::new(&world, "loop.img", 512) else {
        return;
    };
    // Nothing is recognised on it, and still nobody has said that it may go.
    has(
        &world.refused(&format!("write d {} --allow-unsigned", device.0), 3),
        &["nobody is at the terminal", "128 MiB", "say --yes"],
    );
    assert!(world.read("loop.img").iter().all(|byte| *byte == 0));
    world.done(&format!("write d {} --allow-unsigned --yes", device.0));
    has(
        &world.tool("sgdisk", &format!("-v {}", device.0)),
        &["No problems found"],
    );
    has(
        &world.refused(&format!("write d {} --allow-unsigned --yes", device.0), 3),
        &["holds something", &format!("--wipe {}", device.0)],
    );
    drop(device);
    world.blank("other.img", 128);
    if let Some(device) = Loop::new(&world, "other.img", 4_096) {
        has(
            &world.refused(&format!("write d {} --allow-unsigned", device.0), 3),
            &["sectors of 4096", "nothing was written"],
        );
    }
    // What is mounted is refused whatever is said.
    world.blank("mounted.img", 128);
    world.tool("mkfs.ext4", "-q -F mounted.img");
    let Some(device) = Loop::new(&world, "mounted.img", 512) else {
        return;
    };
    fs::create_dir(world.path("at")).unwrap();
    let mounted = Command::new("mount")
        .args([&device.0, world.path("at").to_str().unwrap()])
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("not tried: nothing can be mounted here");
        return;
    }
    let said = world.run(&format!(
        "write d {} --allow-unsigned --yes --wipe {}",
        device.0, device.0
    ));
    world.tool("umount", "at");
    assert_eq!(said.status.code(), Some(3), "{said:?}");
    has(&crate::world::both(&said), &["is in use"]);
    // The mounted file system is there yet, and nothing of an image in front of it.
    let after = world.read("mounted.img");
    assert_eq!(after[1_080..1_082], [0x53, 0xef]);
    assert!(after[..1_024].iter().all(|byte| *byte == 0));
}

/// Each with what to do: it is no file, and no version of an image `sha256`.
#[test]
fn a_device_that_is_not_there_and_half_a_digest_are_named() {
    let world = World::new();
    world.import_disk("d", "1");
    let line = "write d /dev/no-such-disk --allow-unsigned --yes";
    has(&world.refused(line, 1), &["is not there", "lsblk"]);
    has(
        &world.refused("show sha256:00", 2),
        &["is no digest", "64 lower-case hexadecimal digits"],
    );
}
