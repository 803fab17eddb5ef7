// SPDX-License-Identifier: Apache-2.0
//! Every sentence about a node's life beside its runs, and about healing.

use crate::life::LifeOrder;
use crate::node::Node;
use crate::reasons::Comes;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::action::Outcome;
use groundstate_api::enrol::RescueShell;
use groundstate_api::headline::ordinal;
use groundstate_api::healing::{Measure, MeasureView, Trouble, TroubleKind};
use groundstate_api::view::Phase;
use groundstate_api::{Millis, NodeId, PlanId, Reason, ReasonCode, RunId};

/// The most names in one line of evidence.
const NAMED_MAX: usize = 8;

/// The longest address or fingerprint, in bytes.
const ADDRESS_MAX: usize = 100;

fn since(mut reason: Reason, now: Millis) -> Reason {
    reason.since = Some(now);
    reason
}

/// Who, and why in their words.
fn said(reason: Reason, by: &str, why: &str) -> Reason {
    let reason = reason.seen(format!("ordered by {by}"));
    if why.is_empty() {
        reason
    } else {
        reason.seen(format!("why: {why}"))
    }
}

/// The host gives its work away.
#[must_use]
pub fn draining(now: Millis, by: &str, why: &str) -> Reason {
    let reason = Reason::new(
        ReasonCode::Draining,
        "the host gives its work away",
        "no action needed; to have it back: groundstate node release NODE",
    )
    .then("the node stays out of use after that, until somebody orders what comes next");
    since(said(reason, by, why), now)
}

/// The host has given its work away, or could not.
#[must_use]
pub fn drained(mut reason: Reason, outcome: &Outcome) -> Reason {
    let line = match outcome {
        Outcome::Done { facts, .. } => {
            reason.what = "the host has given its work away".to_string();
            facts.first().cloned()
        }
        Outcome::Failed { reason: why } => {
            reason.what =
                "the host may still have work: its drain failed or took too long".to_string();
            Some(why.what.clone())
        }
        Outcome::Vetoed { by, .. } => Some(format!("stopped by {by}")),
    };
    reason.evidence.extend(line);
    reason.next_automatic = "nothing: it waits for an order".to_string();
    reason.next_step =
        "order what comes next (reprovision, quarantine, repair, retire), or give it back: groundstate node release NODE".to_string();
    reason
}

/// A host that does not call cannot drain.
#[must_use]
pub fn nothing_to_drain(node: &NodeId) -> Reason {
    Reason::new(
        ReasonCode::HostSilent,
        format!("the host of {node} does not call, so it cannot be asked to give its work away"),
        format!("take it out of use: groundstate node quarantine {node}"),
    )
}

/// Out of use, by order.
#[must_use]
pub fn quarantined(now: Millis, by: &str, why: &str) -> Reason {
    let reason = Reason::new(
        ReasonCode::Quarantined,
        "the node is out of use",
        "repair it (groundstate node repair NODE), or give it back: groundstate node release NODE",
    )
    .then("nothing: a node never leaves quarantine by itself");
    since(said(reason, by, why), now)
}

/// Out of use, by the policy.
#[must_use]
pub fn quarantined_by_policy(now: Millis, node: &Node, because: Option<&Reason>) -> Reason {
    let mut reason = quarantined(now, crate::action::BY_POLICY, "");
    if let Some(because) = because {
        reason.what = format!("the node is out of use: {}", because.what);
        reason.part.clone_from(&because.part);
        reason.evidence.extend(because.evidence.iter().cloned());
    }
    reason.next_step = "repair it: print its ticket (groundstate node ticket NODE), then groundstate node repair NODE; or give it back: groundstate node release NODE".to_string();
    if let Some(episode) = &node.episode {
        for (measure, _, worked) in &episode.tried {
            let came = if *worked { "was done" } else { "failed" };
            reason
                .evidence
                .push(format!("tried: {}, which {came}", measure.says()));
        }
    }
    reason
}

/// A person works at it.
#[must_use]
pub fn in_repair(now: Millis, by: &str, why: &str) -> Reason {
    let reason = Reason::new(
        ReasonCode::InRepair,
        "a person works at the node",
        "when the work is done: groundstate node release NODE",
    )
    .then("nothing: it waits for that person");
    since(said(reason, by, why), now)
}

/// Out of the fleet.
#[must_use]
pub fn retired(now: Millis, by: &str, why: &str) -> Reason {
    let reason = Reason::new(
        ReasonCode::Retired,
        "the node is out of the fleet",
        "take it out of the rack and out of the site file; or take it back: groundstate node release NODE",
    )
    .then("nothing: it boots nothing of ours");
    since(said(reason, by, why), now)
}

