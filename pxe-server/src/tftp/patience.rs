// SPDX-License-Identifier: Apache-2.0
//! Waiting for the next packet.
//!
//! A client on a fast network answers a window within some 20 microseconds, and half of them go by until a sleeping
//! thread runs again. So where the last answer came as quickly, the next one is looked for a little before this thread
//! sleeps, and whoever else wants the processor has it meanwhile. Clients that take longer, and machines with one
//! processor, are waited for asleep.

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollTimeout};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// How long it is looked for.
const LOOK: Duration = Duration::from_micros(50);
/// Looks in a row before others may have the processor: giving way costs as much as several looks.
const LOOKS: u32 = 8;
/// A wait that was shorter than this, sleep included, makes the next one worth looking.
const QUICK: Duration = Duration::from_micros(120);

/// Whether it is worth looking.
#[derive(Debug)]
pub(super) struct Patience {
    may_look: bool,
    quick: bool,
}

impl Patience {
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            may_look: cores > 1,
            quick: false,
        }
    }

    /// Whether the last answer came quickly.
    pub(super) const fn is_quick(&self) -> bool {
        self.quick
    }

    /// Looks for one thing for a little while, and gives way to others between two looks.
    pub(super) fn look<T>(&mut self, mut at: impl FnMut() -> Option<T>) -> Option<T> {
        let began = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if let Some(found) = at() {
                    return Some(found);
                }
            }
            if began.elapsed() >= LOOK {
                self.quick = false;
                return None;
            }
            thread::yield_now();
        }
    }

    /// How many events there are, after `most` at the latest.
    pub(super) fn wait(
        &mut self,
        epoll: &Epoll,
        events: &mut [EpollEvent],
        most: EpollTimeout,
    ) -> io::Result<usize> {
        let began = Instant::now();
        let mut ready = 0;
        if self.quick && most != EpollTimeout::ZERO {
            while ready == 0 && began.elapsed() < LOOK {
                ready = now(epoll, events, EpollTimeout::ZERO)?;
                if ready == 0 {
                    thread::yield_now();
                }
            }
        }
        if ready == 0 {
            ready = now(epoll, events, most)?;
        }
        self.quick = self.may_look && ready > 0 && began.elapsed() < QUICK;
        Ok(ready)
    }
}

fn now(epoll: &Epoll, events: &mut [EpollEvent], most: EpollTimeout) -> io::Result<usize> {
    match epoll.wait(events, most) {
        Err(Errno::EINTR) => Ok(0),
        ready => Ok(ready?),
    }
}
