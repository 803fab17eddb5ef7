// SPDX-License-Identifier: Apache-2.0
//! Every sentence that the provisioner says: what, what was seen, what happens by itself, the one next step.

use crate::deadline::{FIRST_KEY_QUIET, HOST_START_MAX, READY_SILENCE_MAX, RETURNS_MAX};
use crate::node::BoundKey;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::boot_session::ForeignServer;
use groundstate_api::enrol::EnrolRequest;
use groundstate_api::headline::ordinal;
use groundstate_api::inventory::Disk;
use groundstate_api::limits::ENROLMENT_WINDOW_MAX;
use groundstate_api::plan::Step;
use groundstate_api::view::Phase;
use groundstate_api::{Millis, NodeId, Part, PlanId, Reason, ReasonCode, RunId};

const ORDER_AGAIN: &str = "order again: groundstate node reprovision NODE";

fn machine(said: &str) -> Part {
    Part::Machine {
        said: said.to_string(),
    }
}

/// The MAC address is nobody's.
#[must_use]
pub fn unknown_machine(mac: &str) -> Reason {
    Reason::new(
        ReasonCode::UnknownMachine,
        "this machine is not in the site file",
        "if it belongs here, accept it (groundstate machine ls), or add a [[node]] with its MAC address, UUID and serial number to the site file and apply it (groundstate apply)",
    )
    .about(machine(mac))
    .seen(format!("boot MAC address {mac}"))
    .then("nothing: it gets no boot file and cannot enrol")
}

/// Another DHCP server answers.
#[must_use]
pub fn foreign_dhcp(server: &ForeignServer) -> Reason {
    let at = &server.server;
    let mut reason = Reason::new(
        ReasonCode::ForeignDhcp,
        "another DHCP server answers on the provisioning network; it can send machines anywhere",
        format!(
            "find it (`ip neighbour show {at}` on the boot service's machine names its MAC address, the switch the port) and switch it off"
        ),
    )
    .about(machine(at))
    .seen(format!("packets heard of it: {}", server.packets))
    .then("the boot service goes on answering; whichever answer comes first counts");
    if let Some(client) = server.client {
        reason = reason.seen(format!("the machine that it answered last: {client}"));
    }
    reason.since = Some(server.first);
    reason
}

/// The machine asks, but nobody ordered.
#[must_use]
pub fn nothing_ordered(phase: Phase) -> Reason {
    Reason::new(
        ReasonCode::NothingOrdered,
        "nobody has ordered anything for this machine",
        "order a run (groundstate node provision NODE), or restart the machine to boot its own disk",
    )
    .seen(format!("the node is {}", phase.as_str()))
    .then("the machine asks again; nothing is written")
}

/// The window closed.
#[must_use]
pub fn window_closed(closed: Millis, phase: Phase) -> Reason {
    let seen = match phase {
        Phase::Booting => {
            "the boot service saw the machine, but its maintenance OS did not enrol in time"
        }
        Phase::Enrolled
        | Phase::Ordered
        | Phase::Checking
        | Phase::Planned
        | Phase::Provisioning
        | Phase::Erasing
        | Phase::HandedOver
        | Phase::Ready
        | Phase::Suspect
        | Phase::Draining
        | Phase::Quarantined
        | Phase::InRepair
        | Phase::Held
        | Phase::Rescue
        | Phase::Retired => "the machine did not enrol in time",
    };
    let mut reason = Reason::new(
        ReasonCode::EnrolmentExpired,
        format!("the enrolment window of {ENROLMENT_WINDOW_MAX} has closed"),
        "check that the machine has power and boots from the network, then order again: groundstate node reprovision NODE",
    )
    .seen(seen);
    reason.since = Some(closed);
    reason
}

/// A second key.
#[must_use]
pub fn second_key(first: &BoundKey, request: &EnrolRequest, key: &str) -> Reason {
    Reason::new(
        ReasonCode::SecondKey,
        "another key already holds this enrolment",
        "if the machine restarted in the middle of its run, order again (groundstate node reprovision NODE); if it did not, somebody else uses its identity: find the machine",
    )
    .about(machine(&request.boot_mac.to_string()))
    .seen(format!("first key {} in boot {}", first.key, first.boot_id))
    .seen(format!("second key {key} in boot {}", request.boot_id))
    .then("the second key gets no certificate; the first one goes on")
}

/// Another boot of the machine asks, and the run's key was heard a moment ago.
#[must_use]
pub fn key_still_speaks(
    quiet: Millis,
    first: &BoundKey,
    request: &EnrolRequest,
    key: &str,
) -> Reason {
    let mut reason = second_key(first, request, key);
    reason.what =
        "another boot of this machine holds its run and was heard a moment ago".to_string();
    reason.next_automatic = format!(
        "the machine asks again; the run goes on in this boot once the other one has been silent for {FIRST_KEY_QUIET}"
    );
    reason.next_step = "no action needed if the machine lost power or restarted; if it did not, somebody else uses its identity: find that machine".to_string();
    reason.seen(format!("the other boot was heard {quiet} ago"))
}

