// SPDX-License-Identifier: Apache-2.0
//! Cylinders, heads and sectors per track, with which no program of today counts a VHD's sectors.
//!
//! A size is rarely a product of the three, so QEMU rounds a disk to them unless it is told not to. The largest
//! geometry tells it, whoever made the file, and is what it writes itself where a size must be exact (`force_size`).

/// A disk's geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Cylinders.
    pub cylinders: u16,
    /// Heads per cylinder.
    pub heads: u8,
    /// Sectors per track.
    pub sectors: u8,
}

impl Geometry {
    /// The largest geometry, about 127.5 GiB: the size field holds, not this.
    pub const EXACT: Self = Self {
        cylinders: 65_535,
        heads: 16,
        sectors: 255,
    };

    /// The four bytes of the footer.
    #[must_use]
    pub const fn bytes(self) -> [u8; 4] {
        let [high, low] = self.cylinders.to_be_bytes();
        [high, low, self.heads, self.sectors]
    }

    /// From the four bytes of a footer.
    #[must_use]
    pub const fn from_bytes([high, low, heads, sectors]: [u8; 4]) -> Self {
        Self {
            cylinders: u16::from_be_bytes([high, low]),
            heads,
            sectors,
        }
    }

    /// How many sectors it tells.
    #[must_use]
    pub fn sectors(self) -> u64 {
        u64::from(self.cylinders) * u64::from(self.heads) * u64::from(self.sectors)
    }
}
