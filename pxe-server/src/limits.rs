// SPDX-License-Identifier: Apache-2.0
//! How much is served and remembered at a time, where somebody wants it otherwise than usual.
//!
//! It refuses nothing by itself: what reads a configuration asks [`Limits::RANGES`] what may be said.

use crate::http::{CONNECTIONS_MAX, CONNECTIONS_OF_ONE_MAX};
use pxe_core::tftp::{TRANSFERS_MAX, WINDOW_MAX};
use std::ops::RangeInclusive;

/// The limits that a person may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// TFTP transfers at a time. A further request takes the place of one that was never acknowledged, or is told to try
    /// again.
    pub tftp_transfers: usize,
    /// Blocks in flight of one transfer, whatever its client asks for.
    pub tftp_window: u16,
    /// Bytes a second of files that go out by TFTP, all transfers together; `None` for as many as there are.
    pub tftp_bytes_per_second: Option<u64>,
    /// HTTP and HTTPS connections at a time; further ones wait.
    pub http_connections: usize,
    /// The same of one address; further ones are closed.
    pub http_connections_of_one: usize,
    /// Boots that are remembered.
    pub boots: usize,
    /// Boots of one machine that are remembered.
    pub boots_of_one: usize,
}

/// What each of them may be, ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges {
    /// Of [`Limits::tftp_transfers`]. Each has a socket and about 2 KiB.
    pub tftp_transfers: RangeInclusive<u64>,
    /// Of [`Limits::tftp_window`].
    pub tftp_window: RangeInclusive<u64>,
    /// Of [`Limits::tftp_bytes_per_second`]. With less, thousands of machines would take each other for silent.
    pub tftp_bytes_per_second: RangeInclusive<u64>,
    /// Of [`Limits::http_connections`].
    pub http_connections: RangeInclusive<u64>,
    /// Of [`Limits::http_connections_of_one`]. Firmware has two at a time.
    pub http_connections_of_one: RangeInclusive<u64>,
    /// Of [`Limits::boots`]. A usual one takes about 3 KiB.
    pub boots: RangeInclusive<u64>,
    /// Of [`Limits::boots_of_one`].
    pub boots_of_one: RangeInclusive<u64>,
}

impl Limits {
    /// What may be set.
    pub const RANGES: Ranges = Ranges {
        tftp_transfers: 1..=16_384,
        tftp_window: 1..=64,
        tftp_bytes_per_second: 1_000_000..=1_000_000_000_000,
        http_connections: 2..=16_384,
        http_connections_of_one: 2..=16_384,
        boots: 16..=65_536,
        boots_of_one: 1..=64,
    };
}

impl Default for Limits {
    fn default() -> Self {
        let boots = pxe_core::session::Limits::default();
        Self {
            tftp_transfers: TRANSFERS_MAX,
            tftp_window: WINDOW_MAX,
            tftp_bytes_per_second: None,
            http_connections: CONNECTIONS_MAX,
            http_connections_of_one: CONNECTIONS_OF_ONE_MAX,
            boots: boots.sessions,
            boots_of_one: boots.per_machine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_may_be_set() {
        let (usual, ranges) = (Limits::default(), Limits::RANGES);
        let within = |range: RangeInclusive<u64>, value: usize| {
            range.contains(&u64::try_from(value).unwrap())
        };
        assert!(within(ranges.tftp_transfers, usual.tftp_transfers));
        assert!(within(ranges.tftp_window.clone(), usual.tftp_window.into()));
        assert!(within(ranges.http_connections, usual.http_connections));
        let of_one = usual.http_connections_of_one;
        assert!(within(ranges.http_connections_of_one, of_one));
        assert!(within(ranges.boots, usual.boots));
        assert!(within(ranges.boots_of_one, usual.boots_of_one));
        assert_eq!(*ranges.tftp_window.end(), u64::from(WINDOW_MAX));
    }
}
