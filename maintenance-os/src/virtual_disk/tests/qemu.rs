// SPDX-License-Identifier: Apache-2.0
//! QEMU reads what we write, and we read what QEMU writes.

use super::*;
use mos_core::random_access::{ReadAt as _, WriteAt as _};

const SIZE: u64 = 21 * (1 << 20) + 512 * 7;

#[test]
fn every_new_disk_has_its_exact_size_and_reads_as_zero_in_qemu() {
    let dir = tempfile::tempdir().unwrap();
    let zeros = dir.path().join("zeros");
    std::fs::File::create(&zeros)
        .unwrap()
        .set_len(SIZE)
        .unwrap();
    for (name, contents, preallocate) in [
        ("fixed", Contents::Fixed, false),
        ("dynamic", Contents::Dynamic, false),
        ("preallocated", Contents::Dynamic, true),
    ] {
        let path = dir.path().join(name);
        let created = make(&path, SIZE, contents, preallocate);
        assert_eq!(qemu_size(&path, "vpc"), SIZE, "{name}");
        same(&path, "vpc", &zeros, "raw");
        assert_eq!(check(&path, None, &Parents::default()).unwrap().faults, []);
        let full = name != "dynamic";
        assert_eq!(created.reserved.is_some(), full, "{name}");
        assert!(
            !full || created.allocated >= created.file_length,
            "{created:?}"
        );
        assert!(full || created.allocated < 64 << 10, "{created:?}");
    }
}

#[test]
fn what_we_write_qemu_reads_and_the_other_way() {
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("raw");
    raw_disk(&raw, SIZE);
    for (name, preallocate) in [("dynamic", false), ("preallocated", true)] {
        let path = dir.path().join(name);
        make(&path, SIZE, Contents::Dynamic, preallocate);
        let mut bytes = vec![0; usize::try_from(SIZE).unwrap()];
        DiskFile::open(&raw, false)
            .unwrap()
            .unwrap()
            .read_at(0, &mut bytes)
            .unwrap();
        let mut vhd = open_to_write(&path);
        // Out of order and across blocks, and not the zeros.
        for at in [20usize << 20, 0, 10 << 20, 5 << 20] {
            let end = bytes.len().min(at + (6 << 20));
            vhd.write_at(at as u64, &bytes[at..end]).unwrap();
        }
        vhd.write_at(16 << 20, &bytes[16 << 20..20 << 20]).unwrap();
        vhd.flush().unwrap();
        drop(vhd);
        same(&path, "vpc", &raw, "raw");
        // QEMU writes into it, and both see the same.
        passes(
            "qemu-io",
            &[
                "-f",
                "vpc",
                "-c",
                "write -P 0x5a 3M 2M",
                "-c",
                "write -P 0xa5 513 1000",
                text(&path),
            ],
        );
        let mut piece = vec![0; 2 << 20];
        let mut vhd = open_to_write(&path);
        vhd.read_at(3 << 20, &mut piece).unwrap();
        assert!(piece.iter().all(|byte| *byte == 0x5a), "{name}");
        drop(vhd);
        let back = dir.path().join(format!("{name}.back"));
        copy(&path, None, &back, Target::Raw);
        same(&path, "vpc", &back, "raw");
    }
}

#[test]
fn what_qemu_makes_is_read_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("raw");
    raw_disk(&raw, SIZE);
    for options in [
        "subformat=dynamic",
        "subformat=dynamic,force_size=on",
        "subformat=fixed",
        "subformat=fixed,force_size=on",
    ] {
        let path = dir.path().join(options);
        passes(
            "qemu-img",
            &[
                "convert",
                "-f",
                "raw",
                "-O",
                "vpc",
                "-o",
                options,
                text(&raw),
                text(&path),
            ],
        );
        let found = info(&path, None).unwrap();
        assert_eq!(found.size, qemu_size(&path, "vpc"), "{options}");
        assert_eq!(
            check(&path, None, &Parents::default()).unwrap().faults,
            [],
            "{options}"
        );
        let ours = dir.path().join(format!("{options}.raw"));
        copy(&path, None, &ours, Target::Raw);
        same(&path, "vpc", &ours, "raw");
        // Written by us, read by QEMU.
        let mut vhd = open_to_write(&path);
        vhd.write_at(8 << 20, &[0x77; 4_096]).unwrap();
        vhd.write_at(4 << 20, &[0x78; 512]).unwrap();
        vhd.flush().unwrap();
        drop(vhd);
        passes(
            "qemu-io",
            &[
                "-f",
                "vpc",
                "-c",
                "read -P 0x77 8M 4k",
                "-c",
                "read -P 0x78 4M 512",
                text(&path),
            ],
        );
    }
}

#[test]
fn every_conversion_keeps_the_disk_and_its_holes() {
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("disk.raw");
    raw_disk(&raw, SIZE);
    let at = |name: &str| dir.path().join(name);
    let mut last = (raw.clone(), Some(Format::Raw));
    for (name, to, qemu) in [
        ("a.vhd", Target::Fixed, "vpc"),
        ("b.vhd", Target::Dynamic, "vpc"),
        ("c.vhdx", Target::Dynamic, "vhdx"),
        ("d.vhdx", Target::Fixed, "vhdx"),
        ("e.vhd", Target::Dynamic, "vpc"),
        ("f.raw", Target::Raw, "raw"),
    ] {
        let path = at(name);
        let done = copy(&last.0, last.1, &path, to);
        assert_eq!(done.size, SIZE);
        same(&path, qemu, &raw, "raw");
        assert_eq!(qemu_size(&path, qemu), SIZE, "{name}");
        // Three pieces of 300,000 bytes, in whole steps of 4 KiB.
        assert!(done.written < 1_000_000, "{name}: {done:?}");
        match to {
            Target::Fixed => assert!(done.allocated >= done.file_length, "{name}: {done:?}"),
            Target::Raw => assert!(done.allocated < 2 << 20, "{name}: {done:?}"),
            Target::Dynamic => assert!(done.allocated < done.size, "{name}: {done:?}"),
        }
        if qemu != "raw" {
            let faults = check(&path, None, &Parents::default()).unwrap().faults;
            assert_eq!(faults, [], "{name}");
        }
        last = (path, None);
    }
}

#[test]
fn new_vhdx_are_qemus_too() {
    let dir = tempfile::tempdir().unwrap();
    for (name, contents, preallocate) in [
        ("fixed.vhdx", Contents::Fixed, false),
        ("dynamic.vhdx", Contents::Dynamic, false),
        ("full.vhdx", Contents::Dynamic, true),
    ] {
        let path = dir.path().join(name);
        let created = create(&Create {
            path: path.clone(),
            format: Format::Vhdx,
            size: Some(Bytes::mib(40)),
            contents,
            preallocate,
            force: false,
        })
        .unwrap();
        assert_eq!(qemu_size(&path, "vhdx"), 40 << 20);
        passes("qemu-img", &["check", "-f", "vhdx", text(&path)]);
        let full = name != "dynamic.vhdx";
        assert_eq!(created.reserved.is_some(), full);
        assert!(
            !full || created.allocated >= created.file_length,
            "{created:?}"
        );
        assert_eq!(info(&path, None).unwrap().kind, Some(created.kind));
        // All zeros, by our map and by QEMU's reading.
        let map = map(&path, None).unwrap();
        assert!(
            map.ranges.iter().all(|range| range.holds == Holds::Zero),
            "{map:?}"
        );
        passes(
            "qemu-io",
            &["-r", "-f", "vhdx", "-c", "read -P 0 0 40M", text(&path)],
        );
    }
}
