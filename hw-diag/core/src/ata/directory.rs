// SPDX-License-Identifier: Apache-2.0
//! The log directory (ACS-4, 9.2): which logs the disk keeps, and how many pages each has.

use super::BLOCK;
use crate::fields::le16;

/// A log directory, of READ LOG EXT or of SMART READ LOG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    pages: [u16; 256],
}

impl Directory {
    /// Reads a directory; `None` when the block is short or holds nothing but zeros or ones.
    #[must_use]
    pub fn read(block: &[u8]) -> Option<Self> {
        let block = block.get(..BLOCK)?;
        if block.iter().all(|b| *b == 0) || block.iter().all(|b| *b == 0xff) {
            return None;
        }
        let mut pages = [0u16; 256];
        // Word 0 is the version; word n counts the pages of log n.
        for (address, count) in pages.iter_mut().enumerate().skip(1) {
            *count = le16(block, address * 2).unwrap_or(0);
        }
        Some(Self { pages })
    }
    /// How many pages a log has; 0 when the disk does not keep it.
    #[must_use]
    pub fn pages(&self, address: u8) -> u16 {
        self.pages
            .get(usize::from(address))
            .copied()
            .unwrap_or_default()
    }
    /// Whether the disk keeps a log.
    #[must_use]
    pub fn lists(&self, address: u8) -> bool {
        self.pages(address) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_there_when_it_has_pages() {
        let mut block = [0u8; BLOCK];
        block[0] = 1;
        block[8..10].copy_from_slice(&0x0108u16.to_le_bytes());
        let directory = Directory::read(&block).unwrap();
        assert_eq!(directory.pages(4), 0x0108);
        assert!(directory.lists(4) && !directory.lists(3));
        assert!(!directory.lists(0), "the version is no count");
        assert_eq!(Directory::read(&[0; BLOCK]), None);
        assert_eq!(Directory::read(&[0xff; BLOCK]), None);
        assert_eq!(Directory::read(&block[..100]), None);
    }
}
