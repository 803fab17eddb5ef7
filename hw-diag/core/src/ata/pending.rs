// SPDX-License-Identifier: Apache-2.0
//! Pending Defects, log 0Ch (ACS-4, 9.26): sectors that the disk could not read and has not replaced yet.

use super::BLOCK;
use crate::fields::le32;

/// The number of entries, from the log's first page; `None` when the block is short.
#[must_use]
pub fn pending_defects(first: &[u8]) -> Option<u64> {
    le32(first.get(..BLOCK)?, 0).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_double_word_counts() {
        let mut block = [0u8; BLOCK];
        assert_eq!(pending_defects(&block), Some(0));
        block[..4].copy_from_slice(&70_000u32.to_le_bytes());
        assert_eq!(pending_defects(&block), Some(70_000));
        assert_eq!(pending_defects(&block[..511]), None);
    }
}
