// SPDX-License-Identifier: Apache-2.0
//! Contents that were damaged on purpose: 20,000 mutations of the ends of captures and of what the makers make.

use super::foreign;
use mos_core::signature::{READ_MAX, Window, read_gpt, read_mbr, recognise};
use std::fs;

/// How many mutations are tried in all.
const MUTATIONS: usize = 20_000;
/// How much of each end is mutated: where the superblocks and tables are.
const END: usize = 72 * 1_024;
/// A mutated disk's length: both ends of the original and nothing between.
const LENGTH: usize = 4 * END;
/// Always the same: a failure can be repeated.
const SEED: u64 = 0x6772_6f75_6e64_7374;

/// Marsaglia's xorshift64: repeatable, and nothing here needs better.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("it is below a usize")
    }
}

/// Turns a few bytes over: one bit, a byte that sizes and counts like, or a whole field of them.
fn mutate(random: &mut Random, bytes: &mut [u8]) {
    const HARD: [u8; 5] = [0, 1, 0x7f, 0x80, 0xff];
    for _ in 0..=random.below(8) {
        let within = random.below(2 * END.min(bytes.len() / 2));
        let at = if within < END {
            within
        } else {
            bytes.len() - 1 - (within - END)
        };
        match random.below(3) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = HARD[random.below(HARD.len())],
            _ => {
                let (end, value) = ((at + 8).min(bytes.len()), HARD[random.below(HARD.len())]);
                bytes[at..end].fill(value);
            }
        }
    }
}

#[test]
fn twenty_thousand_mutations_neither_panic_nor_read_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let originals: Vec<Vec<u8>> = foreign::all(dir.path())
        .iter()
        .map(|one| {
            let bytes = fs::read(&one.path).expect("a file is read");
            let half = (bytes.len() / 2).min(LENGTH / 2);
            [&bytes[..half], &bytes[bytes.len() - half..]].concat()
        })
        .filter(|bytes| bytes.len() >= 1_024)
        .collect();
    let mut random = Random(SEED);
    let mut most = 0;
    for _ in 0..MUTATIONS {
        let mut bytes = originals[random.below(originals.len())].clone();
        mutate(&mut random, &mut bytes);
        let mut total = 0;
        let mut read = |at: u64, length: usize| {
            total += length as u64;
            let at = usize::try_from(at).expect("an offset in memory");
            Ok::<_, ()>(bytes[at..at + length].to_vec())
        };
        let mut window = Window::new(bytes.len() as u64, 512, &mut read);
        let tables = (read_gpt(&mut window), read_mbr(&mut window));
        assert!(tables.0.is_ok() && tables.1.is_ok());
        let found = recognise(&mut window).expect("memory is read");
        assert!(found.len() < 64, "{found:?}");
        most = most.max(total);
    }
    println!("{MUTATIONS} mutations, at most {most} bytes read");
    assert!(most <= READ_MAX, "{most} bytes were read");
}

#[test]
fn a_spent_allowance_is_unknown_data_and_not_a_blank_disk() {
    let mut read = |_: u64, length: usize| Ok::<_, ()>(vec![0; length]);
    for allowance in [0, 512, 2 << 20] {
        let mut window = Window::new(1 << 40, 512, &mut read).may_read(allowance);
        let found = recognise(&mut window).expect("memory is read");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].what, "unknown data");
    }
    let mut window = Window::new(1 << 40, 512, &mut read);
    assert_eq!(recognise(&mut window), Ok(Vec::new()));
    let used = READ_MAX - window.allowance();
    assert!(used < 5 << 19, "{used} bytes for one blank disk");
}
