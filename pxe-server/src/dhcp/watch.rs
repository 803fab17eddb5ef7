// SPDX-License-Identifier: Apache-2.0
//! Packet sockets on the interface: replies of DHCP servers that are not ours, and whether somebody uses an address.
//!
//! A filter in the kernel lets nothing else through. It hears and asks; what it means is decided in the core.
#![allow(unsafe_code)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small constants, which the system's interface has in other widths than its headers"
)]

use super::datagrams::{BATCH, DATAGRAM_MAX};
use groundstate_api::MacAddr;
use nix::libc;
use pxe_core::dhcp::{Event, Overheard};
use std::io;
use std::mem::{size_of, zeroed};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const IP_HEADER_MIN: usize = 20;
const UDP_HEADER: usize = 8;

/// Packets from UDP port 67 whose BOOTP message is a reply. Requests that a relay agent passes on come from that port,
/// too, and are many. Offsets count from the IP header; the last row drops.
const REPLIES: [libc::sock_filter; 11] = [
    // The protocol is UDP,
    step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 9),
    step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 8, 17),
    // this is no later fragment,
    step(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 0, 0, 6),
    step(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 6, 0, 0x1fff),
    // behind the IP header stands source port 67,
    step(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, 0, 0),
    step(libc::BPF_LD | libc::BPF_H | libc::BPF_IND, 0, 0, 0),
    step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 3, 67),
    // and behind the UDP header a reply.
    step(libc::BPF_LD | libc::BPF_B | libc::BPF_IND, 0, 0, 8),
    step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, 2),
    step(libc::BPF_RET | libc::BPF_K, 0, 0, 0xffff),
    step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
];

/// ARP's answers.
const ARP_ANSWERS: [libc::sock_filter; 4] = [
    step(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 0, 0, 6),
    step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, 2),
    step(libc::BPF_RET | libc::BPF_K, 0, 0, 0xffff),
    step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
];

const fn step(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    let code = code as u16;
    libc::sock_filter { code, jt, jf, k }
}

/// Hears other DHCP servers.
#[derive(Debug)]
pub(super) struct Watch(Packets);

impl Watch {
    pub(super) fn open(interface: i32) -> io::Result<Self> {
        Packets::open(interface, libc::ETH_P_IP, &REPLIES).map(Self)
    }

    /// Takes what has come, without waiting.
    pub(super) fn heard(&self) -> Vec<Event> {
        let overheard = |packet: &[u8]| Overheard::parse(datagram(packet)?).map(Event::Overheard);
        self.0.take(overheard)
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }
}

/// What a packet of UDP carries.
fn datagram(packet: &[u8]) -> Option<&[u8]> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    if header < IP_HEADER_MIN {
        return None;
    }
    packet.get(header + UDP_HEADER..)
}

/// Asks who uses an address (an ARP probe, RFC 5227 section 2.1.1), and hears the answers.
#[derive(Debug)]
pub(super) struct Prober {
    packets: Packets,
    own: [u8; 6],
}

impl Prober {
    pub(super) fn open(interface: i32) -> io::Result<Self> {
        let packets = Packets::open(interface, libc::ETH_P_ARP, &ARP_ANSWERS)?;
        let own = packets.hardware()?;
        Ok(Self { packets, own })
    }

    /// Asks everybody on the wire.
    pub(super) fn ask(&self, address: Ipv4Addr) -> io::Result<()> {
        let mut question = vec![0, 1, 8, 0, 6, 4, 0, 1];
        question.extend(self.own);
        // From no address: it must not change anybody's table.
        question.extend([0; 4]);
        question.extend([0; 6]);
        question.extend(address.octets());
        self.packets.send_to_all(libc::ETH_P_ARP, &question)
    }

    /// Takes the answers that have come, without waiting.
    pub(super) fn heard(&self) -> Vec<Event> {
        self.packets.take(answer)
    }
}

impl AsFd for Prober {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.packets.socket.as_fd()
    }
}

fn answer(packet: &[u8]) -> Option<Event> {
    let (hardware, address) = (packet.get(8..14)?, packet.get(14..18)?);
    let is_answer = packet.get(..8)? == [0, 1, 8, 0, 6, 4, 0, 2];
    let address: [u8; 4] = address.try_into().ok()?;
    let by = Some(MacAddr(hardware.try_into().ok()?));
    is_answer.then(|| Event::ProbeAnswered {
        address: address.into(),
        by,
    })
}

/// A packet socket that hears what its filter lets through.
#[derive(Debug)]
struct Packets {
    socket: OwnedFd,
    interface: i32,
}

