// SPDX-License-Identifier: Apache-2.0
//! The server: what is answered to whom.

use super::action::{Action, Dropped, Event};
use super::book::{Asks, Book, Picked};
use super::boot_file::{BootFile, boot_file};
use super::config::{BootNames, ServerConfig, Who};
use super::foreign::{Foreign, Overheard};
use super::lease::{Lease, LeaseCounts, LeaseState};
use super::reply::{self, Voice};
use super::request::{Message, Request};
use super::reservation::Reservations;
use super::space::{Kind as Place, Space};
use super::subnet::{ServerConfigError, Subnet, SubnetError, SubnetId, SubnetName, Subnets};
use super::tell::Tell;
use super::write::Kind;
use crate::names::{HttpBase, LOCAL_DISK};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use groundstate_api::boot::{BootAnswer, BootSighting};
use groundstate_api::boot_session::{BootStep, Via};
use groundstate_api::{MacAddr, Millis, Part, Reason, ReasonCode};

/// Sub-option 5 of option 82: the subnet to lease from, where it is not the relay agent's own (RFC 3527).
const LINK_SELECTION: u8 = 5;
/// Sub-option 1 of option 82.
const CIRCUIT: u8 = 1;
/// Addresses that are probed in one second, so that a flood of made-up machines is not one of probes.
const PROBES_PER_SECOND: u32 = 256;
/// The longest boot file name, in bytes: what the header's field holds.
const BOOT_NAME_MAX: usize = 127;

/// An authoritative DHCPv4 server.
///
/// A machine is known by its MAC address. Its firmware, iPXE and its operating systems send different client identifiers
/// (option 61), or none; whoever told them apart would give one machine several addresses in one boot. The identifier is
/// echoed (RFC 6842) and not looked at.
///
/// Leases run out when somebody looks; nothing has to happen at a certain time, so there is no deadline.
#[derive(Clone, Debug)]
pub struct Server {
    pub(super) config: ServerConfig,
    subnets: Subnets,
    reservations: Reservations,
    pub(super) book: Book,
    pub(super) tell: Tell,
    foreign: Foreign,
    probed: (u64, u32),
}

impl Server {
    /// A server with the leases that were kept. The newest of several for one address or one machine counts, and one for
    /// an address that is no longer given to machines is left out.
    ///
    /// # Errors
    /// The first thing in the configuration that cannot be served.
    pub fn new(
        config: ServerConfig,
        kept: impl IntoIterator<Item = Lease>,
    ) -> Result<Self, ServerConfigError> {
        let subnets = Subnets::new(&config)?;
        let reservations = Reservations::new(&config.reservations, &subnets, config.address)?;
        check_pools(&config)?;
        check_names(&config)?;
        let space = Space::new(&subnets, &reservations, config.address);
        let mut book = Book::new(space, &subnets);
        let mut kept: Vec<Lease> = kept.into_iter().collect();
        kept.sort_by_key(|lease| lease.until);
        for lease in kept {
            book.bind(lease);
        }
        Ok(Self {
            config,
            subnets,
            reservations,
            book,
            tell: Tell::default(),
            foreign: Foreign::default(),
            probed: (0, 0),
        })
    }

    /// Serves by another configuration from now on. Leases stay; offers are forgotten.
    ///
    /// # Errors
    /// The first thing in the configuration that cannot be served; then everything stays as it was.
    pub fn reload(&mut self, config: ServerConfig) -> Result<(), ServerConfigError> {
        let mut other = Self::new(config, self.book.leases().copied())?;
        core::mem::swap(&mut other.tell, &mut self.tell);
        core::mem::swap(&mut other.foreign, &mut self.foreign);
        *self = other;
        Ok(())
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// Our own address: the server identifier.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        self.config.address
    }

    /// Where our HTTP boot files are.
    #[must_use]
    pub const fn http(&self) -> HttpBase {
        self.config.http
    }

    /// The leases that are to be kept over a restart, in no order.
    #[must_use]
    pub fn keep(&self) -> Vec<Lease> {
        self.book.leases().copied().collect()
    }

    /// How many leases are in which state, counted where they are.
    #[must_use]
    pub fn lease_counts(&self, now: Millis) -> LeaseCounts {
        let mut counts = LeaseCounts::default();
        for lease in self.book.leases() {
            let count = match lease.state {
                _ if !lease.holds(now) => &mut counts.expired,
                LeaseState::Bound => &mut counts.bound,
                LeaseState::Declined => &mut counts.declined,
            };
            *count += 1;
        }
        counts
    }

