// SPDX-License-Identifier: Apache-2.0
//! What we make is read by QEMU, and by us.

use std::path::Path;

use super::peers::{content, pieces, qemu_io, run};
use super::{Disk, new_disk, noise, write_out};
use crate::random_access::{ReadAt as _, WriteAt as _};
use crate::vhdx::{Builder, Failure, Kind, Layout, NewKind, Piece, Place, Vhdx, VhdxError};

/// QEMU names the size exactly and finds nothing wrong.
fn qemu_accepts(path: &Path, size: u64) {
    let info = run(
        "qemu-img",
        &["info", "-f", "vhdx", "--output", "json"],
        path,
    );
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["virtual-size"].as_u64(), Some(size));
    let check = run("qemu-img", &["check", "-f", "vhdx"], path);
    assert!(check.contains("No errors were found"), "{check}");
}

fn same_as_raw(path: &Path, raw: &Path) {
    let same = run(
        "qemu-img",
        &["compare", "-f", "vhdx", "-F", "raw", path.to_str().unwrap()],
        raw,
    );
    assert!(same.contains("identical"), "{same}");
}

const SIZES: [u64; 4] = [512, (3 << 20) + 512, 100 << 20, (66 << 20) + 7 * 512];

/// Every block is in the file, one after the other from a whole MiB on: the disk is one range of the file.
#[test]
fn a_full_disk_is_one_range_of_its_file() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, found) in [
        (NewKind::Fixed, Kind::Fixed),
        (NewKind::DynamicFull, Kind::Dynamic),
    ] {
        for size in SIZES {
            let path = dir.path().join("full.vhdx");
            let layout = Layout::new(&new_disk(size, None, kind.clone())).unwrap();
            let mut target = Disk::create(&path);
            write_out(&layout, &mut target);
            assert_eq!(target.len(), layout.file_len);
            qemu_accepts(&path, size);
            let mut disk = Vhdx::open(target).unwrap();
            assert_eq!((disk.facts().size.0, disk.facts().kind), (size, found));
            assert_eq!(disk.facts().creator, "Groundstate");
            let place = Place::File(layout.payload.start);
            assert!(layout.payload.start.is_multiple_of(1 << 20));
            assert_eq!(
                pieces(&mut disk),
                [Piece {
                    at: 0,
                    len: size,
                    place
                }]
            );
            assert_eq!(disk.check().unwrap(), []);
            // The content may be written straight into that range.
            let bytes = noise(size, usize::try_from(size.min(1 << 20)).unwrap());
            let mut target = Disk::open(&path);
            target.write_at(layout.payload.start, &bytes).unwrap();
            let raw = dir.path().join("raw");
            std::fs::write(&raw, &bytes).unwrap();
            std::fs::File::options()
                .write(true)
                .open(&raw)
                .unwrap()
                .set_len(size)
                .unwrap();
            same_as_raw(&path, &raw);
        }
    }
}

#[test]
fn qemu_writes_into_an_empty_dynamic_disk_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dynamic.vhdx");
    for (size, block) in [
        (512, None),
        ((100 << 20) + 512, Some(1 << 20)),
        ((10 << 40) + 512, None),
    ] {
        let layout = Layout::new(&new_disk(size, block, NewKind::Dynamic)).unwrap();
        write_out(&layout, &mut Disk::create(&path));
        qemu_accepts(&path, size);
        let at = size - 512;
        qemu_io(&path, &[&format!("write -P 9 {at} 512")]);
        let mut disk = Vhdx::open(Disk::open(&path)).unwrap();
        let mut read = [0; 512];
        disk.read_at(at, &mut read).unwrap();
        assert_eq!(read, [9; 512]);
        assert_eq!(disk.check().unwrap(), []);
    }
}

/// Everything of 64 TiB that can be made here: QEMU opens it, the file is 20 MiB long.
#[test]
fn the_largest_disk_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("largest.vhdx");
    let layout = Layout::new(&new_disk(64 << 40, None, NewKind::Dynamic)).unwrap();
    write_out(&layout, &mut Disk::create(&path));
    qemu_accepts(&path, 64 << 40);
    assert_eq!(layout.file_len, 20 << 20);
}

