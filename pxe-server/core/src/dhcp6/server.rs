// SPDX-License-Identifier: Apache-2.0
//! The server: what is answered to whom (RFC 8415 section 18.3).

use super::choose::why_none;
use super::config::{Dhcp6Config, Dhcp6ConfigError, Subnet6};
use super::duid::Duid;
use super::lease::{Lease6, LeaseState6, Leases};
use super::reply::{self, Answered, Destination6, Granted, Kind, Reply};
use super::request::{Message6, Request6};
use super::wire::Status;
use crate::dhcp::{BootFile, Client, Quiet, boot_file, no_file};
use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::net::Ipv6Addr;
use groundstate_api::boot::{BootAnswer, BootSighting, Firmware};
use groundstate_api::boot_session::{BootStep, Via};
use groundstate_api::{MacAddr, Millis};

/// What happened.
#[derive(Clone, Debug)]
pub enum Event6 {
    /// A client's message came.
    Asked {
        /// The message.
        request: Box<Request6>,
        /// What the boot policy answered; `None` where it could not be asked because no MAC address is known.
        answer: Option<BootAnswer>,
    },
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action6 {
    /// Make this lease durable: it replaces what was kept of its address and of its client. The reply of the same call
    /// leaves after that and not before.
    Keep(Lease6),
    /// Send a reply to where the message came from.
    Send {
        /// Which port.
        to: Destination6,
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
    /// Join a step to the machine's boot session.
    Step {
        /// The machine.
        mac: MacAddr,
        /// The step.
        step: BootStep,
    },
    /// The message got no answer.
    Dropped {
        /// Whose it was, where that is known.
        mac: Option<MacAddr>,
        /// Why.
        why: Dropped6,
    },
}

/// Why a message got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dropped6 {
    /// The boot policy refuses the machine.
    #[error("the boot policy refuses this machine")]
    Refused,
    /// The boot policy says that this machine's firmware gets no answer.
    #[error("this machine's firmware gets no answer, so that it goes on to its own disk")]
    NoAnswer,
    /// No MAC address, so that the boot policy cannot be asked.
    #[error("no MAC address can be seen, so nobody knows which machine this is")]
    Nameless,
    /// The relay agent's link is none of ours.
    #[error("the relay agent's link {0} is not served here")]
    ForeignLink(Ipv6Addr),
    /// The client chose another server.
    #[error("the client chose another server")]
    OtherServer,
    /// The client names no address to confirm.
    #[error("the message names no address")]
    NoAddress,
    /// The reply would be longer than a link is sure to carry.
    #[error("the reply would have more than {} bytes", reply::REPLY_MAX)]
    TooLong,
}

/// A DHCPv6 server.
///
/// Leases run out when somebody looks; nothing has to happen at a certain time, so there is no deadline.
#[derive(Clone, Debug)]
pub struct Server6 {
    pub(super) config: Dhcp6Config,
    duid: Duid,
    pub(super) leases: Leases,
    quiet: Quiet,
}

impl Server6 {
    /// A server with this name and the leases that were kept.
    ///
    /// # Errors
    /// The first field that cannot be served.
    pub fn new(
        config: Dhcp6Config,
        duid: Duid,
        kept: impl IntoIterator<Item = Lease6>,
    ) -> Result<Self, Dhcp6ConfigError> {
        config.check()?;
        let mut reserved: alloc::collections::BTreeSet<_> =
            config.reservations.iter().map(|one| one.address).collect();
        reserved.insert(config.address);
        let leases = Leases::restore(&config.subnets, reserved, kept);
        Ok(Self {
            config,
            duid,
            leases,
            quiet: Quiet::default(),
        })
    }

    /// Serves by another configuration from now on; leases stay.
    ///
    /// # Errors
    /// The first field that cannot be served; then everything stays as it was.
    pub fn reload(&mut self, config: Dhcp6Config) -> Result<(), Dhcp6ConfigError> {
        let kept: Vec<Lease6> = self.leases.all().cloned().collect();
        *self = Self::new(config, self.duid.clone(), kept)?;
        Ok(())
    }

    /// What it was told.
    #[must_use]
    pub const fn config(&self) -> &Dhcp6Config {
        &self.config
    }

