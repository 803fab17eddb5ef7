// SPDX-License-Identifier: Apache-2.0
//! SCSI commands (SPC-5, SBC-4) that read, and the self-tests, which read and never write.

use crate::disk::facts::SelfTestKind;

/// The longest answer that is asked for in six-byte commands and for vital product data, in bytes.
pub const SHORT_ANSWER: u8 = 252;
/// The longest answer that is asked for in log pages, in bytes: a background scan page with 2048 entries has 48 KiB.
pub const LONG_ANSWER: u16 = 0xfffc;

/// INQUIRY for the standard data.
#[must_use]
pub const fn inquiry() -> [u8; 6] {
    // 36 bytes: some old disks hang when more are asked for (as the Linux kernel knows).
    [0x12, 0, 0, 0, 36, 0]
}

/// INQUIRY for a vital product data page.
#[must_use]
pub const fn inquiry_page(page: u8) -> [u8; 6] {
    [0x12, 1, page, 0, SHORT_ANSWER, 0]
}

/// LOG SENSE for the cumulative values of a page.
#[must_use]
pub const fn log_sense(page: u8, subpage: u8, length: u16) -> [u8; 10] {
    let [high, low] = length.to_be_bytes();
    [0x4d, 0, 0x40 | page & 0x3f, subpage, 0, 0, 0, high, low, 0]
}

/// MODE SENSE (6) for the current values of a page, without block descriptors.
#[must_use]
pub const fn mode_sense_6(page: u8) -> [u8; 6] {
    [0x1a, 0x08, page & 0x3f, 0, SHORT_ANSWER, 0]
}

/// MODE SENSE (10), likewise.
#[must_use]
pub const fn mode_sense_10(page: u8) -> [u8; 10] {
    [0x5a, 0x08, page & 0x3f, 0, 0, 0, 0, 0, SHORT_ANSWER, 0]
}

/// REQUEST SENSE.
#[must_use]
pub const fn request_sense() -> [u8; 6] {
    [3, 0, 0, 0, SHORT_ANSWER, 0]
}

/// READ DEFECT DATA (12) for the head of the grown list: its length is all that counts.
#[must_use]
pub const fn read_defects_12() -> [u8; 12] {
    // Grown list, in bytes from index.
    [0xb7, 0x08 | 4, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0]
}

/// READ DEFECT DATA (10), likewise.
#[must_use]
pub const fn read_defects_10() -> [u8; 10] {
    [0x37, 0, 0x08 | 4, 0, 0, 0, 0, 0, 4, 0]
}

/// SEND DIAGNOSTIC that starts a self-test in the background; `None` for kinds that SCSI does not have.
#[must_use]
pub const fn start_self_test(kind: SelfTestKind) -> Option<[u8; 6]> {
    match kind {
        SelfTestKind::Short => Some(send_diagnostic(1)),
        SelfTestKind::Extended => Some(send_diagnostic(2)),
        SelfTestKind::Conveyance | SelfTestKind::Selective | SelfTestKind::Other => None,
    }
}

/// SEND DIAGNOSTIC that ends the self-test in the background.
#[must_use]
pub const fn abort_self_test() -> [u8; 6] {
    send_diagnostic(4)
}

const fn send_diagnostic(code: u8) -> [u8; 6] {
    [0x1d, code << 5, 0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_have_the_bytes_of_the_standard() {
        assert_eq!(inquiry_page(0x80), [0x12, 1, 0x80, 0, 252, 0]);
        assert_eq!(
            log_sense(0x15, 1, 0x1234),
            [0x4d, 0, 0x55, 1, 0, 0, 0, 0x12, 0x34, 0]
        );
        assert_eq!(mode_sense_6(0x1c), [0x1a, 8, 0x1c, 0, 252, 0]);
        assert_eq!(
            start_self_test(SelfTestKind::Extended),
            Some([0x1d, 0x40, 0, 0, 0, 0])
        );
        assert_eq!(abort_self_test(), [0x1d, 0x80, 0, 0, 0, 0]);
        assert_eq!(start_self_test(SelfTestKind::Conveyance), None);
    }
}
