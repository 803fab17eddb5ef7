// SPDX-License-Identifier: Apache-2.0
//! How much one frame carries to a client: what the kernel knows of the way to it.
//!
//! That is the interface's MTU, the route's where one is set, and what a router said of a narrower stretch. Nothing is
//! sent to find out.

use rustix::net::sockopt::{ip_mtu, ipv6_mtu};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::SocketAddr;

/// What a frame carries where the kernel does not tell: Ethernet's.
const ETHERNET: u32 = 1_500;
/// Bytes before a block: UDP's header and TFTP's.
const HEADERS: u32 = 8 + 4;
const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;

/// Bytes of a file in the largest DATA packet that reaches `peer` in one frame.
pub(super) fn block_max(peer: SocketAddr, interface: &str) -> u16 {
    let header = if peer.is_ipv4() {
        IPV4_HEADER
    } else {
        IPV6_HEADER
    };
    let mtu = path_mtu(peer, interface).unwrap_or(ETHERNET);
    u16::try_from(mtu.saturating_sub(header + HEADERS)).unwrap_or(u16::MAX)
}

fn path_mtu(peer: SocketAddr, interface: &str) -> Option<u32> {
    let socket = Socket::new(Domain::for_address(peer), Type::DGRAM, Some(Protocol::UDP)).ok()?;
    socket.bind_device(Some(interface.as_bytes())).ok()?;
    socket.connect(&peer.into()).ok()?;
    let mtu = if peer.is_ipv4() {
        ip_mtu(&socket)
    } else {
        ipv6_mtu(&socket)
    };
    mtu.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_fills_the_frame_of_the_loopback() {
        let mtu = std::fs::read_to_string("/sys/class/net/lo/mtu").unwrap();
        let mtu: u32 = mtu.trim().parse().unwrap();
        // The kernel tells no MTU above 65,535 bytes for IPv4.
        let fits = |mtu: u32| u16::try_from(mtu).unwrap();
        let four = block_max(([127, 0, 0, 1], 69).into(), "lo");
        assert_eq!(four, fits(mtu.min(65_535) - 32));
        let six = block_max("[::1]:69".parse().unwrap(), "lo");
        assert!(
            [fits(mtu - 52), 1_448].contains(&six),
            "{six}, or no IPv6 here"
        );
        assert_eq!(block_max(([127, 0, 0, 1], 69).into(), "no-such"), 1_468);
    }
}
