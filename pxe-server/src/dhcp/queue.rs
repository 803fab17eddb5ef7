// SPDX-License-Identifier: Apache-2.0
//! What waits to be decided, and who is let go when more waits than can be answered in time.
//!
//! An exchange that has begun is finished before another begins: a machine whose REQUEST is lost has waited for nothing.
//! When too much waits, the oldest DISCOVERs of machines that we do not know go first: theirs is the question that is
//! asked again soonest. It knows no lease itself: who is known is told to it.

use groundstate_api::MacAddr;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// What waits may take so long to answer; a firmware's first patience is 4 s, most of which is the network's.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// So many may wait however slow we are: a rack that is switched on at once.
const LENGTH_MIN: usize = 1_024;
/// No more wait, however fast we are: with 600 bytes each about 10 MB.
const LENGTH_MAX: usize = 16_384;
/// Of this many that are decided, one is a stranger's even while others wait: whoever repeats requests of a known machine
/// without end shuts nobody out.
const STRANGERS_SHARE: usize = 8;

/// A datagram that waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) bytes: Box<[u8]>,
    /// The address of ours that it was sent to.
    pub(super) asked: Option<Ipv4Addr>,
    /// When it was read.
    pub(super) read: Instant,
}

/// Whose datagram it is, in the order in which they are let go, the last first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Anything but a DISCOVER of a machine with an offer or a lease.
    Begun,
    /// A DISCOVER of a machine that we know.
    Known,
    /// Of a machine that we do not know.
    Stranger,
}

/// What a datagram says at first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) mac: MacAddr,
    pub(super) is_discover: bool,
}

impl Sight {
    /// Reads no more than it needs; anything odd is a stranger's DISCOVER until it is parsed.
    pub(super) fn of(datagram: &[u8]) -> Self {
        let mac = datagram
            .get(28..34)
            .and_then(|mac| mac.try_into().ok())
            .map_or(MacAddr([0; 6]), MacAddr);
        Self {
            mac,
            is_discover: message_type(datagram).is_none_or(|kind| kind == 1),
        }
    }

    pub(super) const fn class(self, is_known: bool) -> Class {
        match (is_known, self.is_discover) {
            (true, false) => Class::Begun,
            (true, true) => Class::Known,
            (false, _) => Class::Stranger,
        }
    }
}

fn message_type(datagram: &[u8]) -> Option<u8> {
    let mut options = datagram.get(240..)?;
    loop {
        match options {
            [0, rest @ ..] => options = rest,
            [53, 1, kind, ..] => return Some(*kind),
            [255, ..] | [] => return None,
            [_, length, rest @ ..] => options = rest.get(usize::from(*length)..)?,
            [_] => return None,
        }
    }
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    begun: VecDeque<Waiting>,
    known: VecDeque<Waiting>,
    strangers: VecDeque<Waiting>,
    limit: usize,
    /// Since a stranger was let through.
    turn: usize,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self {
            begun: VecDeque::new(),
            known: VecDeque::new(),
            strangers: VecDeque::new(),
            limit: LENGTH_MIN,
            turn: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.begun.len() + self.known.len() + self.strangers.len()
    }

    /// Says how long one datagram takes us: the limit is what is answered within [`WAIT_MAX`].
    pub(super) fn pace(&mut self, each: Duration) {
        let each = each.as_nanos().max(1);
        let fits = usize::try_from(WAIT_MAX.as_nanos() / each).unwrap_or(LENGTH_MAX);
        self.limit = fits.clamp(LENGTH_MIN, LENGTH_MAX);
    }

    /// How many may wait.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// Adds one; when too many wait then, the one that is let go.
    pub(super) fn push(&mut self, class: Class, waiting: Waiting) -> Option<Waiting> {
        match class {
            Class::Begun => self.begun.push_back(waiting),
            Class::Known => self.known.push_back(waiting),
            Class::Stranger => self.strangers.push_back(waiting),
        }
        if self.len() <= self.limit {
            return None;
        }
        let by_worth = [&mut self.strangers, &mut self.known, &mut self.begun];
        by_worth.into_iter().find_map(VecDeque::pop_front)
    }

    /// The next one to be decided.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        self.turn += 1;
        if self.turn >= STRANGERS_SHARE
            && let Some(waiting) = self.strangers.pop_front()
        {
            self.turn = 0;
            return Some(waiting);
        }
        let by_worth = [&mut self.begun, &mut self.known, &mut self.strangers];
        by_worth.into_iter().find_map(VecDeque::pop_front)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same moment for all, so that they can be compared.
    fn waiting(n: u32) -> Waiting {
        static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        Waiting {
            bytes: n.to_be_bytes().into(),
            asked: None,
            read: *BEGAN.get_or_init(Instant::now),
        }
    }

    #[test]
    fn a_datagram_is_classed_at_first_sight() {
        let mut bytes = vec![0; 240];
        bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 7]);
        let sight = |options: &[u8]| Sight::of(&[&bytes, options].concat());
        let request = sight(&[0, 12, 2, 1, 1, 53, 1, 3, 255]);
        assert_eq!(request.mac, MacAddr([2, 0, 0, 0, 0, 7]));
        assert_eq!(
            [true, false].map(|known| request.class(known)),
            [Class::Begun, Class::Stranger]
        );
        assert_eq!(sight(&[53, 1, 1, 255]).class(true), Class::Known);
        for odd in [&[][..], &[53], &[12, 200, 53, 1, 3], &[255, 53, 1, 3]] {
            assert!(sight(odd).is_discover);
        }
        assert!(Sight::of(&[1, 2, 3]).is_discover);
    }

    #[test]
    fn begun_exchanges_go_first_and_the_oldest_strangers_are_let_go() {
        let mut queue = Queue::new();
        queue.pace(Duration::from_secs(1));
        assert_eq!(queue.limit(), LENGTH_MIN);
        for n in 0..1_000 {
            assert_eq!(queue.push(Class::Stranger, waiting(n)), None);
        }
        for n in 2_000..2_024 {
            assert_eq!(queue.push(Class::Known, waiting(n)), None);
        }
        for n in 0..1_000 {
            assert_eq!(
                queue.push(Class::Begun, waiting(5_000 + n)),
                Some(waiting(n))
            );
        }
        assert_eq!(queue.push(Class::Begun, waiting(1)), Some(waiting(2_000)));
        assert_eq!(queue.len(), LENGTH_MIN);
        assert_eq!(queue.pop(), Some(waiting(5_000)));
        // Newer than what waits, and let go all the same: nobody who is known waits for a stranger.
        assert_eq!(queue.push(Class::Stranger, waiting(9)), None);
        assert_eq!(queue.push(Class::Stranger, waiting(10)), Some(waiting(9)));
        let order: Vec<Waiting> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order.len(), LENGTH_MIN);
        let at = |n| order.iter().position(|one| *one == waiting(n)).unwrap();
        assert!(at(10) < STRANGERS_SHARE, "a stranger has its share");
        assert!(at(5_999) < at(2_001));
    }

    #[test]
    fn the_limit_is_what_is_answered_within_a_second() {
        let mut queue = Queue::new();
        queue.pace(Duration::from_micros(100));
        assert_eq!(queue.limit(), 10_000);
        queue.pace(Duration::ZERO);
        assert_eq!(queue.limit(), LENGTH_MAX);
    }
}
