// SPDX-License-Identifier: Apache-2.0
//! Router Advertisements (RFC 4861) that send machines to DHCPv6: iPXE asks for no address where nobody advertises, and
//! EDK2 waits twelve seconds for somebody to.
//!
//! It advertises no router: its lifetime is 0, so that nobody sends packets for elsewhere to us. It makes no addresses
//! either: the prefix is on the link, and not for autoconfiguration.

use super::config::Dhcp6Config;
use alloc::vec::Vec;
use groundstate_api::{MacAddr, Millis};

/// Between two advertisements that nobody asked for (section 6.2.1, MaxRtrAdvInterval), and between the first three
/// (section 10, MAX_INITIAL_RTR_ADVERT_INTERVAL).
const INTERVAL: Millis = Millis::secs(600);
const INITIAL_INTERVAL: Millis = Millis::secs(16);
const INITIAL: u8 = 3;
/// Between any two (section 10, MIN_DELAY_BETWEEN_RAS): a rack that starts at once, or a flood, gets one for all.
const APART: Millis = Millis::secs(3);
/// How long an answer waits, so that several who advertise do not speak at once; at most MAX_RA_DELAY_TIME, 500 ms.
const DELAY_MAX: u64 = 500;
const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;

/// When to advertise, and what.
#[derive(Clone, Debug)]
pub struct Advertiser {
    message: Vec<u8>,
    delay: Millis,
    sent: Option<Millis>,
    initial: u8,
    next: Millis,
}

impl Advertiser {
    /// Begins now, for the interface's own network, with the interface's MAC address.
    #[must_use]
    pub fn new(now: Millis, config: &Dhcp6Config, mac: MacAddr) -> Self {
        let sum = mac
            .0
            .iter()
            .fold(0_u64, |sum, byte| sum * 31 + u64::from(*byte));
        Self {
            message: message(config, mac),
            delay: Millis(sum % DELAY_MAX),
            sent: None,
            initial: INITIAL,
            next: now,
        }
    }

    /// A datagram of ICMPv6 came. Whatever is no Router Solicitation is nothing to us.
    pub fn heard(&mut self, now: Millis, bytes: &[u8]) {
        // Type, code 0; a solicitation has at least eight bytes (section 6.1.1).
        if let [SOLICITATION, 0, _, _, _, _, _, _, ..] = bytes {
            let soonest = self.sent.map_or(now, |sent| sent.plus(APART));
            self.next = self.next.min(now.plus(self.delay).max(soonest));
        }
    }

    /// When the next advertisement is due.
    #[must_use]
    pub const fn deadline(&self) -> Millis {
        self.next
    }

    /// The advertisement for everybody on the link, where it is due. The kernel fills in its checksum.
    pub fn due(&mut self, now: Millis) -> Option<&[u8]> {
        if now < self.next {
            return None;
        }
        self.initial = self.initial.saturating_sub(1);
        let wait = if self.initial > 0 {
            INITIAL_INTERVAL
        } else {
            INTERVAL
        };
        (self.sent, self.next) = (Some(now), now.plus(wait));
        Some(&self.message)
    }
}

fn message(config: &Dhcp6Config, mac: MacAddr) -> Vec<u8> {
    /// Hops that are usual; addresses and the rest are had from DHCPv6 (M and O).
    const HEAD: [u8; 4] = [64, 0xc0, 0, 0];
    /// Prefix information of 32 bytes (section 4.6.2): 64 bits, on the link, not for autoconfiguration.
    const PREFIX: [u8; 4] = [3, 4, 64, 0x80];
    let mut bytes = alloc::vec![ADVERTISEMENT, 0, 0, 0];
    bytes.extend(HEAD);
    // Reachable time and retransmission timer: not said.
    bytes.extend([0; 8]);
    bytes.extend([1, 1]);
    bytes.extend(mac.0);
    if let Some(own) = config
        .subnets
        .iter()
        .find(|one| one.contains(config.address))
    {
        bytes.extend(PREFIX);
        for lifetime in [config.lease_secs, config.lease_secs, 0] {
            bytes.extend(lifetime.to_be_bytes());
        }
        bytes.extend(own.prefix.octets());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advertiser() -> Advertiser {
        let config = Dhcp6Config::of_interface(&[("fd77::1".parse().unwrap(), 64)], 80).unwrap();
        Advertiser::new(Millis(0), &config, MacAddr([2, 0, 0, 0, 0, 1]))
    }

    #[test]
    fn the_bytes_are_those_of_the_rfc() {
        let hex: alloc::string::String = advertiser()
            .due(Millis(0))
            .unwrap()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let expected = concat!(
            "86000000",
            "40c00000",
            "00000000",
            "00000000",
            "0101020000000001",
            "03044080",
            "00000e10",
            "00000e10",
            "00000000",
            "fd770000000000000000000000000000",
        );
        assert_eq!(hex, expected);
    }

    #[test]
    fn it_speaks_at_first_then_seldom_and_when_asked_never_twice_in_three_seconds() {
        let mut it = advertiser();
        let mut at = Vec::new();
        let mut now = Millis(0);
        while now < Millis::secs(1_300) {
            if it.due(now).is_some() {
                at.push(now.0 / 1_000);
            }
            now = now.plus(Millis(500));
        }
        assert_eq!(at, [0, 16, 32, 632, 1_232]);
        let ask = [133, 0, 0, 0, 0, 0, 0, 0];
        it.heard(now, &ask);
        assert!(
            it.deadline() <= now.plus(Millis(500)),
            "half a second at most"
        );
        let first = it.deadline();
        assert!(it.due(first).is_some());
        for n in 0..1_000 {
            it.heard(first.plus(Millis(n)), &ask);
        }
        assert_eq!(it.deadline(), first.plus(APART), "one for all");
        for other in [
            &[][..],
            &[134; 8],
            &[133, 0, 0, 0, 0, 0, 0],
            &[133, 1, 0, 0, 0, 0, 0, 0],
        ] {
            let mut it = advertiser();
            it.due(Millis(0));
            it.heard(Millis(5), other);
            assert_eq!(it.deadline(), INITIAL_INTERVAL);
        }
    }
}
