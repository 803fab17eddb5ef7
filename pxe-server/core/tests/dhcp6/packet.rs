// SPDX-License-Identifier: Apache-2.0
//! Messages as clients send them, a server with a clock, and a decoded view of what comes back.

use groundstate_api::boot::BootAnswer;
use groundstate_api::{MacAddr, Millis};
use pxe_core::dhcp6::{Action6, Dhcp6Config, Duid, Event6, Lease6, Request6, Server6};
use std::fmt::Write as _;
use std::net::Ipv6Addr;

pub(crate) const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
/// The link-local address that is made of [`MAC`].
pub(crate) const LINK_LOCAL: Ipv6Addr =
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0x00ff, 0xfe12, 0x3456);
pub(crate) const SOLICIT: u8 = 1;
pub(crate) const REQUEST: u8 = 3;
pub(crate) const CONFIRM: u8 = 4;
pub(crate) const RENEW: u8 = 5;
pub(crate) const REBIND: u8 = 6;
pub(crate) const RELEASE: u8 = 8;
pub(crate) const DECLINE: u8 = 9;
pub(crate) const INFORMATION: u8 = 11;

pub(crate) fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

pub(crate) fn config() -> Dhcp6Config {
    Dhcp6Config {
        dns: vec![ip("fd77::53")],
        domain: Some("rack.example".into()),
        ..Dhcp6Config::of_interface(&[(ip("fd77::1"), 64)], 80).unwrap()
    }
}

pub(crate) fn server_id() -> Duid {
    Duid::of_server(MacAddr([0x52, 0x54, 0, 0, 0, 1]), 0x3000_0000)
}

/// A client's message.
#[derive(Clone)]
pub(crate) struct Packet(pub(crate) Vec<u8>);

impl Packet {
    /// With the client identifier of a machine with this last byte.
    pub(crate) fn new(message: u8, last: u8) -> Self {
        let duid = [0, 3, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, last];
        Self(vec![message, 0xab, 0xcd, 0xef]).option(1, &duid)
    }
    pub(crate) fn nobody(message: u8) -> Self {
        Self(vec![message, 0xab, 0xcd, 0xef])
    }
    pub(crate) fn option(mut self, code: u16, value: &[u8]) -> Self {
        self.0.extend(code.to_be_bytes());
        self.0
            .extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        self.0.extend(value);
        self
    }
    pub(crate) fn naming_us(self) -> Self {
        self.option(2, server_id().bytes())
    }
    /// IA_NA 7 with these addresses.
    pub(crate) fn ia(self, addresses: &[Ipv6Addr]) -> Self {
        self.numbered(7, addresses)
    }
    pub(crate) fn numbered(self, iaid: u8, addresses: &[Ipv6Addr]) -> Self {
        let mut value = vec![0, 0, 0, iaid, 0, 0, 0, 0, 0, 0, 0, 0];
        for address in addresses {
            value.extend([0, 5, 0, 24]);
            value.extend(address.octets());
            value.extend([0; 8]);
        }
        self.option(3, &value)
    }
    /// As EDK2 asks: what it wants (59, 60, 23, 16), what it is.
    pub(crate) fn firmware(self, class: &str, architecture: u8) -> Self {
        self.option(6, &[0, 59, 0, 60, 0, 23, 0, 16])
            .option(62, &[1, 3, 1])
            .option(61, &[0, architecture])
            .class(class)
    }
    pub(crate) fn class(self, class: &str) -> Self {
        let class = class.as_bytes();
        let mut value = vec![0, 0, 1, 0x57, 0, u8::try_from(class.len()).unwrap()];
        value.extend(class);
        self.option(16, &value)
    }
    /// In a relay agent's envelope with further options.
    pub(crate) fn relayed(&self, count: u8, link: Ipv6Addr, peer: Ipv6Addr) -> Self {
        let mut bytes = vec![12, count];
        bytes.extend(link.octets());
        bytes.extend(peer.octets());
        Self(bytes).option(9, &self.0)
    }
}

