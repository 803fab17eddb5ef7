// SPDX-License-Identifier: Apache-2.0
//! What QEMU and Hyper-V wrote is read by us.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use groundstate_api::Bytes;

use super::Disk;
use crate::vhdx::{Kind, LogState, Piece, Place, Vhdx};

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
    let expected = [
        (32, Place::File(4 << 20)),
        (32, Place::File(36 << 20)),
        (32, Place::File(68 << 20)),
        (928, Place::Zero),
    ];
    println!("{places:?} {expected:?}");
    let raw = dir.path().join("raw");
    let args = ["convert", "-f", "vhdx", "-O", "raw", path.to_str().unwrap()];
    run("qemu-img", &args, &raw);
    assert!(
        content(&mut disk) == std::fs::read(raw).unwrap(),
        "other bytes than QEMU reads"
    );
}
