// SPDX-License-Identifier: Apache-2.0
//! The way of an image from the server to the disk, in order and within bounds, whatever the network does.
//!
//! It moves no byte itself. One who acts fetches, proves (see [`crate::proof`]) and writes as the actions say, and
//! reports each as an event. Nothing is written past the first chunk that is not proved.

use crate::limits::{CORRUPT_REFETCHES_MAX, WIRE_MAX, flight};
use crate::manifest::title;
use crate::patience::Patience;
use crate::proof::{Corrupt, chunk_reason};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::image::{Chunk, Manifest};
use groundstate_api::{Bytes, Millis, Reason};

/// One image on its way. Moments are milliseconds of a clock that never runs backwards.
#[derive(Clone, Debug)]
pub struct Fetch {
    image: String,
    size: Bytes,
    chunks: Vec<Chunk>,
    flight_max: usize,
    patience: Patience,
    /// The chunks between the question and the disk, by rising index.
    flight: VecDeque<Slot>,
    /// The first chunk that was never asked for.
    next: usize,
    /// Up to here writes were asked for.
    asked: Bytes,
    /// Up to here the disk has it.
    done: Bytes,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Moving,
    Flushing,
    Ended,
}

#[derive(Clone, Debug)]
struct Slot {
    index: usize,
    corrupt: u32,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// To be asked for.
    Wanted,
    /// Asked for.
    OnWire,
    /// Here, being proved.
    Here,
    /// Proved.
    Proved,
    /// The disk was asked to take it.
    Writing,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Begin.
    Start,
    /// A chunk's stored bytes came whole.
    Fetched {
        /// Which chunk.
        chunk: usize,
    },
    /// A chunk's bytes are what the manifest says; they are held until they are written.
    Proved {
        /// Which chunk.
        chunk: usize,
    },
    /// A chunk's bytes are not what the manifest says; they are dropped.
    Corrupt {
        /// Which chunk.
        chunk: usize,
        /// How they differ.
        fault: Corrupt,
    },
    /// The server did not give a chunk: the network or the server failed.
    Away {
        /// Which chunk.
        chunk: usize,
        /// What the network said.
        said: String,
    },
    /// The disk has everything before `to`.
    Wrote {
        /// The first byte that it does not have.
        to: Bytes,
    },
    /// The disk has everything for good.
    Flushed,
    /// The server refused, or the disk failed: it cannot go on.
    Stopped {
        /// Why.
        reason: Reason,
    },
    /// The deadline has come.
    Timeout,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fetch a chunk's stored bytes and prove them.
    Get {
        /// Which chunk.
        chunk: usize,
    },
    /// Write zeros; report [`Event::Wrote`].
    Zero {
        /// First byte.
        from: Bytes,
        /// First byte after them.
        to: Bytes,
    },
    /// Write a proved chunk; report [`Event::Wrote`].
    Write {
        /// Which chunk.
        chunk: usize,
    },
    /// Make it durable; report [`Event::Flushed`].
    Flush,
    /// The disk has so much of the image.
    Progress {
        /// Bytes, zero runs included.
        done: Bytes,
        /// The image's size.
        total: Bytes,
    },
    /// The server is away.
    Wait(Reason),
    /// The server is back.
    GoOn,
    /// All of it is on the disk.
    Done,
    /// It cannot go on.
    Fail(Reason),
}

impl Fetch {
    /// `manifest` has come out of [`crate::manifest::parse`]; `seed` is entropy for the pauses.
    #[must_use]
    pub fn new(manifest: &Manifest, seed: u64) -> Self {
        Self {
            image: title(manifest),
            size: manifest.size,
            chunks: manifest.chunks.clone(),
            flight_max: flight(manifest.chunk_size),
            patience: Patience::new(seed),
            flight: VecDeque::new(),
            next: 0,
            asked: Bytes(0),
            done: Bytes(0),
            state: State::New,
        }
    }

