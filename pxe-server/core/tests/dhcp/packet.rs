// SPDX-License-Identifier: Apache-2.0
//! Packets as clients send them, and a decoded view of what they get.

use dhcproto::Decodable as _;
use dhcproto::v4::{DhcpOption, Message, OptionCode};
use groundstate_api::boot::BootAnswer;
use groundstate_api::site::Network;
use groundstate_api::{MacAddr, Millis, Reason, ReasonCode};
use pxe_core::dhcp::{Action, Event, Lease, Request, Server, ServerConfig, SubnetConfig};
use std::fmt::Write as _;
use std::net::Ipv4Addr;

pub(crate) const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
pub(crate) const SERVER: [u8; 4] = [10, 77, 0, 1];

pub(crate) fn network() -> Network {
    Network {
        address: Ipv4Addr::from(SERVER),
        prefix: 24,
        pool_first: [10, 77, 0, 100].into(),
        pool_last: [10, 77, 0, 199].into(),
        router: Some([10, 77, 0, 254].into()),
        dns: vec![[10, 77, 0, 253].into()],
        lease_secs: 3_600,
        http_port: 80,
        https_port: 8_443,
        pools: Vec::new(),
    }
}

/// What [`network`] says.
pub(crate) fn config() -> ServerConfig {
    ServerConfig::from(&network())
}

/// 10.`second`.0.0/24 without anything in it.
pub(crate) fn subnet(second: u8) -> SubnetConfig {
    SubnetConfig {
        network: [10, second, 0, 0].into(),
        prefix: 24,
        pools: Vec::new(),
        router: None,
        dns: Vec::new(),
        ntp: Vec::new(),
        domain: None,
        mtu: None,
        routes: Vec::new(),
        lease_secs: 3_600,
    }
}

pub(crate) fn refusal() -> BootAnswer {
    BootAnswer::Refuse {
        reason: Reason::new(ReasonCode::UnknownMachine, "not in the site file", "add it"),
    }
}

/// A client's packet; fields are set by hand so that it may be as wrong as it likes.
#[derive(Clone)]
pub(crate) struct Packet(pub(crate) Vec<u8>);

impl Packet {
    pub(crate) fn new(message: u8, mac: MacAddr) -> Self {
        let mut bytes = vec![0; 240];
        bytes[..8].copy_from_slice(&[1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
        bytes[28..34].copy_from_slice(&mac.0);
        bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
        Self(bytes).option(53, &[message])
    }
    pub(crate) fn option(mut self, code: u8, value: &[u8]) -> Self {
        self.0.extend([code, u8::try_from(value.len()).unwrap()]);
        self.0.extend(value);
        self
    }
    pub(crate) fn at(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }
    pub(crate) fn ciaddr(self, address: [u8; 4]) -> Self {
        self.at(12, &address)
    }
    pub(crate) fn giaddr(self, address: [u8; 4]) -> Self {
        self.at(24, &address)
    }
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.push(255);
        self.0
    }
}

/// A server, and a clock that the test moves.
pub(crate) struct Desk {
    pub(crate) server: Server,
    pub(crate) now: u64,
}

impl Desk {
    pub(crate) fn new(network: &Network) -> Self {
        Self::with(network, Vec::new())
    }
    pub(crate) fn with(network: &Network, kept: Vec<Lease>) -> Self {
        Self::of(ServerConfig::from(network), kept)
    }
    pub(crate) fn of(config: ServerConfig, kept: Vec<Lease>) -> Self {
        Self {
            server: Server::new(config, kept).unwrap(),
            now: 1_000_000,
        }
    }
    /// What is done about a packet, without the steps that are told.
    pub(crate) fn ask(&mut self, bytes: &[u8], answer: &BootAnswer) -> Vec<Action> {
        let mut out = self.ask_and_tell(bytes, answer);
        out.retain(|action| !matches!(action, Action::Step { .. }));
        out
    }
    /// What is done about a packet.
    pub(crate) fn ask_and_tell(&mut self, bytes: &[u8], answer: &BootAnswer) -> Vec<Action> {
        let mut out = Vec::new();
        match Request::parse(bytes) {
            Ok(request) => {
                let event = Event::Asked {
                    request: Box::new(request),
                    answer: answer.clone(),
                };
                self.server.handle(Millis(self.now), event, &mut out);
            }
            Err(error) => panic!("{error}"),
        }
        out
    }
    /// As [`Self::ask`] for a machine that shall boot the maintenance OS, in words.
    pub(crate) fn says(&mut self, packet: Packet) -> String {
        show(&self.ask(&packet.end(), &BootAnswer::MaintenanceOs))
    }
    /// DISCOVER and REQUEST; the address.
    pub(crate) fn lease(&mut self, mac: MacAddr) -> [u8; 4] {
        let offer = self.ask(&Packet::new(1, mac).end(), &BootAnswer::MaintenanceOs);
        let address = reply(&offer).yiaddr().octets();
        let request = Packet::new(3, mac).option(50, &address).option(54, &SERVER);
        let ack = self.ask(&request.end(), &BootAnswer::MaintenanceOs);
        assert_eq!(reply(&ack).yiaddr().octets(), address);
        address
    }
}

pub(crate) fn reply(actions: &[Action]) -> Message {
    let bytes = actions.iter().find_map(|action| match action {
        Action::Send { bytes, .. } => Some(bytes),
        _ => None,
    });
    Message::from_bytes(bytes.expect("a reply")).unwrap()
}

/// The numbers of the options field, in their order.
pub(crate) fn codes(bytes: &[u8]) -> Vec<u8> {
    let mut codes = Vec::new();
    let mut at = 240;
    while bytes[at] != 255 {
        codes.push(bytes[at]);
        at += 2 + usize::from(bytes[at + 1]);
    }
    codes
}

/// An option in words; bytes that are text as text.
fn words(option: &DhcpOption) -> String {
    match option {
        DhcpOption::ClassIdentifier(bytes)
        | DhcpOption::TFTPServerName(bytes)
        | DhcpOption::BootfileName(bytes) => {
            format!("{:?}", String::from_utf8_lossy(bytes))
        }
        other => format!("{other:?}"),
    }
}

/// Actions in words, replies decoded.
pub(crate) fn show(actions: &[Action]) -> String {
    let mut text = String::new();
    for action in actions {
        match action {
            Action::Send { to, bytes } => {
                assert!(bytes.len() >= 300);
                let message = Message::from_bytes(bytes).unwrap();
                let nul = |b: Option<&[u8]>| {
                    String::from_utf8_lossy(b.unwrap_or_default()).replace('\0', "")
                };
                writeln!(text, "send to {to:?}").unwrap();
                writeln!(
                    text,
                    "  xid={:x} ciaddr={} yiaddr={} siaddr={} giaddr={} sname={:?} file={:?}",
                    message.xid(),
                    message.ciaddr(),
                    message.yiaddr(),
                    message.siaddr(),
                    message.giaddr(),
                    nul(message.sname()),
                    nul(message.fname())
                )
                .unwrap();
                let mut last = 0;
                for (code, option) in message.opts().iter() {
                    last = u8::from(*code);
                    writeln!(text, "  {last} {}", words(option)).unwrap();
                }
                if message.opts().contains(OptionCode::RelayAgentInformation) {
                    assert_eq!(codes(bytes).last(), Some(&82), "option 82 is the last one");
                }
                assert!(last > 0);
            }
            other => writeln!(text, "{other:?}").unwrap(),
        }
    }
    text
}
