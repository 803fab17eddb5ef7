// SPDX-License-Identifier: Apache-2.0
//! Tables made by sgdisk, fitted to larger disks, and judged by sgdisk.

use super::*;
use crate::guid::Guid;
use groundstate_api::{Bytes, Digest};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

const MIB: usize = 1 << 20;
const SEED: Digest = Digest([7; 32]);

/// A disk of 512-byte sectors, as sgdisk makes it.
fn made(dir: &Path, mib: usize, arguments: &[&str]) -> Vec<u8> {
    let path = dir.join("image");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len((mib * MIB) as u64).unwrap();
    let output = Command::new("sgdisk").args(arguments).arg(&path).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    std::fs::read(path).unwrap()
}

fn sgdisk(dir: &Path, disk: &[u8], argument: &str) -> String {
    let path = dir.join("disk");
    std::fs::write(&path, disk).unwrap();
    let output = Command::new("sgdisk").arg(argument).arg(&path).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

fn gpt(image: &mut Vec<u8>) -> Gpt {
    match look(image, 512).unwrap() {
        Table::Gpt(gpt) => gpt,
        other @ (Table::None | Table::Mbr) => panic!("{other:?}"),
    }
}

fn request<'a>(
    disk: usize,
    image: usize,
    hits: &'a [Hit],
    in_loader_entries: &'a BTreeMap<Guid, usize>,
) -> Request<'a> {
    Request {
        disk: Bytes(disk as u64),
        sector: 512,
        image: Bytes(image as u64),
        identity: Some(Identity {
            seed: &SEED,
            serial: "S1",
        }),
        grow: false,
        hits,
        in_loader_entries,
    }
}

/// The image on a larger disk that is full of something else, after the fix-up.
fn fitted(image: &[u8], size: usize, fix: &FixUp) -> Vec<u8> {
    let mut disk = image.to_vec();
    disk.resize(size, 0xa5);
    carry_out(&mut disk, &fix.writes);
    disk
}

fn carry_out(disk: &mut [u8], writes: &[Write]) {
    for write in writes {
        let at = usize::try_from(write.at.0).unwrap();
        disk[at..at + write.bytes.len()].copy_from_slice(&write.bytes);
    }
}

const TWO: [&str; 4] = ["-n1:2048:+8M", "-t1:ef00", "-n2:0:0", "-c2:root"];

#[test]
fn a_table_fits_any_larger_disk_and_sgdisk_finds_no_fault() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut image = made(dir, 32, &TWO);
    // Boot code, which stays.
    image[..440].fill(0x90);
    let gpt = gpt(&mut image);
    let old: BTreeSet<Guid> = gpt.partitions().iter().map(|one| one.guid).collect();
    for size in [image.len(), 33 * MIB, 40 * MIB + 512, 64 * MIB] {
        let fix = fix_up(&gpt, &request(size, image.len(), &[], &BTreeMap::new())).unwrap();
        let mut disk = fitted(&image, size, &fix);
        let said = sgdisk(dir, &disk, "-v");
        assert!(said.contains("No problems found"), "{size}: {said}");
        let said = sgdisk(dir, &disk, "-O");
        assert!(said.contains(&format!("{}", size / 512 - 1)), "{said}");
        assert!(disk[..440].iter().all(|byte| *byte == 0x90));
        let now = match look(&mut disk, 512).unwrap() {
            Table::Gpt(now) => now,
            other @ (Table::None | Table::Mbr) => panic!("{other:?}"),
        };
        assert_ne!(now.disk_guid(), gpt.disk_guid());
        assert!(now.partitions().iter().all(|one| !old.contains(&one.guid)));
        let same = |gpt: &Gpt| -> Vec<_> {
            let all = gpt.partitions().iter();
            all.map(|one| (one.number, one.type_guid, one.first, one.last))
                .collect()
        };
        assert_eq!(same(&now), same(&gpt));
        // What lies between the old end of the partitions and the new backup is as it was, but for the old backup.
        let (_, end) = gpt.usable();
        let end = usize::try_from(end.0).unwrap();
        let until = image.len().min(usize::try_from(fix.usable_end.0).unwrap());
        assert!(disk[end..until].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn whatever_write_is_the_last_the_disk_boots_only_after_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut image = made(dir.path(), 32, &TWO);
    let gpt = gpt(&mut image);
    let fix = fix_up(&gpt, &request(48 * MIB, image.len(), &[], &BTreeMap::new())).unwrap();
    for count in 1..fix.writes.len() {
        let mut disk = image.clone();
        disk.resize(48 * MIB, 0);
        carry_out(&mut disk, &fix.writes[..count]);
        assert_eq!(look(&mut disk, 512), Ok(Table::None), "{count}");
        assert!(disk[..512].iter().all(|byte| *byte == 0), "{count}");
    }
}

#[test]
fn the_last_partition_grows_to_the_end_and_sgdisk_finds_no_fault() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // The last one on the disk is the first of the table.
    let mut image = made(dir, 32, &["-n2:2048:+8M", "-t2:ef00", "-n1:20480:0"]);
    let gpt = gpt(&mut image);
    let none = BTreeMap::new();
    let grown = |size| Request {
        grow: true,
        ..request(size, image.len(), &[], &none)
    };
    for (size, mib) in [(33 * MIB, 32), (40 * MIB + 512, 39), (64 * MIB, 63)] {
        let fix = fix_up(&gpt, &grown(size)).unwrap();
        let disk = fitted(&image, size, &fix);
        let said = sgdisk(dir, &disk, "-v");
        assert!(said.contains("No problems found"), "{size}: {said}");
        let said = sgdisk(dir, &disk, "-i1");
        let last = format!("Last sector: {} ", mib * 2_048 - 1);
        assert!(said.contains(&last), "{size}: {said}");
        let said = sgdisk(dir, &disk, "-i2");
        assert!(said.contains("Last sector: 18431 "), "{said}");
        // Nothing of what another table left at the new end is taken for the partition's, and nothing of the image goes.
        let end = mib * MIB;
        let from = (end - MIB).max(image.len());
        assert!(disk[from..end].iter().all(|byte| *byte == 0));
        assert!(disk[image.len()..from].iter().all(|byte| *byte == 0xa5));
        let (_, old_end) = gpt.usable();
        let old_end = usize::try_from(old_end.0).unwrap();
        assert!(disk[20_480 * 512..old_end] == image[20_480 * 512..old_end]);
        for count in 1..fix.writes.len() {
            let mut cut = image.clone();
            cut.resize(size, 0);
            carry_out(&mut cut, &fix.writes[..count]);
            assert_eq!(look(&mut cut, 512), Ok(Table::None), "{count}");
        }
    }
    let fix = fix_up(&gpt, &grown(64 * MIB)).unwrap();
    let fact = &fix.facts()[1];
    assert!(fact.starts_with("partition 1 is grown from 21"), "{fact}");
    assert!(
        fact.ends_with(" to 53 MiB; its file system is for the host to grow"),
        "{fact}"
    );
    // What grew is the image of another, larger disk, and does not grow again there.
    let mut disk = fitted(&image, 64 * MIB, &fix);
    let same = self::gpt(&mut disk);
    let fix = fix_up(
        &same,
        &Request {
            image: Bytes(disk.len() as u64),
            ..grown(64 * MIB)
        },
    );
    let why = "it reaches the end of the disk already";
    let stays = Growth::Stays { partition: 1, why };
    assert_eq!(fix.unwrap().growth, Some(stays));
}

