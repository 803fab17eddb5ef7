// SPDX-License-Identifier: Apache-2.0
//! Arrays (type 16), memory devices (type 17) and their addresses (types 19 and 20) as the raw table has them.
//!
//! Decodes fields only; which devices count is decided in one place for every kind of capture, `memory::assemble`. Where
//! `dmidecode` and the specification differ, the field is read as `dmidecode` shows it, so that a technician who
//! compares the two finds the same.

use super::structure::Structure;
use super::words::{CORRECTIONS, DETAILS, FORMS, TECHNOLOGIES, USES, kind, location, word};
use crate::fields::{byte, le16, le32, le64};
use crate::memory::{Array, Device, Found, Module, Range};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::inventory::Dimm;
use groundstate_api::units::{Bytes, MIB};

const MEMORY_ARRAY: u8 = 16;
const MEMORY_DEVICE: u8 = 17;
const ARRAY_ADDRESS: u8 = 19;
const DEVICE_ADDRESS: u8 = 20;
/// An array of SMBIOS 2.1 has 15 bytes, a device 21; `dmidecode` shows nothing of shorter ones.
const ARRAY_MIN: usize = 0x0f;
const DEVICE_MIN: usize = 0x15;
/// Up to Extended Size, which SMBIOS 2.7 added.
const DEVICE_WITH_EXTENDED_SIZE: usize = 0x20;
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
/// Maximum capacity: see the extended field.
const CAPACITY_EXTENDED: u32 = 0x8000_0000;
/// Starting address: see the extended fields.
const ADDRESS_EXTENDED: u32 = 0xffff_ffff;

/// What the modules add up to, persistent ones left out: those are storage to the kernel. Where a whole table is at
/// hand, [`super::Smbios::configured`] knows more of persistent modules.
#[must_use]
pub fn configured(dimms: &[Dimm]) -> Bytes {
    crate::memory::ram(dimms, &[])
}

