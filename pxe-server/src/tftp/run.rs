// SPDX-License-Identifier: Apache-2.0
//! All transfers on one thread: who is ready is served in turn, a packet at a time.

use super::budget::Budget;
use super::path_mtu::block_max;
use super::patience::Patience;
use super::port::{Asked, Port};
use super::report::{Report, Reports, What};
use super::spans::Spans;
use super::timers::Timers;
use super::transfer::{Ended, Means, Transfer};
use super::window::{HEADER, Source};
use super::wire::{CALL_MAX, Wire};
use crate::desk::Desk;
use crate::limits::Limits;
use crate::metrics::{Gauge, Metric, Timing};
use groundstate_api::Millis;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use pxe_core::tftp::{
    Action, Admission, Encoder, End, Event, Mode, ReadRequest, TftpRefusal, TransferId, Transfers,
    error_packet, is_error, read_request, with_slashes,
};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The port of requests, as a capture shows it.
const TFTP_PORT: u16 = 69;
/// The longest packet that is read, in bytes. A request has at most 512; what is cut off is refused.
const PACKET_MAX: usize = 1_024;
/// Requests that are taken before transfers have their turn.
const REQUESTS_MAX: usize = 64;
/// Sockets that are looked at by one call.
const READY_MAX: usize = 256;
/// How long a client must have been silent for the same request to mean that it begins anew.
const RESET_AFTER: Millis = Millis::secs(1);
/// Packets of one transfer in a row before it is asked who else is ready: half a millisecond on a fast network.
const ALONE_MAX: u32 = 16;
/// The event of the one who ends all this; the ports and then the transfers have smaller numbers.
const STOP: u64 = u64::MAX;

/// The ports and the transfers.
pub(super) struct Run {
    desk: Arc<Desk>,
    reports: Reports,
    limits: Limits,
    budget: Budget,
    ports: Vec<Port>,
    epoll: Epoll,
    table: Transfers,
    places: Vec<Option<Box<Transfer>>>,
    free: Vec<usize>,
    at: HashMap<TransferId, usize>,
    timers: Timers,
    preparing: VecDeque<usize>,
    patience: Patience,
    actions: Vec<Action>,
    scratch: Box<[u8]>,
    spans: Spans,
    /// The transfer whose packet was the only one that came, and how often in a row.
    alone: Option<(usize, u32)>,
}

impl Run {
    /// Ready to serve these ports until `stop` is written to.
    pub(super) fn new(
        ports: Vec<Port>,
        stop: &EventFd,
        desk: Arc<Desk>,
        reports: Reports,
        limits: Limits,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(stop, EpollEvent::new(EpollFlags::EPOLLIN, STOP))?;
        for (number, port) in (0..).zip(&ports) {
            epoll.add(port, EpollEvent::new(EpollFlags::EPOLLIN, number))?;
        }
        Ok(Self {
            desk,
            reports,
            budget: Budget::new(limits.tftp_bytes_per_second),
            limits,
            ports,
            epoll,
            table: Transfers::at_most(limits.tftp_transfers),
            places: Vec::new(),
            free: Vec::new(),
            at: HashMap::new(),
            timers: Timers::default(),
            preparing: VecDeque::new(),
            patience: Patience::new(),
            actions: Vec::new(),
            scratch: vec![0; CALL_MAX].into_boxed_slice(),
            spans: Spans::default(),
            alone: None,
        })
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// A port does not work any more.
    pub(super) fn serve(mut self) -> io::Result<()> {
        let mut events = vec![EpollEvent::empty(); READY_MAX];
        loop {
            if self.next_of_the_same() {
                self.time();
                self.prepare_one();
                continue;
            }
            let ready = self.patience.wait(&self.epoll, &mut events, self.wait())?;
            self.alone = None;
            for event in events.iter().take(ready) {
                if event.data() == STOP {
                    return Ok(());
                }
                let number = usize::try_from(event.data()).unwrap_or(usize::MAX);
                match number.checked_sub(self.ports.len()) {
                    None => self.requests(number)?,
                    Some(place) => {
                        self.packet(place, event.events());
                        self.alone = (ready == 1).then_some((place, 0));
                    }
                }
            }
            self.time();
            self.prepare_one();
        }
    }

    /// Looks for the next packet of the transfer that is alone, where its client answers quickly: without the question who
    /// is ready, and with the next window made meanwhile. After some in a row the others are asked for again.
    fn next_of_the_same(&mut self) -> bool {
        let Some((place, times)) = self.alone else {
            return false;
        };
        if times >= ALONE_MAX || !self.patience.is_quick() || !self.preparing.is_empty() {
            return false;
        }
        let Some(transfer) = self.places.get_mut(place).and_then(Option::as_mut) else {
            return false;
        };
        transfer.look_ahead(&mut self.spans);
        let mut buffer = [0; PACKET_MAX];
        let wire = &transfer.wire;
        let Some((length, from)) = self.patience.look(|| wire.receive(&mut buffer)) else {
            return false;
        };
        self.alone = Some((place, times + 1));
        self.took(place, buffer.get(..length).unwrap_or_default(), from);
        true
    }

    fn wait(&self) -> EpollTimeout {
        if !self.preparing.is_empty() {
            return EpollTimeout::ZERO;
        }
        let Some(next) = self.timers.next() else {
            return EpollTimeout::NONE;
        };
        let wait = next.since(self.desk.clock.now()).0;
        EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::MAX)
    }

