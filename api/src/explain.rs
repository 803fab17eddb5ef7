// SPDX-License-Identifier: Apache-2.0
//! A node's explanation, the same on the command line, in the terminal and on the page: what it waits for, since when, what
//! was seen, until when, what happens by itself, and what a person can do. It knows no clock and writes no moments: the
//! caller says how a moment is written.

use crate::fleet::{Eta, EtaFrom};
use crate::ids::NodeId;
use crate::reason::{Reason, ReasonCode};
use crate::run::StepState;
use crate::text::inert;
use crate::units::Millis;
use crate::view::{NodeView, Phase};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

/// How a moment is written, for example with how long ago it is.
pub type Moment<'a> = &'a dyn Fn(Millis) -> String;

/// Why the node is where it is: its own reason, or what the phase says by itself.
#[must_use]
pub fn reason_of(view: &NodeView) -> Cow<'_, Reason> {
    match &view.reason {
        Some(reason) => Cow::Borrowed(reason),
        None => Cow::Owned(standing(&view.node, view.phase)),
    }
}

/// Code, what is waited for, what happens by itself, what a person can do.
type Words = (ReasonCode, String, &'static str, String);
/// Where nobody has to do anything.
const QUIET: &str = "no action needed";

/// What a phase says of a node that has no reason of its own.
#[must_use]
pub fn standing(node: &NodeId, phase: Phase) -> Reason {
    let words = in_a_run(node, phase).or_else(|| beside_a_run(node, phase));
    // One of the two knows every phase; the tests go through all of them.
    let internal = || {
        (
            ReasonCode::Internal,
            phase.as_str().to_string(),
            QUIET,
            QUIET.to_string(),
        )
    };
    let (code, what, then, next) = words.unwrap_or_else(internal);
    Reason::new(code, what, next).then(then)
}

/// Phases up to the host's start.
fn in_a_run(node: &NodeId, phase: Phase) -> Option<Words> {
    use ReasonCode as Code;
    let quiet = QUIET;
    Some(match phase {
        Phase::Enrolled => (
            Code::NothingOrdered,
            "nothing is ordered: it waits for its first run".to_string(),
            "nothing: it waits for an order",
            format!(
                "groundstate node provision {node} orders a run; once its hardware was reported, `groundstate plan preview {node}` shows what one would do"
            ),
        ),
        Phase::Ordered => (
            Code::UnderWay,
            "a run is ordered: it waits for the machine to boot from the network".to_string(),
            "the run goes on as soon as the machine boots; the order lapses when its window closes",
            "switch the machine on, or restart it from the network".to_string(),
        ),
        Phase::Booting => (
            Code::UnderWay,
            "the machine boots from the network".to_string(),
            "the maintenance OS enrols when it is up",
            quiet.to_string(),
        ),
        Phase::Checking => (
            Code::UnderWay,
            "the maintenance OS looks at the hardware".to_string(),
            "the plan is written when the hardware is known",
            quiet.to_string(),
        ),
        Phase::Planned => (
            Code::WaitsForApproval,
            "the plan is written and not begun".to_string(),
            "it goes on when it is approved, or when there is a place for it",
            format!(
                "groundstate node approve {node}; `groundstate node plan {node}` shows the plan"
            ),
        ),
        Phase::Provisioning => (
            Code::UnderWay,
            "the plan is carried out".to_string(),
            "the host is started when the plan is done",
            "no action needed; do not switch the machine off: disks are being written".to_string(),
        ),
        Phase::Erasing => (
            Code::UnderWay,
            "disks are being erased".to_string(),
            "each disk is read back and gets its certificate",
            "no action needed; do not switch the machine off".to_string(),
        ),
        Phase::HandedOver => (
            Code::UnderWay,
            "the host was started: it waits for its agent".to_string(),
            "it is ready when the host's agent calls",
            quiet.to_string(),
        ),
        Phase::Ready
        | Phase::Suspect
        | Phase::Draining
        | Phase::Quarantined
        | Phase::InRepair
        | Phase::Held
        | Phase::Rescue
        | Phase::Retired => return None,
    })
}

/// Phases of a host, and those out of the way.
fn beside_a_run(node: &NodeId, phase: Phase) -> Option<Words> {
    use ReasonCode as Code;
    let quiet = QUIET;
    Some(match phase {
        Phase::Ready => (
            Code::UnderWay,
            "its host runs and calls; nothing is waited for".to_string(),
            "nothing; it becomes suspect when it falls silent or reports trouble",
            quiet.to_string(),
        ),
        Phase::Suspect => (
            Code::HostTrouble,
            "its host is silent or reports trouble".to_string(),
            "it is ready again when the host calls and reports no trouble",
            format!("look at power, link and screen of {node}"),
        ),
        Phase::Draining => (
            Code::Draining,
            "its host gives its work away".to_string(),
            "it waits until the host is idle",
            format!("groundstate node release {node} stops that"),
        ),
        Phase::Quarantined => (
            Code::Quarantined,
            "it is out of use".to_string(),
            "nothing: it waits for a person",
            format!(
                "repair it (groundstate node repair {node}) or let it out (groundstate node release {node})"
            ),
        ),
        Phase::InRepair => (
            Code::InRepair,
            "a person works at it".to_string(),
            "nothing: it waits for that person",
            format!("groundstate node release {node} when the work is done"),
        ),
        Phase::Held => (
            Code::Internal,
            "its run has stopped".to_string(),
            "nothing: it waits for a person",
            format!("groundstate node log {node} shows what the maintenance OS said"),
        ),
        Phase::Rescue => (
            Code::Rescue,
            "it runs the maintenance OS with a shell".to_string(),
            "nothing is written by itself",
            format!("groundstate node release {node} when the work is done"),
        ),
        Phase::Retired => (
            Code::Retired,
            "it is out of the fleet".to_string(),
            "nothing: it boots nothing of ours",
            quiet.to_string(),
        ),
        Phase::Enrolled
        | Phase::Ordered
        | Phase::Booting
        | Phase::Checking
        | Phase::Planned
        | Phase::Provisioning
        | Phase::Erasing
        | Phase::HandedOver => return None,
    })
}

/// A reason in full: its sentence, and below it part, since when, what was seen, until when, what happens by itself and what
/// a person can do. Texts of machines are one line each and steer nothing.
#[must_use]
pub fn reason_lines(reason: &Reason, since: Millis, moment: Moment<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(format!("{} [{}]", inert(&reason.what), reason.code));
    if let Some(part) = &reason.part {
        lines.push(format!("  part:      {}", inert(&part.to_string())));
    }
    let since = reason.since.unwrap_or(since);
    lines.push(format!("  since:     {}", moment(since)));
    for line in &reason.evidence {
        lines.push(format!("  seen:      {}", inert(line)));
    }
    let deadline = reason.deadline.map_or_else(|| String::from("none"), moment);
    lines.push(format!("  deadline:  {deadline}"));
    lines.push(format!("  by itself: {}", inert(&reason.next_automatic)));
    lines.push(format!("  do now:    {}", inert(&reason.next_step)));
    lines
}

/// The node's explanation: where it is, why, at which step, and when that is expected to be done.
#[must_use]
pub fn lines(view: &NodeView, eta: Option<&Eta>, moment: Moment<'_>) -> Vec<String> {
    let reason = reason_of(view);
    let mut lines = reason_lines(&reason, view.since, moment);
    if let Some(first) = lines.first_mut() {
        *first = format!("{} is {}: {first}", view.node, view.phase.as_str());
    }
    if let Some((step, state)) = &view.step {
        lines.push(format!("  step:      {}", step_line(step.says(), state)));
    }
    if let Some(eta) = eta {
        lines.push(format!("  done:      {}", eta_line(eta, moment)));
    }
    lines
}

fn step_line(says: &str, state: &StepState) -> String {
    match state {
        StepState::Started => format!("{says}: begun"),
        StepState::Running { done, total } => format!("{says}: {done} of {total}"),
        StepState::Done { .. } => format!("{says}: done"),
        StepState::Failed { .. } => format!("{says}: failed"),
        StepState::Waiting { reason } => format!("{says}: waits: {}", inert(&reason.what)),
    }
}

/// When a run is expected to be done, and how that is known.
#[must_use]
pub fn eta_line(eta: &Eta, moment: Moment<'_>) -> String {
    let of = match eta.from {
        EtaFrom::ModelAndImage => "of this model and image",
        EtaFrom::Image => "of this image",
        EtaFrom::All => "of all kinds",
    };
    let runs = if eta.runs == 1 { "run" } else { "runs" };
    format!("expected {}, by {} {runs} {of}", moment(eta.at), eta.runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_says_what_is_waited_for_and_what_a_person_can_do() {
        let node: NodeId = "r1-07".parse().unwrap();
        for phase in Phase::ALL {
            let reason = standing(&node, phase);
            let lines = reason_lines(&reason, Millis(7), &|at| format!("@{}", at.0));
            let text = lines.join("\n");
            for part in [
                "since:     @7",
                "deadline:  none",
                "by itself: ",
                "do now:    ",
            ] {
                assert!(text.contains(part), "{phase:?}: {text}");
            }
            assert!(lines.iter().all(|line| line.len() < 200), "{text}");
            assert!(reason.code != ReasonCode::Internal || phase == Phase::Held);
            assert!(in_a_run(&node, phase).is_some() != beside_a_run(&node, phase).is_some());
            assert!(!reason.next_step.is_empty() && !reason.next_automatic.is_empty());
        }
    }

    #[test]
    fn what_a_machine_says_stays_one_line() {
        let reason = Reason::new(ReasonCode::Internal, "a\nb", "c\x1b[2Jd").seen("e\u{9b}f");
        let lines = reason_lines(&reason, Millis(1), &|_| String::new());
        assert!(
            lines
                .iter()
                .all(|line| line.chars().all(crate::text::printable))
        );
        assert_eq!(lines.len(), 6);
    }
}
