// SPDX-License-Identifier: Apache-2.0
//! Runs of zeros: cleared by the device where it can, in pieces, and only where they are not zero yet.

use super::limits::{CLEARED_AT_ONCE, LOOKED_AT_ONCE, ZEROS_AT_ONCE};
use super::words::Action;
use super::{Deploy, Place};
use alloc::vec::Vec;
use groundstate_api::Bytes;

impl Deploy<'_> {
    /// Begins with a run of zeros; not where enough are under way.
    pub(super) fn begin_zeros(&mut self, span: usize, out: &mut Vec<Action>) -> bool {
        if self.zeros.len() >= ZEROS_AT_ONCE {
            return false;
        }
        let Some((_, place)) = self.work(span) else {
            return false;
        };
        self.zeros.insert(span, place.from.0);
        self.zeros_on(span, out);
        true
    }

    /// The next piece of a run.
    fn zeros_on(&mut self, span: usize, out: &mut Vec<Action>) {
        if self.seeding.is_on() {
            let Some((from, to)) = self.zero_piece(span, LOOKED_AT_ONCE) else {
                return;
            };
            if let Some((work, _)) = self.work(span) {
                (work.place, work.looked) = (Place::Reading, true);
            }
            out.push(Action::Look { span, from, to });
        } else {
            if let Some((work, _)) = self.work(span) {
                work.looked = false;
            }
            self.when_shut(span, out);
        }
    }

    fn zero_piece(&self, span: usize, at_once: Bytes) -> Option<(Bytes, Bytes)> {
        let (at, place) = (*self.zeros.get(&span)?, self.spans.get(span)?);
        let to = place.to.0.min(at.saturating_add(at_once.0));
        Some((Bytes(at), Bytes(to)))
    }

    /// The head is cleared: so is this.
    pub(super) fn clear(&mut self, span: usize, out: &mut Vec<Action>) {
        let compare = self.works.get(span).is_some_and(|work| work.looked);
        let at_once = if compare {
            LOOKED_AT_ONCE
        } else {
            CLEARED_AT_ONCE
        };
        if let Some((from, to)) = self.zero_piece(span, at_once) {
            out.push(Action::Clear {
                span,
                from,
                to,
                compare,
            });
        }
    }

    /// A piece was looked at.
    pub(super) fn looked(&mut self, span: usize, clear: bool, out: &mut Vec<Action>) {
        if self.place(span) != Some(Place::Reading) {
            return;
        }
        if clear {
            self.zeros_done(span, true, out);
        } else {
            self.when_shut(span, out);
        }
    }

    /// A piece reads as zero.
    pub(super) fn zeros_done(&mut self, span: usize, before: bool, out: &mut Vec<Action>) {
        let looked = self.works.get(span).is_some_and(|work| work.looked);
        let at_once = if looked {
            LOOKED_AT_ONCE
        } else {
            CLEARED_AT_ONCE
        };
        let Some((from, to)) = self.zero_piece(span, at_once) else {
            return;
        };
        self.count(to.0 - from.0, before, out);
        if self.spans.get(span).is_some_and(|place| place.to == to) {
            self.zeros.remove(&span);
            self.rest(span, out);
        } else {
            self.zeros.insert(span, to.0);
            self.zeros_on(span, out);
        }
    }
}