    fn requests(&mut self, number: usize) -> io::Result<()> {
        let mut buffer = [0; PACKET_MAX];
        for _ in 0..REQUESTS_MAX {
            let Some(port) = self.ports.get(number) else {
                break;
            };
            let Some(asked) = port.receive(&mut buffer)? else {
                break;
            };
            let packet = buffer.get(..asked.length).unwrap_or_default();
            if self.desk.captures() {
                let to = SocketAddr::new(asked.to, TFTP_PORT);
                self.desk.captured_of(asked.peer, asked.peer, to, packet);
            }
            let Err(refusal) = self.begin(number, packet, asked) else {
                continue;
            };
            tracing::debug!(peer = %asked.peer, %refusal, "TFTP: refused");
            if refusal != TftpRefusal::NotARequest {
                self.desk.count(Metric::TftpFailed, 1);
            }
            if let Some(port) = self.ports.get(number) {
                port.refuse(asked, &refusal);
            }
        }
        Ok(())
    }

    fn begin(&mut self, number: usize, packet: &[u8], asked: Asked) -> Result<(), TftpRefusal> {
        let mut request = read_request(packet)?;
        let (peer, now) = (asked.peer, self.desk.clock.now());
        let Some(content) = self.find(&request.name) else {
            self.tell(&asked, &request, What::Asked);
            let why = "no such file".to_owned();
            self.tell(&asked, &request, What::Ended { why });
            return Err(TftpRefusal::NotFound);
        };
        let mut admission = self.table.admit(peer, &request)?;
        if let Admission::Running(id) = admission {
            // Its last ACK may have come before this, on the other socket.
            if let Some(place) = self.at.get(&id).copied() {
                self.packet(place, EpollFlags::EPOLLIN);
            }
            admission = self.table.admit(peer, &request)?;
        }
        if let Admission::Running(id) = admission {
            if !self.was_reset(id, now) {
                return Ok(());
            }
            self.displace(id, "the machine asks anew");
            admission = self.table.admit(peer, &request)?;
        }
        let Admission::Begins { id, instead_of } = admission else {
            return Ok(());
        };
        if let Some(old) = instead_of {
            self.displace(old, "it gave way to another request");
        }
        self.tell(&asked, &request, What::Asked);
        let interface = self.ports.get(number).map_or("", |port| &port.interface);
        if request.blksize.is_some() {
            request.fit(block_max(peer, interface));
        }
        request.fit_window(self.limits.tftp_window);
        let opened = Wire::open(asked.to, interface).and_then(|mut wire| {
            if request.windowsize.is_some() {
                let segment = usize::from(request.block_bytes()) + HEADER;
                // Without, each block is sent by itself.
                let _cut = u16::try_from(segment).is_ok_and(|segment| wire.cut(segment));
            }
            let place = self.free.pop().unwrap_or(self.places.len());
            let data = u64::try_from(self.ports.len() + place).map_err(io::Error::other)?;
            if place == self.places.len() {
                self.places.push(None);
            }
            let event = EpollEvent::new(EpollFlags::EPOLLIN, data);
            if let Err(error) = self.epoll.add(&wire, event) {
                self.free.push(place);
                return Err(error.into());
            }
            Ok((wire, place))
        });
        let (wire, place) = opened.map_err(|error| {
            tracing::warn!(%peer, %error, "TFTP: no socket for a transfer");
            self.table.ended(peer, id);
            TftpRefusal::Busy
        })?;
        let source = Source {
            content,
            netascii: (request.mode == Mode::Netascii).then(Encoder::default),
        };
        self.desk.count(Metric::TftpStarted, 1);
        self.desk.gauge(Gauge::TftpTransfers, 1);
        let transfer = Transfer::new((id, peer), wire, request, source, now);
        if let Some(free) = self.places.get_mut(place) {
            *free = Some(Box::new(transfer));
        }
        self.at.insert(id, place);
        self.spans.serve(self.at.len());
        self.prepare(place, now);
        Ok(())
    }

