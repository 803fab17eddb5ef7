// SPDX-License-Identifier: Apache-2.0
//! A transfer's socket: an own port (the transfer's ID) at the address that was asked, open to everybody so that who is
//! not the client can be told so.
//!
//! A whole window goes out by one call: the kernel cuts it into datagrams (UDP_SEGMENT), which costs a fraction of a call
//! for each. Where the kernel, the device or the route refuses that, each block is sent by itself.

use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

/// The longest UDP datagram over IPv4, and so the most that goes out by one call, in bytes.
pub(super) const CALL_MAX: usize = 65_507;
/// Datagrams by one call: what kernels before 6.9 take.
pub(super) const SEGMENTS_MAX: u16 = 64;
/// Bytes that the kernel keeps of what a client sends: some twenty ACKs. A flood on a transfer's port costs no more.
const RECEIVE_BUFFER: usize = 8 << 10;
/// Bytes on their way out: two windows of 64 blocks with what the kernel adds, as far as `wmem_max` allows.
const SEND_BUFFER: usize = 512 << 10;
/// Reports of the network that are read at a time.
const REPORTS_MAX: usize = 16;

/// The socket.
#[derive(Debug)]
pub(super) struct Wire {
    socket: UdpSocket,
    segments: bool,
}

/// What became of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// They are out, or lost like others on the way.
    All,
    /// There was no room from this one on.
    Before(u16),
    /// The client's port is closed.
    Refused,
}

impl Wire {
    /// A socket to answer `peer` from the address `from`.
    pub(super) fn open(from: IpAddr, interface: &str) -> io::Result<Self> {
        let from = SocketAddr::new(from, 0);
        let socket = Socket::new(Domain::for_address(from), Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind_device(Some(interface.as_bytes()))?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.set_nonblocking(true)?;
        if from.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        }
        socket.bind(&scoped(from, interface).into())?;
        Ok(Self {
            socket: socket.into(),
            segments: false,
        })
    }

    /// Where it sends from.
    pub(super) fn own_address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    /// From now on, longer sendings are cut into datagrams of `bytes`; false where the kernel cannot.
    pub(super) fn cut(&mut self, bytes: u16) -> bool {
        let size = i32::from(bytes);
        self.segments = setsockopt(&self.socket, sockopt::UdpGsoSegment, &size).is_ok();
        self.segments
    }

    /// Sends `bytes` as datagrams of `size` each, but for the last.
    pub(super) fn send(&mut self, peer: SocketAddr, bytes: &[u8], size: usize) -> Sent {
        if self.segments {
            match self.send_once(peer, bytes) {
                Err(error) if is_refusal(&error) => {
                    tracing::debug!(%peer, %error, "TFTP: no windows by one call; block by block");
                    // The option cannot be harmful where it was refused; what is sent below is no longer than a segment.
                    self.segments = false;
                    let _off = setsockopt(&self.socket, sockopt::UdpGsoSegment, &0);
                }
                sent => return outcome(peer, sent, 0),
            }
        }
        let mut sent = Sent::All;
        for (number, datagram) in (0..).zip(bytes.chunks(size.max(1))) {
            sent = outcome(peer, self.send_once(peer, datagram), number);
            if sent != Sent::All {
                break;
            }
        }
        sent
    }

    /// A report of the network waits on the socket and makes one call fail; the call after it sends.
    fn send_once(&self, peer: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        match self.socket.send_to(bytes, peer) {
            Err(error) if is_report(&error) => {
                if self.is_refused(peer) {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                self.socket.send_to(bytes, peer).map(drop)
            }
            sent => sent.map(drop),
        }
    }

    /// The next datagram; none where there is none.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        // An error is a report of the network; the error queue says which.
        let (length, from) = self.socket.recv_from(buffer).ok()?;
        Some((length, plain(from)))
    }

