// SPDX-License-Identifier: Apache-2.0
//! ATA commands inside SCSI ATA PASS-THROUGH (16) (SAT-4, 12.2.2), and the registers that come back.
//!
//! Only commands that read are here. None enables a feature or changes a setting; self-tests are in `start`.

use crate::disk::facts::Assessment;
use crate::fields::byte;
use core::fmt;

/// A command that reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// IDENTIFY DEVICE.
    Identify,
    /// SMART READ DATA: the attributes.
    SmartReadData,
    /// SMART READ ATTRIBUTE THRESHOLDS.
    SmartReadThresholds,
    /// SMART READ LOG: the first `pages` pages of a log.
    SmartReadLog {
        /// Which log.
        address: u8,
        /// How many pages of 512 bytes, from the first on.
        pages: u8,
    },
    /// READ LOG EXT: one page of a log.
    ReadLogExt {
        /// Which log.
        address: u8,
        /// Which page of 512 bytes.
        page: u16,
    },
    /// SMART RETURN STATUS: the disk's own assessment, in its registers.
    SmartReturnStatus,
}

/// The log directory, in both command sets.
pub const LOG_DIRECTORY: u8 = 0x00;
/// Summary SMART Error log (SMART READ LOG).
pub const LOG_SUMMARY_ERRORS: u8 = 0x01;
/// Extended Comprehensive SMART Error log (READ LOG EXT).
pub const LOG_EXTENDED_ERRORS: u8 = 0x03;
/// Device Statistics (both).
pub const LOG_STATISTICS: u8 = 0x04;
/// SMART Self-Test log (SMART READ LOG).
pub const LOG_SELF_TEST: u8 = 0x06;
/// Extended SMART Self-Test log (READ LOG EXT).
pub const LOG_EXTENDED_SELF_TEST: u8 = 0x07;
/// Pending Defects log (READ LOG EXT).
pub const LOG_PENDING_DEFECTS: u8 = 0x0c;
/// SCT Status (both).
pub const LOG_SCT_STATUS: u8 = 0xe0;

const ATA_PASS_THROUGH_16: u8 = 0x85;
const PROTOCOL_NON_DATA: u8 = 3 << 1;
const PROTOCOL_PIO_IN: u8 = 4 << 1;
/// The registers hold 48 bits.
const EXTEND: u8 = 1;
/// From the device, counted in blocks, in the sector count field.
const READ_BLOCKS: u8 = 0x0e;
/// Return the registers as sense data even when all went well.
const CHECK_CONDITION: u8 = 0x20;
const IDENTIFY_DEVICE: u8 = 0xec;
const READ_LOG_EXT: u8 = 0x2f;
const SMART: u8 = 0xb0;
/// The signature that every SMART command carries in LBA mid and LBA high.
const SMART_MID: u8 = 0x4f;
const SMART_HIGH: u8 = 0xc2;
/// What RETURN STATUS turns the signature into when a threshold was exceeded.
const FAILING_MID: u8 = 0xf4;
const FAILING_HIGH: u8 = 0x2c;

/// A command descriptor block with a SMART command that has no data.
pub(super) const fn smart_without_data(feature: u8, low: u8) -> [u8; 16] {
    [
        ATA_PASS_THROUGH_16,
        PROTOCOL_NON_DATA,
        CHECK_CONDITION,
        0,
        feature,
        0,
        0,
        0,
        low,
        0,
        SMART_MID,
        0,
        SMART_HIGH,
        0,
        SMART,
        0,
    ]
}

const fn smart_with_data(feature: u8, pages: u8, low: u8) -> [u8; 16] {
    [
        ATA_PASS_THROUGH_16,
        PROTOCOL_PIO_IN,
        READ_BLOCKS,
        0,
        feature,
        0,
        pages,
        0,
        low,
        0,
        SMART_MID,
        0,
        SMART_HIGH,
        0,
        SMART,
        0,
    ]
}

impl Command {
    /// The SCSI command descriptor block.
    #[must_use]
    pub const fn cdb(self) -> [u8; 16] {
        match self {
            Self::Identify => [
                ATA_PASS_THROUGH_16,
                PROTOCOL_PIO_IN,
                READ_BLOCKS,
                0,
                0,
                0,
                1,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                IDENTIFY_DEVICE,
                0,
            ],
            Self::SmartReadData => smart_with_data(0xd0, 1, 0),
            Self::SmartReadThresholds => smart_with_data(0xd1, 1, 1),
            Self::SmartReadLog { address, pages } => smart_with_data(0xd5, pages, address),
            Self::SmartReturnStatus => smart_without_data(0xda, 0),
            Self::ReadLogExt { address, page } => {
                let [page_high, page_low] = page.to_be_bytes();
                [
                    ATA_PASS_THROUGH_16,
                    PROTOCOL_PIO_IN | EXTEND,
                    READ_BLOCKS,
                    0,
                    0,
                    0,
                    1,
                    0,
                    address,
                    page_high,
                    page_low,
                    0,
                    0,
                    0,
                    READ_LOG_EXT,
                    0,
                ]
            }
        }
    }
    /// How many blocks of 512 bytes the command returns.
    #[must_use]
    pub fn blocks(self) -> usize {
        match self {
            Self::Identify
            | Self::SmartReadData
            | Self::SmartReadThresholds
            | Self::ReadLogExt { .. } => 1,
            Self::SmartReadLog { pages, .. } => usize::from(pages),
            Self::SmartReturnStatus => 0,
        }
    }
}

