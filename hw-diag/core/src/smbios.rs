// SPDX-License-Identifier: Apache-2.0
//! SMBIOS tables (DMTF DSP0134): types 0, 1, 4, 16, 17, 19 and 20.
//!
//! Reads the raw structure table as Linux shows it in `/sys/firmware/dmi/tables/DMI`. Refuses to complete a structure
//! that the table cuts off: half a structure would say something that the firmware never said.

mod capture;
mod memory;
mod structure;
mod words;

pub use capture::{Capture, CaptureError, capture};
pub use memory::configured;

use crate::fields::{byte, bytes16};
use crate::memory::{Details, assemble};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::SystemUuid;
use groundstate_api::inventory::Dimm;
use groundstate_api::units::Bytes;
pub(crate) use structure::{Structure, Walk};

/// The most structures read from one table. The largest server table known has about 2,000; a table of 64 KiB cannot
/// hold more than 11,000 empty ones.
pub const STRUCTURES_MAX: usize = 8_192;
/// The most memory slots read. Eight sockets with 24 slots each are 192.
pub const DIMMS_MAX: usize = 1_024;

/// The SMBIOS version, which decides the byte order of the UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Major version.
    pub major: u8,
    /// Minor version.
    pub minor: u8,
}

impl Version {
    /// The first version whose UUID has its first three fields little-endian (DSP0134, 7.2.1).
    pub const MIXED_ENDIAN_UUID: Self = Self { major: 2, minor: 6 };

    /// The version in an entry point (`_SM_` or `_SM3_`), as `/sys/firmware/dmi/tables/smbios_entry_point` shows it.
    #[must_use]
    pub fn of_entry_point(entry: &[u8]) -> Option<Self> {
        let at = if entry.starts_with(b"_SM3_") {
            7
        } else if entry.starts_with(b"_SM_") {
            6
        } else {
            return None;
        };
        Some(Self {
            major: byte(entry, at)?,
            minor: byte(entry, at + 1)?,
        })
    }
}

/// A processor socket (type 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processor {
    /// Socket designation.
    pub socket: String,
    /// Processor version: its name.
    pub model: String,
    /// Whether a processor is in the socket.
    pub populated: bool,
}

/// What the table says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Smbios {
    /// Firmware vendor and version (type 0).
    pub firmware_version: String,
    /// Manufacturer (type 1).
    pub manufacturer: String,
    /// Product name (type 1).
    pub product: String,
    /// Serial number (type 1).
    pub serial: String,
    /// UUID (type 1); `None` when the firmware says it has none.
    pub uuid: Option<SystemUuid>,
    /// Processor sockets (type 4).
    pub processors: Vec<Processor>,
    /// Slots of the system memory arrays (type 17), in table order.
    pub dimms: Vec<Dimm>,
    /// What else the table says of memory: arrays, addresses, more of each module.
    pub memory: Details,
    /// What was wrong with the table, a line each.
    pub notes: Vec<String>,
}

impl Smbios {
    /// What the kernel should have as memory: what the modules add up to, without persistent memory and without DRAM
    /// that only caches it.
    #[must_use]
    pub fn configured(&self) -> Bytes {
        crate::memory::ram(&self.dimms, &self.memory.modules)
    }
}

/// What is said of a table without type 1.
pub(crate) const NO_SYSTEM_INFORMATION: &str =
    "SMBIOS table has no system information (type 1): serial number and UUID are unknown";

/// Decodes a raw structure table. Never fails: what is wrong with the table is named in `notes`.
#[must_use]
pub fn decode(table: &[u8], version: Version) -> Smbios {
    decode_walk(Walk::new(table, None), version)
}

fn decode_walk(mut walk: Walk<'_>, version: Version) -> Smbios {
    let mut smbios = Smbios::default();
    let structures: Vec<Structure<'_>> = walk.by_ref().take(STRUCTURES_MAX).collect();
    if structures.len() == STRUCTURES_MAX {
        smbios.notes.push(format!(
            "SMBIOS table has more than {STRUCTURES_MAX} structures; the rest was not read"
        ));
    } else if let Some(fault) = walk.fault() {
        smbios.notes.push(fault);
    }
    let mut seen_firmware = false;
    let mut seen_system = false;
    for structure in &structures {
        match structure.kind {
            0 if !seen_firmware => {
                seen_firmware = true;
                let vendor = structure.string_at(0x04);
                let release = structure.string_at(0x05);
                smbios.firmware_version = String::from(format!("{vendor} {release}").trim());
            }
            1 if !seen_system => {
                seen_system = true;
                smbios.manufacturer = structure.string_at(0x04);
                smbios.product = structure.string_at(0x05);
                smbios.serial = structure.string_at(0x07);
                smbios.uuid = bytes16(structure.formatted, 0x08).and_then(|raw| uuid(raw, version));
            }
            4 => smbios.processors.push(processor(structure)),
            _ => {}
        }
    }
    if !seen_system {
        smbios.notes.push(NO_SYSTEM_INFORMATION.into());
    }
    let found = memory::found(&structures, &mut smbios.notes);
    (smbios.dimms, smbios.memory) = assemble(found, &mut smbios.notes);
    smbios
}

/// Status bit 6: CPU socket populated (DSP0134, 7.5).
const SOCKET_POPULATED: u8 = 1 << 6;

fn processor(structure: &Structure<'_>) -> Processor {
    Processor {
        socket: structure.string_at(0x04),
        model: structure.string_at(0x10),
        populated: byte(structure.formatted, 0x18)
            .is_some_and(|status| status & SOCKET_POPULATED != 0),
    }
}

/// All ones: not present but settable; all zeros: not present (DSP0134, 7.2.1). Before 2.6 the order is big-endian.
fn uuid(raw: [u8; 16], version: Version) -> Option<SystemUuid> {
    if raw.iter().all(|b| *b == 0) || raw.iter().all(|b| *b == 0xff) {
        return None;
    }
    if version < Version::MIXED_ENDIAN_UUID {
        return Some(SystemUuid(raw));
    }
    let [a, b, c, d, e, f, g, h, rest @ ..] = raw;
    let mut text = [0u8; 16];
    let ordered = [d, c, b, a, f, e, h, g].into_iter().chain(rest);
    for (to, from) in text.iter_mut().zip(ordered) {
        *to = from;
    }
    Some(SystemUuid(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uuid_is_written_in_the_byte_order_of_its_version() {
        let raw = core::array::from_fn(|i| u8::try_from(i).unwrap());
        let old = Version { major: 2, minor: 5 };
        let new = Version { major: 3, minor: 0 };
        assert_eq!(
            uuid(raw, new).unwrap().to_string(),
            "03020100-0504-0706-0809-0a0b0c0d0e0f"
        );
        assert_eq!(
            uuid(raw, old).unwrap().to_string(),
            "00010203-0405-0607-0809-0a0b0c0d0e0f"
        );
        assert_eq!(uuid([0xff; 16], new), None);
        assert_eq!(uuid([0; 16], new), None);
    }

    #[test]
    fn the_version_is_read_from_both_entry_points() {
        let v3 = b"_SM3_\x67\x18\x03\x05\x00\x01\x00";
        assert_eq!(
            Version::of_entry_point(v3),
            Some(Version { major: 3, minor: 5 })
        );
        let v2 = b"_SM_\x00\x1f\x02\x08\x00\x00";
        assert_eq!(
            Version::of_entry_point(v2),
            Some(Version { major: 2, minor: 8 })
        );
        assert_eq!(Version::of_entry_point(b"_SM3_"), None);
        assert_eq!(Version::of_entry_point(b"_DMI_\x00\x00"), None);
    }
}
