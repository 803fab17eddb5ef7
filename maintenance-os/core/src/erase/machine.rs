// SPDX-License-Identifier: Apache-2.0
//! One disk's erase, from the first block that is read to the record that says how it ended.
//!
//! It fails closed. A method that the drive refuses before it began is followed by the next; once one has begun, everything but
//! a proved end is quarantine.

use super::judge::proves;
use super::ladder::{Ladder, Rung};
use super::sample::{BLOCK, Content, Print, Range, plan};
use super::tally::Tally;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::Millis;
use groundstate_api::erase::{
    EraseClass, EraseMethod, EraseOutcome, EraseRecord, NotUsed, ReadsAs,
};

/// Between two questions how far a drive is.
pub const POLL_EVERY: Millis = Millis::secs(1);
/// How long a drive may leave a question without an answer once it is erasing. A reset of its bus takes seconds.
pub const SILENCE_MAX: Millis = Millis::secs(2 * 60);
/// How long reading the sample may take: 2 GiB and 10,000 single blocks of a slow disk take minutes.
pub const READ_MAX: Millis = Millis::secs(60 * 60);
/// How long starting a method may take: the command itself, and a password before it.
pub const START_MAX: Millis = Millis::secs(2 * 60);
/// How many of the drive's words are kept.
const STATUS_MAX: usize = 32;

/// How a start was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The drive has begun.
    Begun(String),
    /// The drive refused, and nothing has begun.
    Refused(String),
    /// Nobody knows whether it has begun: a time-out, a reset.
    Unclear(String),
}

/// How a drive says that it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poll {
    /// It is erasing: how far, of 65,536.
    Running {
        /// How far, where it says so.
        done: Option<u32>,
    },
    /// It says that it is done.
    Done(String),
    /// It says that it failed.
    Failed(String),
    /// It says that no such erase was ever begun.
    Idle(String),
    /// It does not answer.
    NoAnswer(String),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The erase of this disk was ordered.
    Began,
    /// Blocks were read, of the ranges that were asked for.
    Blocks(Vec<Print>),
    /// All ranges were read.
    ReadEnded,
    /// The disk cannot be read any more: it is gone, or does not answer.
    ReadFailed(String),
    /// Witnesses were written and flushed.
    Planted,
    /// They could not be written.
    PlantFailed(String),
    /// The start was answered.
    Started(Start),
    /// The poll was answered.
    Polled(Poll),
    /// What is recognised on the disk now.
    Recognised(Vec<String>),
    /// The deadline has come.
    Timeout,
}

/// What the shell shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read these ranges past every cache, block by block.
    Read(Vec<Range>),
    /// Write a witness of one [`Erase::grain`] to each place, and flush.
    Plant(Vec<u64>),
    /// Start a method.
    Start(EraseMethod),
    /// Ask how it stands.
    Poll(EraseMethod),
    /// Look for signatures.
    Recognise,
    /// It moved: bytes done and in all, and how long it will take.
    Moved {
        /// Bytes done, counting reads and the erase itself.
        done: u64,
        /// Bytes in all.
        total: u64,
        /// What is left, by the drive's own estimate or by what has passed.
        left: Option<Millis>,
    },
    /// It is over; nothing follows.
    Ended(EraseOutcome),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    New,
    ReadingBefore,
    Planting,
    ReadingPlanted,
    Starting(Rung),
    Erasing {
        rung: Rung,
        began: Millis,
        heard: Millis,
        poll: Option<Millis>,
    },
    ReadingAfter(Rung),
    Recognising(Rung),
    Over,
}

/// The disk that is erased, as the record will name it: everything but how it ended.
pub type Disk = EraseRecord;

/// The machine.
#[derive(Clone, Debug)]
pub struct Erase {
    record: Disk,
    level: EraseClass,
    sector: u32,
    grain: u64,
    rungs: alloc::collections::VecDeque<Rung>,
    ranges: Vec<Range>,
    tally: Tally,
    state: State,
    began: Millis,
    wake: Option<Millis>,
    read: u64,
}

