// SPDX-License-Identifier: Apache-2.0
//! DHCPv4 on the wire: one thread reads, decides and offers; another makes leases durable and then grants them; a third
//! tells what was seen.
//!
//! Everything is decided in `pxe-core`. Here is only who is answered first when more is asked than can be answered: an
//! exchange that has begun goes before one that has not.

mod commit;
mod datagrams;
mod decide;
mod frame;
mod priority;
mod queue;
mod send;
mod teller;
mod watch;

use crate::ServeError;
use crate::desk::Desk;
use crate::lease_log::LeaseLog;
use crate::metrics::Metric;
use crate::slowly::Slowly;
use crate::sockets::OnInterface;
use commit::Committer;
use datagrams::{BATCH, Inbox};
use decide::Decided;
use nix::sys::eventfd::{EfdFlags, EventFd};
use queue::{Class, Queue, Sight, Waiting};
use send::Sender;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};
use teller::Teller;
use tokio::sync::oneshot;
use watch::{Prober, Watch};

/// Bytes that the kernel keeps of datagrams that were not read yet: some thousand requests.
const RECEIVE_BUFFER: i32 = 8 << 20;
/// Datagrams that are read before some are answered.
const READ_MAX: usize = 1_024;
/// Datagrams that are decided under one lock.
const DECIDE_MAX: usize = 64;
/// While so much of what may wait waits, it is looked up who is known; below, everybody is answered soon.
const PRESSURE: usize = 4;
/// A socket that fails so often without a datagram in between has stopped working.
const FAILURES_MAX: u32 = 1_000;
/// After a failure; a network interface that is down for a moment comes back.
const FAILURE_REST: Duration = Duration::from_millis(10);
/// What was let go is told of once in so long.
const TELL: Duration = Duration::from_secs(10);
/// Who got no address because of how we are set up is told of once in so long.
const TELL_UNSERVED: Duration = Duration::from_secs(60);
/// How many turns a busy thread takes between two looks at the other servers.
const WATCH_TURNS: u32 = 64;

/// Serves until the socket stops working, or until it is dropped: then what was granted is made durable and sent first.
pub(crate) async fn serve(on: OnInterface, desk: Arc<Desk>, leases: Arc<LeaseLog>) -> ServeError {
    let failed = |source| ServeError::Socket {
        service: "DHCP",
        source,
    };
    let (says, ended) = oneshot::channel();
    match Threads::start(on, desk, leases, says) {
        Err(source) => failed(source),
        Ok(_threads) => {
            let panicked = || io::Error::other("the answering thread ended");
            failed(ended.await.unwrap_or_else(|_| panicked()))
        }
    }
}

