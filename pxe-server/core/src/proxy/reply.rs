// SPDX-License-Identifier: Apache-2.0
//! Builds an OFFER or ACK that names a boot file and gives no address.

use super::config::ProxyConfig;
use super::request::{Port, ProxyRequest};
use crate::dhcp::options::code;
use crate::dhcp::{BootFile, Client, Message};
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

/// BOOTP's length without options; some ROMs and relays drop what is shorter (RFC 1542 section 2.1).
const REPLY_MIN: usize = 300;
/// The fixed header's fields after `chaddr`, in bytes.
const SNAME: usize = 64;
const FILE: usize = 128;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const CLIENT_PORT: u16 = 68;
/// PXE discovery control (option 43, suboption 6): 8 says "use the boot file name of this very offer", so that a ROM
/// neither searches boot servers nor shows a menu.
const DISCOVERY: [u8; 3] = [6, 1, 8];
/// UEFI for x64 and its kin: every architecture but the BIOS of IBM's and NEC's PCs.
const BIOSES: [u16; 2] = [0, 1];

/// The reply's bytes, and to whom they go.
pub(super) fn build(
    config: &ProxyConfig,
    asked: &ProxyRequest,
    boot: &BootFile,
) -> Option<(SocketAddrV4, Vec<u8>)> {
    let request = &asked.request;
    let name = boot.named(request.mac, config.http)?;
    let by_tftp = matches!(boot, BootFile::Tftp(_));
    let server = config.address.to_string();
    let mut bytes = Vec::with_capacity(REPLY_MIN * 2);
    bytes.extend_from_slice(&[2, 1, 6, 0]);
    bytes.extend_from_slice(&request.xid.to_be_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&request.flags);
    let (ciaddr, kind) = match request.message {
        Message::Discover => (Ipv4Addr::UNSPECIFIED, OFFER),
        Message::Request | Message::Decline | Message::Release | Message::Inform => {
            (request.ciaddr, ACK)
        }
    };
    for address in [
        ciaddr,
        Ipv4Addr::UNSPECIFIED,
        config.address,
        request.giaddr,
    ] {
        bytes.extend_from_slice(&address.octets());
    }
    bytes.extend_from_slice(&request.chaddr);
    field(
        &mut bytes,
        if by_tftp { server.as_bytes() } else { &[] },
        SNAME,
    );
    // Both the header's field and option 67: ROMs differ in which they read.
    field(&mut bytes, name.as_bytes(), FILE);
    bytes.extend_from_slice(&COOKIE);
    option(&mut bytes, code::MESSAGE_TYPE, &[kind]);
    option(&mut bytes, code::SERVER_ID, &config.address.octets());
    let class: &[u8] = match request.client {
        Client::Http { .. } => b"HTTPClient",
        // iPXE, too, takes an offer without an address for a boot offer only where it finds this class.
        Client::Pxe { .. } | Client::Ipxe { .. } | Client::Plain => b"PXEClient",
    };
    option(&mut bytes, code::VENDOR_CLASS, class);
    if let Some(id) = &request.machine_id {
        option(&mut bytes, code::MACHINE_ID, id);
    }
    // RFC 6842: the client identifier is returned.
    if let Some(id) = &request.client_id {
        option(&mut bytes, code::CLIENT_ID, id);
    }
    if by_tftp {
        option(&mut bytes, code::TFTP_SERVER, server.as_bytes());
    }
    option(&mut bytes, code::BOOT_FILE, name.as_bytes());
    if let Some(vendor) = vendor(asked) {
        option(&mut bytes, code::VENDOR, &vendor);
    }
    // RFC 3046: the relay agent's information is returned byte for byte, last.
    if let Some(relay) = &request.relay {
        option(&mut bytes, code::RELAY_AGENT, relay);
    }
    bytes.push(code::END);
    if bytes.len() < REPLY_MIN {
        bytes.resize(REPLY_MIN, code::PAD);
    }
    Some((destination(asked), bytes))
}

const OFFER: u8 = 2;
const ACK: u8 = 5;

/// Option 43. A BIOS is told to take the file of this offer. UEFI must not be: EDK2 loses a proxy offer that has discovery
/// control (its PxeBcCacheDhcp4Offer keeps such an offer only where it has kept one before), and asks port 4011 where
/// there is none. A boot item that was asked for is named in the answer, or the answer counts as another server's.
fn vendor(asked: &ProxyRequest) -> Option<Vec<u8>> {
    let mut area = Vec::new();
    let bios = matches!(asked.request.client, Client::Pxe { architecture } if BIOSES.contains(&architecture));
    if bios {
        area.extend_from_slice(&DISCOVERY);
    }
    if let Some(item) = asked.item {
        area.extend_from_slice(&[71, 4]);
        area.extend_from_slice(&item);
    }
    (!area.is_empty()).then(|| {
        area.push(code::END);
        area
    })
}

/// Who has an address already is answered there, at the port that it asked from: 68, or 4011 with EDK2, which listens on
/// that one. Everybody else hears broadcasts.
fn destination(asked: &ProxyRequest) -> SocketAddrV4 {
    let request = &asked.request;
    let own = [request.ciaddr, *asked.from.ip()]
        .into_iter()
        .find(|address| !address.is_unspecified());
    match (asked.port, own) {
        (Port::BootServer, Some(address)) => SocketAddrV4::new(address, asked.from.port()),
        (Port::BootServer, None) => SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT),
        (Port::Dhcp, _) if !request.giaddr.is_unspecified() => {
            SocketAddrV4::new(request.giaddr, Port::Dhcp.number())
        }
        (Port::Dhcp, _)
            if request.message != Message::Discover && !request.ciaddr.is_unspecified() =>
        {
            SocketAddrV4::new(request.ciaddr, CLIENT_PORT)
        }
        (Port::Dhcp, _) => SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT),
    }
}

/// A text in a field of the header, closed by a NUL; one that does not fit stays out of it.
fn field(bytes: &mut Vec<u8>, text: &[u8], length: usize) {
    let text = if text.len() < length { text } else { &[] };
    let end = bytes.len().saturating_add(length);
    bytes.extend_from_slice(text);
    bytes.resize(end, 0);
}

/// An option; one of more than 255 bytes in pieces (RFC 3396).
fn option(bytes: &mut Vec<u8>, code: u8, value: &[u8]) {
    for piece in value.chunks(usize::from(u8::MAX)) {
        bytes.push(code);
        bytes.push(u8::try_from(piece.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(piece);
    }
}