#[test]
fn what_has_no_use_for_room_or_ends_with_a_meaning_stays_and_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let none = BTreeMap::new();
    let asked = |arguments: &[&str]| {
        let mut image = made(dir.path(), 32, arguments);
        let gpt = gpt(&mut image);
        let request = Request {
            grow: true,
            ..request(64 * MIB, image.len(), &[], &none)
        };
        let fix = fix_up(&gpt, &request).unwrap();
        let disk = fitted(&image, 64 * MIB, &fix);
        assert!(sgdisk(dir.path(), &disk, "-v").contains("No problems found"));
        (fix.facts()[1].clone(), fix.growth.unwrap())
    };
    for (kind, word) in [
        ("-t2:fd00", "RAID"),
        ("-t2:bf01", "ZFS"),
        ("-t2:a504", "ZFS"),
        ("-t2:8200", "swap"),
        ("-t2:ef00", "EFI"),
        ("-t2:ef02", "boot code"),
        ("-t2:0c01", "reserved by Windows"),
        ("-t2:2700", "recovery"),
    ] {
        let (fact, growth) = asked(&["-n1:2048:+8M", "-n2:0:+8M", kind]);
        assert!(matches!(growth, Growth::Stays { partition: 2, .. }));
        assert!(fact.contains(word), "{kind}: {fact}");
    }
    let (fact, growth) = asked(&["-o"]);
    assert_eq!(growth, Growth::NoPartition, "{fact}");
    for kind in ["-t2:8300", "-t2:8304", "-t2:8e00", "-t2:8309", "-t2:0700"] {
        let (_, growth) = asked(&["-n1:2048:+8M", "-n2:0:+8M", kind]);
        assert!(
            matches!(growth, Growth::Grown { partition: 2, .. }),
            "{kind}"
        );
    }
}

