// SPDX-License-Identifier: Apache-2.0
//! A packet socket for LLDP frames of every interface at once. It only receives; that needs CAP_NET_RAW.
#![allow(unsafe_code)]

use hw_core::machine::lldp::{ETHERTYPE, FRAME_MAX};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

/// The multicast addresses that LLDP uses (802.1AB, 7.1): nearest bridge, nearest non-TPMR bridge, nearest customer bridge.
const GROUPS: [u8; 3] = [0x0e, 0x03, 0x00];

/// A bound socket.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn length<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(libc::socklen_t::MAX)
}

impl Socket {
    /// Receives LLDP frames from every interface that has joined.
    pub(crate) fn open() -> io::Result<Self> {
        let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let protocol = libc::c_int::from(ETHERTYPE.to_be());
        // SAFETY: no pointers; the descriptor that comes back is nobody else's and is closed by `OwnedFd`.
        let socket = unsafe {
            let fd = checked(libc::socket(libc::AF_PACKET, flags, protocol))?;
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self(socket))
    }

    /// Lets the interface take LLDP's multicast addresses, which its hardware filters otherwise.
    pub(crate) fn join(&self, index: i32) -> io::Result<()> {
        for last in GROUPS {
            let mut address = [0u8; 8];
            address[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0x00, 0x00, last]);
            let request = libc::packet_mreq {
                mr_ifindex: index,
                mr_type: u16::try_from(libc::PACKET_MR_MULTICAST).unwrap_or(0),
                mr_alen: 6,
                mr_address: address,
            };
            // SAFETY: the option takes a `struct packet_mreq`, which lives through the call and is only read.
            let result = unsafe {
                libc::setsockopt(
                    self.0.as_raw_fd(),
                    libc::SOL_PACKET,
                    libc::PACKET_ADD_MEMBERSHIP,
                    (&raw const request).cast(),
                    length::<libc::packet_mreq>(),
                )
            };
            checked(result)?;
        }
        Ok(())
    }

    /// The next frame with its interface's index; `None` when the time is over.
    pub(crate) fn next(&self, left: Duration) -> io::Result<Option<(i32, Vec<u8>)>> {
        let mut poll = libc::pollfd {
            fd: self.0.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let milliseconds = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one live `pollfd` with an open descriptor; the kernel writes only to `revents`.
        if checked(unsafe { libc::poll(&raw mut poll, 1, milliseconds) })? == 0 {
            return Ok(None);
        }
        let mut frame = vec![0u8; FRAME_MAX];
        // SAFETY: `sockaddr_ll` is plain numbers, for which all zeros is a value.
        let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        let mut from_length = length::<libc::sockaddr_ll>();
        // SAFETY: the buffer and the address live through the call and are as long as the lengths that are passed.
        let received = unsafe {
            libc::recvfrom(
                self.0.as_raw_fd(),
                frame.as_mut_ptr().cast(),
                frame.len(),
                0,
                (&raw mut from).cast(),
                &raw mut from_length,
            )
        };
        let Ok(received) = usize::try_from(received) else {
            let error = io::Error::last_os_error();
            // Another reader was faster, or the interface went away: no frame this time.
            let again = matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENETDOWN));
            return if again {
                Ok(Some((0, Vec::new())))
            } else {
                Err(error)
            };
        };
        frame.truncate(received);
        Ok(Some((from.sll_ifindex, frame)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loopback interface, which every machine has.
    const LOOPBACK: i32 = 1;

    fn send(socket: &Socket, frame: &[u8]) -> io::Result<()> {
        // SAFETY: `sockaddr_ll` is plain numbers, for which all zeros is a value.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = u16::try_from(libc::AF_PACKET).unwrap();
        to.sll_ifindex = LOOPBACK;
        // SAFETY: frame and address live through the call and are as long as the lengths that are passed.
        let sent = unsafe {
            libc::sendto(
                socket.0.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const to).cast(),
                length::<libc::sockaddr_ll>(),
            )
        };
        if sent < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    #[test]
    fn a_frame_comes_in_with_its_interface() {
        let (ours, theirs) = match (Socket::open(), Socket::open()) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (Err(error), _) | (_, Err(error)) => {
                eprintln!("skipped: packet sockets need CAP_NET_RAW: {error}");
                return;
            }
        };
        ours.join(LOOPBACK).unwrap();
        let mut frame = vec![1, 0x80, 0xc2, 0, 0, 0x0e, 2, 0, 0, 0, 0, 1, 0x88, 0xcc];
        frame.extend([0x5a; 46]);
        if let Err(error) = send(&theirs, &frame) {
            eprintln!("skipped: the loopback interface is down: {error}");
            return;
        }
        let got = ours.next(Duration::from_secs(5)).unwrap();
        assert_eq!(got, Some((LOOPBACK, frame)));
    }
}
