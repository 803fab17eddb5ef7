// SPDX-License-Identifier: Apache-2.0
//! An image of a whole disk: at every cut the guard knows the disk again, though it was blank and the image has a table of
//! its own, and nothing on it starts that is not complete.

use super::super::super::partition::table_bytes;
use super::*;
use crate::image::stand_in::{Made, made};
use crate::whole_disk::Fitting;
use groundstate_api::image::ImageTable;
use mos_core::guid::{Guid, Purpose};
use mos_core::whole_disk::Identity;

const DISK: u64 = 6 * MIB;
const SEED: Digest = Digest([7; 32]);
/// What stands where boot code begins.
const CODE: [u8; 4] = [0xeb, 0x3c, 0x90, 0x90];
const IMAGE_GUID: &str = "A0B1C2D3-0011-4233-8455-66778899AABB";

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Gpt,
    Dos,
}

/// A disk of two partitions with something in each, and boot code in its first sector.
fn image(kind: Kind, size: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    let mut put = |at: u64, piece: &[u8]| {
        let at = usize::try_from(at).unwrap();
        bytes[at..at + piece.len()].copy_from_slice(piece);
    };
    put(MIB, &Numbers(11).bytes(300 << 10));
    put(2 * MIB + 4_096, &Numbers(12).bytes(200 << 10));
    match kind {
        Kind::Gpt => {
            let table = TablePlan {
                disk_guid: IMAGE_GUID.to_owned(),
                partitions: vec![
                    part("EFI", TYPE_ESP, 1, 1, PartitionContents::Root),
                    part("root", TYPE_ROOT, 2, 1, PartitionContents::Root),
                ],
            };
            let ends = table_bytes(size, 512, &table).unwrap();
            put(0, ends.primary(512));
            put(ends.tail_at, &ends.tail);
        }
        Kind::Dos => {
            let mut entry = [0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0];
            put(446, &entry);
            (entry[0], entry[9]) = (0, 16);
            put(462, &entry);
            put(510, &[0x55, 0xaa]);
        }
    }
    put(0, &CODE);
    bytes
}

fn table(kind: Kind, bytes: &[u8]) -> TablePlan {
    let image = match kind {
        Kind::Gpt => ImageTable::Gpt {
            disk_guid: IMAGE_GUID.to_owned(),
        },
        Kind::Dos => ImageTable::Dos {
            first_sector: Digest::of(&bytes[..512]),
        },
    };
    let holds = PartitionContents::WholeDisk {
        seed: SEED,
        image: Some(image),
        grow: false,
    };
    TablePlan {
        disk_guid: Guid::derived(&SEED, "S-1", Purpose::Disk).upper(),
        partitions: vec![part("gs-image", TYPE_DATA, 1, DISK / MIB - 2, holds)],
    }
}

fn put(rig: &Rig, made: &Made, bytes: &[u8]) -> Result<(), String> {
    let said = |reason: groundstate_api::Reason| reason.to_string();
    let body = made.body();
    body.write(&rig.path).map_err(said)?;
    body.read_back(&rig.path).map_err(said)?;
    let identity = Identity {
        seed: &SEED,
        serial: "S-1",
    };
    let head = bytes[..usize::try_from(MIB).unwrap()].to_vec();
    let manifest = made.manifest();
    let fitting = Fitting::prepare(&rig.path, manifest, head, 512, identity, &mut |_, _| {});
    let fitting = fitting.map_err(|error| error.to_string())?;
    fitting.write().map_err(|error| error.to_string())?;
    Ok(())
}

