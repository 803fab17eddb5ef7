// SPDX-License-Identifier: Apache-2.0
//! A medium that keeps nothing and reads as zero: for who proves an image and has no disk for it.

use super::Medium;
use std::io;
use std::num::NonZeroU64;

/// As large as it is said to be.
#[derive(Debug)]
pub(super) struct Nowhere(pub(super) u64);

impl Nowhere {
    /// How many of so many bytes there are from there on.
    fn count(&self, wanted: usize, at: u64) -> usize {
        let left = self.0.saturating_sub(at);
        usize::try_from(left).map_or(wanted, |left| left.min(wanted))
    }
}

impl Medium for Nowhere {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0)
    }

    fn sector(&self) -> io::Result<Option<u32>> {
        Ok(None)
    }

    fn is_block(&self) -> bool {
        false
    }

    fn is_direct(&self) -> bool {
        true
    }

    fn is_turning(&self) -> bool {
        false
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let count = self.count(bytes.len(), at);
        bytes.get_mut(..count).unwrap_or_default().fill(0);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        Ok(self.count(bytes.len(), at))
    }

    fn zero_out(&self, _from: u64, _length: u64) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn forget(&self, _at: u64, _length: Option<NonZeroU64>) -> io::Result<()> {
        Ok(())
    }

    fn sequence(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    fn reread_partitions(&self) -> io::Result<()> {
        Ok(())
    }
}
