// SPDX-License-Identifier: Apache-2.0
//! What a drive says it can do, read from its own words. Nothing here asks a drive.

use alloc::string::String;
use groundstate_api::units::{Bytes, Millis};

/// A drive, as far as an erase must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriveFacts {
    /// Size of what can be addressed.
    pub size: Bytes,
    /// Logical sector size in bytes.
    pub sector: u32,
    /// Whether it has rotating platters.
    pub rotational: bool,
    /// How it is spoken to.
    pub interface: Interface,
}

/// How a drive is spoken to, with what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interface {
    /// NVMe.
    Nvme(NvmeFacts),
    /// ATA, directly or through a SCSI translation.
    Ata(AtaFacts),
    /// SCSI.
    Scsi(ScsiFacts),
    /// Nothing but reads and writes (virtio-blk, or a drive that does not answer), and why.
    Plain(String),
}

/// An NVMe drive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NvmeFacts {
    /// Whether Sanitize has crypto erase.
    pub sanitize_crypto: bool,
    /// Whether Sanitize has block erase.
    pub sanitize_block: bool,
    /// Whether Sanitize has overwrite.
    pub sanitize_overwrite: bool,
    /// Whether Format NVM is supported.
    pub format: bool,
    /// Whether Format NVM can change the key.
    pub format_crypto: bool,
    /// Whether one Format NVM formats or erases every namespace.
    pub format_is_for_all: bool,
    /// How many namespaces the drive has.
    pub namespaces: u32,
    /// The drive's own estimates for Sanitize: overwrite, block erase, crypto erase.
    pub estimates: [Option<Millis>; 3],
    /// Command Dword 10 that formats the namespace as it is formatted now, without a secure erase setting.
    pub format_as_it_is: u32,
}

const fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    match bytes.split_at_checked(at) {
        Some((_, [low, high, ..])) => Some(u16::from_le_bytes([*low, *high])),
        _ => None,
    }
}

const fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    match bytes.split_at_checked(at) {
        Some((_, [a, b, c, d, ..])) => Some(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

impl NvmeFacts {
    /// Reads Identify Controller, Identify Namespace and, where it could be had, the Sanitize Status log. `namespaces` is how
    /// many the controller lists. `None` where a structure is too short.
    #[must_use]
    pub fn read(
        controller: &[u8],
        namespace: &[u8],
        log: Option<&[u8]>,
        namespaces: u32,
    ) -> Option<Self> {
        let (oacs, sanicap) = (le16(controller, 256)?, le32(controller, 328)?);
        let (fna, flbas, dps) = (
            *controller.get(524)?,
            u32::from(*namespace.get(26)?),
            u32::from(*namespace.get(29)?),
        );
        let estimate = |at| match log.and_then(|log| le32(log, at)) {
            None | Some(u32::MAX) => None,
            Some(seconds) => Some(Millis::secs(u64::from(seconds))),
        };
        let lbaf = (flbas & 0xf) | ((flbas >> 5) & 3) << 12;
        let metadata = ((flbas >> 4) & 1) << 4;
        let protection = (dps & 7) << 5 | ((dps >> 3) & 1) << 8;
        Some(Self {
            sanitize_crypto: sanicap & 1 != 0,
            sanitize_block: sanicap & 2 != 0,
            sanitize_overwrite: sanicap & 4 != 0,
            format: oacs & 2 != 0,
            format_crypto: fna & 4 != 0,
            format_is_for_all: fna & 3 != 0,
            namespaces,
            estimates: [estimate(8), estimate(12), estimate(16)],
            format_as_it_is: lbaf | metadata | protection,
        })
    }
}

/// An ATA drive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtaFacts {
    /// Whether the SANITIZE feature set is there.
    pub sanitize: bool,
    /// Whether CRYPTO SCRAMBLE EXT is there.
    pub sanitize_crypto: bool,
    /// Whether BLOCK ERASE EXT is there.
    pub sanitize_block: bool,
    /// Whether OVERWRITE EXT is there.
    pub sanitize_overwrite: bool,
    /// Whether the drive's sanitize commands are frozen until its next power cycle.
    pub sanitize_frozen: bool,
    /// The Security feature set, where it is there.
    pub security: Option<AtaSecurity>,
    /// Sectors beyond the last that can be addressed (HPA, DCO); `None` where the drive did not say.
    pub hidden: Option<u64>,
    /// Sectors that can be addressed.
    pub sectors: u64,
}

/// ATA Security.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtaSecurity {
    /// A password is set.
    pub enabled: bool,
    /// The drive is locked.
    pub locked: bool,
    /// The firmware has frozen it until the next power cycle.
    pub frozen: bool,
    /// Too many wrong passwords.
    pub expired: bool,
    /// Whether the enhanced erase is there.
    pub enhanced: bool,
    /// The drive's estimate for the normal erase.
    pub takes: Option<Millis>,
    /// The drive's estimate for the enhanced erase.
    pub enhanced_takes: Option<Millis>,
}

impl AtaFacts {
    /// Reads IDENTIFY DEVICE. `native` is how many sectors the drive has in truth, as READ NATIVE MAX ADDRESS EXT, its
    /// successor or DCO says. `None` where the answer is too short.
    #[must_use]
    pub fn read(identify: &[u8], native: Option<u64>) -> Option<Self> {
        let word = |at: usize| le16(identify, at * 2);
        let has = |at: usize, bit: u16| word(at).is_some_and(|word| word & (1 << bit) != 0);
        word(255)?;
        let quad = [100, 101, 102, 103].map(|at| u64::from(word(at).unwrap_or(0)));
        let long = quad.iter().rev().fold(0, |sum, word| sum << 16 | word);
        let short = u64::from(word(60)?) | u64::from(word(61)?) << 16;
        let sectors = if long == 0 { short } else { long };
        let minutes = |at: usize| {
            let word = word(at).unwrap_or(0);
            let count = if word & 0x8000 == 0 {
                word & 0xff
            } else {
                word & 0x7fff
            };
            (count != 0).then(|| Millis::secs(u64::from(count) * 2 * 60))
        };
        let security = has(128, 0).then(|| AtaSecurity {
            enabled: has(128, 1),
            locked: has(128, 2),
            frozen: has(128, 3),
            expired: has(128, 4),
            enhanced: has(128, 5),
            takes: minutes(89),
            enhanced_takes: minutes(90),
        });
        Some(Self {
            sanitize: has(59, 12),
            sanitize_crypto: has(59, 12) && has(59, 13),
            sanitize_overwrite: has(59, 12) && has(59, 14),
            sanitize_block: has(59, 12) && has(59, 15),
            sanitize_frozen: false,
            security,
            hidden: native.map(|native| native.saturating_sub(sectors)),
            sectors,
        })
    }
}

/// A SCSI drive: whether each service action of SANITIZE is there. `None` where the drive does not say; it is then tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScsiFacts {
    /// Cryptographic erase.
    pub crypto: Option<bool>,
    /// Block erase.
    pub block: Option<bool>,
    /// Overwrite.
    pub overwrite: Option<bool>,
}

impl ScsiFacts {
    /// What one answer of REPORT SUPPORTED OPERATION CODES (one command format) says: supported, or not.
    #[must_use]
    pub fn supported(answer: &[u8]) -> Option<bool> {
        match answer.get(1)? & 7 {
            1 => Some(false),
            3 | 5 => Some(true),
            _ => None,
        }
    }
}
