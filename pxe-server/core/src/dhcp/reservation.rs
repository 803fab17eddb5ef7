// SPDX-License-Identifier: Apache-2.0
//! Addresses that are one machine's alone, found by MAC address, UUID or relay port.

use super::config::{Reservation, Who};
use super::request::Request;
use super::subnet::{NAME_MAX, ServerConfigError, SubnetId, Subnets, is_name};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

/// Reservations of one server: as many machines as a large site has. Each costs about 200 bytes.
const RESERVATIONS_MAX: usize = 65_536;
/// Sub-options of option 82 (RFC 3046).
const CIRCUIT: u8 = 1;
const REMOTE: u8 = 2;

/// Why a reservation cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReservationError {
    /// The address is in no subnet, or no host's.
    #[error("it is not a host address of any subnet; there are {subnets}")]
    Outside {
        /// The subnets.
        subnets: String,
    },
    /// The address is the server's own, or a router's.
    #[error("it is the server's or a router's")]
    Ours,
    /// The address is reserved twice.
    #[error("it is reserved twice")]
    Twice,
    /// One machine has two addresses in one subnet.
    #[error("the same machine has another reservation in this subnet, {other}")]
    SameMachine {
        /// The other address.
        other: Ipv4Addr,
    },
    /// A circuit-id that is empty or too long.
    #[error("its relay port has a circuit-id or remote-id of {bytes} bytes; it must have 1 to 253")]
    RelayPort {
        /// How long.
        bytes: usize,
    },
    /// The host name is no name.
    #[error(
        "its host name is {name:?}; a host name has 1 to {NAME_MAX} letters, digits, '-', '_' and dots"
    )]
    HostName {
        /// As given.
        name: String,
    },
}

/// Every reservation.
#[derive(Clone, Debug, Default)]
pub(super) struct Reservations {
    list: Vec<Reservation>,
    by_address: BTreeMap<Ipv4Addr, usize>,
    by_who: BTreeMap<(SubnetId, Who), usize>,
    /// Whether any is by relay port, so that option 82 is worth looking at.
    ports: bool,
}

impl Reservations {
    pub(super) fn new(
        list: &[Reservation],
        subnets: &Subnets,
        ours: Ipv4Addr,
    ) -> Result<Self, ServerConfigError> {
        let (count, most) = (list.len(), RESERVATIONS_MAX);
        if count > most {
            return Err(ServerConfigError::Reservations { count, most });
        }
        let mut found = Self::default();
        for reservation in list {
            let address = reservation.address;
            found
                .add(reservation, subnets, ours)
                .map_err(|why| ServerConfigError::Reservation { address, why })?;
        }
        Ok(found)
    }

    fn add(
        &mut self,
        reservation: &Reservation,
        subnets: &Subnets,
        ours: Ipv4Addr,
    ) -> Result<(), ReservationError> {
        let address = reservation.address;
        let Some((id, subnet)) = subnets.of(address).filter(|(_, it)| it.is_host(address)) else {
            let subnets = subnets.words();
            return Err(ReservationError::Outside { subnets });
        };
        if address == ours || subnet.config.router == Some(address) {
            return Err(ReservationError::Ours);
        }
        if let Who::RelayPort { circuit, remote } = &reservation.who {
            self.ports = true;
            for part in [Some(circuit), remote.as_ref()].into_iter().flatten() {
                if !(1..=253).contains(&part.len()) {
                    return Err(ReservationError::RelayPort { bytes: part.len() });
                }
            }
        }
        if let Some(name) = reservation.host_name.as_ref().filter(|name| !is_name(name)) {
            return Err(ReservationError::HostName { name: name.clone() });
        }
        let at = self.list.len();
        if self.by_address.insert(address, at).is_some() {
            return Err(ReservationError::Twice);
        }
        if let Some(other) = self.by_who.insert((id, reservation.who.clone()), at) {
            let other = self.list.get(other).map_or(address, |it| it.address);
            return Err(ReservationError::SameMachine { other });
        }
        self.list.push(reservation.clone());
        Ok(())
    }

    /// The reservation of an address.
    pub(super) fn of_address(&self, address: Ipv4Addr) -> Option<&Reservation> {
        self.list.get(*self.by_address.get(&address)?)
    }

    /// The reservation of whoever asks, in this subnet: by MAC address before UUID before relay port.
    pub(super) fn of(&self, request: &Request, subnet: SubnetId) -> Option<&Reservation> {
        if self.list.is_empty() {
            return None;
        }
        let find = |who: Who| self.list.get(*self.by_who.get(&(subnet, who))?);
        find(Who::Mac(request.mac))
            .or_else(|| find(Who::Uuid(request.uuid?)))
            .or_else(|| {
                let circuit = request.relay_said(CIRCUIT).filter(|_| self.ports)?.to_vec();
                let remote = request.relay_said(REMOTE).map(<[u8]>::to_vec);
                let exact = remote.and_then(|remote| {
                    find(Who::RelayPort {
                        circuit: circuit.clone(),
                        remote: Some(remote),
                    })
                });
                exact.or_else(|| {
                    find(Who::RelayPort {
                        circuit: circuit.clone(),
                        remote: None,
                    })
                })
            })
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.by_address.keys().copied()
    }
}
