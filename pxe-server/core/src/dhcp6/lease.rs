// SPDX-License-Identifier: Apache-2.0
//! The leases: which address is which client's, until when.
//!
//! An offer is not kept: the address that a client is offered is worked out from who it is, so that a flood of Solicits
//! costs no memory and a client is offered the same address again. It keeps no file; [`Lease6`] is what is written and read.

use super::config::Subnet6;
use super::duid::Duid;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::Ipv6Addr;
use groundstate_api::boot::Firmware;
use groundstate_api::{MacAddr, Millis, SystemUuid};
use serde::{Deserialize, Serialize};

/// Leases that are remembered, those that ran out included: it bounds memory (about 300 bytes each) and the search for a
/// free address. Reserved addresses are not counted.
pub const LEASES_MAX: usize = 65_536;
/// How long a declined address is left alone.
const DECLINED: Millis = Millis::secs(600);
/// Places where a client's address may be, tried before the pool is walked.
const PLACES: u64 = 16;
/// How long a pool that was found full is not searched again, unless an address becomes free.
const FULL: Millis = Millis::secs(1);

/// How an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseState6 {
    /// Taken.
    Bound,
    /// Its client found it in use by somebody else.
    Declined,
}

/// One address that was given to a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease6 {
    /// The address.
    pub address: Ipv6Addr,
    /// Whose it is.
    pub duid: Duid,
    /// Which of its identity associations.
    pub iaid: u32,
    /// How it stands.
    pub state: LeaseState6,
    /// Until when, milliseconds since 1970.
    pub until: Millis,
    /// The machine's MAC address, where it was seen.
    pub mac: Option<MacAddr>,
    /// The machine's UUID, where it was heard.
    pub uuid: Option<SystemUuid>,
    /// The firmware that the machine last booted with, where it was heard.
    pub firmware: Option<Firmware>,
}

impl Lease6 {
    /// Whether it holds now.
    #[must_use]
    pub fn holds(&self, now: Millis) -> bool {
        now < self.until
    }
}

/// Every lease.
#[derive(Clone, Debug, Default)]
pub(super) struct Leases {
    by_address: BTreeMap<Ipv6Addr, Lease6>,
    by_client: BTreeMap<(Duid, u32), Ipv6Addr>,
    by_end: BTreeSet<(Millis, Ipv6Addr)>,
    reserved: BTreeSet<Ipv6Addr>,
    /// First addresses of pools that were found full, and until when that is believed.
    full: BTreeMap<Ipv6Addr, Millis>,
}

