// SPDX-License-Identifier: Apache-2.0
//! DHCP servers on the wire that are not ours: heard when they answer, or when a client chooses one.
//!
//! It raises alarms and does nothing about them.

use super::options::{HEADER, Options, code};
use alloc::collections::BTreeMap;
use core::net::Ipv4Addr;
use groundstate_api::{MacAddr, Millis};

/// How long one server is not told of again.
const QUIET: Millis = Millis::secs(60);
/// Servers that are remembered; beyond it, further ones are not told of until others grow old. Made-up servers thus cost
/// at most this many alarms a minute.
const SERVERS_MAX: usize = 16;
const BOOTREPLY: u8 = 2;
const COOKIE: &[u8] = &[99, 130, 83, 99];

/// A DHCP server's message that was heard on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overheard {
    /// The server, as it names itself (option 54).
    pub server: Ipv4Addr,
    /// Whom it answered.
    pub mac: MacAddr,
    /// The address it gave; unspecified in a NAK.
    pub address: Ipv4Addr,
}

impl Overheard {
    /// Reads a datagram that came to port 68: a DHCPOFFER, DHCPACK or DHCPNAK that names its server. Anything else is
    /// nothing to be told of.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..HEADER)?;
        if head.first() != Some(&BOOTREPLY) || head.get(HEADER - 4..) != Some(COOKIE) {
            return None;
        }
        let options = Options::of(bytes).ok()?;
        let [2 | 5 | 6] = options.exactly::<1>(code::MESSAGE_TYPE).ok()?? else {
            return None;
        };
        Some(Self {
            server: options.address(code::SERVER_ID).ok()??,
            mac: MacAddr(*head.get(28..)?.first_chunk()?),
            address: Ipv4Addr::from(*head.get(16..)?.first_chunk::<4>()?),
        })
    }
}

/// The servers that were told of, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Foreign {
    told: BTreeMap<Ipv4Addr, Millis>,
}

impl Foreign {
    /// Whether this server is to be told of now; if so, it is noted.
    pub(super) fn may_tell(&mut self, now: Millis, server: Ipv4Addr) -> bool {
        if self
            .told
            .get(&server)
            .is_some_and(|told| now.since(*told) < QUIET)
        {
            return false;
        }
        if self.told.len() >= SERVERS_MAX {
            self.told.retain(|_, told| now.since(*told) < QUIET);
        }
        if self.told.len() >= SERVERS_MAX {
            return false;
        }
        self.told.insert(server, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_told_of_once_a_minute_and_made_up_ones_are_bounded() {
        let mut foreign = Foreign::default();
        let server = Ipv4Addr::new(10, 0, 0, 9);
        assert!(foreign.may_tell(Millis(0), server));
        assert!(!foreign.may_tell(Millis(59_999), server));
        assert!(foreign.may_tell(Millis(60_000), server));
        let flood = (0..9_000u32).filter(|n| foreign.may_tell(Millis(60_001), (*n).into()));
        assert_eq!(flood.count(), SERVERS_MAX - 1);
    }
}
