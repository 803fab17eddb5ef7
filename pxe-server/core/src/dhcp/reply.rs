// SPDX-License-Identifier: Apache-2.0
//! What a reply says, and where it goes.

use super::boot_file::BootFile;
use super::client::Client;
use super::options::code;
use super::request::{Message, Request};
use super::subnet::Subnet;
use super::write::{Kind, Reply};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use groundstate_api::MacAddr;

/// PXE discovery control (option 43, suboption 6): 8 says "use the boot file name of this very offer", so that firmware
/// neither searches boot servers nor shows a menu.
const PXE_DISCOVERY: &[u8] = &[6, 1, 8, 255];
/// iPXE's `no-pxedhcp` (option 175, suboption 176): do not wait for a proxyDHCP offer.
const IPXE_NO_PROXY: &[u8] = &[176, 1, 1];
/// Sub-option 11 of option 82: the server identifier that the relay agent wants to be named (RFC 5107).
const SERVER_ID_OVERRIDE: u8 = 11;

/// Where a reply goes (RFC 2131 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To the relay agent, port 67.
    Relay(Ipv4Addr),
    /// To the client's own address, port 68.
    Client(Ipv4Addr),
    /// To everybody on the wire, port 68.
    Broadcast,
    /// To a client that has no address yet and takes a unicast: to this hardware address and the address it is given,
    /// port 68. Whoever cannot send that, because it would need ARP's answer, broadcasts: "if unicasting is not
    /// possible, the message MAY be sent as an IP broadcast".
    Hardware {
        /// The hardware address.
        mac: MacAddr,
        /// The address that it is given.
        address: Ipv4Addr,
    },
}

/// Whose words a reply is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice<'a> {
    /// Our own address: where boot files are.
    pub(super) address: Ipv4Addr,
    pub(super) subnet: &'a Subnet,
    /// The boot file's name or URL, where there is one.
    pub(super) file: Option<&'a str>,
    pub(super) boot: &'a BootFile,
    /// The host name that is reserved with the address.
    pub(super) host_name: Option<&'a str>,
}

/// The server identifier: our own address, or what the relay agent wants (RFC 5107), so that renewals come through it.
pub(super) fn server_id(request: &Request, own: Ipv4Addr) -> Ipv4Addr {
    request
        .relay_said_address(SERVER_ID_OVERRIDE)
        .unwrap_or(own)
}

/// OFFER or ACK with an address and a lease.
pub(super) fn grant(
    voice: &Voice<'_>,
    request: &Request,
    kind: Kind,
    address: Ipv4Addr,
) -> (Destination, Vec<u8>) {
    let server = voice.address.to_string();
    let mut reply = Reply::new(request, kind, server_id(request, voice.address));
    reply.set_yiaddr(address);
    if kind == Kind::Ack {
        reply.set_ciaddr(request.ciaddr);
    }
    let lease = voice.subnet.config.lease_secs;
    reply.seconds(code::LEASE_TIME, lease);
    configure(voice, request, &server, &mut reply);
    reply.seconds(code::RENEWAL, lease / 2);
    reply.seconds(code::REBINDING, lease - lease / 8);
    optional(voice, request, &mut reply);
    (destination(request, address), reply.finish())
}

/// ACK for a client that has its address from elsewhere: no lease, no `yiaddr` (RFC 2131 section 4.3.5).
pub(super) fn inform(voice: &Voice<'_>, request: &Request) -> (Destination, Vec<u8>) {
    let server = voice.address.to_string();
    let mut reply = Reply::new(request, Kind::Ack, server_id(request, voice.address));
    reply.set_ciaddr(request.ciaddr);
    configure(voice, request, &server, &mut reply);
    optional(voice, request, &mut reply);
    (destination(request, request.ciaddr), reply.finish())
}

/// NAK: the client may not have this address, and why.
pub(super) fn nak(own: Ipv4Addr, request: &Request, why: &str) -> (Destination, Vec<u8>) {
    let mut reply = Reply::new(request, Kind::Nak, server_id(request, own));
    identify(request, &mut reply);
    reply.option(code::MESSAGE, why.as_bytes());
    match request.relay_agent() {
        None => (Destination::Broadcast, reply.finish()),
        Some(relay) => {
            // "the server SHALL set the broadcast bit in the DHCPNAK, so that the relay agent will broadcast" (4.3.2).
            reply.set_broadcast();
            (Destination::Relay(relay), reply.finish())
        }
    }
}