    /// Reads what routers and hosts reported: whether the client's own host says that nobody listens.
    pub(super) fn is_refused(&self, peer: SocketAddr) -> bool {
        let mut refused = false;
        for _ in 0..REPORTS_MAX {
            let mut byte = [0; 1];
            let mut slices = [IoSliceMut::new(&mut byte)];
            let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
            let report = recvmsg::<SockaddrStorage>(
                self.socket.as_raw_fd(),
                &mut slices,
                Some(&mut control),
                MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
            );
            let Ok(report) = report else { break };
            let about = report.address.as_ref().and_then(address);
            let Ok(controls) = report.cmsgs() else {
                continue;
            };
            let closed = controls.into_iter().any(|control| {
                let error = match control {
                    ControlMessageOwned::Ipv4RecvErr(error, _)
                    | ControlMessageOwned::Ipv6RecvErr(error, _) => error,
                    _ => return false,
                };
                i32::try_from(error.ee_errno) == Ok(libc::ECONNREFUSED)
            });
            refused |= closed && about == Some(peer);
        }
        refused
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A sender's address without what may differ between two datagrams of one sender.
pub(super) fn plain(mut address: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(six) = &mut address {
        six.set_flowinfo(0);
    }
    address
}

/// As nix has it.
pub(super) fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let four = storage
        .as_sockaddr_in()
        .map(|four| SocketAddr::from((four.ip(), four.port())));
    let six = || {
        storage
            .as_sockaddr_in6()
            .map(|six| SocketAddr::V6((*six).into()))
    };
    four.or_else(six).map(plain)
}

/// A link-local address means nothing without its interface.
fn scoped(mut address: SocketAddr, interface: &str) -> SocketAddr {
    if let SocketAddr::V6(six) = &mut address
        && six.ip().is_unicast_link_local()
    {
        six.set_scope_id(nix::net::if_::if_nametoindex(interface).unwrap_or_default());
    }
    address
}

/// No checksums by the device (EIO); a segment that does not fit the route's MTU (EINVAL, EMSGSIZE since 6.9); no
/// such thing at all.
fn is_refusal(error: &io::Error) -> bool {
    let refusals = [libc::EIO, libc::EINVAL, libc::EMSGSIZE, libc::EOPNOTSUPP];
    error
        .raw_os_error()
        .is_some_and(|code| refusals.contains(&code))
}

fn is_report(error: &io::Error) -> bool {
    let reports = [
        libc::ECONNREFUSED,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::EPROTO,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| reports.contains(&code))
}

fn outcome(peer: SocketAddr, sent: io::Result<()>, number: u16) -> Sent {
    let Err(error) = sent else { return Sent::All };
    let full = [libc::EAGAIN, libc::ENOBUFS];
    if error
        .raw_os_error()
        .is_some_and(|code| full.contains(&code))
    {
        Sent::Before(number)
    } else if error.kind() == io::ErrorKind::ConnectionRefused {
        Sent::Refused
    } else {
        // A route or a neighbour that is away for now: as if it were lost on the way.
        tracing::debug!(%peer, %error, "TFTP: not sent");
        Sent::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn pair() -> (Wire, UdpSocket, SocketAddr) {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let peer = client.local_addr().unwrap();
        (
            Wire::open([127, 0, 0, 1].into(), "lo").unwrap(),
            client,
            peer,
        )
    }

    fn got(client: &UdpSocket, count: usize) -> Vec<Vec<u8>> {
        let mut buffer = [0; 2_048];
        let next = |_| {
            let n = client.recv(&mut buffer).unwrap();
            buffer[..n].to_vec()
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn a_window_arrives_as_its_blocks_with_and_without_segments() {
        let bytes: Vec<u8> = (0..4_000u32)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let blocks: Vec<Vec<u8>> = bytes.chunks(1_472).map(<[u8]>::to_vec).collect();
        for cut in [true, false] {
            let (mut wire, client, peer) = pair();
            assert!(!cut || wire.cut(1_472), "every kernel since 4.18 can");
            assert_eq!(wire.send(peer, &bytes, 1_472), Sent::All);
            assert_eq!(got(&client, 3), blocks);
            assert_eq!(wire.send(peer, &bytes[..10], 1_472), Sent::All);
            assert_eq!(got(&client, 1), [&bytes[..10]]);
        }
    }

    #[test]
    fn what_is_refused_as_a_window_goes_out_block_by_block() {
        let (mut wire, client, peer) = pair();
        // More segments than any kernel takes are refused with EINVAL, as other things are.
        assert!(wire.cut(10));
        let bytes = [7; 5_000];
        assert_eq!(wire.send(peer, &bytes, 1_000), Sent::All);
        assert_eq!(got(&client, 5), vec![vec![7; 1_000]; 5]);
        assert!(!wire.segments);
        assert_eq!(wire.send(peer, &bytes, 1_000), Sent::All);
        assert_eq!(got(&client, 5).len(), 5);
    }

    #[test]
    fn a_closed_port_is_the_clients_only_where_it_is() {
        let (mut wire, client, peer) = pair();
        drop(client);
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let other_peer = other.local_addr().unwrap();
        assert_eq!(wire.send(peer, b"x", 1), Sent::All);
        assert_eq!(
            wire.send(other_peer, b"x", 1),
            Sent::All,
            "that was about another"
        );
        assert_eq!(got(&other, 1), [b"x"]);
        assert_eq!(wire.send(peer, b"x", 1), Sent::All);
        assert_eq!(wire.send(peer, b"x", 1), Sent::Refused);
    }
}
