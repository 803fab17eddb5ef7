// SPDX-License-Identifier: Apache-2.0
//! A simulated machine's firmware: DHCP, TFTP and HTTP as EDK2 and PXE ROMs do them, with their waits.
//!
//! It is a client in earnest: real sockets, an address of its own, every byte hashed.

use anyhow::{Context as _, Result, bail, ensure};
use groundstate_api::Digest;
use sha2::{Digest as _, Sha256};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Firmware's waits for an answer (PXE 2.1 for DHCP; EDK2 waits 4 s for each TFTP packet and asks six times).
const DHCP_WAITS: [u64; 4] = [4, 8, 16, 32];
const TFTP_WAIT: Duration = Duration::from_secs(4);
const TFTP_TRIES: u32 = 6;
/// What EDK2 asks for.
const BLOCK: usize = 1_468;
const WINDOW: u16 = 4;
/// How long HTTP may pause.
const HTTP_WAIT: Duration = Duration::from_secs(60);
/// How often the hub looks whether it shall end.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes that the hub's socket keeps: every answer of a storm at once.
const RECEIVE_BUFFER: usize = 8 << 20;

/// What was seen of one machine's boot.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Requests that it had to send again.
    pub(super) retries: u32,
    /// From its first DISCOVER until it had its first stage.
    pub(super) first_stage: Duration,
    /// Why it did not finish.
    pub(super) failed: Option<String>,
}

impl Seen {
    pub(super) fn broken(why: &str) -> Self {
        Self {
            retries: 0,
            first_stage: Duration::MAX,
            failed: Some(why.to_owned()),
        }
    }
}

/// Which datagrams are lost, in each direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    one_in: u32,
    state: u64,
}

impl Loss {
    pub(super) const fn none() -> Self {
        Self {
            one_in: 0,
            state: 0,
        }
    }

    pub(super) const fn one_in(one_in: u32) -> Self {
        Self { one_in, state: 0 }
    }

