// SPDX-License-Identifier: Apache-2.0
//! The few threads that touch the target. They alone wait for the disk; who gives them orders waits no longer than a disk
//! may take.
//!
//! Buffers go over with an order and come back with its answer. Of a disk that does not answer the threads are left behind,
//! with one buffer each at most.

use super::blocks::{Scratch, clear, is_clear, write_pieces};
use super::buffer::Aligned;
use crate::medium::{self, Access, Medium};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// A part of a buffer and its place on the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where in the buffer.
    pub(super) start: usize,
    /// How long.
    pub(super) length: usize,
    /// Where on the target.
    pub(super) at: u64,
}

/// What is to be done.
pub(super) enum Order {
    /// Write these pieces of the buffer; where told, only the blocks that differ from what stands there.
    Write(Aligned, Vec<Piece>, bool),
    /// Read these pieces into the buffer.
    Read(Aligned, Vec<Piece>),
    /// See whether it reads as zero from there to there.
    Look(u64, u64),
    /// Make it read as zero from there to there; where told, only the blocks that do not.
    Clear(u64, u64, bool),
    /// Wait until the disk has everything, its own cache flushed.
    Flush,
    /// Make sure that what is read next comes from the disk.
    Forget,
}

/// What an order brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// Bytes that were written.
    pub(super) written: u64,
    /// What was looked at reads as zero.
    pub(super) is_clear: bool,
}

/// How an order ended.
pub(super) struct Answer {
    pub(super) buffer: Option<Aligned>,
    pub(super) done: io::Result<Effect>,
}

/// What the medium is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) size: u64,
    pub(super) sector: Option<u32>,
    pub(super) is_direct: bool,
    pub(super) is_turning: bool,
}

/// Why an order was not carried out.
pub(super) enum Trouble {
    /// The kernel refused or the disk failed.
    Io(io::Error),
    /// The disk did not answer in time.
    Silent(Duration),
}

/// The threads, seen from the one that gives orders.
pub(super) struct Hand {
    /// None where nobody listens any more.
    orders: Option<Sender<(u64, Order)>>,
    closed: Receiver<()>,
    /// Orders that nobody began with are forgotten.
    is_over: Arc<AtomicBool>,
    patience: Duration,
}

impl Hand {
    /// Opens the medium for `threads` orders at a time; `tell` gets each order's number and answer. `Trouble` says whether
    /// it was opening or measuring that failed.
    pub(super) fn open(
        path: &Path,
        access: Access,
        patience: Duration,
        threads: usize,
        tell: impl Fn(u64, Answer) + Clone + Send + 'static,
    ) -> Result<(Self, Measured), (&'static str, Trouble)> {
        let (orders, ordered) = channel();
        let (tell_measured, measured) = channel();
        let (end, closed) = channel();
        let path = path.to_path_buf();
        let ordered = Arc::new(Mutex::new(ordered));
        let is_over: Arc<AtomicBool> = Arc::default();
        let over = Arc::clone(&is_over);
        thread::spawn(move || {
            let opened = medium::open(&path, access).map_err(|error| ("opened", error));
            let opened = opened.and_then(|medium| {
                let measured = measure(medium.as_ref()).map_err(|error| ("measured", error))?;
                Ok((medium, measured))
            });
            match opened {
                Ok((medium, measured)) => {
                    let medium: Arc<dyn Medium> = Arc::from(medium);
                    if tell_measured.send(Ok(measured)).is_err() {
                        return;
                    }
                    for _ in 1..threads.max(1) {
                        let (medium, ordered) = (Arc::clone(&medium), Arc::clone(&ordered));
                        let (tell, end, over) = (tell.clone(), end.clone(), Arc::clone(&over));
                        thread::spawn(move || obey(medium, &ordered, &over, tell, end));
                    }
                    obey(medium, &ordered, &over, tell, end);
                }
                // Nobody listens any more where it took too long.
                Err(error) => drop(tell_measured.send(Err(error))),
            }
        });
        match measured.recv_timeout(patience) {
            Ok(Ok(measured)) => {
                let hand = Self {
                    orders: Some(orders),
                    closed,
                    is_over,
                    patience,
                };
                Ok((hand, measured))
            }
            Ok(Err((doing, error))) => Err((doing, Trouble::Io(error))),
            Err(RecvTimeoutError::Timeout) => Err(("opened", Trouble::Silent(patience))),
            Err(RecvTimeoutError::Disconnected) => Err(("opened", Trouble::Io(died()))),
        }
    }