/// The run's key spoke beside another boot: two machines say that they are this one.
#[must_use]
pub fn contested(first: &BoundKey, request: &EnrolRequest, key: &str) -> Reason {
    let mut reason = second_key(first, request, key);
    reason.what =
        "two machines say that they are this one: both spoke at the same time".to_string();
    reason.next_automatic =
        "this boot gets no certificate; the run goes on with the key that holds it".to_string();
    reason.next_step = "find the machine that uses this one's identity; if the run stops, order again (groundstate node reprovision NODE)".to_string();
    reason
}

/// The machine came back in its run: the alarm.
#[must_use]
pub fn came_back(at: Millis, run: &RunId, boot: u32) -> Reason {
    let boot = ordinal(boot);
    let mut reason = Reason::new(
        ReasonCode::PowerLost,
        format!("node came back after power loss, {boot} boot of this run"),
        "no action needed if the machine lost power or restarted; if it did not, somebody else uses its identity: find that machine",
    )
    .seen(format!("run {run}"))
    .seen("the key of the boot before was silent and opens nothing more")
    .then("the run goes on with the same plan, from its first step");
    reason.since = Some(at);
    reason
}

/// The machine came back once too often.
#[must_use]
pub fn came_back_too_often(boots: u32) -> Reason {
    Reason::new(
        ReasonCode::PowerLost,
        format!("the machine restarted {boots} times in the middle of this run"),
        "look at its power supply, its temperature and its memory, and for a machine that uses its identity; then order again: groundstate node reprovision NODE",
    )
    .seen(format!("a run goes on by itself {RETURNS_MAX} times at most"))
}

/// A certificate of a boot that is over.
#[must_use]
pub fn withdrawn(run: &RunId, boots: u32) -> Reason {
    let boot = ordinal(boots);
    Reason::new(
        ReasonCode::NotAllowed,
        "the certificate of this boot was withdrawn: the run went on in a later boot of the machine",
        "if this is the machine, restart it; if two machines use one identity, find the other one",
    )
    .seen(format!("run {run} is in its {boot} boot"))
    .then("nothing: nothing of this boot is believed any more")
}

/// The host's certificate was asked for with another key.
#[must_use]
pub fn second_host_key(first: &str, key: &str) -> Reason {
    Reason::new(
        ReasonCode::SecondKey,
        "the host's certificate was already issued for another key",
        ORDER_AGAIN,
    )
    .seen(format!("first key {first}"))
    .seen(format!("second key {key}"))
    .then("the second key gets no certificate")
}

/// MAC, UUID and serial number do not belong together.
#[must_use]
pub fn identity_mismatch(node: &NodeId, differs: Vec<String>) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::IdentityMismatch,
        format!("this machine has a MAC address of {node}, but it is not {node}"),
        "if the mainboard or the network card was replaced, correct the site file and apply it (groundstate apply); if not, find the machine that uses this MAC address",
    )
    .about(machine(node.as_str()))
    .then("nothing: it cannot enrol");
    reason.evidence = differs;
    reason
}

/// Who brings a machine to its new run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comes {
    /// Its host restarts into the network at its next report.
    TheHost,
    /// Its maintenance OS, which was heard a moment ago, enrols again.
    TheMaintenanceOs,
    /// Nobody was heard: its BMC restarts it.
    TheBmc,
    /// Nobody was heard, and it has no BMC: a person powers it on.
    APerson,
}

/// Waiting for the machine to appear.
#[must_use]
pub fn waiting_for_machine(now: Millis, closes: Millis, comes: Comes) -> Reason {
    let network = "waiting for the machine to boot from the network";
    let (code, what, next) = match comes {
        Comes::TheHost => (
            ReasonCode::UnderWay,
            network,
            "no action needed: the host restarts into the network at its next report",
        ),
        Comes::TheMaintenanceOs => (
            ReasonCode::UnderWay,
            "waiting for the machine's maintenance OS to enrol again",
            "no action needed: the maintenance OS, heard a moment ago, goes on by itself; if its screen does not change in a minute, restart the machine from the network",
        ),
        Comes::TheBmc => (
            ReasonCode::UnderWay,
            network,
            "no action needed: its BMC is asked to restart it into the network",
        ),
        Comes::APerson => (
            ReasonCode::PowerNeeded,
            network,
            "power the machine on, or restart it, and let it boot from the network",
        ),
    };
    let mut reason =
        Reason::new(code, what, next).then("the run stops when the enrolment window closes");
    reason.since = Some(now);
    reason.deadline = Some(closes);
    reason
}

