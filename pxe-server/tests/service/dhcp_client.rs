// SPDX-License-Identifier: Apache-2.0
//! A DHCP client without an address: it asks by broadcast and takes broadcasts, as firmware does.

use dhcproto::Decodable as _;
use dhcproto::v4::Message;
use groundstate_api::MacAddr;
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

pub(crate) const OFFER: u8 = 2;
pub(crate) const ACK: u8 = 5;

pub(crate) fn socket() -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind_device(Some(b"client")).unwrap();
    socket.set_broadcast(true).unwrap();
    socket
        .bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68).into())
        .unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    socket.into()
}

/// What a client wants.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wants {
    /// An address: DISCOVER.
    Any,
    /// The address that our service offered: REQUEST.
    Offered(Ipv4Addr),
    /// The address that it had: REQUEST without a server.
    Again(Ipv4Addr),
}

/// What a client says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    class: &'static [u8],
    architecture: u8,
    broadcast: bool,
    relay: Ipv4Addr,
}

/// A client of this class that takes broadcasts only: a socket of an interface without an address.
pub(crate) const fn client(class: &'static [u8]) -> Client {
    Client {
        class,
        architecture: 0,
        broadcast: true,
        relay: Ipv4Addr::UNSPECIFIED,
    }
}

impl Client {
    /// It takes unicasts before it has an address, as firmware does.
    pub(crate) const fn takes_unicasts(mut self) -> Self {
        self.broadcast = false;
        self
    }

    /// A relay agent passes its messages on.
    pub(crate) const fn behind(mut self, relay: Ipv4Addr) -> Self {
        self.relay = relay;
        self
    }

    const fn of(mut self, architecture: u8) -> Self {
        self.architecture = architecture;
        self
    }

    /// Its message.
    pub(crate) fn ask(&self, wants: Wants, mac: MacAddr) -> Vec<u8> {
        let (kind, mut more) = match wants {
            Wants::Any => (1, Vec::new()),
            Wants::Offered(address) | Wants::Again(address) => {
                (3, [&[50, 4][..], &address.octets()].concat())
            }
        };
        if let Wants::Offered(_) = wants {
            more.extend([54, 4, 10, 77, 0, 1]);
        }
        // Only firmware says on what it runs.
        if self.class.starts_with(b"PXEClient") || self.class.starts_with(b"HTTPClient") {
            more.extend([93, 2, 0, self.architecture]);
        }
        let length = u8::try_from(self.class.len()).unwrap();
        let options = [&[53, 1, kind, 60, length], self.class, &more].concat();
        self.message(1, mac, &options)
    }

    /// What a DHCP server at this address would answer it.
    pub(crate) fn offer_of(&self, server: Ipv4Addr, mac: MacAddr) -> Vec<u8> {
        let options = [&[53, 1, OFFER, 54, 4][..], &server.octets()].concat();
        self.message(2, mac, &options)
    }

    fn message(&self, op: u8, mac: MacAddr, options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 240];
        bytes[..4].copy_from_slice(&[op, 1, 6, u8::from(!self.relay.is_unspecified())]);
        bytes[4..8].copy_from_slice(&mac.0[2..]);
        bytes[10] = u8::from(self.broadcast) << 7;
        bytes[24..28].copy_from_slice(&self.relay.octets());
        bytes[28..34].copy_from_slice(&mac.0);
        bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
        bytes.extend(options);
        bytes.push(255);
        bytes
    }
}

pub(crate) fn send(socket: &UdpSocket, bytes: &[u8]) {
    socket.send_to(bytes, (Ipv4Addr::BROADCAST, 67)).unwrap();
}

/// The next answer: its type, whose it is, and the address in it; `None` when none comes in time.
pub(crate) fn hear(socket: &UdpSocket) -> Option<(u8, MacAddr, Ipv4Addr)> {
    let mut buffer = [0; 1_500];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    assert_eq!(from.to_string(), "10.77.0.1:67");
    Some(read(&buffer[..length]))
}

/// What an answer says: its type, whose it is, and the address in it.
pub(crate) fn read(bytes: &[u8]) -> (u8, MacAddr, Ipv4Addr) {
    let message = Message::from_bytes(bytes).unwrap();
    let kind = message.opts().msg_type().unwrap().into();
    let mac = MacAddr(message.chaddr().try_into().unwrap());
    (kind, mac, message.yiaddr())
}

/// Sends a DISCOVER and waits for nothing.
pub(crate) fn discover(mac: MacAddr, class: &'static [u8], architecture: u8) {
    let client = client(class).of(architecture);
    send(&socket(), &client.ask(Wants::Any, mac));
}

/// DISCOVER, OFFER, REQUEST, ACK; the address.
pub(crate) fn lease(mac: MacAddr, class: &'static [u8], architecture: u8) -> Ipv4Addr {
    let (socket, client) = (socket(), client(class).of(architecture));
    send(&socket, &client.ask(Wants::Any, mac));
    let (kind, whose, address) = hear(&socket).unwrap();
    assert_eq!((kind, whose), (OFFER, mac));
    send(&socket, &client.ask(Wants::Offered(address), mac));
    assert_eq!(hear(&socket).unwrap(), (ACK, mac, address));
    address
}
