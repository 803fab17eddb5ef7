// SPDX-License-Identifier: Apache-2.0
//! The brake. It sets itself when many measures fail or many nodes fall silent within a short time: then something is wrong that
//! no measure at a node heals, such as a switch, a power feed or a bad image. A node that comes and goes is one node: it stops
//! nobody else's healing. Only a person or the fabric controller lets the brake go.

use crate::reasons_life as words;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use groundstate_api::healing::{BrakeView, HealingPolicy};
use groundstate_api::{Millis, NodeId, Reason};

/// Failures that are remembered: more than any limit that makes sense.
const REMEMBERED_MAX: usize = 10_000;

/// The brake, as a fold of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Brake {
    set: Option<(Millis, Option<Reason>)>,
    by: Option<String>,
    /// When measures failed and which nodes fell silent, the oldest first.
    failures: VecDeque<(Millis, Option<NodeId>)>,
}

impl Brake {
    /// Whether it is on.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.set.is_some()
    }

    /// As people and programs see it.
    #[must_use]
    pub fn view(&self) -> BrakeView {
        BrakeView {
            on: self.is_on(),
            since: self.set.as_ref().map(|(at, _)| *at),
            reason: self.set.as_ref().and_then(|(_, reason)| reason.clone()),
            by: self.by.clone(),
        }
    }

    /// Why no measure begins, where it is on.
    #[must_use]
    pub fn why(&self) -> Option<Reason> {
        let (at, reason) = self.set.as_ref()?;
        let by = self.by.as_deref().unwrap_or_default();
        let said = || words::brake_is_set(*at, by, "");
        Some(reason.clone().unwrap_or_else(said))
    }

    /// Why it sets itself now, if it does.
    #[must_use]
    pub fn sets_itself(&self, now: Millis, policy: &HealingPolicy) -> Option<Reason> {
        let within = Millis::secs(policy.brake_secs);
        let recent = self
            .failures
            .iter()
            .rev()
            .take_while(|(at, _)| now.since(*at) < within);
        let mut silent = BTreeSet::new();
        let counts = recent.filter(|one| one.1.as_ref().is_none_or(|node| silent.insert(node)));
        let count = u32::try_from(counts.count()).unwrap_or(u32::MAX);
        let many = !self.is_on() && policy.brake_failures > 0 && count >= policy.brake_failures;
        many.then(|| words::brake_sets_itself(now, count, within))
    }

    /// A measure failed, or this node fell silent.
    pub(crate) fn failed(&mut self, at: Millis, silent: Option<&NodeId>) {
        if self.failures.len() >= REMEMBERED_MAX {
            self.failures.pop_front();
        }
        self.failures.push_back((at, silent.cloned()));
    }

    /// It was set or let go.
    pub(crate) fn set(&mut self, at: Millis, on: bool, by: &str, reason: Option<&Reason>) {
        self.by = Some(by.to_string());
        self.set = on.then(|| (at, reason.cloned()));
        if !on {
            // Who lets it go has seen what failed: it counts from here.
            self.failures.clear();
        }
    }
}
