// SPDX-License-Identifier: Apache-2.0
//! A disk or partition: what it holds, its GPT and its DOS table.
#![no_main]

use groundstate_fuzz::{MIB, Pieces, Sparse, bounded, gpt};
use libfuzzer_sys::fuzz_target;
use mos_core::random_access::ReadAt as _;
use mos_core::signature::{READ_MAX, Window, read_gpt, read_mbr, recognise};

/// Heap, in bytes: both ends of the disk, a table, and what is read beside them.
const HEAP_MAX: usize = 24 * MIB;
/// The longest disk, in bytes: far more than what is read of it.
const DISK_MAX: usize = 64 * MIB;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || disk(Pieces::new(input)));
});

fn disk(mut pieces: Pieces<'_>) {
    let flags = pieces.byte();
    let mut disk = Sparse::new(pieces, DISK_MAX);
    let sector = if flags & 2 == 0 { 512 } else { 4096 };
    if flags & 1 == 0 {
        gpt(&mut disk, u64::from(sector));
    }
    let size = disk.len();
    let mut was_read = 0;
    let mut read = |at: u64, length: usize| {
        was_read += length as u64;
        disk.get(at, length)
            .ok_or("a window reads within its region")
    };
    let mut window = Window::new(size, sector, &mut read);
    if flags & 4 != 0 {
        window = window.partition();
    }
    let found = recognise(&mut window).expect("nothing beyond the region is asked for");
    // At most one name of each kind that is known; a label is shown on one line.
    assert!(found.len() <= 64, "{} names", found.len());
    for one in &found {
        assert!(
            one.label
                .as_ref()
                .is_none_or(|label| label.chars().count() <= 128)
        );
    }
    if let Some(table) = read_gpt(&mut window).expect("nothing beyond the region is asked for") {
        assert!(table.partitions.len() <= 1024);
    }
    if let Some(table) = read_mbr(&mut window).expect("nothing beyond the region is asked for") {
        assert!(table.len() <= 4 + 64);
    }
    drop(window);
    assert!(was_read <= READ_MAX, "read {was_read} bytes");
}
