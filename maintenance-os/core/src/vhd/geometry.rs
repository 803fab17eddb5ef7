// SPDX-License-Identifier: Apache-2.0
//! Cylinders, heads and sectors per track of a VHD (the specification's appendix, "CHS Calculation").

use groundstate_api::Bytes;

/// A disk's geometry. Beyond 65,535 × 16 × 255 sectors (about 127.5 GiB) it is capped and no longer tells the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Cylinders.
    pub cylinders: u16,
    /// Heads per cylinder.
    pub heads: u8,
    /// Sectors per track.
    pub sectors: u8,
}

const SECTORS_MAX: u64 = 65_535 * 16 * 255;

impl Geometry {
    /// The geometry that the specification gives a disk of `size`.
    #[must_use]
    pub fn of(size: Bytes) -> Self {
        let total = (size.0 / 512).min(SECTORS_MAX);
        let (sectors, heads) = track(total);
        let cylinders = total / (sectors * heads);
        Self {
            cylinders: u16::try_from(cylinders).unwrap_or(u16::MAX),
            heads: u8::try_from(heads).unwrap_or(16),
            sectors: u8::try_from(sectors).unwrap_or(u8::MAX),
        }
    }

    /// The four bytes of the footer.
    #[must_use]
    pub const fn bytes(self) -> [u8; 4] {
        let [high, low] = self.cylinders.to_be_bytes();
        [high, low, self.heads, self.sectors]
    }
}

/// Sectors per track and heads for a disk of `total` sectors.
const fn track(total: u64) -> (u64, u64) {
    if total >= 65_535 * 16 * 63 {
        return (255, 16);
    }
    let mut heads = (total / 17).div_ceil(1024);
    if heads < 4 {
        heads = 4;
    }
    if total / 17 < heads * 1024 && heads <= 16 {
        return (17, heads);
    }
    if total / 31 < 16 * 1024 {
        return (31, 16);
    }
    (63, 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometry_is_that_of_the_specification() {
        for (mib, expected) in [
            (100, (1_003, 12, 17)),
            (1_024, (2_080, 16, 63)),
            (8_192, (16_644, 16, 63)),
            (130_560, (65_535, 16, 255)),
            (2_088_960, (65_535, 16, 255)),
        ] {
            let found = Geometry::of(Bytes::mib(mib));
            let found = (found.cylinders, found.heads, found.sectors);
            assert_eq!(found, expected, "{mib} MiB");
        }
    }
}
