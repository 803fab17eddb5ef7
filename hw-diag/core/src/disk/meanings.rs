// SPDX-License-Identifier: Apache-2.0
//! What an ATA attribute's number means on this vendor's drives, as data.
//!
//! Numbers are not standardised: 233 is the wear of an Intel drive and the gigabytes written of a Kingston. Where a capture
//! names the attribute, the name decides; else the model does; where neither is known, only the numbers that mean the same
//! on every drive are read. An attribute without a meaning here is never guessed at: its threshold still rules.

use super::facts::Attribute;
use super::measure::{Measure, Media};
use alloc::string::String;

/// How a value is got out of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAs {
    /// The lowest bits of the raw value, this many: vendors pack other counters above.
    Raw(u32),
    /// 100 less the normalised value, which falls to 1 as the rated endurance is used.
    Worn,
}

/// What the raw value of an attribute of wear says beside the normalised one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawLife {
    /// Nothing of the endurance.
    Silent,
    /// Percent that are left.
    Left,
    /// Percent that are used.
    Used,
}

/// What one number means, and where.
#[derive(Clone, Copy, Debug)]
pub struct Meaning {
    /// The attribute's number.
    pub id: u8,
    /// Only where the name contains one of these (without regard to case); any name where empty.
    pub names: &'static [&'static str],
    /// Only on models that contain one of these where the attribute has no name; any model where empty.
    pub models: &'static [&'static str],
    /// Only on these media; on all where `None`.
    pub media: Option<Media>,
    /// What it measures.
    pub measure: Measure,
    /// How the value is got.
    pub read_as: ReadAs,
    /// What the raw value of a worn attribute says.
    pub raw_life: RawLife,
    /// Why it is read so.
    pub why: &'static str,
}

const ANY: Meaning = Meaning {
    id: 0,
    names: &[],
    models: &[],
    media: None,
    measure: Measure::Pending,
    read_as: ReadAs::Raw(48),
    raw_life: RawLife::Silent,
    why: "",
};

