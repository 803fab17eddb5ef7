// SPDX-License-Identifier: Apache-2.0
//! What each identity association of a message gets: an address, what ends, or why it gets none (RFC 8415 section 18.3).

use super::config::{Subnet6, Who6};
use super::duid::Duid;
use super::reply::{Answered, Granted};
use super::request::{Ia, IaKind, Message6, Request6};
use super::server::Server6;
use super::wire::Status;
use alloc::vec::Vec;
use core::net::Ipv6Addr;
use groundstate_api::Millis;

impl Server6 {
    /// What each identity association of the message would get.
    pub(super) fn choose(
        &mut self,
        now: Millis,
        subnet: &Subnet6,
        request: &Request6,
    ) -> Vec<Answered> {
        let mut given = Vec::new();
        let mut answered = Vec::new();
        for ia in &request.ias {
            let strays = request.message == Message6::Request && !off_link(subnet, ia).is_empty();
            let granted = match (ia.kind, &request.duid) {
                // RFC 8415 section 18.3.2: the client then asks without an address, or begins again.
                _ if strays => Granted::Not(Status::NotOnLink),
                (IaKind::Address, Some(duid)) => {
                    self.choose_one(now, subnet, request, duid, ia, &given)
                }
                (IaKind::Address | IaKind::Temporary, _) => Granted::Not(Status::NoAddresses),
                (IaKind::Prefix, _) => Granted::Not(Status::NoPrefix),
            };
            if let Granted::Address { address, .. } = granted {
                given.push(address);
            }
            answered.push(Answered {
                kind: ia.kind,
                iaid: ia.iaid,
                granted,
            });
        }
        answered
    }

    fn choose_one(
        &mut self,
        now: Millis,
        subnet: &Subnet6,
        request: &Request6,
        duid: &Duid,
        ia: &Ia,
        given: &[Ipv6Addr],
    ) -> Granted {
        let reserved = self
            .reserved(request, duid, subnet)
            .filter(|address| !given.contains(address));
        let address = reserved.or_else(|| {
            self.leases
                .pick(now, subnet, duid, ia.iaid, &ia.addresses, given)
        });
        match address.filter(|address| self.has_room(now, *address)) {
            None => Granted::Not(Status::NoAddresses),
            Some(address) => {
                let others = ia.addresses.iter().copied().filter(|a| *a != address);
                Granted::Address {
                    address,
                    not: others.collect(),
                }
            }
        }
    }

    fn has_room(&mut self, now: Millis, address: Ipv6Addr) -> bool {
        self.leases.make_room(now, address)
    }

    fn reserved(&self, request: &Request6, duid: &Duid, subnet: &Subnet6) -> Option<Ipv6Addr> {
        let theirs = |who: &Who6| match who {
            Who6::Mac(mac) => request.mac == Some(*mac),
            Who6::Uuid(uuid) => request.uuid == Some(*uuid),
            Who6::Duid(bytes) => duid.bytes() == bytes,
        };
        let mut own = self
            .config
            .reservations
            .iter()
            .filter(|one| theirs(&one.who));
        own.find(|one| subnet.contains(one.address))
            .map(|one| one.address)
    }

    /// A client that renews is not moved to another address by the way: what it holds goes on, and what is not known here
    /// is taken up again where it is free, as it is after our leases were lost. What is not of this link ends (sections
    /// 18.3.4 and 18.3.5), on whichever other link of ours it may be.
    pub(super) fn keep_to_what_it_has(
        &self,
        subnet: &Subnet6,
        request: &Request6,
        ia: &Ia,
        one: &mut Answered,
    ) {
        let strays = off_link(subnet, ia);
        let stays = match &one.granted {
            Granted::Address { address, .. } => {
                let held = |duid: &Duid| self.leases.of_client(duid, ia.iaid).is_some();
                ia.addresses.is_empty()
                    || ia.addresses.contains(address)
                    || request.duid.as_ref().is_some_and(held)
            }
            Granted::Not(_) | Granted::Ended(_) => strays.is_empty(),
        };
        if !stays {
            one.granted = if strays.is_empty() {
                Granted::Not(Status::NoBinding)
            } else {
                Granted::Ended(strays)
            };
        }
    }
}

/// The addresses of an identity association that are not of this link. Prefixes are of no link.
fn off_link(subnet: &Subnet6, ia: &Ia) -> Vec<Ipv6Addr> {
    let named: &[Ipv6Addr] = match ia.kind {
        IaKind::Address | IaKind::Temporary => &ia.addresses,
        IaKind::Prefix => &[],
    };
    named
        .iter()
        .copied()
        .filter(|address| !subnet.contains(*address))
        .collect()
}

/// Why none of these has an address: what the first of them was told.
pub(super) fn why_none(answered: &[Answered]) -> Status {
    match answered.first().map(|one| &one.granted) {
        Some(Granted::Not(status)) => *status,
        Some(Granted::Ended(_)) => Status::NotOnLink,
        Some(Granted::Address { .. }) | None => Status::NoAddresses,
    }
}
