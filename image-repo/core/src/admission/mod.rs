// SPDX-License-Identifier: Apache-2.0
//! Who is served now, who waits, and who is told to come back: admission, bandwidth caps and fair queueing in one
//! machine.
//!
//! A request arrives and is admitted or refused at once; the refusal costs next to nothing, so that a tenfold load finds
//! the admitted ones at full speed. An admitted request asks for bytes piece by piece. Pieces are given in deficit round
//! robin over the *clients* that want some (Shreedhar and Varghese), within the caps on bytes a second and within a window
//! of bytes that are read and not yet taken. A reader that takes less than the named least rate is cut off.
//!
//! It moves no byte and knows no clock; a client is whatever the shell tells clients apart by.

mod bucket;
mod caps;

pub use caps::{
    CLIENT_REQUESTS, CLIENT_WINDOW, Caps, GRACE, GRACE_PRESSED, REQUESTS, SLOW_RATE, WINDOW,
};

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use bucket::Bucket;
use groundstate_api::Millis;

/// What a client may send each time its turn comes: a quarter of the largest piece, so that turns are short.
const QUANTUM: u64 = 256 << 10;
/// How often slow readers are looked for.
const LOOK: Millis = Millis::secs(1);
/// A client with fewer requests than this in work is let in although the others fill the server, into a quarter of places
/// more: a few that ask for much do not keep out one that asks for little.
const FEW: usize = 4;
/// The shortest time after which a refused client should ask again.
const RETRY_MIN: Millis = Millis::secs(1);
/// The longest: a node that waits longer looks dead to whoever watches it.
const RETRY_MAX: Millis = Millis::secs(30);
/// Over how long the rate of what is taken is measured.
const METER: Millis = Millis::secs(2);
/// A client that waits for its own bytes to be taken, not for a moment.
const WHEN_TAKEN: Millis = Millis(u64::MAX);

/// One request, numbered by the shell; a number is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<K> {
    /// A client asks for something.
    Arrives {
        /// The request.
        ticket: Ticket,
        /// Whose it is.
        client: K,
    },
    /// An admitted request wants its next piece; it asks for one at a time.
    Wants {
        /// The request.
        ticket: Ticket,
        /// The piece's length.
        bytes: u64,
    },
    /// The client's connection has taken so many bytes.
    Taken {
        /// The request.
        ticket: Ticket,
        /// How many.
        bytes: u64,
    },
    /// The request is over, however it ended.
    Ends {
        /// The request.
        ticket: Ticket,
    },
    /// Nothing but time.
    Tick,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer it.
    Admit(Ticket),
    /// Answer 503, and say when to ask again.
    Refuse {
        /// The request; the machine has forgotten it.
        ticket: Ticket,
        /// Why.
        full: Full,
        /// Since when it has been so, without a break.
        since: Millis,
        /// After how long to ask again.
        retry: Millis,
    },
    /// Read this piece and send it.
    Give {
        /// The request.
        ticket: Ticket,
        /// As many bytes as it wanted.
        bytes: u64,
    },
    /// Close its connection: it takes too little.
    CutOff {
        /// The request; the machine has forgotten it.
        ticket: Ticket,
        /// What it has not taken.
        held: u64,
        /// How long it has been so.
        slow_for: Millis,
    },
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Requests in work, of all clients.
    Server,
    /// Requests in work, of this client.
    Client,
}

/// The machine. `K` tells clients apart.
#[derive(Clone, Debug)]
pub struct Admission<K> {
    caps: Caps,
    total: Bucket,
    clients: BTreeMap<K, Client>,
    requests: BTreeMap<Ticket, Request<K>>,
    /// Clients whose turn comes.
    ring: VecDeque<K>,
    /// Whether the first of the ring has had its quantum of this turn.
    visited: bool,
    /// Clients that want bytes and may not have them before that moment.
    parked: BTreeSet<(Millis, K)>,
    /// Bytes given and not yet taken.
    outstanding: u64,
    /// Bytes that admitted requests want and do not have.
    wanted: u64,
    full_since: Option<Millis>,
    look: Option<Millis>,
    meter: Meter,
}

#[derive(Clone, Debug)]
struct Client {
    bucket: Bucket,
    requests: usize,
    outstanding: u64,
    deficit: u64,
    wants: VecDeque<(Ticket, u64)>,
    place: Place,
    full_since: Option<Millis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Idle,
    Ring,
    Parked(Millis),
}

#[derive(Clone, Debug)]
struct Request<K> {
    client: K,
    /// What it wants and has not been given.
    wants: u64,
    /// What it was given and has not taken.
    held: u64,
    held_since: Millis,
}

/// How fast bytes are taken, over the last moments.
#[derive(Clone, Copy, Debug)]
struct Meter {
    began: Millis,
    taken: u64,
    rate: u64,
}

impl Meter {
    fn take(&mut self, now: Millis, bytes: u64) {
        self.taken = self.taken.saturating_add(bytes);
        let past = now.since(self.began);
        if past >= METER {
            self.rate = self.taken.saturating_mul(1000) / past.0.max(1);
            (self.began, self.taken) = (now, 0);
        }
    }
}

