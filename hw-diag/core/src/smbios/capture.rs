// SPDX-License-Identifier: Apache-2.0
//! Tells a raw table from a dump of `dmidecode --dump-bin`: a dump begins with an entry point (`_SM3_`, `_SM_` or, on
//! machines before 1999, `_DMI_`), a raw table with a structure.
//!
//! Refuses a dump whose entry point is damaged or leads out of the file, as `dmidecode` does: a table read from the wrong
//! place would be somebody else's bytes.

use super::structure::Walk;
use super::{Smbios, Version, decode_walk};
use crate::fields::{byte, le16, le32, le64};
use alloc::format;
use alloc::string::String;

/// The longest entry point that DSP0134 leaves room for, and where `--dump-bin` puts the table.
const ENTRY_MAX: usize = 32;
/// A structure's header: the least that can be a table.
const TABLE_MIN: usize = 4;

/// Why a capture is not a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// It has no bytes for even one structure.
    #[error("it has {bytes} bytes, and an SMBIOS table has at least {TABLE_MIN}")]
    TooShort {
        /// How many it has.
        bytes: usize,
    },
    /// The entry point ends before its fields do.
    #[error("its {anchor} entry point is cut off or gives its own length as {length} bytes")]
    EntryLength {
        /// `_SM3_`, `_SM_` or `_DMI_`.
        anchor: &'static str,
        /// The length it gives.
        length: usize,
    },
    /// The entry point's bytes do not add up to zero.
    #[error(
        "the checksum of its {anchor} entry point is wrong; make the dump again with `dmidecode --dump-bin`"
    )]
    Checksum {
        /// `_SM3_`, `_SM_` or `_DMI_`.
        anchor: &'static str,
    },
    /// The table begins outside the file.
    #[error(
        "its {anchor} entry point puts the table at byte {at}, and the file has {bytes}; make the dump with `dmidecode --dump-bin`"
    )]
    TableOutside {
        /// `_SM3_`, `_SM_` or `_DMI_`.
        anchor: &'static str,
        /// Where the table should begin.
        at: u64,
        /// The file's length.
        bytes: usize,
    },
}

/// A structure table in a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture<'a> {
    /// The raw table.
    pub table: &'a [u8],
    /// The version that the entry point gives; `None` for a raw table.
    pub version: Option<Version>,
    /// How many structures an SMBIOS 2 entry point announces.
    announced: Option<u16>,
    /// What is wrong with the dump, if the table is there all the same.
    note: Option<String>,
}

/// Finds the table in a capture.
///
/// # Errors
/// There is none; see [`CaptureError`].
pub fn capture(bytes: &[u8]) -> Result<Capture<'_>, CaptureError> {
    let entry = if bytes.starts_with(b"_SM3_") {
        sm3(bytes)?
    } else if bytes.starts_with(b"_SM_") {
        sm2(bytes)?
    } else if bytes.starts_with(b"_DMI_") {
        dmi(bytes, "_DMI_", None)?
    } else if bytes.len() < TABLE_MIN {
        return Err(CaptureError::TooShort { bytes: bytes.len() });
    } else {
        // A raw table has no mark of its own. One without a readable structure lists nothing and says why in its notes:
        // what the machine has is unknown, which is a reading and not an error.
        return Ok(Capture {
            table: bytes,
            version: None,
            announced: None,
            note: None,
        });
    };
    let outside = || CaptureError::TableOutside {
        anchor: entry.anchor,
        at: entry.at,
        bytes: bytes.len(),
    };
    let at = usize::try_from(entry.at).map_err(|_| outside())?;
    let table = bytes.get(at..).filter(|table| table.len() >= TABLE_MIN);
    let table = table.ok_or_else(outside)?;
    let short = entry.exact && table.len() < entry.length;
    let note = short.then(|| {
        let (there, length) = (table.len(), entry.length);
        format!(
            "SMBIOS dump: the entry point announces {length} bytes and the file has {there} of them"
        )
    });
    Ok(Capture {
        table: table.get(..entry.length).unwrap_or(table),
        version: Some(entry.version),
        announced: entry.structures,
        note,
    })
}

impl Capture<'_> {
    /// Decodes the table. A raw table's version is not known, so its UUID is left out: without the version the order of
    /// its bytes would be a guess.
    #[must_use]
    pub fn decode(&self) -> Smbios {
        let version = self.version.unwrap_or(Version::MIXED_ENDIAN_UUID);
        let mut smbios = decode_walk(Walk::new(self.table, self.announced), version);
        if self.version.is_none() {
            smbios.uuid = None;
        }
        smbios.notes.extend(self.note.clone());
        smbios
    }
}

struct Entry {
    anchor: &'static str,
    version: Version,
    at: u64,
    length: usize,
    /// Whether the length is the table's own and not only an upper bound.
    exact: bool,
    structures: Option<u16>,
}

/// The first `length` bytes, which must add up to zero.
fn summed<'a>(
    bytes: &'a [u8],
    anchor: &'static str,
    length: usize,
    least: usize,
) -> Result<&'a [u8], CaptureError> {
    let entry = bytes.get(..length);
    let entry = entry.filter(|_| (least..=ENTRY_MAX).contains(&length));
    let entry = entry.ok_or(CaptureError::EntryLength { anchor, length })?;
    let sum = entry.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    if sum != 0 {
        return Err(CaptureError::Checksum { anchor });
    }
    Ok(entry)
}

