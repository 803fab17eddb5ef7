// SPDX-License-Identifier: Apache-2.0
//! The one thread that touches the target. It alone waits for the disk; who gives it orders waits no longer than a disk
//! may take.
//!
//! Buffers go over with an order and come back with its answer. Of a disk that does not answer the thread is left behind,
//! with one buffer at most.

use super::buffer::Aligned;
use crate::medium::{self, Access, Medium};
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// What is to be done.
pub(super) enum Order {
    /// Write so many of the buffer's bytes there.
    Write(Aligned, usize, u64),
    /// Read so many bytes from there into the buffer.
    Read(Aligned, usize, u64),
    /// Make it read as zero from there to there, by a request of the device's own.
    ZeroOut(u64, u64),
    /// Wait until the disk has everything, its own cache flushed.
    Flush,
    /// Make sure that what is read next comes from the disk.
    Forget,
}

/// What the medium is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) size: u64,
    pub(super) sector: Option<u32>,
    pub(super) is_direct: bool,
}

/// Why an order was not carried out.
pub(super) enum Trouble {
    /// The kernel refused or the disk failed.
    Io(io::Error),
    /// The disk did not answer in time.
    Silent(Duration),
}

/// How an order ended, with its buffer.
type Answer = (Option<Aligned>, io::Result<()>);

/// The thread, seen from the one that gives orders.
pub(super) struct Hand {
    /// None where nobody listens any more.
    orders: Option<Sender<Order>>,
    answers: Receiver<Answer>,
    patience: Duration,
}

impl Hand {
    /// Opens the medium. `Trouble` says whether it was opening or measuring that failed.
    pub(super) fn open(
        path: &Path,
        access: Access,
        patience: Duration,
    ) -> Result<(Self, Measured), (&'static str, Trouble)> {
        let (orders, ordered) = channel();
        let (tell, answers) = channel();
        let (tell_measured, measured) = channel();
        let path = path.to_path_buf();
        thread::spawn(move || {
            let opened = medium::open(&path, access).map_err(|error| ("opened", error));
            let opened = opened.and_then(|medium| {
                let measured = measure(medium.as_ref()).map_err(|error| ("measured", error))?;
                Ok((medium, measured))
            });
            match opened {
                Ok((medium, measured)) => {
                    if tell_measured.send(Ok(measured)).is_ok() {
                        obey(medium.as_ref(), &ordered, &tell);
                    }
                }
                // Nobody listens any more where it took too long.
                Err(error) => drop(tell_measured.send(Err(error))),
            }
        });
        match measured.recv_timeout(patience) {
            Ok(Ok(measured)) => {
                let hand = Self {
                    orders: Some(orders),
                    answers,
                    patience,
                };
                Ok((hand, measured))
            }
            Ok(Err((doing, error))) => Err((doing, Trouble::Io(error))),
            Err(RecvTimeoutError::Timeout) => Err(("opened", Trouble::Silent(patience))),
            Err(RecvTimeoutError::Disconnected) => Err(("opened", Trouble::Io(died()))),
        }
    }

    /// Carries an order out and gives its buffer back.
    pub(super) fn carry_out(&mut self, order: Order) -> Result<Option<Aligned>, Trouble> {
        let orders = self.orders.as_ref();
        if orders.is_none_or(|orders| orders.send(order).is_err()) {
            return Err(Trouble::Io(died()));
        }
        match self.answers.recv_timeout(self.patience) {
            Ok((buffer, done)) => done.map(|()| buffer).map_err(Trouble::Io),
            Err(RecvTimeoutError::Timeout) => {
                self.orders = None;
                Err(Trouble::Silent(self.patience))
            }
            Err(RecvTimeoutError::Disconnected) => Err(Trouble::Io(died())),
        }
    }
}

/// Waits until the medium is closed: it was opened alone, and the next step opens it again.
impl Drop for Hand {
    fn drop(&mut self) {
        if self.orders.take().is_some() {
            while self.answers.recv_timeout(self.patience).is_ok() {}
        }
    }
}

fn measure(medium: &dyn Medium) -> io::Result<Measured> {
    Ok(Measured {
        size: medium.size()?,
        sector: medium.sector()?,
        is_direct: medium.is_direct(),
    })
}

/// Until nobody gives orders. The answers' channel closes after the medium.
fn obey(medium: &dyn Medium, ordered: &Receiver<Order>, tell: &Sender<Answer>) {
    for order in ordered {
        if tell.send(obey_one(medium, order)).is_err() {
            return;
        }
    }
}

fn obey_one(medium: &dyn Medium, order: Order) -> Answer {
    match order {
        Order::Write(buffer, length, at) => {
            let bytes = buffer.bytes().get(..length).ok_or_else(too_long);
            let done = bytes.and_then(|bytes| medium::write_all(medium, bytes, at));
            (Some(buffer), done)
        }
        Order::Read(mut buffer, length, at) => {
            let bytes = buffer.bytes_mut().get_mut(..length).ok_or_else(too_long);
            let done = bytes.and_then(|bytes| medium::read_exact(medium, bytes, at));
            (Some(buffer), done)
        }
        Order::ZeroOut(from, to) => (None, medium.zero_out(from, to - from)),
        Order::Flush => (None, medium.flush()),
        Order::Forget => (None, medium.forget(0, None)),
    }
}

fn too_long() -> io::Error {
    io::Error::other("more than the buffer holds")
}

fn died() -> io::Error {
    io::Error::other("the work on the disk ended in a fault of the maintenance OS")
}
