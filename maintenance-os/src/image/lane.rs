// SPDX-License-Identifier: Apache-2.0
//! A thread that brings spans from one source: from a server by questions that do not wait for one another's answers, from
//! this machine by reading.
//!
//! It decides nothing: whatever goes wrong is told, and what came whole before is handed over.

use super::ask::{PROBLEM_MAX, continues, path, problem, tag};
use super::buffer::Pool;
use super::connection::{Connection, Head};
use super::source::{ChunkSource, Place, Source};
use super::trouble::lasting;
use groundstate_api::image::Chunk;
use groundstate_api::{Bytes, Reason, ReasonCode, paths};
use image_core::answer::{Answer, judge};
use image_core::deploy::Chunks;
use image_core::proof::Corrupt;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};

/// The most broken-off chunks that are kept for the next question.
const PARTS_MAX: usize = 16;

/// A chunk that is asked for.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) index: usize,
    pub(super) bit: Chunks,
    pub(super) chunk: Chunk,
}

/// What a lane is asked for: chunks of a span.
pub(super) struct Wanted {
    pub(super) span: usize,
    pub(super) rows: Vec<Row>,
}

/// What a lane is told.
pub(super) enum Errand {
    /// Bring these.
    Bring(Wanted),
    /// It was heard that what it was told before is lost: what it is told from here on is new.
    Heard,
}

/// What a lane brought.
pub(super) struct Parcel {
    pub(super) lane: usize,
    pub(super) span: usize,
    pub(super) chunks: Chunks,
    /// Each chunk with its place in the bytes.
    pub(super) rows: Vec<(Row, usize, usize)>,
    pub(super) bytes: Vec<u8>,
    /// Chunks that came with another length than they have.
    pub(super) bad: Vec<(usize, Corrupt)>,
}

/// What a lane tells.
pub(super) enum News {
    Arrived(Parcel),
    Lost {
        lane: usize,
        said: String,
    },
    Refused {
        lane: usize,
        chunk: usize,
        lacks: bool,
        reason: Reason,
    },
}

/// What the lanes of a deploy share.
pub(super) struct Shared {
    /// The image, for people.
    pub(super) title: String,
    pub(super) pool: Arc<Pool>,
    /// What came of chunks before a connection broke; the next question asks for the rest.
    pub(super) parts: Mutex<BTreeMap<usize, Vec<u8>>>,
}

/// What breaks a lane's connection off.
pub(super) type Breaker = Arc<Mutex<Option<TcpStream>>>;

/// A lane, from its own side.
pub(super) struct Lane<Tell> {
    pub(super) lane: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) received: Arc<AtomicU64>,
    pub(super) breaker: Breaker,
    pub(super) tell: Tell,
}

/// What is under way for one span.
struct Job {
    rows: VecDeque<Row>,
    parcel: Parcel,
    /// So many of the rows were asked for on this connection.
    asked: usize,
}

/// Why a lane stops with what is under way.
enum Stop {
    /// The connection or the server failed.
    Lost(String),
    /// It will be the same next time.
    Refused { chunk: usize, reason: Reason },
    /// Nobody listens.
    Over,
}

impl<Tell: Fn(News) -> bool> Lane<Tell> {
    /// Brings what `orders` asks for until it is closed.
    pub(super) fn run(mut self, place: &Place, orders: &Receiver<Errand>) {
        match place {
            Place::Http(source) => self.bring_from(source, orders),
            Place::Local(chunks) => self.bring_local(chunks.as_ref(), orders),
        }
    }

    fn job(&self, wanted: Wanted) -> Job {
        let stored = wanted
            .rows
            .iter()
            .map(|row| row.chunk.stored_length.0)
            .sum::<u64>();
        let length = usize::try_from(stored).unwrap_or(0);
        Job {
            parcel: Parcel {
                lane: self.lane,
                span: wanted.span,
                chunks: 0,
                rows: Vec::with_capacity(wanted.rows.len()),
                bytes: self.shared.pool.stored(length),
                bad: Vec::new(),
            },
            rows: wanted.rows.into(),
            asked: 0,
        }
    }