fn sm3(bytes: &[u8]) -> Result<Entry, CaptureError> {
    let anchor = "_SM3_";
    let length = usize::from(byte(bytes, 6).unwrap_or(0));
    let cut = CaptureError::EntryLength { anchor, length };
    let entry = summed(bytes, anchor, length, 0x18)?;
    let version = Version::of_entry_point(entry).ok_or_else(|| cut.clone())?;
    let (Some(most), Some(at)) = (le32(entry, 0x0c), le64(entry, 0x10)) else {
        return Err(cut);
    };
    Ok(Entry {
        anchor,
        version,
        at,
        length: usize::try_from(most).unwrap_or(usize::MAX),
        exact: false,
        structures: None,
    })
}

/// `_SM_` has a checksum over itself and holds `_DMI_` with one of its own at byte 16.
fn sm2(bytes: &[u8]) -> Result<Entry, CaptureError> {
    let anchor = "_SM_";
    let length = usize::from(byte(bytes, 5).unwrap_or(0));
    // Some firmware of version 2.1 counts one byte too few; the fields end at byte 31 all the same.
    let entry = summed(bytes, anchor, length, 0x1e)?;
    let version = Version::of_entry_point(entry).map(Version::as_it_is);
    let inner = bytes.get(0x10..).unwrap_or_default();
    if !inner.starts_with(b"_DMI_") {
        return Err(CaptureError::Checksum { anchor });
    }
    dmi(inner, anchor, version)
}

fn dmi(
    bytes: &[u8],
    anchor: &'static str,
    version: Option<Version>,
) -> Result<Entry, CaptureError> {
    const LENGTH: usize = 0x0f;
    let cut = CaptureError::EntryLength {
        anchor,
        length: bytes.len(),
    };
    let entry = summed(bytes, anchor, LENGTH, LENGTH)?;
    let fields = (
        le16(entry, 6),
        le32(entry, 8),
        le16(entry, 12),
        byte(entry, 14),
    );
    let (Some(length), Some(at), Some(structures), Some(coded)) = fields else {
        return Err(cut);
    };
    Ok(Entry {
        anchor,
        // The revision in two decimal digits, one each nibble.
        version: version.unwrap_or(Version {
            major: coded >> 4,
            minor: coded & 0x0f,
        }),
        at: u64::from(at),
        length: usize::from(length),
        exact: true,
        // Without a number the length alone ends the table; an end mark does not.
        structures: Some(if structures == 0 {
            u16::MAX
        } else {
            structures
        }),
    })
}

impl Version {
    /// The version that is meant: firmware in the field says 2.31, 2.33 and 2.51 for 2.3, 2.3 and 2.6.
    fn as_it_is(self) -> Self {
        let minor = match (self.major, self.minor) {
            (2, 31 | 33) => 3,
            (2, 51) => 6,
            (_, minor) => minor,
        };
        Self { minor, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(bytes: &mut [u8], at: usize) {
        bytes[at] = 0;
        bytes[at] = bytes.iter().fold(0u8, |sum, b| sum.wrapping_sub(*b));
    }

    /// An end mark behind an entry point of each kind.
    fn dumps() -> [Vec<u8>; 3] {
        let mut sm3 = vec![0u8; 32];
        sm3[..5].copy_from_slice(b"_SM3_");
        (sm3[6], sm3[7], sm3[8], sm3[12], sm3[16]) = (24, 3, 2, 6, 32);
        seal(&mut sm3[..24], 5);
        let mut dmi = vec![0u8; 32];
        dmi[..5].copy_from_slice(b"_DMI_");
        (dmi[6], dmi[8], dmi[12], dmi[14]) = (6, 32, 1, 0x21);
        seal(&mut dmi[..15], 5);
        let mut sm2 = vec![0u8; 32];
        sm2[..4].copy_from_slice(b"_SM_");
        (sm2[5], sm2[6], sm2[7]) = (31, 2, 51);
        sm2[16..31].copy_from_slice(&dmi[..15]);
        seal(&mut sm2[..31], 4);
        [sm3, sm2, dmi].map(|mut dump| {
            dump.extend([127, 4, 0, 0, 0, 0]);
            dump
        })
    }

    #[test]
    fn three_entry_points_and_a_raw_table() {
        let versions = dumps().map(|dump| {
            let seen = capture(&dump).unwrap();
            assert_eq!(seen.table, &dump[32..]);
            let version = seen.version.unwrap();
            (version.major, version.minor)
        });
        assert_eq!(versions, [(3, 2), (2, 6), (2, 1)]);
        let raw = [127, 4, 0, 0, 0, 0];
        assert_eq!(capture(&raw).unwrap().table, raw);
        assert_eq!(
            capture(b"_SM").unwrap_err(),
            CaptureError::TooShort { bytes: 3 }
        );
        let other = capture(b"{ \"DMI\": 1 }").unwrap().decode();
        assert_eq!(other.dimms, []);
        assert_eq!(
            other.notes[0],
            "SMBIOS table: a structure is cut off at byte 0 of 12; the rest was not read"
        );
    }

    #[test]
    fn a_damaged_entry_point_is_refused() {
        for (index, dump) in dumps().into_iter().enumerate() {
            for length in 5..36 {
                assert!(capture(&dump[..length]).is_err(), "{index} cut at {length}");
            }
            let mut sum = dump.clone();
            sum[14] ^= 0x40;
            assert!(matches!(capture(&sum), Err(CaptureError::Checksum { .. })));
        }
        let [mut sm3, ..] = dumps();
        sm3[18] = 9;
        seal(&mut sm3[..24], 5);
        let error = capture(&sm3).unwrap_err().to_string();
        assert_eq!(
            error,
            "its _SM3_ entry point puts the table at byte 589856, and the file has 38; make the dump with `dmidecode --dump-bin`"
        );
    }
}
