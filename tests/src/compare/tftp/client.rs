// SPDX-License-Identifier: Apache-2.0
//! A TFTP client as firmware is one, with every byte compared as it comes.

use super::batch::{Batch, take_whole};
use anyhow::{Context as _, Result, bail, ensure};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What EDK2 asks for.
pub(super) const BLOCK: usize = 1_468;
/// How long it waits until it says the same again.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// The file's name on every server.
pub(super) const NAME: &str = "file";

/// What is fetched, and how.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) server: SocketAddr,
    pub(super) own: Ipv4Addr,
    pub(super) window: u16,
    pub(super) file: Arc<Vec<u8>>,
    /// One datagram in so many is lost, in each direction; 0 for none.
    pub(super) lost_one_in: u32,
    /// Whether the clients have a processor of their own.
    pub(super) apart: bool,
}

impl Order {
    /// For people.
    pub(super) const fn where_it_runs(&self) -> &'static str {
        if self.apart {
            "the server on one processor, the clients on another"
        } else {
            "server and clients share the processors"
        }
    }
}

/// One client.
pub(super) struct Client {
    order: Order,
    pub(super) socket: UdpSocket,
    /// Blocks that it has.
    have: usize,
    /// The window that the server agreed to, and blocks since the last ACK.
    window: u16,
    in_window: u16,
    has_server: bool,
    say: Vec<u8>,
    pub(super) due: Instant,
    pub(super) finished: Option<Instant>,
    /// How often it had to say the same again.
    pub(super) again: u32,
    luck: u64,
}

/// A block as it came, counted from 0.
struct Taken<'p> {
    block: usize,
    data: &'p [u8],
}

impl Client {
    /// Asks for the file.
    pub(super) fn begin(order: Order, number: u64) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind(&SocketAddr::from((order.own, 0)).into())?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let socket = socket.into();
        take_whole(&socket)?;
        let mut say = format!("\0\u{1}{NAME}\0octet\0tsize\x000\0blksize\0{BLOCK}\0").into_bytes();
        if order.window > 1 {
            say.extend(format!("windowsize\0{}\0", order.window).bytes());
        }
        let mut client = Self {
            order,
            socket,
            have: 0,
            window: 1,
            in_window: 0,
            has_server: false,
            say,
            due: Instant::now(),
            finished: None,
            again: 0,
            luck: number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        };
        client.speak()?;
        Ok(client)
    }

    /// How much of the file it has, in bytes.
    pub(super) fn got(&self) -> usize {
        (self.have * BLOCK).min(self.order.file.len())
    }

    fn is_lost(&mut self) -> bool {
        self.luck ^= self.luck << 13;
        self.luck ^= self.luck >> 7;
        self.luck ^= self.luck << 17;
        let one_in = u64::from(self.order.lost_one_in);
        one_in > 0 && (self.luck >> 20).is_multiple_of(one_in)
    }

    fn speak(&mut self) -> Result<()> {
        self.due = Instant::now() + PATIENCE;
        if self.is_lost() {
            return Ok(());
        }
        let sent = if self.has_server {
            self.socket.send(&self.say)
        } else {
            self.socket.send_to(&self.say, self.order.server)
        };
        match sent {
            // The server has closed its port, having heard what it needed.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
            sent => sent.map(drop).context("a client cannot send"),
        }
    }

    /// Says the same again, if it is time.
    pub(super) fn time(&mut self, now: Instant) -> Result<()> {
        if self.finished.is_none() && now >= self.due {
            self.again += 1;
            self.speak()?;
        }
        Ok(())
    }

    /// Takes what has come and answers it.
    pub(super) fn take(&mut self, batch: &mut Batch, wait: bool) -> Result<()> {
        if !self.has_server {
            return self.first();
        }
        batch.receive(&self.socket, wait)?;
        // It answers before it looks at the bytes, as one does whose network card has put them where they belong.
        let mut taken = Vec::with_capacity(self.window.into());
        for packet in batch.iter() {
            if self.finished.is_none() && !self.is_lost() {
                taken.extend(self.packet(packet)?);
            }
        }
        taken.into_iter().try_for_each(|taken| self.check(taken))
    }

    /// The first answer, an OACK, tells where the server sends from.
    fn first(&mut self) -> Result<()> {
        let mut first = [0; 1_536];
        let Ok((length, from)) = self.socket.recv_from(&mut first) else {
            return Ok(());
        };
        if self.is_lost() {
            return Ok(());
        }
        self.socket.connect(from)?;
        self.has_server = true;
        let taken = self.packet(first.get(..length).unwrap_or_default())?;
        taken.map_or(Ok(()), |taken| self.check(taken))
    }

    /// Answers a packet; the block that it brought, where that is the next one.
    fn packet<'p>(&mut self, packet: &'p [u8]) -> Result<Option<Taken<'p>>> {
        match packet {
            [0, 3, high, low, data @ ..] => self.data(u16::from_be_bytes([*high, *low]), data),
            [0, 6, options @ ..] if self.have == 0 => {
                self.agree(options)?;
                self.say = vec![0, 4, 0, 0];
                self.speak().map(|()| None)
            }
            [0, 5, ..] => bail!("ERROR: {}", String::from_utf8_lossy(packet)),
            _ => Ok(None),
        }
    }

    /// Whether a block's bytes are the file's.
    fn check(&self, Taken { block, data }: Taken<'_>) -> Result<()> {
        let wanted = self.order.file.get(block * BLOCK..).unwrap_or_default();
        let wanted = wanted.get(..BLOCK).unwrap_or(wanted);
        ensure!(data == wanted, "block {} has other bytes", block + 1);
        Ok(())
    }

    fn agree(&mut self, options: &[u8]) -> Result<()> {
        let text = String::from_utf8_lossy(options);
        let mut words = text.split('\0');
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            match name.to_ascii_lowercase().as_str() {
                "blksize" => ensure!(value.parse() == Ok(BLOCK), "blksize {value}"),
                "windowsize" => self.window = value.parse().context("windowsize")?,
                _ => {}
            }
        }
        Ok(())
    }

    fn data<'p>(&mut self, number: u16, data: &'p [u8]) -> Result<Option<Taken<'p>>> {
        let behind = number.wrapping_sub(u16::try_from(self.have & 0xffff)?);
        if behind != 1 {
            // The last block once more: its ACK was lost. A gap is told once; what is older is nothing.
            if behind == 0 && self.in_window == 0 {
                self.speak_of(self.have)?;
            } else if (2..0x8000).contains(&behind) && self.in_window != u16::MAX {
                self.in_window = u16::MAX;
                self.speak_of(self.have)?;
            }
            return Ok(None);
        }
        let taken = Taken {
            block: self.have,
            data,
        };
        self.have += 1;
        self.in_window = if self.in_window == u16::MAX {
            1
        } else {
            self.in_window + 1
        };
        let is_last = data.len() < BLOCK;
        if is_last || self.in_window >= self.window {
            self.in_window = 0;
            self.speak_of(self.have)?;
        }
        if is_last {
            self.finished = Some(Instant::now());
        }
        Ok(Some(taken))
    }

    fn speak_of(&mut self, block: usize) -> Result<()> {
        let [high, low] = u16::try_from(block & 0xffff)?.to_be_bytes();
        self.say.clear();
        self.say.extend([0, 4, high, low]);
        self.speak()
    }
}