/// A disk with holes of every size, copied through the builder.
#[test]
fn what_is_built_is_what_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let (path, raw) = (dir.path().join("built.vhdx"), dir.path().join("raw"));
    for (size, block, kind) in [
        ((20 << 20) + 512, Some(1 << 20), NewKind::Dynamic),
        (50 << 20, Some(8 << 20), NewKind::Dynamic),
        (50 << 20, None, NewKind::DynamicFull),
        ((9 << 20) + 1024, None, NewKind::Fixed),
    ] {
        let mut bytes = vec![0u8; usize::try_from(size).unwrap()];
        let end = bytes.len();
        bytes[1_500_000..6_200_000].copy_from_slice(&noise(1, 4_700_000));
        bytes[2_097_152..3_145_728].fill(0);
        bytes[end - 1] = 5;
        std::fs::write(&raw, &bytes).unwrap();
        let layout = Layout::new(&new_disk(size, block, kind)).unwrap();
        let mut builder = Builder::new(Disk::create(&path), layout.clone());
        for (number, piece) in bytes.chunks(700_001).enumerate() {
            builder.write(number as u64 * 700_001, piece).unwrap();
        }
        let mut disk = Vhdx::open(builder.finish().unwrap()).unwrap();
        qemu_accepts(&path, size);
        same_as_raw(&path, &raw);
        assert!(content(&mut disk) == bytes);
        assert_eq!(disk.check().unwrap(), []);
    }
    // Blocks of zeros take no place: 1 MiB blocks 1, 3, 4, 5 and the last.
    let layout = Layout::new(&new_disk(20 << 20, Some(1 << 20), NewKind::Dynamic)).unwrap();
    let mut builder = Builder::new(Disk::create(&path), layout);
    builder.write(0, &[0; 1 << 20]).unwrap();
    builder.write(5 << 20, &[1]).unwrap();
    let mut disk = Vhdx::open(builder.finish().unwrap()).unwrap();
    assert_eq!(disk.facts().file_len, 5 << 20);
    assert_eq!(pieces(&mut disk).len(), 3);
}

/// A table of several windows, of which some stay empty, with the sector bitmaps' entries between.
#[test]
fn a_disk_of_many_blocks_is_built() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("many.vhdx");
    let layout = Layout::new(&new_disk(64 << 30, Some(1 << 20), NewKind::Dynamic)).unwrap();
    let mut builder = Builder::new(Disk::create(&path), layout);
    let blocks = [0, 4095, 4096, 8191, 8192, 40_000, 65_535u64];
    for block in blocks {
        builder
            .write(block << 20, &block.to_le_bytes().map(|byte| byte | 1))
            .unwrap();
    }
    builder.finish().unwrap();
    qemu_accepts(&path, 64 << 30);
    let mut disk = Vhdx::open(Disk::open(&path)).unwrap();
    for block in blocks {
        let bytes = block.to_le_bytes().map(|byte| byte | 1);
        let mut read = [0; 8];
        disk.read_at(block << 20, &mut read).unwrap();
        assert_eq!(read, bytes, "block {block}");
        let pattern = format!("read -P {} {} 1", bytes[0], block << 20);
        qemu_io(&path, &[&pattern]);
    }
}

/// QEMU knows no sectors of 4096 bytes; we read what we made.
#[test]
fn sectors_of_4096_bytes_are_made_and_read() {
    let mut wanted = new_disk((64 << 20) + 4096, Some(1 << 20), NewKind::Dynamic);
    wanted.logical_sector = 4096;
    let layout = Layout::new(&wanted).unwrap();
    let mut builder = Builder::new(Vec::new(), layout);
    builder.write(64 << 20, &[3; 4096]).unwrap();
    let mut disk = Vhdx::open(builder.finish().unwrap()).unwrap();
    assert_eq!(
        (disk.facts().logical_sector, disk.check().unwrap()),
        (4096, vec![])
    );
    let mut read = [0; 4096];
    disk.read_at(64 << 20, &mut read).unwrap();
    assert_eq!(read, [3; 4096]);
    wanted.size.0 += 512;
    let (size, sector) = (wanted.size, 4096);
    assert_eq!(
        Layout::new(&wanted),
        Err(VhdxError::DiskSize { size, sector })
    );
}

