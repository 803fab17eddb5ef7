// SPDX-License-Identifier: Apache-2.0
//! Taking a window's datagrams with one system call, as a plain receiver: without UDP_GRO, which firmware has not.
#![allow(unsafe_code)]

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

/// Datagrams of one call: a window of 64.
const BATCH: usize = 64;
/// The longest datagram, in bytes: a block of 1,468 with its header, and room to see that it is not longer.
const LENGTH_MAX: usize = 1_536;

/// Room for one call.
pub(super) struct Batch {
    bytes: Box<[[u8; LENGTH_MAX]; BATCH]>,
    lengths: Vec<usize>,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            bytes: Box::new([[0; LENGTH_MAX]; BATCH]),
            lengths: Vec::with_capacity(BATCH),
        }
    }

    /// Takes what is there; with `wait`, at least one, or what the socket's time-out leaves.
    ///
    /// # Errors
    /// The system's; nothing there is none.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        most: usize,
        wait: bool,
    ) -> io::Result<()> {
        self.lengths.clear();
        let mut slices = [const { empty_slice() }; BATCH];
        let mut headers = [const { empty_header() }; BATCH];
        let count = most.min(BATCH);
        for ((header, slice), bytes) in headers
            .iter_mut()
            .zip(&mut slices)
            .zip(self.bytes.iter_mut())
            .take(count)
        {
            slice.iov_base = bytes.as_mut_ptr().cast();
            slice.iov_len = LENGTH_MAX;
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
        }
        let flags = if wait {
            libc::MSG_WAITFORONE
        } else {
            libc::MSG_DONTWAIT
        };
        // SAFETY: the first `count` headers point to `slices`, and those to `self.bytes`, each as long as it says; both
        // outlive the call, and nothing else touches them meanwhile. A null time-out is none.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                u32::try_from(count).unwrap_or_default(),
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
        let came = headers.iter().take(got);
        let length = |header: &libc::mmsghdr| usize::try_from(header.msg_len).unwrap_or_default();
        self.lengths.extend(came.map(length));
        Ok(())
    }

    /// What came.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let both = self.bytes.iter().zip(&self.lengths);
        both.map(|(bytes, length)| bytes.get(..*length).unwrap_or_default())
    }
}

const fn empty_slice() -> libc::iovec {
    libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    }
}

const fn empty_header() -> libc::mmsghdr {
    libc::mmsghdr {
        // SAFETY: all fields are numbers or pointers, for which zero is a value.
        msg_hdr: unsafe { std::mem::zeroed() },
        msg_len: 0,
    }
}
