// SPDX-License-Identifier: Apache-2.0
//! The clockwork of the report: named spans of a run that begin once and end once.

use crate::node::Run;
use alloc::string::ToString;
use groundstate_api::Millis;
use groundstate_api::view::Timing;

/// The most spans that a run's report keeps: 10 steps and 8 phases, with room for steps that are reported twice.
const SPANS_MAX: usize = 64;

impl Run {
    /// Begins a span.
    pub(crate) fn begin(&mut self, what: &str, at: Millis) {
        if self.timings.len() < SPANS_MAX {
            self.timings.push(Timing {
                what: what.to_string(),
                began: at,
                took: None,
            });
        }
    }
    /// Begins a span unless there is one of that name.
    pub(crate) fn begin_once(&mut self, what: &str, at: Millis) {
        if !self.timings.iter().any(|t| t.what == what) {
            self.begin(what, at);
        }
    }
    /// Begins a span, or lets the one of that name begin anew.
    pub(crate) fn restart(&mut self, what: &str, at: Millis) {
        self.timings.retain(|t| t.what != what);
        self.begin(what, at);
    }
    /// Ends the open span of that name.
    pub(crate) fn end(&mut self, what: &str, at: Millis) {
        self.timings
            .iter_mut()
            .filter(|t| t.what == what && t.took.is_none())
            .for_each(|t| t.took = Some(at.since(t.began)));
    }
    /// Ends the span of that name, even where it had ended before.
    pub(crate) fn end_again(&mut self, what: &str, at: Millis) {
        self.timings
            .iter_mut()
            .filter(|t| t.what == what)
            .for_each(|t| t.took = Some(at.since(t.began)));
    }
    /// Ends every open span.
    pub(crate) fn end_all(&mut self, at: Millis) {
        self.timings
            .iter_mut()
            .filter(|t| t.took.is_none())
            .for_each(|t| t.took = Some(at.since(t.began)));
    }
}