impl Erase {
    /// A disk with its ladder. `record` names the disk; its outcome, sample and times are not looked at.
    #[must_use]
    pub fn new(record: Disk, sector: u32, level: EraseClass, ladder: Ladder, seed: u64) -> Self {
        let ranges = plan(record.size.0, seed);
        // A single sector that a changed key leaves as it was hides in a larger block; where zeros must follow, it cannot.
        let changes = |rung: &Rung| rung.method.reads_as() == ReadsAs::Changed;
        let grain = if ladder.rungs.iter().any(changes) {
            u64::from(sector.max(1)).min(BLOCK)
        } else {
            BLOCK
        };
        let blocks = ranges.iter().map(|range| range.length.div_ceil(grain));
        let tally = Tally::new(blocks.sum());
        Self {
            record: Disk {
                not_used: ladder.left_out,
                status: Vec::new(),
                ..record
            },
            level,
            sector,
            grain,
            rungs: ladder.rungs.into(),
            ranges,
            tally,
            state: State::New,
            began: Millis(0),
            wake: None,
            read: 0,
        }
    }

    /// When to call again with [`Event::Timeout`].
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.wake
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// How many bytes are compared at once: what one block of [`Event::Blocks`], and one witness, is long.
    #[must_use]
    pub fn grain(&self) -> u64 {
        self.grain
    }

    /// The record; whole once it is over.
    #[must_use]
    pub fn record(&self) -> &EraseRecord {
        &self.record
    }

    /// Takes one event; appends what shall be done.
    pub fn handle(&mut self, now: Millis, event: Event, out: &mut Vec<Action>) {
        if self.state == State::Over {
            return;
        }
        match event {
            Event::Began => self.begin(now, out),
            Event::Blocks(prints) => self.blocks(&prints, out),
            Event::ReadEnded => self.read_ended(now, out),
            Event::ReadFailed(why) => {
                self.quarantine(now, format!("the disk cannot be read: {why}"), out);
            }
            Event::Planted => self.planted(now, out),
            Event::PlantFailed(why) => {
                let why = format!(
                    "too little is on the disk to witness its erase, and it takes no writes: {why}"
                );
                self.quarantine(now, why, out);
            }
            Event::Started(start) => self.started(now, start, out),
            Event::Polled(poll) => self.polled(now, poll, out),
            Event::Recognised(found) => self.recognised(now, found, out),
            Event::Timeout => self.timeout(now, out),
        }
    }

    fn begin(&mut self, now: Millis, out: &mut Vec<Action>) {
        if self.state != State::New {
            return;
        }
        self.began = now;
        if self.rungs.is_empty() {
            self.no_rung(now, out);
            return;
        }
        self.read(now, State::ReadingBefore, self.ranges.clone(), out);
    }

    fn read(&mut self, now: Millis, state: State, ranges: Vec<Range>, out: &mut Vec<Action>) {
        self.state = state;
        self.wake = Some(now.plus(READ_MAX));
        self.read = 0;
        out.push(Action::Read(ranges));
    }

    fn sampled(&self) -> u64 {
        self.ranges.iter().map(|range| range.length).sum()
    }

    fn moved(&self, before: u64, left: Option<Millis>, out: &mut Vec<Action>) {
        let total = self.sampled() * 2 + self.record.size.0;
        out.push(Action::Moved {
            done: (before + self.read).min(total),
            total,
            left,
        });
    }

    fn blocks(&mut self, prints: &[Print], out: &mut Vec<Action>) {
        self.read += prints.iter().map(|one| u64::from(one.length)).sum::<u64>();
        match self.state {
            State::ReadingBefore => {
                prints.iter().for_each(|print| self.tally.before(print));
                self.moved(0, None, out);
            }
            State::ReadingPlanted => prints.iter().for_each(|print| self.tally.planted(print)),
            State::ReadingAfter(_) => {
                prints.iter().for_each(|print| self.tally.after(print));
                self.moved(self.sampled() + self.record.size.0, None, out);
            }
            State::New
            | State::Planting
            | State::Starting(_)
            | State::Erasing { .. }
            | State::Recognising(_)
            | State::Over => {}
        }
    }

    fn read_ended(&mut self, now: Millis, out: &mut Vec<Action>) {
        match self.state {
            State::ReadingBefore if self.read < self.sampled() => {
                self.quarantine(now, "the sample was not read to its end".to_string(), out);
            }
            State::ReadingBefore => {
                let places = self.tally.places_to_plant();
                if places.is_empty() {
                    self.next_rung(now, out);
                } else {
                    self.state = State::Planting;
                    self.wake = Some(now.plus(READ_MAX));
                    out.push(Action::Plant(places));
                }
            }
            State::ReadingPlanted => self.next_rung(now, out),
            State::ReadingAfter(rung) => {
                self.state = State::Recognising(rung);
                self.wake = Some(now.plus(READ_MAX));
                out.push(Action::Recognise);
            }
            State::New
            | State::Planting
            | State::Starting(_)
            | State::Erasing { .. }
            | State::Recognising(_)
            | State::Over => {}
        }
    }

