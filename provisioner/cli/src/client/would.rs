// SPDX-License-Identifier: Apache-2.0
//! Whether the provisioner would take an order, by its own table: a stand-in for the node, of what the API tells of it, is asked
//! as the provisioner asks the node. Nothing is sent.
//!
//! What the API does not tell it cannot know: that a machine has restarted in the middle of its run, for example, so that
//! `reprovision` is taken after all.

use super::time::now;
use groundstate_api::erase::{EraseClass, EraseTerms};
use groundstate_api::plan::{HandOver, OrderTerms};
use groundstate_api::site::Node as SiteNode;
use groundstate_api::view::{HostView, NodeView, Phase};
use groundstate_api::{PlanId, Reason, ReasonCode, RunId, SystemUuid};
use prov_core::{Host, Input, LifeOrder, Node, Reply, Wish, reasons_life};

/// What the stand-in calls its run and its host; nobody sees them.
const NOBODYS_RUN: &str = "stand-in-001-1";
const NOBODYS_HOST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The first run, or the next one where no host is.
    Provision,
    /// A run that replaces the host.
    Reprovision,
    /// A run that erases disks.
    Erase,
    /// A run for one data disk.
    Rebuild,
    /// An order about its life; whether the site has keys for a rescue.
    Life(LifeOrder, bool),
    /// That its plan is carried out.
    Approve,
}

/// Why the provisioner would refuse it; `None` where it would take it. `host` is what the node's report says of its host.
pub(crate) fn refusal(view: &NodeView, host: Option<&HostView>, wanted: Wanted) -> Option<Reason> {
    let run: RunId = NOBODYS_RUN.parse().ok()?;
    let node = stand_in(view, host, wanted)?;
    let input = match wanted {
        Wanted::Approve => return not_to_approve(view),
        Wanted::Life(order, _) => Input::Life {
            order,
            by: String::new(),
            why: String::new(),
        },
        Wanted::Provision | Wanted::Reprovision | Wanted::Erase | Wanted::Rebuild => {
            Input::Ordered {
                run,
                hand_over: None,
                again: wanted != Wanted::Provision,
                terms: terms(host, wanted),
            }
        }
    };
    let mut wishes = Vec::new();
    node.decide(now(), input, &mut wishes);
    let refused = wishes.into_iter().find_map(|wish| match wish {
        Wish::Reply(Reply::Conflict(reason)) => Some(reason),
        _ => None,
    });
    refused.map(|mut reason| {
        // The stand-in waits for nothing; the node does.
        let until = view.reason.as_ref().and_then(|reason| reason.deadline);
        reason.deadline = reason.deadline.and(until);
        reason
    })
}

fn terms(host: Option<&HostView>, wanted: Wanted) -> OrderTerms {
    // What stands on the disks of a host of ours is not told here; an adopted one, and none, has no plan to rebuild by.
    let is_made = host.is_some_and(|host| host.adopted.is_none());
    OrderTerms {
        rebuild: (wanted == Wanted::Rebuild && !is_made).then(String::new),
        erase: (wanted == Wanted::Erase).then(|| EraseTerms {
            level: EraseClass::Clear,
            serials: Vec::new(),
            ordered_by: String::new(),
        }),
        ..OrderTerms::default()
    }
}

fn stand_in(view: &NodeView, host: Option<&HostView>, wanted: Wanted) -> Option<Node> {
    let site = SiteNode::new(view.node.clone(), view.mac, SystemUuid([0; 16]), "");
    let mut node = Node::new(site, HandOver::Reboot, view.since);
    node.phase = view.phase;
    node.since = view.since;
    node.reason.clone_from(&view.reason);
    node.runs = u64::from(view.run.is_some());
    // A host that has called since the provisioner started is one, whether the report was asked for or not.
    if host.is_some() || view.last_heard.is_some() {
        let id: PlanId = NOBODYS_HOST.parse().ok()?;
        node.host = Some(Host {
            id,
            plan: None,
            adopted: host.and_then(|host| host.adopted),
            key: None,
            seen: None,
            epoch: 0,
            past_boots: Vec::new(),
        });
    }
    let is_silent = |reason: &Reason| reason.code == ReasonCode::HostSilent;
    let silent = view.reason.as_ref().is_some_and(is_silent);
    // By the provisioner's word and not by this machine's clock.
    node.live.heard = view.last_heard.filter(|_| !silent).map(|_| now());
    node.rules.rescue_keys = matches!(wanted, Wanted::Life(_, true));
    Some(node)
}

