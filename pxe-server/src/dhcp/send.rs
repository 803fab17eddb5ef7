// SPDX-License-Identifier: Apache-2.0
//! How replies leave: from the address that was asked, by a socket or, to a machine without an address, in a frame.

use super::datagrams::{self, Target};
use super::frame;
use crate::desk::Desk;
use crate::metrics::{Metric, Timing};
use crate::slowly::Slowly;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};
use nix::sys::time::TimeVal;
use pxe_core::dhcp::Destination;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
/// How long a full send buffer is waited for; a wire that takes nothing for longer loses the reply.
const SEND_WAIT: TimeVal = TimeVal::new(1, 0);
/// Errors of sending are told once in so long.
const TELL: Duration = Duration::from_secs(10);

/// A reply, and where it goes.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) to: Destination,
    pub(super) bytes: Vec<u8>,
    /// Our address that the request was sent to; `None` of a broadcast.
    pub(super) asked: Option<Ipv4Addr>,
    /// When the request was read.
    pub(super) read: Instant,
}

/// Sends replies. The threads share it.
pub(super) struct Sender {
    socket: Arc<UdpSocket>,
    /// For machines that have no address yet.
    frames: Option<OwnedFd>,
    interface: i32,
    address: Ipv4Addr,
    desk: Arc<Desk>,
    told: Slowly,
}

impl Sender {
    pub(super) fn new(socket: Arc<UdpSocket>, interface: i32, desk: Arc<Desk>) -> io::Result<Self> {
        setsockopt(&*socket, sockopt::SendTimeout, &SEND_WAIT)?;
        let frames = match open_frames() {
            Ok(frames) => Some(frames),
            Err(error) => {
                tracing::warn!(
                    %error,
                    "DHCP: no packet socket (CAP_NET_RAW); machines without an address are answered by broadcast"
                );
                None
            }
        };
        Ok(Self {
            socket,
            frames,
            interface,
            address: desk.address(),
            desk,
            told: Slowly::new(TELL),
        })
    }

    /// Sends replies in order of their kind: those by the socket, then those in frames.
    pub(super) fn send(&self, replies: &[Reply]) {
        if self.desk.captures() {
            for reply in replies {
                let from = SocketAddrV4::new(reply.asked.unwrap_or(self.address), SERVER_PORT);
                self.desk
                    .captured_reply(from, self.on_the_wire(&reply.to), &reply.bytes);
            }
        }
        let (mut by_socket, mut framed) = (Vec::new(), Vec::new());
        for reply in replies {
            let from = reply.asked.unwrap_or(self.address);
            match self.frame(from, reply) {
                Some((hardware, packet)) => framed.push((hardware, packet)),
                None => by_socket.push((
                    Target::Socket {
                        from,
                        to: address(&reply.to),
                    },
                    &*reply.bytes,
                )),
            }
        }
        self.leave(self.socket.as_fd(), &by_socket);
        if let Some(frames) = &self.frames {
            let framed: Vec<(Target, &[u8])> = framed
                .iter()
                .map(|(hardware, packet)| (Target::Frame(*hardware), &**packet))
                .collect();
            self.leave(frames.as_fd(), &framed);
        }
        let now = Instant::now();
        for reply in replies {
            self.desk.timed(Timing::DhcpAnswer, now - reply.read);
        }
    }

    /// Where it goes, as somebody who looks at the wire sees it.
    const fn on_the_wire(&self, to: &Destination) -> SocketAddrV4 {
        match (to, &self.frames) {
            (Destination::Hardware { address, .. }, Some(_)) => {
                SocketAddrV4::new(*address, CLIENT_PORT)
            }
            (
                Destination::Hardware { .. }
                | Destination::Relay(_)
                | Destination::Client(_)
                | Destination::Broadcast,
                _,
            ) => address(to),
        }
    }

    /// The frame for a machine that has no address yet and can take a unicast.
    fn frame(&self, from: Ipv4Addr, reply: &Reply) -> Option<([u8; 6], Vec<u8>)> {
        self.frames.as_ref()?;
        let Destination::Hardware { mac, address } = reply.to else {
            return None;
        };
        let packet = frame::packet((from, SERVER_PORT), (address, CLIENT_PORT), &reply.bytes)?;
        Some((mac.0, packet))
    }

    fn leave(&self, socket: std::os::fd::BorrowedFd<'_>, replies: &[(Target, &[u8])]) {
        if replies.is_empty() {
            return;
        }
        let (failed, error) = datagrams::send(socket, self.interface, replies);
        let (failed, all) = (count(failed), count(replies.len()));
        self.desk.count(Metric::DhcpSent, all - failed);
        if let Some(error) = error {
            self.desk.count(Metric::DhcpUnsent, failed);
            if let Some(unsaid) = self.told.now() {
                tracing::warn!(%error, failed, unsaid, "DHCP: answers were not sent");
            }
        }
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Where the socket sends it. What it cannot send to a hardware address it broadcasts.
const fn address(to: &Destination) -> SocketAddrV4 {
    match to {
        Destination::Relay(address) => SocketAddrV4::new(*address, SERVER_PORT),
        Destination::Client(address) => SocketAddrV4::new(*address, CLIENT_PORT),
        Destination::Broadcast | Destination::Hardware { .. } => {
            SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT)
        }
    }
}

/// It receives nothing: protocol 0. The kernel writes the Ethernet header.
fn open_frames() -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Packet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    setsockopt(&socket, sockopt::SendTimeout, &SEND_WAIT)?;
    Ok(socket)
}
