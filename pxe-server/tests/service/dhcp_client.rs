// SPDX-License-Identifier: Apache-2.0
//! A DHCP client without an address: it asks by broadcast and takes broadcasts, as firmware does.

use dhcproto::Decodable as _;
use dhcproto::v4::{Message, MessageType};
use groundstate_api::MacAddr;
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

fn socket() -> UdpSocket {
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

fn packet(message: u8, mac: MacAddr, class: &[u8], architecture: u8, more: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 240];
    bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
    bytes[4..8].copy_from_slice(&mac.0[2..]);
    // A socket of an interface without an address takes broadcasts only, and says so.
    bytes[10] = 0x80;
    bytes[28..34].copy_from_slice(&mac.0);
    bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
    bytes.extend([53, 1, message, 60, u8::try_from(class.len()).unwrap()]);
    bytes.extend(class);
    bytes.extend([93, 2, 0, architecture]);
    bytes.extend(more);
    bytes.push(255);
    bytes
}

fn send(socket: &UdpSocket, bytes: &[u8]) {
    socket.send_to(bytes, (Ipv4Addr::BROADCAST, 67)).unwrap();
}

/// The next answer, which must be for this machine.
fn receive(socket: &UdpSocket, mac: MacAddr) -> Message {
    let mut buffer = [0; 1_500];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(from.to_string(), "10.77.0.1:67");
    let message = Message::from_bytes(&buffer[..length]).unwrap();
    assert_eq!(message.chaddr(), mac.0);
    message
}

/// Sends a DISCOVER and waits for nothing.
pub(crate) fn discover(mac: MacAddr, class: &[u8], architecture: u8) {
    send(&socket(), &packet(1, mac, class, architecture, &[]));
}

/// DISCOVER, OFFER, REQUEST, ACK; the address.
pub(crate) fn lease(mac: MacAddr, class: &[u8], architecture: u8) -> Ipv4Addr {
    let socket = socket();
    send(&socket, &packet(1, mac, class, architecture, &[]));
    let offer = receive(&socket, mac);
    assert_eq!(offer.opts().msg_type(), Some(MessageType::Offer));
    let mut more = vec![50, 4];
    more.extend(offer.yiaddr().octets());
    more.extend([54, 4, 10, 77, 0, 1]);
    send(&socket, &packet(3, mac, class, architecture, &more));
    let ack = receive(&socket, mac);
    assert_eq!(
        (ack.opts().msg_type(), ack.yiaddr()),
        (Some(MessageType::Ack), offer.yiaddr())
    );
    ack.yiaddr()
}