    /// How many leases there are, those that have run out and are remembered included.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.book.len()
    }

    /// How many addresses are offered and not taken yet.
    #[must_use]
    pub fn offers(&self) -> usize {
        self.book.offers()
    }

    /// How many addresses of the pools may be leased ([`ServerConfig::leasable`]).
    #[must_use]
    pub fn pool_size(&self) -> u64 {
        self.config.leasable()
    }

    /// Whose address this is, if it is anybody's.
    #[must_use]
    pub fn of_address(&self, address: Ipv4Addr) -> Option<Lease> {
        self.book.of_address(address).copied()
    }

    /// The lease of a machine.
    #[must_use]
    pub fn of_machine(&self, mac: MacAddr) -> Option<Lease> {
        self.book.of_machine(mac).copied()
    }

    /// Whether a machine has an offer or a lease, one that has run out included.
    #[must_use]
    pub fn knows(&self, mac: MacAddr) -> bool {
        self.book.knows(mac)
    }

    /// Decides. `now` is milliseconds since 1970 and does not run backwards.
    pub fn handle(&mut self, now: Millis, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::ScriptAsked { mac, answer } => {
                if let Some(sighting) = sighting(&answer)
                    && self.tell.may_tell_once(now, mac)
                {
                    out.push(Action::Saw { mac, sighting });
                }
            }
            Event::Asked { request, answer } => {
                let (mac, client) = (request.mac, request.client);
                if let Err(why) = self.answer(now, &request, &answer, out) {
                    out.push(Action::Dropped { mac, why });
                    let asks = matches!(request.message, Message::Discover | Message::Request);
                    if asks && !matches!(why, Dropped::OtherServer(_)) {
                        let step = || BootStep::Unanswered {
                            via: Via::Dhcp,
                            why: why.to_string(),
                        };
                        self.tell.step(now, mac, client, out, step);
                    }
                }
            }
            Event::ProbeAnswered { address, by } => self.probe_answered(now, address, by, out),
            Event::Overheard(Overheard { server, mac, .. }) => {
                self.heard_foreign(now, server, mac, out);
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
        let link = self.link(request)?;
        match request.message {
            Message::Release => return self.release(now, request, out),
            Message::Decline => return self.decline(now, request, out),
            Message::Discover | Message::Request | Message::Inform => {}
        }
        let boot = boot_file(answer, request.client, &self.config.boot);
        self.tell_boot(now, request, answer, &boot, out);
        if boot == BootFile::NoAnswer {
            return Err(match answer {
                BootAnswer::Refuse { .. } => Dropped::Refused,
                BootAnswer::LocalDisk { .. }
                | BootAnswer::MaintenanceOs
                | BootAnswer::Recipe { .. }
                | BootAnswer::Nothing => Dropped::LocalDisk,
            });
        }
        match request.message {
            Message::Discover => self.offer(now, request, link, &boot, out),
            Message::Request => self.request(now, request, link, &boot, out),
            Message::Inform => self.inform(request, link, &boot, out),
            Message::Release | Message::Decline => Ok(()),
        }
    }

    /// The subnet that a request is served from: the link that the relay agent names (RFC 3527), the subnet that the
    /// client names (RFC 3011; only through a relay agent, so that nobody on the wire reaches into another subnet), the
    /// relay agent's own. What no relay agent passed on is served from the subnet of the address that the client uses
    /// already, and from the interface's where it uses none of ours.
    fn link(&self, request: &Request) -> Result<SubnetId, Dropped> {
        if let Some(relay) = request.relay_agent() {
            // It is where the reply goes: one machine's address and not everybody's.
            let one = !(relay.is_broadcast() || relay.is_multicast() || relay.is_loopback());
            let subnet = self.subnets.of(relay);
            if !one || subnet.is_some_and(|(_, subnet)| !subnet.is_host(relay)) {
                return Err(Dropped::ForeignRelay(relay));
            }
            let named = request
                .relay_said_address(LINK_SELECTION)
                .or(request.subnet_selection)
                .unwrap_or(relay);
            let found = self.subnets.of(named).map(|(id, _)| id);
            return found.ok_or(Dropped::ForeignRelay(named));
        }
        let uses = request.ciaddr;
        if request.message != Message::Discover
            && let Some((id, subnet)) = self.subnets.of(uses)
            && subnet.is_host(uses)
        {
            return Ok(id);
        }
        // Nobody makes us send to an address that is not ours to know.
        if request.message == Message::Inform && !uses.is_unspecified() {
            return Err(Dropped::NotServed(uses));
        }
        self.here().ok_or(Dropped::NotServed(self.config.address))
    }

    /// The subnet that we are in ourselves, where it is served.
    pub(super) fn here(&self) -> Option<SubnetId> {
        self.subnets.of(self.config.address).map(|(id, _)| id)
    }

    pub(super) fn asks(&self, request: &Request, subnet: SubnetId) -> Asks {
        let reserved = self.reservations.of(request, subnet);
        let own = self.book.of_machine(request.mac).map(|lease| lease.address);
        Asks {
            mac: request.mac,
            subnet,
            reserved: reserved.map(|it| it.address),
            own: own.filter(|own| self.may_keep(request, subnet, *own)),
            wish: request.requested,
        }
    }

    /// Whether a machine may keep the address that it had: not when that is another's reservation. One by UUID or relay
    /// port stays with the MAC address that got it, because an operating system's client says neither.
    fn may_keep(&self, request: &Request, subnet: SubnetId, own: Ipv4Addr) -> bool {
        let Some(place) = self.book.place(own).filter(|it| it.subnet == subnet) else {
            return false;
        };
        match (place.kind, self.reservations.of_address(own)) {
            (Place::Pool, _) => true,
            (Place::Reserved, None) => false,
            (Place::Reserved, Some(reservation)) => match &reservation.who {
                Who::Mac(mac) => *mac == request.mac,
                Who::Uuid(uuid) => request.uuid.is_none_or(|said| said == *uuid),
                Who::RelayPort { circuit, .. } => request
                    .relay_said(CIRCUIT)
                    .is_none_or(|said| said == circuit.as_slice()),
            },
        }
    }

    fn offer(
        &mut self,
        now: Millis,
        request: &Request,
        link: SubnetId,
        boot: &BootFile,
        out: &mut Vec<Action>,
    ) -> Result<(), Dropped> {
        let (mac, client) = (request.mac, request.client);
        self.tell.step(now, mac, client, out, || asked(request));
        let asks = self.asks(request, link);
        let picked = self.book.pick(now, &asks).ok_or(Dropped::PoolExhausted)?;
        let address = picked.address;
        // A lease that holds is not shortened to an offer.
        let holds = self
            .book
            .of_address(address)
            .is_some_and(|it| it.mac == mac && it.state == LeaseState::Bound && it.holds(now));
        if !holds {
            self.book.offer(now, &asks, picked);
        }
        self.probe(now, picked, out);
        let file = boot.named(mac, self.config.http);
        let voice = self.voice(link, address, boot, file.as_deref())?;
        let (to, bytes) = reply::grant(&voice, request, Kind::Offer, address);
        out.push(Action::Send { to, bytes });
        self.tell.step(now, mac, client, out, || BootStep::Offered {
            via: Via::Dhcp,
            address: Some(address.to_string()),
            file,
        });
        Ok(())
    }

    fn inform(
        &self,
        request: &Request,
        link: SubnetId,
        boot: &BootFile,
        out: &mut Vec<Action>,
    ) -> Result<(), Dropped> {
        if request.ciaddr.is_unspecified() {
            return Err(Dropped::NoAddress);
        }
        let file = boot.named(request.mac, self.config.http);
        let voice = self.voice(link, request.ciaddr, boot, file.as_deref())?;
        let (to, bytes) = reply::inform(&voice, request);
        out.push(Action::Send { to, bytes });
        Ok(())
    }

    fn probe(&mut self, now: Millis, picked: Picked, out: &mut Vec<Action>) {
        if !self.config.probe || !picked.fresh {
            return;
        }
        let second = now.0 / 1_000;
        if self.probed.0 != second {
            self.probed = (second, 0);
        }
        self.probed.1 += 1;
        if self.probed.1 <= PROBES_PER_SECOND {
            let address = picked.address;
            out.push(Action::Probe { address });
        }
    }

    /// Somebody uses an address that is offered: it is put aside, and the REQUEST for it gets a NAK, so that the machine
    /// begins again and is offered another. An answer that comes after the REQUEST changes nothing: the machine itself
    /// answers by then, or it will find the other and decline.
    fn probe_answered(
        &mut self,
        now: Millis,
        address: Ipv4Addr,
        by: Option<MacAddr>,
        out: &mut Vec<Action>,
    ) {
        let Some(mac) = self.book.offered_to(address).filter(|mac| by != Some(*mac)) else {
            return;
        };
        out.extend(self.book.put_aside(now, mac, address).map(Action::Keep));
    }

    pub(super) fn heard_foreign(
        &mut self,
        now: Millis,
        server: Ipv4Addr,
        mac: MacAddr,
        out: &mut Vec<Action>,
    ) {
        let ours = server == self.config.address || server.is_unspecified();
        if !ours && self.foreign.may_tell(now, server) {
            out.push(Action::Foreign { server, mac });
        }
    }

    pub(super) fn voice<'a>(
        &'a self,
        link: SubnetId,
        address: Ipv4Addr,
        boot: &'a BootFile,
        file: Option<&'a str>,
    ) -> Result<Voice<'a>, Dropped> {
        let subnet: &Subnet = self.subnets.get(link).ok_or(Dropped::NotServed(address))?;
        let reservation = self.reservations.of_address(address);
        Ok(Voice {
            address: self.config.address,
            subnet,
            file,
            boot,
            host_name: reservation.and_then(|it| it.host_name.as_deref()),
        })
    }

    /// What is told of the answer itself, once in a while for each machine.
    fn tell_boot(
        &mut self,
        now: Millis,
        request: &Request,
        answer: &BootAnswer,
        boot: &BootFile,
        out: &mut Vec<Action>,
    ) {
        let tells = match boot {
            BootFile::NoFileFor { .. } | BootFile::NoAnswer => true,
            BootFile::Nothing
            | BootFile::Tftp(_)
            | BootFile::Http(_)
            | BootFile::IpxeScript
            | BootFile::IpxeFile(_) => is_local_disk(boot),
        };
        if tells && self.tell.may_tell_once(now, request.mac) {
            let sighting = match boot {
                BootFile::NoFileFor { architecture } => {
                    let names = &self.config.boot;
                    let option = "DHCP option 93";
                    Some(no_file(names, request.mac, option, *architecture))
                }
                BootFile::Nothing
                | BootFile::NoAnswer
                | BootFile::Tftp(_)
                | BootFile::Http(_)
                | BootFile::IpxeScript
                | BootFile::IpxeFile(_) => sighting(answer),
            };
            let mac = request.mac;
            out.extend(sighting.map(|sighting| Action::Saw { mac, sighting }));
        }
    }
}

