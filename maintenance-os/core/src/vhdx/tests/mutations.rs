// SPDX-License-Identifier: Apache-2.0
//! Seeded changes of whole files: refused or read, never a panic, never work without bound.

use std::cell::Cell;

use super::dirty::short_log;
use super::hostile::Patched;
use super::{new_disk, noise, write_out};
use crate::guid::Guid;
use crate::random_access::WriteAt as _;
use crate::vhdx::header::Header;
use crate::vhdx::{Layout, NewKind, ParentLocator, Vhdx};

const KIB: u64 = 1 << 10;
const LOG: u64 = 1 << 20;
const METADATA: u64 = 2 << 20;
const ITEMS: u64 = METADATA + (64 << 10);
const TABLE: u64 = 3 << 20;

/// A seeded sequence.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        let bytes = noise(self.0, 8);
        self.0 = self.0.wrapping_add(1);
        u64::from_le_bytes(bytes.try_into().unwrap()) % below
    }
}

/// Where a change is worth while: in the structures, and near what numbers them.
fn places() -> Vec<(u64, u64)> {
    vec![
        (0, 64),
        (64 * KIB, 96),
        (128 * KIB, 96),
        (192 * KIB, 96),
        (256 * KIB, 96),
        (LOG, 4096 * 3),
        (METADATA, 256),
        (ITEMS, 512),
        (TABLE, 128),
        (TABLE + 4096 * 8, 16),
    ]
}

/// A value that a reader may stumble over.
fn value(dice: &mut Dice) -> Vec<u8> {
    let edges = [
        0,
        1,
        2,
        7,
        0xff,
        1 << 16,
        1 << 20,
        3 << 20,
        1 << 31,
        u64::MAX,
        !0xf_ffff | 6,
        1 << 46,
    ];
    let edge = edges[usize::try_from(dice.roll(edges.len() as u64)).unwrap()];
    let len = [1, 2, 4, 8][usize::try_from(dice.roll(4)).unwrap()];
    let random = dice.roll(u64::MAX);
    let value = if dice.roll(2) == 0 { edge } else { random };
    value.to_le_bytes()[..len].to_vec()
}

/// Three files of 7 MiB or more: full; dynamic; differencing, with a bitmap, a block that is partly its parent's, and a
/// log to replay.
fn bases() -> [Vec<u8>; 3] {
    let linkage = Guid([2; 16]);
    let paths = vec![("relative_path".into(), "base.vhdx".into())];
    let locator = ParentLocator {
        linkage,
        linkage2: None,
        paths,
    };
    let kinds = [
        NewKind::DynamicFull,
        NewKind::Dynamic,
        NewKind::Differencing(locator),
    ];
    let mut bases = kinds.map(|kind| {
        let mut file = Vec::new();
        write_out(
            &Layout::new(&new_disk(8 << 20, Some(1 << 20), kind)).unwrap(),
            &mut file,
        );
        file.resize(file.len().max(7 << 20), 0x5a);
        file
    });
    let [_, _, last] = &mut bases;
    last.write_at(TABLE, &(4u64 << 20 | 7).to_le_bytes())
        .unwrap();
    last.write_at(TABLE + 4096 * 8, &(5u64 << 20 | 6).to_le_bytes())
        .unwrap();
    let log = short_log(last);
    let header = Header {
        log,
        ..Header::new(Guid([1; 16]), Guid([2; 16]), 9)
    };
    last.write_at(64 * KIB, &header.encode()).unwrap();
    bases
}

/// Uses all of a disk that could be opened; what is refused on the way is.
fn use_all(disk: &mut Vhdx<Patched<'_>>) {
    let _ = disk.check();
    let _ = disk.map().take(5000).count();
    let _ = disk.read_at(0, &mut [0; 5000]);
    let size = disk.facts().size.0;
    let _ = disk.read_at(size.saturating_sub(100), &mut [0; 100]);
}

/// 20,000 changed files, none of which costs more than a few MiB of reading.
#[test]
fn no_change_makes_it_panic_or_run_away() {
    let bases = bases();
    let mut dice = Dice(1);
    let (read, largest) = (Cell::new(0), Cell::new(0));
    let (mut opened, mut refused) = (0u32, 0u32);
    for round in 0..20_000u64 {
        let base = &bases[usize::try_from(round % 3).unwrap()];
        let whole = base.len() as u64;
        let len = match dice.roll(60) {
            0 => dice.roll(whole),
            1 => 1 << 45,
            2 => u64::MAX >> 1,
            _ => whole,
        };
        let mut file = Patched {
            base,
            patches: vec![],
            len,
            read: &read,
            largest: &largest,
        };
        for _ in 0..=dice.roll(3) {
            let places = places();
            let (at, span) = places[usize::try_from(dice.roll(places.len() as u64)).unwrap()];
            let at = at + dice.roll(span);
            file.patch(at, &value(&mut dice));
        }
        if dice.roll(4) > 0 && len >= whole {
            file.seal_all();
        }
        read.set(0);
        match Vhdx::open(file) {
            Ok(mut disk) => {
                opened += 1;
                use_all(&mut disk);
            }
            Err(_) => refused += 1,
        }
        let read = read.get();
        assert!(read < 16 << 20, "round {round}: {read} bytes read");
    }
    let both = format!("{opened} opened, {refused} refused");
    assert!(opened > 2000 && refused > 2000, "{both}");
    let largest = largest.get();
    assert!(largest <= 2 << 20, "{largest} bytes at once");
}
