// SPDX-License-Identifier: Apache-2.0
//! A VHD: opened, read, mapped, checked.
#![no_main]

use groundstate_fuzz::{MIB, Pieces, Sparse, bounded, vhd as checksums};
use libfuzzer_sys::fuzz_target;
use mos_core::random_access::ReadAt as _;
use mos_core::vhd::{self, FAULTS_MAX, Footer, Header, Vhd};

/// Heap, in bytes: PID 1 of the maintenance OS lives in 64 MiB. The file itself is part of it here.
const HEAP_MAX: usize = 48 * MIB;
/// The longest file, in bytes: a file without a footer is searched for one, sector by sector.
const DISK_MAX: usize = 4 * MIB;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || file(Pieces::new(input)));
});

fn file(mut pieces: Pieces<'_>) {
    let (flags, at) = (pieces.byte(), pieces.long());
    let mut disk = Sparse::new(pieces, DISK_MAX);
    if flags & 1 == 0 {
        checksums(&mut disk);
    }
    if let Some(bytes) = disk.get(0, 512) {
        let _ = Footer::decode(&bytes);
    }
    if let Some(bytes) = disk.get(512, 1024) {
        let _ = Header::decode(&bytes);
    }
    let _ = vhd::recognise(&mut disk.clone());
    if let Ok(faults) = vhd::check(disk.clone()) {
        assert!(faults.len() <= FAULTS_MAX + 1, "{} faults", faults.len());
    }
    let Ok(mut open) = Vhd::open(disk) else {
        return;
    };
    let size = open.size().0;
    let _ = open.locators();
    let mut bytes = [0; 4096];
    for at in [0, at, at % size, size - 512, size / 2] {
        let _ = open.read_at(at, &mut bytes[..512]);
        let _ = open.read_at(at, &mut bytes);
        if let Ok(extent) = open.extent(at) {
            assert!(extent.length > 0 && at + extent.length <= size);
        }
        let _ = open.resolved(at);
    }
}
