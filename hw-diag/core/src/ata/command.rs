// SPDX-License-Identifier: Apache-2.0
//! ATA commands inside SCSI ATA PASS-THROUGH (16) (SAT-4, 12.2.2), and the registers that come back.
//!
//! Only commands that read are here. None starts a self-test, enables a feature or changes a setting.

use super::smart::SelfAssessment;
use crate::fields::byte;

/// A command that reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// IDENTIFY DEVICE.
    Identify,
    /// SMART READ DATA: the attributes.
    SmartReadData,
    /// SMART READ ATTRIBUTE THRESHOLDS.
    SmartReadThresholds,
    /// SMART READ LOG, the self-test log (address 06h).
    SmartSelfTestLog,
    /// SMART RETURN STATUS: the disk's own assessment, in its registers.
    SmartReturnStatus,
}

const ATA_PASS_THROUGH_16: u8 = 0x85;
const PROTOCOL_NON_DATA: u8 = 3 << 1;
const PROTOCOL_PIO_IN: u8 = 4 << 1;
/// From the device, counted in blocks, in the sector count field.
const READ_BLOCKS: u8 = 0x0e;
/// Return the registers as sense data even when all went well.
const CHECK_CONDITION: u8 = 0x20;
const IDENTIFY_DEVICE: u8 = 0xec;
const SMART: u8 = 0xb0;
/// The signature that every SMART command carries in LBA mid and LBA high.
const SMART_MID: u8 = 0x4f;
const SMART_HIGH: u8 = 0xc2;
/// What RETURN STATUS turns the signature into when a threshold was exceeded.
const FAILING_MID: u8 = 0xf4;
const FAILING_HIGH: u8 = 0x2c;

impl Command {
    /// The SCSI command descriptor block.
    #[must_use]
    pub const fn cdb(self) -> [u8; 16] {
        let mut cdb = [0u8; 16];
        let [
            code,
            protocol,
            flags,
            _,
            feature,
            _,
            count,
            _,
            low,
            _,
            mid,
            _,
            high,
            _,
            command,
            _,
        ] = &mut cdb;
        *code = ATA_PASS_THROUGH_16;
        if self.reads_block() {
            *protocol = PROTOCOL_PIO_IN;
            *flags = READ_BLOCKS;
            *count = 1;
        } else {
            *protocol = PROTOCOL_NON_DATA;
            *flags = CHECK_CONDITION;
        }
        let (register, address) = match self {
            Self::Identify => {
                *command = IDENTIFY_DEVICE;
                return cdb;
            }
            Self::SmartReadData => (0xd0, 0),
            Self::SmartReadThresholds => (0xd1, 1),
            Self::SmartSelfTestLog => (0xd5, 6),
            Self::SmartReturnStatus => (0xda, 0),
        };
        *command = SMART;
        *feature = register;
        *low = address;
        *mid = SMART_MID;
        *high = SMART_HIGH;
        cdb
    }
    /// Whether the command returns a block of 512 bytes.
    #[must_use]
    pub const fn reads_block(self) -> bool {
        match self {
            Self::Identify
            | Self::SmartReadData
            | Self::SmartReadThresholds
            | Self::SmartSelfTestLog => true,
            Self::SmartReturnStatus => false,
        }
    }
    /// The command's name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identify => "IDENTIFY DEVICE",
            Self::SmartReadData => "SMART READ DATA",
            Self::SmartReadThresholds => "SMART READ ATTRIBUTE THRESHOLDS",
            Self::SmartSelfTestLog => "SMART READ LOG (self-test)",
            Self::SmartReturnStatus => "SMART RETURN STATUS",
        }
    }
}

/// Sense data in descriptor form and the ATA Status Return descriptor in it (SAT-4, 12.2.2.6).
const DESCRIPTOR_FORM: u8 = 0x72;
const FIXED_FORM: u8 = 0x70;
const ATA_STATUS_RETURN: u8 = 0x09;

/// The disk's own assessment from the sense data of [`Command::SmartReturnStatus`].
#[must_use]
pub fn return_status(sense: &[u8]) -> SelfAssessment {
    let registers = match byte(sense, 0).map(|code| code & 0x7f) {
        Some(DESCRIPTOR_FORM) if byte(sense, 8) == Some(ATA_STATUS_RETURN) => {
            byte(sense, 17).zip(byte(sense, 19))
        }
        // Fixed form keeps LBA mid and high in the command-specific information (SAT-4, table 153).
        Some(FIXED_FORM) => byte(sense, 10).zip(byte(sense, 11)),
        _ => None,
    };
    match registers {
        Some((SMART_MID, SMART_HIGH)) => SelfAssessment::Passed,
        Some((FAILING_MID, FAILING_HIGH)) => SelfAssessment::Failed,
        _ => SelfAssessment::NotSaid,
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
    }

    #[test]
    fn the_assessment_is_read_from_both_forms_of_sense_data() {
        let mut descriptor = [0u8; 22];
        (descriptor[0], descriptor[8], descriptor[9]) = (0x72, 0x09, 0x0c);
        (descriptor[17], descriptor[19]) = (0xf4, 0x2c);
        assert_eq!(return_status(&descriptor), SelfAssessment::Failed);
        (descriptor[17], descriptor[19]) = (0x4f, 0xc2);
        assert_eq!(return_status(&descriptor), SelfAssessment::Passed);
        let mut fixed = [0u8; 18];
        (fixed[0], fixed[10], fixed[11]) = (0x70, 0xf4, 0x2c);
        assert_eq!(return_status(&fixed), SelfAssessment::Failed);
        assert_eq!(return_status(&[0; 22]), SelfAssessment::NotSaid);
        assert_eq!(return_status(&[]), SelfAssessment::NotSaid);
    }
}
