// SPDX-License-Identifier: Apache-2.0
//! What looks like half of our own table and is not: a disk that was planned as blank and carries one byte that the plan
//! does not write there is refused.

use super::*;

const SIZE: u64 = 4 * MIB;

fn table() -> TablePlan {
    let mut table = data_table();
    table.partitions[0].length = Bytes::mib(1);
    table
}

/// What the run writes, and the rig with its disk blank again.
fn written(name: &str, sector: u32) -> (Rig, Image) {
    let rig = Rig::new(name, Image::blank(SIZE), sector, Role::Data, table());
    rig.run(&|_| Ok(())).unwrap();
    let image = rig.disk.image();
    rig.disk.put(Image::blank(SIZE));
    (rig, image)
}

fn piece(image: &Image, at: u64) -> Vec<u8> {
    let mut bytes = vec![0; TEAR];
    image.read(&mut bytes, at);
    bytes
}

/// Whether the executors pass it; where they do not, nothing is written.
fn passes_guard(rig: &Rig, image: &Image) -> bool {
    rig.disk.put(image.clone());
    let look = |_| vec![seen(&rig.path, rig.sector)];
    let bench = Bench {
        plan: &rig.plan,
        look: &look,
        image_begun: false,
    };
    let by_guard = guard_all(&bench, Some(rig.plan.machine)).is_ok();
    if !by_guard {
        let reason = carry_out(Step::Wipe, &bench, &mut |_, _| ()).unwrap_err();
        assert_eq!(reason.code, ReasonCode::DiskInUse, "{reason}");
        let planned = &rig.plan.disks[0];
        assert!(wipe(&rig.path, planned, false).is_err() && partition(&rig.path, planned).is_err());
        assert!(rig.disk.image().differs(image).is_empty());
    }
    by_guard
}

/// Where the table's pieces stand that are not blank: primary and backup, each header and entries.
fn places(sector: u32) -> [u64; 4] {
    let sector = u64::from(sector);
    [
        sector,
        2 * sector,
        SIZE - sector - 16 * 1_024,
        SIZE - sector,
    ]
}

#[test]
fn pieces_of_our_own_table_pass_in_every_mixture() {
    for sector in [512, 4_096] {
        let (rig, ours) = written(&format!("own-{sector}"), sector);
        for kept in 0u32..16 {
            let mut image = Image::blank(SIZE);
            for (at, number) in places(sector).into_iter().zip(0..) {
                if kept & (1 << number) != 0 {
                    image.write(&piece(&ours, at), at);
                }
            }
            assert!(passes_guard(&rig, &image), "{sector}: {kept:04b}");
        }
    }
}

#[test]
fn one_byte_that_the_plan_does_not_write_there_is_somebodys() {
    for sector in [512, 4_096] {
        let (rig, ours) = written(&format!("byte-{sector}"), sector);
        let mut numbers = Numbers(u64::from(sector));
        for at in places(sector) {
            let mut image = Image::blank(SIZE);
            image.write(&piece(&ours, at), at);
            assert!(
                passes_guard(&rig, &image),
                "{sector}: the piece at {at} alone"
            );
            for _ in 0..12 {
                let mut bytes = piece(&ours, at);
                // Entries of empty partitions are part of it: a set byte there is another table.
                bytes[numbers.below(TEAR)] ^= 1 << numbers.below(8);
                let mut image = image.clone();
                image.write(&bytes, at);
                assert!(
                    !passes_guard(&rig, &image),
                    "{sector}: another byte at {at}"
                );
            }
            // The same bytes at another place.
            let mut image = Image::blank(SIZE);
            let by = 3 * u64::from(sector);
            let moved = if at < SIZE / 2 { at + by } else { at - by };
            image.write(&piece(&ours, at), moved);
            assert!(!passes_guard(&rig, &image), "{sector}: moved from {at}");
        }
    }
}

#[test]
fn ones_beside_zeros_are_blank_and_nothing_between_them_is() {
    let (rig, _) = written("ones", 512);
    let mut numbers = Numbers(3);
    for _ in 0..8 {
        let mut image = Image::blank(SIZE);
        for piece in 0..SIZE / 512 {
            if numbers.below(2) == 0 {
                image.write(&[0xff; 512], piece * 512);
            }
        }
        assert!(passes_guard(&rig, &image));
        // One bit at either end makes it somebody's.
        let within = numbers.next() % (MIB - 512);
        let at = [within, SIZE - 1 - within][numbers.below(2)];
        let mut byte = [0];
        image.read(&mut byte, at);
        image.write(&[byte[0] ^ 0x10], at);
        assert!(!passes_guard(&rig, &image), "byte {at}");
    }
}

#[test]
fn somebodys_data_beside_a_piece_of_ours_is_somebodys() {
    let (rig, ours) = written("beside", 512);
    let strange: [(u64, &[u8]); 6] = [
        (0, b"LUKS\xba\xbe\0\x02"),
        (MIB, b"anything"),
        (4 * 512, b"x"),
        (600 * 1_024, b"x"),
        (SIZE - 40 * 512, b"x"),
        (SIZE - 512 - 8_192, b"x"),
    ];
    for place in places(512) {
        for (at, bytes) in strange {
            let mut image = Image::blank(SIZE);
            image.write(&piece(&ours, place), place);
            image.write(bytes, at);
            let far_from_ends = at == MIB;
            assert!(
                far_from_ends || !passes_guard(&rig, &image),
                "{place} and {at}"
            );
        }
    }
}

#[test]
fn other_tables_on_a_disk_that_was_blank_are_refused_whole_or_in_part() {
    for sector in [512, 4_096] {
        let (rig, ours) = written(&format!("other-{sector}"), sector);
        let mut other = table();
        other.disk_guid = DISK_GUID.replace("3E58", "3E59");
        other.partitions[0].guid = "0F0F0F0F-1111-4222-8333-555555555555".to_owned();
        let name = format!("theirs-{sector}");
        let theirs = Rig::new(&name, Image::blank(SIZE), sector, Role::Data, other);
        theirs.run(&|_| Ok(())).unwrap();
        let theirs = theirs.disk.image();
        let all: Vec<u64> = [0].into_iter().chain(places(sector)).collect();
        for kept in 1u32..32 {
            let mut image = Image::blank(SIZE);
            for (at, number) in all.iter().zip(0..) {
                if kept & (1 << number) != 0 {
                    image.write(&piece(&theirs, *at), *at);
                }
            }
            assert!(!passes_guard(&rig, &image), "{sector}: {kept:05b}");
        }
        // The first sector is the same in both, and alone it is nobody's leave.
        assert_eq!(piece(&ours, 0), piece(&theirs, 0));
    }
}
