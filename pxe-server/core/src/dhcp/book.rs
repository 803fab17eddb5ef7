// SPDX-License-Identifier: Apache-2.0
//! The book of addresses: what is free, offered, bound, and used again next.
//!
//! An address stays with its machine after the lease has run out, until it is needed: the same MAC address gets the same
//! address again. Nothing is searched: a free address is found in a bitmap from where the MAC address points, one to use
//! again at the head of an ordered set. The order for a stranger is: one that nobody ever had; the one whose lease ended
//! first; a declined one whose time has passed; one of a settled machine that has been away for [`SETTLED_KEPT`]; the one
//! that was offered to another stranger first. A machine is settled when it came back to its address later than
//! [`SETTLED_AFTER`] after a whole lease time: made-up machines do not. Until a stranger takes what it was offered, the
//! machine that had it before gets it back by asking.

use super::bindings::{Bindings, Class};
use super::declines::{DECLINED, Declines, SHARE};
use super::free::Free;
use super::lease::{Lease, LeaseState};
use super::offers::{OFFER, Offer, Offers};
use super::space::{Kind, Place, Space};
use super::subnet::{SubnetId, Subnets};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use groundstate_api::{MacAddr, Millis};

/// One boot with all its DHCP clients is over by then; who comes back later has come back.
const SETTLED_AFTER: Millis = Millis::secs(600);
/// How long a settled machine may be away before a stranger gets its address: a day and a night.
pub(super) const SETTLED_KEPT: Millis = Millis::secs(86_400);
/// Offers that have run out and are cleared away with each question, so that none pays for all of them.
const SWEEP: usize = 4;

/// Who asks for an address, and what speaks for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asks {
    pub(super) mac: MacAddr,
    /// Where it is.
    pub(super) subnet: SubnetId,
    /// What is reserved for it there.
    pub(super) reserved: Option<Ipv4Addr>,
    /// What it had last and may keep.
    pub(super) own: Option<Ipv4Addr>,
    /// What it wishes for.
    pub(super) wish: Option<Ipv4Addr>,
}

/// An address for a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Picked {
    pub(super) address: Ipv4Addr,
    /// Whether it is the machine's by reservation or because it had it before.
    pub(super) known: bool,
    /// Whether the machine did not have it before.
    pub(super) fresh: bool,
}

/// Why a machine may not have an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    #[error("{0} is not leased where the machine is")]
    NotHere(Ipv4Addr),
    #[error("{0} is reserved for another machine")]
    Reserved(Ipv4Addr),
    #[error("{0} is reserved for this machine, and it asked for another address")]
    HasReservation(Ipv4Addr),
    #[error("the machine has {0}, and it asked for another address")]
    HasAnother(Ipv4Addr),
    #[error("{address} is leased to {mac}")]
    Leased { address: Ipv4Addr, mac: MacAddr },
    #[error("{address} is kept for {mac}, which had it last")]
    Kept { address: Ipv4Addr, mac: MacAddr },
    #[error("{address} is offered to {mac}")]
    Offered { address: Ipv4Addr, mac: MacAddr },
    #[error("{0} was found in use by a machine that has no lease")]
    InUse(Ipv4Addr),
}

/// The book of addresses.
#[derive(Clone, Debug)]
pub(super) struct Book {
    space: Space,
    bindings: Bindings,
    offers: Offers,
    free: Free,
    declines: Declines,
    /// By subnet: addresses of its pools that are put aside, and from when on a machine is settled.
    declined: Vec<u32>,
    settled: Vec<Millis>,
}

impl Book {
    pub(super) fn new(space: Space, subnets: &Subnets) -> Self {
        let mut free = Free::new(space.in_pools());
        for (id, _) in subnets.iter() {
            for number in space.window(id) {
                let address = space.address(number);
                let place = address.and_then(|address| space.place(address));
                if place.is_some_and(|place| place.kind == Kind::Pool) {
                    free.insert(number);
                }
            }
        }
        let settled: Vec<Millis> = subnets
            .iter()
            .map(|(_, it)| Millis::secs(it.config.lease_secs.into()).plus(SETTLED_AFTER))
            .collect();
        Self {
            bindings: Bindings::new(space.size()),
            offers: Offers::new(settled.len()),
            declined: alloc::vec![0; settled.len()],
            declines: Declines::default(),
            free,
            settled,
            space,
        }
    }

