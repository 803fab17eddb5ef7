// SPDX-License-Identifier: Apache-2.0
//! The shell around the admission machine: a lock, a clock, and who is to be woken.

use super::client::{Client, HangUp};
use super::metrics::{Count, Metrics};
use groundstate_api::Millis;
use image_core::admission::{Action, Admission, Caps, Event, Full, Ticket};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// One server's admission.
#[derive(Debug)]
pub(super) struct Desk {
    began: Instant,
    inner: Mutex<Inner>,
    pub(super) metrics: Arc<Metrics>,
    /// Rings when there is an earlier deadline than the clock knows, and when the desk is gone.
    earlier: Arc<Notify>,
    clock: OnceLock<()>,
}

/// Between whom the machine shares out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sharer {
    Client(Client),
    /// A request of which nobody said whose it is: it stands for itself, so that strangers are not held for one.
    Alone(Ticket),
}

#[derive(Debug)]
struct Inner {
    machine: Admission<Sharer>,
    seats: HashMap<Ticket, Place>,
    next: u64,
    /// What the clock waits for.
    armed: Option<Millis>,
    out: Vec<Action>,
}

/// What the shell knows of a request in work.
#[derive(Debug)]
struct Place {
    given: Option<u64>,
    cut: bool,
    asked: Instant,
    waker: Option<Waker>,
    hang_up: Option<HangUp>,
}

/// Why a request was not admitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) full: Full,
    /// How long it has been so.
    pub(super) full_for: Millis,
    pub(super) retry: Millis,
}

/// A request in work; it is over when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    desk: Arc<Desk>,
    ticket: Ticket,
}

impl Desk {
    pub(super) fn new(caps: Caps, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            inner: Mutex::new(Inner {
                machine: Admission::new(caps, Millis(0)),
                seats: HashMap::new(),
                next: 0,
                armed: None,
                out: Vec::new(),
            }),
            metrics,
            earlier: Arc::new(Notify::new()),
            clock: OnceLock::new(),
        })
    }

    /// Requests in work, and bytes given and not yet taken.
    pub(super) fn now(&self) -> (usize, u64) {
        let inner = self.lock();
        (inner.machine.in_work(), inner.machine.outstanding())
    }

    /// Asks for a place.
    pub(super) fn arrive(
        self: &Arc<Self>,
        client: Client,
        hang_up: Option<HangUp>,
    ) -> Result<Arc<Seat>, Refusal> {
        self.clock.get_or_init(|| {
            let (desk, earlier) = (Arc::downgrade(self), Arc::clone(&self.earlier));
            tokio::spawn(tick(desk, earlier));
        });
        let mut inner = self.lock();
        inner.next += 1;
        let ticket = Ticket(inner.next);
        let place = Place {
            given: None,
            cut: false,
            asked: self.began,
            waker: None,
            hang_up,
        };
        inner.seats.insert(ticket, place);
        let client = match client {
            Client::Anyone => Sharer::Alone(ticket),
            client => Sharer::Client(client),
        };
        let refused = self.handle(inner, Event::Arrives { ticket, client });
        match refused {
            None => Ok(Arc::new(Seat {
                desk: Arc::clone(self),
                ticket,
            })),
            Some(refusal) => {
                self.metrics.count(match refusal.full {
                    Full::Server => Count::RefusedServer,
                    Full::Client => Count::RefusedClient,
                });
                Err(refusal)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clock(&self) -> Millis {
        Millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Takes an event and does what the machine says. Nobody is woken while the lock is held.
    fn handle(&self, mut inner: MutexGuard<'_, Inner>, event: Event<Sharer>) -> Option<Refusal> {
        let now = self.clock();
        let Inner {
            machine,
            seats,
            armed,
            out,
            ..
        } = &mut *inner;
        machine.handle(now, event, out);
        let (mut refusal, mut wake, mut hang_up) = (None, Vec::new(), Vec::new());
        for action in out.drain(..) {
            match action {
                Action::Admit(_) => {}
                Action::Refuse {
                    ticket,
                    full,
                    since,
                    retry,
                } => {
                    seats.remove(&ticket);
                    refusal = Some(Refusal {
                        full,
                        full_for: now.since(since),
                        retry,
                    });
                }
                Action::Give { ticket, bytes } => {
                    if let Some(place) = seats.get_mut(&ticket) {
                        place.given = Some(bytes);
                        wake.extend(place.waker.take());
                        self.metrics.waited(place.asked.elapsed());
                    }
                }
                Action::CutOff {
                    ticket,
                    held,
                    slow_for,
                } => {
                    self.metrics.count(Count::CutOff);
                    tracing::info!(held, %slow_for, "a reader takes too little; its connection is closed");
                    if let Some(place) = seats.get_mut(&ticket) {
                        place.cut = true;
                        wake.extend(place.waker.take());
                        hang_up.extend(place.hang_up.take());
                    }
                }
            }
        }
        let deadline = machine.deadline();
        let sooner = deadline.is_some_and(|at| armed.is_none_or(|armed| at < armed));
        if sooner {
            *armed = deadline;
        }
        drop(inner);
        if sooner {
            self.earlier.notify_one();
        }
        wake.into_iter().for_each(Waker::wake);
        for bell in hang_up {
            bell.ring();
        }
        refusal
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.earlier.notify_one();
    }
}

/// Tells the machine that time has passed, whenever it wants to know.
async fn tick(desk: Weak<Desk>, earlier: Arc<Notify>) {
    loop {
        let Some(wait) = desk.upgrade().map(|desk| {
            let armed = desk.lock().armed;
            armed.map(|at| Duration::from_millis(at.since(desk.clock()).0))
        }) else {
            return;
        };
        match wait {
            None => earlier.notified().await,
            Some(wait) => {
                // The machine's millisecond must have begun when it is told.
                let late = wait + Duration::from_millis(1);
                if tokio::time::timeout(late, earlier.notified()).await.is_ok() {
                    continue;
                }
                let Some(desk) = desk.upgrade() else {
                    return;
                };
                let mut inner = desk.lock();
                inner.armed = None;
                desk.handle(inner, Event::Tick);
            }
        }
    }
}

impl Seat {
    /// Asks for the next piece.
    pub(super) fn want(&self, bytes: u64) {
        let mut inner = self.desk.lock();
        if let Some(place) = inner.seats.get_mut(&self.ticket) {
            place.asked = Instant::now();
        }
        let ticket = self.ticket;
        self.desk.handle(inner, Event::Wants { ticket, bytes });
    }

    /// Whether the piece that was asked for may be read.
    pub(super) fn poll_given(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.desk.lock();
        let Some(place) = inner.seats.get_mut(&self.ticket) else {
            return Poll::Ready(Err(cut_off()));
        };
        if place.cut {
            return Poll::Ready(Err(cut_off()));
        }
        if place.given.take().is_some() {
            return Poll::Ready(Ok(()));
        }
        place.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// The connection has taken so many bytes.
    pub(super) fn taken(&self, bytes: u64) {
        let (inner, ticket) = (self.desk.lock(), self.ticket);
        self.desk.handle(inner, Event::Taken { ticket, bytes });
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.desk.metrics
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let (mut inner, ticket) = (self.desk.lock(), self.ticket);
        inner.seats.remove(&ticket);
        self.desk.handle(inner, Event::Ends { ticket });
    }
}

fn cut_off() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the reader took too little for too long",
    )
}
