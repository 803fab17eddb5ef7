// SPDX-License-Identifier: Apache-2.0
//! UDP port 547 on one interface, and the groups that clients and relay agents ask.

use crate::ServeError;
use crate::port_holder::{Protocol as Over, advice};
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use tokio::io::Interest;

const PORT: u16 = 547;
/// All DHCP relay agents and servers: whom clients ask (RFC 8415 section 7.1).
const ALL: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// All DHCP servers of a site: whom relay agents may ask.
const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3);
/// The longest datagram that is read, in bytes: what an Ethernet frame carries.
const DATAGRAM_MAX: usize = 1_500;
/// Bytes that the kernel keeps of datagrams not read yet: about 1,000 requests while leases are being written.
const RECEIVE_BUFFER: usize = 2 << 20;

/// A datagram on the port.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) bytes: Vec<u8>,
    pub(crate) from: SocketAddrV6,
    /// A group, or one address of ours.
    pub(crate) to: Ipv6Addr,
}

/// The socket.
#[derive(Debug)]
pub(crate) struct Dhcp6Socket {
    socket: tokio::net::UdpSocket,
}

impl Dhcp6Socket {
    /// Takes a socket that was handed over, or opens one on the interface.
    pub(crate) fn open(
        interface: &str,
        handed_over: Option<UdpSocket>,
    ) -> Result<Self, ServeError> {
        let index =
            nix::net::if_::if_nametoindex(interface).map_err(|error| ServeError::Interface {
                name: interface.to_owned(),
                source: error.into(),
            })?;
        let address = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, PORT, 0, 0);
        handed_over
            .map_or_else(|| bind(address, interface), Ok)
            .and_then(|socket| {
                for group in [ALL, SERVERS] {
                    socket.join_multicast_v6(&group, index)?;
                }
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
                socket.set_nonblocking(true)?;
                tokio::net::UdpSocket::from_std(socket)
            })
            .map(|socket| Self { socket })
            .map_err(|source| ServeError::Listen {
                service: "DHCPv6",
                address: address.into(),
                advice: advice(Over::Udp, address.into(), &source),
                source,
            })
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// What can be read without waiting, at most so many.
    pub(crate) fn received(&self, most: usize) -> Vec<Datagram> {
        let mut buffer = [0; DATAGRAM_MAX];
        let mut all = Vec::new();
        while all.len() < most {
            let read = || receive(&self.socket, &mut buffer);
            match self.socket.try_io(Interest::READABLE, read) {
                Ok(datagram) => all.extend(datagram),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An error that an earlier answer met (port unreachable); it says nothing about the next datagram.
                Err(error) => tracing::debug!(%error, "DHCPv6: receive"),
            }
        }
        all
    }

    pub(crate) async fn send(&self, bytes: &[u8], to: SocketAddrV6) -> io::Result<()> {
        self.socket
            .send_to(bytes, SocketAddr::V6(to))
            .await
            .map(drop)
    }
}

/// The next datagram; nothing where it is none of IPv6, or does not say where it was sent to.
fn receive(socket: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<Option<Datagram>> {
    let mut slices = [IoSliceMut::new(buffer)];
    let mut control = nix::cmsg_space!(libc::in6_pktinfo);
    let message = recvmsg::<SockaddrIn6>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut control),
        MsgFlags::empty(),
    )?;
    let from = message.address.map(SocketAddrV6::from);
    let to = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(Ipv6Addr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    });
    let length = message.bytes;
    let bytes = buffer.get(..length).unwrap_or_default().to_vec();
    Ok(from.zip(to).map(|(from, to)| Datagram { bytes, from, to }))
}

fn bind(address: SocketAddrV6, interface: &str) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(true)?;
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}