/// The meanings; the first that fits holds.
pub const MEANINGS: &[Meaning] = &[
    Meaning {
        id: 5,
        media: Some(Media::Solid),
        measure: Measure::RetiredBlocks,
        read_as: ReadAs::Raw(32),
        why: "On flash it counts erase blocks that were retired, which is how flash ages.",
        ..ANY
    },
    Meaning {
        id: 5,
        measure: Measure::Reallocated,
        read_as: ReadAs::Raw(16),
        why: "smartctl reads 16 bits; Hitachi and others keep more counters above.",
        ..ANY
    },
    Meaning {
        id: 10,
        media: Some(Media::Rotating),
        measure: Measure::SpinRetries,
        read_as: ReadAs::Raw(16),
        why: "Seagate and Toshiba keep more counters above.",
        ..ANY
    },
    Meaning {
        id: 184,
        names: &["end-to-end"],
        models: &["ST", "INTEL", "SSDSC", "HP", "MB0", "MM0"],
        measure: Measure::EndToEnd,
        read_as: ReadAs::Raw(16),
        why: "On Micron and Crucial 184 counts corrected errors, thousands on healthy drives.",
        ..ANY
    },
    Meaning {
        id: 187,
        measure: Measure::Uncorrectable,
        read_as: ReadAs::Raw(48),
        why: "Seagate, Micron, Intel, Samsung, SandForce and SanDisk all count uncorrectable errors here.",
        ..ANY
    },
    Meaning {
        id: 188,
        names: &["timeout", "time_out"],
        measure: Measure::CommandTimeouts,
        read_as: ReadAs::Raw(16),
        why: "Seagate packs three counters of 16 bits: all, above 5 s and above 7.5 s.",
        ..ANY
    },
    Meaning {
        id: 197,
        measure: Measure::Pending,
        read_as: ReadAs::Raw(48),
        why: "Sectors that wait for reallocation, on every vendor's drives.",
        ..ANY
    },
    Meaning {
        id: 198,
        measure: Measure::Offline,
        read_as: ReadAs::Raw(48),
        why: "Sectors that the offline scan could not read; on flash uncorrectable errors for life.",
        ..ANY
    },
    Meaning {
        id: 199,
        names: &["crc"],
        measure: Measure::Crc,
        read_as: ReadAs::Raw(32),
        why: "Interface CRC errors on every vendor's drives.",
        ..ANY
    },
    Meaning {
        id: 169,
        names: &["remaining_lifetime"],
        models: &["APPLE SSD"],
        measure: Measure::WearPercent,
        read_as: ReadAs::Worn,
        raw_life: RawLife::Left,
        why: "What is left of the life.",
        ..ANY
    },
    Meaning {
        id: 177,
        names: &["wear_leveling"],
        models: &["SAMSUNG", "Samsung", "MZ7"],
        measure: Measure::WearPercent,
        read_as: ReadAs::Worn,
        why: "Samsung's normalised value falls from 100 with the erase cycles; SanDisk's 177 is a range and stays.",
        ..ANY
    },
    Meaning {
        id: 202,
        names: &["percent_lifetime", "perc_rated_life", "end_of_life"],
        models: &["Micron", "MTFD", "Crucial", "CT"],
        measure: Measure::WearPercent,
        read_as: ReadAs::Worn,
        raw_life: RawLife::Used,
        why: "Micron: 100 less the percentage used. Samsung keeps an exception status here, old Seagates errors of marks.",
        ..ANY
    },
    Meaning {
        id: 231,
        names: &["ssd_life_left", "life_left"],
        models: &[],
        measure: Measure::WearPercent,
        read_as: ReadAs::Worn,
        raw_life: RawLife::Left,
        why: "SandForce and Phison, by name only: on old rotating drives 231 is a temperature.",
        ..ANY
    },
    Meaning {
        id: 233,
        names: &["media_wearout"],
        models: &["INTEL", "SSDSC"],
        measure: Measure::WearPercent,
        read_as: ReadAs::Worn,
        why: "Intel: falls from 100 to 1 and stays there. Elsewhere 233 counts what was written.",
        ..ANY
    },
];

/// A number that no counter of sectors reaches: above it the value is packed or broken. A drive of 32 TB has 2^36 sectors
/// of 512 bytes, but only a few thousand spares for them.
pub(super) const COUNT_MAX: u64 = 0xffff_ffff;

impl Meaning {
    /// What an attribute means on this drive.
    #[must_use]
    pub fn of(attribute: &Attribute, media: Media, model: &str) -> Option<&'static Self> {
        let name = attribute.name.as_deref().map(str::to_ascii_lowercase);
        let known = name.as_deref().filter(|name| !name.starts_with("unknown"));
        MEANINGS.iter().find(|meaning| {
            let named = match known {
                _ if meaning.names.is_empty() => true,
                Some(name) => meaning.names.iter().any(|part| name.contains(part)),
                None if meaning.id == 199 || meaning.id == 188 => true,
                None => meaning.models.iter().any(|part| model.starts_with(part)),
            };
            meaning.id == attribute.id && named && meaning.media.is_none_or(|only| only == media)
        })
    }

    /// Whether a normalised value of 0 stands beside a raw value that says that life is left. The raw value counts only
    /// where it can be a percentage, and only from the second percent on: a worn-out drive may have one left.
    #[must_use]
    pub fn raw_contradicts(&self, attribute: &Attribute) -> bool {
        let raw = count(attribute);
        let left = match self.raw_life {
            RawLife::Silent => return false,
            RawLife::Left => raw,
            // No percent used is also what a drive says that does not count it.
            RawLife::Used if raw == 0 => return false,
            RawLife::Used => 100u64.saturating_sub(raw),
        };
        attribute.current == Some(0) && (2..=100).contains(&left)
    }

    /// The value of an attribute by this meaning; `None` where the attribute does not hold one.
    #[must_use]
    pub fn value(&self, attribute: &Attribute) -> Option<u64> {
        match self.read_as {
            ReadAs::Raw(bits) => Some(count(attribute) & mask(bits)),
            ReadAs::Worn => match attribute.current {
                None => None,
                // 101 and more is a scale from 200 or 253 on which 100 is half.
                Some(current) if current > 100 => None,
                // 1 is the lowest normalised value by the standard, and where Intel's stays.
                Some(0 | 1) => Some(100),
                Some(current) => Some(100u64.saturating_sub(u64::from(current))),
            },
        }
    }
}

