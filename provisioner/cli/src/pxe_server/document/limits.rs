// SPDX-License-Identifier: Apache-2.0
//! `[limits]`: how much is served and remembered at a time. What is not said stays as it is without the table.

use super::super::reader::Section;
use pxe_server::Limits;
use std::ops::RangeInclusive;

/// What may be leased at most, in addresses, unless somebody says less: what one pool may have.
const LEASES: RangeInclusive<u64> = 1..=1_048_576;

/// Limits, and how many addresses may be leased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pxe_server) struct Bounds {
    pub(in crate::pxe_server) limits: Limits,
    pub(in crate::pxe_server) leases: Option<u64>,
}

impl Bounds {
    /// Reads the table.
    pub(super) fn read(section: Section<'_, '_>) -> Self {
        let (usual, ranges) = (Limits::default(), Limits::RANGES);
        let count = |key, within: RangeInclusive<u64>, usual: usize| {
            let said = section.number(key, *within.start()..*within.end() + 1);
            said.map_or(usual, |at| at.value)
        };
        let limits = Limits {
            tftp_transfers: count(
                "tftp_transfers",
                ranges.tftp_transfers,
                usual.tftp_transfers,
            ),
            tftp_window: number(&section, "tftp_window", &ranges.tftp_window)
                .unwrap_or(usual.tftp_window),
            tftp_bytes_per_second: number(
                &section,
                "tftp_bytes_per_second",
                &ranges.tftp_bytes_per_second,
            ),
            http_connections: count(
                "http_connections",
                ranges.http_connections,
                usual.http_connections,
            ),
            http_connections_of_one: count(
                "http_connections_of_one",
                ranges.http_connections_of_one,
                usual.http_connections_of_one,
            ),
            boots: count("boots", ranges.boots, usual.boots),
            boots_of_one: count("boots_of_one", ranges.boots_of_one, usual.boots_of_one),
        };
        let leases = number(&section, "leases", &LEASES);
        section.end();
        Self { limits, leases }
    }
}

fn number<T: TryFrom<u64>>(
    section: &Section<'_, '_>,
    key: &'static str,
    within: &RangeInclusive<u64>,
) -> Option<T> {
    let said = section.number(key, *within.start()..*within.end() + 1);
    said.map(|at| at.value)
}

#[cfg(test)]
mod tests {
    use super::super::Document;
    use super::*;

    #[test]
    fn what_is_said_counts_and_the_rest_is_usual() {
        let text = "[limits]\ntftp_transfers = 16\ntftp_window = 8\ntftp_bytes_per_second = 100_000_000\nleases = 500\n";
        let bounds = Document::read(text).unwrap().bounds;
        assert_eq!(bounds.leases, Some(500));
        assert_eq!(
            bounds.limits,
            Limits {
                tftp_transfers: 16,
                tftp_window: 8,
                tftp_bytes_per_second: Some(100_000_000),
                ..Limits::default()
            }
        );
        let none = Document::read("").unwrap().bounds;
        assert_eq!(none, Bounds::default());
        assert_eq!(none.limits.tftp_transfers, 2_048);
    }

    #[test]
    fn what_is_out_of_range_or_unknown_is_refused_by_name_with_its_line() {
        let text = "[limits]\ntftp_transfers = 0\ntftp_window = 65\ntftp_bytes_per_second = 10\nhttp_connections = 1\nboots = 1\nboots_of_one = 0\nleases = 0\nhttp_connections_of_one = 99999\ntftp_transfer = 9\n";
        let faults = Document::read(text).unwrap_err();
        let said: Vec<String> = faults
            .iter()
            .map(|fault| format!("{} {}", fault.line, fault.what))
            .collect();
        for (line, name) in [
            (2, "limits.tftp_transfers"),
            (3, "limits.tftp_window"),
            (4, "limits.tftp_bytes_per_second"),
            (5, "limits.http_connections"),
            (6, "limits.boots"),
            (7, "limits.boots_of_one"),
            (8, "limits.leases"),
            (9, "limits.http_connections_of_one"),
            (10, "limits.tftp_transfer:"),
        ] {
            let begins = format!("{line} {name}");
            let one = said.iter().find(|text| text.starts_with(&begins));
            assert!(one.is_some(), "{begins} is not in {said:#?}");
        }
        assert_eq!(said.len(), 9, "{said:#?}");
    }
}
