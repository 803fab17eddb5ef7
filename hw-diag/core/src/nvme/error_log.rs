// SPDX-License-Identifier: Apache-2.0
//! Error Information, log page 01h (NVM Express Base 2.0, figure 206).

use crate::disk::facts::LoggedError;
use crate::fields::{le16, le32, le64};
use alloc::format;
use alloc::vec::Vec;

/// Length of an entry in bytes.
pub const ERROR_ENTRY: usize = 64;
/// The newest entries that are asked for: what a 4 KiB answer holds, and what smartctl asks for.
pub const ERROR_ENTRIES_MAX: u16 = 16;
/// The status field: bit 0 is the phase tag or reserved; code and type stand in bits 1 to 11.
const CODE_MASK: u16 = 0x7ff;
/// Status code type 2: media and data integrity.
const MEDIA: core::ops::RangeInclusive<u16> = 0x280..=0x2ff;
/// A command that has no address carries all ones.
const NO_ADDRESS: u64 = u64::MAX;

/// The entries that hold an error, newest first.
#[must_use]
pub fn errors(log: &[u8]) -> Vec<LoggedError> {
    log.chunks_exact(ERROR_ENTRY)
        .take(usize::from(ERROR_ENTRIES_MAX))
        .filter_map(|entry| {
            // An error count of 0: the entry is not used.
            let number = le64(entry, 0).filter(|count| *count != 0)?;
            let status = le16(entry, 12)?;
            let code = status >> 1 & CODE_MASK;
            let mut what = format!("status {status:#06x}");
            if let Some(name) = name(code) {
                what.push_str(&format!(" ({name})"));
            }
            if MEDIA.contains(&code)
                && let Some(lba) = le64(entry, 16).filter(|lba| *lba != NO_ADDRESS)
            {
                what.push_str(&format!(" at LBA {lba}"));
                if let Some(namespace) = le32(entry, 24).filter(|n| *n > 1 && *n != u32::MAX) {
                    what.push_str(&format!(" of namespace {namespace}"));
                }
            }
            Some(LoggedError {
                number: Some(number),
                hours: None,
                what,
            })
        })
        .collect()
}

/// Names of the status codes that a technician meets (figures 95 to 104): type in bits 8 to 10, code below.
const fn name(code: u16) -> Option<&'static str> {
    Some(match code {
        0x001 => "invalid command opcode",
        0x002 => "invalid field in command",
        0x004 => "data transfer error",
        0x005 => "aborted by loss of power",
        0x006 => "internal error",
        0x007 => "abort requested",
        0x00b => "invalid namespace",
        0x080 => "LBA out of range",
        0x109 => "invalid log page",
        0x280 => "write fault",
        0x281 => "unrecovered read error",
        0x282 => "guard check error",
        0x283 => "application tag check error",
        0x284 => "reference tag check error",
        0x285 => "compare failure",
        0x286 => "access denied",
        0x287 => "deallocated or unwritten block",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_entries_are_named_and_unused_ones_are_not() {
        let mut log = vec![0u8; ERROR_ENTRY * 4 + 5];
        let mut put = |slot: usize, count: u64, status: u16, lba: u64, namespace: u32| {
            let entry = &mut log[slot * 64..slot * 64 + 64];
            entry[..8].copy_from_slice(&count.to_le_bytes());
            entry[12..14].copy_from_slice(&status.to_le_bytes());
            entry[16..24].copy_from_slice(&lba.to_le_bytes());
            entry[24..28].copy_from_slice(&namespace.to_le_bytes());
        };
        put(0, 9, 0x4004, u64::MAX, 1);
        put(1, 8, 0x281 << 1, 77, 2);
        put(3, 7, 0x0ee << 1, 5, 1);
        let lines: Vec<_> = errors(&log)
            .into_iter()
            .map(|e| format!("{} {}", e.number.unwrap(), e.what))
            .collect();
        assert_eq!(
            lines,
            [
                "9 status 0x4004 (invalid field in command)",
                "8 status 0x0502 (unrecovered read error) at LBA 77 of namespace 2",
                "7 status 0x01dc",
            ]
        );
        assert!(errors(&[1; 63]).is_empty());
        assert_eq!(errors(&[1; 64 * 200]).len(), usize::from(ERROR_ENTRIES_MAX));
    }
}
