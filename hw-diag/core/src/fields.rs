// SPDX-License-Identifier: Apache-2.0
//! Fields of fixed layouts: little-endian numbers and fixed-width text. A field beyond the end is `None`, never a panic.

use alloc::string::String;

/// The longest text taken from hardware, in characters. Real SMBIOS strings end at 64; what comes beyond is not ours to
/// carry through reports.
pub(crate) const TEXT_MAX: usize = 128;

pub(crate) fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    chunk(bytes, at).map(u16::from_le_bytes)
}

pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    chunk(bytes, at).map(u32::from_le_bytes)
}

pub(crate) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    chunk(bytes, at).map(u64::from_le_bytes)
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    chunk(bytes, at).map(u16::from_be_bytes)
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    chunk(bytes, at).map(u32::from_be_bytes)
}

pub(crate) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    chunk(bytes, at).map(u64::from_be_bytes)
}

pub(crate) fn le128(bytes: &[u8], at: usize) -> Option<u128> {
    chunk(bytes, at).map(u128::from_le_bytes)
}

pub(crate) fn bytes16(bytes: &[u8], at: usize) -> Option<[u8; 16]> {
    chunk(bytes, at)
}

/// Text from hardware, made safe for reports and screens: it ends at the first NUL, printable ASCII stays, anything else
/// becomes `?`, blanks at both ends go, and at most 128 characters are kept.
#[must_use]
pub fn clean(bytes: &[u8]) -> String {
    let text: String = bytes
        .iter()
        .take_while(|byte| **byte != 0)
        .map(|byte| {
            if byte.is_ascii_graphic() || *byte == b' ' {
                char::from(*byte)
            } else if byte.is_ascii_whitespace() {
                ' '
            } else {
                '?'
            }
        })
        .collect();
    text.trim().chars().take(TEXT_MAX).collect()
}

/// Fixed-width text at `at`; empty where the bytes end before it does.
pub(crate) fn text(bytes: &[u8], at: usize, length: usize) -> String {
    at.checked_add(length)
        .and_then(|end| bytes.get(at..end))
        .map(clean)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_hardware_cannot_carry_control_characters() {
        assert_eq!(clean(b"  WD-1\x1b[31m\xff \0rest"), "WD-1?[31m?");
        assert_eq!(clean(&[b'A'; 500]).len(), TEXT_MAX);
        assert_eq!(text(b"abc", 1, 2), "bc");
        assert_eq!(text(b"abc", usize::MAX, 2), "");
    }
}
