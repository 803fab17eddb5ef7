// SPDX-License-Identifier: Apache-2.0
//! What QEMU and Hyper-V wrote is read by us.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use groundstate_api::Bytes;

use super::Disk;
use crate::vhdx::{Fault, Kind, LogState, Piece, Place, Vhdx};

pub(super) fn run(program: &str, args: &[&str], path: &Path) -> String {
    let output = Command::new(program).args(args).arg(path).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {args:?} {}: {output:?}",
        path.display()
    );
    String::from_utf8(output.stdout).unwrap()
}

pub(super) fn qemu_create(path: &Path, options: &str, size: &str) {
    let status = Command::new("qemu-img")
        .args(["create", "-q", "-f", "vhdx", "-o", options])
        .arg(path)
        .arg(size)
        .status();
    assert!(status.unwrap().success());
}

pub(super) fn qemu_io(path: &Path, commands: &[&str]) {
    let args: Vec<&str> = commands
        .iter()
        .flat_map(|command| ["-c", *command])
        .collect();
    run("qemu-io", &[&["-f", "vhdx"], &args[..]].concat(), path);
}

/// The whole disk, as our reader sees it, in pieces whose length is no power of two.
pub(super) fn content(disk: &mut Vhdx<Disk>) -> Vec<u8> {
    let mut all = vec![0xaa; usize::try_from(disk.facts().size.0).unwrap()];
    for (number, piece) in all.chunks_mut(1_234_567).enumerate() {
        disk.read_at(number as u64 * 1_234_567, piece).unwrap();
    }
    all
}

pub(super) fn pieces(disk: &mut Vhdx<Disk>) -> Vec<Piece> {
    let pieces: Vec<Piece> = disk.map().map(Result::unwrap).collect();
    assert_eq!(
        pieces.iter().map(|piece| piece.len).sum::<u64>(),
        disk.facts().size.0
    );
    pieces
}

/// The corpus, or `None` where it is absent; with `CI` set it must be there.
fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("GROUNDSTATE_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = root.join("disk-images/qemu-iotests");
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "no corpus at {}",
        path.display()
    );
    eprintln!("skipped: no corpus at {}", path.display());
    None
}

/// Windows Server 2012 wrote it: 1 GiB, of which 33 MiB with one byte and 33 MiB with another
/// (QEMU `tests/qemu-iotests/064`).
#[test]
fn a_disk_of_hyper_v_is_read() {
    let Some(corpus) = corpus() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("iotest.vhdx");
    let out = std::fs::File::create(&path).unwrap();
    let mut bzcat = Command::new("bzcat");
    bzcat
        .arg(corpus.join("iotest-dynamic-1G.vhdx.bz2"))
        .stdout(Stdio::from(out));
    assert!(bzcat.status().unwrap().success());
    let mut disk = Vhdx::open(Disk::open(&path)).unwrap();
    let facts = disk.facts().clone();
    assert_eq!(
        (facts.size, facts.block_size),
        (Bytes::gib(1), Bytes::mib(32))
    );
    assert_eq!((facts.kind, facts.log), (Kind::Dynamic, LogState::Empty));
    assert_eq!((facts.logical_sector, facts.physical_sector), (512, 4096));
    assert_eq!(facts.creator, "Microsoft Windows 6.2.9200.16384");
    let places: Vec<(u64, Place)> = pieces(&mut disk)
        .iter()
        .map(|p| (p.len >> 20, p.place))
        .collect();
    let expected = [(96, Place::File(4 << 20)), (928, Place::Zero)];
    assert_eq!(places, expected);
    assert_eq!(disk.check().unwrap(), []);
    let raw = dir.path().join("raw");
    let args = ["convert", "-f", "vhdx", "-O", "raw", path.to_str().unwrap()];
    run("qemu-img", &args, &raw);
    assert!(
        content(&mut disk) == std::fs::read(raw).unwrap(),
        "other bytes than QEMU reads"
    );
}

/// Both kinds, blocks of several sizes, disks whose last block is cut; what QEMU put into them is what we read.
#[test]
fn disks_of_qemu_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let disks = [
        ("dynamic,block_size=1M", 67_108_864u64, Kind::Dynamic, 1),
        (
            "dynamic,block_size=8M,log_size=3M",
            52_429_312,
            Kind::Dynamic,
            8,
        ),
        (
            "dynamic,block_size=16M,block_state_zero=off",
            50_332_160,
            Kind::Dynamic,
            16,
        ),
        ("dynamic,block_size=256M", 10_485_760, Kind::Dynamic, 256),
        ("fixed,block_size=1M", 33_555_968, Kind::Fixed, 1),
        (
            "fixed,block_size=8M,block_state_zero=off",
            41_943_552,
            Kind::Fixed,
            8,
        ),
    ];
    for (options, size, kind, block) in disks {
        let (path, raw) = (dir.path().join("disk.vhdx"), dir.path().join("raw"));
        qemu_create(&path, &format!("subformat={options}"), &size.to_string());
        let last = format!("write -P 3 {} 512", size - 512);
        let writes = ["write -P 1 1048064 8388608", "write -P 2 5M 3584", &last];
        qemu_io(&path, &writes);
        let mut disk = Vhdx::open(Disk::open(&path)).unwrap();
        let facts = disk.facts().clone();
        assert_eq!((facts.size.0, facts.kind), (size, kind), "{options}");
        assert_eq!(facts.block_size, Bytes::mib(block), "{options}");
        assert!(facts.creator.starts_with("QEMU v"), "{}", facts.creator);
        pieces(&mut disk);
        let faults = disk.check().unwrap();
        let harmless = faults.iter().all(Fault::is_harmless);
        assert!(harmless, "{options}: {faults:?}");
        let args = ["convert", "-f", "vhdx", "-O", "raw", path.to_str().unwrap()];
        run("qemu-img", &args, &raw);
        let same = content(&mut disk) == std::fs::read(raw).unwrap();
        assert!(same, "{options}: other bytes than QEMU reads");
    }
}

/// QEMU's fixed disk leaves its blocks out of the table unless told otherwise; the check says how many.
#[test]
fn a_fixed_disk_without_its_blocks_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fixed.vhdx");
    qemu_create(&path, "subformat=fixed,block_size=8M", "100M");
    let faults = Vhdx::open(Disk::open(&path)).unwrap().check().unwrap();
    assert_eq!(faults, [Fault::FixedNotAllocated { blocks: 13 }]);
}

/// 10 TiB, of which two blocks are there, 9 TiB apart.
#[test]
fn a_large_disk_is_read_where_it_is_not_empty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.vhdx");
    let (size, far) = ((10u64 << 40) + 512, 9u64 << 40);
    qemu_create(&path, "subformat=dynamic,block_size=32M", &size.to_string());
    let far_write = format!("write -P 7 {far} 64k");
    qemu_io(&path, &[&far_write, "write -P 8 100M 64k"]);
    let mut disk = Vhdx::open(Disk::open(&path)).unwrap();
    let places = [(far, 7), (100 << 20, 8), (5 << 40, 0), (size - 65_536, 0)];
    for (at, byte) in places {
        let mut read = vec![0xaa; 65_536];
        disk.read_at(at, &mut read).unwrap();
        assert_eq!(read, [byte; 65_536], "at {at}");
    }
    assert_eq!(pieces(&mut disk).len(), 5);
    assert_eq!(disk.check().unwrap(), []);
}
