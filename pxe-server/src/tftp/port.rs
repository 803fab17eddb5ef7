// SPDX-License-Identifier: Apache-2.0
//! Port 69: requests, and the address of ours that each was sent to.

use super::wire::{Wire, address};
use crate::sockets::OnInterface;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use pxe_core::tftp::{TftpRefusal, error_packet};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

/// The port, on one interface.
#[derive(Debug)]
pub(super) struct Port {
    socket: UdpSocket,
    pub(super) interface: String,
}

/// A datagram on the port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) length: usize,
    pub(super) peer: SocketAddr,
    /// The address of ours that it was sent to.
    pub(super) to: IpAddr,
}

impl Port {
    pub(super) fn new(on: OnInterface) -> io::Result<Self> {
        let socket = on.socket.into_std()?;
        socket.set_nonblocking(true)?;
        if socket.local_addr()?.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        Ok(Self {
            socket,
            interface: on.name,
        })
    }

    /// The next datagram that was sent to one address of ours; `None` where there is none. Who asks everybody (a
    /// broadcast or multicast address) is not answered: RFC 1123, 4.2.3.4.
    ///
    /// # Errors
    /// The socket does not work any more.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Asked>> {
        loop {
            match self.receive_one(buffer) {
                Ok(Some(asked)) => return Ok(Some(asked)),
                Ok(None) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused => {}
                    _ => return Err(error),
                },
            }
        }
    }

    fn receive_one(&self, buffer: &mut [u8]) -> io::Result<Option<Asked>> {
        let mut slices = [IoSliceMut::new(buffer)];
        // A port for both families that was handed over tells the address of an IPv4 datagram in both ways.
        let mut control = nix::cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo);
        let message = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut slices,
            Some(&mut control),
            MsgFlags::empty(),
        )?;
        let Some(peer) = message.address.as_ref().and_then(address) else {
            return Ok(None);
        };
        let (mut four, mut six) = (None, None);
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    let local = Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
                    let sent_to = Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes());
                    four = (local == sent_to).then_some(IpAddr::V4(local));
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    let sent_to = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    six = (!sent_to.is_multicast()).then_some(IpAddr::V6(sent_to));
                }
                _ => {}
            }
        }
        // What came over IPv4 is answered over IPv4, and only that way tells a broadcast from a datagram to us.
        let peer = match peer.ip().to_canonical() {
            IpAddr::V4(four) => SocketAddr::from((four, peer.port())),
            IpAddr::V6(_) => peer,
        };
        let to = if peer.is_ipv4() { four } else { six };
        let length = message.bytes;
        Ok(to.map(|to| Asked { length, peer, to }))
    }

    /// Tells a client why it gets nothing.
    pub(super) fn refuse(&self, asked: Asked, refusal: &TftpRefusal) {
        let Some(packet) = error_packet(refusal) else {
            return;
        };
        match Wire::open(asked.to, &self.interface) {
            Ok(mut wire) => {
                let _lost = wire.send(asked.peer, &packet, packet.len());
            }
            Err(error) => {
                tracing::debug!(peer = %asked.peer, %error, "TFTP: a refusal was not sent");
            }
        }
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
