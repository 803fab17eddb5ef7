// SPDX-License-Identifier: Apache-2.0
//! What a machine gets of its own. Files go in through the kernel, which needs root; what is refused does not.

use crate::world::{World, has, is_root};
use std::fs;

#[test]
fn files_seed_and_credentials_stand_in_the_root_file_system_and_the_image_is_as_it_was() {
    let world = World::new();
    world.import_disk("d", "1");
    fs::write(world.path("motd"), "hello\n").unwrap();
    fs::write(world.path("user-data"), "#cloud-config\n").unwrap();
    fs::write(world.path("token"), "s3cret").unwrap();
    if !is_root() {
        eprintln!("not tried: files are put in through the kernel, as root");
        return;
    }
    fs::create_dir(world.path("seed")).unwrap();
    fs::rename(world.path("user-data"), world.path("seed/user-data")).unwrap();
    let order = "--file /etc/motd=motd --nocloud seed --credential token=token";
    let output = world.run(&format!(
        "write d lab.img --size 128MiB --allow-unsigned {order}"
    ));
    let said = crate::world::both(&output);
    if said.contains("cannot be reached through the kernel") {
        eprintln!("not tried: {said}");
        return;
    }
    assert!(output.status.success(), "{said}");
    has(
        &said,
        &[
            "/etc/credstore/token (a secret, mode 0600)",
            "4 files read back from the disk as they were put",
            "3 of 3 GUIDs are new",
        ],
    );
    assert!(!said.contains("s3cret"));
    let read = |path: &str| {
        let output = std::process::Command::new("debugfs")
            .args(["-R", &format!("cat {path}"), "lab.img?offset=42991616"])
            .current_dir(world.path(""))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(read("/etc/motd"), "hello\n");
    assert_eq!(read("/etc/credstore/token"), "s3cret");
    assert_eq!(
        read("/var/lib/cloud/seed/nocloud/user-data"),
        "#cloud-config\n"
    );
    has(
        &read("/var/lib/cloud/seed/nocloud/meta-data"),
        &["instance-id: gs-"],
    );
    has(&world.tool("sgdisk", "-v lab.img"), &["No problems found"]);
    // The image itself is untouched.
    world.done("export d --output out.raw");
    assert!(world.read("out.raw") == world.read("made.raw"));
}

/// FAT needs the kernel's driver, which not every machine that tests has. Where it lacks, the disk must not boot.
#[test]
fn a_file_on_fat_is_there_or_the_disk_does_not_boot() {
    let world = World::new();
    world.import_disk("d", "1");
    fs::write(world.path("note"), "hello\n").unwrap();
    let output = world.run(
        "write d lab.img --size 128MiB --allow-unsigned --no-read-back --file 1:/note.txt=note",
    );
    let said = crate::world::both(&output);
    if output.status.success() {
        assert_eq!(world.tool("mtype", "-i lab.img@@1M ::note.txt"), "hello\n");
        has(&world.tool("sgdisk", "-v lab.img"), &["No problems found"]);
    } else {
        assert_eq!(output.status.code(), Some(3), "{said}");
        has(&said, &["made not to boot", "do now:"]);
        assert!(world.read("lab.img")[..512].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn what_has_no_place_is_refused_before_anything_is_written() {
    let world = World::new();
    world.import_disk("d", "1");
    let blank = world.blank("lab.img", 128);
    fs::write(world.path("f"), "x").unwrap();
    let write = "write d lab.img --allow-unsigned";
    for (order, status, want) in [
        ("--file etc/motd=f", 1, "does not begin with /"),
        ("--file /etc/../motd=f", 1, "`.` and `..`"),
        ("--file /etc/motd", 1, "PATH=SRC"),
        ("--file /etc/motd=none", 1, "none cannot be read"),
        ("--file 7:/etc/motd=f", 3, "no partition 7"),
        ("--file /a=f --file /a=f", 3, "two files"),
        ("--credential a/b=f", 1, "no name of a credential"),
        ("--nocloud .", 1, "neither user-data nor meta-data"),
        ("--unattend f", 3, "no FAT partition beside"),
    ] {
        has(&world.refused(&format!("{write} {order}"), status), &[want]);
    }
    // What the disk will not have: the image's own GUIDs, however they are written.
    let table = world.tool("sgdisk", "-i 1 made.raw");
    let mut lines = table.lines();
    let guid = lines.find_map(|line| line.strip_prefix("Partition unique GUID: "));
    let guid = guid.expect("sgdisk says it").trim().to_lowercase();
    for written in [guid.clone(), guid.to_uppercase()] {
        fs::write(world.path("names"), format!("PARTUUID={written} / ext4\n")).unwrap();
        let said = world.refused(&format!("{write} --file 1:/fstab=names"), 3);
        let wants = [
            "/fstab names",
            &guid,
            "UUID= or LABEL=",
            "nothing was written",
        ];
        has(&said, &wants);
    }
    assert!(fs::read(blank).unwrap().iter().all(|byte| *byte == 0));
}