#[test]
fn guids_stay_where_it_is_asked_and_where_something_names_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut image = made(dir.path(), 32, &TWO);
    let gpt = gpt(&mut image);
    let [first, second] = [gpt.partitions()[0].guid, gpt.partitions()[1].guid];
    let none = BTreeMap::new();
    let kept = Request {
        identity: None,
        ..request(48 * MIB, image.len(), &[], &none)
    };
    let fix = fix_up(&gpt, &kept).unwrap();
    assert!(fix.renamed.iter().all(|one| one.new == one.old));
    // The first partition's name stands in an entry that can be changed; the second's in its own file system too.
    let (start, _) = gpt.place(&gpt.partitions()[1]);
    let hit = |at, guid, form| Hit { at, guid, form };
    let hits = [
        hit(2 * MIB as u64, first, Form::UpperText),
        hit(3 * MIB as u64, second, Form::Text),
        hit(start.0 + 4_096, second, Form::Text),
    ];
    let entries = BTreeMap::from([(first, 1), (second, 1)]);
    let fix = fix_up(&gpt, &request(48 * MIB, image.len(), &hits, &entries)).unwrap();
    let disk = fitted(&image, 48 * MIB, &fix);
    let new = fix.renamed[1].new;
    assert_ne!(new, first);
    assert_eq!(&disk[2 * MIB..2 * MIB + 36], new.upper().as_bytes());
    assert_eq!(fix.renamed[2].new, second);
    let stays = Stays::Named {
        first: Place {
            partition: Some(1),
            at: Bytes(3 * MIB as u64),
        },
        count: 2,
    };
    assert_eq!(fix.renamed[2].stays, Some(stays));
    assert!(!fix.writes.iter().any(|one| one.at.0 == 3 * MIB as u64));
    expect_test::expect![[r#"
        the backup partition table stands at the disk's end; 2 of 3 GUIDs are new
        1 names of old partition GUIDs in boot loader entries were changed to the new ones"#]]
    .assert_eq(&fix.facts()[..2].join("\n"));
    assert!(fix.facts()[2].contains("stays, because the image names it 2 times"));
    // A name in the bytes of a table is in a boot database, which has checksums of its own.
    let hits = [hit(2 * MIB as u64, first, Form::Binary)];
    let fix = fix_up(&gpt, &request(48 * MIB, image.len(), &hits, &none)).unwrap();
    assert_eq!(fix.renamed[1].new, first);
}

#[test]
fn what_has_no_guid_table_is_told_from_what_has_a_bad_one() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(look(&mut vec![0u8; MIB], 512), Ok(Table::None));
    assert_eq!(look(&mut Vec::new(), 512), Ok(Table::None));
    let good = made(dir.path(), 32, &TWO);
    let mut dos = good.clone();
    dos[450] = 0x83;
    assert_eq!(look(&mut dos, 512), Ok(Table::Mbr));
    let refused = |mut disk: Vec<u8>, sector| match look(&mut disk, sector) {
        Err(LookError::Refused(refusal)) => refusal.to_string(),
        other => panic!("{other:?}"),
    };
    let mut hybrid = good.clone();
    hybrid[446 + 16 + 4] = 0x07;
    assert!(refused(hybrid, 512).contains("hybrid MBR"));
    assert!(refused(good.clone(), 4_096).contains("for sectors of 512 bytes"));
    for (at, want) in [
        (512 + 60, "checksum of its header"),
        (1_024 + 60, "checksum of its entries"),
        (512, "header is not there"),
    ] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(refused(bad, 512).contains(want), "{want}");
    }
    let cut = good[..16 * MIB].to_vec();
    assert!(refused(cut, 512).contains("where none can be"));
}

#[test]
fn a_disk_that_is_too_small_or_of_other_sectors_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut image = made(dir.path(), 32, &TWO);
    let gpt = gpt(&mut image);
    let none = BTreeMap::new();
    let small = fix_up(&gpt, &request(image.len() - 512, image.len(), &[], &none));
    assert!(matches!(small, Err(Refusal::TooSmall { .. })), "{small:?}");
    let other = Request {
        sector: 4_096,
        ..request(64 * MIB, image.len(), &[], &none)
    };
    let other = fix_up(&gpt, &other);
    assert_eq!(
        other,
        Err(Refusal::SectorSize {
            table: 512,
            disk: 4_096
        })
    );
}

proptest::proptest! {
    /// Whatever the bytes are, a look ends with a word, and what is fitted can be looked at again.
    #[test]
    fn no_table_makes_a_look_panic(places in proptest::collection::vec((0usize..17_408, proptest::prelude::any::<u8>()), 1..8)) {
        static GOOD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let good = GOOD.get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            made(dir.path(), 8, &["-n1:2048:+2M", "-n2:0:0"])
        });
        let mut disk = good.clone();
        for (at, byte) in places {
            disk[at] = byte;
        }
        // The header's sum is made right, so that what it says is looked at.
        let length = u32::from_le_bytes(disk[524..528].try_into().unwrap()) as usize;
        if (92..=512).contains(&length) {
            let entries = crc32fast::hash(&disk[1_024..17_408]);
            disk[600..604].copy_from_slice(&entries.to_le_bytes());
            disk[528..532].fill(0);
            let sum = crc32fast::hash(&disk[512..512 + length]);
            disk[528..532].copy_from_slice(&sum.to_le_bytes());
        }
        if let Ok(Table::Gpt(gpt)) = look(&mut disk, 512) {
            let size = disk.len() + MIB;
            let fix = fix_up(&gpt, &request(size, disk.len(), &[], &BTreeMap::new()));
            if let Ok(fix) = fix {
                let mut fitted = fitted(&disk, size, &fix);
                proptest::prop_assert!(matches!(look(&mut fitted, 512), Ok(Table::Gpt(_))));
            }
        }
    }
}
