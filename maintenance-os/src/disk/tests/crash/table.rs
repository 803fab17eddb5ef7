// SPDX-License-Identifier: Apache-2.0
//! The wipe and the partition table, over everything that a disk may have held before.

use super::*;

const LARGE: u64 = 24 * MIB;

fn table() -> TablePlan {
    let mut table = data_table();
    table.partitions[0].length = Bytes::mib(1);
    table
}

/// A table like ours with other GUIDs and another name.
fn somebodys(mib: u64) -> TablePlan {
    let mut table = table();
    table.disk_guid = "0F0F0F0F-1111-4222-8333-444444444444".to_owned();
    let one = &mut table.partitions[0];
    one.guid = "0F0F0F0F-1111-4222-8333-555555555555".to_owned();
    one.name = "theirs".to_owned();
    one.length = Bytes::mib(mib);
    table
}

/// A disk with a table and, in its partition, `inside` at a byte.
fn with_table(
    name: &str,
    size: u64,
    sector: u32,
    table: TablePlan,
    inside: &[(u64, &[u8])],
) -> Image {
    let rig = Rig::new(name, Image::blank(size), sector, Role::Data, table);
    rig.run(&|_| Ok(())).unwrap();
    let mut image = rig.disk.image();
    for (at, bytes) in inside {
        image.write(bytes, MIB + at);
    }
    image
}

fn with(size: u64, inside: &[(u64, &[u8])]) -> Image {
    let mut image = Image::blank(size);
    for (at, bytes) in inside {
        image.write(bytes, *at);
    }
    image
}

fn dos(kind: u8) -> Vec<u8> {
    let mut first = vec![0; 512];
    first[446 + 4] = kind;
    first[446 + 8..446 + 12].copy_from_slice(&2_048u32.to_le_bytes());
    first[446 + 12..446 + 16].copy_from_slice(&2_048u32.to_le_bytes());
    first[510..].copy_from_slice(&[0x55, 0xaa]);
    first
}

const LUKS: &[u8] = b"LUKS\xba\xbe\0\x02";
const LVM: &[u8] = b"LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001";
const XFS: &[u8] = b"XFSB\0\0\x10\0";

/// Name, size, sector and what was there.
fn before() -> Vec<(&'static str, u32, Image)> {
    let noise = Numbers(7).bytes(64 * 1_024);
    let noise_everywhere = Numbers(8).bytes(4 << 20);
    let small = 4 * MIB;
    let theirs = |name, size: u64, sector| {
        let inside: &[(u64, &[u8])] = &[(0, LUKS), (8_192, &noise), (16_384, LUKS)];
        with_table(name, size, sector, somebodys(size / MIB - 2), inside)
    };
    let mut older = table();
    older.disk_guid = "0A0A0A0A-1111-4222-8333-444444444444".to_owned();
    let ours = |name, size, sector| {
        with_table(
            name,
            size,
            sector,
            table(),
            &[(0, &noise), (65_536, &noise)],
        )
    };
    let everywhere = |mut first: Vec<u8>, at: u64| {
        let mut image = with(small, &[(0, &noise_everywhere)]);
        first.resize(first.len().next_multiple_of(512), 0);
        image.write(&first, at);
        image
    };
    let mut full = theirs("made-full", small, 512);
    full.write(&noise_everywhere[..1 << 20], MIB);
    vec![
        ("blank", 512, Image::blank(small)),
        ("blank-4kn", 4_096, Image::blank(small)),
        ("blank-large", 512, Image::blank(LARGE)),
        ("ones", 512, with(small, &[(0, &vec![0xff; 4 << 20])])),
        ("ours-begun", 512, ours("made-ours", small, 512)),
        ("ours-begun-4kn", 4_096, ours("made-ours-4kn", small, 4_096)),
        ("gpt", 512, theirs("made-gpt", small, 512)),
        ("gpt-4kn", 4_096, theirs("made-gpt-4kn", small, 4_096)),
        ("gpt-large", 512, theirs("made-gpt-large", LARGE, 512)),
        ("gpt-full", 512, full),
        (
            "older",
            512,
            with_table(
                "made-older",
                small,
                512,
                older,
                &[(0, XFS), (4_096, &noise)],
            ),
        ),
        (
            "dos",
            512,
            with(small, &[(0, &dos(0x83)), (MIB, XFS), (MIB + 4_096, &noise)]),
        ),
        ("dos-full", 512, everywhere(dos(0x83), 0)),
        (
            "luks",
            512,
            with(small, &[(0, LUKS), (16_384, LUKS), (MIB, &noise)]),
        ),
        ("luks-full", 512, everywhere(LUKS.to_vec(), 0)),
        ("lvm", 512, with(small, &[(512, LVM), (4_096, &noise)])),
        ("lvm-full-4kn", 4_096, everywhere(LVM.to_vec(), 512)),
        ("noise", 512, with(small, &[(0, &noise_everywhere)])),
        ("noise-4kn", 4_096, with(small, &[(0, &noise_everywhere)])),
    ]
}

/// Cuts the runs on every third of the disks, from `first` on, in `least` states. Those of the three parts, of the ESP and of
/// the image are more than 5,000.
fn cut(first: usize, least: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut all = States::default();
    for (name, sector, image) in before().into_iter().skip(first).step_by(3) {
        let mut rig = Rig::new(&format!("table-{name}"), image, sector, Role::Data, table());
        if name.starts_with("ours-begun") {
            // It was blank when it was planned: an earlier cut left it so.
            rig.plan = Rig::new(
                "as-blank",
                Image::blank(4 * MIB),
                sector,
                Role::Data,
                table(),
            )
            .plan;
        }
        let (states, last) = rig.cut(&|_| (), subsets(70), &|_| Ok(()), &|_| ());
        println!("{name}: {} states, {states:?}", states.all());
        all.add(states);
        if sector == 512 {
            let path = dir.path().join(name);
            last.save(&path, 0, rig.plan.disks[0].size.0);
            let text = passes("sgdisk", &["-v"], &path);
            assert!(text.contains("No problems found"), "{name}: {text}");
        }
    }
    println!("GPT: {} states, {all:?}", all.all());
    assert!(all.all() >= least, "{all:?}");
}

#[test]
fn power_goes_at_any_write_of_wipe_and_table_first_third() {
    cut(0, 1_100);
}

#[test]
fn power_goes_at_any_write_of_wipe_and_table_second_third() {
    cut(1, 700);
}

#[test]
fn power_goes_at_any_write_of_wipe_and_table_last_third() {
    cut(2, 750);
}