/// The raw value as a count: as the capture words it where it begins with a number, because `smartctl` knows how the drive
/// packs it; else as it stands.
pub(super) fn count(attribute: &Attribute) -> u64 {
    let text = attribute.raw_text.as_deref().map(str::trim_start);
    let digits: String = text
        .unwrap_or_default()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let rest = text.and_then(|text| text.get(digits.len()..));
    // `0x…` is hexadecimal and `1h+2m` a time: neither begins with a count.
    let plain = rest.is_none_or(|rest| !rest.starts_with(['x', 'h']));
    match digits.parse() {
        Ok(number) if plain => number,
        _ => attribute.raw,
    }
}

fn mask(bits: u32) -> u64 {
    1u64.checked_shl(bits)
        .map_or(u64::MAX, |above| above.wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(
        id: u8,
        name: Option<&str>,
        current: u8,
        raw: u64,
        text: Option<&str>,
    ) -> Attribute {
        Attribute {
            id,
            name: name.map(Into::into),
            prefail: false,
            current: Some(current),
            worst: Some(current),
            threshold: Some(0),
            raw,
            raw_text: text.map(Into::into),
            when_failed: super::super::facts::WhenFailed::Never,
        }
    }

    fn check(a: &Attribute, media: Media, model: &str) -> Option<(Measure, u64)> {
        let meaning = Meaning::of(a, media, model)?;
        Some((meaning.measure, meaning.value(a)?))
    }

    #[test]
    fn one_number_means_what_the_vendor_means() {
        use Measure::{Crc, Reallocated, RetiredBlocks, WearPercent};
        let wear = |id, name, current, model| {
            check(&attribute(id, name, current, 7, None), Media::Solid, model)
        };
        let intel = Some("Media_Wearout_Indicator");
        assert_eq!(wear(233, intel, 22, "INTEL X"), Some((WearPercent, 78)));
        assert_eq!(wear(233, intel, 1, "INTEL X"), Some((WearPercent, 100)));
        assert_eq!(wear(233, Some("Flash_Writes_GiB"), 0, "KINGSTON"), None);
        assert_eq!(wear(233, None, 60, "SSDSC2BB"), Some((WearPercent, 40)));
        assert_eq!(wear(233, None, 60, "OTHER"), None);
        assert_eq!(wear(202, Some("Exception_Mode_Status"), 0, "SAMSUNG"), None);
        assert_eq!(
            wear(202, Some("Percent_Lifetime_Remain"), 0, "CT"),
            Some((WearPercent, 100))
        );
        assert_eq!(wear(177, Some("Wear_Range_Delta"), 0, "SanDisk"), None);
        let five = attribute(5, None, 100, 0x7_0002, None);
        assert_eq!(check(&five, Media::Rotating, ""), Some((Reallocated, 2)));
        assert_eq!(
            check(&five, Media::Solid, ""),
            Some((RetiredBlocks, 0x7_0002))
        );
        let crc = attribute(199, None, 100, 3, None);
        assert_eq!(check(&crc, Media::Rotating, ""), Some((Crc, 3)));
    }

    #[test]
    fn the_capture_knows_how_the_drive_packs_its_raw_value() {
        let raw = |text| count(&attribute(197, None, 100, 9, Some(text)));
        assert_eq!(raw("2111 (12437 0)"), 2_111);
        assert_eq!(raw("31 (Min/Max 20/45)"), 31);
        assert_eq!(raw("0x000000000012"), 9);
        assert_eq!(raw("12345h+12m+33.123s"), 9);
        assert_eq!(raw("-"), 9);
        assert_eq!(raw("99999999999999999999999"), 9);
    }
}