impl<K: Clone + Ord> Admission<K> {
    /// A machine with nothing in work.
    #[must_use]
    pub fn new(caps: Caps, now: Millis) -> Self {
        Self {
            total: Bucket::new(caps.total_rate, now),
            caps,
            clients: BTreeMap::new(),
            requests: BTreeMap::new(),
            ring: VecDeque::new(),
            visited: false,
            parked: BTreeSet::new(),
            outstanding: 0,
            wanted: 0,
            full_since: None,
            look: None,
            meter: Meter {
                began: now,
                taken: 0,
                rate: 0,
            },
        }
    }

    /// Requests in work.
    #[must_use]
    pub fn in_work(&self) -> usize {
        self.requests.len()
    }

    /// Bytes that were given and are not yet taken.
    #[must_use]
    pub const fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// When to call [`Admission::handle`] with [`Event::Tick`], if nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        let parked = self.parked.first().map(|(until, _)| *until);
        let parked = parked.filter(|until| *until != WHEN_TAKEN);
        let dry = (!self.ring.is_empty() && self.total.is_dry()).then(|| self.total.ready_at());
        [self.look, parked, dry].into_iter().flatten().min()
    }

    /// Takes an event; what is to be done is appended to `out`.
    pub fn handle(&mut self, now: Millis, event: Event<K>, out: &mut Vec<Action>) {
        match event {
            Event::Arrives { ticket, client } => self.arrives(now, ticket, client, out),
            Event::Wants { ticket, bytes } => self.wants(now, ticket, bytes),
            Event::Taken { ticket, bytes } => self.taken(now, ticket, bytes),
            Event::Ends { ticket } => self.forget(now, ticket),
            Event::Tick => {}
        }
        self.look(now, out);
        self.unpark(now);
        self.give(now, out);
    }

    fn arrives(&mut self, now: Millis, ticket: Ticket, key: K, out: &mut Vec<Action>) {
        let mine = self.clients.get(&key).map_or(0, |client| client.requests);
        let reserve = if mine < FEW {
            self.caps.requests / 4
        } else {
            0
        };
        if self.requests.len() >= self.caps.requests.saturating_add(reserve) {
            let since = *self.full_since.get_or_insert(now);
            let retry = self.retry();
            out.push(Action::Refuse {
                ticket,
                full: Full::Server,
                since,
                retry,
            });
            return;
        }
        self.full_since = None;
        let retry = self.retry();
        let client = self
            .clients
            .entry(key.clone())
            .or_insert_with(|| Client::new(Bucket::new(self.caps.client_rate, now)));
        if client.requests >= self.caps.client_requests {
            let since = *client.full_since.get_or_insert(now);
            out.push(Action::Refuse {
                ticket,
                full: Full::Client,
                since,
                retry,
            });
            return;
        }
        client.full_since = None;
        client.requests += 1;
        let request = Request {
            client: key,
            wants: 0,
            held: 0,
            held_since: now,
        };
        self.requests.insert(ticket, request);
        self.look.get_or_insert(now.plus(LOOK));
        out.push(Action::Admit(ticket));
    }

    /// As long as what is in work takes at the rate of the last moments.
    fn retry(&self) -> Millis {
        let backlog = self.wanted.saturating_add(self.outstanding);
        let rate = self
            .meter
            .rate
            .min(self.caps.total_rate.unwrap_or(u64::MAX));
        let wait = backlog.saturating_mul(1000).checked_div(rate).unwrap_or(0);
        Millis(wait).clamp(RETRY_MIN, RETRY_MAX)
    }

    fn wants(&mut self, _now: Millis, ticket: Ticket, bytes: u64) {
        let Some(request) = self.requests.get_mut(&ticket) else {
            return;
        };
        let Some(client) = self.clients.get_mut(&request.client) else {
            return;
        };
        if request.wants > 0 || bytes == 0 {
            return;
        }
        request.wants = bytes;
        self.wanted += bytes;
        client.wants.push_back((ticket, bytes));
        if client.place == Place::Idle {
            client.place = Place::Ring;
            self.ring.push_back(request.client.clone());
        }
    }

    fn taken(&mut self, now: Millis, ticket: Ticket, bytes: u64) {
        self.meter.take(now, bytes);
        let Some(request) = self.requests.get_mut(&ticket) else {
            return;
        };
        let bytes = bytes.min(request.held);
        request.held -= bytes;
        request.held_since = now;
        let key = request.client.clone();
        self.release(&key, bytes);
    }

    fn release(&mut self, key: &K, bytes: u64) {
        self.outstanding -= bytes;
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.outstanding -= bytes;
        if client.place == Place::Parked(WHEN_TAKEN) {
            self.parked.remove(&(WHEN_TAKEN, key.clone()));
            client.place = Place::Ring;
            self.ring.push_back(key.clone());
        }
    }

    fn forget(&mut self, now: Millis, ticket: Ticket) {
        let Some(request) = self.requests.remove(&ticket) else {
            return;
        };
        self.wanted -= request.wants;
        self.release(&request.client, request.held);
        let Some(client) = self.clients.get_mut(&request.client) else {
            return;
        };
        client.requests -= 1;
        client.wants.retain(|(other, _)| *other != ticket);
        client.bucket.fill(now);
        if client.is_done() {
            self.clients.remove(&request.client);
        }
    }

    fn unpark(&mut self, now: Millis) {
        while let Some((until, _)) = self.parked.first()
            && *until <= now
            && let Some((_, key)) = self.parked.pop_first()
        {
            if let Some(client) = self.clients.get_mut(&key) {
                client.place = Place::Ring;
                self.ring.push_back(key);
            }
        }
    }

    /// Gives pieces, client by client, until a cap or the window says stop.
    fn give(&mut self, now: Millis, out: &mut Vec<Action>) {
        self.total.fill(now);
        while let Some(key) = self.ring.front().cloned() {
            let Some(client) = self.clients.get_mut(&key) else {
                self.leave();
                continue;
            };
            let Some((ticket, bytes)) = client.wants.front().copied() else {
                (client.deficit, client.place) = (0, Place::Idle);
                self.leave();
                continue;
            };
            client.bucket.fill(now);
            if let Some(until) = client.held_up(bytes, &self.caps) {
                // What it has saved up must not grow while it may not spend it.
                client.deficit = client.deficit.min(bytes);
                client.place = Place::Parked(until);
                self.parked.insert((until, key));
                self.leave();
                continue;
            }
            if self.total.is_dry() || beyond(self.outstanding, bytes, self.caps.window) {
                return;
            }
            if !self.visited {
                client.deficit = client.deficit.saturating_add(QUANTUM);
                self.visited = true;
            }
            if client.deficit < bytes {
                self.leave();
                self.ring.push_back(key);
                continue;
            }
            client.deficit -= bytes;
            client.wants.pop_front();
            client.bucket.take(bytes);
            client.outstanding += bytes;
            self.total.take(bytes);
            self.outstanding += bytes;
            self.wanted -= bytes;
            if let Some(request) = self.requests.get_mut(&ticket) {
                if request.held == 0 {
                    request.held_since = now;
                }
                request.held += bytes;
                request.wants = 0;
            }
            out.push(Action::Give { ticket, bytes });
        }
    }

    /// The first of the ring has had its turn.
    fn leave(&mut self) {
        self.ring.pop_front();
        self.visited = false;
    }

    /// Once a second: readers that are too slow, and clients of which nothing is left to remember.
    fn look(&mut self, now: Millis, out: &mut Vec<Action>) {
        if self.look.is_none_or(|look| now < look) {
            return;
        }
        let pressed = self.ring.iter().any(|key| {
            let first = self
                .clients
                .get(key)
                .and_then(|client| client.wants.front());
            first.is_some_and(|(_, bytes)| beyond(self.outstanding, *bytes, self.caps.window))
        });
        let grace = if pressed {
            self.caps.grace_pressed
        } else {
            self.caps.grace
        };
        let allowed = |held: u64| {
            let needs = held.saturating_mul(1000) / self.caps.slow_rate.max(1);
            grace.plus(Millis(needs))
        };
        let slow: Vec<(Ticket, u64, Millis)> = self
            .requests
            .iter()
            .map(|(ticket, request)| (*ticket, request.held, now.since(request.held_since)))
            .filter(|(_, held, past)| *held > 0 && *past > allowed(*held))
            .collect();
        for (ticket, held, slow_for) in slow {
            self.forget(now, ticket);
            out.push(Action::CutOff {
                ticket,
                held,
                slow_for,
            });
        }
        for client in self.clients.values_mut() {
            client.bucket.fill(now);
        }
        self.clients.retain(|_, client| !client.is_done());
        let busy = !self.requests.is_empty() || !self.clients.is_empty();
        self.look = busy.then(|| now.plus(LOOK));
    }
}

impl Client {
    const fn new(bucket: Bucket) -> Self {
        Self {
            bucket,
            requests: 0,
            outstanding: 0,
            deficit: 0,
            wants: VecDeque::new(),
            place: Place::Idle,
            full_since: None,
        }
    }

    /// Until when it may have no piece of that length, for its own sake.
    fn held_up(&self, bytes: u64, caps: &Caps) -> Option<Millis> {
        if self.bucket.is_dry() {
            return Some(self.bucket.ready_at());
        }
        beyond(self.outstanding, bytes, caps.client_window).then_some(WHEN_TAKEN)
    }

    /// Nothing is in work, and its bucket has forgotten what it had: it may be forgotten.
    fn is_done(&self) -> bool {
        self.requests == 0 && self.place == Place::Idle && self.bucket.is_full()
    }
}

/// Whether a piece does not fit. The first one always does, so that no window is too small for one piece.
const fn beyond(outstanding: u64, bytes: u64, window: u64) -> bool {
    outstanding > 0 && outstanding.saturating_add(bytes) > window
}