    /// The lease of an address.
    pub(super) fn of_address(&self, address: Ipv4Addr) -> Option<&Lease> {
        self.bindings.get(self.space.place(address)?.number)
    }

    /// The lease that a machine has or had last.
    pub(super) fn of_machine(&self, mac: MacAddr) -> Option<&Lease> {
        self.of_address(self.bindings.address_of(mac)?)
    }

    /// Whether a machine has an offer or a lease.
    pub(super) fn knows(&self, mac: MacAddr) -> bool {
        self.bindings.address_of(mac).is_some() || self.offers.of_machine(mac).is_some()
    }

    pub(super) fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.bindings.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.bindings.len()
    }

    pub(super) fn offers(&self) -> usize {
        self.offers.len()
    }

    pub(super) fn place(&self, address: Ipv4Addr) -> Option<Place> {
        self.space.place(address)
    }

    /// Whether an address is offered to this machine.
    pub(super) fn is_offered(&self, mac: MacAddr, address: Ipv4Addr) -> bool {
        self.offers
            .of_machine(mac)
            .is_some_and(|offer| offer.address == address)
    }

    /// To whom an address is offered.
    pub(super) fn offered_to(&self, address: Ipv4Addr) -> Option<MacAddr> {
        self.offers.of_address(address).map(|(mac, _)| mac)
    }

    /// An address for the machine.
    pub(super) fn pick(&mut self, now: Millis, asks: &Asks) -> Option<Picked> {
        self.sweep(now, asks.subnet);
        let mac = asks.mac;
        if let Some(address) = asks.reserved.filter(|it| self.is_open(now, mac, *it)) {
            let fresh = asks.own != Some(address);
            return Some(Picked {
                address,
                known: true,
                fresh,
            });
        }
        if let Some(address) = asks.own {
            return Some(Picked {
                address,
                known: true,
                fresh: false,
            });
        }
        self.pick_for_stranger(now, asks).map(|address| Picked {
            address,
            known: false,
            fresh: true,
        })
    }

    fn pick_for_stranger(&mut self, now: Millis, asks: &Asks) -> Option<Ipv4Addr> {
        let subnet = asks.subnet;
        let again = self.offers.of_machine(asks.mac);
        if let Some(offer) = again.filter(|it| it.subnet == subnet && !it.known) {
            return Some(offer.address);
        }
        let free = |place: Option<Place>| {
            place.is_some_and(|it| it.subnet == subnet && self.free.contains(it.number))
        };
        if let Some(wish) = asks.wish.filter(|wish| free(self.space.place(*wish))) {
            return Some(wish);
        }
        let window = self.space.window(subnet);
        let start = window.start + scatter(asks.mac).checked_rem(window.end - window.start)?;
        if let Some(number) = self.free.next_around(window, start) {
            return self.space.address(number);
        }
        let away = Millis(now.0.saturating_sub(SETTLED_KEPT.0));
        let ended = |class, before| self.bindings.ended(subnet, class, before);
        ended(Class::Once, now)
            .or_else(|| ended(Class::Declined, now))
            .or_else(|| ended(Class::Settled, away))
            .or_else(|| {
                let oldest = self.offers.oldest_stranger(subnet)?;
                Some(self.offers.of_machine(oldest)?.address)
            })
    }

    /// Notes that an address is offered.
    pub(super) fn offer(&mut self, now: Millis, asks: &Asks, picked: Picked) {
        self.end_offer(asks.mac);
        if let Some(other) = self.offered_to(picked.address) {
            self.end_offer(other);
        }
        if !picked.known {
            while let Some(oldest) = self.offers.too_many(asks.subnet) {
                self.end_offer(oldest);
            }
        }
        let offer = Offer {
            address: picked.address,
            subnet: asks.subnet,
            until: now.plus(OFFER),
            known: picked.known,
        };
        self.change(picked.address, |book, _| {
            book.offers.insert(asks.mac, offer)
        });
    }

    /// Forgets an offer.
    pub(super) fn end_offer(&mut self, mac: MacAddr) {
        if let Some(address) = self.offers.of_machine(mac).map(|offer| offer.address) {
            self.change(address, |book, _| {
                book.offers.remove(mac);
            });
        }
    }

    /// Whether the machine may have this address now. `selecting` says that it answers an offer of ours.
    pub(super) fn may_bind(
        &self,
        now: Millis,
        asks: &Asks,
        address: Ipv4Addr,
        selecting: bool,
    ) -> Result<(), Denied> {
        let place = self.space.place(address);
        let place = place
            .filter(|place| place.subnet == asks.subnet)
            .ok_or(Denied::NotHere(address))?;
        let ours = asks.reserved == Some(address) || asks.own == Some(address);
        let reserved = asks.reserved.filter(|it| *it != address);
        if let Some(reserved) = reserved.filter(|it| self.is_open(now, asks.mac, *it)) {
            return Err(Denied::HasReservation(reserved));
        }
        if place.kind == Kind::Reserved && !ours {
            return Err(Denied::Reserved(address));
        }
        if asks.reserved != Some(address) {
            self.has_another(now, asks, address)?;
        }
        let offer = self.offers.of_address(address);
        let mine = offer.is_some_and(|(mac, _)| mac == asks.mac);
        // Its offer gave way to another stranger's, and it is the first of the two to take it.
        let first = selecting
            && self.offers.of_machine(asks.mac).is_none()
            && offer.is_some_and(|(_, offer)| !offer.known);
        if let Some(lease) = self.bindings.get(place.number) {
            let mac = lease.mac;
            match (lease.state, lease.holds(now)) {
                (LeaseState::Declined, true) => return Err(Denied::InUse(address)),
                (LeaseState::Bound, true) if mac != asks.mac => {
                    return Err(Denied::Leased { address, mac });
                }
                (LeaseState::Bound, false) if mac != asks.mac && !(ours || mine || first) => {
                    return Err(Denied::Kept { address, mac });
                }
                (LeaseState::Bound, _) | (LeaseState::Declined, false) => {}
            }
        }
        match offer {
            Some((mac, offer))
                if !mine && now < offer.until && !first && (offer.known || !ours) =>
            {
                Err(Denied::Offered { address, mac })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn has_another(&self, now: Millis, asks: &Asks, address: Ipv4Addr) -> Result<(), Denied> {
        let own = asks.own.filter(|own| *own != address);
        if let Some(own) = own
            && self.of_address(own).is_some_and(|lease| lease.holds(now))
        {
            return Err(Denied::HasAnother(own));
        }
        match self.offers.of_machine(asks.mac) {
            Some(offer)
                if offer.address != address && offer.subnet == asks.subnet && now < offer.until =>
            {
                Err(Denied::HasAnother(offer.address))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Writes a lease: the machine has this address and no other, the address this machine and no other. An address that
    /// is given to nobody any more is left out.
    pub(super) fn bind(&mut self, lease: Lease) {
        if self.space.place(lease.address).is_none() {
            return;
        }
        if lease.state == LeaseState::Bound {
            self.end_offer(lease.mac);
            let old = self.bindings.address_of(lease.mac);
            if let Some(old) = old.filter(|old| *old != lease.address) {
                self.unbind(old);
            }
        }
        if let Some(other) = self.offered_to(lease.address) {
            self.end_offer(other);
        }
        self.change(lease.address, |book, number| {
            book.bindings.insert(number, lease);
        });
    }

    fn unbind(&mut self, address: Ipv4Addr) {
        self.change(address, |book, number| {
            book.bindings.remove(number);
        });
    }

    /// The machine gives its address back: the lease ends now, and is remembered.
    pub(super) fn release(
        &mut self,
        now: Millis,
        mac: MacAddr,
        address: Ipv4Addr,
    ) -> Option<Lease> {
        let lease = *self.of_address(address)?;
        if lease.mac != mac || lease.state != LeaseState::Bound {
            return None;
        }
        let until = lease.until.min(now);
        self.bind(Lease { until, ..lease });
        self.of_address(address).copied()
    }

    /// Whether this machine holds or was offered this address.
    pub(super) fn is_with(&self, mac: MacAddr, address: Ipv4Addr) -> bool {
        let bound = self
            .of_address(address)
            .is_some_and(|lease| lease.mac == mac && lease.state == LeaseState::Bound);
        bound || self.is_offered(mac, address)
    }

    /// Whether this machine's DECLINE is believed.
    pub(super) fn believe(&mut self, now: Millis, mac: MacAddr) -> bool {
        self.declines.believe(now, mac)
    }

    /// Somebody else uses this address: nobody gets it for [`DECLINED`].
    pub(super) fn put_aside(
        &mut self,
        now: Millis,
        mac: MacAddr,
        address: Ipv4Addr,
    ) -> Option<Lease> {
        let place = self.space.place(address)?;
        let window = self.space.window(place.subnet);
        let most = ((window.end - window.start) / SHARE).max(1);
        let aside = self.declined.get(usize::from(place.subnet)).copied();
        if place.kind == Kind::Pool
            && aside.unwrap_or_default() >= most
            && let Some(oldest) = self.bindings.first_declined(place.subnet)
        {
            self.unbind(oldest);
        }
        let lease = Lease {
            address,
            mac,
            state: LeaseState::Declined,
            since: now,
            until: now.plus(DECLINED),
            uuid: None,
            firmware: None,
        };
        self.bind(lease);
        Some(lease)
    }

    /// Whether nobody else holds the address.
    fn is_open(&self, now: Millis, mac: MacAddr, address: Ipv4Addr) -> bool {
        self.of_address(address).is_none_or(|lease| {
            !lease.holds(now) || lease.state == LeaseState::Bound && lease.mac == mac
        })
    }

    fn sweep(&mut self, now: Millis, subnet: SubnetId) {
        for _ in 0..SWEEP {
            match self.offers.over(subnet, now) {
                Some(mac) => self.end_offer(mac),
                None => return,
            }
        }
    }

    /// Changes what stands about an address. Before and after, the free and the reusable addresses are what the bindings
    /// and the offers say: an address is free when it has neither, and reusable when it has a binding and no offer.
    fn change(&mut self, address: Ipv4Addr, change: impl FnOnce(&mut Self, u32)) {
        let Some(Place {
            number,
            subnet,
            kind,
        }) = self.space.place(address)
        else {
            return;
        };
        if kind == Kind::Reserved {
            change(self, number);
            return;
        }
        if let Some(lease) = self.bindings.get(number).copied() {
            let class = self.class(subnet, &lease);
            self.bindings.reusable_remove(subnet, class, &lease);
            self.count_declined(subnet, class, u32::wrapping_sub);
        }
        change(self, number);
        let offered = self.offers.of_address(address).is_some();
        match self.bindings.get(number).copied() {
            Some(lease) => {
                self.free.remove(number);
                let class = self.class(subnet, &lease);
                self.count_declined(subnet, class, u32::wrapping_add);
                if !offered {
                    self.bindings.reusable_insert(subnet, class, &lease);
                }
            }
            None if offered => self.free.remove(number),
            None => self.free.insert(number),
        }
    }

    fn class(&self, subnet: SubnetId, lease: &Lease) -> Class {
        let settled = self.settled.get(usize::from(subnet)).copied();
        let settled = settled.unwrap_or(Millis(u64::MAX));
        match lease.state {
            LeaseState::Declined => Class::Declined,
            LeaseState::Bound if lease.until.since(lease.since) >= settled => Class::Settled,
            LeaseState::Bound => Class::Once,
        }
    }

    fn count_declined(&mut self, subnet: SubnetId, class: Class, by: fn(u32, u32) -> u32) {
        let count = self.declined.get_mut(usize::from(subnet));
        if let Some(count) = count.filter(|_| class == Class::Declined) {
            *count = by(*count, 1);
        }
    }
}

/// Where in the pools a machine's search begins: FNV-1a of its MAC address, so that an address is stable without memory.
fn scatter(mac: MacAddr) -> u32 {
    mac.0.iter().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}