/// What is returned of what the client sent: its identifier (RFC 6842), the subnet it was to be in (RFC 3011).
fn identify(request: &Request, reply: &mut Reply<'_>) {
    reply.option(
        code::CLIENT_ID,
        request.client_id.as_deref().unwrap_or_default(),
    );
    if let Some(subnet) = request.subnet_selection {
        reply.option(code::SUBNET_SELECTION, &subnet.octets());
    }
}

/// What goes out always: the network and the boot file.
fn configure<'a>(voice: &Voice<'_>, request: &Request, server: &'a str, reply: &mut Reply<'a>) {
    let config = &voice.subnet.config;
    reply.set_siaddr(voice.address);
    reply.option(code::SUBNET_MASK, &voice.subnet.mask().octets());
    identify(request, reply);
    if let Some(file) = voice.file {
        boot(voice.boot, request, server, file, reply);
    }
    // Whoever takes the routes does not look at the router; it is among them (RFC 3442).
    match routes_code(request, voice.subnet) {
        Some(code) => reply.option(code, &voice.subnet.routes),
        None => reply.addresses(code::ROUTERS, &config.router),
    }
    reply.addresses(code::NAME_SERVERS, &config.dns);
}

/// Under which number the client wants the routes, where there are any: RFC 3442's, or what older Windows asks for.
fn routes_code(request: &Request, subnet: &Subnet) -> Option<u8> {
    [code::ROUTES, code::ROUTES_MICROSOFT]
        .into_iter()
        .find(|code| !subnet.routes.is_empty() && request.asks_for(*code))
}

/// What goes out to clients that ask for it, and what can be missed.
fn optional(voice: &Voice<'_>, request: &Request, reply: &mut Reply<'_>) {
    let config = &voice.subnet.config;
    reply.option(code::BROADCAST, &voice.subnet.broadcast().octets());
    let text = |text: Option<&str>| text.map(|it| it.as_bytes().to_vec()).unwrap_or_default();
    for (code, value) in [
        (code::HOST_NAME, text(voice.host_name)),
        (code::DOMAIN, text(config.domain.as_deref())),
        (
            code::MTU,
            config
                .mtu
                .map(|mtu| mtu.to_be_bytes().to_vec())
                .unwrap_or_default(),
        ),
    ] {
        if request.asks_for(code) {
            reply.option(code, &value);
        }
    }
    if request.asks_for(code::TIME_SERVERS) {
        reply.addresses(code::TIME_SERVERS, &config.ntp);
    }
}

/// Both the header fields and options 66 and 67: ROMs differ in which they read.
fn boot<'a>(
    boot: &BootFile,
    request: &Request,
    server: &'a str,
    file: &str,
    reply: &mut Reply<'a>,
) {
    match boot {
        BootFile::Nothing | BootFile::NoAnswer | BootFile::NoFileFor { .. } => return,
        BootFile::Tftp(_) => {
            reply.option(code::VENDOR_CLASS, b"PXEClient");
            reply.option(code::VENDOR, PXE_DISCOVERY);
            reply.boot_file(file);
            reply.option(code::TFTP_SERVER, server.as_bytes());
            reply.server_name(server);
        }
        // UEFI specification 2.10, 24.7.3: an offer is for HTTP Boot when it carries this class and a URI.
        BootFile::Http(_) => {
            reply.option(code::VENDOR_CLASS, b"HTTPClient");
            reply.boot_file(file);
        }
        BootFile::IpxeScript | BootFile::IpxeFile(_) => {
            reply.boot_file(file);
            reply.option(code::IPXE, IPXE_NO_PROXY);
        }
    }
    match request.client {
        Client::Plain | Client::Ipxe { .. } => {}
        Client::Pxe { .. } | Client::Http { .. } => {
            reply.option(
                code::MACHINE_ID,
                request.machine_id.as_deref().unwrap_or_default(),
            );
        }
    }
}

fn destination(request: &Request, address: Ipv4Addr) -> Destination {
    if let Some(relay) = request.relay_agent() {
        Destination::Relay(relay)
    } else if request.message != Message::Discover && request.ciaddr == address {
        // Only what it is given or uses with us: nobody sends a reply to where he likes.
        Destination::Client(address)
    } else if request.broadcast {
        Destination::Broadcast
    } else {
        Destination::Hardware {
            mac: request.mac,
            address,
        }
    }
}

/// A boot file's name as a step tells it.
pub(super) fn told(file: Option<&str>) -> Option<String> {
    file.map(ToString::to_string)
}
