// SPDX-License-Identifier: Apache-2.0
//! The raw ICMPv6 socket of Router Advertisements. When, and what, is decided in `pxe_core::dhcp6`.

use crate::ServeError;
use crate::front::Front;
use crate::metrics::Metric;
use pxe_core::dhcp6::Advertiser;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

const SERVICE: &str = "Router Advertisements";
/// Whom routers are asked by, and whom they tell (RFC 4291 section 2.7.1).
const ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Packets of Neighbour Discovery count only with this many hops left: they came over no router (RFC 4861).
const HOPS: u32 = 255;
/// The part of a datagram that is looked at, in bytes.
const DATAGRAM_MAX: usize = 128;

/// The socket.
pub(crate) struct AdvertSocket {
    /// A raw socket sends and receives by the same calls as one of UDP.
    socket: tokio::net::UdpSocket,
    index: u32,
}

impl AdvertSocket {
    /// Opens it on the interface; that takes the right to open raw sockets.
    pub(crate) fn open(interface: &str) -> Result<Self, ServeError> {
        let index =
            nix::net::if_::if_nametoindex(interface).map_err(|error| ServeError::Interface {
                name: interface.to_owned(),
                source: error.into(),
            })?;
        raw(interface, index)
            .and_then(|socket| tokio::net::UdpSocket::from_std(socket.into()))
            .map(|socket| Self { socket, index })
            .map_err(|source| ServeError::Listen {
                service: SERVICE,
                address: SocketAddrV6::new(ROUTERS, 0, 0, index).into(),
                advice: if source.kind() == io::ErrorKind::PermissionDenied {
                    "; --dhcp6 needs the capability CAP_NET_RAW for them".to_owned()
                } else {
                    String::new()
                },
                source,
            })
    }

    async fn receive(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; DATAGRAM_MAX];
        let (length, _) = self.socket.recv_from(&mut bytes).await?;
        bytes.truncate(length);
        Ok(bytes)
    }

    async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let to = SocketAddr::V6(SocketAddrV6::new(NODES, 0, 0, self.index));
        self.socket.send_to(bytes, to).await.map(drop)
    }
}

fn raw(interface: &str, index: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.join_multicast_v6(&ROUTERS, index)?;
    socket.set_multicast_if_v6(index)?;
    socket.set_multicast_hops_v6(HOPS)?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Advertises until the socket stops working.
pub(crate) async fn serve(
    socket: AdvertSocket,
    front: Arc<dyn Front>,
    mut advertiser: Advertiser,
) -> ServeError {
    loop {
        let now = front.now();
        if let Some(bytes) = advertiser.due(now) {
            match socket.send(bytes).await {
                Ok(()) => front.count(Metric::RouterAdverts, 1),
                // The interface may be down for a moment; the next one is due in time.
                Err(error) => tracing::warn!(%error, "a Router Advertisement was not sent"),
            }
        }
        let wait = Duration::from_millis(advertiser.deadline().since(front.now()).0);
        match tokio::time::timeout(wait, socket.receive()).await {
            Err(_) => {}
            Ok(Ok(bytes)) => advertiser.heard(front.now(), &bytes),
            Ok(Err(source)) => {
                return ServeError::Socket {
                    service: SERVICE,
                    source,
                };
            }
        }
    }
}
