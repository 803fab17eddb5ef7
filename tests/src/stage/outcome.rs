// SPDX-License-Identifier: Apache-2.0
//! How a node ended, and whether that was the expected end.

use crate::stage::StageFault;
use groundstate_api::view::{NodeReport, Phase};

/// How a node ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The provisioner's report.
    pub report: NodeReport,
    /// Disks that hold what they held before the first power-on.
    pub unchanged: usize,
    /// Disks in all.
    pub disks: usize,
}

impl Outcome {
    /// Why this is not the end that `fault` promises, or nothing when it is.
    #[must_use]
    pub fn unexpected(
        &self,
        fault: Option<StageFault>,
        broken_part: Option<&str>,
    ) -> Option<String> {
        let view = &self.report.view;
        let reason = view.reason.as_ref();
        match fault.and_then(StageFault::held_for) {
            None if view.phase == Phase::Ready => None,
            None => Some(format!(
                "{} is {}, not ready",
                view.node,
                view.phase.as_str()
            )),
            Some(code) => {
                if view.phase != Phase::Held || reason.map(|r| r.code) != Some(code) {
                    let because =
                        reason.map_or_else(|| "no reason".to_owned(), |r| r.code.to_string());
                    return Some(format!(
                        "{} is {} for {because}, not held for {code}",
                        view.node,
                        view.phase.as_str()
                    ));
                }
                if self.unchanged != self.disks {
                    return Some(format!(
                        "{} of {} disks of {} were changed",
                        self.disks - self.unchanged,
                        self.disks,
                        view.node
                    ));
                }
                let told = reason.map(|r| r.lines().join("\n")).unwrap_or_default();
                broken_part
                    .filter(|part| !told.contains(part))
                    .map(|part| format!("the reason does not name {part}: {told}"))
            }
        }
    }
}

/// The machine-readable last line: `RESULT node=... state=... part=... disks_unchanged=N/N`.
#[must_use]
pub fn result_line(outcome: &Outcome) -> String {
    let view = &outcome.report.view;
    let part = view
        .reason
        .as_ref()
        .and_then(|reason| reason.part.as_ref())
        .map_or_else(|| "-".to_owned(), groundstate_api::Part::token);
    format!(
        "RESULT node={} state={} part={part} disks_unchanged={}/{}",
        view.node,
        view.phase.as_str(),
        outcome.unchanged,
        outcome.disks
    )
}