/// The maintenance OS with a shell.
#[must_use]
pub fn rescue(now: Millis, by: &str, why: &str, comes: Comes) -> Reason {
    let step = match comes {
        Comes::TheHost => {
            "no action needed: the host restarts into the network at its next report; when done: groundstate node release NODE"
        }
        Comes::TheMaintenanceOs => {
            "restart the machine from the network where its screen does not change in a minute; when done: groundstate node release NODE"
        }
        Comes::TheBmc => {
            "no action needed: its BMC is asked to restart it into the network; when done: groundstate node release NODE"
        }
        Comes::APerson => {
            "power the machine on, or restart it, and let it boot from the network; when done: groundstate node release NODE"
        }
    };
    let reason = Reason::new(
        ReasonCode::Rescue,
        "the node runs, or is to run, the maintenance OS with a shell for the keys of the site file",
        step,
    )
    .then("nothing is written by itself");
    since(said(reason, by, why), now)
}

/// The shell stands open.
#[must_use]
pub fn shell_is_open(mut reason: Reason, shell: &RescueShell) -> Reason {
    let mut address = shell.address.clone();
    let mut fingerprint = shell.fingerprint.clone();
    crate::reasons::cut(&mut address, ADDRESS_MAX);
    crate::reasons::cut(&mut fingerprint, ADDRESS_MAX);
    reason.next_step = format!("ssh root@{address}; when done: groundstate node release NODE");
    reason
        .seen(format!("ssh root@{address}"))
        .seen(format!("host key {fingerprint}"))
}

/// A rescue that nobody could enter.
#[must_use]
pub fn no_rescue_keys() -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        "the site file has no key that may open a shell in a rescue",
        "add a public key to `[rescue] keys` in the site file and apply it",
    )
}

/// Given back; its host has not called since.
#[must_use]
pub fn released(now: Millis, by: &str) -> Reason {
    let reason = Reason::new(
        ReasonCode::HostSilent,
        "the node was given back; waiting for its host's next report",
        "no action needed where the host runs; where it is off, power it on",
    )
    .seen(format!("given back by {by}"))
    .then("the node is ready when its host reports");
    since(reason, now)
}

/// An order that its phase does not allow.
#[must_use]
pub fn no_way(node: &NodeId, order: LifeOrder, phase: Phase) -> Reason {
    let first = match (order, phase) {
        (_, Phase::Quarantined | Phase::InRepair | Phase::Rescue | Phase::Retired) => {
            format!("give it back first: groundstate node release {node}")
        }
        (LifeOrder::Release, _) => format!("nothing holds it: groundstate node explain {node}"),
        (_, Phase::Ready) => {
            format!("let its host give its work away first: groundstate node drain {node}")
        }
        (LifeOrder::Drain, _) => format!("it has no host at work: groundstate node explain {node}"),
        (_, _) => format!(
            "wait for its run (groundstate node wait {node}), or stop it: groundstate node quarantine {node}"
        ),
    };
    Reason::new(
        ReasonCode::PlanRefused,
        format!(
            "{} is not possible while {node} is {}",
            order.as_str(),
            phase.as_str()
        ),
        first,
    )
}

/// A run, or an action, of a node that is out of use.
#[must_use]
pub fn out_of_use(node: &NodeId, phase: Phase) -> Reason {
    let (code, what) = match phase {
        Phase::InRepair => (ReasonCode::InRepair, "a person works at it"),
        Phase::Retired => (ReasonCode::Retired, "it is out of the fleet"),
        Phase::Rescue => (ReasonCode::Rescue, "it is in rescue"),
        Phase::Quarantined
        | Phase::Enrolled
        | Phase::Ordered
        | Phase::Booting
        | Phase::Checking
        | Phase::Planned
        | Phase::Provisioning
        | Phase::Erasing
        | Phase::HandedOver
        | Phase::Ready
        | Phase::Suspect
        | Phase::Draining
        | Phase::Held => (ReasonCode::Quarantined, "it is out of use"),
    };
    Reason::new(
        code,
        format!("nothing can be ordered for {node}: {what}"),
        format!("give it back first: groundstate node release {node}"),
    )
    .seen(format!("the node is {}", phase.as_str()))
    .then("nothing: a node never leaves this by itself")
}

/// The plan waits to be approved.
#[must_use]
pub fn waits_for_approval(now: Millis, node: &NodeId, by_policy: bool) -> Reason {
    let why = if by_policy {
        "the site asks the fabric controller about what the policy orders"
    } else {
        "its order asks for it"
    };
    let reason = Reason::new(
        ReasonCode::WaitsForApproval,
        "the plan is written and waits to be approved",
        format!("read it (groundstate node plan {node}), then: groundstate node approve {node}"),
    )
    .seen(why)
    .then("nothing is written until then; the machine is held when it falls silent");
    since(reason, now)
}

