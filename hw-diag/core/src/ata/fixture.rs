// SPDX-License-Identifier: Apache-2.0
//! Blocks for tests, laid out by the standard.

use super::BLOCK;
use alloc::vec;
use alloc::vec::Vec;

/// A table of attributes (id, flags, current, worst, raw), sealed. For thresholds, the flags' low byte is the threshold.
pub(super) fn smart_block(attributes: &[(u8, u16, u8, u8, u64)]) -> Vec<u8> {
    let mut block = vec![0u8; BLOCK];
    block[0] = 1;
    for (index, (id, flags, current, worst, raw)) in attributes.iter().enumerate() {
        let entry = &mut block[2 + index * 12..14 + index * 12];
        entry[0] = *id;
        entry[1..3].copy_from_slice(&flags.to_le_bytes());
        (entry[3], entry[4]) = (*current, *worst);
        entry[5..11].copy_from_slice(&raw.to_le_bytes()[..6]);
    }
    seal(&mut block);
    block
}

/// Makes the block's sum zero.
pub(super) fn seal(block: &mut [u8]) {
    block[511] = 0;
    block[511] = block.iter().fold(0u8, |s, b| s.wrapping_sub(*b));
}
