// SPDX-License-Identifier: Apache-2.0
//! Machines that ask for an address, at an offered rate: DISCOVER, OFFER, REQUEST, ACK, each sent once.
//!
//! They are behind a relay agent, as perfdhcp's are. A reply is checked for whose it is; an address that two machines hold
//! is no figure but an error. Nothing is sent twice: what a server did not answer within [`LATE`] is lost.

use super::datagrams::Batch;
use super::ground::Ground;
use super::wire::{CLIENT, FIRST, LAST, SERVER};
use anyhow::{Context as _, Result, bail, ensure};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

/// An answer that comes later than this after its question counts as lost: perfdhcp's drop time.
pub(super) const LATE: Duration = Duration::from_secs(1);
/// Bytes that the kernel keeps of replies that were not read yet.
const RECEIVE_BUFFER: usize = 16 << 20;
const PORT: u16 = 67;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const OFFER: u8 = 2;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// What is offered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offered {
    /// Machines that begin in a second.
    pub(super) rate: f64,
    /// How many there are.
    pub(super) machines: u32,
    /// The number of the first one: another number is another MAC address.
    pub(super) first: u32,
}

impl Offered {
    /// So many a second for so long.
    pub(super) fn for_secs(rate: f64, secs: f64, first: u32) -> Self {
        // A number of machines: far below what 32 bits hold.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let machines = (rate * secs).round().max(1.0) as u32;
        Self {
            rate,
            machines,
            first,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// Machines that began.
    pub(super) machines: u32,
    /// Machines in a second that really began.
    pub(super) rate: f64,
    /// Machines that were offered an address in time.
    pub(super) offered: u32,
    /// Machines that were granted it in time.
    pub(super) granted: u32,
    /// Machines that were refused it.
    pub(super) refused: u32,
    /// Seconds from the first DISCOVER to the last ACK.
    pub(super) secs: f64,
    /// Milliseconds from DISCOVER to ACK, sorted; of the machines that were granted an address.
    pub(super) took: Vec<f32>,
    /// Seconds of processor time that the generator used.
    pub(super) processor: f64,
}

impl Outcome {
    /// The share of machines without an address, of 1.
    pub(super) fn lost(&self) -> f64 {
        f64::from(self.machines - self.granted) / f64::from(self.machines.max(1))
    }

    /// Milliseconds that this share of machines did not need more than.
    pub(super) fn percentile(&self, share: f64) -> f64 {
        // An index: small.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let at = ((self.took.len() as f64 * share).ceil() as usize).saturating_sub(1);
        self.took.get(at).copied().map_or(f64::NAN, f64::from)
    }

    /// In words.
    pub(super) fn words(&self) -> String {
        format!(
            "{:.0}/s offered: {} of {} granted ({:.2} % lost), p50 {:.1} ms, p99 {:.1} ms",
            self.rate,
            self.granted,
            self.machines,
            self.lost() * 100.0,
            self.percentile(0.5),
            self.percentile(0.99),
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Silent,
    Asked,
    Requested,
    Granted,
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Machine {
    stage: Stage,
    address: Ipv4Addr,
    /// Microseconds since the beginning.
    asked: u32,
    requested: u32,
}

/// The machines of one run.
#[derive(Debug)]
struct Load {
    socket: UdpSocket,
    offered: Offered,
    machines: Vec<Machine>,
    /// Who was granted which address.
    holders: Vec<u32>,
    begun: u32,
    outcome: Outcome,
    began: Instant,
    last_grant: Duration,
    wanted: Batch,
}

/// Offers the load, and waits for what is still to come.
pub(super) fn offer(ground: &Ground, offered: Offered) -> Result<Outcome> {
    ground.say(&format!(
        "{} machines at {:.0}/s",
        offered.machines, offered.rate
    ));
    let socket = open()?;
    let processor = processor_time()?;
    let mut load = Load::new(socket, offered)?;
    load.run()?;
    let mut outcome = load.finish();
    outcome.processor = processor_time()? - processor;
    Ok(outcome)
}

fn open() -> Result<UdpSocket> {
    let socket = UdpSocket::bind((CLIENT, PORT)).context("the relay agent's port")?;
    socket.connect((SERVER, PORT))?;
    socket.set_nonblocking(true)?;
    // As root also beyond the machine's usual limit; the generator must not be what loses replies.
    let force = nix::sys::socket::setsockopt(
        &socket,
        nix::sys::socket::sockopt::RcvBufForce,
        &RECEIVE_BUFFER,
    );
    if force.is_err() {
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &RECEIVE_BUFFER)?;
    }
    Ok(socket)
}

impl Load {
    fn new(socket: UdpSocket, offered: Offered) -> Result<Self> {
        let silent = Machine {
            stage: Stage::Silent,
            address: Ipv4Addr::UNSPECIFIED,
            asked: 0,
            requested: 0,
        };
        let count = usize::try_from(offered.machines)?;
        let addresses = usize::try_from(u32::from(LAST) - u32::from(FIRST) + 1)?;
        Ok(Self {
            socket,
            offered,
            machines: vec![silent; count],
            holders: vec![u32::MAX; addresses],
            begun: 0,
            outcome: Outcome {
                machines: offered.machines,
                took: Vec::with_capacity(count),
                ..Outcome::default()
            },
            began: Instant::now(),
            last_grant: Duration::ZERO,
            wanted: Batch::new(),
        })
    }

    fn run(&mut self) -> Result<()> {
        let mut came = Batch::new();
        let mut asking = Batch::new();
        self.began = Instant::now();
        let mut ended = None;
        loop {
            let now = self.began.elapsed();
            // Whole machines that are due by now.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let due = (now.as_secs_f64() * self.offered.rate) as u32 + 1;
            let due = due.min(self.offered.machines);
            while self.begun < due && !asking.is_full() {
                self.ask(now, &mut asking);
            }
            if asking.len() > 0 {
                asking.send(&self.socket)?;
            }
            came.receive(&self.socket)?;
            let busy = came.len() > 0 || self.begun < due;
            let now = self.began.elapsed();
            for datagram in came.iter() {
                self.hear(now, datagram)?;
                if self.wanted.is_full() {
                    self.wanted.send(&self.socket)?;
                }
            }
            if self.wanted.len() > 0 {
                self.wanted.send(&self.socket)?;
            }
            if self.begun == self.offered.machines {
                let ended = *ended.get_or_insert(now);
                self.outcome.rate = f64::from(self.begun) / ended.as_secs_f64().max(1e-6);
                let all = self.outcome.granted + self.outcome.refused == self.offered.machines;
                // A DISCOVER's answer may take as long as LATE, and its REQUEST's answer again.
                if all || now > ended + LATE * 2 {
                    return Ok(());
                }
            }
            if !busy {
                self.rest(due)?;
            }
        }
    }

    /// Waits for a reply or the next machine's turn.
    fn rest(&self, due: u32) -> Result<()> {
        let next = if due < self.offered.machines {
            let at = Duration::from_secs_f64(f64::from(due) / self.offered.rate);
            at.saturating_sub(self.began.elapsed())
        } else {
            Duration::from_millis(1)
        };
        // One wake-up for several machines: none begins more than a millisecond late.
        let next = next.clamp(Duration::from_micros(200), Duration::from_millis(1));
        let mut fds = [rustix::event::PollFd::from_borrowed_fd(
            self.socket.as_fd(),
            rustix::event::PollFlags::IN,
        )];
        let timeout = rustix::time::Timespec::try_from(next)?;
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn ask(&mut self, now: Duration, asking: &mut Batch) {
        let index = self.begun;
        if let Some(machine) = usize::try_from(index)
            .ok()
            .and_then(|at| self.machines.get_mut(at))
        {
            machine.stage = Stage::Asked;
            machine.asked = micros(now);
        }
        asking.push(&packet(1, self.offered.first + index, &[]));
        self.begun += 1;
    }

    fn hear(&mut self, now: Duration, datagram: &[u8]) -> Result<()> {
        let reply = Reply::read(datagram)?;
        let number = reply.xid;
        ensure!(
            reply.mac == mac(number),
            "the reply to {:02x?} says {:02x?}",
            mac(number),
            reply.mac
        );
        // A late answer to an earlier run's machine is none of this run's.
        let Some(machine) = number
            .checked_sub(self.offered.first)
            .and_then(|at| self.machines.get_mut(usize::try_from(at).ok()?))
        else {
            return Ok(());
        };
        let late = micros(LATE);
        match (reply.kind, machine.stage) {
            (OFFER, Stage::Asked) => {
                ensure!(
                    (FIRST..=LAST).contains(&reply.address),
                    "{} is not in the pool",
                    reply.address
                );
                if micros(now) - machine.asked > late {
                    return Ok(());
                }
                self.outcome.offered += 1;
                machine.stage = Stage::Requested;
                machine.address = reply.address;
                machine.requested = micros(now);
                let mut more = vec![50, 4];
                more.extend(reply.address.octets());
                more.extend([54, 4]);
                more.extend(reply.server.octets());
                self.wanted.push(&packet(3, number, &more));
            }
            (ACK, Stage::Requested) => {
                ensure!(
                    reply.address == machine.address,
                    "offered {}, granted {}",
                    machine.address,
                    reply.address
                );
                if micros(now) - machine.requested > late {
                    return Ok(());
                }
                machine.stage = Stage::Granted;
                let place = usize::try_from(u32::from(reply.address) - u32::from(FIRST))?;
                let holder = self.holders.get_mut(place).context("no place")?;
                ensure!(
                    *holder == u32::MAX,
                    "{} was granted to two machines",
                    reply.address
                );
                *holder = number;
                self.outcome.granted += 1;
                self.last_grant = now;
                let took = Duration::from_micros(u64::from(micros(now) - machine.asked));
                self.outcome.took.push(took.as_secs_f32() * 1_000.0);
            }
            (NAK, Stage::Requested) => {
                machine.stage = Stage::Refused;
                self.outcome.refused += 1;
            }
            // A second answer to one question changes nothing.
            (OFFER | ACK | NAK, _) => {}
            (kind, _) => bail!("a server sent message type {kind}"),
        }
        Ok(())
    }

    fn finish(self) -> Outcome {
        let mut outcome = self.outcome;
        outcome.secs = self.last_grant.as_secs_f64();
        outcome.took.sort_by(f32::total_cmp);
        outcome
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

fn mac(number: u32) -> [u8; 6] {
    let [a, b, c, d] = number.to_be_bytes();
    [0x02, 0xd0, a, b, c, d]
}

/// A client's message, as a relay agent passes it on. Its transaction has the machine's number.
fn packet(kind: u8, number: u32, more: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 236];
    bytes.splice(..4, [1, 1, 6, 1]);
    bytes.splice(4..8, number.to_be_bytes());
    bytes.splice(24..28, CLIENT.octets());
    bytes.splice(28..34, mac(number));
    bytes.extend(COOKIE);
    bytes.extend([53, 1, kind]);
    bytes.extend(more);
    // Subnet mask, router, DNS, domain.
    bytes.extend([55, 4, 1, 3, 6, 15, 255]);
    bytes
}

/// What is read of a server's message.
struct Reply {
    kind: u8,
    xid: u32,
    mac: [u8; 6],
    address: Ipv4Addr,
    server: Ipv4Addr,
}

impl Reply {
    fn read(bytes: &[u8]) -> Result<Self> {
        let read = || {
            let four = |at: usize| bytes.get(at..at + 4)?.try_into().ok();
            let mut options = bytes.get(240..)?;
            let (mut kind, mut server) = (None, [0; 4]);
            while let [code, rest @ ..] = options {
                if *code == 255 {
                    break;
                }
                let (length, rest) = rest.split_first()?;
                let value = rest.get(..usize::from(*length))?;
                match code {
                    53 => kind = value.first().copied(),
                    54 => server = value.try_into().ok()?,
                    _ => {}
                }
                options = rest.get(usize::from(*length)..)?;
            }
            let is_reply = bytes.first() == Some(&2) && four(236)? == COOKIE;
            is_reply.then_some(Self {
                kind: kind?,
                xid: u32::from_be_bytes(four(4)?),
                mac: bytes.get(28..34)?.try_into().ok()?,
                address: Ipv4Addr::from(four(16)?),
                server: Ipv4Addr::from(server),
            })
        };
        read().with_context(|| format!("no DHCP reply: {} bytes", bytes.len()))
    }
}

fn processor_time() -> Result<f64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(Duration::try_from(time)
        .context("the processor's clock runs backwards")?
        .as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers everything correctly, except what `spoil` makes of it.
    fn serve(socket: &UdpSocket, count: usize, spoil: impl Fn(usize, &mut Vec<u8>)) {
        let mut buffer = [0; 1_500];
        for n in 0..count {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            let asked = &buffer[..length];
            let mut reply = asked[..240].to_vec();
            reply[0] = 2;
            let xid = u32::from_be_bytes(asked[4..8].try_into().unwrap());
            let address = Ipv4Addr::from(u32::from(FIRST) + xid - 70_000);
            reply.splice(16..20, address.octets());
            let kind = if asked[242] == 1 { OFFER } else { ACK };
            reply.extend([53, 1, kind, 54, 4, 127, 0, 0, 1, 255]);
            spoil(n, &mut reply);
            socket.send_to(&reply, from).unwrap();
        }
    }

    fn run(machines: u32, spoil: impl Fn(usize, &mut Vec<u8>) + Send + 'static) -> Result<Outcome> {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        client.set_nonblocking(true).unwrap();
        let count = usize::try_from(machines).unwrap() * 2;
        std::thread::spawn(move || serve(&server, count, spoil));
        let offered = Offered {
            rate: 5_000.0,
            machines,
            first: 70_000,
        };
        let mut load = Load::new(client, offered)?;
        load.run()?;
        Ok(load.finish())
    }

    #[test]
    fn machines_are_granted_addresses_and_a_wrong_server_is_no_figure() {
        let good = run(200, |_, _| {}).unwrap();
        assert_eq!((good.granted, good.offered, good.refused), (200, 200, 0));
        assert_eq!(good.took.len(), 200);
        assert!(good.lost() == 0.0 && good.percentile(0.5) <= good.percentile(0.99));
        let spoilt = |spoil: fn(usize, &mut Vec<u8>)| run(20, spoil).unwrap_err().to_string();
        let same = spoilt(|_, reply| {
            reply.splice(16..20, FIRST.octets());
        });
        assert!(same.contains("two machines"), "{same}");
        let other = spoilt(|_, reply| reply[33] ^= 1);
        assert!(other.contains("the reply to"), "{other}");
        let outside = spoilt(|_, reply| reply[16] = 9);
        assert!(outside.contains("not in the pool"), "{outside}");
        assert!(spoilt(|_, reply| reply[0] = 1).contains("no DHCP reply"));
    }
}
