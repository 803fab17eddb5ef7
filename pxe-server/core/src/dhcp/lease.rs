// SPDX-License-Identifier: Apache-2.0
//! The leases: which address is whose, until when.
//!
//! An address stays with its machine after the lease has run out, until every other address was used: the same MAC
//! gets the same address again. It keeps no file; `Lease` is what is written and read.

use super::subnet::Subnet;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use groundstate_api::boot::Firmware;
use groundstate_api::{MacAddr, Millis, SystemUuid};
use serde::{Deserialize, Serialize};

/// How long an offered address waits for its DHCPREQUEST: two passes of the slowest firmware.
pub(super) const OFFER: Millis = Millis::secs(60);
/// How long a declined address is left alone.
pub(super) const DECLINED: Millis = Millis::secs(600);

/// How an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseState {
    /// Offered, not taken yet.
    Offered,
    /// Taken.
    Bound,
    /// Its machine found it in use by somebody else.
    Declined,
}

/// One address that was given to a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// Whose it is.
    pub mac: MacAddr,
    /// How it stands.
    pub state: LeaseState,
    /// Until when, milliseconds since 1970.
    pub until: Millis,
    /// The machine's UUID, where it was heard.
    pub uuid: Option<SystemUuid>,
    /// The firmware that the machine last booted with, where it was heard.
    pub firmware: Option<Firmware>,
}

impl Lease {
    /// Whether it holds now.
    #[must_use]
    pub fn holds(&self, now: Millis) -> bool {
        now < self.until
    }
}

/// Every lease.
#[derive(Clone, Debug, Default)]
pub struct LeaseTable {
    by_address: BTreeMap<Ipv4Addr, Lease>,
    by_mac: BTreeMap<MacAddr, Ipv4Addr>,
}

impl LeaseTable {
    /// Takes leases back that were kept; those outside the pool, and the older of two for one machine, are left out.
    #[must_use]
    pub fn restore(subnet: &Subnet, mut kept: Vec<Lease>) -> Self {
        kept.sort_by_key(|lease| lease.until);
        let mut table = Self::default();
        for lease in kept
            .into_iter()
            .filter(|lease| subnet.in_pool(lease.address))
        {
            table.put(lease);
        }
        table
    }

    /// Every lease that is worth keeping over a restart: an offer is not.
    #[must_use]
    pub fn keep(&self) -> Vec<Lease> {
        self.by_address
            .values()
            .filter(|lease| lease.state != LeaseState::Offered)
            .cloned()
            .collect()
    }

    /// The lease of an address.
    #[must_use]
    pub fn of_address(&self, address: Ipv4Addr) -> Option<&Lease> {
        self.by_address.get(&address)
    }

    /// The lease of a machine.
    #[must_use]
    pub fn of_machine(&self, mac: MacAddr) -> Option<&Lease> {
        self.by_mac
            .get(&mac)
            .and_then(|address| self.by_address.get(address))
    }

    /// Whether the machine may have this address now: it is its own, or nobody's.
    #[must_use]
    pub fn may_have(&self, now: Millis, mac: MacAddr, address: Ipv4Addr) -> bool {
        match self.by_address.get(&address) {
            None => true,
            Some(lease) => match lease.state {
                LeaseState::Offered | LeaseState::Bound => lease.mac == mac || !lease.holds(now),
                LeaseState::Declined => !lease.holds(now),
            },
        }
    }

    /// An address for the machine: its own, else the one that it wishes, else one that nobody ever had (beginning where
    /// its MAC address points), else the one that ran out first.
    #[must_use]
    pub fn pick(
        &self,
        now: Millis,
        subnet: &Subnet,
        mac: MacAddr,
        wish: Option<Ipv4Addr>,
    ) -> Option<Ipv4Addr> {
        let own = self.by_mac.get(&mac).copied();
        if let Some(address) = own.filter(|a| self.may_have(now, mac, *a)) {
            return Some(address);
        }
        if let Some(address) = wish.filter(|a| subnet.in_pool(*a) && self.may_have(now, mac, *a)) {
            return Some(address);
        }
        subnet
            .from(scatter(mac))
            .find(|a| !self.by_address.contains_key(a))
            .or_else(|| {
                let over = self.by_address.values().filter(|lease| !lease.holds(now));
                over.min_by_key(|lease| lease.until)
                    .map(|lease| lease.address)
            })
    }

    /// Writes a lease: the machine has this address and no other, the address this machine and no other. A declined
    /// address belongs to nobody.
    pub fn put(&mut self, lease: Lease) {
        if let Some(old) = self.by_address.get(&lease.address)
            && self.by_mac.get(&old.mac) == Some(&lease.address)
        {
            self.by_mac.remove(&old.mac);
        }
        if lease.state != LeaseState::Declined
            && let Some(old) = self.by_mac.insert(lease.mac, lease.address)
            && old != lease.address
        {
            self.by_address.remove(&old);
        }
        self.by_address.insert(lease.address, lease);
    }

    /// The machine gives its address back: the lease ends now, and is remembered.
    pub fn release(&mut self, now: Millis, mac: MacAddr, address: Ipv4Addr) -> bool {
        match self.by_address.get_mut(&address) {
            Some(lease) if lease.mac == mac && lease.state == LeaseState::Bound => {
                lease.until = now;
                true
            }
            Some(_) | None => false,
        }
    }

    /// The machine says that somebody else uses its address: nobody gets it for `DECLINED`.
    pub fn decline(&mut self, now: Millis, mac: MacAddr, address: Ipv4Addr) -> bool {
        match self.by_address.get_mut(&address) {
            Some(lease) if lease.mac == mac && lease.state != LeaseState::Declined => {
                lease.state = LeaseState::Declined;
                lease.until = now.plus(DECLINED);
                self.by_mac.remove(&mac);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Forgets an offer that the machine did not take.
    pub fn forget_offer(&mut self, mac: MacAddr) {
        let offered = self
            .of_machine(mac)
            .filter(|lease| lease.state == LeaseState::Offered);
        if let Some(address) = offered.map(|lease| lease.address) {
            self.by_address.remove(&address);
            self.by_mac.remove(&mac);
        }
    }
}

/// Where in the pool a machine's search begins: FNV-1a of its MAC address, so that an address is stable without memory.
fn scatter(mac: MacAddr) -> u32 {
    mac.0.iter().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}
