// SPDX-License-Identifier: Apache-2.0
//! Memory devices (type 17) of system memory arrays (type 16).
//!
//! Refuses to count a device whose array is not system memory: of 2,049 real server tables 91 describe flash, cache or
//! video memory in type 17 too.

use super::structure::Structure;
use super::{DIMMS_MAX, array_of};
use crate::fields::{byte, le16, le32};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::inventory::Dimm;
use groundstate_api::units::{Bytes, MIB};

const MEMORY_ARRAY: u8 = 16;
const MEMORY_DEVICE: u8 = 17;
/// Type 16, Use: system memory (DSP0134, 7.17.2).
const USE_SYSTEM_MEMORY: u8 = 3;
/// Size: no module installed.
const SIZE_EMPTY: u16 = 0;
/// Size: see Extended Size.
const SIZE_EXTENDED: u16 = 0x7fff;
/// Size: unknown, the module is there.
const SIZE_UNKNOWN: u16 = 0xffff;
/// Size bit 15: the unit is KiB, not MiB.
const SIZE_IN_KIB: u16 = 0x8000;
/// Extended Size bit 31 is reserved.
const EXTENDED_SIZE_MASK: u32 = 0x7fff_ffff;
/// Speed: see the extended speed field.
const SPEED_EXTENDED: u16 = 0xffff;
/// Memory type of persistent modules, which the kernel need not use as memory.
const NON_VOLATILE: &str = "Logical non-volatile device";

pub(super) struct Memory {
    pub(super) dimms: Vec<Dimm>,
    pub(super) notes: Vec<String>,
}

/// What the populated modules add up to, persistent ones left out: those are storage to the kernel.
#[must_use]
pub fn configured(dimms: &[Dimm]) -> Bytes {
    let volatile = dimms.iter().filter(|dimm| dimm.kind != NON_VOLATILE);
    Bytes(
        volatile
            .filter_map(|dimm| dimm.size)
            .fold(0u64, |sum, size| sum.saturating_add(size.0)),
    )
}

