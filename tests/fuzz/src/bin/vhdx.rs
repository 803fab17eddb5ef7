// SPDX-License-Identifier: Apache-2.0
//! A VHDX: opened, read, mapped, checked.
#![no_main]

use groundstate_fuzz::{MIB, Pieces, Sparse, bounded, vhdx as checksums};
use libfuzzer_sys::fuzz_target;
use mos_core::vhdx::limits::FAULTS_MAX;
use mos_core::vhdx::{Place, Vhdx};

/// Heap, in bytes: PID 1 of the maintenance OS lives in 64 MiB. The file itself is part of it here.
const HEAP_MAX: usize = 48 * MIB;
/// Pieces of the map that are looked at: a disk of 64 TiB has more than anyone waits for.
const PIECES_MAX: usize = 1_000;
/// The longest file, in bytes: what QEMU makes of an empty disk has 100 MiB.
const DISK_MAX: usize = 128 * MIB;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || file(Pieces::new(input)));
});

fn file(mut pieces: Pieces<'_>) {
    let (flags, at) = (pieces.byte(), pieces.long());
    let mut disk = Sparse::new(pieces, DISK_MAX);
    if flags & 1 == 0 {
        checksums(&mut disk);
    }
    let Ok(mut open) = Vhdx::open(disk) else {
        return;
    };
    let facts = open.facts().clone();
    let size = facts.size.0;
    let mut bytes = [0; 4096];
    for at in [0, at, at % size, size - 512, size / 2] {
        let _ = open.read_at(at, &mut bytes[..512]);
        let _ = open.read_at(at, &mut bytes);
        if let Ok(Some(piece)) = open.piece(at) {
            assert!(piece.len > 0 && at + piece.len <= size);
        }
    }
    let mut end = 0;
    for piece in open.map().take(PIECES_MAX) {
        let Ok(piece) = piece else { break };
        assert!(
            piece.at == end && piece.len > 0,
            "the map has a gap at {end}"
        );
        end += piece.len;
        assert!(end <= size);
        if let Place::File(from) = piece.place {
            assert!(from + piece.len <= facts.file_len);
        }
    }
    if let Ok(faults) = open.check() {
        assert!(faults.len() <= FAULTS_MAX + 1, "{} faults", faults.len());
    }
}