    /// This machine's own luck.
    pub(super) fn of(self, number: u32) -> Self {
        let state = (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { state, ..self }
    }

    fn strikes(&mut self) -> bool {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.one_in != 0 && (self.state >> 20).is_multiple_of(u64::from(self.one_in))
    }
}

/// The one DHCP socket of all machines: answers are dealt by transaction.
#[derive(Clone)]
pub(super) struct Hub {
    socket: Arc<UdpSocket>,
    waiting: Arc<Mutex<HashMap<u32, Sender<Vec<u8>>>>>,
    over: Arc<AtomicBool>,
}

impl Hub {
    pub(super) fn open(interface: &str) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind_device(Some(interface.as_bytes()))?;
        socket.set_broadcast(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68).into())?;
        socket.set_read_timeout(Some(LOOK))?;
        let hub = Self {
            socket: Arc::new(socket.into()),
            waiting: Arc::default(),
            over: Arc::default(),
        };
        let dealer = hub.clone();
        thread::Builder::new().spawn(move || dealer.deal())?;
        Ok(hub)
    }

    fn deal(&self) {
        let mut buffer = [0; 1_500];
        while !self.over.load(Ordering::Relaxed) {
            let Ok((length, _)) = self.socket.recv_from(&mut buffer) else {
                continue;
            };
            let Some(&[a, b, c, d]) = buffer.get(4..8) else {
                continue;
            };
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(machine) = waiting.get(&u32::from_be_bytes([a, b, c, d])) {
                // A machine that has gone on does not listen any more.
                let _ = machine.send(buffer.get(..length).unwrap_or_default().to_vec());
            }
        }
    }

    fn listen(&self, transaction: u32) -> Receiver<Vec<u8>> {
        let (sender, receiver) = channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(transaction, sender);
        receiver
    }

    pub(super) fn close(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// One machine.
pub(super) struct Machine {
    pub(super) number: u32,
    pub(super) server: Ipv4Addr,
    pub(super) hub: Hub,
    pub(super) loss: Loss,
    pub(super) first_stage: (&'static str, Digest),
    pub(super) image: Option<(&'static str, Digest)>,
}

/// What a boot has come to.
struct Course {
    loss: Loss,
    retries: u32,
}

impl Machine {
    /// Boots.
    pub(super) fn boot(self) -> Seen {
        let mut course = Course {
            loss: self.loss,
            retries: 0,
        };
        let mut first_stage = Duration::MAX;
        let began = Instant::now();
        let done = self.lease(&mut course).and_then(|address| {
            let (name, digest) = self.first_stage;
            let got = self.tftp(&mut course, address, name).context("TFTP")?;
            ensure!(got == digest, "TFTP: the first stage has another hash");
            first_stage = began.elapsed();
            if let Some((name, digest)) = self.image {
                let got = self.http(address, name).context("HTTP")?;
                ensure!(got == digest, "HTTP: the boot image has another hash");
            }
            Ok(())
        });
        Seen {
            retries: course.retries,
            first_stage,
            failed: done.err().map(|error| format!("{error:#}")),
        }
    }

    fn lease(&self, course: &mut Course) -> Result<Ipv4Addr> {
        let replies = self.hub.listen(self.transaction());
        let offer = self
            .ask(course, &replies, 1, 2, &[])
            .context("DHCPDISCOVER")?;
        let address = yiaddr(&offer)?;
        let chosen = [
            &[50, 4],
            &address.octets()[..],
            &[54, 4],
            &self.server.octets()[..],
        ]
        .concat();
        let ack = self
            .ask(course, &replies, 3, 5, &chosen)
            .context("DHCPREQUEST")?;
        ensure!(yiaddr(&ack)? == address, "the ACK has another address");
        Ok(address)
    }

    const fn transaction(&self) -> u32 {
        0x7700_0000 | self.number
    }

    /// Sends a message until the wanted one comes back.
    fn ask(
        &self,
        course: &mut Course,
        replies: &Receiver<Vec<u8>>,
        message: u8,
        wanted: u8,
        more: &[u8],
    ) -> Result<Vec<u8>> {
        let mut bytes = vec![0; 240];
        bytes.splice(..4, [1, 1, 6, 0]);
        bytes.splice(4..8, self.transaction().to_be_bytes());
        bytes.splice(10..12, [0x80, 0]);
        let [_, b, c, d] = self.number.to_be_bytes();
        bytes.splice(28..34, [0x52, 0x54, 0x77, b, c, d]);
        bytes.splice(236..240, [99, 130, 83, 99]);
        bytes.extend([53, 1, message]);
        bytes.extend(b"\x3c\x20PXEClient:Arch:00007:UNDI:003016");
        bytes.extend([
            93, 2, 0, 7, 94, 3, 1, 3, 16, 57, 2, 5, 192, 55, 5, 1, 3, 43, 66, 67,
        ]);
        bytes.extend(more);
        bytes.push(255);
        let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
        for (nth, wait) in DHCP_WAITS.into_iter().enumerate() {
            course.retries += u32::from(nth > 0);
            if !course.loss.strikes() {
                self.hub.socket.send_to(&bytes, everybody)?;
            }
            let until = Instant::now() + Duration::from_secs(wait);
            while let Ok(reply) =
                replies.recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                let lost = course.loss.strikes();
                let kind = reply
                    .windows(3)
                    .skip(240)
                    .find(|three| three.starts_with(&[53, 1]));
                if !lost && kind.is_some_and(|three| three.ends_with(&[wanted])) {
                    return Ok(reply);
                }
            }
        }
        bail!("no answer to {} tries", DHCP_WAITS.len())
    }

    fn tftp(&self, course: &mut Course, own: Ipv4Addr, name: &str) -> Result<Digest> {
        let socket = UdpSocket::bind((own, 0))?;
        let request =
            format!("\0\x01{name}\0octet\0blksize\0{BLOCK}\0windowsize\0{WINDOW}\0tsize\x000\0");
        let mut transfer = Transfer {
            hash: Sha256::new(),
            server: None,
            block: 0,
            in_window: 0,
            say: request.into_bytes(),
            done: false,
        };
        let mut buffer = [0; 4 + BLOCK];
        let (mut tries, mut speak) = (1, true);
        while !transfer.done {
            if std::mem::take(&mut speak) && !course.loss.strikes() {
                let to = transfer
                    .server
                    .unwrap_or(SocketAddrV4::new(self.server, 69));
                socket.send_to(&transfer.say, to)?;
            }
            socket.set_read_timeout(Some(TFTP_WAIT))?;
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    if course.loss.strikes() {
                        continue;
                    }
                    let std::net::SocketAddr::V4(from) = from else {
                        continue;
                    };
                    if transfer.take(from, buffer.get(..length).unwrap_or_default())? {
                        tries = 1;
                        speak = true;
                    }
                }
                Err(_) => {
                    ensure!(
                        tries < TFTP_TRIES,
                        "no packet after block {}",
                        transfer.block
                    );
                    (tries, speak) = (tries + 1, true);
                    course.retries += 1;
                }
            }
        }
        // The last acknowledgement: if it is lost the server asks again, and nobody is there; as with firmware.
        socket.send_to(&transfer.say, transfer.server.context("nobody sent")?)?;
        Ok(Digest(transfer.hash.finalize().into()))
    }

    fn http(&self, own: Ipv4Addr, name: &str) -> Result<Digest> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&SocketAddrV4::new(own, 0).into())?;
        socket.connect(&SocketAddrV4::new(self.server, 80).into())?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(HTTP_WAIT))?;
        write!(
            stream,
            "GET /{name} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.server
        )?;
        let mut buffer = vec![0; 64 << 10];
        let mut head = Vec::new();
        let body = loop {
            let length = stream.read(&mut buffer)?;
            ensure!(length > 0, "the reply ends in its head");
            head.extend_from_slice(buffer.get(..length).unwrap_or_default());
            if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                break head.split_off(end + 4);
            }
        };
        ensure!(
            head.starts_with(b"HTTP/1.1 200"),
            "{:?}",
            String::from_utf8_lossy(&head).lines().next()
        );
        let mut hash = Sha256::new_with_prefix(&body);
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(Digest(hash.finalize().into())),
                length => hash.update(buffer.get(..length).unwrap_or_default()),
            }
        }
    }
}

