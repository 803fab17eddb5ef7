// SPDX-License-Identifier: Apache-2.0
//! The three sockets: handed over, or opened on the provisioning interface.

use crate::port_holder::{Protocol as Over, advice};
use crate::{Config, ServeError};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};

const DHCP_PORT: u16 = 67;
const TFTP_PORT: u16 = 69;
/// Connections that wait to be accepted: a rack that was switched on at once.
const BACKLOG: i32 = 1_024;
/// Bytes that the kernel keeps of datagrams not read yet: about 1,000 requests while leases are being written.
const RECEIVE_BUFFER: usize = 2 << 20;

/// Sockets that somebody else has bound already. What is `None` is opened by the service.
#[derive(Debug, Default)]
pub struct Sockets {
    /// UDP, for DHCP; port 67 in earnest.
    pub dhcp: Option<UdpSocket>,
    /// UDP, for TFTP; port 69 in earnest.
    pub tftp: Option<UdpSocket>,
    /// TCP, for HTTP boot files; its port must be the one in our URLs.
    pub http: Option<TcpListener>,
    /// TCP, for HTTPS boot files.
    pub https: Option<TcpListener>,
}

/// A socket and the interface that it talks through.
pub(crate) struct OnInterface {
    pub(crate) socket: tokio::net::UdpSocket,
    /// The interface's index.
    pub(crate) index: i32,
    /// The interface's name, to bind further sockets to.
    pub(crate) name: String,
}

/// Every socket, ready for use.
pub(crate) struct Bound {
    pub(crate) dhcp: OnInterface,
    pub(crate) tftp: OnInterface,
    pub(crate) http: tokio::net::TcpListener,
    pub(crate) https: Option<tokio::net::TcpListener>,
}

impl Bound {
    pub(crate) fn open(config: &Config, handed_over: Sockets) -> Result<Self, ServeError> {
        let name = config.interface.clone();
        let index = nix::net::if_::if_nametoindex(name.as_str())
            .map_err(io::Error::from)
            .and_then(|index| i32::try_from(index).map_err(io::Error::other))
            .map_err(|source| ServeError::Interface {
                name: name.clone(),
                source,
            })?;
        let udp = |service, port, handed_over: Option<UdpSocket>| {
            let address = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
            let socket = handed_over
                .map_or_else(
                    || open_udp(address, &name),
                    |socket| to_interface(socket, &name),
                )
                .and_then(prepare_udp)
                .map_err(|source| refused(service, Over::Udp, address, source))?;
            Ok::<_, ServeError>(OnInterface {
                socket,
                index,
                name: name.clone(),
            })
        };
        let tcp = |service, port, handed_over: Option<TcpListener>| {
            let address = SocketAddrV4::new(config.dhcp.address, port);
            handed_over
                .map_or_else(|| open_tcp(address), Ok)
                .and_then(|listener| {
                    listener.set_nonblocking(true)?;
                    tokio::net::TcpListener::from_std(listener)
                })
                .map_err(|source| refused(service, Over::Tcp, address, source))
        };
        let https = config.https.as_ref();
        Ok(Self {
            dhcp: udp("DHCP", DHCP_PORT, handed_over.dhcp)?,
            tftp: udp("TFTP", TFTP_PORT, handed_over.tftp)?,
            http: tcp("HTTP", config.dhcp.http.port, handed_over.http)?,
            https: https
                .map(|https| tcp("HTTPS", https.port, handed_over.https))
                .transpose()?,
        })
    }

    /// What listens where.
    pub(crate) fn ports(&self) -> Vec<(&'static str, SocketAddr)> {
        let dhcp = self.dhcp.socket.local_addr();
        let tftp = self.tftp.socket.local_addr();
        let https = self
            .https
            .as_ref()
            .map(|https| ("HTTPS", https.local_addr()));
        let all = [
            ("DHCP", dhcp),
            ("TFTP", tftp),
            ("HTTP", self.http.local_addr()),
        ];
        let known = all
            .into_iter()
            .chain(https)
            .filter_map(|(service, at)| Some((service, at.ok()?)));
        known.collect()
    }
}

fn refused(
    service: &'static str,
    protocol: Over,
    address: SocketAddrV4,
    source: io::Error,
) -> ServeError {
    ServeError::Listen {
        service,
        address: address.into(),
        advice: advice(protocol, address.into(), &source),
        source,
    }
}

/// Not for use by two: Linux would give each datagram to one of them, and neither would know why it hears half.
fn open_udp(address: SocketAddrV4, interface: &str) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A socket that was handed over hears one interface, too: whoever bound it may not have known which.
pub(crate) fn to_interface(socket: UdpSocket, interface: &str) -> io::Result<UdpSocket> {
    let socket = Socket::from(socket);
    // An interface that was removed since leaves a socket that is bound to nothing and hears nothing.
    match socket.device() {
        Ok(Some(_)) => {}
        Ok(None) | Err(_) => socket.bind_device(Some(interface.as_bytes()))?,
    }
    Ok(socket.into())
}

fn prepare_udp(socket: UdpSocket) -> io::Result<tokio::net::UdpSocket> {
    socket.set_broadcast(true)?;
    socket.set_nonblocking(true)?;
    // So that we learn which of our addresses was asked, and can answer from it.
    setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    tokio::net::UdpSocket::from_std(socket)
}

fn open_tcp(address: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
