// SPDX-License-Identifier: Apache-2.0
//! A TFTP client, packet by packet.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// The boot service.
pub(crate) const SERVER: &str = "10.77.0.1:69";

pub(crate) struct Client {
    pub(crate) socket: UdpSocket,
    /// The transfer's port, once somebody has answered.
    pub(crate) peer: Option<SocketAddr>,
}

impl Client {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self { socket, peer: None }
    }

    /// Sends a request; `options` as they stand in the packet.
    pub(crate) fn ask(&mut self, name: &str, options: &str) {
        let packet = format!("\0\u{1}{name}\0octet\0{options}");
        self.socket.send_to(packet.as_bytes(), SERVER).unwrap();
        self.peer = None;
    }

    /// The next packet; what comes first says where the transfer's port is.
    pub(crate) fn hear(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 65_536];
        let (length, from) = self.socket.recv_from(&mut buffer).unwrap();
        assert_eq!(*self.peer.get_or_insert(from), from);
        buffer.truncate(length);
        buffer
    }

    /// Whether nothing comes for a while.
    pub(crate) fn hears_nothing(&self) -> bool {
        let wait = |time| self.socket.set_read_timeout(Some(time)).unwrap();
        wait(Duration::from_millis(300));
        let nothing = self.socket.recv_from(&mut [0; 2_048]).is_err();
        wait(Duration::from_secs(20));
        nothing
    }

    pub(crate) fn ack(&self, block: u16) {
        let [high, low] = block.to_be_bytes();
        let peer = self.peer.expect("somebody has answered");
        self.socket.send_to(&[0, 4, high, low], peer).unwrap();
    }

    /// The rest of a transfer whose OACK was heard, from its beginning: the file, and what was said before a block was
    /// acknowledged is up to `between`.
    pub(crate) fn fetch(
        &mut self,
        size: usize,
        window: u16,
        mut between: impl FnMut(u64),
    ) -> Vec<u8> {
        let (mut file, mut blocks, mut in_window) = (Vec::new(), 0u64, 0);
        self.ack(0);
        loop {
            let packet = self.hear();
            let wanted = u16::try_from((blocks + 1) & 0xffff).unwrap();
            let number = u16::from_be_bytes([packet[2], packet[3]]);
            assert_eq!(packet[1], 3, "{:?}", String::from_utf8_lossy(&packet));
            if number != wanted {
                continue;
            }
            blocks += 1;
            file.extend_from_slice(&packet[4..]);
            in_window += 1;
            let is_last = packet.len() - 4 < size;
            if in_window == window || is_last {
                in_window = 0;
                between(blocks);
                self.ack(number);
            }
            if is_last {
                return file;
            }
        }
    }

    pub(crate) fn options(&mut self) -> String {
        let packet = self.hear();
        assert_eq!(
            packet[..2],
            [0, 6],
            "{:?}",
            String::from_utf8_lossy(&packet)
        );
        String::from_utf8(packet[2..].to_vec())
            .unwrap()
            .replace('\0', "|")
    }
}
