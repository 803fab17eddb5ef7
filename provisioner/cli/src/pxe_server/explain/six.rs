// SPDX-License-Identifier: Apache-2.0
//! The same over IPv6: a SOLICIT as such a client sends it, put to the real DHCPv6 server.

use super::{Leads, Told, World, now};
use anyhow::Result;
use groundstate_api::boot::BootQuestion;
use groundstate_api::boot_session::BootStep;
use groundstate_api::{MacAddr, SystemUuid};
use pxe_core::dhcp6::{
    Action6, Dhcp6Config, Duid, Event6, Lease6, LeaseState6, Request6, Server6, Who6,
};
use pxe_core::rules::Asker;
use serde::Serialize;
use std::net::Ipv6Addr;

/// The architecture that iPXE on UEFI names.
const UEFI_X64: u16 = 7;
/// The enterprise number that UEFI puts before its class: Intel's.
const INTEL: [u8; 4] = [0, 0, 1, 0x57];

/// What DHCPv6 would tell a client.
#[derive(Debug, Default, Serialize)]
pub(super) struct Told6 {
    /// The address, where it is certain, and where it comes from.
    address: Option<Ipv6Addr>,
    address_from: String,
    boot_url: Option<String>,
    /// Bytes of that file; none where there is no such file.
    length: Option<u64>,
    /// Whether the URL is that of the machine's own script.
    #[serde(skip)]
    script: bool,
    /// Why it gets no answer.
    no_answer: Option<String>,
}

/// The DHCPv6 service that is asked, and from which link.
pub(super) struct Six {
    pub(super) config: Dhcp6Config,
    pub(super) kept: Vec<Lease6>,
    pub(super) link: Option<Ipv6Addr>,
}

impl Six {
    /// Tells it for such a client; `None` is an operating system.
    pub(super) fn tell(
        &self,
        world: &World<'_>,
        asker: Option<Asker>,
        told: &mut Told,
    ) -> Result<()> {
        let mut six = Told6::default();
        if asker == Some(Asker::Bios) {
            // Beside what it gets over IPv4, that goes without saying.
            if self.link.is_some() {
                six.no_answer = Some("such firmware asks over IPv4 only".to_owned());
                told.dhcp6 = Some(six);
            }
            return Ok(());
        }
        let own = self.own(world.mac, asker);
        let packet = self.packet(world, asker, own);
        let request = Box::new(Request6::parse(&packet, link_local(world.mac))?);
        let decision = request.question().map(|question| {
            world.policy.explain(&BootQuestion {
                uuid: request.uuid.or(world.uuid),
                ..question
            })
        });
        let answer = decision.as_ref().map(|decision| decision.answer.clone());
        if told.because.is_empty() {
            told.because = decision.map(|it| it.because).unwrap_or_default();
        }
        // Under which name the server answers says nothing of what it answers.
        let name = Duid::of_server(world.mac, 0);
        let mut server = Server6::new(self.config.clone(), name, self.kept.iter().cloned())?;
        let mut out = Vec::new();
        server.handle(now(), Event6::Asked { request, answer }, &mut out);
        for action in out {
            match action {
                Action6::Step {
                    step: BootStep::Offered { address, file, .. },
                    ..
                } => {
                    let address = address.and_then(|text| text.parse().ok());
                    (six.address, six.address_from) = self.origin(address, own);
                    six.boot_url = file;
                }
                Action6::Dropped { why, .. } => six.no_answer = Some(why.to_string()),
                Action6::Keep(_)
                | Action6::Send { .. }
                | Action6::Saw { .. }
                | Action6::Step { .. } => {}
            }
        }
        match six.boot_url.as_deref().map(|url| world.leads(url)) {
            Some(Leads::File(length)) => six.length = length,
            Some(Leads::Script) => six.script = true,
            None => {}
        }
        told.dhcp6 = Some(six);
        Ok(())
    }

    /// The lease that the machine's firmware has or had, or its operating system: they call themselves by other names.
    fn own(&self, mac: MacAddr, asker: Option<Asker>) -> Option<&Lease6> {
        self.kept.iter().find(|lease| {
            lease.mac == Some(mac)
                && lease.state == LeaseState6::Bound
                && lease.firmware.is_some() == asker.is_some()
        })
    }

    fn packet(&self, world: &World<'_>, asker: Option<Asker>, own: Option<&Lease6>) -> Vec<u8> {
        let (name, iaid) = match own {
            Some(lease) => (lease.duid.bytes().to_vec(), lease.iaid),
            None => {
                let [_, _, c, d, e, f] = world.mac.0;
                let iaid = u32::from_be_bytes([c, d, e, f]);
                (name(world.mac, world.uuid, asker), iaid)
            }
        };
        let solicit = solicit(&name, iaid, asker);
        let Some(link) = self.link else {
            return solicit;
        };
        let mut relayed = vec![12, 0];
        relayed.extend_from_slice(&link.octets());
        relayed.extend_from_slice(&link_local(world.mac).octets());
        put(&mut relayed, 9, &solicit);
        relayed
    }

