// SPDX-License-Identifier: Apache-2.0
//! An image whose head waits: what is known of it before, and what sgdisk, mtools and e2fsck say after.

use super::*;
use crate::medium::Access;
use crate::whole_disk::open_disk::OpenDisk;
use groundstate_api::image::LoaderPath;
use image_core::manifest::check;
use mos_core::random_access::ReadAt as _;
use std::os::unix::fs::FileExt as _;

const ROOT_AT: u64 = 41;
const ROOT_MIB: u64 = 24;

/// The image of the other tests with a loader on its ESP and a root with a system.
fn with_a_root(dir: &Path) -> (PathBuf, Vec<Guid>) {
    let (path, guids) = image(dir);
    let tree = dir.join("tree");
    fs::create_dir_all(tree.join("etc")).unwrap();
    fs::write(
        tree.join("etc/os-release"),
        "ID=test\nPRETTY_NAME=\"Test 1\"\n",
    )
    .unwrap();
    let offset = format!("offset={}", ROOT_AT * MIB);
    let size = format!("{ROOT_MIB}M");
    run(
        "mke2fs",
        &[
            "-q",
            "-F",
            "-t",
            "ext4",
            "-E",
            &offset,
            "-d",
            text(&tree),
            text(&path),
            &size,
        ],
    );
    // The head of a program for x86-64 that UEFI starts.
    let mut program = vec![0; 512];
    program[..2].copy_from_slice(b"MZ");
    program[0x3c] = 0x80;
    program[0x80..0x86].copy_from_slice(&[b'P', b'E', 0, 0, 0x64, 0x86]);
    let file = dir.join("loader.efi");
    fs::write(&file, program).unwrap();
    let at = format!("{}@@1M", text(&path));
    run("mmd", &["-i", &at, "::EFI", "::EFI/BOOT"]);
    run("mcopy", &["-i", &at, text(&file), "::EFI/BOOT/BOOTX64.EFI"]);
    (path, guids)
}

/// What a disk has when the body was written and read back: all but the head.
fn with_the_body(dir: &Path, bytes: &[u8], size: u64) -> (PathBuf, Vec<u8>) {
    let head = usize::try_from(MIB).unwrap();
    let disk = on_a_larger_disk(dir, bytes, size);
    let file = File::options().write(true).open(&disk).unwrap();
    file.write_all_at(&vec![0; head], 0).unwrap();
    (disk, bytes[..head].to_vec())
}

fn prepared(disk: &Path, manifest: &Manifest, head: Vec<u8>) -> Fitting {
    let identity = NEW.unwrap();
    Fitting::prepare(disk, manifest, head, 512, identity, &mut |_, _| {}).unwrap()
}

#[test]
fn nothing_starts_before_the_head_and_all_is_right_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (path, old) = with_a_root(dir);
    let bytes = fs::read(&path).unwrap();
    let manifest = manifest(&bytes, 512);
    let (disk, head) = with_the_body(dir, &bytes, 100 * MIB);
    let before = fs::read(&disk).unwrap();
    let fitting = prepared(&disk, &manifest, head);
    assert_eq!(fs::read(&disk).unwrap(), before, "it only looks");
    assert_eq!(look_at_disk(&disk, 512).unwrap(), Table::None);
    let inside = fitting.inside().clone();
    assert_eq!(inside.root, Some(2), "{inside:?}");
    let loader = BootEntry::Loader(LoaderPath {
        partition: 1,
        path: "\\EFI\\BOOT\\BOOTX64.EFI".to_owned(),
    });
    assert_eq!(inside.boot, loader);
    let root = inside.extents.iter().find(|one| one.number == 2).unwrap();
    assert_eq!(root.start, Bytes(ROOT_AT * MIB));
    fitting.show().unwrap();
    let new_root = fitting.guid_of(2).unwrap();
    assert!(!old.contains(&new_root));
    let facts = fitting.write().unwrap();
    assert!(
        facts[0].starts_with("the backup partition table stands"),
        "{facts:?}"
    );
    assert!(run("sgdisk", &["-v", text(&disk)]).contains("No problems found"));
    assert_eq!(guids(&disk)[1], new_root);
    assert!(entry(&disk).contains(&new_root.lower()));
    assert_eq!(look_into(&disk, 512).unwrap().root, Some(2));
    assert_eq!(look_into(&disk, 512).unwrap().boot, loader);
    // The root itself is as it was made.
    let part = dir.join("root");
    let length = usize::try_from(ROOT_MIB * MIB).unwrap();
    let at = usize::try_from(ROOT_AT * MIB).unwrap();
    fs::write(&part, &fs::read(&disk).unwrap()[at..at + length]).unwrap();
    run("e2fsck", &["-fn", text(&part)]);
}