    fn planted(&mut self, now: Millis, out: &mut Vec<Action>) {
        if self.state != State::Planting {
            return;
        }
        let (size, grain) = (self.record.size.0, self.grain);
        let range = |at: u64| Range {
            start: at,
            length: grain.min(size.saturating_sub(at)),
        };
        let ranges = self.tally.places_to_plant().into_iter().map(range);
        let ranges = ranges.collect();
        self.read(now, State::ReadingPlanted, ranges, out);
    }

    /// Tries the next method, or says that none is left.
    fn next_rung(&mut self, now: Millis, out: &mut Vec<Action>) {
        let Some(rung) = self.rungs.pop_front() else {
            self.no_rung(now, out);
            return;
        };
        if self.tally.witnesses() == 0 {
            let why = "nothing on the disk can witness its erase".to_string();
            self.quarantine(now, why, out);
            return;
        }
        self.state = State::Starting(rung);
        self.wake = Some(now.plus(START_MAX));
        out.push(Action::Start(rung.method));
    }

    fn no_rung(&mut self, now: Millis, out: &mut Vec<Action>) {
        let tried: Vec<String> = self.record.not_used.iter().map(reason).collect();
        let why = format!(
            "no method is left that reaches {}: {}",
            self.level,
            tried.join("; ")
        );
        self.quarantine(now, why, out);
    }

    fn started(&mut self, now: Millis, start: Start, out: &mut Vec<Action>) {
        let State::Starting(rung) = self.state else {
            return;
        };
        match start {
            Start::Refused(why) => {
                self.say(&format!("{}: refused: {why}", rung.method));
                self.record.not_used.push(NotUsed {
                    method: rung.method,
                    why: format!("the drive refused it: {why}"),
                });
                self.next_rung(now, out);
            }
            Start::Unclear(why) => {
                self.say(&format!("{}: {why}", rung.method));
                let why = format!("nobody knows whether {} began: {why}", rung.method);
                self.quarantine(now, why, out);
            }
            Start::Begun(says) => {
                self.say(&format!("{}: {says}", rung.method));
                self.state = State::Erasing {
                    rung,
                    began: now,
                    heard: now,
                    poll: Some(now.plus(POLL_EVERY)),
                };
                self.set_wake();
                self.read = 0;
                self.moved(self.sampled(), rung.estimate, out);
            }
        }
    }

    /// The next of: a question, the end of silence, the end of patience.
    fn set_wake(&mut self) {
        if let State::Erasing {
            rung,
            began,
            heard,
            poll,
        } = self.state
        {
            let end = began.plus(rung.limit).min(heard.plus(SILENCE_MAX));
            self.wake = Some(poll.map_or(end, |poll| poll.min(end)));
        }
    }

    fn polled(&mut self, now: Millis, poll: Poll, out: &mut Vec<Action>) {
        let State::Erasing {
            rung, began, heard, ..
        } = self.state
        else {
            return;
        };
        let method = rung.method;
        match poll {
            Poll::Running { done } => {
                self.state = State::Erasing {
                    rung,
                    began,
                    heard: now,
                    poll: Some(now.plus(POLL_EVERY)),
                };
                self.set_wake();
                let passed = now.since(began);
                let size = self.record.size.0;
                let (bytes, left) = progress(size, rung, passed, done);
                self.moved(self.sampled() + bytes, left, out);
            }
            Poll::NoAnswer(why) => {
                self.say(&format!("{method}: no answer: {why}"));
                self.state = State::Erasing {
                    rung,
                    began,
                    heard,
                    poll: Some(now.plus(POLL_EVERY)),
                };
                self.set_wake();
            }
            Poll::Done(says) => {
                self.say(&format!("{method}: {says}"));
                self.read(now, State::ReadingAfter(rung), self.ranges.clone(), out);
            }
            Poll::Failed(says) => {
                self.say(&format!("{method}: {says}"));
                let why = format!("the drive says that {method} failed: {says}");
                self.quarantine(now, why, out);
            }
            Poll::Idle(says) => {
                self.say(&format!("{method}: {says}"));
                let why = format!("{method} began, and the drive says that it never did: {says}");
                self.quarantine(now, why, out);
            }
        }
    }