pub(super) fn found(structures: &[Structure<'_>], notes: &mut Vec<String>) -> Found {
    let mut found = Found::default();
    for structure in structures {
        match structure.kind {
            MEMORY_ARRAY => found.arrays.push(array(structure)),
            MEMORY_DEVICE if structure.formatted.len() < DEVICE_MIN => notes.push(format!(
                "SMBIOS memory device {:#06x} is too short to be read",
                structure.handle
            )),
            MEMORY_DEVICE => found.devices.push(device(structure)),
            ARRAY_ADDRESS => found.ranges.extend(range(structure, false)),
            DEVICE_ADDRESS => found.ranges.extend(range(structure, true)),
            _ => {}
        }
    }
    found
}

fn array(structure: &Structure<'_>) -> Array {
    let at = structure.formatted;
    if at.len() < ARRAY_MIN {
        return Array {
            handle: structure.handle,
            ..Array::default()
        };
    }
    let capacity = match le32(at, 0x07) {
        Some(CAPACITY_EXTENDED) => le64(at, 0x0f),
        kib => kib.map(|kib| u64::from(kib) << 10),
    };
    Array {
        handle: structure.handle,
        location: location(byte(at, 0x04).unwrap_or(0)).into(),
        usage: word(&USES, byte(at, 0x05).unwrap_or(0)).into(),
        correction: word(&CORRECTIONS, byte(at, 0x06).unwrap_or(0)).into(),
        capacity: capacity.filter(|bytes| *bytes > 0).map(Bytes),
        declared: le16(at, 0x0d),
    }
}

fn device(structure: &Structure<'_>) -> Device {
    let at = structure.formatted;
    let (populated, size) = size(at);
    let known = |offset: usize| le16(at, offset).filter(|bits| *bits != 0 && *bits != u16::MAX);
    // All ones: unknown.
    let portion = |offset: usize| le64(at, offset).filter(|b| *b != u64::MAX).map(Bytes);
    Device {
        dimm: Dimm {
            slot: structure.string_at(0x10),
            bank: structure.string_at(0x11),
            size,
            populated,
            kind: String::from(kind(byte(at, 0x12).unwrap_or(2))),
            speed: speed(at, 0x20, 0x58)
                .or_else(|| speed(at, 0x15, 0x54))
                .unwrap_or(0),
            manufacturer: structure.string_at(0x17),
            part_number: structure.string_at(0x1a),
            serial: structure.string_at(0x18),
            errors: None,
        },
        module: Module {
            handle: structure.handle,
            array: le16(at, 0x04),
            form_factor: word(&FORMS, byte(at, 0x0e).unwrap_or(0)).into(),
            detail: detail(le16(at, 0x13).unwrap_or(0)),
            technology: byte(at, 0x28)
                .map_or("", |number| word(&TECHNOLOGIES, number))
                .into(),
            total_width: known(0x08),
            data_width: known(0x0a),
            rank: byte(at, 0x1b).map(|a| a & 0x0f).filter(|rank| *rank > 0),
            rated_speed: speed(at, 0x15, 0x54),
            millivolts: known(0x26).map(u32::from),
            persistent: portion(0x34),
            volatile: portion(0x3c),
            cache: portion(0x44),
            logical: portion(0x4c),
        },
    }
}

/// Whether a module is there, and its size where it is known (DSP0134, 7.18.1 and 7.18.5).
fn size(formatted: &[u8]) -> (bool, Option<Bytes>) {
    let extended = formatted.len() >= DEVICE_WITH_EXTENDED_SIZE;
    let bytes = match le16(formatted, 0x0c) {
        None | Some(SIZE_EMPTY) => return (false, None),
        Some(SIZE_UNKNOWN) => return (true, None),
        Some(SIZE_EXTENDED) if extended => {
            let mebibytes = le32(formatted, 0x1c).unwrap_or(0) & EXTENDED_SIZE_MASK;
            u64::from(mebibytes) * MIB
        }
        Some(raw) => {
            let unit = if raw & SIZE_IN_KIB == 0 { MIB } else { 1 << 10 };
            u64::from(raw & !SIZE_IN_KIB) * unit
        }
    };
    // A module that says it has nothing is there and does not know its size.
    (true, (bytes > 0).then_some(Bytes(bytes)))
}

/// A speed in MT/s; `None` when unknown.
fn speed(formatted: &[u8], short: usize, long: usize) -> Option<u32> {
    match le16(formatted, short)? {
        0 => None,
        SPEED_EXTENDED => le32(formatted, long)
            .map(|raw| raw & EXTENDED_SIZE_MASK)
            .filter(|speed| *speed > 0),
        speed => Some(u32::from(speed)),
    }
}

/// Bit 0 is reserved; without any bit there is no detail.
fn detail(bits: u16) -> String {
    let set = (1u8..)
        .zip(DETAILS)
        .filter(|(bit, _)| bits & (1 << bit) != 0);
    let words: Vec<&str> = set.map(|(_, word)| word).collect();
    words.join(" ")
}

/// Addresses are in KiB and the end is the last KiB; the extended ones are in bytes and the end is the last byte.
fn range(structure: &Structure<'_>, of_device: bool) -> Option<Range> {
    let at = structure.formatted;
    let owner = le16(at, 0x0c)?;
    let extended = if of_device { 0x13 } else { 0x0f };
    let (start, end) = match le32(at, 0x04)? {
        ADDRESS_EXTENDED => (le64(at, extended)?, le64(at, extended + 8)?),
        start => {
            let end = u64::from(le32(at, 0x08)?);
            (u64::from(start) << 10, (end << 10) | 0x3ff)
        }
    };
    let depth = byte(at, 0x12).filter(|depth| of_device && *depth != 0 && *depth != u8::MAX);
    Some(Range {
        start,
        end,
        array: (!of_device).then_some(owner),
        device: of_device.then_some(owner),
        interleave: depth,
    })
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
        assert_eq!(sized(0x8000, 0), (true, None));
        assert_eq!(sized(0x7fff, 0x8000_8000), (true, Some(Bytes::gib(32))));
        assert_eq!(sized(0x7fff, 0), (true, None));
        // A structure of SMBIOS 2.1 ends before the extended size: there 7FFFh is a size as any other.
        let mut short = [0u8; 0x15];
        short[0x0c..0x0e].copy_from_slice(&[0xff, 0x7f]);
        assert_eq!(super::size(&short), (true, Some(Bytes::mib(32_767))));
        assert_eq!(super::size(&[0xff; 0x15]), (true, None));
        assert_eq!(super::size(&[]), (false, None));
    }

    #[test]
    fn speeds_and_details() {
        let mut formatted = [0u8; 0x5c];
        formatted[0x15..0x17].copy_from_slice(&2_666u16.to_le_bytes());
        assert_eq!(speed(&formatted, 0x20, 0x58), None);
        assert_eq!(speed(&formatted, 0x15, 0x54), Some(2_666));
        formatted[0x20..0x22].copy_from_slice(&u16::MAX.to_le_bytes());
        assert_eq!(speed(&formatted, 0x20, 0x58), None);
        formatted[0x58..0x5c].copy_from_slice(&70_000u32.to_le_bytes());
        assert_eq!(speed(&formatted, 0x20, 0x58), Some(70_000));
        assert_eq!(detail(0x2080), "Synchronous Registered (Buffered)");
        assert_eq!(detail(1), "");
    }
}