/// Nothing to approve.
#[must_use]
pub fn nothing_to_approve(node: &NodeId, run: &RunId) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        format!("no plan of run {run} of {node} waits to be approved"),
        format!("groundstate node explain {node} says what it waits for"),
    )
    .then("nothing: the request changed nothing")
}

/// The plan waits for its place.
#[must_use]
pub fn waits_for_place(now: Millis) -> Reason {
    let reason = Reason::new(
        ReasonCode::WaitsForPlace,
        "the plan waits for its place: as many runs as the site allows carry theirs out",
        "no action needed; to have more at once, raise runs_at_once in the site file",
    )
    .then("it goes on when a run before it is done");
    since(reason, now)
}

/// Where it stands in the queue.
#[must_use]
pub fn at_place(reason: Reason, place: u32, of: u32) -> Reason {
    reason.seen(format!("{} of {of} that wait", ordinal(place)))
}

/// What is tried again, when, and how often yet.
#[must_use]
pub fn tried_again(mut reason: Reason, at: Millis, next: u32, of: u32) -> Reason {
    reason.deadline = Some(at);
    reason.next_automatic = format!("the run is ordered again: {} of {of} tries", ordinal(next));
    reason.next_step = format!("no action needed; if it fails again: {}", reason.next_step);
    reason
}

/// Somebody says that something is wrong with the host.
#[must_use]
pub fn in_trouble(now: Millis, by: &str, trouble: &Trouble) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::HostTrouble,
        trouble.what.clone(),
        "look at the host's services, volumes and hardware",
    )
    .seen(format!("said by {by}"))
    .then("the node is ready again when nothing is wrong any more");
    reason.evidence.extend(trouble.evidence.iter().cloned());
    since(reason, now)
}

/// Why the policy wants something.
#[must_use]
pub fn policy_wants(node: &Node, kind: TroubleKind, what: &str) -> Reason {
    let code = match kind {
        TroubleKind::Silent => ReasonCode::HostSilent,
        TroubleKind::Service
        | TroubleKind::Disk
        | TroubleKind::Memory
        | TroubleKind::Volume
        | TroubleKind::Other => ReasonCode::HostTrouble,
    };
    let mut reason = Reason::new(code, what, "no action needed: the policy acts");
    let said = node.troubles.iter().flat_map(|(by, said)| {
        said.troubles
            .iter()
            .map(move |trouble| format!("{by}: {}", trouble.what))
    });
    reason.evidence.extend(said.take(NAMED_MAX));
    if let Some(episode) = &node.episode {
        reason.since = Some(episode.began);
    }
    reason
}

/// What the policy does next, and what that waits for.
#[must_use]
pub fn policy_thinks(mut reason: Reason, view: &MeasureView) -> Reason {
    let what = view.measure.says();
    reason.next_automatic = match (&view.waits, view.due) {
        (Some(waits), _) => format!("{what}, which waits: {}", waits.what),
        (None, Some(_)) if view.action.is_some() => format!("{what}: that goes on"),
        (None, _) => format!("{what}, if this lasts"),
    };
    match &view.waits {
        Some(waits) => {
            reason.evidence.extend(waits.evidence.iter().cloned());
            reason.next_step.clone_from(&waits.next_step);
        }
        None => reason.deadline = view.due.or(reason.deadline),
    }
    reason
}

/// An order names a disk that neither the node's last report nor its plan nor the site file has.
#[must_use]
pub fn unknown_disk(node: &NodeId, serial: &str, there: &[&str], is_rebuild: bool) -> Reason {
    let new = "if the disk is new, write its serial number into the site file and apply it (groundstate apply)";
    let next = if is_rebuild {
        format!(
            "look at the number; {new}, or say that you mean it: groundstate node rebuild-disk {node} {serial} --confirm"
        )
    } else {
        format!("look at the number; {new}")
    };
    Reason::new(
        ReasonCode::PlanRefused,
        format!(
            "no disk {serial} is known in {node}: not from its last report, its plan or the site file"
        ),
        next,
    )
    .seen(format!("its last report has {}", there.join(", ")))
    .then("nothing was ordered, and its host goes on")
}

/// A measure where none is possible.
#[must_use]
pub fn no_measure(node: &NodeId, phase: Phase) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        format!("no measure is possible while {node} is {}", phase.as_str()),
        format!("groundstate node explain {node} says what it waits for"),
    )
}

/// A measure waits to be approved.
#[must_use]
pub fn measure_waits_for_approval(measure: Measure) -> Reason {
    Reason::new(
        ReasonCode::WaitsForApproval,
        "it waits until the fabric controller approves it",
        format!(
            "approve or veto it ({}): groundstate action approve ID, groundstate action veto ID",
            measure.says()
        ),
    )
    .then("it begins when it is approved")
}

