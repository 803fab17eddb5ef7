// SPDX-License-Identifier: Apache-2.0
//! Real images with bytes changed: facts come without a panic, and never read more than their allowance.

use crate::{PROGRAM, folder, linux, sh, text};
use image_core::facts::{ReadAt, ReadError, facts};

struct Counted<'a> {
    bytes: &'a [u8],
    read: u64,
    reads: u64,
}

impl ReadAt for Counted<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let at = usize::try_from(at).unwrap();
        buffer.copy_from_slice(&self.bytes[at..at + buffer.len()]);
        self.read += buffer.len() as u64;
        self.reads += 1;
        Ok(())
    }
}

/// A small generator, so that a failure comes again.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn mutate(bytes: &mut [u8], rounds: u32) {
    // What is not zero is what is looked at.
    let places: Vec<usize> = bytes
        .chunks(4096)
        .enumerate()
        .filter(|(_, block)| block.iter().any(|byte| *byte != 0))
        .map(|(index, _)| index * 4096)
        .take(200)
        .collect();
    let mut state = 0x2545_f491_4f6c_dd1d;
    for round in 0..rounds {
        let mut changed = Vec::new();
        for _ in 0..=(round % 8) {
            let place = places[usize::try_from(next(&mut state)).unwrap() % places.len()];
            let at = place + usize::try_from(next(&mut state) % 4096).unwrap();
            if at < bytes.len() {
                changed.push((at, bytes[at]));
                bytes[at] = next(&mut state).to_le_bytes()[0];
            }
        }
        let mut reader = Counted {
            bytes,
            read: 0,
            reads: 0,
        };
        let found = facts(&mut reader).unwrap();
        assert!(reader.read <= 64 << 20 && reader.reads <= 20_000);
        assert!(!found.text(80, round % 2 == 0).is_empty());
        for (at, byte) in changed.into_iter().rev() {
            bytes[at] = byte;
        }
    }
}

#[test]
fn changed_bytes_of_ext4_and_fat_never_panic() {
    let at = folder();
    let tree = text(linux(at.path()));
    let (ext, fat) = (at.path().join("ext"), at.path().join("fat"));
    let (e, f) = (text(&ext), text(&fat));
    sh(&format!(
        "truncate -s 16M {e}; mkfs.ext4 -q -F -d {tree} {e}
        truncate -s 4M {f}; mkfs.vfat {f} >/dev/null; mmd -i {f} ::EFI ::EFI/BOOT; mcopy -i {f} {PROGRAM} ::EFI/BOOT/BOOTX64.EFI"
    ));
    mutate(&mut std::fs::read(ext).unwrap(), 1500);
    mutate(&mut std::fs::read(fat).unwrap(), 1500);
}
