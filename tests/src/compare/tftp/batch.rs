// SPDX-License-Identifier: Apache-2.0
//! Taking what came for one client with one system call, a window in one piece where the kernel has it so (UDP_GRO).
//!
//! The clients stand for machines that have a processor of their own. What costs less here leaves more of this machine to
//! the server, and every server alike: its datagrams are the same, and each is looked at by itself.
#![allow(unsafe_code)]

use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

/// Pieces of one call: a window of 4 from a server that sends each datagram by itself, and as many of the next.
const PIECES: usize = 8;
/// The longest piece, in bytes: what the kernel joins at most.
const LENGTH_MAX: usize = 1 << 16;
/// Room for what the kernel says of a piece: the length of its datagrams. Words, for their alignment.
const CONTROL_WORDS: usize = 4;

/// Room for one call. What a call is told stands ready: the pointers are to room of its own that never moves.
pub(super) struct Batch {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    headers: Vec<libc::mmsghdr>,
    _slices: Vec<libc::iovec>,
    _controls: Vec<Control>,
}

/// What the kernel says of a piece, in words for its alignment.
type Control = [u64; CONTROL_WORDS];

/// Datagrams that follow each other, each as long as the first, but for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    length: usize,
    each: usize,
}

/// From now on, the kernel need not cut for this socket what a sender handed over in one piece.
pub(super) fn take_whole(socket: &UdpSocket) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::UdpGroSegment, &true)?)
}

impl Batch {
    pub(super) fn new() -> Self {
        let mut bytes = vec![0; PIECES * LENGTH_MAX];
        let rooms = bytes.chunks_exact_mut(LENGTH_MAX);
        let mut slices: Vec<_> = rooms.map(slice).collect();
        let mut controls = vec![Control::default(); PIECES];
        let both = slices.iter_mut().zip(&mut controls);
        let headers = both
            .map(|(slice, control)| header(slice, control))
            .collect();
        Self {
            bytes,
            pieces: Vec::with_capacity(PIECES),
            headers,
            _slices: slices,
            _controls: controls,
        }
    }

    /// Takes what is there; with `wait`, at least one, or what the socket's time-out leaves.
    ///
    /// # Errors
    /// The system's; nothing there is none.
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: bool) -> io::Result<()> {
        self.pieces.clear();
        let flags = if wait {
            libc::MSG_WAITFORONE
        } else {
            libc::MSG_DONTWAIT
        };
        // SAFETY: the headers point to the slices and controls of this room, and the slices to its bytes, each as long as it
        // says: none of these vectors grows or is dropped before it. Nothing else touches them meanwhile. A null time-out
        // is none.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                u32::try_from(PIECES).unwrap_or_default(),
                flags,
                std::ptr::null_mut(),
            )
        };
        let Ok(got) = usize::try_from(got) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::Interrupted
                | io::ErrorKind::ConnectionRefused => Ok(()),
                _ => Err(error),
            };
        };
        for header in self.headers.iter_mut().take(got) {
            let length = usize::try_from(header.msg_len).unwrap_or_default();
            let each = cut_at(&header.msg_hdr).unwrap_or(length);
            self.pieces.push(Piece { length, each });
            header.msg_hdr.msg_controllen = size_of::<Control>();
        }
        Ok(())
    }

    /// The datagrams that came.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let rooms = self.bytes.chunks_exact(LENGTH_MAX).zip(&self.pieces);
        rooms.flat_map(|(room, piece)| {
            let came = room.get(..piece.length).unwrap_or_default();
            came.chunks(piece.each.max(1))
        })
    }
}

/// How long the datagrams of a piece are, where it has several.
fn cut_at(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the header is as the kernel left it after a successful call: `msg_control` points to `msg_controllen` bytes of
    // whole control messages in aligned room that still lives.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: not null, so it points to a whole control message in that room.
        let about = unsafe { &*control };
        if (about.cmsg_level, about.cmsg_type) == (libc::SOL_UDP, libc::UDP_GRO) {
            // SAFETY: the data of this kind of message is one int.
            let size = unsafe {
                libc::CMSG_DATA(control)
                    .cast::<libc::c_int>()
                    .read_unaligned()
            };
            return usize::try_from(size).ok();
        }
        // SAFETY: as with the first one.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
    None
}

const fn slice(room: &mut [u8]) -> libc::iovec {
    libc::iovec {
        iov_base: room.as_mut_ptr().cast(),
        iov_len: room.len(),
    }
}

const fn header(slice: &mut libc::iovec, control: &mut Control) -> libc::mmsghdr {
    // SAFETY: all fields are numbers or pointers, for which zero is a value.
    let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
    header.msg_hdr.msg_iov = slice;
    header.msg_hdr.msg_iovlen = 1;
    header.msg_hdr.msg_control = control.as_mut_ptr().cast();
    header.msg_hdr.msg_controllen = size_of::<Control>();
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_out_as_one_and_by_itself_comes_as_the_same_datagrams() {
        let (from, to) = (
            UdpSocket::bind("127.0.0.1:0").unwrap(),
            UdpSocket::bind("127.0.0.1:0").unwrap(),
        );
        from.connect(to.local_addr().unwrap()).unwrap();
        take_whole(&to).unwrap();
        let bytes: Vec<u8> = (0..4_000u32)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let mut batch = Batch::new();
        batch.receive(&to, false).unwrap();
        assert_eq!(batch.iter().count(), 0);
        let cut = setsockopt(&from, sockopt::UdpGsoSegment, &1_472);
        assert!(cut.is_ok(), "every kernel since 4.18 can");
        from.send(&bytes).unwrap();
        from.send(b"alone").unwrap();
        let mut got: Vec<Vec<u8>> = Vec::new();
        while got.len() < 4 {
            batch.receive(&to, false).unwrap();
            got.extend(batch.iter().map(<[u8]>::to_vec));
        }
        let mut wanted: Vec<Vec<u8>> = bytes.chunks(1_472).map(<[u8]>::to_vec).collect();
        wanted.push(b"alone".to_vec());
        assert_eq!(got, wanted);
    }
}