    fn bring_local(&mut self, chunks: &dyn ChunkSource, orders: &Receiver<Errand>) {
        'orders: for errand in orders {
            let Errand::Bring(wanted) = errand else {
                continue;
            };
            let mut job = self.job(wanted);
            while let Some(row) = job.rows.pop_front() {
                let start = job.parcel.bytes.len();
                match chunks.stored(&row.chunk, &mut job.parcel.bytes) {
                    Ok(()) => {
                        let came = job.parcel.bytes.len() - start;
                        self.received.fetch_add(came as u64, Ordering::Relaxed);
                        job.parcel.take(row, start);
                    }
                    Err(error) => {
                        job.parcel.bytes.truncate(start);
                        if error.kind() != io::ErrorKind::NotFound {
                            let lost = Stop::Lost(error.to_string());
                            if self.stopped(lost, &mut VecDeque::from([job]), orders) {
                                continue 'orders;
                            }
                            return;
                        }
                        let heard = (self.tell)(News::Refused {
                            lane: self.lane,
                            chunk: row.index,
                            lacks: true,
                            reason: missing(&self.what(&row), &row.chunk, &error),
                        });
                        if !heard {
                            return;
                        }
                    }
                }
            }
            if !(self.tell)(News::Arrived(job.parcel)) {
                return;
            }
        }
    }

    fn bring_from(&mut self, source: &Source, orders: &Receiver<Errand>) {
        let mut jobs: VecDeque<Job> = VecDeque::new();
        let mut open: Option<Connection> = None;
        loop {
            if jobs.is_empty() {
                match orders.recv() {
                    Ok(Errand::Bring(wanted)) => jobs.push_back(self.job(wanted)),
                    Ok(Errand::Heard) => continue,
                    Err(_) => return,
                }
            }
            let stop = self.serve(source, &mut open, &mut jobs, orders);
            self.set_breaker(None);
            open = None;
            if !self.stopped(stop, &mut jobs, orders) {
                return;
            }
        }
    }

    /// Tells why it stopped; what was asked for until that is heard is not coming, and somebody else may be asked for it.
    fn stopped(&mut self, stop: Stop, jobs: &mut VecDeque<Job>, orders: &Receiver<Errand>) -> bool {
        let mut told = true;
        for mut job in std::mem::take(jobs) {
            if job.parcel.chunks == 0 {
                self.shared
                    .pool
                    .stored_back(std::mem::take(&mut job.parcel.bytes));
            } else {
                told &= (self.tell)(News::Arrived(job.parcel));
            }
        }
        let lane = self.lane;
        let told = told
            && match stop {
                Stop::Over => false,
                Stop::Lost(said) => (self.tell)(News::Lost { lane, said }),
                Stop::Refused { chunk, reason } => {
                    (self.tell)(News::Refused {
                        lane,
                        chunk,
                        lacks: false,
                        reason,
                    }) && (self.tell)(News::Lost {
                        lane,
                        said: "it refuses".to_owned(),
                    })
                }
            };
        told && orders.iter().any(|errand| matches!(errand, Errand::Heard))
    }

    /// Asks and takes answers until something goes wrong.
    fn serve(
        &mut self,
        source: &Source,
        open: &mut Option<Connection>,
        jobs: &mut VecDeque<Job>,
        orders: &Receiver<Errand>,
    ) -> Stop {
        let mut answers = 0u64;
        loop {
            // Everything that is wanted by now is asked for before the next answer is read.
            loop {
                match orders.try_recv() {
                    Ok(Errand::Bring(wanted)) => jobs.push_back(self.job(wanted)),
                    Ok(Errand::Heard) => {}
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Stop::Over,
                }
            }
            if jobs.is_empty() {
                match orders.recv() {
                    Ok(Errand::Bring(wanted)) => jobs.push_back(self.job(wanted)),
                    Ok(Errand::Heard) => continue,
                    Err(_) => return Stop::Over,
                }
            }
            let first = jobs.front().and_then(|job| job.rows.front()).copied();
            let Some(row) = first else {
                // A span without rows is whole.
                if self.deliver(jobs) {
                    continue;
                }
                return Stop::Over;
            };
            let failed = |lane: &Self, error: &io::Error| lane.failed(&row, error);
            let connection = match open {
                Some(connection) => connection,
                None => match self.connect(source) {
                    Ok(connection) => {
                        answers = 0;
                        jobs.iter_mut().for_each(|job| job.asked = 0);
                        open.insert(connection)
                    }
                    Err(error) => return failed(self, &error),
                },
            };
            let asked = self.ask(connection, jobs);
            let head = asked.and_then(|()| connection.head());
            let head = match head {
                Ok(head) => head,
                // A connection that was idle may have been closed; that is no fault.
                Err(error) if answers > 0 && is_end(&error) => {
                    *open = None;
                    continue;
                }
                Err(error) => return failed(self, &error),
            };
            let is_in_step = match self.answer(connection, &head, jobs, &row) {
                Ok(is_in_step) => is_in_step,
                Err(stop) => return stop,
            };
            answers += 1;
            if !head.keeps || !is_in_step {
                *open = None;
            }
            if jobs.front().is_some_and(|job| job.rows.is_empty()) && !self.deliver(jobs) {
                return Stop::Over;
            }
        }
    }

    fn deliver(&mut self, jobs: &mut VecDeque<Job>) -> bool {
        let job = jobs.pop_front();
        job.is_none_or(|job| (self.tell)(News::Arrived(job.parcel)))
    }

    fn connect(&self, source: &Source) -> io::Result<Connection> {
        let connection = Connection::open(source, Arc::clone(&self.received))?;
        self.set_breaker(Some(connection.breaker()?));
        Ok(connection)
    }

    fn set_breaker(&self, stream: Option<TcpStream>) {
        *self.breaker.lock().unwrap_or_else(PoisonError::into_inner) = stream;
    }

    /// Sends the questions that were not sent on this connection.
    fn ask(&self, connection: &mut Connection, jobs: &mut VecDeque<Job>) -> io::Result<()> {
        let mut text = String::new();
        for job in jobs {
            for row in job.rows.iter().skip(job.asked) {
                let parts = self
                    .shared
                    .parts
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let from = parts.get(&row.index).map_or(0, Vec::len) as u64;
                drop(parts);
                let tag = tag(&row.chunk.digest);
                let rest = (from > 0).then_some((from, tag.as_str()));
                connection.question(&path(paths::CHUNK, &row.chunk.digest), rest, &mut text);
            }
            job.asked = job.rows.len();
        }
        if text.is_empty() {
            return Ok(());
        }
        connection.send(&text)
    }

    /// Takes the answer to the first question that is open, and tells whether the next one follows.
    fn answer(
        &self,
        connection: &mut Connection,
        head: &Head,
        jobs: &mut VecDeque<Job>,
        row: &Row,
    ) -> Result<bool, Stop> {
        let part = self.take_part(row.index);
        let from = part.as_ref().map_or(0, Vec::len) as u64;
        let Some(job) = jobs.front_mut() else {
            return Ok(false);
        };
        job.rows.pop_front();
        job.asked = job.asked.saturating_sub(1);
        let what = self.what(row);
        let problem = problem(connection, head);
        let start = job.parcel.bytes.len();
        match judge(
            head.status,
            from,
            &what,
            &row.chunk.digest,
            problem.as_ref(),
        ) {
            Answer::Whole => {}
            Answer::Rest if continues(head, from) => {
                job.parcel
                    .bytes
                    .extend_from_slice(&part.unwrap_or_default());
            }
            Answer::Rest => {
                return Err(Stop::Lost(format!(
                    "asked for bytes from {from}, got {:?}",
                    head.range
                )));
            }
            Answer::Away(said) => {
                if let Some(part) = part {
                    self.keep_part(row.index, part);
                }
                return Err(Stop::Lost(said));
            }
            Answer::Refused(reason) => return self.refused(head, row, reason),
        }
        let have = job.parcel.bytes.len() - start;
        let found = (have as u64).saturating_add(head.length);
        let expected = row.chunk.stored_length;
        if found != expected.0 {
            job.parcel.bytes.truncate(start);
            let found = Bytes(found);
            job.parcel.chunks |= row.bit;
            job.parcel
                .bad
                .push((row.index, Corrupt::StoredLength { expected, found }));
            return Ok(false);
        }
        self.body(connection, head.length, &mut job.parcel, start, row)?;
        job.parcel.take(*row, start);
        Ok(true)
    }

    /// Reads a body behind what stands in the parcel.
    fn body(
        &self,
        connection: &mut Connection,
        length: u64,
        parcel: &mut Parcel,
        start: usize,
        row: &Row,
    ) -> Result<(), Stop> {
        let mut at = parcel.bytes.len();
        let end = at + usize::try_from(length).unwrap_or(0);
        parcel.bytes.resize(end, 0);
        while at < end {
            match connection.body(&mut parcel.bytes[at..end]) {
                Ok(count) => at += count,
                Err(error) => {
                    if at > start {
                        self.keep_part(row.index, parcel.bytes[start..at].to_vec());
                    }
                    parcel.bytes.truncate(start);
                    return Err(self.failed(row, &error));
                }
            }
        }
        Ok(())
    }

    fn refused(&self, head: &Head, row: &Row, reason: Reason) -> Result<bool, Stop> {
        if !matches!(head.status, 404 | 410) {
            return Err(Stop::Refused {
                chunk: row.index,
                reason,
            });
        }
        let heard = (self.tell)(News::Refused {
            lane: self.lane,
            chunk: row.index,
            lacks: true,
            reason,
        });
        if heard {
            Ok(head.length <= PROBLEM_MAX)
        } else {
            Err(Stop::Over)
        }
    }

    fn failed(&self, row: &Row, error: &io::Error) -> Stop {
        match lasting(error, &self.what(row)) {
            Some(reason) => Stop::Refused {
                chunk: row.index,
                reason,
            },
            None => Stop::Lost(error.to_string()),
        }
    }

    fn what(&self, row: &Row) -> String {
        format!("{} at byte {}", self.shared.title, row.chunk.offset.0)
    }

    fn take_part(&self, index: usize) -> Option<Vec<u8>> {
        let mut parts = self
            .shared
            .parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        parts.remove(&index)
    }

    fn keep_part(&self, index: usize, bytes: Vec<u8>) {
        let mut parts = self
            .shared
            .parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if parts.len() < PARTS_MAX {
            parts.insert(index, bytes);
        }
    }
}

impl Parcel {
    /// What stands behind `start` is this chunk.
    fn take(&mut self, row: Row, start: usize) {
        self.chunks |= row.bit;
        self.rows.push((row, start, self.bytes.len() - start));
    }
}

/// Breaks a lane's connection off, where there is one.
pub(super) fn break_off(breaker: &Breaker) {
    let stream = breaker.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stream) = stream.as_ref() {
        // One that is closed already is closed.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn missing(what: &str, chunk: &Chunk, error: &io::Error) -> Reason {
    Reason::new(
        ReasonCode::ImageMissing,
        format!("{what} is not in the repository"),
        "import the image again, then order the run anew",
    )
    .about(groundstate_api::Part::Image {
        image: what.to_owned(),
        digest: Some(chunk.digest.to_string()),
    })
    .seen(error.to_string())
}

/// A sender of news that says whether anybody listens.
pub(super) fn teller<M: Send + 'static>(
    tell: Sender<M>,
    wrap: fn(News) -> M,
) -> impl Fn(News) -> bool + Send + 'static {
    move |news| tell.send(wrap(news)).is_ok()
}