/// A TFTP transfer as the client sees it.
struct Transfer {
    hash: Sha256,
    server: Option<SocketAddrV4>,
    /// The last block that came in order, not wrapped.
    block: u16,
    in_window: u16,
    /// What is said next, or again.
    say: Vec<u8>,
    done: bool,
}

impl Transfer {
    /// Takes a packet in; whether there is something to be said now.
    fn take(&mut self, from: SocketAddrV4, packet: &[u8]) -> Result<bool> {
        if self.server.is_some_and(|server| server != from) {
            return Ok(false);
        }
        match packet {
            [0, 6, ..] if self.block == 0 => {
                self.server = Some(from);
                self.say = vec![0, 4, 0, 0];
                Ok(true)
            }
            [0, 3, high, low, data @ ..] => {
                let number = u16::from_be_bytes([*high, *low]);
                if self.server.is_none() {
                    bail!("DATA came without an OACK");
                }
                if number != self.block.wrapping_add(1) {
                    // A gap, or a repeat: RFC 7440 has the last block in order acknowledged, once for a window.
                    let first_of_gap = self.in_window != u16::MAX;
                    self.in_window = u16::MAX;
                    return Ok(first_of_gap);
                }
                self.hash.update(data);
                self.block = number;
                self.say = vec![0, 4, *high, *low];
                self.done = data.len() < BLOCK;
                self.in_window = if self.in_window == u16::MAX {
                    1
                } else {
                    self.in_window + 1
                };
                let full = self.in_window >= WINDOW;
                if full {
                    self.in_window = 0;
                }
                Ok(full || self.done)
            }
            [0, 5, ..] => bail!(
                "ERROR {}",
                String::from_utf8_lossy(packet.get(4..).unwrap_or_default())
            ),
            _ => Ok(false),
        }
    }
}

fn yiaddr(reply: &[u8]) -> Result<Ipv4Addr> {
    let four: [u8; 4] = reply.get(16..20).context("a short reply")?.try_into()?;
    Ok(four.into())
}
