// SPDX-License-Identifier: Apache-2.0
//! The server: what is answered to whom.

use super::client::Client;
use super::lease::{Lease, LeaseState, LeaseTable, OFFER};
use super::quiet::Quiet;
use super::reply::{self, BootFile, Destination};
use super::request::{Message, Request};
use super::subnet::Subnet;
use crate::names::LOCAL_DISK;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use groundstate_api::boot::{BootAnswer, BootSighting};
use groundstate_api::{MacAddr, Millis, Part, Reason, ReasonCode};

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client's message came, and the boot policy answered its question.
    Asked {
        /// The message.
        request: Box<Request>,
        /// What the machine shall boot.
        answer: BootAnswer,
    },
    /// The machine fetched its iPXE script, and this is what the boot policy answered.
    ScriptAsked {
        /// The machine.
        mac: MacAddr,
        /// What it shall boot.
        answer: BootAnswer,
    },
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make this lease durable: it replaces what was kept of its address and of its machine. The replies of the same
    /// call leave after that and not before.
    Keep(Lease),
    /// Send a reply.
    Send {
        /// Where to.
        to: Destination,
        /// The bytes of the datagram.
        bytes: Vec<u8>,
    },
    /// Tell what was seen.
    Saw {
        /// Of which machine.
        mac: MacAddr,
        /// What.
        sighting: BootSighting,
    },
    /// The message got no answer.
    Dropped {
        /// Whose it was.
        mac: MacAddr,
        /// Why.
        why: Dropped,
    },
}

/// Why a message got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// The boot policy refuses the machine.
    #[error("the boot policy refuses this machine")]
    Refused,
    /// Every address is leased.
    #[error("every address of the pool is leased")]
    PoolExhausted,
    /// The relay agent is not in our subnet.
    #[error("the relay agent {0} is not in this subnet")]
    ForeignRelay(Ipv4Addr),
    /// The client chose another server.
    #[error("the client chose the server {0}")]
    OtherServer(Ipv4Addr),
    /// The message names no address, or one it does not hold.
    #[error("the message names no address that this machine holds")]
    NoAddress,
}

/// An authoritative DHCPv4 server for one subnet.
///
/// Leases run out when somebody looks; nothing has to happen at a certain time, so there is no deadline.
#[derive(Clone, Debug)]
pub struct Server {
    subnet: Subnet,
    leases: LeaseTable,
    quiet: Quiet,
}

impl Server {
    /// A server with the leases that were kept.
    #[must_use]
    pub fn new(subnet: Subnet, kept: Vec<Lease>) -> Self {
        let leases = LeaseTable::restore(&subnet, kept);
        Self {
            subnet,
            leases,
            quiet: Quiet::default(),
        }
    }

    /// The subnet.
    #[must_use]
    pub const fn subnet(&self) -> &Subnet {
        &self.subnet
    }

    /// The leases that are to be kept over a restart.
    #[must_use]
    pub fn keep(&self) -> Vec<Lease> {
        self.leases.keep()
    }

    /// Whose address this is, if it is anybody's.
    #[must_use]
    pub fn of_address(&self, address: Ipv4Addr) -> Option<&Lease> {
        self.leases.of_address(address)
    }

    /// The lease of a machine.
    #[must_use]
    pub fn of_machine(&self, mac: MacAddr) -> Option<&Lease> {
        self.leases.of_machine(mac)
    }

