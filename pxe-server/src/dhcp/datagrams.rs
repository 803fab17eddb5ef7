// SPDX-License-Identifier: Apache-2.0
//! Many datagrams with one system call: `recvmmsg` and `sendmmsg` with the address that was asked (`IP_PKTINFO`), and
//! frames to machines that have no address yet (`AF_PACKET`).
//!
//! Nothing is decided here, and nothing allocated per datagram.
#![allow(unsafe_code)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small constants, which the system's interface has in other widths than its headers"
)]

use nix::libc;
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Datagrams of one call.
pub(super) const BATCH: usize = 64;
/// The longest datagram that is read, in bytes: what an Ethernet frame carries.
pub(super) const DATAGRAM_MAX: usize = 1_500;
/// Bytes of one control message with an `in_pktinfo`, as CMSG_SPACE counts them.
const CONTROL: usize = 32;

/// A control message's room, aligned as the kernel wants it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// Room for what one call receives.
pub(super) struct Inbox {
    bytes: Box<[[u8; DATAGRAM_MAX]]>,
    control: Box<[Control]>,
    lengths: Vec<(usize, Option<Ipv4Addr>)>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![[0; DATAGRAM_MAX]; BATCH].into(),
            control: vec![Control([0; CONTROL]); BATCH].into(),
            lengths: Vec::with_capacity(BATCH),
        }
    }

    /// Takes what has come, without waiting; how many.
    pub(super) fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<usize> {
        let mut slices: [libc::iovec; BATCH] = [EMPTY; BATCH];
        // SAFETY: all-zero headers are valid: numbers and null pointers.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        let room = self.bytes.iter_mut().zip(self.control.iter_mut());
        for ((header, slice), (bytes, control)) in headers.iter_mut().zip(&mut slices).zip(room) {
            slice.iov_base = bytes.as_mut_ptr().cast();
            slice.iov_len = bytes.len();
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL;
        }
        self.lengths.clear();
        // SAFETY: BATCH headers, each with one slice and one control buffer of ours, as long as they say, all of which
        // outlive the call.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let Ok(got) = usize::try_from(got) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        };
        for header in headers.iter().take(got) {
            let length = usize::try_from(header.msg_len).unwrap_or_default();
            self.lengths.push((length, asked(&header.msg_hdr)));
        }
        Ok(got)
    }

    /// What was received, and which address was asked; none where it was everybody's.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<Ipv4Addr>)> {
        self.bytes
            .iter()
            .zip(&self.lengths)
            .map(|(bytes, (length, asked))| (bytes.get(..*length).unwrap_or_default(), *asked))
    }
}

const EMPTY: libc::iovec = libc::iovec {
    iov_base: std::ptr::null_mut(),
    iov_len: 0,
};

/// Our address that a datagram was sent to; none of a broadcast.
fn asked(header: &libc::msghdr) -> Option<Ipv4Addr> {
    // SAFETY: the kernel has written `msg_controllen` bytes of control messages into our buffer, which is aligned for
    // them; the first one, if there is one, lies within.
    let first = unsafe { libc::CMSG_FIRSTHDR(header).as_ref()? };
    if (first.cmsg_level, first.cmsg_type) != (libc::IPPROTO_IP, libc::IP_PKTINFO) {
        return None;
    }
    // SAFETY: a control message of this type carries an `in_pktinfo`; it is read without assuming its alignment.
    let info =
        unsafe { std::ptr::read_unaligned(libc::CMSG_DATA(first).cast::<libc::in_pktinfo>()) };
    let address = |raw: libc::in_addr| Ipv4Addr::from(raw.s_addr.to_ne_bytes());
    // The header's destination and the local address it reached are one unless it was a broadcast.
    let (to, local) = (address(info.ipi_addr), address(info.ipi_spec_dst));
    (to == local && !to.is_unspecified()).then_some(to)
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Through the UDP socket, from this address of ours.
    Socket { from: Ipv4Addr, to: SocketAddrV4 },
    /// In a frame to this hardware address; the bytes begin with an IP header.
    Frame([u8; 6]),
}