/// Until the builder has finished, nobody takes the file for a disk.
#[test]
fn before_the_seal_the_file_is_no_vhdx() {
    let layout = Layout::new(&new_disk(8 << 20, Some(1 << 20), NewKind::Fixed)).unwrap();
    let mut file: Vec<u8> = Vec::new();
    for write in layout.body() {
        file.write_at(write.at, &write.bytes).unwrap();
        let open = Vhdx::open(file.clone());
        assert!(matches!(open, Err(Failure::Refused(VhdxError::NotVhdx))));
    }
    file.resize(usize::try_from(layout.file_len).unwrap(), 0);
    let [one, other, identifier] = layout.seal();
    for (write, whole) in [(one, false), (other, false), (identifier, true)] {
        file.write_at(write.at, &write.bytes).unwrap();
        assert_eq!(Vhdx::open(file.clone()).is_ok(), whole);
    }
}

#[test]
fn the_same_request_gives_the_same_bytes_and_a_wrong_one_is_refused() {
    let request = new_disk(8 << 20, None, NewKind::Fixed);
    let bytes = |request| Layout::new(request).unwrap().body().collect::<Vec<_>>();
    assert_eq!(bytes(&request), bytes(&request.clone()));
    for block in [0, 1 << 19, 3 << 20, 1 << 29] {
        let request = new_disk(8 << 20, Some(block), NewKind::Dynamic);
        assert_eq!(
            Layout::new(&request),
            Err(VhdxError::BlockSize { bytes: block })
        );
    }
    for size in [0, 511, (64 << 40) + 512] {
        let layout = Layout::new(&new_disk(size, None, NewKind::Dynamic));
        assert!(matches!(layout, Err(VhdxError::DiskSize { .. })), "{size}");
    }
    let layout = Layout::new(&request).unwrap();
    let mut builder = Builder::new(Vec::new(), layout);
    builder.write(1000, &[1; 24]).unwrap();
    let (at, end) = (1023, 1024);
    let backwards = Failure::Refused(VhdxError::Backwards { at, end });
    assert_eq!(builder.write(at, &[1]), Err(backwards));
    assert!(builder.write(8 << 20, &[1]).is_err());
}

/// A disk is copied by its pieces: holes cost no reading and stay holes.
#[test]
fn a_disk_is_copied_by_its_pieces() {
    let layout = || Layout::new(&new_disk(64 << 20, Some(1 << 20), NewKind::Dynamic)).unwrap();
    let mut builder = Builder::new(Vec::new(), layout());
    let bytes = noise(8, 3 << 20);
    builder.write((9 << 20) + 512, &bytes).unwrap();
    let mut from = Vhdx::open(builder.finish().unwrap()).unwrap();
    let mut to = Builder::new(Vec::new(), layout());
    let (mut at, mut copied) = (0, 0);
    while let Some(piece) = from.piece(at).unwrap() {
        match piece.place {
            Place::File(_) | Place::Parent => {
                let mut bytes = vec![0; usize::try_from(piece.len).unwrap()];
                from.read_at(at, &mut bytes).unwrap();
                to.write(at, &bytes).unwrap();
                copied += piece.len;
            }
            Place::Zero | Place::Unmapped => {}
        }
        at += piece.len;
    }
    assert_eq!((at, copied), (64 << 20, 4 << 20));
    let mut to = Vhdx::open(to.finish().unwrap()).unwrap();
    let mut read = vec![0; bytes.len()];
    to.read_at((9 << 20) + 512, &mut read).unwrap();
    assert!(read == bytes);
    assert_eq!(to.facts(), from.facts());
}
