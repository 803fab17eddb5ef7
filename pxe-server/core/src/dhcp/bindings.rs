// SPDX-License-Identifier: Apache-2.0
//! Which address is whose, and which of those that nobody holds any more is used again first.
//!
//! A machine has one address, an address one machine. Both are found without a search, and so is the next one to use
//! again, whatever the number of leases. An entry takes 48 bytes, its places in the three tables about 80 more.

use super::lease::{Lease, LeaseState};
use super::subnet::SubnetId;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use groundstate_api::{MacAddr, Millis};

/// In which order addresses that nobody holds are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Leased once, for one boot.
    Once,
    /// Declined; its time has passed.
    Declined,
    /// A machine's that came back to it over a long time.
    Settled,
}

/// Subnet, class, end and address: those of one subnet and class lie together, the oldest end first. One number, so that
/// a place costs 16 bytes.
type Key = u128;

fn key(subnet: SubnetId, class: Class, until: Millis, address: Ipv4Addr) -> Key {
    let class: u8 = match class {
        Class::Once => 0,
        Class::Declined => 1,
        Class::Settled => 2,
    };
    u128::from(subnet) << 104
        | u128::from(class) << 96
        | u128::from(until.0) << 32
        | u128::from(u32::from(address))
}

/// No entry.
const NONE: u32 = u32::MAX;

/// Which address is whose.
#[derive(Clone, Debug)]
pub(super) struct Bindings {
    /// By the address's number: where its entry is.
    places: Vec<u32>,
    entries: Vec<Option<Lease>>,
    vacant: Vec<u32>,
    by_mac: BTreeMap<MacAddr, Ipv4Addr>,
    reusable: BTreeSet<Key>,
}

impl Bindings {
    /// No binding of `size` addresses.
    pub(super) fn new(size: u32) -> Self {
        Self {
            places: alloc::vec![NONE; usize::try_from(size).unwrap_or(0)],
            entries: Vec::new(),
            vacant: Vec::new(),
            by_mac: BTreeMap::new(),
            reusable: BTreeSet::new(),
        }
    }

    pub(super) fn get(&self, number: u32) -> Option<&Lease> {
        let place = *self.places.get(slot(number))?;
        self.entries.get(slot(place))?.as_ref()
    }

    /// The address that a machine has or had last.
    pub(super) fn address_of(&self, mac: MacAddr) -> Option<Ipv4Addr> {
        self.by_mac.get(&mac).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.entries.iter().flatten()
    }

    /// Writes an entry in place of what stands there.
    pub(super) fn insert(&mut self, number: u32, lease: Lease) {
        self.remove(number);
        let Some(place) = self.places.get_mut(slot(number)) else {
            return;
        };
        // A declined address belongs to nobody.
        if lease.state != LeaseState::Declined {
            self.by_mac.insert(lease.mac, lease.address);
        }
        if let Some(vacant) = self.vacant.pop() {
            if let Some(entry) = self.entries.get_mut(slot(vacant)) {
                *entry = Some(lease);
            }
            *place = vacant;
            return;
        }
        if self.entries.len() == self.entries.capacity() {
            // By an eighth: doubling would leave up to half of the memory unused.
            self.entries.reserve_exact(self.entries.len() / 8 + 256);
        }
        *place = u32::try_from(self.entries.len()).unwrap_or(NONE);
        self.entries.push(Some(lease));
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Lease> {
        let place = self.places.get_mut(slot(number))?;
        let lease = self.entries.get_mut(slot(*place))?.take()?;
        self.vacant.push(*place);
        *place = NONE;
        if self.by_mac.get(&lease.mac) == Some(&lease.address) {
            self.by_mac.remove(&lease.mac);
        }
        Some(lease)
    }

    pub(super) fn reusable_insert(&mut self, subnet: SubnetId, class: Class, lease: &Lease) {
        self.reusable
            .insert(key(subnet, class, lease.until, lease.address));
    }

    pub(super) fn reusable_remove(&mut self, subnet: SubnetId, class: Class, lease: &Lease) {
        self.reusable
            .remove(&key(subnet, class, lease.until, lease.address));
    }

    /// The address of this class whose lease ended first, if that was not after `before`.
    pub(super) fn ended(&self, subnet: SubnetId, class: Class, before: Millis) -> Option<Ipv4Addr> {
        let none = Ipv4Addr::UNSPECIFIED;
        let range =
            key(subnet, class, Millis(0), none)..=key(subnet, class, before, Ipv4Addr::BROADCAST);
        let oldest = self.reusable.range(range).next()?;
        u32::try_from(oldest & u128::from(u32::MAX))
            .ok()
            .map(Ipv4Addr::from)
    }

    /// How many leases there are, and the oldest quarantine of a subnet.
    pub(super) fn first_declined(&self, subnet: SubnetId) -> Option<Ipv4Addr> {
        self.ended(subnet, Class::Declined, Millis(u64::MAX))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.vacant.len()
    }
}

fn slot(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
