// SPDX-License-Identifier: Apache-2.0
//! What comes after an offer: DHCPREQUEST in its four meanings, DHCPRELEASE, DHCPDECLINE.

use super::action::{Action, Dropped};
use super::book::{Asks, Denied};
use super::boot_file::BootFile;
use super::client::Client;
use super::lease::{Lease, LeaseState};
use super::reply::{self, told};
use super::request::Request;
use super::server::{Server, is_local_disk};
use super::subnet::SubnetId;
use super::write::Kind;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use groundstate_api::Millis;
use groundstate_api::boot::BootSighting;
use groundstate_api::boot_session::{BootStep, Via};

impl Server {
    /// DHCPREQUEST in each of its four meanings (RFC 2131 section 4.3.2).
    pub(super) fn request(
        &mut self,
        now: Millis,
        request: &Request,
        link: SubnetId,
        boot: &BootFile,
        out: &mut Vec<Action>,
    ) -> Result<(), Dropped> {
        let mac = request.mac;
        if let Some(server) = request.server_id
            && server != self.config.address
            && server != reply::server_id(request, self.config.address)
        {
            self.book.end_offer(mac);
            // A relay agent that names itself (RFC 5107) is no server of its own.
            if server != request.giaddr {
                self.heard_foreign(now, server, mac, out);
            }
            return Err(Dropped::OtherServer(server));
        }
        let uses = (!request.ciaddr.is_unspecified()).then_some(request.ciaddr);
        let renews = request.server_id.is_none() && uses.is_some();
        let wanted = if renews {
            uses
        } else {
            request.requested.or(uses)
        };
        let address = wanted.ok_or(Dropped::NoAddress)?;
        let asks = self.asks(request, link);
        // Only machines with a lease reach into another subnet past its relay agent; the others ask through it when they
        // rebind, and a NAK would not come to where they are.
        let ours = [asks.own, asks.reserved].contains(&Some(address));
        if request.relay_agent().is_none() && self.here() != Some(link) && !ours {
            return Err(Dropped::NoAddress);
        }
        let selecting = request.server_id.is_some();
        match self.book.may_bind(now, &asks, address, selecting) {
            Err(why) => self.deny(now, request, address, why, out),
            Ok(()) => self.grant(now, request, &asks, address, boot, out)?,
        }
        Ok(())
    }

    fn grant(
        &mut self,
        now: Millis,
        request: &Request,
        asks: &Asks,
        address: Ipv4Addr,
        boot: &BootFile,
        out: &mut Vec<Action>,
    ) -> Result<(), Dropped> {
        let (mac, client) = (request.mac, request.client);
        let file = boot.named(mac, self.config.http);
        let voice = self.voice(asks.subnet, address, boot, file.as_deref())?;
        let lease_time = Millis::secs(voice.subnet.config.lease_secs.into());
        let (to, bytes) = reply::grant(&voice, request, Kind::Ack, address);
        let lease = self.lease(now, request, address, now.plus(lease_time));
        self.book.bind(lease);
        out.push(Action::Keep(lease));
        out.push(Action::Send { to, bytes });
        let renews = request.server_id.is_none() && !request.ciaddr.is_unspecified();
        if renews {
            return Ok(());
        }
        // Firmware that is sent to its disk was told of as that; its lease would read as the beginning of a network boot.
        if is_local_disk(boot) {
            self.tell
                .step(now, mac, client, out, || BootStep::SentToLocalDisk {
                    via: Via::Dhcp,
                });
            return Ok(());
        }
        self.tell
            .each(now, mac, client, out, || BootSighting::Leased {
                address: address.to_string(),
                firmware: client.firmware(),
            });
        self.tell.step(now, mac, client, out, || BootStep::Bound {
            via: Via::Dhcp,
            address: address.to_string(),
            file: told(file.as_deref()),
        });
        Ok(())
    }

    fn deny(
        &mut self,
        now: Millis,
        request: &Request,
        address: Ipv4Addr,
        why: Denied,
        out: &mut Vec<Action>,
    ) {
        // It has to stop using what it may not keep, so that whose address it is gets it.
        let own = self.book.is_with(request.mac, address);
        if own && let Some(lease) = self.book.release(now, request.mac, address) {
            out.push(Action::Keep(lease));
        }
        self.book.end_offer(request.mac);
        let why = why.to_string();
        let (to, bytes) = reply::nak(self.config.address, request, &why);
        out.push(Action::Send { to, bytes });
        self.tell
            .step(now, request.mac, request.client, out, || BootStep::Denied {
                via: Via::Dhcp,
                why,
            });
    }

    pub(super) fn release(
        &mut self,
        now: Millis,
        request: &Request,
        out: &mut Vec<Action>,
    ) -> Result<(), Dropped> {
        let released = self.book.release(now, request.mac, request.ciaddr);
        out.push(Action::Keep(released.ok_or(Dropped::NoAddress)?));
        Ok(())
    }

    pub(super) fn decline(
        &mut self,
        now: Millis,
        request: &Request,
        out: &mut Vec<Action>,
    ) -> Result<(), Dropped> {
        let ours = [
            self.config.address,
            reply::server_id(request, self.config.address),
        ];
        if let Some(server) = request.server_id.filter(|server| !ours.contains(server)) {
            return Err(Dropped::OtherServer(server));
        }
        let mac = request.mac;
        let address = request.requested.ok_or(Dropped::NoAddress)?;
        if !self.book.is_with(mac, address) {
            return Err(Dropped::NoAddress);
        }
        if !self.book.believe(now, mac) {
            self.book.end_offer(mac);
            let released = self.book.release(now, mac, address);
            out.extend(released.map(Action::Keep));
            return Err(Dropped::Declines);
        }
        out.extend(self.book.put_aside(now, mac, address).map(Action::Keep));
        Ok(())
    }

    fn lease(&self, now: Millis, request: &Request, address: Ipv4Addr, until: Millis) -> Lease {
        let old = self.book.of_machine(request.mac);
        let uuid = request.uuid.or_else(|| old.and_then(|lease| lease.uuid));
        let firmware = match request.client {
            // iPXE tells BIOS from UEFI, but not whether PXE or HTTP Boot loaded it.
            Client::Ipxe { .. } => old
                .and_then(|lease| lease.firmware)
                .or(request.client.firmware()),
            Client::Plain => old.and_then(|lease| lease.firmware),
            Client::Pxe { .. } | Client::Http { .. } => request
                .client
                .firmware()
                .or_else(|| old.and_then(|lease| lease.firmware)),
        };
        let same = old.filter(|lease| lease.address == address);
        Lease {
            address,
            mac: request.mac,
            state: LeaseState::Bound,
            since: same.map_or(now, |lease| lease.since),
            until,
            uuid,
            firmware,
        }
    }
}
