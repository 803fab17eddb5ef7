// SPDX-License-Identifier: Apache-2.0
//! Builds an OFFER or ACK that names a boot file and gives no address.

use super::config::ProxyConfig;
use super::request::{Port, ProxyRequest};
use crate::dhcp::options::code;
use crate::dhcp::write::{Kind, Reply};
use crate::dhcp::{BootFile, Client, Message};
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

const CLIENT_PORT: u16 = 68;
/// PXE discovery control (option 43, suboption 6): 8 says "use the boot file name of this very offer", so that a ROM
/// neither searches boot servers nor shows a menu.
const DISCOVERY: [u8; 3] = [6, 1, 8];
/// Boot item (suboption 71).
const BOOT_ITEM: [u8; 2] = [71, 4];
/// Processor architecture types of BIOSes: IBM's and NEC's PC.
const BIOSES: [u16; 2] = [0, 1];

/// The reply's bytes, and to whom they go.
pub(super) fn build(
    config: &ProxyConfig,
    asked: &ProxyRequest,
    boot: &BootFile,
) -> Option<(SocketAddrV4, Vec<u8>)> {
    let request = &asked.request;
    let name = boot.named(request.mac, config.http)?;
    let server = config.address.to_string();
    let (kind, ciaddr) = match request.message {
        Message::Discover => (Kind::Offer, Ipv4Addr::UNSPECIFIED),
        Message::Request | Message::Decline | Message::Release | Message::Inform => {
            (Kind::Ack, request.ciaddr)
        }
    };
    let mut reply = Reply::new(request, kind, config.address);
    reply.set_ciaddr(ciaddr);
    reply.set_siaddr(config.address);
    reply.option(
        code::VENDOR_CLASS,
        match request.client {
            Client::Http { .. } => b"HTTPClient",
            // iPXE, too, takes an offer without an address for a boot offer only where it finds this class.
            Client::Pxe { .. } | Client::Ipxe { .. } | Client::Plain => b"PXEClient",
        },
    );
    // Both the header's field and option 67: ROMs differ in which they read.
    reply.boot_file(&name);
    reply.option(code::VENDOR, &vendor(asked));
    let echo = |id: &Option<Vec<u8>>| id.clone().unwrap_or_default();
    reply.option(code::MACHINE_ID, &echo(&request.machine_id));
    // RFC 6842: the client identifier is returned.
    reply.option(code::CLIENT_ID, &echo(&request.client_id));
    if matches!(boot, BootFile::Tftp(_)) {
        reply.option(code::TFTP_SERVER, server.as_bytes());
        reply.server_name(&server);
    }
    Some((destination(asked), reply.finish()))
}

/// Option 43. A BIOS is told to take the file of this offer. UEFI must not be: EDK2 loses a proxy offer that has discovery
/// control (its PxeBcCacheDhcp4Offer keeps such an offer only where it has kept one before), and asks port 4011 where
/// there is none. A boot item that was asked for is named in the answer, or the answer counts as another server's.
fn vendor(asked: &ProxyRequest) -> Vec<u8> {
    let mut area = Vec::new();
    if matches!(asked.request.client, Client::Pxe { architecture } if BIOSES.contains(&architecture))
    {
        area.extend_from_slice(&DISCOVERY);
    }
    if let Some(item) = asked.item {
        area.extend_from_slice(&BOOT_ITEM);
        area.extend_from_slice(&item);
    }
    if !area.is_empty() {
        area.push(code::END);
    }
    area
}

/// Who has an address already is answered there, at the port that it asked from: 68, or 4011 with EDK2, which listens on
/// that one. Everybody else hears broadcasts.
fn destination(asked: &ProxyRequest) -> SocketAddrV4 {
    let request = &asked.request;
    let known = |address: &Ipv4Addr| !address.is_unspecified();
    match asked.port {
        Port::BootServer => {
            let own = [request.ciaddr, *asked.from.ip()].into_iter().find(known);
            own.map_or(
                SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT),
                |address| SocketAddrV4::new(address, asked.from.port()),
            )
        }
        Port::Dhcp => {
            let own = Some(request.ciaddr).filter(known);
            match (request.relay_agent(), own, request.message) {
                (Some(relay), _, _) => SocketAddrV4::new(relay, Port::Dhcp.number()),
                (None, Some(address), Message::Request | Message::Inform) => {
                    SocketAddrV4::new(address, CLIENT_PORT)
                }
                (None, _, _) => SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT),
            }
        }
    }
}