pub(super) fn dimms(structures: &[Structure<'_>]) -> Memory {
    let arrays = || structures.iter().filter(|s| s.kind == MEMORY_ARRAY);
    let known: BTreeSet<u16> = arrays().map(|s| s.handle).collect();
    let system: BTreeSet<u16> = arrays()
        .filter(|s| byte(s.formatted, 0x05) == Some(USE_SYSTEM_MEMORY))
        .map(|s| s.handle)
        .collect();
    let mut memory = Memory {
        dimms: Vec::new(),
        notes: Vec::new(),
    };
    for device in structures.iter().filter(|s| s.kind == MEMORY_DEVICE) {
        let slot = device.string_at(0x10);
        let Some(array) = array_of(device) else {
            memory.notes.push(format!(
                "SMBIOS memory device {:#06x} is too short to be read",
                device.handle
            ));
            continue;
        };
        if !known.contains(&array) {
            memory.notes.push(format!(
                "SMBIOS memory device {slot} names the array {array:#06x}, which is not in the table; it is not counted"
            ));
        } else if system.contains(&array) {
            if memory.dimms.len() == DIMMS_MAX {
                memory
                    .notes
                    .push(format!("SMBIOS lists more than {DIMMS_MAX} memory slots"));
                break;
            }
            memory.dimms.push(dimm(device, slot));
        }
    }
    memory
}

fn dimm(device: &Structure<'_>, slot: String) -> Dimm {
    let (populated, size) = size(device.formatted);
    Dimm {
        slot,
        bank: device.string_at(0x11),
        size,
        populated,
        kind: String::from(kind(byte(device.formatted, 0x12).unwrap_or(2))),
        speed: speed(device.formatted),
        manufacturer: device.string_at(0x17),
        part_number: device.string_at(0x1a),
        serial: device.string_at(0x18),
        errors: None,
    }
}

/// Whether a module is there, and its size where it is known (DSP0134, 7.18.1 and 7.18.5).
fn size(formatted: &[u8]) -> (bool, Option<Bytes>) {
    match le16(formatted, 0x0c) {
        None | Some(SIZE_EMPTY) => (false, None),
        Some(SIZE_UNKNOWN) => (true, None),
        Some(SIZE_EXTENDED) => {
            let mebibytes = le32(formatted, 0x1c).map(|raw| u64::from(raw & EXTENDED_SIZE_MASK));
            let known = mebibytes.filter(|count| *count != 0);
            (true, known.map(Bytes::mib))
        }
        Some(raw) => {
            let unit = if raw & SIZE_IN_KIB == 0 { MIB } else { 1 << 10 };
            let count = u64::from(raw & !SIZE_IN_KIB);
            (count != 0, (count != 0).then_some(Bytes(count * unit)))
        }
    }
}

/// Configured speed, else the module's own, in MT/s; 0 when unknown.
fn speed(formatted: &[u8]) -> u32 {
    let field = |short: usize, long: usize| match le16(formatted, short)? {
        0 => None,
        SPEED_EXTENDED => le32(formatted, long).map(|raw| raw & EXTENDED_SIZE_MASK),
        speed => Some(u32::from(speed)),
    };
    field(0x20, 0x58).or_else(|| field(0x15, 0x54)).unwrap_or(0)
}

/// Memory type by its number, from 1 (DSP0134, 7.18.2).
const KINDS: [&str; 0x24] = [
    "Other",
    "Unknown",
    "DRAM",
    "EDRAM",
    "VRAM",
    "SRAM",
    "RAM",
    "ROM",
    "Flash",
    "EEPROM",
    "FEPROM",
    "EPROM",
    "CDRAM",
    "3DRAM",
    "SDRAM",
    "SGRAM",
    "RDRAM",
    "DDR",
    "DDR2",
    "DDR2 FB-DIMM",
    "Reserved",
    "Reserved",
    "Reserved",
    "DDR3",
    "FBD2",
    "DDR4",
    "LPDDR",
    "LPDDR2",
    "LPDDR3",
    "LPDDR4",
    NON_VOLATILE,
    "HBM",
    "HBM2",
    "DDR5",
    "LPDDR5",
    "HBM3",
];

fn kind(number: u8) -> &'static str {
    usize::from(number)
        .checked_sub(1)
        .and_then(|index| KINDS.get(index).copied())
        .unwrap_or("out of spec")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(size: u16, extended: u32) -> (bool, Option<Bytes>) {
        let mut formatted = [0u8; 0x20];
        formatted[0x0c..0x0e].copy_from_slice(&size.to_le_bytes());
        formatted[0x1c..0x20].copy_from_slice(&extended.to_le_bytes());
        super::size(&formatted)
    }

    #[test]
    fn every_way_to_say_a_size() {
        assert_eq!(sized(0, 0), (false, None));
        assert_eq!(sized(0xffff, 0), (true, None));
        assert_eq!(sized(16_384, 0), (true, Some(Bytes::gib(16))));
        assert_eq!(sized(0x8200, 0), (true, Some(Bytes(512 << 10))));
        assert_eq!(sized(0x8000, 0), (false, None));
        assert_eq!(sized(0x7fff, 0x8000_8000), (true, Some(Bytes::gib(32))));
        assert_eq!(sized(0x7fff, 0), (true, None));
        // A structure of SMBIOS 2.1 ends before the extended size.
        assert_eq!(super::size(&[0xff; 0x15]), (true, None));
        assert_eq!(super::size(&[]), (false, None));
    }

    #[test]
    fn kinds_have_the_numbers_of_the_specification() {
        for (number, name) in [
            (0x07, "RAM"),
            (0x12, "DDR"),
            (0x18, "DDR3"),
            (0x1a, "DDR4"),
            (0x22, "DDR5"),
        ] {
            assert_eq!(kind(number), name);
        }
        assert_eq!(kind(0), "out of spec");
        assert_eq!(kind(0xf0), "out of spec");
    }
}