/// The brake is on.
#[must_use]
pub fn braked(brake: &Reason) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::Brake,
        format!("the brake is on: {}", brake.what),
        "find what failed everywhere; then let the brake go: groundstate brake release",
    )
    .then("nothing, until a person or the fabric controller lets the brake go");
    reason.evidence.clone_from(&brake.evidence);
    reason.since = brake.since;
    reason
}

/// The brake sets itself.
#[must_use]
pub fn brake_sets_itself(now: Millis, count: u32, within: Millis) -> Reason {
    let reason = Reason::new(
        ReasonCode::Brake,
        "too much fails at once for any measure at a node to heal it",
        "look for what the nodes have in common (a switch, a power feed, an image); then let the brake go: groundstate brake release",
    )
    .seen(format!("{count} measures failed or nodes fell silent within {within}"))
    .then("no measure begins until a person or the fabric controller lets the brake go");
    since(reason, now)
}

/// The brake, set by somebody.
#[must_use]
pub fn brake_is_set(now: Millis, by: &str, why: &str) -> Reason {
    let what = if why.is_empty() {
        format!("set by {by}")
    } else {
        why.to_string()
    };
    let reason = Reason::new(
        ReasonCode::Brake,
        what,
        "let it go: groundstate brake release",
    )
    .seen(format!("set by {by}"))
    .then("no measure begins until a person or the fabric controller lets the brake go");
    since(reason, now)
}

/// Forbidden.
#[must_use]
pub fn vetoed(by: &str, why: &str) -> Reason {
    let reason = Reason::new(
        ReasonCode::Vetoed,
        format!("{by} has forbidden what the policy wanted about this trouble"),
        "order by hand what shall be done",
    )
    .then("nothing more about this trouble");
    if why.is_empty() {
        reason
    } else {
        reason.seen(format!("why: {why}"))
    }
}

/// As many nodes as may be are kept from their work.
#[must_use]
pub fn no_room_for_nodes(limit: u32, kept: &BTreeSet<NodeId>) -> Reason {
    Reason::new(
        ReasonCode::WaitsForPlace,
        format!("measures keep {limit} nodes from their work already, as many as the site allows"),
        "no action needed where they recover; repair or release those in quarantine, or raise nodes_at_once in the site file",
    )
    .seen(format!("at it: {}", names(kept.iter().map(NodeId::as_str))))
    .then("it begins when one of them is ready, or a person takes one over")
}

/// As many fault domains as may be are touched.
#[must_use]
pub fn no_room_for_domains<'a>(
    limit: u32,
    domain: &str,
    taken: impl Iterator<Item = &'a str>,
) -> Reason {
    Reason::new(
        ReasonCode::WaitsForPlace,
        format!("measures touch {limit} fault domains already, as many as the site allows"),
        "no action needed where their nodes recover; repair or release those in quarantine, or raise domains_at_once in the site file",
    )
    .seen(format!("this node's: {domain}"))
    .seen(format!("at it: {}", names(taken)))
    .then("it begins when no node there is kept from its work any more")
}

fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = all.collect();
    let more = all.len().saturating_sub(NAMED_MAX);
    let mut line = all
        .iter()
        .take(NAMED_MAX)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    if more > 0 {
        line.push_str(&format!(" and {more} more"));
    }
    line
}

/// A host of an earlier run, or of none of ours, speaks.
#[must_use]
pub fn ghost_of_plan(node: &NodeId, plan: &PlanId) -> Reason {
    ghost(
        node,
        "it was made by an earlier run, or its key is not the one that was issued",
    )
    .seen(format!("plan {plan}"))
}

/// A host speaks as of an earlier epoch.
#[must_use]
pub fn ghost_of_epoch(node: &NodeId, says: u64, is: u64) -> Reason {
    ghost(node, "it was made for an earlier run of the node").seen(format!(
        "it says epoch {says}; the node's host is of epoch {is}"
    ))
}

/// A boot of the host that was followed by another one speaks.
#[must_use]
pub fn ghost_of_boot(node: &NodeId, boot: &str) -> Reason {
    ghost(node, "a later boot of this host has called since: two machines run the same host, or an old state was restored")
        .seen(format!("boot {boot}"))
}

fn ghost(node: &NodeId, why: &str) -> Reason {
    Reason::new(
        ReasonCode::Fenced,
        format!("this host is fenced off: it is not the host of {node} any more"),
        "find the machine that runs it and switch it off; a host that was replaced must not come back",
    )
    .seen(why)
    .then("nothing of it is believed; its agent runs /etc/groundstate/fenced, where that is there")
}