/// The order ran out before the machine enrolled, and its host is there.
#[must_use]
pub fn order_lapsed(now: Millis) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::EnrolmentExpired,
        "the order has lapsed: the machine did not enrol in its window, and its host is back",
        "to replace the host, order again: groundstate node reprovision NODE",
    )
    .seen("no disk was touched")
    .then("nothing: the host goes on");
    reason.since = Some(now);
    reason
}

/// The boot that a run was bound to is gone.
#[must_use]
pub fn machine_restarted(now: Millis, heard: Option<Millis>) -> Reason {
    let heard = heard.map_or_else(
        || "no report since groundstate was started".to_string(),
        |at| format!("last report {} ago", now.since(at)),
    );
    Reason::new(
        ReasonCode::SecondKey,
        "the machine restarted in the middle of its run",
        "no action needed: another run was ordered",
    )
    .seen(heard)
    .seen("another boot of the machine has asked to enrol since")
    .then("this run ends; the one that was ordered begins")
}

/// Checking never came to an end, though somebody may be there.
#[must_use]
pub fn checking_too_long(since: Millis, now: Millis, has_inventory: bool) -> Reason {
    let (code, what) = if has_inventory {
        (ReasonCode::Internal, "the plan was not written in time")
    } else {
        (
            ReasonCode::NodeSilent,
            "no inventory of the machine arrived in time",
        )
    };
    Reason::new(
        code,
        what,
        "look at the machine's screen and at the provisioner's log; then order again: groundstate node reprovision NODE",
    )
    .seen(format!("checking began {} ago", now.since(since)))
}

/// The maintenance OS calls, but the plan does not go on.
#[must_use]
pub fn plan_stands_still(moved: Millis, now: Millis, step: Option<Step>) -> Reason {
    let at = step.map_or("about to begin", Step::says);
    Reason::new(
        ReasonCode::NodeSilent,
        "the maintenance OS calls, but no report of its plan arrives",
        "read the reason on the machine's screen; then order again: groundstate node reprovision NODE",
    )
    .seen(format!("last report {} ago", now.since(moved)))
    .seen(format!("it was {at}"))
}

/// The planner came to no answer.
#[must_use]
pub fn planner_failed(why: &str) -> Reason {
    Reason::new(
        ReasonCode::Internal,
        "the plan could not be made or kept",
        "look at the provisioner's log and its disk; then order again: groundstate node reprovision NODE",
    )
    .seen(why)
}

/// The machine boots.
#[must_use]
pub fn booting(now: Millis, closes: Option<Millis>) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::UnderWay,
        "the machine boots; waiting for its maintenance OS to enrol",
        "no action needed; if it takes minutes, look at the machine's screen",
    )
    .then("the run stops when the enrolment window closes");
    reason.since = Some(now);
    reason.deadline = closes;
    reason
}

/// The plan is being made.
#[must_use]
pub fn planning(since: Millis) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::UnderWay,
        "the provisioner checks the image and writes the plan",
        "no action needed",
    )
    .then("the plan follows");
    reason.since = Some(since);
    reason
}

/// The planner answered for another run.
#[must_use]
pub fn plan_of_another(run: &RunId) -> Reason {
    Reason::new(
        ReasonCode::Internal,
        format!("the planner's answer is not for run {run}"),
        ORDER_AGAIN,
    )
}

/// The maintenance OS belongs to a run that is over.
#[must_use]
pub fn run_is_over(run: &RunId) -> Reason {
    Reason::new(
        ReasonCode::NothingOrdered,
        "this run is over",
        "order another run (it is picked up by itself), or restart the machine to boot its own disk",
    )
    .seen(format!("run {run} is not the node's current run"))
    .then("nothing more is written")
}

/// The maintenance OS stopped reporting.
#[must_use]
pub fn node_silent(heard: Millis, now: Millis, step: Option<Step>) -> Reason {
    let at = step.map_or("looking at the hardware", Step::says);
    Reason::new(
        ReasonCode::NodeSilent,
        "the maintenance OS has stopped reporting",
        "look at the machine's screen, its power and its link; then order again: groundstate node reprovision NODE",
    )
    .seen(format!("last report {} ago", now.since(heard)))
    .seen(format!("it was {at}"))
}

/// The host was started.
#[must_use]
pub fn host_starting(now: Millis) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::UnderWay,
        "the host was started; waiting for its agent's first call",
        "no action needed; if it takes minutes, look at the machine's screen",
    )
    .then("the node is held when the host has not called in time");
    reason.since = Some(now);
    reason.deadline = Some(now.plus(HOST_START_MAX));
    reason
}

/// The new host never called.
#[must_use]
pub fn host_never_called(since: Millis, now: Millis) -> Reason {
    Reason::new(
        ReasonCode::HostSilent,
        "the new host has not called",
        "look at the machine's screen and at its network; then order again: groundstate node reprovision NODE",
    )
    .seen(format!("started {} ago", now.since(since)))
}

