// SPDX-License-Identifier: Apache-2.0
//! Every sentence about actions: what is done to a machine or asked of its host.

use crate::action::Doing;
use crate::reasons::cut;
use crate::reasons_power;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::action::{Act, Action, ActionId, Outcome};
use groundstate_api::erase::EraseClass;
use groundstate_api::headline::ordinal;
use groundstate_api::healing::Measure;
use groundstate_api::plan::OrderTerms;
use groundstate_api::{Millis, NodeId, Reason, ReasonCode, site};

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
pub fn needs_hands(site: &site::Node, act: &Act) -> Reason {
    let place = reasons_power::stands(site);
    let step = match act {
        Act::Power { .. } => {
            format!(
                "go to the machine ({place}) and use its power button; or enter its BMC in the site file"
            )
        }
        Act::BootNext { .. } => {
            format!(
                "nothing, where a run is ordered: the boot service answers by that; else choose it in the firmware's boot menu ({place})"
            )
        }
        Act::Identify { .. } => {
            format!("find the machine ({place}); or enter its BMC in the site file")
        }
        Act::HostBootNext { .. }
        | Act::RestartServices
        | Act::CollectDiagnostics
        | Act::RebootHost
        | Act::Drain
        | Act::Heal { .. } => format!("go to the machine ({place})"),
    };
    Reason::new(
        ReasonCode::PowerNeeded,
        format!("{} has no BMC that could do it: {}", site.name, act.says()),
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

/// Its BMC could not be asked, and is asked again at this time; never where there is none.
#[must_use]
pub fn asked_again(mut reason: Reason, at: Option<Millis>) -> Reason {
    reason.deadline = at;
    reason.then(match at {
        Some(_) => {
            "its BMC is asked again at the deadline, and its credential read anew, if the machine is not there by then"
        }
        None => "nothing more by its BMC: the time in which it is asked again is over",
    })
}

/// The same in what the machine waits for: with the time of the next try; without one it is under way.
#[must_use]
pub fn bmc_asked_again(mut reason: Reason, failed: &Reason, at: Option<Millis>) -> Reason {
    reason.code = failed.code;
    reason.next_step.clone_from(&failed.next_step);
    let again = match at {
        Some(_) => "its BMC is asked again at the deadline, and its credential read anew",
        None => "its BMC is being asked again",
    };
    reason.next_automatic = format!("{again}; {}", reason.next_automatic);
    reason.deadline = at.or(reason.deadline);
    reason
}

/// Its BMC is not asked any more for the machine that is waited for.
#[must_use]
pub fn bmc_gives_up(mut reason: Reason, failed: &Reason, place: &str) -> Reason {
    reason.code = ReasonCode::PowerNeeded;
    reason.next_step = format!(
        "power the machine on, or restart it, and let it boot from the network ({place}); for its BMC: {}",
        failed.next_step
    );
    reason
}

/// What a machine waits for, behind what its order takes away for good: whoever powers it on reads that first.
#[must_use]
pub fn for_order(mut reason: Reason, terms: &OrderTerms) -> Reason {
    if let Some(what) = terms.takes_away()
        && !reason.what.starts_with(&what)
    {
        reason.what = format!("{what}: {}", reason.what);
    }
    reason
}

/// The same with the way to stop it.
#[must_use]
pub fn may_be_stopped(reason: Reason, terms: &OrderTerms) -> Reason {
    let mut reason = for_order(reason, terms);
    if terms.takes_away().is_some() {
        reason.next_step = format!(
            "{}; to stop what is ordered before it begins: groundstate node quarantine NODE",
            reason.next_step
        );
    }
    reason
}

/// The command that orders the whole node again.
const REPROVISION: &str = "groundstate node reprovision NODE";

/// The command that orders the same again: nobody who wanted a disk erased is sent to put a host on it.
#[must_use]
pub fn again(terms: &OrderTerms) -> String {
    match (&terms.erase, &terms.rebuild) {
        (Some(erase), _) => {
            let level = match erase.level {
                EraseClass::Clear => "",
                EraseClass::Purge => " --level purge",
            };
            let each = erase.serials.iter();
            let each: String = each.map(|disk| format!(" --confirm {disk}")).collect();
            format!("groundstate node erase NODE{level}{each}")
        }
        (None, Some(serial)) => format!("groundstate node rebuild-disk NODE {serial}"),
        (None, None) => String::from(REPROVISION),
    }
}

/// The reason with the command that orders the same again.
#[must_use]
pub fn same_again(mut reason: Reason, terms: &OrderTerms) -> Reason {
    reason.next_step = reason.next_step.replace(REPROVISION, &again(terms));
    reason
}

/// Where the machine is that a person is to power on.
#[must_use]
pub fn stands_at(mut reason: Reason, place: &str) -> Reason {
    if reason.code == ReasonCode::PowerNeeded {
        reason.next_step = format!("{} ({place})", reason.next_step);
        reason
    } else {
        reason.seen(format!("the machine: {place}"))
    }
}