    /// The file of a name as it was sent, or with the slashes that it should have had. Nothing else is tried.
    fn find(&self, name: &str) -> Option<crate::Content> {
        let files = &self.desk.files;
        files
            .file(name)
            .or_else(|| files.file(&with_slashes(name)?))
    }

    /// Whether a request that comes again is of a machine that was reset: it was heard, and then silent.
    fn was_reset(&self, id: TransferId, now: Millis) -> bool {
        let place = self.at.get(&id).and_then(|place| self.places.get(*place));
        let Some(transfer) = place.and_then(Option::as_ref) else {
            return true;
        };
        let silent = |session: &pxe_core::tftp::Session| {
            session.heard() && now.since(session.since()) >= RESET_AFTER
        };
        transfer.session().is_some_and(silent)
    }

    fn tell(&self, asked: &Asked, request: &ReadRequest, what: What) {
        self.reports.tell(Report {
            peer: asked.peer.ip(),
            file: request.name.clone(),
            what,
        });
    }

    /// A packet on a transfer's port, or word that its client is gone.
    fn packet(&mut self, place: usize, flags: EpollFlags) {
        let Some(transfer) = self.places.get_mut(place).and_then(Option::as_mut) else {
            return;
        };
        let now = self.desk.clock.now();
        if flags.contains(EpollFlags::EPOLLERR) && transfer.wire.is_refused(transfer.peer) {
            transfer.handle(now, Event::Unreachable, &mut self.actions);
            return self.act(place, now);
        }
        let mut buffer = [0; PACKET_MAX];
        if let Some((length, from)) = transfer.wire.receive(&mut buffer) {
            self.took(place, buffer.get(..length).unwrap_or_default(), from);
        }
    }

    /// A packet that came on a transfer's port.
    fn took(&mut self, place: usize, packet: &[u8], from: SocketAddr) {
        let Some(transfer) = self.places.get_mut(place).and_then(Option::as_mut) else {
            return;
        };
        let now = self.desk.clock.now();
        if from == transfer.peer {
            if let Some(own) = own_address(&self.desk, transfer) {
                self.desk.captured_of(from, from, own, packet);
            }
            transfer.handle(now, Event::Packet(packet), &mut self.actions);
            self.act(place, now);
        } else if !is_error(packet) {
            tracing::debug!(%from, peer = %transfer.peer, "TFTP: not this transfer's client");
            let error = error_packet(&TftpRefusal::UnknownTransfer).unwrap_or_default();
            let _lost = transfer.wire.send(from, &error, error.len());
        }
    }

    fn time(&mut self) {
        let Some(next) = self.timers.next() else {
            return;
        };
        let now = self.desk.clock.now();
        if next > now {
            return;
        }
        while let Some(place) = self.timers.take(now) {
            let Some(transfer) = self.places.get_mut(place).and_then(Option::as_mut) else {
                continue;
            };
            transfer.armed = None;
            transfer.handle(now, Event::Timeout, &mut self.actions);
            self.act(place, now);
        }
    }

    fn prepare_one(&mut self) {
        if let Some(place) = self.preparing.pop_front() {
            self.prepare(place, self.desk.clock.now());
        }
    }

