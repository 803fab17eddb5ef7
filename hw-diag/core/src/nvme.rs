// SPDX-License-Identifier: Apache-2.0
//! NVMe disks: the commands to send, and what Identify Controller and the logs say, as facts.
//!
//! Refuses to judge (`disk` does) and to invent: a log of zeros is none, and a field that a drive leaves empty is no figure.

mod error_log;
#[cfg(test)]
mod garbage;
mod identify;
mod self_test;
mod smart_log;

use crate::fields::byte;

pub use error_log::{ERROR_ENTRIES_MAX, ERROR_ENTRY, errors};
pub use identify::{Controller, IDENTIFY_LENGTH, identify_controller};
pub use self_test::{ABORT, DEVICE_SELF_TEST, SELF_TEST_LENGTH, self_test_log, start};
pub use smart_log::{LOG_LENGTH, fill_smart};

/// Admin command Get Log Page.
pub const GET_LOG_PAGE: u8 = 0x02;
/// Admin command Identify.
pub const IDENTIFY: u8 = 0x06;
/// CNS of Identify Controller, Command Dword 10.
pub const CNS_CONTROLLER: u32 = 1;
/// Every namespace: the log page is the controller's.
pub const ALL_NAMESPACES: u32 = u32::MAX;
/// Log pages: the supported ones, errors, SMART / Health, Device Self-test.
pub const LOG_SUPPORTED: u8 = 0x00;
/// Error Information.
pub const LOG_ERRORS: u8 = 0x01;
/// SMART / Health Information.
pub const LOG_SMART: u8 = 0x02;
/// Device Self-test.
pub const LOG_SELF_TEST: u8 = 0x06;
/// Length of the log of supported log pages: 256 of 4 bytes.
pub const SUPPORTED_LENGTH: usize = 1024;

/// Command Dword 10 of Get Log Page: the page, and how many double words less one. `None` when `length` is no whole number
/// of double words or more than 12 bits can count, which every controller takes.
#[must_use]
pub fn log_page_dw10(page: u8, length: usize) -> Option<u32> {
    const COUNT_MAX: u32 = 0x0fff;
    let words = u32::try_from(length.checked_div(4)?).ok()?.checked_sub(1)?;
    (length.is_multiple_of(4) && words <= COUNT_MAX).then(|| words << 16 | u32::from(page))
}

/// Whether the log of supported log pages lists `page`; `None` when it is short.
#[must_use]
pub fn lists_page(supported: &[u8], page: u8) -> Option<bool> {
    let supported = supported.get(..SUPPORTED_LENGTH)?;
    Some(byte(supported, usize::from(page) * 4)? & 1 != 0)
}

/// 0 °C in kelvin, as the specification rounds it.
const KELVIN_ZERO: i32 = 273;

/// Degrees Celsius from kelvin; `None` for what no thermometer of a disk says.
fn celsius(kelvin: u16) -> Option<i16> {
    i16::try_from(i32::from(kelvin) - KELVIN_ZERO).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_page_is_asked_for_in_double_words() {
        assert_eq!(log_page_dw10(LOG_SMART, LOG_LENGTH), Some(0x007f_0002));
        assert_eq!(
            log_page_dw10(LOG_SELF_TEST, SELF_TEST_LENGTH),
            Some(0x008c_0006)
        );
        assert_eq!(log_page_dw10(1, 0), None);
        assert_eq!(log_page_dw10(1, 6), None);
        assert_eq!(log_page_dw10(1, 1 << 20), None);
        let mut supported = [0u8; SUPPORTED_LENGTH];
        supported[24] = 1;
        assert_eq!(lists_page(&supported, 6), Some(true));
        assert_eq!(lists_page(&supported, 1), Some(false));
        assert_eq!(lists_page(&supported[..9], 1), None);
    }
}