    /// When to call [`Fetch::handle`] with [`Event::Timeout`].
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        match self.state {
            State::Moving => self.patience.until(),
            State::New | State::Flushing | State::Ended => None,
        }
    }

    /// Takes one event and appends what to do, in the order in which to do it.
    pub fn handle(&mut self, now: Millis, event: Event, out: &mut Vec<Action>) {
        if self.state == State::Ended {
            return;
        }
        match event {
            Event::Start => self.state = State::Moving,
            Event::Fetched { chunk } => {
                self.put(chunk, Place::Here);
                if self.patience.back() {
                    out.push(Action::GoOn);
                }
            }
            Event::Proved { chunk } => self.put(chunk, Place::Proved),
            Event::Corrupt { chunk, fault } => self.corrupt(chunk, &fault, out),
            Event::Away { chunk, said } => self.away(now, chunk, &said, out),
            Event::Wrote { to } => self.wrote(to, out),
            Event::Flushed => {
                self.state = State::Ended;
                out.push(Action::Done);
            }
            Event::Stopped { reason } => self.fail(reason, out),
            Event::Timeout => {
                if self.patience.until().is_some_and(|until| now >= until) {
                    self.patience.ask();
                    self.probe(out);
                }
            }
        }
        if self.state == State::Moving {
            self.ask(out);
            self.write(out);
        }
    }

    fn put(&mut self, chunk: usize, place: Place) {
        if let Some(slot) = self.flight.iter_mut().find(|slot| slot.index == chunk) {
            slot.place = place;
        }
    }

    fn corrupt(&mut self, chunk: usize, fault: &Corrupt, out: &mut Vec<Action>) {
        let Some(slot) = self.flight.iter_mut().find(|slot| slot.index == chunk) else {
            return;
        };
        // Too few bytes are noticed on the wire; then the server did answer.
        let answered = slot.place == Place::OnWire;
        slot.place = Place::Wanted;
        slot.corrupt += 1;
        if answered && self.patience.back() {
            out.push(Action::GoOn);
        }
        if slot.corrupt > CORRUPT_REFETCHES_MAX {
            let times = slot.corrupt;
            if let Some(chunk) = self.chunks.get(chunk) {
                let reason = chunk_reason(&self.image, chunk, fault)
                    .seen(format!("fetched {times} times, each time corrupt"))
                    .seen(format!("nothing was written from byte {} on", self.asked.0));
                self.fail(reason, out);
            }
        }
    }

    /// Only the first fault of a pause counts; a second question that was under way fails with it.
    fn away(&mut self, now: Millis, chunk: usize, said: &str, out: &mut Vec<Action>) {
        self.put(chunk, Place::Wanted);
        if self.patience.until().is_none() {
            let want = format!(
                "{} from byte {} of {} on",
                self.image, self.asked.0, self.size.0
            );
            out.push(Action::Wait(self.patience.away(now, &want, said)));
        }
    }

    fn wrote(&mut self, to: Bytes, out: &mut Vec<Action>) {
        self.done = to;
        out.push(Action::Progress {
            done: to,
            total: self.size,
        });
        while let Some(slot) = self.flight.front() {
            let end = self
                .chunks
                .get(slot.index)
                .map_or(u64::MAX, |chunk| chunk.offset.0 + chunk.length.0);
            if slot.place != Place::Writing || end > to.0 {
                break;
            }
            self.flight.pop_front();
        }
        if to == self.size && self.state == State::Moving {
            self.state = State::Flushing;
            out.push(Action::Flush);
        }
    }

    fn fail(&mut self, reason: Reason, out: &mut Vec<Action>) {
        self.state = State::Ended;
        out.push(Action::Fail(reason));
    }

    /// After a pause one question goes out; the others follow when it is answered.
    fn probe(&mut self, out: &mut Vec<Action>) {
        if let Some(slot) = self
            .flight
            .iter_mut()
            .find(|slot| slot.place == Place::Wanted)
        {
            slot.place = Place::OnWire;
            out.push(Action::Get { chunk: slot.index });
        }
    }

    fn ask(&mut self, out: &mut Vec<Action>) {
        if self.patience.is_away() {
            return;
        }
        while self.flight.len() < self.flight_max && self.next < self.chunks.len() {
            self.flight.push_back(Slot {
                index: self.next,
                corrupt: 0,
                place: Place::Wanted,
            });
            self.next += 1;
        }
        let mut on_wire = self
            .flight
            .iter()
            .filter(|slot| slot.place == Place::OnWire)
            .count();
        for slot in &mut self.flight {
            if on_wire == WIRE_MAX {
                break;
            }
            if slot.place == Place::Wanted {
                slot.place = Place::OnWire;
                on_wire += 1;
                out.push(Action::Get { chunk: slot.index });
            }
        }
    }

    fn write(&mut self, out: &mut Vec<Action>) {
        for slot in &mut self.flight {
            let Some(chunk) = self.chunks.get(slot.index) else {
                return;
            };
            // A gap may be cleared while the chunk after it is still on its way.
            if chunk.offset > self.asked {
                out.push(Action::Zero {
                    from: self.asked,
                    to: chunk.offset,
                });
                self.asked = chunk.offset;
            }
            match slot.place {
                Place::Writing => {}
                Place::Proved => {
                    slot.place = Place::Writing;
                    out.push(Action::Write { chunk: slot.index });
                    self.asked = Bytes(chunk.offset.0 + chunk.length.0);
                }
                Place::Wanted | Place::OnWire | Place::Here => return,
            }
        }
        if self.next == self.chunks.len() && self.asked < self.size {
            out.push(Action::Zero {
                from: self.asked,
                to: self.size,
            });
            self.asked = self.size;
        }
    }
}