/// A Ready host stopped calling.
#[must_use]
pub fn host_silent(heard: Option<Millis>, now: Millis) -> Reason {
    let seen = heard.map_or_else(
        || "no report since groundstate was started".to_string(),
        |at| format!("last report {} ago", now.since(at)),
    );
    Reason::new(
        ReasonCode::HostSilent,
        format!("the host has not reported for {READY_SILENCE_MAX}"),
        "look at the machine's power, link and screen",
    )
    .seen(seen)
    .then("the node is ready again when its host reports")
}

/// `provision` where there is a host.
#[must_use]
pub fn host_is_there(node: &NodeId) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        format!("{node} has a host, and provision replaces none"),
        format!("if the host may go: groundstate node reprovision {node}"),
    )
}

/// `rebuild-disk` where no host is.
#[must_use]
pub fn no_host_to_rebuild(node: &NodeId) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        format!("{node} has no host, so no disk of it can be rebuilt alone"),
        format!(
            "order a run for the whole node: groundstate node provision {node}, or reprovision where one failed"
        ),
    )
}

/// `reprovision` where nothing was.
#[must_use]
pub fn nothing_to_do_again(node: &NodeId) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        format!("{node} was never provisioned"),
        format!("order its first run: groundstate node provision {node}"),
    )
}

/// A run is under way.
#[must_use]
pub fn run_under_way(node: &NodeId, phase: Phase, deadline: Option<Millis>) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::PlanRefused,
        format!("a run of {node} is under way"),
        format!("wait for it: groundstate node wait {node}"),
    )
    .seen(format!("the node is {}", phase.as_str()))
    .then("the run goes on");
    reason.deadline = deadline;
    reason
}

/// A host's certificate is asked for without a plan.
#[must_use]
pub fn no_plan_for_host(run: &RunId) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        "there is no plan that this host could belong to",
        "ask for the instruction and follow it",
    )
    .seen(format!("run {run}"))
}

/// A host of a plan that is not this node's.
#[must_use]
pub fn host_of_another_plan(node: &NodeId, plan: &PlanId) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        format!("{node} has no host of this plan"),
        "this host was replaced, or was never started by us: take it off the network",
    )
    .seen(format!("plan {plan}"))
}

/// A heartbeat before a registration in this boot.
#[must_use]
pub fn host_not_registered(node: &NodeId, plan: &PlanId) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        format!("no host of {node} has registered in this boot"),
        "the agent registers first",
    )
    .seen(format!("plan {plan}"))
}

/// A node that the site does not have.
#[must_use]
pub fn no_such_node(name: &str, known: &[String]) -> Reason {
    let reason = Reason::new(
        ReasonCode::UnknownMachine,
        format!("the site has no node {name:?}"),
        "groundstate node list names them all",
    )
    .about(Part::Field {
        path: "node".to_string(),
    });
    // A short list helps; a long one does not.
    if known.len() <= 12 {
        reason.seen(format!("nodes: {}", known.join(", ")))
    } else {
        reason.seen(format!("{} nodes", known.len()))
    }
}

/// A certificate of a disk that the run's plan does not erase, or of a run that is over.
#[must_use]
pub fn not_to_be_erased(run: &RunId, serial: &str) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        format!("no open run erases disk {serial}"),
        "order the erase again: groundstate node erase NODE",
    )
    .seen(format!("run {run}"))
}

/// The erase is over, and not every disk is proved.
#[must_use]
pub fn not_proved(node: &NodeId, serials: &[String]) -> Reason {
    Reason::new(
        ReasonCode::EraseFailed,
        format!(
            "quarantine: {} of {node}'s disks could not be erased, or it cannot be proved",
            serials.len()
        ),
        format!(
            "read why: groundstate node certificates {node}; then erase again, or take the disk out and destroy it"
        ),
    )
    .seen(format!("not proved: {}", serials.join(", ")))
    .then("nothing: a node never leaves quarantine by itself")
}

/// A run finds a disk whose erase began and is not proved.
#[must_use]
pub fn in_quarantine(node: &NodeId, disk: &Disk, since: Option<Millis>) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::EraseFailed,
        "a disk is in quarantine: its erase began and is not proved",
        format!(
            "erase it: groundstate node erase {node} --confirm {}; or take it out and destroy it",
            disk.serial
        ),
    )
    .about(disk.part())
    .then("nothing: a node never leaves quarantine by itself");
    reason.since = since;
    reason
}

/// Cuts a text that comes from outside to so many bytes, between two characters.
pub(crate) fn cut(text: &mut String, max: usize) {
    if text.len() > max {
        let mut end = max;
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        text.truncate(end);
    }
}
