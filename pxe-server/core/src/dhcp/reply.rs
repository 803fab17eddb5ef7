// SPDX-License-Identifier: Apache-2.0
//! Builds the server's message and says where it goes.

use super::client::Client;
use super::request::{Message, Request, code};
use super::subnet::Subnet;
use crate::names::{SNPONLY, UNDIONLY};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use dhcproto::Encodable as _;
use dhcproto::v4::{self, DhcpOption, MessageType, Opcode, OptionCode, UnknownOption};
use groundstate_api::boot::Firmware;

/// BOOTP's length without options; some ROMs and relays drop what is shorter (RFC 1542 section 2.1).
const REPLY_MIN: usize = 300;
/// PXE discovery control (option 43, suboption 6): 8 says "use the boot file name of this very offer", so that firmware
/// neither searches boot servers nor shows a menu.
const PXE_DISCOVERY: &[u8] = &[6, 1, 8, 255];
/// iPXE's `no-pxedhcp` (option 175, suboption 176): do not wait for a proxyDHCP offer.
const IPXE_NO_PROXY: &[u8] = &[176, 1, 1];

/// Where a reply goes (RFC 2131 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To the relay agent, port 67.
    Relay(Ipv4Addr),
    /// To the client's own address, port 68.
    Client(Ipv4Addr),
    /// To everybody on the wire, port 68. Also for a client without an address that would take a unicast: a socket cannot
    /// send to an address that does not answer ARP, and "if unicasting is not possible, the message MAY be sent as an
    /// IP broadcast".
    Broadcast,
}

/// What a client is told to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BootFile {
    /// Nothing.
    None,
    /// A first stage by TFTP.
    Tftp(&'static str),
    /// The boot image by HTTP, for UEFI HTTP Boot.
    Http(String),
    /// The machine's iPXE script.
    Script(String),
}

impl BootFile {
    /// The first stage for this client.
    pub(super) fn of(request: &Request, subnet: &Subnet) -> Self {
        match request.client {
            Client::Plain | Client::Unsupported { .. } => Self::None,
            Client::Pxe(Firmware::Bios) => Self::Tftp(UNDIONLY),
            Client::Pxe(Firmware::UefiPxe | Firmware::UefiHttp) => Self::Tftp(SNPONLY),
            Client::Http => Self::Http(subnet.http().file(crate::names::UKI)),
            Client::Ipxe(_) => Self::Script(subnet.http().script(request.mac)),
        }
    }
}

/// OFFER or ACK with an address and a lease.
pub(super) fn grant(
    subnet: &Subnet,
    request: &Request,
    address: Ipv4Addr,
    boot: &BootFile,
) -> (Destination, Vec<u8>) {
    let kind = match request.message {
        Message::Discover => MessageType::Offer,
        Message::Request | Message::Decline | Message::Release | Message::Inform => {
            MessageType::Ack
        }
    };
    let mut reply = begin(subnet, request, kind);
    reply.set_yiaddr(address);
    let lease = subnet.lease_secs();
    let options = reply.opts_mut();
    options.insert(DhcpOption::AddressLeaseTime(lease));
    options.insert(DhcpOption::Renewal(lease / 2));
    options.insert(DhcpOption::Rebinding(lease - lease / 8));
    network(subnet, &mut reply);
    boot_file(subnet, request, boot, &mut reply);
    (destination(request), encode(&reply))
}

/// ACK for a client that has its address from elsewhere: no lease, no `yiaddr` (RFC 2131 section 4.3.5).
pub(super) fn inform(
    subnet: &Subnet,
    request: &Request,
    boot: &BootFile,
) -> (Destination, Vec<u8>) {
    let mut reply = begin(subnet, request, MessageType::Ack);
    network(subnet, &mut reply);
    boot_file(subnet, request, boot, &mut reply);
    (Destination::Client(request.ciaddr), encode(&reply))
}

/// NAK. The client may not have this address.
pub(super) fn nak(subnet: &Subnet, request: &Request) -> (Destination, Vec<u8>) {
    let mut reply = begin(subnet, request, MessageType::Nak);
    reply
        .set_ciaddr(Ipv4Addr::UNSPECIFIED)
        .set_siaddr(Ipv4Addr::UNSPECIFIED);
    if request.giaddr.is_unspecified() {
        return (Destination::Broadcast, encode(&reply));
    }
    // "the server SHALL set the broadcast bit in the DHCPNAK, so that the relay agent will broadcast" (4.3.2).
    reply.set_flags(request.header.flags().set_broadcast());
    (Destination::Relay(request.giaddr), encode(&reply))
}