#[test]
fn a_root_that_cannot_be_told_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (path, _) = image(dir);
    let bytes = fs::read(&path).unwrap();
    let manifest = manifest(&bytes, 512);
    let (disk, head) = with_the_body(dir, &bytes, 80 * MIB);
    let fitting = prepared(&disk, &manifest, head);
    assert_eq!(fitting.inside().root, None);
    assert!(
        fitting
            .inside()
            .found
            .iter()
            .any(|one| one.contains("nothing that was recognised")),
        "{:?}",
        fitting.inside()
    );
}

#[test]
fn the_last_partition_takes_the_rest_of_the_disk_where_that_is_wished() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (path, _) = with_a_root(dir);
    let bytes = fs::read(&path).unwrap();
    let manifest = manifest(&bytes, 512);
    let last = |disk: &Path| match look_at_disk(disk, 512).unwrap() {
        Table::Gpt(gpt) => gpt.partitions().iter().map(|one| one.last).max().unwrap(),
        other @ (Table::None | Table::Mbr) => panic!("{other:?}"),
    };
    let image = last(&path);
    for grow in [false, true] {
        let size = (bytes.len() as u64).next_multiple_of(MIB) + 40 * MIB;
        let (disk, head) = with_the_body(dir, &bytes, size);
        let wishes = Wishes {
            identity: NEW,
            grow,
        };
        let fitting = Fitting::prepare(&disk, &manifest, head, 512, wishes, &mut |_, _| {});
        let facts = fitting.unwrap().write().unwrap().join("\n");
        assert_eq!(facts.contains("is grown from"), grow, "{facts}");
        let end = if grow { (size - MIB) / 512 - 1 } else { image };
        assert_eq!(last(&disk), end);
        let said = run("sgdisk", &["-v", text(&disk)]);
        assert!(said.contains("No problems found"), "{said}");
    }
}

#[test]
fn other_sectors_are_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (path, _) = image(dir);
    let bytes = fs::read(&path).unwrap();
    let manifest = manifest(&bytes, 512);
    let (disk, head) = with_the_body(dir, &bytes, 80 * MIB);
    let before = fs::read(&disk).unwrap();
    let identity = NEW.unwrap();
    let refused = Fitting::prepare(&disk, &manifest, head, 4_096, identity, &mut |_, _| {});
    assert!(matches!(
        refused.unwrap_err(),
        FitError::Refused(Refusal::SectorSize { .. })
    ));
    assert_eq!(fs::read(&disk).unwrap(), before);
}

#[test]
fn head_and_body_are_the_image_in_two() {
    for chunk in [CHUNK, 4 * MIB] {
        let bytes: Vec<u8> = (0..9 * MIB)
            .map(|at| u8::try_from(at % 251 + 1).unwrap())
            .collect();
        let mut whole = manifest(&bytes, 512);
        if chunk != CHUNK {
            whole.chunk_size = Bytes(chunk);
            let chunks = bytes.chunks(usize::try_from(chunk).unwrap()).zip(0u64..);
            whole.chunks = chunks
                .map(|(bytes, index)| Chunk {
                    offset: Bytes(index * chunk),
                    length: Bytes(bytes.len() as u64),
                    digest: Digest::of(bytes),
                    stored_length: Bytes(1),
                    stored_digest: Digest([0; 32]),
                })
                .collect();
            whole.merkle_root = merkle::root(&whole.chunks);
        }
        check(&whole).unwrap();
        let (head, body) = (head_of(&whole), body_of(&whole));
        check(&head).unwrap();
        check(&body).unwrap();
        assert_eq!(head.size, head_size(&whole));
        assert_eq!(head.size.0, chunk.max(MIB));
        assert_eq!(body.size, whole.size);
        let both: Vec<Chunk> = head.chunks.iter().chain(&body.chunks).copied().collect();
        assert_eq!(both, whole.chunks);
    }
    // An image that is all head.
    let small = manifest(&[7; 4096], 512);
    assert_eq!(head_size(&small), Bytes(4096));
    assert!(body_of(&small).chunks.is_empty());
    check(&body_of(&small)).unwrap();
}

#[test]
fn what_waits_reads_as_if_it_stood_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    fs::write(&path, vec![1; 8_192]).unwrap();
    let head = vec![2; 100];
    let mut disk = OpenDisk::open(&path, Access::Read, 512)
        .unwrap()
        .with_head(head);
    for (at, expected) in [
        (0, [2, 2]),
        (98, [2, 2]),
        (99, [2, 1]),
        (100, [1, 1]),
        (8_190, [1, 1]),
    ] {
        let mut found = [0; 2];
        disk.read_at(at, &mut found).unwrap();
        assert_eq!(found, expected, "at {at}");
    }
    assert!(disk.read_at(8_191, &mut [0; 2]).is_err());
}
