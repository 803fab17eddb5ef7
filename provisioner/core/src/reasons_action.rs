// SPDX-License-Identifier: Apache-2.0
//! Every sentence about actions: what is done to a machine or asked of its host.

use crate::action::Doing;
use crate::reasons::cut;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::action::{Act, Action, ActionId, Outcome};
use groundstate_api::headline::ordinal;
use groundstate_api::healing::Measure;
use groundstate_api::{Millis, NodeId, Reason, ReasonCode};

/// The most lines that a host says of an action.
const LINES_MAX: usize = 16;
/// The longest of them, in bytes.
const LINE_MAX: usize = 512;

/// What a host said, as much as a person reads.
#[must_use]
pub fn bounded(lines: &[String]) -> Vec<String> {
    let cut = |line: &String| {
        let mut line = line.clone();
        cut(&mut line, LINE_MAX);
        line
    };
    lines.iter().take(LINES_MAX).map(cut).collect()
}

/// One of its kind goes on already.
#[must_use]
pub fn under_way(node: &NodeId, action: &Action) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::PlanRefused,
        format!(
            "action {} of {node} is under way: {}",
            action.id,
            action.act.says()
        ),
        format!("wait for it: groundstate node explain {node}"),
    )
    .seen(format!("begun by {}", action.by))
    .then("that action goes on");
    reason.since = Some(action.began);
    reason.deadline = Some(action.deadline);
    reason
}

/// A person's hands are needed.
#[must_use]
pub fn needs_hands(node: &NodeId, act: &Act) -> Reason {
    let step = match act {
        Act::Power { .. } => {
            "go to the machine and use its power button; or enter its BMC in the site file"
        }
        Act::BootNext { .. } => {
            "nothing, where a run is ordered: the boot service answers by that; else choose it in the firmware's boot menu"
        }
        Act::Identify { .. } => {
            "find the machine by its rack and unit (groundstate node explain NODE); or enter its BMC in the site file"
        }
        Act::HostBootNext { .. }
        | Act::RestartServices
        | Act::CollectDiagnostics
        | Act::RebootHost
        | Act::Drain
        | Act::Heal { .. } => "go to the machine",
    };
    Reason::new(
        ReasonCode::PowerNeeded,
        format!("{node} has no BMC that could do it: {}", act.says()),
        step,
    )
}

/// The host does not call, so that nothing can be asked of it.
#[must_use]
pub fn host_does_not_call(node: &NodeId, act: &Act) -> Reason {
    Reason::new(
        ReasonCode::HostSilent,
        format!(
            "the host of {node} does not call, so it cannot be asked: {}",
            act.says()
        ),
        "look at the machine's power, link and screen",
    )
}

/// The host's agent tried and failed.
#[must_use]
pub fn host_could_not(action: &Action, facts: Vec<String>) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::ActionFailed,
        format!("the host could not do it: {}", action.act.says()),
        "look at the host: journalctl -u host-agent",
    );
    reason.evidence = facts;
    reason
}

/// Its host cannot set what is booted next.
#[must_use]
pub fn host_sets_no_boot(node: &NodeId) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        format!("the host of {node} cannot be asked to set what its firmware boots next"),
        format!(
            "choose it in the firmware's boot menu; groundstate node show {node} says whether the host calls and runs on UEFI"
        ),
    )
    .seen("it does not call, its firmware's boot variables are not there, or it is asked for nothing in its phase")
}

/// It took too long.
#[must_use]
pub fn took_too_long(action: &Action, now: Millis) -> Reason {
    Reason::new(
        ReasonCode::ActionFailed,
        format!(
            "nobody has said in time that it is done: {}",
            action.act.says()
        ),
        "look at the machine's screen, and at its BMC where it has one",
    )
    .seen(format!(
        "begun {} ago by {}",
        now.since(action.began),
        action.by
    ))
}

/// A measure that is not there, or waits for nobody.
#[must_use]
pub fn waits_for_nobody(node: &NodeId, id: ActionId) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        format!("action {id} of {node} waits for nobody's word: it has begun, has ended, or is no measure"),
        "groundstate action ls --open names those that wait",
    )
    .then("nothing: the request changed nothing")
}

/// No such action.
#[must_use]
pub fn no_such_action(id: &str) -> Reason {
    Reason::new(
        ReasonCode::BadRequest,
        format!("there is no action {id:?}, or it ended long ago"),
        "groundstate action ls names them",
    )
}

/// A program wants a measure by itself.
#[must_use]
pub fn wanted_by(by: &str, measure: Measure) -> Reason {
    Reason::new(
        ReasonCode::HostTrouble,
        format!("{by} wants it: {}", measure.says()),
        "no action needed",
    )
}

/// One try to bring a machine to boot from the network.
#[must_use]
pub fn tried_line(doing: &Doing) -> String {
    let nth = ordinal(doing.action.attempt);
    let what = doing.action.act.says();
    match &doing.ended {
        None => format!("{nth} try: {what}: under way"),
        Some((_, Outcome::Done { by, .. })) => format!("{nth} try: {what}: done by {by}"),
        Some((_, Outcome::Failed { reason })) => {
            format!("{nth} try: {what}: {} [{}]", reason.what, reason.code)
        }
        Some((_, Outcome::Vetoed { by, .. })) => format!("{nth} try: {what}: stopped by {by}"),
    }
}

/// What a machine waits for that its BMC is to restart, and what the BMC has done so far.
#[must_use]
pub fn boot_waits(mut reason: Reason, failed: Option<&Reason>, tried: Vec<String>) -> Reason {
    reason.evidence.extend(tried);
    if let Some(failed) = failed {
        reason.code = ReasonCode::PowerNeeded;
        reason.next_step = format!(
            "power the machine on, or restart it, and let it boot from the network; for its BMC: {}",
            failed.next_step
        );
    }
    reason
}
