// SPDX-License-Identifier: Apache-2.0
//! A run that stopped for a cause that may pass is tried again: the same order as another run, after a back-off, as often as
//! the policy says. Then the node is held with everything that was tried.
//!
//! It never tries a run of the healing policy again, whose ladder says how often, and nothing that a person must decide.

use crate::action::BY_POLICY;
use crate::decide::Wish;
use crate::node::{Node, Run};
use crate::reasons_life as words;
use alloc::format;
use alloc::vec::Vec;
use groundstate_api::headline::ordinal;
use groundstate_api::view::Phase;
use groundstate_api::{Millis, NodeId, Reason, ReasonCode, RunId};

/// The first wait: a switch that restarts is back, and a machine has power-cycled.
const FIRST: Millis = Millis::secs(30);
/// Each wait is this many times the one before.
const FACTOR: u64 = 4;
/// The longest wait.
const LONGEST: Millis = Millis::secs(10 * 60);

impl Node {
    /// The reason of a node that is held, with what was tried before, and with the time of the next try where there is one.
    pub(crate) fn or_try_again(&self, now: Millis, mut reason: Reason) -> Reason {
        // What a machine says of deadlines is not ours to keep.
        reason.deadline = None;
        let Some(run) = self.run.as_ref() else {
            return reason;
        };
        reason.evidence.extend(run.terms.tried.iter().cloned());
        if self.may_try_again(run, reason.code) {
            let tries = tries(run);
            let at = now.plus(back_off(self.id(), tries));
            words::tried_again(
                reason,
                at,
                tries.saturating_add(1),
                self.rules.retries.saturating_add(1),
            )
        } else {
            reason
        }
    }

    /// When the run is tried again.
    #[must_use]
    pub fn try_again_at(&self) -> Option<Millis> {
        let (run, reason) = (self.run.as_ref()?, self.reason.as_ref()?);
        let may = self.phase == Phase::Held && self.may_try_again(run, reason.code);
        reason.deadline.filter(|_| may)
    }

    fn may_try_again(&self, run: &Run, code: ReasonCode) -> bool {
        let hostless = run.terms.rebuild.is_some() && self.host.is_none();
        let by_bmc = code == ReasonCode::EnrolmentExpired && self.site.bmc.is_some();
        (may_pass(code) || by_bmc)
            && run.terms.by != BY_POLICY
            && !hostless
            && tries(run) <= self.rules.retries
    }

    /// Orders the run again.
    pub(crate) fn try_again(&self, now: Millis, out: &mut Vec<Wish>) {
        let (Some(run), Some(reason)) = (&self.run, &self.reason) else {
            return;
        };
        let Some(id) = next_run(self.id(), self.runs, now) else {
            return;
        };
        let mut terms = run.terms.clone();
        let nth = ordinal(tries(run));
        terms.tried.push(format!(
            "{nth} try, run {}: {} [{}]",
            run.id, reason.what, reason.code
        ));
        self.order_run(now, self.phase, id, run.hand_over, terms, out);
    }
}

/// Which try of its order a run is: 1 for the first.
fn tries(run: &Run) -> u32 {
    u32::try_from(run.terms.tried.len())
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

/// Whether the cause may pass by itself, or by switching the machine off and on.
fn may_pass(code: ReasonCode) -> bool {
    matches!(
        code,
        ReasonCode::NodeSilent
            | ReasonCode::ProvisionerUnreachable
            | ReasonCode::NoLink
            | ReasonCode::NoLease
    )
}

/// The wait after that many tries, with up to a quarter more by name, so that a rack that lost power does not come back as one.
fn back_off(node: &NodeId, tries: u32) -> Millis {
    let factor = FACTOR.saturating_pow(tries.saturating_sub(1));
    let wait = FIRST.0.saturating_mul(factor).min(LONGEST.0);
    // FNV-1a: the same node and try give the same wait, so that replay gives the same deadline.
    let seed = tries.to_le_bytes();
    let bytes = node.as_str().bytes().chain(seed);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Millis(wait.saturating_add(hash % (wait / 4).max(1)))
}

/// The id of a node's next run. A node's name has at most 63 characters, so the id has at most 80.
#[must_use]
pub fn next_run(node: &NodeId, runs: u64, now: Millis) -> Option<RunId> {
    let number = runs.saturating_add(1);
    format!("{node}-{number:03}-{:x}", now.0 / 1_000)
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_differ_by_name_and_end_somewhere() {
        let wait = |name: &str, tries| back_off(&name.parse().unwrap(), tries).0;
        for name in ["r1-01", "r1-02", "a"] {
            let (mut before, mut tries) = (0, 1);
            while tries < 4 {
                let wait = wait(name, tries);
                assert!(wait > before, "{wait}");
                (before, tries) = (wait, tries + 1);
            }
            assert!(wait(name, u32::MAX) <= LONGEST.0 + LONGEST.0 / 4);
        }
        assert_ne!(wait("r1-01", 1), wait("r1-02", 1));
        assert_eq!(wait("r1-01", 2), wait("r1-01", 2));
    }
}
