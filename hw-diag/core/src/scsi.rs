// SPDX-License-Identifier: Apache-2.0
//! SCSI disks: vital product data (SPC-5) and the Informational Exceptions log page.
//!
//! Refuses to invent wear figures for a disk that says only "no informational exception".

use crate::fields::{byte, clean};
use crate::health::{Assessment, unknown};
use alloc::format;
use alloc::string::String;
use groundstate_api::inventory::Health;

/// Where the verdict comes from.
const SOURCE: &str = "SCSI informational exceptions";
/// The longest answer that is asked for, in bytes.
pub const ANSWER_MAX: usize = 252;

/// INQUIRY for vital product data page `page`.
#[must_use]
pub const fn inquiry_page(page: u8) -> [u8; 6] {
    [0x12, 0x01, page, 0, 252, 0]
}

/// LOG SENSE for the current values of the Informational Exceptions page (2Fh).
#[must_use]
pub const fn log_sense_exceptions() -> [u8; 10] {
    [0x4d, 0, 0x40 | 0x2f, 0, 0, 0, 0, 0, 252, 0]
}

/// The serial number in a Unit Serial Number page (80h); empty when there is none.
#[must_use]
pub fn unit_serial(page: &[u8]) -> String {
    let length = byte(page, 3).map_or(0, usize::from);
    match page.get(1) {
        Some(0x80) => page.get(4..4 + length).map(clean).unwrap_or_default(),
        _ => String::new(),
    }
}

/// Additional sense code 5Dh: failure prediction threshold exceeded.
const FAILURE_PREDICTED: u8 = 0x5d;
/// Additional sense code 0Bh: warning (temperature, background self-test failed and the like).
const WARNING: u8 = 0x0b;
/// No temperature is known.
const NO_TEMPERATURE: u8 = 0xff;

/// The health of a SCSI disk from its Informational Exceptions page.
#[must_use]
pub fn health(page: &[u8]) -> Health {
    // Page header of 4 bytes, parameter header of 4, then ASC, ASCQ and the temperature (SPC-5, 7.3.10).
    let fields = (
        byte(page, 0).map(|b| b & 0x3f),
        byte(page, 8),
        byte(page, 9),
    );
    let (Some(0x2f), Some(code), Some(qualifier)) = fields else {
        return unknown(SOURCE, "the disk has no Informational Exceptions log page");
    };
    let mut seen = Assessment::new(SOURCE);
    match code {
        0 => {}
        FAILURE_PREDICTED => seen.fail(format!(
            "the disk predicts its failure (sense code 5d/{qualifier:02x})"
        )),
        WARNING => seen.warn(format!("the disk warns (sense code 0b/{qualifier:02x})")),
        _ => seen.warn(format!(
            "the disk reports sense code {code:02x}/{qualifier:02x}"
        )),
    }
    let celsius = byte(page, 10).filter(|c| *c != NO_TEMPERATURE && *c != 0);
    seen.temperature(celsius.map(i16::from));
    seen.done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::inventory::Verdict;

    #[test]
    fn serial_and_health_are_read_where_they_stand() {
        assert_eq!(unit_serial(b"\0\x80\0\x08  GS-1  "), "GS-1");
        assert_eq!(unit_serial(b"\0\x80\0\x09short"), "");
        assert_eq!(unit_serial(b"\0\x83\0\x02ab"), "");
        let page = |asc, ascq| [0x2f, 0, 0, 8, 0, 0, 3, 4, asc, ascq, 33, 0];
        assert_eq!(health(&page(0, 0)).verdict, Verdict::Ok);
        assert_eq!(health(&page(0, 0)).temperature_c, Some(33));
        assert_eq!(health(&page(0x5d, 0x10)).verdict, Verdict::Fail);
        assert_eq!(health(&page(0x0b, 1)).verdict, Verdict::Warn);
        assert_eq!(health(&[0; 12]).verdict, Verdict::Unknown);
        assert_eq!(health(&[]).verdict, Verdict::Unknown);
    }
}
