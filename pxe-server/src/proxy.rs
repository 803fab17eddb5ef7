// SPDX-License-Identifier: Apache-2.0
//! proxyDHCP's two sockets, 67 and 4011, beside somebody else's DHCP server.
//!
//! It refuses to give an address; what is answered is decided in `pxe_core::proxy`. Nothing is written and nothing is
//! waited for, so an answer leaves as soon as its question was read.

use crate::ServeError;
use crate::beside::held;
use crate::front::Front;
use crate::metrics::Metric;
use crate::port_holder::{Protocol as Over, advice};
use crate::sockets::OnInterface;
use crate::sockets::to_interface;
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use pxe_core::proxy::{Port, Proxy, ProxyAction, ProxyDropped, ProxyEvent, ProxyRequest};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex};
use tokio::io::Interest;

/// Datagrams that are read from one port before the other has its turn.
const BATCH_MAX: usize = 64;
/// The longest datagram that is read, in bytes: what an Ethernet frame carries.
const DATAGRAM_MAX: usize = 1_500;
/// Bytes that the kernel keeps of datagrams not read yet: about 1,000 requests.
const RECEIVE_BUFFER: usize = 1 << 20;

/// The two sockets.
pub(crate) struct ProxySockets {
    dhcp: tokio::net::UdpSocket,
    boot_server: tokio::net::UdpSocket,
    /// The interface's index.
    index: i32,
}

impl ProxySockets {
    /// The DHCP port is bound already; port 4011 was handed over, or is opened here.
    pub(crate) fn new(dhcp: OnInterface, boot_server: tokio::net::UdpSocket) -> Self {
        Self {
            dhcp: dhcp.socket,
            boot_server,
            index: dhcp.index,
        }
    }

    const fn of(&self, port: Port) -> &tokio::net::UdpSocket {
        match port {
            Port::Dhcp => &self.dhcp,
            Port::BootServer => &self.boot_server,
        }
    }
}

/// Takes port 4011 as it was handed over, or opens it on the interface.
pub(crate) fn boot_server(
    interface: &str,
    handed_over: Option<UdpSocket>,
) -> Result<tokio::net::UdpSocket, ServeError> {
    let address = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, Port::BootServer.number());
    handed_over
        .map_or_else(
            || open(address, interface),
            |socket| to_interface(socket, interface),
        )
        .and_then(|socket| {
            socket.set_broadcast(true)?;
            socket.set_nonblocking(true)?;
            tokio::net::UdpSocket::from_std(socket)
        })
        .map_err(|source| ServeError::Listen {
            service: "proxyDHCP",
            address: address.into(),
            advice: advice(Over::Udp, address.into(), &source),
            source,
        })
}

fn open(address: SocketAddrV4, interface: &str) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Serves until a socket stops working.
pub(crate) async fn serve(
    sockets: ProxySockets,
    front: Arc<dyn Front>,
    proxy: Arc<Mutex<Proxy>>,
) -> ServeError {
    loop {
        let (port, ready) = tokio::select! {
            ready = sockets.dhcp.readable() => (Port::Dhcp, ready),
            ready = sockets.boot_server.readable() => (Port::BootServer, ready),
        };
        if let Err(source) = ready {
            return ServeError::Socket {
                service: "proxyDHCP",
                source,
            };
        }
        for (bytes, from) in received(sockets.of(port)) {
            let (decided, ours) = {
                let mut proxy = held(&proxy);
                let decided = decide(&*front, &mut proxy, port, &bytes, from);
                (decided, proxy.config().address)
            };
            for action in decided.into_iter().flatten() {
                act(&sockets, &*front, ours, port, action).await;
            }
        }
    }
}

fn received(socket: &tokio::net::UdpSocket) -> Vec<(Vec<u8>, SocketAddrV4)> {
    let mut buffer = [0; DATAGRAM_MAX];
    let mut all = Vec::new();
    while all.len() < BATCH_MAX {
        match socket.try_recv_from(&mut buffer) {
            // A socket for both families, where one was handed over, writes IPv4 addresses as IPv6.
            Ok((length, from)) => {
                if let IpAddr::V4(address) = from.ip().to_canonical() {
                    let from = SocketAddrV4::new(address, from.port());
                    all.push((buffer.get(..length).unwrap_or_default().to_vec(), from));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // An error that an earlier answer met (port unreachable); it says nothing about the next datagram.
            Err(error) => tracing::debug!(%error, "proxyDHCP: receive"),
        }
    }
    all
}

fn decide(
    front: &dyn Front,
    proxy: &mut Proxy,
    port: Port,
    bytes: &[u8],
    from: SocketAddrV4,
) -> Option<Vec<ProxyAction>> {
    front.count(Metric::ProxyReceived, 1);
    let asked = match ProxyRequest::parse(bytes, port, from) {
        Ok(asked) => Box::new(asked),
        Err(why) => {
            front.count(Metric::ProxyMalformed, 1);
            tracing::trace!(%from, %why, bytes = bytes.len(), "proxyDHCP: no request");
            return None;
        }
    };
    let answer = front.ask(&asked.request.question());
    let mut out = Vec::new();
    proxy.handle(front.now(), ProxyEvent::Asked { asked, answer }, &mut out);
    Some(out)
}

async fn act(
    sockets: &ProxySockets,
    front: &dyn Front,
    ours: Ipv4Addr,
    port: Port,
    action: ProxyAction,
) {
    match action {
        ProxyAction::Saw { mac, sighting } => front.saw(mac, sighting),
        ProxyAction::Step { mac, step } => front.step(mac, step),
        ProxyAction::Dropped { mac, why } => {
            front.count(Metric::ProxyDropped, 1);
            match why {
                ProxyDropped::NotBooting
                | ProxyDropped::ForDhcpServer
                | ProxyDropped::OtherServer => {
                    tracing::trace!(%mac, %why, "proxyDHCP: not answered");
                }
                ProxyDropped::Refused | ProxyDropped::Nothing | ProxyDropped::NoFileFor(_) => {
                    tracing::debug!(%mac, %why, "proxyDHCP: not answered");
                }
            }
        }
        ProxyAction::Send { to, bytes } => {
            let socket = sockets.of(port);
            let sent = socket
                .async_io(Interest::WRITABLE, || {
                    send(socket, sockets.index, ours, to, &bytes)
                })
                .await;
            match sent {
                Ok(()) => front.count(Metric::ProxySent, 1),
                Err(error) => tracing::warn!(%error, %to, "proxyDHCP: an answer was not sent"),
            }
        }
    }
}

/// Sends from our address through our interface, whatever the routing table says about broadcasts.
fn send(
    socket: &tokio::net::UdpSocket,
    index: i32,
    from: Ipv4Addr,
    to: SocketAddrV4,
    bytes: &[u8],
) -> io::Result<()> {
    let source = libc::in_addr {
        s_addr: u32::from_ne_bytes(from.octets()),
    };
    let info = libc::in_pktinfo {
        ipi_ifindex: index,
        ipi_spec_dst: source,
        ipi_addr: source,
    };
    let control = [ControlMessage::Ipv4PacketInfo(&info)];
    let (slices, to) = ([IoSlice::new(bytes)], SockaddrIn::from(to));
    sendmsg(
        socket.as_raw_fd(),
        &slices,
        &control,
        MsgFlags::empty(),
        Some(&to),
    )?;
    Ok(())
}