/// The answering thread, stopped and waited for when dropped.
struct Threads {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

struct Stop {
    is_set: AtomicBool,
    wake: EventFd,
}

impl Threads {
    fn start(
        on: OnInterface,
        desk: Arc<Desk>,
        log: Arc<LeaseLog>,
        says: oneshot::Sender<io::Error>,
    ) -> io::Result<Self> {
        let index = on.index;
        let socket = on.socket.into_std()?;
        // Reading never waits (`MSG_DONTWAIT`); sending waits for room.
        socket.set_nonblocking(false)?;
        let enough = datagrams::force_receive_buffer(&socket, RECEIVE_BUFFER);
        if !enough {
            tracing::info!(
                "DHCP: the receive buffer is the machine's usual one (no CAP_NET_ADMIN); raise net.core.rmem_max for a large rack"
            );
        }
        let socket = Arc::new(socket);
        let sender = Arc::new(Sender::new(Arc::clone(&socket), index, Arc::clone(&desk))?);
        let watch = match Watch::open(index) {
            Ok(watch) => Some(watch),
            Err(error) => {
                tracing::warn!(%error, "DHCP: no packet socket (CAP_NET_RAW); other DHCP servers are not noticed");
                None
            }
        };
        let stop = Arc::new(Stop {
            is_set: AtomicBool::new(false),
            wake: EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
        });
        let answering = Answering {
            committer: Committer::start(log, Arc::clone(&sender), Arc::clone(&desk))?,
            teller: Teller::start(&desk)?,
            stop: Arc::clone(&stop),
            queue: Queue::new(),
            inbox: Inbox::new(),
            told: Slowly::new(TELL),
            told_unserved: Slowly::new(TELL_UNSERVED),
            turns: 0,
            each: Duration::ZERO,
            prober: None,
            no_prober: false,
            interface: index,
            socket,
            sender,
            watch,
            desk,
        };
        let thread = thread::Builder::new()
            .name("dhcp".to_owned())
            .spawn(move || {
                priority::before_others();
                if let Err(error) = answering.run() {
                    // Nobody is left to hear it when the service ends.
                    let _ = says.send(error);
                }
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.is_set.store(true, Ordering::Release);
        if let Err(error) = self.stop.wake.write(1) {
            tracing::error!(%error, "DHCP: the answering thread cannot be woken");
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answering thread's own.
struct Answering {
    socket: Arc<UdpSocket>,
    sender: Arc<Sender>,
    committer: Committer,
    teller: Teller,
    watch: Option<Watch>,
    /// Opened for the first probe.
    prober: Option<Prober>,
    no_prober: bool,
    interface: i32,
    desk: Arc<Desk>,
    stop: Arc<Stop>,
    queue: Queue,
    inbox: Inbox,
    told: Slowly,
    told_unserved: Slowly,
    turns: u32,
    /// What one datagram takes, averaged.
    each: Duration,
}

impl Answering {
    fn run(mut self) -> io::Result<()> {
        while !self.stop.is_set.load(Ordering::Acquire) {
            let began = Instant::now();
            self.read()?;
            self.turns = self.turns.wrapping_add(1);
            if self.queue.len() == 0 {
                self.wait()?;
            } else {
                let decided = self.decide();
                self.learn(decided, began.elapsed());
            }
            if self.turns.is_multiple_of(WATCH_TURNS) {
                self.listen();
            }
        }
        Ok(())
    }

    /// Reads what has come into the queue.
    fn read(&mut self) -> io::Result<()> {
        let (mut read, mut failures) = (0, 0);
        while read < READ_MAX {
            match self.inbox.receive(&*self.socket) {
                Ok(got) => {
                    read += got;
                    self.take(got);
                    if got < BATCH {
                        break;
                    }
                }
                // What an earlier answer met, or an interface that is down.
                Err(error) => {
                    failures += 1;
                    tracing::debug!(%error, "DHCP: receive");
                    if failures > FAILURES_MAX {
                        return Err(error);
                    }
                    thread::sleep(FAILURE_REST);
                }
            }
        }
        self.desk.count(Metric::DhcpReceived, number(read));
        Ok(())
    }

    fn take(&mut self, got: usize) {
        if got == 0 {
            return;
        }
        let read = Instant::now();
        let sights: Vec<Sight> = self
            .inbox
            .iter()
            .map(|(bytes, _)| Sight::of(bytes))
            .collect();
        let classes: Vec<Class> = if self.queue.len() * PRESSURE > self.queue.limit() {
            let known = self.desk.knows(sights.iter().map(|sight| sight.mac));
            let both = sights.iter().zip(known);
            both.map(|(sight, known)| sight.class(known)).collect()
        } else {
            let begun = |sight: &Sight| sight.class(!sight.is_discover);
            sights.iter().map(begun).collect()
        };
        let mut shed = 0;
        for ((bytes, asked), class) in self.inbox.iter().zip(classes) {
            let waiting = Waiting {
                bytes: bytes.into(),
                asked,
                read,
            };
            shed += u64::from(self.queue.push(class, waiting).is_some());
        }
        self.shed(shed);
    }

    fn shed(&self, shed: u64) {
        if shed == 0 {
            return;
        }
        self.desk.count(Metric::DhcpShed, shed);
        if let Some(unsaid) = self.told.now() {
            tracing::warn!(
                shed,
                unsaid,
                waiting = self.queue.len(),
                "DHCP: more is asked than can be answered in a second; the oldest questions of unknown machines were dropped, and are asked again"
            );
        }
    }

    /// Decides about what waits first; how many.
    fn decide(&mut self) -> usize {
        let next = std::iter::from_fn(|| self.queue.pop());
        let batch: Vec<Waiting> = next.take(DECIDE_MAX).collect();
        let decided = self.desk.dhcp_requests(&batch);
        self.act(decided);
        batch.len()
    }

    fn act(&mut self, mut decided: Decided) {
        self.sender.send(&decided.at_once);
        if !decided.leases.is_empty() {
            let lost = self
                .committer
                .submit(&mut decided.leases, &mut decided.granted);
            self.shed(number(lost));
        }
        for address in decided.probes {
            self.probe(address);
        }
        if let Some((mac, why)) = decided.unserved
            && let Some(unsaid) = self.told_unserved.now()
        {
            tracing::warn!(
                %mac, unsaid,
                "DHCP: a machine got no address: {why}; the pools and subnets of the configuration decide that"
            );
        }
        self.teller.tell(decided.told);
    }

    /// Nothing waits for a probe: where it cannot be sent, machines find out themselves.
    fn probe(&mut self, address: Ipv4Addr) {
        if self.prober.is_none() && !self.no_prober {
            match Prober::open(self.interface) {
                Ok(prober) => self.prober = Some(prober),
                Err(error) => {
                    self.no_prober = true;
                    tracing::warn!(%error, "DHCP: no packet socket (CAP_NET_RAW); addresses are not probed");
                }
            }
        }
        if let Some(Err(error)) = self.prober.as_ref().map(|prober| prober.ask(address)) {
            tracing::debug!(%error, %address, "DHCP: the probe was not sent");
        }
    }

    /// What one datagram takes decides how many may wait. A turn of few says nothing: it was mostly waiting.
    fn learn(&mut self, decided: usize, took: Duration) {
        let Some(count) = u32::try_from(decided).ok().filter(|n| *n >= DECIDE_TELLS) else {
            return;
        };
        self.each = (self.each * 7 + took / count) / 8;
        self.queue.pace(self.each);
    }

    fn wait(&mut self) -> io::Result<()> {
        let mut all = vec![self.socket.as_fd(), self.stop.wake.as_fd()];
        all.extend(self.watch.as_ref().map(|watch| watch.as_fd()));
        all.extend(self.prober.as_ref().map(|prober| prober.as_fd()));
        let ready = datagrams::wait(&all, None)?;
        if ready.iter().skip(2).any(|ready| *ready) {
            self.listen();
        }
        Ok(())
    }

    /// What others say: DHCP servers, and whoever uses an address that is probed.
    fn listen(&mut self) {
        let mut heard = self.watch.as_ref().map_or_else(Vec::new, Watch::heard);
        heard.extend(self.prober.iter().flat_map(Prober::heard));
        if !heard.is_empty() {
            let decided = self.desk.dhcp_heard(heard.into_iter());
            self.act(decided);
        }
    }
}

/// A turn that decided so many tells what one takes.
const DECIDE_TELLS: u32 = 16;

fn number(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