impl Leases {
    /// Takes leases back that were kept; those outside every pool, and the older of two for one client, are left out.
    pub(super) fn restore(
        subnets: &[Subnet6],
        reserved: BTreeSet<Ipv6Addr>,
        kept: impl IntoIterator<Item = Lease6>,
    ) -> Self {
        let mut leases = Self {
            reserved,
            ..Self::default()
        };
        let mut kept: Vec<Lease6> = kept.into_iter().collect();
        kept.sort_by_key(|lease| lease.until);
        for lease in kept {
            let served = leases.reserved.contains(&lease.address)
                || subnets.iter().any(|subnet| subnet.in_pool(lease.address));
            if served && leases.make_room(Millis(0), lease.address) {
                leases.put(lease);
            }
        }
        leases
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Lease6> {
        self.by_address.values()
    }

    pub(super) fn of_address(&self, address: Ipv6Addr) -> Option<&Lease6> {
        self.by_address.get(&address)
    }

    pub(super) fn of_client(&self, duid: &Duid, iaid: u32) -> Option<&Lease6> {
        let address = self.by_client.get(&(duid.clone(), iaid))?;
        self.by_address.get(address)
    }

    /// Whether the client may have this address now: it is its own, or nobody's.
    pub(super) fn may_have(&self, now: Millis, duid: &Duid, iaid: u32, address: Ipv6Addr) -> bool {
        match self.by_address.get(&address) {
            None => true,
            Some(lease) => match lease.state {
                LeaseState6::Bound => {
                    (&lease.duid == duid && lease.iaid == iaid) || !lease.holds(now)
                }
                LeaseState6::Declined => !lease.holds(now),
            },
        }
    }

    /// An address of the pool for the client: its own, else the first free one of its wishes, else one of those that its
    /// name points to, else the first after these that nobody ever had, else the one that ran out first.
    pub(super) fn pick(
        &mut self,
        now: Millis,
        subnet: &Subnet6,
        duid: &Duid,
        iaid: u32,
        wishes: &[Ipv6Addr],
        apart: &[Ipv6Addr],
    ) -> Option<Ipv6Addr> {
        let own = self.of_client(duid, iaid).map(|lease| lease.address);
        let usable =
            |a: &Ipv6Addr| subnet.in_pool(*a) && !self.reserved.contains(a) && !apart.contains(a);
        let mut first: Vec<Ipv6Addr> = own.into_iter().chain(wishes.iter().copied()).collect();
        let seed = scatter(duid, iaid);
        first.extend(
            (0..PLACES).map(|place| place_in(subnet, seed.wrapping_add(place.wrapping_mul(STEP)))),
        );
        let free = |a: &Ipv6Addr| usable(a) && self.may_have(now, duid, iaid, *a);
        if let Some(address) = first.into_iter().find(free) {
            return Some(address);
        }
        if self
            .full
            .get(&subnet.first)
            .is_some_and(|until| now < *until)
        {
            return None;
        }
        let begin = place_in(subnet, seed);
        let found = self
            .gap(begin, subnet.last, &usable)
            .or_else(|| self.gap(subnet.first, begin, &usable))
            .or_else(|| {
                let over = self.by_end.iter().take_while(|(until, _)| *until <= now);
                over.map(|(_, address)| *address).find(usable)
            });
        if found.is_none() {
            self.full.insert(subnet.first, now.plus(FULL));
        }
        found
    }

    /// The first usable address between two that has no lease. It takes at most as many steps as there are leases and
    /// reservations.
    fn gap(
        &self,
        from: Ipv6Addr,
        to: Ipv6Addr,
        usable: &impl Fn(&Ipv6Addr) -> bool,
    ) -> Option<Ipv6Addr> {
        let steps = self.by_address.len() + self.reserved.len() + super::request::ADDRESSES_MAX;
        (u128::from(from)..=u128::from(to))
            .take(steps.saturating_add(2))
            .map(Ipv6Addr::from)
            .find(|a| !self.by_address.contains_key(a) && usable(a))
    }

    /// Makes room for a lease of this address; false where every lease holds. A lease that ran out first is forgotten
    /// first.
    pub(super) fn make_room(&mut self, now: Millis, address: Ipv6Addr) -> bool {
        let counted = self.by_address.len().saturating_sub(self.reserved.len());
        if counted < LEASES_MAX
            || self.reserved.contains(&address)
            || self.by_address.contains_key(&address)
        {
            return true;
        }
        match self.by_end.first().copied() {
            Some((until, oldest)) if until <= now => {
                self.forget(oldest);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Writes a lease: the client has this address and no other, the address this client and no other. A declined address
    /// is no client's.
    pub(super) fn put(&mut self, lease: Lease6) {
        self.forget(lease.address);
        let client = (lease.duid.clone(), lease.iaid);
        if lease.state == LeaseState6::Bound
            && let Some(old) = self.by_client.insert(client, lease.address)
        {
            self.forget_address(old);
        }
        self.by_end.insert((lease.until, lease.address));
        self.by_address.insert(lease.address, lease);
    }

    /// The client gives its address back: the lease ends now, and is remembered.
    pub(super) fn release(
        &mut self,
        now: Millis,
        duid: &Duid,
        iaid: u32,
        address: Ipv6Addr,
    ) -> bool {
        self.change(duid, iaid, address, |lease| lease.until = now)
    }

    /// The client says that somebody else uses its address: nobody gets it for a while.
    pub(super) fn decline(
        &mut self,
        now: Millis,
        duid: &Duid,
        iaid: u32,
        address: Ipv6Addr,
    ) -> bool {
        self.change(duid, iaid, address, |lease| {
            lease.state = LeaseState6::Declined;
            lease.until = now.plus(DECLINED);
        })
    }

    fn change(
        &mut self,
        duid: &Duid,
        iaid: u32,
        address: Ipv6Addr,
        change: impl FnOnce(&mut Lease6),
    ) -> bool {
        let own = self.of_address(address).filter(|lease| {
            lease.state == LeaseState6::Bound && &lease.duid == duid && lease.iaid == iaid
        });
        let Some(mut lease) = own.cloned() else {
            return false;
        };
        change(&mut lease);
        self.full.clear();
        self.put(lease);
        true
    }

    fn forget(&mut self, address: Ipv6Addr) {
        if let Some(old) = self.forget_address(address) {
            let client = (old.duid, old.iaid);
            if self.by_client.get(&client) == Some(&address) {
                self.by_client.remove(&client);
            }
        }
    }

    fn forget_address(&mut self, address: Ipv6Addr) -> Option<Lease6> {
        let old = self.by_address.remove(&address)?;
        self.by_end.remove(&(old.until, address));
        Some(old)
    }
}

/// The distance between the places of one client: odd, so that in any pool they differ.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where a client's address is looked for: FNV-1a of who it is, so that an offer is stable without memory.
fn scatter(duid: &Duid, iaid: u32) -> u64 {
    let bytes = duid.bytes().iter().copied().chain(iaid.to_be_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn place_in(subnet: &Subnet6, place: u64) -> Ipv6Addr {
    let (first, last) = (u128::from(subnet.first), u128::from(subnet.last));
    let size = last.saturating_sub(first).saturating_add(1);
    (first + u128::from(place) % size).into()
}