    /// Gives an order with a number of its own.
    pub(super) fn give(&self, number: u64, order: Order) -> io::Result<()> {
        let orders = self.orders.as_ref().ok_or_else(died)?;
        orders.send((number, order)).map_err(|_| died())
    }

    /// How long an order may take.
    pub(super) const fn patience(&self) -> Duration {
        self.patience
    }

    /// The disk does not answer: its threads are left behind.
    pub(super) fn leave(&mut self) -> Trouble {
        self.is_over.store(true, Ordering::Relaxed);
        self.orders = None;
        let (_, closed) = channel();
        self.closed = closed;
        Trouble::Silent(self.patience)
    }
}

/// Waits until the medium is closed: it was opened alone, and the next step opens it again.
impl Drop for Hand {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if self.orders.take().is_some() {
            // Nothing is ever sent: the channel ends with the last thread.
            while self.closed.recv_timeout(self.patience).is_ok() {}
        }
    }
}

fn measure(medium: &dyn Medium) -> io::Result<Measured> {
    Ok(Measured {
        size: medium.size()?,
        sector: medium.sector()?,
        is_direct: medium.is_direct(),
        is_turning: medium.is_turning(),
    })
}

/// Until nobody gives orders. `end` goes after the medium.
fn obey(
    medium: Arc<dyn Medium>,
    ordered: &Mutex<Receiver<(u64, Order)>>,
    is_over: &AtomicBool,
    tell: impl Fn(u64, Answer),
    end: Sender<()>,
) {
    let mut scratch = Scratch::default();
    loop {
        let next = ordered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok((number, order)) = next else { break };
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        tell(number, obey_one(medium.as_ref(), order, &mut scratch));
    }
    drop(medium);
    drop(tell);
    drop(end);
}

fn obey_one(medium: &dyn Medium, order: Order, scratch: &mut Scratch) -> Answer {
    let (buffer, done) = match order {
        Order::Write(buffer, pieces, compare) => {
            let done = write_pieces(medium, buffer.bytes(), &pieces, compare, scratch);
            (Some(buffer), done.map(wrote))
        }
        Order::Read(mut buffer, pieces) => {
            let done = read_pieces(medium, buffer.bytes_mut(), &pieces);
            (Some(buffer), done.map(|()| Effect::default()))
        }
        Order::Look(from, to) => {
            let looked = is_clear(medium, from, to, scratch);
            let effect = |is_clear| Effect {
                is_clear,
                ..Effect::default()
            };
            (None, looked.map(effect))
        }
        Order::Clear(from, to, compare) => {
            (None, clear(medium, from, to, compare, scratch).map(wrote))
        }
        Order::Flush => (None, medium.flush().map(|()| Effect::default())),
        Order::Forget => (None, medium.forget(0, None).map(|()| Effect::default())),
    };
    Answer { buffer, done }
}

fn wrote(written: u64) -> Effect {
    Effect {
        written,
        ..Effect::default()
    }
}

fn read_pieces(medium: &dyn Medium, bytes: &mut [u8], pieces: &[Piece]) -> io::Result<()> {
    for piece in pieces {
        let part = bytes
            .get_mut(piece.start..)
            .and_then(|rest| rest.get_mut(..piece.length));
        medium::read_exact(medium, part.ok_or_else(too_long)?, piece.at)?;
    }
    Ok(())
}

pub(super) fn too_long() -> io::Error {
    io::Error::other("more than the buffer holds")
}

pub(super) fn died() -> io::Error {
    io::Error::other("the work on the disk ended in a fault of the maintenance OS")
}