/// The command's name in messages.
impl fmt::Display for Command {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identify => out.write_str("IDENTIFY DEVICE"),
            Self::SmartReadData => out.write_str("SMART READ DATA"),
            Self::SmartReadThresholds => out.write_str("SMART READ ATTRIBUTE THRESHOLDS"),
            Self::SmartReadLog { address, .. } => {
                write!(
                    out,
                    "SMART READ LOG {address:02x}h ({})",
                    log_name(*address)
                )
            }
            Self::ReadLogExt { address, page } => write!(
                out,
                "READ LOG EXT {address:02x}h ({}) page {page}",
                log_name(*address)
            ),
            Self::SmartReturnStatus => out.write_str("SMART RETURN STATUS"),
        }
    }
}

const fn log_name(address: u8) -> &'static str {
    match address {
        LOG_DIRECTORY => "directory",
        LOG_SUMMARY_ERRORS => "summary of errors",
        LOG_EXTENDED_ERRORS => "extended error log",
        LOG_STATISTICS => "device statistics",
        LOG_SELF_TEST => "self-test log",
        LOG_EXTENDED_SELF_TEST => "extended self-test log",
        LOG_PENDING_DEFECTS => "pending defects",
        LOG_SCT_STATUS => "SCT status",
        _ => "log",
    }
}

/// Sense data in descriptor form and the ATA Status Return descriptor in it (SAT-4, 12.2.2.6).
const DESCRIPTOR_FORM: u8 = 0x72;
const FIXED_FORM: u8 = 0x70;
const ATA_STATUS_RETURN: u8 = 0x09;

/// The disk's own assessment from the sense data of [`Command::SmartReturnStatus`]. Many bridges and RAID controllers drop
/// the registers: then it is not said.
#[must_use]
pub fn return_status(sense: &[u8]) -> Assessment {
    let registers = match byte(sense, 0).map(|code| code & 0x7f) {
        Some(DESCRIPTOR_FORM) if byte(sense, 8) == Some(ATA_STATUS_RETURN) => {
            byte(sense, 17).zip(byte(sense, 19))
        }
        // Fixed form keeps LBA mid and high in the command-specific information (SAT-4, table 153).
        Some(FIXED_FORM) => byte(sense, 10).zip(byte(sense, 11)),
        _ => None,
    };
    match registers {
        Some((SMART_MID, SMART_HIGH)) => Assessment::Passed,
        Some((FAILING_MID, FAILING_HIGH)) => Assessment::Failed,
        _ => Assessment::NotSaid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_have_the_bytes_of_the_standard() {
        assert_eq!(
            Command::Identify.cdb(),
            [0x85, 8, 0x0e, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xec, 0]
        );
        assert_eq!(
            Command::SmartReadData.cdb(),
            [
                0x85, 8, 0x0e, 0, 0xd0, 0, 1, 0, 0, 0, 0x4f, 0, 0xc2, 0, 0xb0, 0
            ]
        );
        assert_eq!(
            Command::SmartReturnStatus.cdb(),
            [
                0x85, 6, 0x20, 0, 0xda, 0, 0, 0, 0, 0, 0x4f, 0, 0xc2, 0, 0xb0, 0
            ]
        );
        let log = Command::SmartReadLog {
            address: 6,
            pages: 1,
        };
        assert_eq!(
            log.cdb(),
            [
                0x85, 8, 0x0e, 0, 0xd5, 0, 1, 0, 6, 0, 0x4f, 0, 0xc2, 0, 0xb0, 0
            ]
        );
        // Page 0x0102: the low byte in LBA (15:8), the high one in LBA (39:32).
        let page = Command::ReadLogExt {
            address: 4,
            page: 0x0102,
        };
        assert_eq!(
            page.cdb(),
            [0x85, 9, 0x0e, 0, 0, 0, 1, 0, 4, 1, 2, 0, 0, 0, 0x2f, 0]
        );
        assert_eq!(
            page.to_string(),
            "READ LOG EXT 04h (device statistics) page 258"
        );
    }

    #[test]
    fn the_assessment_is_read_from_both_forms_of_sense_data() {
        let mut descriptor = [0u8; 22];
        (descriptor[0], descriptor[8], descriptor[9]) = (0x72, 0x09, 0x0c);
        (descriptor[17], descriptor[19]) = (0xf4, 0x2c);
        assert_eq!(return_status(&descriptor), Assessment::Failed);
        (descriptor[17], descriptor[19]) = (0x4f, 0xc2);
        assert_eq!(return_status(&descriptor), Assessment::Passed);
        let mut fixed = [0u8; 18];
        (fixed[0], fixed[10], fixed[11]) = (0x70, 0xf4, 0x2c);
        assert_eq!(return_status(&fixed), Assessment::Failed);
        assert_eq!(return_status(&[0; 22]), Assessment::NotSaid);
        assert_eq!(return_status(&[]), Assessment::NotSaid);
    }
}
