// SPDX-License-Identifier: Apache-2.0
//! What the kernel's path takes by itself: a sender that has every packet of the file ready in memory, and for each ACK
//! does nothing but hand over the window behind it. It decides nothing, keeps no deadline, repeats nothing, reads no file,
//! refuses nobody. What a server takes beyond this is its own; what a client takes is in both.

use super::client::BLOCK;
use anyhow::{Context as _, Result};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{setsockopt, sockopt};
use std::fs;
use std::hint;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// The word of the process: `FILE ADDRESS`.
pub const TFTP_FLOOR: &str = "tftp-floor";
/// A DATA packet.
const PACKET: usize = 4 + BLOCK;
/// Sockets that are looked at by one call.
const READY_MAX: usize = 256;
/// Looks for the next ACK of one client alone: some milliseconds.
const LOOKS: u32 = 10_000;
/// Bytes that come from memory at a time.
const LINE: usize = 64;
/// Whole packets that go out by one call.
const CALL: usize = 65_507 / PACKET;
/// The event of port 69.
const PORT: u64 = u64::MAX;

/// One transfer.
struct Flow {
    socket: UdpSocket,
    window: usize,
    acknowledged: usize,
}

/// The process behind [`TFTP_FLOOR`]; it runs until it is ended.
///
/// # Errors
/// No socket, no file, or a request that no client of the comparison makes.
pub fn tftp_floor(mut words: impl Iterator<Item = String>) -> Result<()> {
    let file = fs::read(words.next().context("no file")?)?;
    let address: Ipv4Addr = words.next().context("no address")?.parse()?;
    let packets = packets(&file);
    let port = UdpSocket::bind((address, 69))?;
    port.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&port, EpollEvent::new(EpollFlags::EPOLLIN, PORT))?;
    let mut flows: Vec<Flow> = Vec::new();
    let mut events = vec![EpollEvent::empty(); READY_MAX];
    loop {
        // It never sleeps: what waking takes is no part of the path.
        let ready = epoll.wait(&mut events, EpollTimeout::ZERO)?;
        let alone = flows.len() == 1;
        for event in events.iter().take(ready) {
            let Some(flow) = usize::try_from(event.data())
                .ok()
                .and_then(|number| flows.get_mut(number))
            else {
                if let Some(flow) = begin(&port, address, &packets, file.len())? {
                    let number = u64::try_from(flows.len())?;
                    let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
                    epoll.add(&flow.socket, EpollEvent::new(flags, number))?;
                    flows.push(flow);
                }
                continue;
            };
            flow.answer(&packets)?;
            // One client alone: nobody else has to be asked for.
            let mut looks = 0;
            while alone && looks < LOOKS {
                looks = if flow.answer(&packets)? { 0 } else { looks + 1 };
            }
        }
    }
}

/// Every packet of the file, one after the other.
fn packets(file: &[u8]) -> Vec<u8> {
    let mut packets = Vec::with_capacity(file.len() / BLOCK * PACKET + PACKET);
    for number in 0..=file.len() / BLOCK {
        let [.., high, low] = (number + 1).to_be_bytes();
        packets.extend([0, 3, high, low]);
        let rest = file.get(number * BLOCK..).unwrap_or_default();
        packets.extend(rest.get(..BLOCK).unwrap_or(rest));
    }
    packets
}

/// Answers a request as the clients of the comparison make it: with all options, or without `windowsize`. One without any
/// asks whether somebody is there.
fn begin(
    port: &UdpSocket,
    address: Ipv4Addr,
    packets: &[u8],
    length: usize,
) -> Result<Option<Flow>> {
    let mut request = [0; 512];
    let Ok((size, from)) = port.recv_from(&mut request) else {
        return Ok(None);
    };
    let request = request.get(..size).unwrap_or_default();
    if !request.starts_with(&[0, 1]) {
        return Ok(None);
    }
    let request = String::from_utf8_lossy(request);
    if !request.contains("blksize") {
        port.send_to(packets.get(..516).unwrap_or(packets), from)?;
        return Ok(None);
    }
    let words: Vec<&str> = request.split('\0').collect();
    let window = words.iter().position(|word| *word == "windowsize");
    let window = window.and_then(|at| words.get(at + 1));
    let socket = UdpSocket::bind(SocketAddr::from((address, 0)))?;
    socket.connect(from)?;
    socket.set_nonblocking(true)?;
    let mut answer = format!("\0\u{6}tsize\0{length}\0blksize\0{BLOCK}\0");
    if let Some(window) = window {
        answer.push_str(&format!("windowsize\0{window}\0"));
        setsockopt(&socket, sockopt::UdpGsoSegment, &i32::try_from(PACKET)?)?;
    }
    socket.send(answer.as_bytes())?;
    Ok(Some(Flow {
        socket,
        window: window.map_or(Ok(1), |window| window.parse())?,
        acknowledged: 0,
    }))
}

impl Flow {
    /// Takes an ACK and hands over what follows it; false where there is none.
    fn answer(&mut self, packets: &[u8]) -> Result<bool> {
        let mut ack = [0; 64];
        let Ok(4) = self.socket.recv(&mut ack) else {
            return Ok(false);
        };
        let [_, _, high, low, ..] = ack;
        let before = u16::try_from(self.acknowledged & 0xffff)?;
        let further = u16::from_be_bytes([high, low]).wrapping_sub(before);
        self.acknowledged += usize::from(further);
        let window = packets
            .get(self.acknowledged * PACKET..)
            .unwrap_or_default();
        let window = window.get(..self.window * PACKET).unwrap_or(window);
        for call in window.chunks(CALL * PACKET) {
            self.socket.send(call)?;
        }
        // While the client is busy, what it asks for next comes near the processor: waiting for memory is no part of it.
        let next = packets.get((self.acknowledged + self.window) * PACKET..);
        let next = next.unwrap_or_default().iter().take(self.window * PACKET);
        hint::black_box(next.step_by(LINE).fold(0, |sum: u8, byte| sum ^ byte));
        Ok(!window.is_empty())
    }
}
