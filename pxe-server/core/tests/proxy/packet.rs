// SPDX-License-Identifier: Apache-2.0
//! Packets as clients send them, and a decoded view of what they get.

use dhcproto::Decodable as _;
use dhcproto::v4::{DhcpOption, Message};
use groundstate_api::boot::BootAnswer;
use groundstate_api::{MacAddr, Millis};
use pxe_core::dhcp::BootNames;
use pxe_core::names::HttpBase;
use pxe_core::proxy::{Port, Proxy, ProxyAction, ProxyConfig, ProxyEvent, ProxyRequest};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};

pub(crate) const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
pub(crate) const OURS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// Where a client without an address asks from.
pub(crate) const NOWHERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);

pub(crate) fn config() -> ProxyConfig {
    ProxyConfig {
        address: OURS,
        http: HttpBase {
            address: OURS.into(),
            port: 80,
        },
        boot: BootNames::default(),
    }
}

/// A client's packet.
#[derive(Clone)]
pub(crate) struct Packet(Vec<u8>);

impl Packet {
    pub(crate) fn new(message: u8) -> Self {
        let mut bytes = vec![0; 240];
        bytes[..8].copy_from_slice(&[1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
        bytes[28..34].copy_from_slice(&MAC.0);
        bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
        Self(bytes).option(53, &[message])
    }
    pub(crate) fn option(mut self, code: u8, value: &[u8]) -> Self {
        self.0.extend([code, u8::try_from(value.len()).unwrap()]);
        self.0.extend(value);
        self
    }
    pub(crate) fn ciaddr(mut self, address: [u8; 4]) -> Self {
        self.0[12..16].copy_from_slice(&address);
        self
    }
    pub(crate) fn giaddr(mut self, address: [u8; 4]) -> Self {
        self.0[24..28].copy_from_slice(&address);
        self
    }
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.push(255);
        self.0
    }
}

/// PXE firmware of an architecture.
pub(crate) fn pxe(message: u8, architecture: u8) -> Packet {
    let class = format!("PXEClient:Arch:{architecture:05}:UNDI:003001");
    Packet::new(message)
        .option(60, class.as_bytes())
        .option(93, &[0, architecture])
}

pub(crate) fn ask(
    bytes: &[u8],
    port: Port,
    from: SocketAddrV4,
    answer: &BootAnswer,
) -> Vec<ProxyAction> {
    let mut out = Vec::new();
    let asked = Box::new(ProxyRequest::parse(bytes, port, from).unwrap());
    let answer = answer.clone();
    let event = ProxyEvent::Asked { asked, answer };
    Proxy::new(config())
        .unwrap()
        .handle(Millis(1_000_000), event, &mut out);
    out
}

/// The replies in words; the rest as it is, but for steps, which say the same again.
pub(crate) fn show(actions: &[ProxyAction]) -> String {
    let mut text = String::new();
    for action in actions {
        match action {
            ProxyAction::Send { to, bytes } => {
                assert!((300..=576).contains(&bytes.len()));
                let message = Message::from_bytes(bytes).unwrap();
                assert_eq!(
                    message.yiaddr(),
                    Ipv4Addr::UNSPECIFIED,
                    "it gives no address"
                );
                let nul = |b: Option<&[u8]>| {
                    String::from_utf8_lossy(b.unwrap_or_default()).replace('\0', "")
                };
                writeln!(
                    text,
                    "send to {to}\n  xid={:x} ciaddr={} siaddr={} giaddr={} sname={:?} file={:?}",
                    message.xid(),
                    message.ciaddr(),
                    message.siaddr(),
                    message.giaddr(),
                    nul(message.sname()),
                    nul(message.fname())
                )
                .unwrap();
                for (code, option) in message.opts().iter() {
                    let words = match option {
                        DhcpOption::ClassIdentifier(bytes)
                        | DhcpOption::TFTPServerName(bytes)
                        | DhcpOption::BootfileName(bytes) => {
                            format!("{:?}", String::from_utf8_lossy(bytes))
                        }
                        other => format!("{other:?}"),
                    };
                    writeln!(text, "  {} {words}", u8::from(*code)).unwrap();
                }
            }
            ProxyAction::Saw { sighting, .. } => writeln!(text, "saw {sighting:?}").unwrap(),
            ProxyAction::Dropped { why, .. } => writeln!(text, "dropped: {why}").unwrap(),
            ProxyAction::Step { .. } => {}
        }
    }
    text
}