    fn prepare(&mut self, place: usize, now: Millis) {
        let Some(transfer) = self.places.get_mut(place).and_then(Option::as_mut) else {
            return;
        };
        match transfer.prepare(now, &mut self.scratch, &mut self.actions) {
            Ok(true) => self.act(place, now),
            Ok(false) => self.preparing.push_back(place),
            Err(error) => {
                let packet = error_packet(&TftpRefusal::Unreadable).unwrap_or_default();
                let _lost = transfer.wire.send(transfer.peer, &packet, packet.len());
                self.end(place, now, &Ended::Unreadable(error));
            }
        }
    }

    /// Does what the session decided, and keeps the table and the timers right.
    fn act(&mut self, place: usize, now: Millis) {
        let Some(transfer) = self.places.get_mut(place).and_then(Option::as_mut) else {
            self.actions.clear();
            return;
        };
        if let Some(own) = own_address(&self.desk, transfer) {
            for action in &self.actions {
                if let Action::Packet(packet) = action {
                    let peer = transfer.peer;
                    self.desk.captured_of(peer, own, peer, packet);
                }
            }
        }
        let means = Means {
            scratch: &mut self.scratch,
            spans: &mut self.spans,
            budget: &mut self.budget,
        };
        let ended = transfer.act(now, means, &mut self.actions);
        let bytes = std::mem::take(&mut transfer.bytes);
        if bytes > 0 {
            self.desk.count(Metric::TftpBytes, bytes);
        }
        if let Some(ended) = ended {
            return self.end(place, now, &ended);
        }
        let Some(session) = transfer.session() else {
            return;
        };
        let (heard, deadline) = (session.heard(), session.deadline());
        if heard && !transfer.told {
            transfer.told = true;
            self.table.heard(transfer.peer, transfer.id);
        }
        if let Some(deadline) = deadline {
            self.timers.set(place, &mut transfer.armed, deadline);
        }
    }

    fn end(&mut self, place: usize, now: Millis, ended: &Ended) {
        let Some(transfer) = self.remove(place) else {
            return;
        };
        self.table.ended(transfer.peer, transfer.id);
        let why = match ended {
            Ended::Session(End::Complete) => {
                self.desk.count(Metric::TftpCompleted, 1);
                let took = now.since(transfer.began);
                self.desk
                    .timed(Timing::TftpTransfer, Duration::from_millis(took.0));
                let again = transfer.session().map_or(0, |session| session.again());
                return self.reports.tell(Report {
                    peer: transfer.peer.ip(),
                    what: What::Sent {
                        length: transfer.length(),
                        took,
                        again,
                    },
                    file: transfer.name,
                });
            }
            Ended::Session(End::LengthTold) => {
                return self.reports.tell(Report {
                    peer: transfer.peer.ip(),
                    file: transfer.name,
                    what: What::LengthTold,
                });
            }
            Ended::Session(End::ByClient { code, text }) => {
                format!("the client ended it: {text} (code {code})")
            }
            Ended::Session(End::Gone) => "the client's port is closed".to_owned(),
            Ended::Session(End::Silent) => "the client stopped answering".to_owned(),
            Ended::Unreadable(error) => format!("it cannot be read: {error}"),
        };
        self.failed(transfer, why);
    }

    /// Ends a transfer that the table does not have any more.
    fn displace(&mut self, id: TransferId, why: &str) {
        let place = self.at.get(&id).copied();
        if let Some(transfer) = place.and_then(|place| self.remove(place)) {
            self.table.ended(transfer.peer, transfer.id);
            self.failed(transfer, why.to_owned());
        }
    }

    fn failed(&self, transfer: Box<Transfer>, why: String) {
        self.desk.count(Metric::TftpFailed, 1);
        self.reports.tell(Report {
            peer: transfer.peer.ip(),
            file: transfer.name,
            what: What::Ended { why },
        });
    }

    fn remove(&mut self, place: usize) -> Option<Box<Transfer>> {
        let mut transfer = self.places.get_mut(place)?.take()?;
        self.desk.gauge(Gauge::TftpTransfers, -1);
        self.timers.clear(place, &mut transfer.armed);
        self.at.remove(&transfer.id);
        self.spans.serve(self.at.len());
        self.free.push(place);
        Some(transfer)
    }
}

/// The address of a transfer's own port, where packets are captured.
fn own_address(desk: &Desk, transfer: &Transfer) -> Option<SocketAddr> {
    desk.captures()
        .then(|| transfer.wire.own_address())
        .flatten()
}