    /// The leases that are to be kept over a restart.
    pub fn leases(&self) -> impl Iterator<Item = &Lease6> {
        self.leases.all()
    }

    /// Whose address this is, if it is anybody's.
    #[must_use]
    pub fn of_address(&self, address: Ipv6Addr) -> Option<&Lease6> {
        self.leases.of_address(address)
    }

    /// Decides. `now` is milliseconds since 1970 and does not run backwards.
    pub fn handle(&mut self, now: Millis, event: Event6, out: &mut Vec<Action6>) {
        match event {
            Event6::Asked { request, answer } => {
                let mac = request.mac;
                if let Err(why) = self.answer(now, &request, answer, out) {
                    if let Some(mac) = mac.filter(|_| why != Dropped6::OtherServer) {
                        let (via, why) = (Via::Dhcp6, why.to_string());
                        let step = BootStep::Unanswered { via, why };
                        out.push(Action6::Step { mac, step });
                    }
                    out.push(Action6::Dropped { mac, why });
                }
            }
        }
    }

    fn answer(
        &mut self,
        now: Millis,
        request: &Request6,
        answer: Option<BootAnswer>,
        out: &mut Vec<Action6>,
    ) -> Result<(), Dropped6> {
        if request
            .server
            .as_ref()
            .is_some_and(|server| server != self.duid.bytes())
        {
            return Err(Dropped6::OtherServer);
        }
        if request.unicast {
            return self.use_multicast(request, out);
        }
        let subnet = self.subnet(request)?;
        if request.message == Message6::Solicit {
            step(
                request,
                out,
                BootStep::Asked {
                    via: Via::Dhcp6,
                    client: request.client.words().into_owned(),
                    firmware: request.client.firmware(),
                },
            );
        }
        // What ends a lease is heard from everybody who holds one.
        match request.message {
            Message6::Release | Message6::Decline => {
                return self.give_back(now, request, out);
            }
            Message6::Solicit
            | Message6::Request
            | Message6::Confirm
            | Message6::Renew
            | Message6::Rebind
            | Message6::InformationRequest => {}
        }
        let answer = match answer {
            Some(answer) => answer,
            None if request.client == Client::Plain && self.config.nameless => BootAnswer::Nothing,
            None => return Err(Dropped6::Nameless),
        };
        let boot = boot_file(&answer, request.client, &self.config.boot);
        self.sighting(now, request, &answer, &boot, out);
        if boot == BootFile::NoAnswer {
            return Err(match answer {
                BootAnswer::Refuse { .. } => Dropped6::Refused,
                BootAnswer::MaintenanceOs
                | BootAnswer::LocalDisk { .. }
                | BootAnswer::Recipe { .. }
                | BootAnswer::Nothing => Dropped6::NoAnswer,
            });
        }
        match request.message {
            Message6::Solicit => self.solicit(now, &subnet, request, &answer, &boot, out),
            Message6::Request | Message6::Renew | Message6::Rebind => {
                self.grant(now, &subnet, request, &answer, &boot, false, out)
            }
            Message6::Confirm => self.confirm(&subnet, request, out),
            Message6::InformationRequest => {
                let mut reply = Reply::begin(Kind::Reply, &self.config, &self.duid, request);
                reply.network(&boot);
                send(reply, out)
            }
            Message6::Release | Message6::Decline => Ok(()),
        }
    }

    /// What came to one address of ours is discarded, and its client told where to ask: we send nobody the option Server Unicast
    /// (section 18.4).
    fn use_multicast(&self, request: &Request6, out: &mut Vec<Action6>) -> Result<(), Dropped6> {
        let kind = match request.message {
            Message6::Solicit => Kind::Advertise,
            Message6::Request
            | Message6::Confirm
            | Message6::Renew
            | Message6::Rebind
            | Message6::Release
            | Message6::Decline
            | Message6::InformationRequest => Kind::Reply,
        };
        let mut reply = Reply::bare(kind, &self.config, &self.duid, request);
        reply.status(Status::UseMulticast);
        send(reply, out)?;
        let (via, why) = (Via::Dhcp6, Status::UseMulticast.text().to_owned());
        step(request, out, BootStep::Denied { via, why });
        Ok(())
    }

