// SPDX-License-Identifier: Apache-2.0
//! The words of an erase: how it is done, what it is worth, and the certificate that says so.
//!
//! The classes are those of NIST SP 800-88 revision 1, appendix A. Where the appendix does not list a method for a kind of
//! medium, the lower class stands.

use crate::ids::{NodeId, PlanId, RunId};
use crate::units::{Bytes, Millis};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// What an order wants at least.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum EraseClass {
    /// Nothing can be read back through the drive's own interface.
    #[default]
    Clear,
    /// Nothing can be read back in a laboratory either.
    Purge,
}

impl EraseClass {
    /// As it stands in JSON and in orders.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Purge => "purge",
        }
    }
}

impl fmt::Display for EraseClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a disk is erased.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EraseMethod {
    /// NVMe Sanitize, crypto erase.
    NvmeSanitizeCrypto,
    /// NVMe Sanitize, block erase.
    NvmeSanitizeBlock,
    /// NVMe Sanitize, one overwrite with zeros.
    NvmeSanitizeOverwrite,
    /// NVMe Format NVM with secure erase setting 2: the key is changed.
    NvmeFormatCrypto,
    /// NVMe Format NVM with secure erase setting 1: user data is erased.
    NvmeFormatUserData,
    /// ATA CRYPTO SCRAMBLE EXT.
    AtaSanitizeCrypto,
    /// ATA BLOCK ERASE EXT.
    AtaSanitizeBlock,
    /// ATA OVERWRITE EXT, one pass of zeros.
    AtaSanitizeOverwrite,
    /// ATA SECURITY ERASE UNIT, enhanced.
    AtaSecurityEraseEnhanced,
    /// ATA SECURITY ERASE UNIT.
    AtaSecurityErase,
    /// SCSI SANITIZE, cryptographic erase.
    ScsiSanitizeCrypto,
    /// SCSI SANITIZE, block erase.
    ScsiSanitizeBlock,
    /// SCSI SANITIZE, one overwrite with zeros.
    ScsiSanitizeOverwrite,
    /// Zeros are written to every sector that can be addressed.
    Overwrite,
}

/// What a disk reads as after a method.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadsAs {
    /// Zeros.
    Zeros,
    /// Every block is one repeated byte: nobody can mistake it for data.
    Uniform,
    /// Anything but what was there.
    Changed,
}

impl EraseMethod {
    /// Every method, those that a ladder tries first standing first.
    pub const ALL: [Self; 14] = [
        Self::NvmeSanitizeCrypto,
        Self::NvmeSanitizeBlock,
        Self::NvmeSanitizeOverwrite,
        Self::NvmeFormatCrypto,
        Self::NvmeFormatUserData,
        Self::AtaSanitizeCrypto,
        Self::AtaSanitizeBlock,
        Self::AtaSanitizeOverwrite,
        Self::AtaSecurityEraseEnhanced,
        Self::AtaSecurityErase,
        Self::ScsiSanitizeCrypto,
        Self::ScsiSanitizeBlock,
        Self::ScsiSanitizeOverwrite,
        Self::Overwrite,
    ];

