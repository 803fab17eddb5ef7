// SPDX-License-Identifier: Apache-2.0
//! Many datagrams with one system call, on a connected socket: a generator that costs less than what it measures.
#![allow(unsafe_code)]

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

/// Datagrams of one call.
pub(super) const BATCH: usize = 64;
/// The longest datagram that is taken, in bytes.
pub(super) const LENGTH_MAX: usize = 1_500;

/// Room for one batch.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<[u8; LENGTH_MAX]>,
    lengths: Vec<usize>,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![[0; LENGTH_MAX]; BATCH],
            lengths: Vec::with_capacity(BATCH),
        }
    }

    /// Adds a datagram; whether there was room.
    pub(super) fn push(&mut self, datagram: &[u8]) -> bool {
        let Some(to) = self.bytes.get_mut(self.lengths.len()) else {
            return false;
        };
        let length = datagram.len().min(LENGTH_MAX);
        if let (Some(to), Some(from)) = (to.get_mut(..length), datagram.get(..length)) {
            to.copy_from_slice(from);
        }
        self.lengths.push(length);
        true
    }

    pub(super) fn len(&self) -> usize {
        self.lengths.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.lengths.len() == BATCH
    }

    /// What is in it.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes
            .iter()
            .zip(&self.lengths)
            .map(|(bytes, length)| bytes.get(..*length).unwrap_or_default())
    }

    /// Sends everything, waiting for room where there is none.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let mut slices = self.slices();
        let mut headers = headers(&mut slices);
        let mut done = 0;
        while let Some(rest) = headers
            .get_mut(done..self.lengths.len())
            .filter(|r| !r.is_empty())
        {
            let count = u32::try_from(rest.len()).unwrap_or(u32::MAX);
            // SAFETY: the headers point to `slices`, and those to `self.bytes`; both outlive the call.
            let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), count, 0) };
            match usize::try_from(sent) {
                Ok(sent) => done += sent,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    match error.kind() {
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                        // The answer to an earlier datagram: nobody listens yet.
                        io::ErrorKind::ConnectionRefused => {}
                        _ => return Err(error),
                    }
                }
            }
        }
        self.lengths.clear();
        Ok(())
    }

    /// Takes what has come, without waiting.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.lengths.clear();
        self.lengths.resize(BATCH, LENGTH_MAX);
        let mut slices = self.slices();
        let mut headers = headers(&mut slices);
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        // SAFETY: the headers point to `slices`, and those to `self.bytes`, each as long as it says; both outlive the call.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        self.lengths.clear();
        match usize::try_from(got) {
            Ok(got) => {
                let came = headers.iter().take(got);
                self.lengths
                    .extend(came.map(|h| usize::try_from(h.msg_len).unwrap_or_default()));
                Ok(())
            }
            Err(_) => {
                let error = io::Error::last_os_error();
                match error.kind() {
                    io::ErrorKind::WouldBlock
                    | io::ErrorKind::Interrupted
                    | io::ErrorKind::ConnectionRefused => Ok(()),
                    _ => Err(error),
                }
            }
        }
    }

    fn slices(&mut self) -> Vec<libc::iovec> {
        self.bytes
            .iter_mut()
            .zip(&self.lengths)
            .map(|(bytes, length)| libc::iovec {
                iov_base: bytes.as_mut_ptr().cast(),
                iov_len: *length,
            })
            .collect()
    }
}

fn headers(slices: &mut [libc::iovec]) -> Vec<libc::mmsghdr> {
    slices
        .iter_mut()
        .map(|slice| {
            // SAFETY: a header of zeros is one without address and control; all its fields are numbers and pointers.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
            header
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_arrives_in_order_and_whole() {
        let (one, two) = (
            UdpSocket::bind("127.0.0.1:0").unwrap(),
            UdpSocket::bind("127.0.0.1:0").unwrap(),
        );
        one.connect(two.local_addr().unwrap()).unwrap();
        two.connect(one.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new();
        batch.receive(&two).unwrap();
        assert_eq!(batch.len(), 0);
        for n in 0..BATCH {
            let n = u8::try_from(n).unwrap();
            assert!(batch.push(&vec![n; usize::from(n) + 1]));
        }
        assert!(batch.is_full() && !batch.push(b"no"));
        batch.send(&one).unwrap();
        assert_eq!(batch.len(), 0);
        let mut got = Vec::new();
        while got.len() < BATCH {
            batch.receive(&two).unwrap();
            got.extend(batch.iter().map(<[u8]>::to_vec));
        }
        for (n, datagram) in (0..).zip(got) {
            assert_eq!(datagram, vec![n; usize::from(n) + 1]);
        }
    }
}