    fn subnet(&self, request: &Request6) -> Result<Subnet6, Dropped6> {
        let link = request.link().unwrap_or(self.config.address);
        let served = self
            .config
            .subnets
            .iter()
            .find(|subnet| subnet.contains(link));
        let served = match (served, request.link()) {
            (None, None) => self.config.subnets.first(),
            (served, _) => served,
        };
        served.copied().ok_or(Dropped6::ForeignLink(link))
    }

    fn solicit(
        &mut self,
        now: Millis,
        subnet: &Subnet6,
        request: &Request6,
        answer: &BootAnswer,
        boot: &BootFile,
        out: &mut Vec<Action6>,
    ) -> Result<(), Dropped6> {
        if self.config.rapid_commit && request.rapid_commit {
            return self.grant(now, subnet, request, answer, boot, true, out);
        }
        let answered = self.choose(now, subnet, request);
        let mut reply = Reply::begin(Kind::Advertise, &self.config, &self.duid, request);
        reply.associations(&answered);
        reply.network(boot);
        let address = first(&answered).map(|address| address.to_string());
        let file = reply::url(&self.config, request, boot);
        send(reply, out)?;
        let via = Via::Dhcp6;
        step(request, out, BootStep::Offered { via, address, file });
        Ok(())
    }

    /// Request, Renew, Rebind, and a Solicit with rapid commit: sections 18.3.2, 18.3.4, 18.3.5, 18.3.1.
    #[allow(clippy::too_many_arguments, reason = "one call, each of its own kind")]
    fn grant(
        &mut self,
        now: Millis,
        subnet: &Subnet6,
        request: &Request6,
        answer: &BootAnswer,
        boot: &BootFile,
        rapid: bool,
        out: &mut Vec<Action6>,
    ) -> Result<(), Dropped6> {
        let renews = matches!(request.message, Message6::Renew | Message6::Rebind);
        let mut answered = self.choose(now, subnet, request);
        if renews {
            for (one, ia) in answered.iter_mut().zip(&request.ias) {
                self.keep_to_what_it_has(subnet, request, ia, one);
            }
        }
        let mut reply = Reply::begin(Kind::Reply, &self.config, &self.duid, request);
        if rapid {
            reply.rapid_commit();
        }
        reply.associations(&answered);
        reply.network(boot);
        let file = reply::url(&self.config, request, boot);
        // What cannot be told is not kept.
        let (to, bytes) = reply.end().ok_or(Dropped6::TooLong)?;
        let until = now.plus(Millis::secs(self.config.lease_secs.into()));
        for one in &answered {
            let (Granted::Address { address, .. }, Some(duid)) = (&one.granted, &request.duid)
            else {
                continue;
            };
            let lease = self.put(request, duid, one.iaid, *address, until);
            out.push(Action6::Keep(lease));
        }
        out.push(Action6::Send { to, bytes });
        let via = Via::Dhcp6;
        match first(&answered).map(|address| address.to_string()) {
            Some(address) => {
                let step_address = address.clone();
                step(
                    request,
                    out,
                    BootStep::Bound {
                        via,
                        address: step_address,
                        file,
                    },
                );
                self.leased(request, answer, address, renews, out);
            }
            None if request.ias.is_empty() => {}
            None => {
                let why = why_none(&answered).text().to_owned();
                step(request, out, BootStep::Denied { via, why });
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        request: &Request6,
        duid: &Duid,
        iaid: u32,
        address: Ipv6Addr,
        until: Millis,
    ) -> Lease6 {
        let old = self.leases.of_client(duid, iaid);
        let before = |firmware: Option<Firmware>| old.and_then(|lease| lease.firmware).or(firmware);
        let firmware = match request.client {
            // iPXE tells BIOS from UEFI, but not whether PXE or HTTP Boot loaded it.
            Client::Plain | Client::Ipxe { .. } => before(request.client.firmware()),
            Client::Pxe { .. } | Client::Http { .. } => request.client.firmware(),
        };
        let lease = Lease6 {
            address,
            duid: duid.clone(),
            iaid,
            state: LeaseState6::Bound,
            until,
            mac: request.mac,
            uuid: request.uuid,
            firmware,
        };
        self.leases.put(lease.clone());
        lease
    }

    fn confirm(
        &self,
        subnet: &Subnet6,
        request: &Request6,
        out: &mut Vec<Action6>,
    ) -> Result<(), Dropped6> {
        let mut addresses = request.ias.iter().flat_map(|ia| &ia.addresses).peekable();
        if addresses.peek().is_none() {
            return Err(Dropped6::NoAddress);
        }
        let all = addresses.all(|address| subnet.contains(*address));
        let mut reply = Reply::begin(Kind::Reply, &self.config, &self.duid, request);
        reply.status(if all {
            Status::Success
        } else {
            Status::NotOnLink
        });
        send(reply, out)
    }

    /// Release and Decline: sections 18.3.7 and 18.3.8.
    fn give_back(
        &mut self,
        now: Millis,
        request: &Request6,
        out: &mut Vec<Action6>,
    ) -> Result<(), Dropped6> {
        let mut unknown = Vec::new();
        for ia in &request.ias {
            let mut known = false;
            for address in &ia.addresses {
                let Some(duid) = &request.duid else { continue };
                let done = match request.message {
                    Message6::Decline => self.leases.decline(now, duid, ia.iaid, *address),
                    Message6::Release
                    | Message6::Solicit
                    | Message6::Request
                    | Message6::Confirm
                    | Message6::Renew
                    | Message6::Rebind
                    | Message6::InformationRequest => {
                        self.leases.release(now, duid, ia.iaid, *address)
                    }
                };
                known |= done;
                let lease = self.leases.of_address(*address).filter(|_| done);
                out.extend(lease.cloned().map(Action6::Keep));
            }
            if !known {
                unknown.push(Answered {
                    kind: ia.kind,
                    iaid: ia.iaid,
                    granted: Granted::Not(Status::NoBinding),
                });
            }
        }
        let mut reply = Reply::begin(Kind::Reply, &self.config, &self.duid, request);
        reply.status(Status::Success);
        reply.associations(&unknown);
        send(reply, out)
    }

    fn leased(
        &self,
        request: &Request6,
        answer: &BootAnswer,
        address: alloc::string::String,
        renews: bool,
        out: &mut Vec<Action6>,
    ) {
        let sent_away = matches!(answer, BootAnswer::LocalDisk { .. })
            && matches!(request.client, Client::Pxe { .. } | Client::Http { .. });
        if let Some(mac) = request.mac.filter(|_| !renews && !sent_away) {
            let firmware = request.client.firmware();
            let sighting = BootSighting::Leased { address, firmware };
            out.push(Action6::Saw { mac, sighting });
        }
    }

    fn sighting(
        &mut self,
        now: Millis,
        request: &Request6,
        answer: &BootAnswer,
        boot: &BootFile,
        out: &mut Vec<Action6>,
    ) {
        let Some(mac) = request.mac else { return };
        let sighting = match (answer, boot) {
            (BootAnswer::Refuse { reason }, _) => BootSighting::Refused {
                reason: reason.clone(),
            },
            (_, BootFile::NoFileFor { architecture }) => {
                no_file(&self.config.boot, mac, "DHCPv6 option 61", *architecture)
            }
            (BootAnswer::LocalDisk { .. }, _) if request.client != Client::Plain => {
                BootSighting::SentToLocalDisk
            }
            (
                BootAnswer::MaintenanceOs
                | BootAnswer::LocalDisk { .. }
                | BootAnswer::Recipe { .. }
                | BootAnswer::Nothing,
                _,
            ) => return,
        };
        if self.quiet.may_tell(now, mac) {
            out.push(Action6::Saw { mac, sighting });
        }
    }
}

fn first(answered: &[Answered]) -> Option<Ipv6Addr> {
    answered.iter().find_map(|one| match &one.granted {
        Granted::Address { address, .. } => Some(*address),
        Granted::Not(_) | Granted::Ended(_) => None,
    })
}

fn send(reply: Reply<'_>, out: &mut Vec<Action6>) -> Result<(), Dropped6> {
    let (to, bytes) = reply.end().ok_or(Dropped6::TooLong)?;
    out.push(Action6::Send { to, bytes });
    Ok(())
}

fn step(request: &Request6, out: &mut Vec<Action6>, step: BootStep) {
    out.extend(request.mac.map(|mac| Action6::Step { mac, step }));
}
