// SPDX-License-Identifier: Apache-2.0
//! Log pages (SPC-5, 7.3): the list of them, and the parameters of one.

use crate::fields::{be16, byte};
use alloc::vec::Vec;

/// Log pages by number; 15h has a subpage 01h.
pub const PAGES: u8 = 0x00;
/// Write Error Counters.
pub const WRITE_ERRORS: u8 = 0x02;
/// Read Error Counters.
pub const READ_ERRORS: u8 = 0x03;
/// Verify Error Counters.
pub const VERIFY_ERRORS: u8 = 0x05;
/// Non-Medium Errors.
pub const NON_MEDIUM_ERRORS: u8 = 0x06;
/// Temperature.
pub const TEMPERATURE: u8 = 0x0d;
/// Self-Test Results.
pub const SELF_TESTS: u8 = 0x10;
/// Solid State Media.
pub const SOLID_STATE: u8 = 0x11;
/// Background Scan.
pub const BACKGROUND_SCAN: u8 = 0x15;
/// Pending Defects: subpage of the background scan.
pub const PENDING_SUBPAGE: u8 = 0x01;
/// Informational Exceptions.
pub const EXCEPTIONS: u8 = 0x2f;

/// The most parameters that are read of one page: a background scan page has at most 2,049.
const PARAMETERS_MAX: usize = 4096;

/// A parameter: its code and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter<'a> {
    /// Its code.
    pub(super) code: u16,
    /// Its value, as long as the head says and the page reaches.
    pub(super) value: &'a [u8],
}

impl Parameter<'_> {
    /// A counter of any width, saturated at 64 bits.
    pub(super) fn count(&self) -> Option<u64> {
        if self.value.is_empty() {
            return None;
        }
        let wide = self.value.len() > 8 && {
            let (head, _) = self.value.split_at(self.value.len() - 8);
            head.iter().any(|b| *b != 0)
        };
        if wide {
            return Some(u64::MAX);
        }
        let fold = |all: u64, b: &u8| all << 8 | u64::from(*b);
        Some(self.value.iter().fold(0u64, fold))
    }
}

/// The pages that page 00h lists; empty when the answer is not that page.
#[must_use]
pub fn supported(page: &[u8]) -> Vec<u8> {
    match body(page, PAGES) {
        Some(list) => list.iter().map(|page| page & 0x3f).collect(),
        None => Vec::new(),
    }
}

/// The whole length of the page whose first four bytes these are.
#[must_use]
pub fn length(head: &[u8]) -> Option<u16> {
    be16(head, 2)?.checked_add(4)
}

/// What follows the head of page `number`; cut where the answer ends.
fn body(page: &[u8], number: u8) -> Option<&[u8]> {
    if byte(page, 0)? & 0x3f != number {
        return None;
    }
    let length = usize::from(be16(page, 2)?);
    let rest = page.get(4..)?;
    Some(rest.get(..length).unwrap_or(rest))
}

/// Whether the answer is page `number`.
pub(super) fn is(page: &[u8], number: u8) -> bool {
    body(page, number).is_some()
}

/// The parameters of page `number`; a parameter that is cut off is left out.
pub(super) fn parameters(page: &[u8], number: u8) -> impl Iterator<Item = Parameter<'_>> {
    let mut rest = body(page, number).unwrap_or_default();
    core::iter::from_fn(move || {
        let code = be16(rest, 0)?;
        let end = 4 + usize::from(byte(rest, 3)?);
        let value = rest.get(4..end)?;
        rest = rest.get(end..)?;
        Some(Parameter { code, value })
    })
    .take(PARAMETERS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_end_where_the_page_does() {
        let page = [
            0x03, 0, 0, 14, 0, 3, 0, 4, 0, 0, 1, 0, 0, 6, 0, 2, 0, 5, 0, 9, 0, 9,
        ];
        let all: Vec<_> = parameters(&page, READ_ERRORS)
            .map(|p| (p.code, p.count()))
            .collect();
        assert_eq!(all, [(3, Some(256)), (6, Some(5))]);
        assert_eq!(parameters(&page[..12], READ_ERRORS).count(), 1);
        assert_eq!(parameters(&page[..11], READ_ERRORS).count(), 0);
        assert_eq!(parameters(&page, WRITE_ERRORS).count(), 0);
        assert_eq!(supported(&[0, 0, 0, 3, 0, 0x6f, 0x15]), [0, 0x2f, 0x15]);
        assert_eq!(length(&[3, 0, 0x12, 0x34]), Some(0x1238));
        assert_eq!(length(&[3, 0, 0xff, 0xff]), None);
    }

    #[test]
    fn a_counter_of_any_width_is_read() {
        let count = |value: &[u8]| Parameter { code: 0, value }.count();
        assert_eq!(count(&[]), None);
        assert_eq!(count(&[1, 0]), Some(256));
        assert_eq!(count(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 7]), Some(7));
        assert_eq!(count(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), Some(u64::MAX));
    }
}
