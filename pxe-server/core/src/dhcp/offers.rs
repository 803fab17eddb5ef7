// SPDX-License-Identifier: Apache-2.0
//! Addresses that are offered and not taken yet.
//!
//! An offer to a stranger is a promise that gives way: a flood of made-up machines holds a bounded number of them, and the
//! oldest ends when a newer one needs its place or its address. Offers to machines that we know do not give way.

use super::subnet::SubnetId;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use groundstate_api::{MacAddr, Millis};

/// How long an offered address waits for its DHCPREQUEST: two passes of the slowest firmware.
pub(super) const OFFER: Millis = Millis::secs(60);
/// Offers to strangers in one subnet, whatever relay agents its questions come through: more machines than start at
/// once, at about 120 bytes each.
pub(super) const STRANGERS_PER_SUBNET_MAX: usize = 16_384;
/// Offers to strangers in all subnets: 8 MiB.
pub(super) const STRANGERS_MAX: usize = 65_536;

/// One offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) address: Ipv4Addr,
    pub(super) subnet: SubnetId,
    pub(super) until: Millis,
    /// Whether the machine is one that we know: it had this address before, or it is reserved for it.
    pub(super) known: bool,
}

/// Subnet, whether known, end, machine.
type End = (SubnetId, bool, Millis, MacAddr);

/// Every offer.
#[derive(Clone, Debug)]
pub(super) struct Offers {
    by_mac: BTreeMap<MacAddr, Offer>,
    by_address: BTreeMap<Ipv4Addr, MacAddr>,
    ends: BTreeSet<End>,
    /// Offers to strangers, by subnet and in all.
    strangers: Vec<usize>,
    strangers_all: usize,
}

impl Offers {
    pub(super) fn new(subnets: usize) -> Self {
        Self {
            by_mac: BTreeMap::new(),
            by_address: BTreeMap::new(),
            ends: BTreeSet::new(),
            strangers: alloc::vec![0; subnets],
            strangers_all: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_mac.len()
    }

    pub(super) fn of_machine(&self, mac: MacAddr) -> Option<&Offer> {
        self.by_mac.get(&mac)
    }

    /// To whom an address is offered.
    pub(super) fn of_address(&self, address: Ipv4Addr) -> Option<(MacAddr, &Offer)> {
        let mac = *self.by_address.get(&address)?;
        Some((mac, self.by_mac.get(&mac)?))
    }

    /// Notes an offer; the machine has no other and the address neither: they were taken away before.
    pub(super) fn insert(&mut self, mac: MacAddr, offer: Offer) {
        self.by_mac.insert(mac, offer);
        self.by_address.insert(offer.address, mac);
        self.ends
            .insert((offer.subnet, offer.known, offer.until, mac));
        if !offer.known {
            self.strangers_all += 1;
            if let Some(count) = self.strangers.get_mut(usize::from(offer.subnet)) {
                *count += 1;
            }
        }
    }

    pub(super) fn remove(&mut self, mac: MacAddr) -> Option<Offer> {
        let offer = self.by_mac.remove(&mac)?;
        self.by_address.remove(&offer.address);
        self.ends
            .remove(&(offer.subnet, offer.known, offer.until, mac));
        if !offer.known {
            self.strangers_all = self.strangers_all.saturating_sub(1);
            if let Some(count) = self.strangers.get_mut(usize::from(offer.subnet)) {
                *count = count.saturating_sub(1);
            }
        }
        Some(offer)
    }

    /// A machine of this subnet whose offer is over.
    pub(super) fn over(&self, subnet: SubnetId, now: Millis) -> Option<MacAddr> {
        [false, true].into_iter().find_map(|known| {
            self.first(subnet, known)
                .filter(|(_, _, until, _)| *until <= now)
                .map(|(_, _, _, mac)| mac)
        })
    }

    /// The stranger of this subnet that was offered an address first.
    pub(super) fn oldest_stranger(&self, subnet: SubnetId) -> Option<MacAddr> {
        self.first(subnet, false).map(|(_, _, _, mac)| mac)
    }

    /// Whose offer has to end before another stranger of this subnet gets one, so that the bounds hold: where there are
    /// too many in all, one of the subnet that has most of them.
    pub(super) fn too_many(&self, subnet: SubnetId) -> Option<MacAddr> {
        let here = self.strangers.get(usize::from(subnet)).copied();
        if here.unwrap_or_default() >= STRANGERS_PER_SUBNET_MAX {
            return self.oldest_stranger(subnet);
        }
        if self.strangers_all < STRANGERS_MAX {
            return None;
        }
        let most = (0..).zip(&self.strangers).max_by_key(|(_, count)| **count);
        self.oldest_stranger(most?.0)
    }

    fn first(&self, subnet: SubnetId, known: bool) -> Option<End> {
        let least = (subnet, known, Millis(0), MacAddr([0; 6]));
        let most = (subnet, known, Millis(u64::MAX), MacAddr([0xff; 6]));
        self.ends.range(least..=most).next().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_holds_a_bounded_number_and_takes_from_itself() {
        let mut offers = Offers::new(5);
        let mac = |subnet: u16, n: u32| {
            let ([s, t], [_, a, b, c]) = (subnet.to_be_bytes(), n.to_be_bytes());
            MacAddr([2, s ^ 0x40, t, a, b, c])
        };
        let offer = |subnet: u16, n: u32, known| Offer {
            address: (u32::from(subnet) << 24 | n).into(),
            subnet,
            until: Millis(n.into()),
            known,
        };
        offers.insert(mac(9, 0), offer(4, 0, true));
        offers.insert(mac(4, 1), offer(4, 1, false));
        let mut taken = 0;
        for subnet in 0..4 {
            for n in 1..20_000 {
                while let Some(oldest) = offers.too_many(subnet) {
                    taken += 1;
                    offers.remove(oldest).unwrap();
                }
                offers.insert(mac(subnet, n), offer(subnet, n, false));
            }
        }
        assert!(taken > 4 * 3_000);
        assert_eq!(offers.strangers_all, STRANGERS_MAX);
        assert_eq!(offers.by_mac.len(), STRANGERS_MAX + 1);
        assert_eq!(offers.by_mac.len(), offers.ends.len());
        assert_eq!(offers.by_mac.len(), offers.by_address.len());
        assert!(
            offers
                .strangers
                .iter()
                .all(|n| *n <= STRANGERS_PER_SUBNET_MAX)
        );
        // The quiet subnet keeps what it has, and the machine that is known too.
        assert!(offers.of_machine(mac(4, 1)).is_some());
        assert!(offers.of_machine(mac(9, 0)).is_some());
        assert_eq!(offers.over(4, Millis(0)), Some(mac(9, 0)));
        assert_eq!(offers.over(4, Millis(1)), Some(mac(4, 1)));
    }
}