    /// Decides. `now` is milliseconds since 1970 and does not run backwards.
    pub fn handle(&mut self, now: Millis, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::ScriptAsked { mac, answer } => self.sighting(now, mac, &answer, out),
            Event::Asked { request, answer } => {
                let mac = request.mac;
                if let Err(why) = self.answer(now, &request, &answer, out) {
                    out.push(Action::Dropped { mac, why });
                }
            }
        }
    }

    fn answer(
        &mut self,
        now: Millis,
        request: &Request,
        answer: &BootAnswer,
        out: &mut Vec<Action>,
    ) -> Result<(), Dropped> {
        if !request.giaddr.is_unspecified() && !self.subnet.is_host(request.giaddr) {
            return Err(Dropped::ForeignRelay(request.giaddr));
        }
        match request.message {
            Message::Release => return self.release(now, request, out),
            Message::Decline => return self.decline(now, request, out),
            Message::Discover | Message::Request | Message::Inform => {}
        }
        let boot = match (answer, request.client) {
            (BootAnswer::Refuse { .. }, _) => {
                self.sighting(now, request.mac, answer, out);
                return Err(Dropped::Refused);
            }
            (BootAnswer::MaintenanceOs, Client::Unsupported { architecture }) => {
                if self.quiet.may_tell(now, request.mac) {
                    out.push(no_file(request.mac, architecture));
                }
                BootFile::None
            }
            (BootAnswer::Nothing | BootAnswer::Recipe { .. }, _) => BootFile::None,
            (BootAnswer::LocalDisk { .. }, Client::Unsupported { .. }) => {
                self.sighting(now, request.mac, answer, out);
                BootFile::None
            }
            (BootAnswer::LocalDisk { .. }, Client::Pxe(_)) => {
                self.sighting(now, request.mac, answer, out);
                BootFile::Tftp(LOCAL_DISK)
            }
            (BootAnswer::LocalDisk { .. }, Client::Http) => {
                self.sighting(now, request.mac, answer, out);
                BootFile::Http(self.subnet.http().file(LOCAL_DISK))
            }
            // For LocalDisk the script that iPXE fetches says `exit`.
            (BootAnswer::MaintenanceOs, _)
            | (BootAnswer::LocalDisk { .. }, Client::Plain | Client::Ipxe(_)) => {
                BootFile::of(request, &self.subnet)
            }
        };
        match request.message {
            Message::Discover => self.offer(now, request, &boot, out),
            Message::Request => self.grant(now, request, answer, &boot, out),
            Message::Inform if request.ciaddr.is_unspecified() => Err(Dropped::NoAddress),
            Message::Inform => {
                let (to, bytes) = reply::inform(&self.subnet, request, &boot);
                out.push(Action::Send { to, bytes });
                Ok(())
            }
            Message::Release | Message::Decline => Ok(()),
        }
    }

    fn offer(
        &mut self,
        now: Millis,
        request: &Request,
        boot: &BootFile,
        out: &mut Vec<Action>,
    ) -> Result<(), Dropped> {
        let address = self
            .leases
            .pick(now, &self.subnet, request.mac, request.requested)
            .ok_or(Dropped::PoolExhausted)?;
        // A lease that holds is not shortened to an offer.
        let bound = |lease: &&Lease| lease.state == LeaseState::Bound && lease.holds(now);
        if self.leases.of_machine(request.mac).filter(bound).is_none() {
            self.put(request, address, LeaseState::Offered, now.plus(OFFER));
        }
        let (to, bytes) = reply::grant(&self.subnet, request, address, boot);
        out.push(Action::Send { to, bytes });
        Ok(())
    }

    /// DHCPREQUEST in each of its four meanings (RFC 2131 section 4.3.2).
    fn grant(
        &mut self,
        now: Millis,
        request: &Request,
        answer: &BootAnswer,
        boot: &BootFile,
        out: &mut Vec<Action>,
    ) -> Result<(), Dropped> {
        if let Some(server) = request.server_id
            && server != self.subnet.address()
        {
            self.leases.forget_offer(request.mac);
            return Err(Dropped::OtherServer(server));
        }
        let renews = request.server_id.is_none() && !request.ciaddr.is_unspecified();
        let wanted = if renews {
            Some(request.ciaddr)
        } else {
            request.requested
        };
        let Some(address) = wanted else {
            return Err(Dropped::NoAddress);
        };
        let own = self
            .leases
            .of_machine(request.mac)
            .filter(|lease| lease.holds(now));
        let another = own.is_some_and(|lease| lease.address != address);
        // The last condition is also how a machine keeps its address when we have lost our leases.
        if another
            || !self.subnet.in_pool(address)
            || !self.leases.may_have(now, request.mac, address)
        {
            let (to, bytes) = reply::nak(&self.subnet, request);
            out.push(Action::Send { to, bytes });
            return Ok(());
        }
        let until = now.plus(Millis::secs(self.subnet.lease_secs().into()));
        self.put(request, address, LeaseState::Bound, until);
        self.keep_one(address, out);
        let (to, bytes) = reply::grant(&self.subnet, request, address, boot);
        out.push(Action::Send { to, bytes });
        // Firmware that is sent to its disk was told of as that; its lease would read as the beginning of a network boot.
        let sent_away = match request.client {
            Client::Pxe(_) | Client::Http | Client::Unsupported { .. } => {
                matches!(answer, BootAnswer::LocalDisk { .. })
            }
            Client::Plain | Client::Ipxe(_) => false,
        };
        if !renews && !sent_away {
            let sighting = BootSighting::Leased {
                address: address.to_string(),
                firmware: request.client.firmware(),
            };
            out.push(Action::Saw {
                mac: request.mac,
                sighting,
            });
        }
        Ok(())
    }

    fn release(
        &mut self,
        now: Millis,
        request: &Request,
        out: &mut Vec<Action>,
    ) -> Result<(), Dropped> {
        if !self.leases.release(now, request.mac, request.ciaddr) {
            return Err(Dropped::NoAddress);
        }
        self.keep_one(request.ciaddr, out);
        Ok(())
    }

    fn decline(
        &mut self,
        now: Millis,
        request: &Request,
        out: &mut Vec<Action>,
    ) -> Result<(), Dropped> {
        if let Some(server) = request
            .server_id
            .filter(|server| *server != self.subnet.address())
        {
            return Err(Dropped::OtherServer(server));
        }
        let declined = request
            .requested
            .filter(|a| self.leases.decline(now, request.mac, *a));
        let Some(address) = declined else {
            return Err(Dropped::NoAddress);
        };
        self.keep_one(address, out);
        Ok(())
    }

    fn keep_one(&self, address: Ipv4Addr, out: &mut Vec<Action>) {
        out.extend(self.leases.of_address(address).cloned().map(Action::Keep));
    }

    fn put(&mut self, request: &Request, address: Ipv4Addr, state: LeaseState, until: Millis) {
        let old = self.leases.of_machine(request.mac);
        let uuid = request.uuid.or_else(|| old.and_then(|lease| lease.uuid));
        let firmware = match request.client {
            // iPXE tells BIOS from UEFI, but not whether PXE or HTTP Boot loaded it.
            Client::Ipxe(firmware) => old.and_then(|lease| lease.firmware).or(firmware),
            Client::Plain | Client::Unsupported { .. } => old.and_then(|lease| lease.firmware),
            Client::Pxe(_) | Client::Http => request.client.firmware(),
        };
        self.leases.put(Lease {
            address,
            mac: request.mac,
            state,
            until,
            uuid,
            firmware,
        });
    }

    fn sighting(&mut self, now: Millis, mac: MacAddr, answer: &BootAnswer, out: &mut Vec<Action>) {
        let sighting = match answer {
            BootAnswer::MaintenanceOs | BootAnswer::Recipe { .. } | BootAnswer::Nothing => return,
            BootAnswer::LocalDisk { .. } => BootSighting::SentToLocalDisk,
            BootAnswer::Refuse { reason } => BootSighting::Refused {
                reason: reason.clone(),
            },
        };
        if self.quiet.may_tell(now, mac) {
            out.push(Action::Saw { mac, sighting });
        }
    }
}

fn no_file(mac: MacAddr, architecture: u16) -> Action {
    let reason = Reason::new(
        ReasonCode::PlanRefused,
        format!("there is no boot file for processor architecture type {architecture}"),
        "boot this machine as x86-64: BIOS, UEFI PXE or UEFI HTTP Boot",
    )
    .about(Part::Machine {
        said: mac.to_string(),
    })
    .seen(format!(
        "DHCP option 93 says {architecture}; served are 0, 7, 9 and 16"
    ));
    Action::Saw {
        mac,
        sighting: BootSighting::Refused { reason },
    }
}