/// Sends datagrams of one kind in order: all by the UDP socket, or all as frames. Returns how many failed, and the last
/// error.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    interface: i32,
    datagrams: &[(Target, &[u8])],
) -> (usize, Option<io::Error>) {
    let (mut failed, mut last) = (0, None);
    for batch in datagrams.chunks(BATCH) {
        let mut outbox = Outbox::new();
        outbox.fill(interface, batch);
        let mut done = 0;
        while done < batch.len() {
            match outbox.send(socket, done, batch.len()) {
                Ok(sent) => done += sent.max(1),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // The error is the first one's that was not sent; the others get their try.
                    failed += 1;
                    last = Some(error);
                    done += 1;
                }
            }
        }
    }
    (failed, last)
}

/// What one call sends.
struct Outbox {
    slices: [libc::iovec; BATCH],
    headers: [libc::mmsghdr; BATCH],
    internet: [libc::sockaddr_in; BATCH],
    link: [libc::sockaddr_ll; BATCH],
    control: [Control; BATCH],
}

impl Outbox {
    fn new() -> Box<Self> {
        // SAFETY: every field is made of numbers and pointers, for which zero is a value.
        Box::new(unsafe { zeroed() })
    }

    fn fill(&mut self, interface: i32, batch: &[(Target, &[u8])]) {
        let room = self
            .headers
            .iter_mut()
            .zip(&mut self.slices)
            .zip(&mut self.internet)
            .zip(&mut self.link)
            .zip(&mut self.control);
        for (((((header, slice), internet), link), control), (target, bytes)) in room.zip(batch) {
            slice.iov_base = bytes.as_ptr().cast_mut().cast();
            slice.iov_len = bytes.len();
            let header = &mut header.msg_hdr;
            header.msg_iov = slice;
            header.msg_iovlen = 1;
            match target {
                Target::Socket { from, to } => {
                    internet.sin_family = libc::AF_INET as u16;
                    internet.sin_port = to.port().to_be();
                    internet.sin_addr.s_addr = u32::from_ne_bytes(to.ip().octets());
                    header.msg_name = std::ptr::from_mut(internet).cast();
                    header.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
                    header.msg_control = control.0.as_mut_ptr().cast();
                    header.msg_controllen = CONTROL;
                    put_info(header, *from, interface);
                }
                Target::Frame(hardware) => {
                    link.sll_family = libc::AF_PACKET as u16;
                    link.sll_protocol = (libc::ETH_P_IP as u16).to_be();
                    link.sll_ifindex = interface;
                    link.sll_halen = 6;
                    if let Some(place) = link.sll_addr.get_mut(..6) {
                        place.copy_from_slice(hardware);
                    }
                    header.msg_name = std::ptr::from_mut(link).cast();
                    header.msg_namelen = size_of::<libc::sockaddr_ll>() as u32;
                }
            }
        }
    }

    fn send(&mut self, socket: BorrowedFd<'_>, from: usize, to: usize) -> io::Result<usize> {
        let Some(headers) = self.headers.get_mut(from..to) else {
            return Ok(0);
        };
        let count = u32::try_from(headers.len()).unwrap_or_default();
        // SAFETY: the headers point into this box and to the callers' bytes, which `sendmmsg` only reads; both outlive it.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Sends from our address through our interface, whatever the routing table says about broadcasts.
fn put_info(header: &mut libc::msghdr, from: Ipv4Addr, interface: i32) {
    let source = libc::in_addr {
        s_addr: u32::from_ne_bytes(from.octets()),
    };
    let info = libc::in_pktinfo {
        ipi_ifindex: interface,
        ipi_spec_dst: source,
        ipi_addr: source,
    };
    // SAFETY: the control buffer has CONTROL bytes, room for one message with an `in_pktinfo` (CMSG_SPACE of 12 is 32), and
    // is aligned for it.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        (*message).cmsg_level = libc::IPPROTO_IP;
        (*message).cmsg_type = libc::IP_PKTINFO;
        (*message).cmsg_len = libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as u32) as usize;
        std::ptr::write_unaligned(libc::CMSG_DATA(message).cast(), info);
    }
}

