// SPDX-License-Identifier: Apache-2.0
//! Makes the checksums of a disk fit, so that what lies behind them is reached: an attacker computes them too.

use crate::Sparse;
use mos_core::random_access::ReadAt as _;

/// The largest table whose checksum is computed, in bytes.
const TABLE_MAX: u64 = 1 << 20;

/// The footer of a VHD, its copy, and the header that the footer points to.
pub fn vhd(disk: &mut Sparse) {
    for footer in [Some(0), disk.len().checked_sub(512)].into_iter().flatten() {
        if let Some(bytes) = disk.get(footer, 512).filter(|b| b.starts_with(b"conectix")) {
            ones_complement(disk, footer, 512, 64);
            let header = u64::from_be_bytes(bytes[16..24].try_into().unwrap_or_default());
            ones_complement(disk, header, 1024, 36);
        }
    }
}

fn ones_complement(disk: &mut Sparse, at: u64, length: usize, field: usize) {
    if let Some(mut bytes) = disk.get(at, length) {
        bytes[field..field + 4].fill(0);
        let sum = bytes
            .iter()
            .fold(0u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
        disk.put(at + field as u64, &(!sum).to_be_bytes());
    }
}

/// Both headers, both region tables and the first log entry of a VHDX.
pub fn vhdx(disk: &mut Sparse) {
    for (at, mark, length) in [
        (64, b"head", 4),
        (128, b"head", 4),
        (192, b"regi", 64),
        (256, b"regi", 64),
    ] {
        let at = at << 10;
        if disk.get(at, 4).is_some_and(|bytes| bytes == mark) {
            castagnoli(disk, at, length << 10);
        }
        if let Some(header) = disk.get(at, 80).filter(|_| mark == b"head") {
            let log = u64::from_le_bytes(header[72..80].try_into().unwrap_or_default());
            if let Some(entry) = disk.get(log, 12).filter(|entry| entry.starts_with(b"loge")) {
                let length = u32::from_le_bytes(entry[8..12].try_into().unwrap_or_default());
                castagnoli(disk, log, usize::try_from(length).unwrap_or(0).min(1 << 20));
            }
        }
    }
}

fn castagnoli(disk: &mut Sparse, at: u64, length: usize) {
    if let Some(mut bytes) = disk.get(at, length).filter(|bytes| bytes.len() >= 8) {
        bytes[4..8].fill(0);
        disk.put(at + 4, &crc32c(&bytes).to_le_bytes());
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let (mut crc, mut bit) = (byte as u32, 0);
            while bit < 8 {
                crc = if crc & 1 == 1 {
                    crc >> 1 ^ 0x82f6_3b78
                } else {
                    crc >> 1
                };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(!0u32, |crc, byte| {
        crc >> 8 ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)]
    })
}

/// Both headers of a GPT and the entries that they point to.
pub fn gpt(disk: &mut Sparse, sector: u64) {
    for at in [Some(sector), disk.len().checked_sub(sector)]
        .into_iter()
        .flatten()
    {
        let Some(mut header) = disk
            .get(at, 92)
            .filter(|bytes| bytes.starts_with(b"EFI PART"))
        else {
            continue;
        };
        let word =
            |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap_or_default());
        let first = u64::from_le_bytes(header[72..80].try_into().unwrap_or_default());
        let length = u64::from(word(80)) * u64::from(word(84));
        let entries = first
            .checked_mul(sector)
            .filter(|_| length <= TABLE_MAX)
            .and_then(|at| disk.get(at, usize::try_from(length).unwrap_or(0)));
        if let Some(entries) = entries {
            header[88..92].copy_from_slice(&crc32fast::hash(&entries).to_le_bytes());
        }
        header[24..32].copy_from_slice(&(at / sector).to_le_bytes());
        header[16..20].fill(0);
        let sum = crc32fast::hash(&header);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        disk.put(at, &header);
    }
}