#[test]
fn power_goes_at_any_write_of_an_image_of_a_whole_disk() {
    let mut all = States::default();
    let started = std::cell::Cell::new(0);
    let mut noise = Image::blank(DISK);
    noise.write(&Numbers(5).bytes(6 << 20), 0);
    for (name, kind, size, before) in [
        ("gpt", Kind::Gpt, 4 * MIB, Image::blank(DISK)),
        ("gpt-full", Kind::Gpt, DISK, Image::blank(DISK)),
        ("gpt-noise", Kind::Gpt, 4 * MIB, noise),
        ("dos", Kind::Dos, 4 * MIB, Image::blank(DISK)),
    ] {
        let bytes = image(kind, size);
        let made = made(&bytes, 64 << 10).whole();
        let first = Rig::new(
            &format!("whole-{name}-1"),
            before.clone(),
            512,
            Role::Os,
            table(kind, &bytes),
        );
        first.run(&|rig| put(rig, &made, &bytes)).unwrap();
        let complete = first.disk.image();
        proved(kind, &complete);
        let rig = Rig::new(
            &format!("whole-{name}"),
            before,
            512,
            Role::Os,
            table(kind, &bytes),
        );
        let check = |rig: &Rig| {
            let (mut sector, image) = ([0; 512], rig.disk.image());
            image.read(&mut sector, 0);
            if sector[..4] == CODE {
                let differs = image.differs(&complete);
                // Of a DOS image the plan's own table behind it goes after the first sector came.
                let ours = usize::try_from((DISK - 20_480) / 4_096).unwrap();
                let is_ours = |page: &usize| kind == Kind::Dos && *page >= ours;
                assert!(
                    differs.iter().all(is_ours),
                    "{name} starts and lacks pages {differs:?}"
                );
                started.set(started.get() + 1);
            }
        };
        let whole = |rig: &Rig| put(rig, &made, &bytes);
        let (states, last) = rig.cut(&|_| (), subsets(3), &whole, &check);
        assert!(last.differs(&complete).is_empty());
        println!("{name}: {} states, {states:?}", states.all());
        all.add(states);
    }
    println!(
        "whole disk: {} states, {all:?}, {} start",
        all.all(),
        started.get()
    );
    assert!(started.get() > 0 && all.all() >= 100, "{all:?}");
}

#[test]
fn an_image_that_somebody_put_there_is_somebodys_until_this_run_has_begun_with_it() {
    for (name, kind, size) in [
        ("clone-gpt", Kind::Gpt, 4 * MIB),
        ("clone-gpt-full", Kind::Gpt, DISK),
        ("clone-dos", Kind::Dos, 4 * MIB),
    ] {
        let bytes = image(kind, size);
        // The plan was made for a disk that held nothing.
        let rig = Rig::new(name, Image::blank(DISK), 512, Role::Os, table(kind, &bytes));
        let mut theirs = Image::blank(DISK);
        theirs.write(&bytes, 0);
        theirs.write(&Numbers(13).bytes(64 << 10), 3 * MIB);
        rig.disk.put(theirs.clone());
        let refused = rig.run(&|_| Ok(())).unwrap_err();
        assert!(
            refused.contains("not there when the plan was written"),
            "{name}: {refused}"
        );
        let planned = &rig.plan.disks[0];
        assert!(wipe(&rig.path, planned, false).is_err(), "{name}");
        assert!(rig.disk.image().differs(&theirs).is_empty(), "{name}");
        // The provisioner has written down that an earlier boot of this run began with the image.
        rig.image_begun.store(true, Ordering::Relaxed);
        rig.run(&|_| Ok(())).unwrap();
        assert!(!rig.disk.image().differs(&theirs).is_empty(), "{name}");
    }
}

/// By sgdisk and sfdisk, on a copy.
fn proved(kind: Kind, disk: &Image) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    disk.save(&path, 0, DISK);
    if kind == Kind::Gpt {
        assert!(passes("sgdisk", &["-v"], &path).contains("No problems found"));
        let said = passes("sgdisk", &["-p"], &path);
        let guid = Guid::derived(&SEED, "S-1", Purpose::Disk).upper();
        assert!(said.contains(&guid), "{said}");
    } else {
        let mut end = [0; 512];
        disk.read(&mut end, DISK - 512);
        assert_eq!(end, [0; 512], "no table of ours stays behind");
    }
}
