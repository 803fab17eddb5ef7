// SPDX-License-Identifier: Apache-2.0
//! Little-endian fields of a structure.
//!
//! Callers hold whole structures of a known length; a field that lay outside would read as zero and not be written.

use crate::guid::Guid;

pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(|bytes| bytes.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(field(bytes, at))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(field(bytes, at))
}

/// VHDX stores GUIDs as GPT does: the first three fields little-endian.
pub(super) fn guid_at(bytes: &[u8], at: usize) -> Guid {
    Guid::from_gpt(field(bytes, at))
}

pub(super) fn put(out: &mut [u8], at: usize, from: &[u8]) {
    if let Some(to) = out.get_mut(at..).and_then(|out| out.get_mut(..from.len())) {
        to.copy_from_slice(from);
    }
}

/// A length or an offset as this machine indexes; none that the limits admit is beyond it.
pub(super) fn index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A length in memory as an offset.
pub(super) fn offset(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