/// Raises the receive buffer beyond the machine's usual limit, where we may; whether we may.
pub(super) fn force_receive_buffer(socket: &impl AsRawFd, bytes: i32) -> bool {
    // SAFETY: the option's value is one `int`, which outlives the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            std::ptr::from_ref(&bytes).cast(),
            size_of::<i32>() as u32,
        )
    };
    done == 0
}

/// Waits until one of the sockets can be read, at most so long; which of them can.
pub(super) fn wait(sockets: &[BorrowedFd<'_>], longest: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<libc::pollfd> = sockets
        .iter()
        .map(|socket| libc::pollfd {
            fd: socket.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let longest = longest.map(|longest| libc::timespec {
        tv_sec: i64::try_from(longest.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: longest.subsec_nanos().into(),
    });
    let timeout = longest
        .as_ref()
        .map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: as many `pollfd` as we say, a timeout that outlives the call, and no signal mask.
    let done = unsafe {
        libc::ppoll(
            polled.as_mut_ptr(),
            polled.len() as libc::nfds_t,
            timeout,
            std::ptr::null(),
        )
    };
    if done < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(polled.iter().map(|polled| polled.revents != 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{setsockopt, sockopt};
    use std::net::UdpSocket;
    use std::os::fd::AsFd as _;

    #[test]
    fn datagrams_carry_the_address_that_was_asked_and_answers_come_from_it() {
        let server = UdpSocket::bind("0.0.0.0:0").unwrap();
        setsockopt(&server, sockopt::Ipv4PacketInfo, &true).unwrap();
        let port = server.local_addr().unwrap().port();
        let client = UdpSocket::bind("127.0.0.9:0").unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut inbox = Inbox::new();
        assert_eq!(inbox.receive(&server).unwrap(), 0);
        let asked: [Ipv4Addr; 2] = [[127, 0, 0, 7].into(), [127, 0, 0, 8].into()];
        for (n, address) in (1..).zip(asked) {
            client.send_to(&vec![n; 300], (address, port)).unwrap();
        }
        assert_eq!(wait(&[server.as_fd()], None).unwrap(), [true]);
        assert_eq!(inbox.receive(&server).unwrap(), 2);
        let got: Vec<_> = inbox
            .iter()
            .map(|(bytes, to)| (bytes.to_vec(), to))
            .collect();
        assert_eq!(
            got,
            [
                (vec![1; 300], Some(asked[0])),
                (vec![2; 300], Some(asked[1]))
            ]
        );
        let std::net::SocketAddr::V4(to) = client.local_addr().unwrap() else {
            panic!("no IPv4")
        };
        let nobody = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let target = |from, to| Target::Socket { from, to };
        let loopback = nix::net::if_::if_nametoindex("lo")
            .unwrap()
            .try_into()
            .unwrap();
        let answers: Vec<(Target, &[u8])> = vec![
            (target(asked[1], to), b"one"),
            (target(asked[1], nobody), b"cannot be sent"),
            (target(asked[0], to), b"two"),
        ];
        let (failed, error) = send(server.as_fd(), loopback, &answers);
        assert_eq!((failed, error.is_some()), (1, true));
        let mut buffer = [0; 100];
        for (expected, from) in [(&b"one"[..], asked[1]), (b"two", asked[0])] {
            let (length, peer) = client.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected);
            assert_eq!(peer, SocketAddrV4::new(from, port).into());
        }
        let soon = Some(Duration::from_millis(1));
        assert_eq!(wait(&[server.as_fd()], soon).unwrap(), [false]);
    }
}