    /// Where an address comes from. Which one of a pool is free for it follows from the name that the machine gives
    /// itself, and nobody knows that before it asked for the first time.
    fn origin(
        &self,
        address: Option<Ipv6Addr>,
        own: Option<&Lease6>,
    ) -> (Option<Ipv6Addr>, String) {
        let Some(address) = address else {
            return (None, "none: no address is free".to_owned());
        };
        let mut reserved = self.config.reservations.iter();
        if let Some(reserved) = reserved.find(|one| one.address == address) {
            let by = match reserved.who {
                Who6::Mac(_) => "reserved by its MAC address",
                Who6::Uuid(_) => "reserved by its UUID",
                Who6::Duid(_) => "reserved by its DUID",
            };
            return (Some(address), by.to_owned());
        }
        match own.filter(|lease| lease.address == address) {
            Some(lease) if lease.holds(now()) => {
                let until = provisioner::clock::words(lease.until);
                (Some(address), format!("its lease until {until}"))
            }
            Some(_) => (Some(address), "the one that it had before".to_owned()),
            None => {
                let mut subnets = self.config.subnets.iter();
                let pool = subnets.find(|subnet| subnet.contains(address));
                let pool = pool.map(|it| format!(", {} to {}", it.first, it.last));
                (
                    None,
                    format!("a free one of the pool{}", pool.unwrap_or_default()),
                )
            }
        }
    }
}

impl Told6 {
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        if let Some(why) = &self.no_answer {
            return vec![("DHCPv6", format!("no answer: {why}"))];
        }
        let address = match self.address {
            Some(address) => format!("{address}, {}", self.address_from),
            None => self.address_from.clone(),
        };
        let url = match (&self.boot_url, self.length) {
            (Some(url), Some(length)) => format!("{url}, {length} bytes"),
            (Some(url), None) if self.script => url.clone(),
            (Some(url), None) => format!("{url}, and there is no such file"),
            (None, _) => "none".to_owned(),
        };
        vec![("DHCPv6", address), ("boot URL", url)]
    }
}

/// How such a client calls itself: EDK2 by the machine's UUID where that is known, everybody else by the MAC address.
fn name(mac: MacAddr, uuid: Option<SystemUuid>, asker: Option<Asker>) -> Vec<u8> {
    match (uuid, asker) {
        (Some(uuid), Some(asker)) if asker != Asker::Ipxe => {
            // SMBIOS's bytes, the first three fields with their low byte first.
            let [a, b, c, d, e, f, g, h, rest @ ..] = uuid.0;
            let mut name = vec![0, 4, d, c, b, a, f, e, h, g];
            name.extend_from_slice(&rest);
            name
        }
        (Some(_) | None, Some(_) | None) => {
            let mut name = vec![0, 3, 0, 1];
            name.extend_from_slice(&mac.0);
            name
        }
    }
}

/// The link-local address that is made of a MAC address (RFC 4291 appendix A).
fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    let own = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
    (0xfe80_u128 << 112 | u128::from(u64::from_be_bytes(own))).into()
}

/// A SOLICIT for one address, as such a client sends it.
fn solicit(name: &[u8], iaid: u32, asker: Option<Asker>) -> Vec<u8> {
    let mut packet = vec![1, 0x47, 0x53, 1];
    put(&mut packet, 1, name);
    put(&mut packet, 3, &[&iaid.to_be_bytes()[..], &[0; 8]].concat());
    put(&mut packet, 6, &[0, 23, 0, 24, 0, 59, 0, 60]);
    let Some(asker) = asker else {
        return packet;
    };
    let architecture = match asker {
        Asker::Ipxe => UEFI_X64,
        Asker::Bios | Asker::UefiPxe | Asker::UefiHttp | Asker::Arm64Pxe | Asker::Arm64Http => {
            asker.architecture()
        }
    };
    let class = match asker {
        Asker::UefiHttp | Asker::Arm64Http => "HTTPClient",
        Asker::Bios | Asker::UefiPxe | Asker::Arm64Pxe | Asker::Ipxe => "PXEClient",
    };
    put(&mut packet, 61, &architecture.to_be_bytes());
    put(&mut packet, 62, &[1, 3, 16]);
    let class = format!("{class}:Arch:{architecture:05}:UNDI:003016");
    put(
        &mut packet,
        16,
        &[&INTEL[..], &counted(class.as_bytes())].concat(),
    );
    if asker == Asker::Ipxe {
        put(&mut packet, 15, &counted(b"iPXE"));
    }
    packet
}

fn put(packet: &mut Vec<u8>, code: u16, value: &[u8]) {
    packet.extend_from_slice(&code.to_be_bytes());
    packet.extend_from_slice(&counted(value));
}

/// With its length before it. What is put here has some ten bytes.
fn counted(value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], value].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_to_the_server_is_what_such_a_client_sends() {
        let mac = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
        let uuid: SystemUuid = "564d1234-5678-9abc-def0-123456789abc".parse().unwrap();
        for asker in Asker::ALL.into_iter().map(Some).chain([None]) {
            for known in [Some(uuid), None] {
                let packet = solicit(&name(mac, known, asker), 7, asker);
                let request = Request6::parse(&packet, link_local(mac)).unwrap();
                let question = request.question().unwrap();
                assert_eq!((question.mac, Asker::of(&question)), (mac, asker));
                let says = asker.is_some_and(|asker| asker != Asker::Ipxe);
                assert_eq!(request.uuid, known.filter(|_| says), "{asker:?}");
            }
        }
    }
}
