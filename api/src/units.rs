// SPDX-License-Identifier: Apache-2.0
//! Newtypes for quantities, so that a byte is never a sector.

use alloc::format;
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A number of bytes.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// One mebibyte.
pub const MIB: u64 = 1 << 20;
/// One gibibyte.
pub const GIB: u64 = 1 << 30;

impl Bytes {
    /// `count` mebibytes.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count * MIB)
    }
    /// `count` gibibytes.
    #[must_use]
    pub const fn gib(count: u64) -> Self {
        Self(count * GIB)
    }
    /// Reads `512`, `64KiB`, `512MiB`, `4GiB`, `2TiB`; a space before the unit is allowed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor: u64 = match unit.trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => MIB,
            "GiB" => GIB,
            "TiB" => 1 << 40,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(factor).map(Self)
    }
}

impl fmt::Display for Bytes {
    /// Binary units with one decimal where the figure is not whole: `512 MiB`, `1.5 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            ("TiB", 1u64 << 40),
            ("GiB", GIB),
            ("MiB", MIB),
            ("KiB", 1 << 10),
        ];
        let text: String = units
            .iter()
            .find(|(_, factor)| self.0 >= *factor)
            .map_or_else(
                || format!("{} B", self.0),
                |(unit, factor)| {
                    let tenths = u128::from(self.0) * 10 / u128::from(*factor);
                    if tenths % 10 == 0 {
                        format!("{} {unit}", tenths / 10)
                    } else {
                        format!("{}.{} {unit}", tenths / 10, tenths % 10)
                    }
                },
            );
        f.pad(&text)
    }
}

/// Milliseconds: a length of time, or a moment since an epoch that the field's doc names.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// `count` seconds.
    #[must_use]
    pub const fn secs(count: u64) -> Self {
        Self(count * 1_000)
    }
    /// This moment plus `later`, saturating.
    #[must_use]
    pub const fn plus(self, later: Self) -> Self {
        Self(self.0.saturating_add(later.0))
    }
    /// The time from `earlier` to this moment, zero when the clock ran backwards.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Millis {
    /// `850 ms`, `12.3 s`, `4 min 05 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            0..=999 => format!("{} ms", self.0),
            1_000..=119_999 => format!("{}.{} s", self.0 / 1_000, self.0 % 1_000 / 100),
            _ => format!("{} min {:02} s", self.0 / 60_000, self.0 % 60_000 / 1_000),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn sizes_read_and_print() {
        for (text, bytes) in [
            ("512 MiB", 512 * MIB),
            ("1.5 GiB", 3 * GIB / 2),
            ("17 B", 17),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!(Bytes::parse("64KiB"), Some(Bytes(65_536)));
        assert_eq!(Bytes::parse("4 GB"), None);
        assert_eq!(Bytes::parse("99999999999TiB"), None);
        assert_eq!(Millis(245_000).to_string(), "4 min 05 s");
    }
}
