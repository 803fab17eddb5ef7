// SPDX-License-Identifier: Apache-2.0
//! Waiting for the next packet.
//!
//! A client on a fast network answers a window within some 20 microseconds, and half of them go by until a sleeping
//! thread runs again. So where the last answer came as quickly, the next one is looked for a little before this thread
//! sleeps, and whoever else wants the processor has it meanwhile. Looks in vain, with clients that take longer or on a
//! machine that has other things to do, take no more than a stated share of one processor. A machine with one
//! processor never looks: there, nobody answers while this thread runs.

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollTimeout};
use nix::unistd::{SysconfVar, sysconf};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// How long it is looked for.
const LOOK: Duration = Duration::from_micros(50);
/// Looks in a row before others may have the processor: giving way costs as much as several looks.
const LOOKS: u32 = 8;
/// A wait that was shorter than this, sleep included, makes the next one worth looking.
const QUICK: Duration = Duration::from_micros(120);

/// Looks in vain take at most one part in so many of a processor's time.
const VAIN_SHARE: u32 = 8;
/// What of that share is kept for later: four looks.
const VAIN_MAX: Duration = Duration::from_micros(200);

/// Whether it is worth looking.
#[derive(Debug)]
pub(super) struct Patience {
    may_look: bool,
    quick: bool,
    /// What looks in vain may still take, and when that was counted.
    credit: Duration,
    counted: Instant,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self {
            may_look: processors() > 1,
            quick: false,
            credit: VAIN_MAX,
            counted: Instant::now(),
        }
    }

    /// Whether the last answer came quickly, and looks in vain have left room for one more.
    pub(super) fn is_quick(&self) -> bool {
        self.quick && self.credit >= LOOK
    }

    /// The share of the time that has gone by.
    fn count(&mut self, now: Instant) {
        let share = (now - self.counted) / VAIN_SHARE;
        self.credit = VAIN_MAX.min(self.credit + share);
        self.counted = now;
    }

    /// A look took so long and found nothing.
    fn in_vain(&mut self, took: Duration) {
        self.credit = self.credit.saturating_sub(took);
    }

    /// Looks for one thing for a little while, and gives way to others between two looks.
    pub(super) fn look<T>(&mut self, mut at: impl FnMut() -> Option<T>) -> Option<T> {
        let began = Instant::now();
        self.count(began);
        loop {
            for _ in 0..LOOKS {
                if let Some(found) = at() {
                    return Some(found);
                }
            }
            let took = began.elapsed();
            if took >= LOOK {
                self.quick = false;
                self.in_vain(took);
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
        self.count(began);
        let mut ready = 0;
        if self.is_quick() && most != EpollTimeout::ZERO {
            let mut took = Duration::ZERO;
            while ready == 0 && took < LOOK {
                ready = now(epoll, events, EpollTimeout::ZERO)?;
                took = began.elapsed();
                if ready == 0 {
                    thread::yield_now();
                }
            }
            if ready == 0 {
                self.in_vain(took);
            }
        }
        if ready == 0 {
            ready = now(epoll, events, most)?;
        }
        self.quick = self.may_look && ready > 0 && began.elapsed() < QUICK;
        Ok(ready)
    }
}

/// Processors of this machine. How many of them this process may use does not count: its clients run on others.
fn processors() -> usize {
    let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
    online.map_or(1, |online| usize::try_from(online).unwrap_or(1))
}

fn now(epoll: &Epoll, events: &mut [EpollEvent], most: EpollTimeout) -> io::Result<usize> {
    match epoll.wait(events, most) {
        Err(Errno::EINTR) => Ok(0),
        ready => Ok(ready?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_in_vain_take_their_share_and_no_more() {
        let mut patience = Patience {
            may_look: true,
            quick: true,
            credit: VAIN_MAX,
            counted: Instant::now(),
        };
        let began = patience.counted;
        let mut vain = Duration::ZERO;
        // Answers that always come a little after the look has ended.
        for n in 1..=10_000 {
            patience.count(began + n * Duration::from_micros(100));
            if patience.is_quick() {
                patience.in_vain(LOOK);
                vain += LOOK;
            }
        }
        let share = VAIN_MAX + LOOK + Duration::from_secs(1) / VAIN_SHARE;
        assert!(vain <= share, "{vain:?}");
        assert!(vain >= Duration::from_secs(1) / VAIN_SHARE, "{vain:?}");
    }

    #[test]
    fn a_look_ends_with_what_it_finds_or_gives_up() {
        let mut patience = Patience::new();
        patience.quick = true;
        let mut looks = 0;
        let third = || {
            looks += 1;
            (looks == 3).then_some(looks)
        };
        assert_eq!(patience.look(third), Some(3));
        assert!(patience.is_quick());
        assert_eq!(patience.look(|| None::<()>), None);
        assert!(!patience.is_quick());
    }
}