fn not_to_approve(view: &NodeView) -> Option<Reason> {
    let waits = |reason: &Reason| reason.code == ReasonCode::WaitsForApproval;
    if view.phase == Phase::Planned && view.reason.as_ref().is_some_and(waits) {
        return None;
    }
    Some(match &view.run {
        Some(run) => reasons_life::nothing_to_approve(&view.node, run),
        None => Reason::new(
            ReasonCode::PlanRefused,
            format!("{} has no run whose plan could be approved", view.node),
            format!(
                "groundstate node explain {} says what it waits for",
                view.node
            ),
        )
        .then("nothing: nothing was sent"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::Millis;
    use serde_json::json;

    fn view(phase: Phase, run: bool, heard: bool) -> NodeView {
        let now = now();
        serde_json::from_value(json!({
            "node": "n1", "mac": "52:54:00:00:00:01", "phase": phase, "since": now, "reason": null,
            "run": run.then_some("n1-001-1"), "step": null, "boot": null,
            "last_heard": heard.then_some(Millis(now.0 - 60_000)), "version": 7,
        }))
        .unwrap()
    }

    fn host(adopted: bool) -> HostView {
        serde_json::from_value(json!({
            "plan": NOBODYS_HOST, "boot_id": "564d1234-5678-9abc-def0-123456789abc", "os": "x", "changes": [],
            "adopted": adopted.then_some(1),
        }))
        .unwrap()
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn what_would_be_refused_is_told_in_the_provisioners_words() {
        let (made, taken) = (host(false), host(true));
        let life = |order| Wanted::Life(order, true);
        for (phase, run, heard, host, wanted, says) in [
            (Phase::Enrolled, false, false, None, Wanted::Provision, None),
            (
                Phase::Enrolled,
                false,
                false,
                None,
                Wanted::Reprovision,
                Some("n1 was never provisioned"),
            ),
            (
                Phase::Enrolled,
                true,
                false,
                None,
                Wanted::Reprovision,
                None,
            ),
            (Phase::Enrolled, false, false, None, Wanted::Erase, None),
            (
                Phase::Provisioning,
                true,
                false,
                None,
                Wanted::Erase,
                Some("a run of n1 is under way"),
            ),
            (
                Phase::Enrolled,
                false,
                false,
                None,
                Wanted::Rebuild,
                Some("n1 has no host, so no disk"),
            ),
            (
                Phase::Ordered,
                true,
                false,
                None,
                Wanted::Provision,
                Some("a run of n1 is under way"),
            ),
            (
                Phase::Ordered,
                true,
                false,
                None,
                Wanted::Reprovision,
                Some("a run of n1 is under way"),
            ),
            (
                Phase::Ordered,
                true,
                false,
                None,
                life(LifeOrder::Drain),
                Some("drain is not possible while n1 is ordered"),
            ),
            (
                Phase::Ordered,
                true,
                false,
                None,
                life(LifeOrder::Release),
                Some("release is not possible"),
            ),
            (
                Phase::Ordered,
                true,
                false,
                None,
                life(LifeOrder::Quarantine),
                None,
            ),
            (
                Phase::Ordered,
                true,
                false,
                None,
                Wanted::Approve,
                Some("waits to be approved"),
            ),
            (
                Phase::Enrolled,
                false,
                false,
                None,
                Wanted::Approve,
                Some("has no run whose plan"),
            ),
            (
                Phase::Ready,
                true,
                true,
                Some(&made),
                Wanted::Provision,
                Some("n1 has a host"),
            ),
            (
                Phase::Ready,
                true,
                true,
                Some(&made),
                Wanted::Reprovision,
                None,
            ),
            (Phase::Ready, true, true, Some(&made), Wanted::Rebuild, None),
            (
                Phase::Ready,
                true,
                true,
                Some(&taken),
                Wanted::Rebuild,
                Some("n1 has no host, so no disk"),
            ),
            (Phase::Ready, true, true, None, life(LifeOrder::Drain), None),
            (
                Phase::Ready,
                true,
                false,
                None,
                life(LifeOrder::Drain),
                Some("n1"),
            ),
            (
                Phase::Ready,
                true,
                true,
                None,
                life(LifeOrder::Rescue),
                None,
            ),
            (
                Phase::Ready,
                true,
                true,
                None,
                Wanted::Life(LifeOrder::Rescue, false),
                Some("key"),
            ),
            (
                Phase::Held,
                true,
                false,
                Some(&made),
                Wanted::Provision,
                Some("n1 has a host"),
            ),
            (Phase::Held, true, false, None, Wanted::Provision, None),
            (
                Phase::Quarantined,
                true,
                false,
                None,
                Wanted::Reprovision,
                Some("it is out of use"),
            ),
        ] {
            let view = view(phase, run, heard);
            let refused = refusal(&view, host, wanted).map(|reason| reason.what);
            let as_said = match (&refused, says) {
                (None, None) => true,
                (Some(what), Some(says)) => what.contains(says),
                (Some(_), None) | (None, Some(_)) => false,
            };
            assert!(as_said, "{phase:?} {wanted:?}: {refused:?}");
        }
    }
}