pub(crate) struct Desk {
    pub(crate) server: Server6,
    pub(crate) now: Millis,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::with(config(), Vec::new())
    }
    pub(crate) fn with(config: Dhcp6Config, kept: Vec<Lease6>) -> Self {
        Self {
            server: Server6::new(config, server_id(), kept).unwrap(),
            now: Millis(1_000_000),
        }
    }
    pub(crate) fn ask(&mut self, packet: &Packet, answer: &BootAnswer) -> Vec<Action6> {
        self.ask_at(ip("ff02::1:2"), packet, answer)
    }
    /// As [`Self::ask`] to this address.
    pub(crate) fn ask_at(
        &mut self,
        to: Ipv6Addr,
        packet: &Packet,
        answer: &BootAnswer,
    ) -> Vec<Action6> {
        let request = Request6::parse(&packet.0, LINK_LOCAL).unwrap();
        let request = Box::new(request.sent_to(to));
        let answer = request.question().map(|_| answer.clone());
        let mut out = Vec::new();
        let event = Event6::Asked { request, answer };
        self.server.handle(self.now, event, &mut out);
        out
    }
    /// As [`Self::ask`] for a machine that shall boot the maintenance OS, in words.
    pub(crate) fn says(&mut self, packet: &Packet) -> String {
        show(&self.ask(packet, &BootAnswer::MaintenanceOs))
    }
    /// Solicit and Request of a machine; the address.
    pub(crate) fn lease(&mut self, last: u8) -> Option<Ipv6Addr> {
        let offer = self.ask(
            &Packet::new(SOLICIT, last).ia(&[]),
            &BootAnswer::MaintenanceOs,
        );
        let offered = given(&offer)?;
        let request = Packet::new(REQUEST, last).naming_us().ia(&[offered]);
        given(&self.ask(&request, &BootAnswer::MaintenanceOs))
    }
}

/// The first address in a reply that lives.
pub(crate) fn given(actions: &[Action6]) -> Option<Ipv6Addr> {
    let text = show(actions);
    let line = text
        .lines()
        .find(|l| l.contains("address ") && !l.ends_with(" 0 s"))?;
    line.trim().split(' ').nth(1)?.parse().ok()
}

/// Actions in words, replies decoded; steps say the same again and are left out.
pub(crate) fn show(actions: &[Action6]) -> String {
    let mut text = String::new();
    for action in actions {
        match action {
            Action6::Send { to, bytes } => {
                writeln!(text, "send to {to:?}").unwrap();
                message(bytes, 1, &mut text);
            }
            Action6::Keep(lease) => writeln!(
                text,
                "keep {} {} {} {:?} until {}",
                lease.address, lease.duid, lease.iaid, lease.state, lease.until.0
            )
            .unwrap(),
            Action6::Saw { sighting, .. } => writeln!(text, "saw {sighting:?}").unwrap(),
            Action6::Dropped { why, .. } => writeln!(text, "dropped: {why}").unwrap(),
            Action6::Step { .. } => {}
        }
    }
    text
}

fn message(bytes: &[u8], depth: usize, text: &mut String) {
    let pad = "  ".repeat(depth);
    let at = |from: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[from..from + 16]).unwrap());
    match bytes[0] {
        13 => {
            writeln!(
                text,
                "{pad}relay-reply hops={} link={} peer={}",
                bytes[1],
                at(2),
                at(18)
            )
            .unwrap();
            options(&bytes[34..], depth, text);
        }
        kind => {
            assert_eq!(bytes[1..4], [0xab, 0xcd, 0xef], "the transaction is echoed");
            let name = match kind {
                2 => "advertise",
                7 => "reply",
                other => panic!("message {other} from a server"),
            };
            writeln!(text, "{pad}{name}").unwrap();
            options(&bytes[4..], depth, text);
        }
    }
}

fn options(mut area: &[u8], depth: usize, text: &mut String) {
    let pad = "  ".repeat(depth);
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().unwrap());
    while !area.is_empty() {
        let code = u16::from_be_bytes([area[0], area[1]]);
        let length = usize::from(u16::from_be_bytes([area[2], area[3]]));
        let (value, rest) = area[4..].split_at(length);
        area = rest;
        let address = || Ipv6Addr::from(<[u8; 16]>::try_from(&value[..16]).unwrap());
        match code {
            3 | 25 => {
                let (iaid, t1, t2) = (number(value), number(&value[4..]), number(&value[8..]));
                writeln!(text, "{pad}{code} ia {iaid} t1={t1} t2={t2}").unwrap();
                options(&value[12..], depth + 1, text);
            }
            5 => {
                let (preferred, valid) = (number(&value[16..]), number(&value[20..]));
                assert_eq!(preferred, valid);
                writeln!(text, "{pad}address {} for {valid} s", address()).unwrap();
            }
            9 => message(value, depth + 1, text),
            13 => {
                let words = String::from_utf8_lossy(&value[2..]);
                writeln!(text, "{pad}status {} {words}", value[1]).unwrap();
            }
            23 => writeln!(text, "{pad}dns {}", address()).unwrap(),
            59 => writeln!(text, "{pad}59 {}", String::from_utf8_lossy(value)).unwrap(),
            1 | 2 | 18 => {
                let hex: String = value.iter().map(|b| format!("{b:02x}")).collect();
                writeln!(text, "{pad}{code} {hex}").unwrap();
            }
            _ => writeln!(text, "{pad}{code} {:?}", String::from_utf8_lossy(value)).unwrap(),
        }
    }
}