impl Packets {
    fn open(interface: i32, protocol: i32, filter: &[libc::sock_filter]) -> io::Result<Self> {
        // SAFETY: the call takes numbers only. Protocol 0 receives nothing, so that nothing comes before the filter.
        let raw = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                0,
            )
        };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened and belongs to nobody else.
        let socket = unsafe { OwnedFd::from_raw_fd(raw) };
        let packets = Self { socket, interface };
        packets.attach(filter)?;
        packets.bind(protocol)?;
        Ok(packets)
    }

    fn attach(&self, filter: &[libc::sock_filter]) -> io::Result<()> {
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_ptr().cast_mut(),
        };
        // SAFETY: the option's value is one `sock_fprog`, whose filter has as many steps as it says; the kernel copies both.
        let done = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                std::ptr::from_ref(&program).cast(),
                size_of::<libc::sock_fprog>() as u32,
            )
        };
        success(done)
    }

    fn address(&self, protocol: i32) -> libc::sockaddr_ll {
        // SAFETY: numbers and an array, for which zero is a value.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (protocol as u16).to_be();
        address.sll_ifindex = self.interface;
        address
    }

    fn bind(&self, protocol: i32) -> io::Result<()> {
        let address = self.address(protocol);
        // SAFETY: the address is a `sockaddr_ll` of the length that is said, and outlives the call.
        let done = unsafe {
            libc::bind(
                self.socket.as_raw_fd(),
                std::ptr::from_ref(&address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        success(done)
    }

    /// The interface's own hardware address, as the socket's name has it.
    fn hardware(&self) -> io::Result<[u8; 6]> {
        let mut address = self.address(0);
        let mut length = size_of::<libc::sockaddr_ll>() as u32;
        // SAFETY: there is room for a `sockaddr_ll`, as the length says, and both outlive the call.
        let done = unsafe {
            libc::getsockname(
                self.socket.as_raw_fd(),
                std::ptr::from_mut(&mut address).cast(),
                &mut length,
            )
        };
        success(done)?;
        let [a, b, c, d, e, f, ..] = address.sll_addr;
        Ok([a, b, c, d, e, f])
    }

    fn send_to_all(&self, protocol: i32, packet: &[u8]) -> io::Result<()> {
        let mut address = self.address(protocol);
        address.sll_halen = 6;
        address.sll_addr = [0xff; 8];
        // SAFETY: the packet and the address are as long as is said, and outlive the call.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                packet.as_ptr().cast(),
                packet.len(),
                0,
                std::ptr::from_ref(&address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        success(sent.min(0) as i32)
    }

    /// As much as one turn may take: whoever floods us costs no more.
    fn take<T>(&self, read: impl Fn(&[u8]) -> Option<T>) -> Vec<T> {
        let mut buffer = [0; DATAGRAM_MAX];
        let mut taken = Vec::new();
        for _ in 0..BATCH {
            match rustix::io::read(&self.socket, &mut buffer) {
                Ok(length) => taken.extend(buffer.get(..length).and_then(&read)),
                // There is nothing more, or the interface is down.
                Err(_) => break,
            }
        }
        taken
    }
}

fn success(result: i32) -> io::Result<()> {
    (result == 0)
        .then_some(())
        .ok_or_else(io::Error::last_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_as_what_it_is() {
        let mut message = vec![0; 240];
        message[0] = 2;
        message[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 7]);
        message[236..].copy_from_slice(&[99, 130, 83, 99]);
        message.extend([53, 1, 2, 54, 4, 10, 77, 0, 67, 255]);
        let from = (Ipv4Addr::new(10, 77, 0, 66), 67);
        let packet = crate::dhcp::frame::packet(from, ([255; 4].into(), 68), &message).unwrap();
        let overheard = Overheard::parse(datagram(&packet).unwrap()).unwrap();
        assert_eq!(overheard.server, Ipv4Addr::new(10, 77, 0, 67));
        for length in 0..28 {
            assert_eq!(datagram(&packet[..length]).unwrap_or_default(), b"");
        }
        assert_eq!(datagram(&[0x41; 60]), None);
        let mut said = vec![0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 9, 10, 77, 0, 100];
        said.resize(28, 0);
        assert!(matches!(
            answer(&said),
            Some(Event::ProbeAnswered { address, by: Some(MacAddr([2, 0, 0, 0, 0, 9])) })
                if address == Ipv4Addr::new(10, 77, 0, 100)
        ));
        said[7] = 1;
        assert!(answer(&said).is_none() && answer(&said[..17]).is_none());
    }
}
