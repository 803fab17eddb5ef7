// SPDX-License-Identifier: Apache-2.0
//! INQUIRY: standard data and vital product data (SPC-5, 6.6 and 7.7; SBC-4, 6.6.2).

use crate::disk::facts::DiskFacts;
use crate::fields::{be16, byte, clean, text};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Vital product data pages: the list of them, serial number, designators, ATA information, block device characteristics.
pub const PAGE_LIST: u8 = 0x00;
/// Unit Serial Number.
pub const PAGE_SERIAL: u8 = 0x80;
/// Device Identification.
pub const PAGE_DESIGNATORS: u8 = 0x83;
/// ATA Information: an ATA disk stands behind a translation.
pub const PAGE_ATA: u8 = 0x89;
/// Block Device Characteristics.
pub const PAGE_CHARACTERISTICS: u8 = 0xb1;

/// Medium rotation rate: 1 is solid state, 0401h to FFFEh are rotations per minute.
const SOLID_STATE: u16 = 1;
const ROTATIONS: core::ops::RangeInclusive<u16> = 0x0401..=0xfffe;

/// Puts the standard data into the facts; `false` when the answer is short.
pub fn fill_inquiry(facts: &mut DiskFacts, data: &[u8]) -> bool {
    if data.len() < 36 {
        return false;
    }
    let identity = &mut facts.identity;
    for (place, at, length) in [
        (&mut identity.vendor, 8, 8),
        (&mut identity.model, 16, 16),
        (&mut identity.revision, 32, 4),
    ] {
        let said = text(data, at, length);
        if !said.is_empty() {
            *place = said;
        }
    }
    true
}

/// The pages that page 00h lists.
#[must_use]
pub fn pages(list: &[u8]) -> Vec<u8> {
    body(list, PAGE_LIST)
        .map(<[u8]>::to_vec)
        .unwrap_or_default()
}

/// The serial number in a Unit Serial Number page (80h); empty when there is none.
#[must_use]
pub fn unit_serial(page: &[u8]) -> String {
    body(page, PAGE_SERIAL).map(clean).unwrap_or_default()
}

/// The logical unit's name (NAA or EUI-64) in a Device Identification page (83h), as the kernel writes it.
#[must_use]
pub fn unit_name(page: &[u8]) -> Option<String> {
    const ASSOCIATION: u8 = 0x30;
    let mut rest = body(page, PAGE_DESIGNATORS)?;
    let mut eui = None;
    while let (Some(kind), Some(length)) = (byte(rest, 1), byte(rest, 3)) {
        let end = 4 + usize::from(length);
        let Some(designator) = rest.get(4..end).filter(|d| !d.is_empty()) else {
            break;
        };
        // Binary, and of the logical unit itself.
        if byte(rest, 0).map(|b| b & 0x0f) == Some(1) && kind & ASSOCIATION == 0 {
            match kind & 0x0f {
                3 => return Some(format!("naa.{}", hexadecimal(designator))),
                2 => eui = eui.or_else(|| Some(format!("eui.{}", hexadecimal(designator)))),
                _ => {}
            }
        }
        rest = rest.get(end..).unwrap_or_default();
    }
    eui
}

fn hexadecimal(bytes: &[u8]) -> String {
    // The longest designator that names a unit has 16 bytes.
    bytes.iter().take(16).map(|b| format!("{b:02x}")).collect()
}

/// Rotations per minute from Block Device Characteristics (B1h), 0 for solid state; `None` where the disk does not say.
#[must_use]
pub fn rotation(page: &[u8]) -> Option<u32> {
    match be16(body(page, PAGE_CHARACTERISTICS)?, 0)? {
        SOLID_STATE => Some(0),
        rpm if ROTATIONS.contains(&rpm) => Some(u32::from(rpm)),
        _ => None,
    }
}

/// What follows a page's head of four bytes.
fn body(page: &[u8], number: u8) -> Option<&[u8]> {
    if byte(page, 1)? != number {
        return None;
    }
    let length = usize::from(be16(page, 2)?);
    page.get(4..4 + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::facts::Protocol;

    #[test]
    fn who_the_disk_is() {
        let mut data = vec![0u8; 8];
        data.extend(b"SEAGATE ST4000NM0043    MS03");
        let mut facts = DiskFacts::new("sda", "ioctl", Protocol::Scsi);
        assert!(fill_inquiry(&mut facts, &data));
        assert_eq!(facts.identity.vendor, "SEAGATE");
        assert_eq!(facts.identity.model, "ST4000NM0043");
        assert_eq!(facts.identity.revision, "MS03");
        assert!(!fill_inquiry(&mut facts, &data[..35]));
    }

    #[test]
    fn vital_product_data_are_read_as_far_as_they_go() {
        assert_eq!(unit_serial(b"\0\x80\0\x08  GS-1  "), "GS-1");
        assert_eq!(unit_serial(b"\0\x80\0\x09short"), "");
        assert_eq!(unit_serial(b"\0\x83\0\x02ab"), "");
        assert_eq!(pages(&[0, 0, 0, 3, 0, 0x80, 0xb1, 9]), [0, 0x80, 0xb1]);
        assert_eq!(rotation(&[0, 0xb1, 0, 2, 0x1c, 0x20]), Some(7200));
        assert_eq!(rotation(&[0, 0xb1, 0, 2, 0, 1]), Some(0));
        assert_eq!(rotation(&[0, 0xb1, 0, 2, 0, 0]), None);
        // The target port's name is not the unit's.
        let page = [
            0, 0x83, 0, 24, 0x61, 0x93, 0, 4, 1, 2, 3, 4, 1, 3, 0, 8, 0x50, 0, 0xc5, 0, 0x15, 0xea,
            0x71, 0xac,
        ];
        assert_eq!(unit_name(&page), None, "the page is cut");
        let mut whole = page;
        whole[3] = 20;
        assert_eq!(unit_name(&whole).as_deref(), Some("naa.5000c50015ea71ac"));
        whole[15] = 200;
        assert_eq!(unit_name(&whole), None);
    }
}