fn asked(request: &Request) -> BootStep {
    BootStep::Asked {
        via: Via::Dhcp,
        client: request.client.words().into_owned(),
        firmware: request.client.firmware(),
    }
}

pub(super) fn is_local_disk(boot: &BootFile) -> bool {
    match boot {
        BootFile::Tftp(name) | BootFile::Http(name) => name == LOCAL_DISK,
        BootFile::Nothing
        | BootFile::NoAnswer
        | BootFile::NoFileFor { .. }
        | BootFile::IpxeScript
        | BootFile::IpxeFile(_) => false,
    }
}

fn sighting(answer: &BootAnswer) -> Option<BootSighting> {
    match answer {
        BootAnswer::MaintenanceOs | BootAnswer::Recipe { .. } | BootAnswer::Nothing => None,
        BootAnswer::LocalDisk { .. } => Some(BootSighting::SentToLocalDisk),
        BootAnswer::Refuse { reason } => Some(BootSighting::Refused {
            reason: reason.clone(),
        }),
    }
}

/// The sighting of a machine that no boot file is named for; its architecture stands in `option`.
pub(crate) fn no_file(
    boot: &BootNames,
    mac: MacAddr,
    option: &str,
    architecture: u16,
) -> BootSighting {
    let mut served: Vec<u16> = boot.pxe.keys().chain(boot.http.keys()).copied().collect();
    served.sort_unstable();
    served.dedup();
    let served: Vec<String> = served.iter().map(ToString::to_string).collect();
    let reason = Reason::new(
        ReasonCode::PlanRefused,
        format!("there is no boot file for processor architecture type {architecture}"),
        "boot this machine as one that is served, or name a boot file for its architecture",
    )
    .about(Part::Machine {
        said: mac.to_string(),
    })
    .seen(format!(
        "{option} says {architecture}; served are {}",
        served.join(", ")
    ));
    BootSighting::Refused { reason }
}

/// Every pool has something to lease.
fn check_pools(config: &ServerConfig) -> Result<(), ServerConfigError> {
    match config.empty_pool() {
        Some((subnet, (first, last))) => Err(ServerConfigError::Subnet {
            subnet: SubnetName {
                network: subnet.network,
                prefix: subnet.prefix,
            },
            why: SubnetError::PoolEmpty { first, last },
        }),
        None => Ok(()),
    }
}

fn check_names(config: &ServerConfig) -> Result<(), ServerConfigError> {
    let boot = &config.boot;
    let all = boot.pxe.iter().chain(&boot.http).chain(&boot.http_ipxe);
    for (architecture, name) in all {
        let plain = name.chars().all(|c| c.is_ascii_graphic());
        if !plain || !(1..=BOOT_NAME_MAX).contains(&name.len()) {
            return Err(ServerConfigError::BootName {
                architecture: *architecture,
                name: name.clone(),
                most: BOOT_NAME_MAX,
            });
        }
    }
    Ok(())
}