    /// As it stands in JSON, for example `nvme-sanitize-block`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NvmeSanitizeCrypto => "nvme-sanitize-crypto",
            Self::NvmeSanitizeBlock => "nvme-sanitize-block",
            Self::NvmeSanitizeOverwrite => "nvme-sanitize-overwrite",
            Self::NvmeFormatCrypto => "nvme-format-crypto",
            Self::NvmeFormatUserData => "nvme-format-user-data",
            Self::AtaSanitizeCrypto => "ata-sanitize-crypto",
            Self::AtaSanitizeBlock => "ata-sanitize-block",
            Self::AtaSanitizeOverwrite => "ata-sanitize-overwrite",
            Self::AtaSecurityEraseEnhanced => "ata-security-erase-enhanced",
            Self::AtaSecurityErase => "ata-security-erase",
            Self::ScsiSanitizeCrypto => "scsi-sanitize-crypto",
            Self::ScsiSanitizeBlock => "scsi-sanitize-block",
            Self::ScsiSanitizeOverwrite => "scsi-sanitize-overwrite",
            Self::Overwrite => "overwrite",
        }
    }

    /// The class of SP 800-88 revision 1 that it reaches on this kind of medium.
    #[must_use]
    pub const fn class(self, rotational: bool) -> EraseClass {
        match self {
            Self::NvmeSanitizeCrypto
            | Self::NvmeSanitizeBlock
            | Self::NvmeFormatCrypto
            | Self::NvmeFormatUserData
            | Self::AtaSanitizeCrypto
            | Self::AtaSanitizeBlock
            | Self::ScsiSanitizeCrypto
            | Self::ScsiSanitizeBlock => EraseClass::Purge,
            Self::AtaSanitizeOverwrite
            | Self::AtaSecurityEraseEnhanced
            | Self::ScsiSanitizeOverwrite
                if rotational =>
            {
                EraseClass::Purge
            }
            // Flash keeps what was overwritten in cells that nobody can address; the appendix lists no overwrite for it.
            Self::NvmeSanitizeOverwrite
            | Self::AtaSanitizeOverwrite
            | Self::AtaSecurityEraseEnhanced
            | Self::ScsiSanitizeOverwrite
            | Self::AtaSecurityErase
            | Self::Overwrite => EraseClass::Clear,
        }
    }

    /// What the disk reads as afterwards.
    #[must_use]
    pub const fn reads_as(self) -> ReadsAs {
        match self {
            Self::NvmeSanitizeCrypto
            | Self::NvmeFormatCrypto
            | Self::AtaSanitizeCrypto
            | Self::ScsiSanitizeCrypto
            | Self::AtaSecurityEraseEnhanced => ReadsAs::Changed,
            Self::NvmeSanitizeBlock
            | Self::NvmeFormatUserData
            | Self::AtaSanitizeBlock
            | Self::ScsiSanitizeBlock => ReadsAs::Uniform,
            Self::NvmeSanitizeOverwrite
            | Self::AtaSanitizeOverwrite
            | Self::AtaSecurityErase
            | Self::ScsiSanitizeOverwrite
            | Self::Overwrite => ReadsAs::Zeros,
        }
    }
}

impl fmt::Display for EraseMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an order to erase asks.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EraseTerms {
    /// The class that every disk must reach.
    pub level: EraseClass,
    /// The serial numbers of the disks that are erased; no other is touched.
    pub serials: Vec<String>,
    /// Who ordered it: the name in the operator's certificate.
    pub ordered_by: String,
}

/// The body of an order to erase: `POST /v1/nodes/{node}/erase`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EraseOrder {
    /// The class that every disk must reach.
    #[serde(default)]
    pub level: EraseClass,
    /// The serial numbers of the disks that are erased, each one. There is no word for "all".
    pub serials: Vec<String>,
}

/// A method that was not used, or that the drive refused before it began.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotUsed {
    /// The method.
    pub method: EraseMethod,
    /// Why, in the drive's own words where it spoke.
    pub why: String,
}

/// What was read before and after.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EraseSample {
    /// Whether every sector was read.
    pub whole: bool,
    /// How many ranges were read.
    pub ranges: u64,
    /// Bytes of one sector.
    pub sector: u32,
    /// Sectors read afterwards.
    pub sectors: u64,
    /// Blocks read afterwards: single sectors where the disk may read as anything but what was there, else 4 KiB.
    pub blocks: u64,
    /// Blocks that held something before: the witnesses. Those that we planted are among them.
    pub witnesses: u64,
    /// Blocks that we wrote something known to because too little was there.
    pub planted: u64,
    /// Blocks that could not be read before.
    pub unreadable_before: u64,
    /// Blocks that are one repeated byte afterwards.
    pub blank: u64,
    /// Blocks of zeros among them.
    pub zeros: u64,
    /// Blocks that hold something, and nothing that was there before.
    pub changed: u64,
    /// Blocks that hold what was read before, here or elsewhere.
    pub unchanged: u64,
    /// Blocks that could not be read afterwards.
    pub unreadable: u64,
    /// What was recognised on the disk afterwards: file systems, tables.
    pub recognised: Vec<String>,
}