/// The request's own header becomes the reply's, so that xid, flags, giaddr and chaddr are echoed.
fn begin(subnet: &Subnet, request: &Request, kind: MessageType) -> v4::Message {
    let mut reply = request.header.clone();
    reply.set_opcode(Opcode::BootReply).set_hops(0).set_secs(0);
    reply
        .set_yiaddr(Ipv4Addr::UNSPECIFIED)
        .set_siaddr(subnet.address());
    if request.message == Message::Discover {
        reply.set_ciaddr(Ipv4Addr::UNSPECIFIED);
    }
    reply.clear_fname();
    reply.clear_sname();
    let options = reply.opts_mut();
    options.insert(DhcpOption::MessageType(kind));
    options.insert(DhcpOption::ServerIdentifier(subnet.address()));
    // RFC 6842: the client identifier is returned. RFC 3046: so is the relay agent's information, byte for byte, last.
    if let Some(id) = &request.client_id {
        options.insert(DhcpOption::ClientIdentifier(id.clone()));
    }
    if let Some(relay) = &request.relay {
        options.insert(raw(code::RELAY_AGENT, relay));
    }
    reply
}

fn network(subnet: &Subnet, reply: &mut v4::Message) {
    let options = reply.opts_mut();
    options.insert(DhcpOption::SubnetMask(subnet.mask()));
    options.insert(DhcpOption::BroadcastAddr(subnet.broadcast()));
    if let Some(router) = subnet.router() {
        options.insert(DhcpOption::Router(alloc::vec![router]));
    }
    if !subnet.dns().is_empty() {
        options.insert(DhcpOption::DomainNameServer(subnet.dns().to_vec()));
    }
}

fn boot_file(subnet: &Subnet, request: &Request, boot: &BootFile, reply: &mut v4::Message) {
    let server = subnet.address().to_string();
    let file = match boot {
        BootFile::None => return,
        BootFile::Tftp(name) => (*name).to_string(),
        BootFile::Http(url) | BootFile::Script(url) => url.clone(),
    };
    // Both the header fields and options 66/67: ROMs differ in which they read.
    reply.set_fname_str(&file);
    let options = reply.opts_mut();
    options.insert(DhcpOption::BootfileName(file.into_bytes()));
    match boot {
        BootFile::None => {}
        BootFile::Tftp(_) => {
            options.insert(DhcpOption::ClassIdentifier(b"PXEClient".to_vec()));
            options.insert(DhcpOption::VendorExtensions(PXE_DISCOVERY.to_vec()));
            options.insert(DhcpOption::TFTPServerName(server.clone().into_bytes()));
            if let Some(id) = &request.machine_id {
                options.insert(raw(code::MACHINE_ID, id));
            }
            reply.set_sname_str(server);
        }
        // UEFI specification 2.10, 24.7.3: an offer is for HTTP Boot when it carries this class and a URI.
        BootFile::Http(_) => {
            drop(options.insert(DhcpOption::ClassIdentifier(b"HTTPClient".to_vec())))
        }
        BootFile::Script(_) => drop(options.insert(raw(code::IPXE, IPXE_NO_PROXY))),
    }
}

fn raw(code: u8, value: &[u8]) -> DhcpOption {
    DhcpOption::Unknown(UnknownOption::new(OptionCode::from(code), value.to_vec()))
}

fn destination(request: &Request) -> Destination {
    if !request.giaddr.is_unspecified() {
        Destination::Relay(request.giaddr)
    } else if request.message != Message::Discover && !request.ciaddr.is_unspecified() {
        Destination::Client(request.ciaddr)
    } else {
        Destination::Broadcast
    }
}

fn encode(reply: &v4::Message) -> Vec<u8> {
    let mut bytes = reply
        .to_vec()
        .expect("every field was bounded when the request and the subnet were read");
    if bytes.len() < REPLY_MIN {
        bytes.resize(REPLY_MIN, 0);
    }
    bytes
}
