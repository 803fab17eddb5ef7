// SPDX-License-Identifier: Apache-2.0
//! When which transfer is due.
//!
//! A deadline that moves later, as it does with every ACK, costs nothing: its transfer is looked at when the old one
//! comes, and put off then.

use groundstate_api::Millis;
use std::collections::BTreeSet;

/// One entry a transfer, by its place.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Millis, usize)>,
}

impl Timers {
    /// A place is to be looked at no later than `deadline`; `armed` is when it would be so far.
    pub(super) fn set(&mut self, place: usize, armed: &mut Option<Millis>, deadline: Millis) {
        if armed.is_some_and(|at| at <= deadline) {
            return;
        }
        self.clear(place, armed);
        self.due.insert((deadline, place));
        *armed = Some(deadline);
    }

    /// Nothing is due there any more.
    pub(super) fn clear(&mut self, place: usize, armed: &mut Option<Millis>) {
        if let Some(at) = armed.take() {
            self.due.remove(&(at, place));
        }
    }

    /// The first moment at which one is due.
    pub(super) fn next(&self) -> Option<Millis> {
        self.due.first().map(|(at, _)| *at)
    }

    /// A place that is due now; its entry is gone.
    pub(super) fn take(&mut self, now: Millis) -> Option<usize> {
        let (at, _) = self.due.first()?;
        (*at <= now)
            .then(|| self.due.pop_first())?
            .map(|(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_deadlines_wait_for_the_first_one_and_earlier_ones_replace_it() {
        let mut timers = Timers::default();
        let mut armed = None;
        timers.set(3, &mut armed, Millis(100));
        timers.set(3, &mut armed, Millis(500));
        assert_eq!(
            (timers.next(), armed),
            (Some(Millis(100)), Some(Millis(100)))
        );
        timers.set(3, &mut armed, Millis(40));
        timers.set(1, &mut None, Millis(50));
        assert_eq!(timers.take(Millis(39)), None);
        assert_eq!(timers.take(Millis(60)), Some(3));
        armed = None;
        timers.set(3, &mut armed, Millis(200));
        assert_eq!(timers.take(Millis(60)), Some(1));
        assert_eq!(timers.take(Millis(60)), None);
        timers.clear(3, &mut armed);
        assert_eq!(timers.next(), None);
    }
}
