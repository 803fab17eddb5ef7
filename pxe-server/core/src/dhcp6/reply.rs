// SPDX-License-Identifier: Apache-2.0
//! Builds the server's message, and puts it into the relay agents' envelopes.

use super::config::Dhcp6Config;
use super::duid::Duid;
use super::request::{Hop, IaKind, Request6};
use super::wire::{self, Status, Writer, code};
use crate::dhcp::{BootFile, Client};
use crate::names::{HttpBase, tftp_url};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

/// The longest message, in bytes: what IPv6 carries on every link (1,280) without its header and UDP's. The envelopes of
/// relay agents come on top; they are as long as they were on the way here.
pub const REPLY_MAX: usize = 1_232;
/// The enterprise number that UEFI puts before `HTTPClient` and `PXEClient`: Intel's.
const INTEL: u32 = 343;
const RELAY_REPLY: u8 = 13;

/// Where a reply goes: to whom the datagram came from, at this port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination6 {
    /// The client, port 546.
    Client,
    /// The relay agent, port 547.
    Relay,
}

/// Which message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Advertise,
    Reply,
}

/// What an identity association is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Granted {
    /// This address, and those that it may not have (any longer).
    Address {
        address: Ipv6Addr,
        not: Vec<Ipv6Addr>,
    },
    /// No address, and why.
    Not(Status),
    /// Nothing of what it names belongs to this link: all of it ends.
    Ended(Vec<Ipv6Addr>),
}

/// One identity association's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) kind: IaKind,
    pub(super) iaid: u32,
    pub(super) granted: Granted,
}

/// A message that is being built.
pub(super) struct Reply<'a> {
    config: &'a Dhcp6Config,
    request: &'a Request6,
    message: Writer,
}

impl<'a> Reply<'a> {
    /// The header, and who speaks to whom.
    pub(super) fn begin(
        kind: Kind,
        config: &'a Dhcp6Config,
        server: &Duid,
        request: &'a Request6,
    ) -> Self {
        let mut reply = Self::bare(kind, config, server, request);
        if let (Kind::Advertise, Some(preference)) = (kind, config.preference) {
            reply.message.plain(code::PREFERENCE, &[preference]);
        }
        reply
    }

    /// The same and no other option.
    pub(super) fn bare(
        kind: Kind,
        config: &'a Dhcp6Config,
        server: &Duid,
        request: &'a Request6,
    ) -> Self {
        let mut message = Writer::default();
        message.bytes(&[match kind {
            Kind::Advertise => 2,
            Kind::Reply => 7,
        }]);
        message.bytes(&request.transaction);
        if let Some(duid) = &request.duid {
            message.plain(code::CLIENT_ID, duid.bytes());
        }
        message.plain(code::SERVER_ID, server.bytes());
        Self {
            config,
            request,
            message,
        }
    }

    pub(super) fn status(&mut self, status: Status) {
        self.message.status(status);
    }

    pub(super) fn rapid_commit(&mut self) {
        self.message.plain(code::RAPID_COMMIT, &[]);
    }

    pub(super) fn associations(&mut self, answered: &[Answered]) {
        for one in answered {
            let lease = self.config.lease_secs;
            let code = match one.kind {
                IaKind::Address => code::IA_NA,
                IaKind::Temporary => code::IA_TA,
                IaKind::Prefix => code::IA_PD,
            };
            // T1 and T2 (section 21.4): half and four fifths, as the preferred lifetime is the valid one.
            let (t1, t2) = match one.granted {
                Granted::Address { .. } => (lease / 2, lease - lease / 5),
                Granted::Not(_) | Granted::Ended(_) => (0, 0),
            };
            self.message.option(code, |w| {
                w.number32(one.iaid);
                if one.kind != IaKind::Temporary {
                    w.number32(t1);
                    w.number32(t2);
                }
                match &one.granted {
                    Granted::Address { address, not } => {
                        ia_address(w, *address, lease);
                        not.iter().for_each(|old| ia_address(w, *old, 0));
                    }
                    Granted::Not(status) => w.status(*status),
                    Granted::Ended(old) => old.iter().for_each(|old| ia_address(w, *old, 0)),
                }
            });
        }
    }

    /// What holds for the whole machine: name servers where they were asked for, and the boot file.
    pub(super) fn network(&mut self, boot: &BootFile) {
        let (config, wanted) = (self.config, &self.request.wanted);
        if wanted.contains(&code::DNS) && !config.dns.is_empty() {
            self.message.option(code::DNS, |w| {
                config.dns.iter().for_each(|dns| w.bytes(&dns.octets()));
            });
        }
        let domain = config.domain.as_deref().and_then(wire::domain);
        if let Some(domain) = domain.filter(|_| wanted.contains(&code::DOMAIN)) {
            self.message.plain(code::DOMAIN, &domain);
        }
        let Some(url) = url(config, self.request, boot) else {
            return;
        };
        self.message.plain(code::BOOT_URL, url.as_bytes());
        if !config.parameters.is_empty() {
            self.message.option(code::BOOT_PARAMETERS, |w| {
                for parameter in &config.parameters {
                    counted(w, parameter.as_bytes());
                }
            });
        }
        // EDK2 takes an offer for HTTP Boot only where it finds this class in it (UEFI 2.10, 24.7.3.1).
        if matches!(self.request.client, Client::Http { .. }) {
            self.message.option(code::VENDOR_CLASS, |w| {
                w.number32(INTEL);
                counted(w, b"HTTPClient");
            });
        }
    }

    /// The datagram and where it goes; `None` where it would be longer than a link is sure to carry.
    pub(super) fn end(self) -> Option<(Destination6, Vec<u8>)> {
        let mut bytes = self.message.0;
        if bytes.len() > REPLY_MAX {
            return None;
        }
        for hop in self.request.hops.iter().rev() {
            bytes = wrap(hop, &bytes);
        }
        let to = if self.request.is_relayed() {
            Destination6::Relay
        } else {
            Destination6::Client
        };
        Some((to, bytes))
    }
}

/// The boot file's URL, its host in brackets: firmware cannot look names up yet.
pub(super) fn url(config: &Dhcp6Config, request: &Request6, boot: &BootFile) -> Option<String> {
    let http = HttpBase {
        address: IpAddr::V6(config.address),
        port: config.http_port,
    };
    match boot {
        BootFile::Nothing | BootFile::NoAnswer | BootFile::NoFileFor { .. } => None,
        BootFile::Tftp(name) => Some(tftp_url(IpAddr::V6(config.address), name)),
        BootFile::Http(name) | BootFile::IpxeFile(name) => Some(http.file(name)),
        BootFile::IpxeScript => request.mac.map(|mac| http.script(mac)),
    }
}

fn counted(w: &mut Writer, bytes: &[u8]) {
    w.number16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    w.bytes(bytes);
}

fn ia_address(w: &mut Writer, address: Ipv6Addr, lifetime: u32) {
    w.option(code::IA_ADDRESS, |w| {
        w.bytes(&address.octets());
        w.number32(lifetime);
        w.number32(lifetime);
    });
}

/// RFC 8415 section 19.3: the envelope's own words back, with the reply in it.
fn wrap(hop: &Hop, inner: &[u8]) -> Vec<u8> {
    let mut envelope = Writer::default();
    envelope.bytes(&[RELAY_REPLY, hop.count]);
    envelope.bytes(&hop.link.octets());
    envelope.bytes(&hop.peer.octets());
    if let Some(interface) = &hop.interface {
        envelope.plain(code::INTERFACE_ID, interface);
    }
    envelope.plain(code::RELAY_MESSAGE, inner);
    envelope.0
}
