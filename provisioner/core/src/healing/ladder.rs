// SPDX-License-Identifier: Apache-2.0
//! The ladder: which measure comes next about a trouble, and when. The site file's rules, or the usual ones:
//!
//! | trouble | steps |
//! |---|---|
//! | silent | watch; after 2 min restart, twice; after 10 min provision anew; quarantine |
//! | service | watch; after 30 s restart services, twice; diagnostics; after 5 min restart; after 10 min provision anew; quarantine |
//! | volume | diagnostics; after 1 min restart; after 5 min quarantine |
//! | disk, memory | diagnostics; after 1 min quarantine: parts do not heal |
//! | other | watch; after 1 min diagnostics; then a person |
//!
//! A step that only a host's agent can take is passed over while the host does not call; so is provisioning anew for a host
//! that was adopted.

use crate::node::Node;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::Millis;
use groundstate_api::healing::{HealingPolicy, HealingRule, HealingStep, Measure, TroubleKind};
use groundstate_api::view::Phase;

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// What.
    pub measure: Measure,
    /// When.
    pub due: Millis,
    /// About which kind of trouble.
    pub kind: TroubleKind,
    /// The trouble in words.
    pub what: String,
}

/// What comes next about a node's trouble; `None` where it is not in trouble, is at a person's, or everything was tried.
#[must_use]
pub fn next(node: &Node, policy: &HealingPolicy, now: Millis) -> Option<Next> {
    if !(node.phase == Phase::Suspect || node.held_by_policy()) {
        return None;
    }
    // Adopted, and its agent was never started: a host that runs is not restarted for that.
    if node.awaits_agent() {
        return None;
    }
    let (kind, what) = node.worst_trouble()?;
    let episode = node.episode.as_ref()?;
    let calls = node.host_calls(now);
    let steps = steps(kind, policy);
    // A step counts as tried by its measure: the same measure twice in a ladder has the sum of its times.
    let mut spent = Vec::new();
    for step in &steps {
        // What an adopted host was made from is not known: no policy puts something else in its place.
        let replaces = step.measure == Measure::Reprovision && node.is_adopted();
        if (!calls && needs_host(step.measure)) || replaces {
            continue;
        }
        let before: u32 = spent
            .iter()
            .filter(|(measure, _)| *measure == step.measure)
            .map(|(_, times)| *times)
            .sum();
        if episode.times(step.measure) < before.saturating_add(step.times.max(1)) {
            let base = episode.last().unwrap_or(episode.began);
            // After a restart of ours nobody could have been heard: waits begin anew.
            let base = base.max(node.live.began);
            let due = base.plus(Millis::secs(step.after_secs));
            let measure = step.measure;
            return Some(Next {
                measure,
                due,
                kind,
                what,
            });
        }
        spent.push((step.measure, step.times.max(1)));
    }
    None
}

/// Whether only the host's agent can do it.
const fn needs_host(measure: Measure) -> bool {
    match measure {
        Measure::RestartServices | Measure::CollectDiagnostics => true,
        Measure::Watch | Measure::Reboot | Measure::Reprovision | Measure::Quarantine => false,
    }
}

/// The steps about a kind of trouble.
fn steps(kind: TroubleKind, policy: &HealingPolicy) -> Vec<HealingStep> {
    if policy.rules.is_empty() {
        return usual(kind);
    }
    let of_kind = |rule: &&HealingRule| rule.trouble == kind;
    let rules = policy.rules.iter().filter(of_kind);
    rules.flat_map(|rule| rule.steps.iter().cloned()).collect()
}

/// The usual ladder, where the site file has no rules.
#[must_use]
pub fn usual(kind: TroubleKind) -> Vec<HealingStep> {
    use Measure::{CollectDiagnostics, Quarantine, Reboot, Reprovision, RestartServices, Watch};
    let steps: &[(Measure, u64, u32)] = match kind {
        TroubleKind::Silent => &[
            (Watch, 0, 1),
            (Reboot, 120, 2),
            (Reprovision, 600, 1),
            (Quarantine, 0, 1),
        ],
        TroubleKind::Service => &[
            (Watch, 0, 1),
            (RestartServices, 30, 2),
            (CollectDiagnostics, 0, 1),
            (Reboot, 300, 1),
            (Reprovision, 600, 1),
            (Quarantine, 0, 1),
        ],
        TroubleKind::Volume => &[
            (CollectDiagnostics, 0, 1),
            (Reboot, 60, 1),
            (Quarantine, 300, 1),
        ],
        TroubleKind::Disk | TroubleKind::Memory => {
            &[(CollectDiagnostics, 0, 1), (Quarantine, 60, 1)]
        }
        TroubleKind::Other => &[(Watch, 0, 1), (CollectDiagnostics, 60, 1)],
    };
    let step = |&(measure, after_secs, times): &(Measure, u64, u32)| HealingStep {
        measure,
        after_secs,
        times,
    };
    steps.iter().map(step).collect()
}