    fn recognised(&mut self, now: Millis, found: Vec<String>, out: &mut Vec<Action>) {
        let State::Recognising(rung) = self.state else {
            return;
        };
        self.record.sample.recognised = found;
        let class = rung.method.class(self.record.rotational);
        let method = rung.method;
        let outcome = EraseOutcome::Erased { method, class };
        self.finish(now, outcome);
        if let Err(why) = proves(&self.record, self.level) {
            self.record.outcome = EraseOutcome::Quarantine {
                method: Some(method),
                why,
            };
        }
        out.push(Action::Ended(self.record.outcome.clone()));
    }

    fn timeout(&mut self, now: Millis, out: &mut Vec<Action>) {
        if self.wake.is_none_or(|wake| now < wake) {
            return;
        }
        self.wake = None;
        let over = |what: &str, after: Millis| format!("{what} did not end in {after}");
        match self.state {
            State::New | State::Over => {}
            State::ReadingBefore | State::ReadingPlanted | State::ReadingAfter(_) => {
                self.quarantine(now, over("reading the sample", READ_MAX), out);
            }
            State::Planting => self.quarantine(now, over("writing witnesses", READ_MAX), out),
            State::Recognising(_) => {
                self.quarantine(now, over("looking for signatures", READ_MAX), out);
            }
            State::Starting(rung) => {
                let what = format!("starting {}", rung.method);
                self.quarantine(now, over(&what, START_MAX), out);
            }
            State::Erasing {
                rung,
                began,
                heard,
                poll,
            } => {
                if now >= began.plus(rung.limit) {
                    self.quarantine(now, over(rung.method.as_str(), rung.limit), out);
                } else if now >= heard.plus(SILENCE_MAX) {
                    let why = format!("the drive has not answered for {SILENCE_MAX}");
                    self.quarantine(now, why, out);
                } else {
                    let asks = poll.is_some_and(|poll| now >= poll);
                    self.state = State::Erasing {
                        rung,
                        began,
                        heard,
                        poll: poll.filter(|_| !asks),
                    };
                    if asks {
                        out.push(Action::Poll(rung.method));
                    }
                    self.set_wake();
                }
            }
        }
    }

    fn say(&mut self, what: &str) {
        if self.record.status.len() < STATUS_MAX {
            self.record.status.push(what.to_string());
        }
    }

    fn finish(&mut self, now: Millis, outcome: EraseOutcome) {
        let recognised = core::mem::take(&mut self.record.sample.recognised);
        self.record.sample = self
            .tally
            .sample(&self.ranges, self.record.size, self.sector);
        self.record.sample.recognised = recognised;
        self.record.took = now.since(self.began);
        self.record.outcome = outcome;
        self.state = State::Over;
        self.wake = None;
    }

    fn quarantine(&mut self, now: Millis, why: String, out: &mut Vec<Action>) {
        let method = match self.state {
            State::Starting(rung)
            | State::Erasing { rung, .. }
            | State::ReadingAfter(rung)
            | State::Recognising(rung) => Some(rung.method),
            State::New
            | State::ReadingBefore
            | State::Planting
            | State::ReadingPlanted
            | State::Over => None,
        };
        self.finish(now, EraseOutcome::Quarantine { method, why });
        out.push(Action::Ended(self.record.outcome.clone()));
    }
}

fn reason(not_used: &NotUsed) -> String {
    format!("{}: {}", not_used.method, not_used.why)
}

/// How many bytes of the erase itself count as done, and what is left of it.
fn progress(size: u64, rung: Rung, passed: Millis, done: Option<u32>) -> (u64, Option<Millis>) {
    let share = |part: u128, of: u128, whole: u64| {
        u64::try_from(u128::from(whole) * part.min(of) / of.max(1)).unwrap_or(whole)
    };
    match (done, rung.estimate) {
        (Some(done), _) => {
            let left = (done > 0).then(|| {
                let rest = u64::from(65_536u32.saturating_sub(done));
                Millis(passed.0.saturating_mul(rest) / u64::from(done))
            });
            (share(u128::from(done), 65_536, size), left)
        }
        (None, Some(estimate)) => (
            share(u128::from(passed.0), u128::from(estimate.0), size),
            Some(estimate.since(passed)),
        ),
        (None, None) => (0, None),
    }
}

/// What a block that was read says of an erase; for the shell, which reads them.
#[must_use]
pub fn print(at: u64, bytes: Option<&[u8]>, length: u32, seed: u64) -> Print {
    let content = bytes.map_or(Content::Unreadable, |bytes| Content::of(bytes, seed));
    Print {
        at,
        length,
        content,
    }
}