/// How an erase ended.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", deny_unknown_fields)]
pub enum EraseOutcome {
    /// It was done and proved.
    Erased {
        /// How.
        method: EraseMethod,
        /// What that is worth on this medium.
        class: EraseClass,
    },
    /// It failed or cannot be proved. The disk stays where it is until it is erased or destroyed.
    Quarantine {
        /// The method that had begun, where one had.
        method: Option<EraseMethod>,
        /// Why.
        why: String,
    },
}

/// What a node says of one disk.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EraseRecord {
    /// The disk's serial number.
    pub serial: String,
    /// World Wide Name, where it has one.
    pub wwn: Option<String>,
    /// Where it was.
    pub slot: String,
    /// Model.
    pub model: String,
    /// Firmware revision.
    pub revision: String,
    /// Size.
    pub size: Bytes,
    /// Whether it has rotating platters; the class depends on it.
    pub rotational: bool,
    /// How it ended.
    pub outcome: EraseOutcome,
    /// The methods that were not used, and why.
    pub not_used: Vec<NotUsed>,
    /// The drive's own words, oldest first.
    pub status: Vec<String>,
    /// What was read.
    pub sample: EraseSample,
    /// How long it took, reading included.
    pub took: Millis,
}

/// One disk's record, sent by the node when the disk is done: `POST /v1/run/erased`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraseReport {
    /// The run.
    pub run: RunId,
    /// The record.
    pub record: EraseRecord,
}

/// What the provisioner signs.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EraseCertificate {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// The site.
    pub site: String,
    /// The node that the disk was in.
    pub node: NodeId,
    /// The run.
    pub run: RunId,
    /// The plan that named the disk.
    pub plan: PlanId,
    /// Who ordered it.
    pub ordered_by: String,
    /// What was wanted at least.
    pub level: EraseClass,
    /// When it began, milliseconds since 1970 by the provisioner's clock.
    pub began: Millis,
    /// When it ended, same clock.
    pub ended: Millis,
    /// How often power went in the run before: each time the erase was begun anew, and what is said here is of the last one.
    #[serde(default, skip_serializing_if = "never")]
    pub interrupted: u32,
    /// The disk and what happened to it.
    pub disk: EraseRecord,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
const fn never(times: &u32) -> bool {
    *times == 0
}

impl EraseCertificate {
    /// Whether it says that the disk is erased; a certificate of quarantine says that it is not.
    #[must_use]
    pub const fn is_erased(&self) -> bool {
        matches!(self.disk.outcome, EraseOutcome::Erased { .. })
    }
}

/// A certificate with its signature: the text is signed as it stands, byte by byte.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedErase {
    /// The JSON of an [`EraseCertificate`].
    pub certificate: String,
    /// [`ERASE_SIGNATURE`].
    pub algorithm: String,
    /// The signature in DER, as lower-case hexadecimal digits.
    pub signature: String,
    /// The signer's certificate, PEM; the site CA has signed it.
    pub signer_pem: String,
}

/// The one algorithm that erase certificates are signed with.
pub const ERASE_SIGNATURE: &str = "ecdsa-p256-sha256";

/// The erase certificates of a node, oldest first.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraseCertificates {
    /// Them.
    pub certificates: Vec<SignedErase>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_prints_as_it_is_in_json_and_overwriting_flash_never_purges() {
        for method in EraseMethod::ALL {
            assert_eq!(
                serde_json::to_string(&method).unwrap(),
                format!("\"{method}\"")
            );
            let overwrites = method.as_str().contains("overwrite");
            assert!(
                !overwrites || method.class(false) == EraseClass::Clear,
                "{method}"
            );
        }
        assert_eq!(EraseMethod::Overwrite.class(true), EraseClass::Clear);
        assert_eq!(EraseMethod::AtaSecurityErase.class(true), EraseClass::Clear);
        assert_eq!(
            EraseMethod::AtaSecurityEraseEnhanced.class(true),
            EraseClass::Purge
        );
    }
}
