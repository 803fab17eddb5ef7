// SPDX-License-Identifier: Apache-2.0
//! Every sentence about hosts that are taken in as they run.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::view::Phase;
use groundstate_api::{Millis, NodeId, Reason, ReasonCode};

/// Its agent calls: it is ready, and what it was made from is not known.
#[must_use]
pub fn adopted(at: Millis, node: &NodeId) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::Adopted,
        "the host was adopted as it runs; its image is unknown",
        format!(
            "no action needed; to bring it to a known ground state, provision it: groundstate node reprovision {node}"
        ),
    )
    .then("nothing: it is left as it is");
    reason.since = Some(at);
    reason
}

/// It was taken in, and its agent has not called yet.
#[must_use]
pub fn agent_is_awaited(now: Millis, by: &str) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::Adopted,
        "the host was adopted; its agent has not called yet",
        "no action needed where its agent was started; else, on the host: systemctl enable --now host-agent",
    )
    .seen(format!("with a token of {by}"))
    .then("the node is ready when its agent calls");
    reason.since = Some(now);
    reason
}

/// It was taken in without an agent.
#[must_use]
pub fn without_agent(now: Millis, node: &NodeId, by: &str) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::Adopted,
        "the host was adopted without an agent: its hardware is known, and nobody hears whether it runs",
        format!(
            "no action needed; for an agent, adopt it again without --no-agent; to provision it: groundstate node provision {node}"
        ),
    )
    .seen(format!("with a token of {by}"))
    .then("nothing: it is left as it is");
    reason.since = Some(now);
    reason
}

/// The token is none, or is over.
#[must_use]
pub fn no_such_token() -> Reason {
    Reason::new(
        ReasonCode::NotAllowed,
        "this adopt token is not known here, was used already, or is too old",
        "make another one, on any machine with an operator's certificate: groundstate node adopt-token --name NODE",
    )
    .then("nothing: nothing was changed")
}

/// The token is for another machine.
#[must_use]
pub fn token_is_for_another(node: &NodeId, differs: Vec<String>) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::IdentityMismatch,
        format!("this adopt token makes {node} of another machine than this one"),
        "use it on the machine that it was made for, or make one for this machine",
    )
    .then("nothing: nothing was changed, and the token stays good");
    reason.evidence = differs;
    reason
}

/// The machine is another node already, or is not the one of this name.
#[must_use]
pub fn is_another(node: &NodeId, differs: Vec<String>) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::IdentityMismatch,
        format!("this machine is not {node}, as far as the site knows"),
        "take the token of the node that it is, or correct the site file (groundstate site export, groundstate apply)",
    )
    .then("nothing: nothing was changed, and the token stays good");
    reason.evidence = differs;
    reason
}

/// A machine that does not say who it is.
#[must_use]
pub fn says_not_who_it_is(what: &str) -> Reason {
    Reason::new(
        ReasonCode::IdentityMismatch,
        format!("this machine says no {what}, so nobody could know it again"),
        "set it in the firmware's set-up or the hypervisor, and adopt it then",
    )
    .then("nothing: nothing was changed, and the token stays good")
}

/// Something of ours is at the node.
#[must_use]
pub fn cannot_adopt(node: &NodeId, phase: Phase, has_host: bool) -> Reason {
    let (why, step) = match phase {
        Phase::Quarantined | Phase::InRepair | Phase::Rescue | Phase::Retired => (
            "it is out of use".to_string(),
            format!("give it back first: groundstate node release {node}"),
        ),
        Phase::Ready | Phase::Draining | Phase::Suspect | Phase::Held if has_host => (
            "it has a host that a run of ours made".to_string(),
            format!(
                "nothing is to be adopted; where somebody installed another system over it, say so by order: groundstate node reprovision {node}"
            ),
        ),
        Phase::Enrolled
        | Phase::Ordered
        | Phase::Booting
        | Phase::Checking
        | Phase::Planned
        | Phase::Provisioning
        | Phase::Erasing
        | Phase::HandedOver
        | Phase::Ready
        | Phase::Draining
        | Phase::Suspect
        | Phase::Held => (
            "a run is at it".to_string(),
            format!(
                "wait for its end (groundstate node wait {node}), or stop it: groundstate node quarantine {node}"
            ),
        ),
    };
    Reason::new(
        ReasonCode::PlanRefused,
        format!("{node} cannot be adopted: {why}"),
        step,
    )
    .seen(format!("it is {}", phase.as_str()))
    .then("nothing: nothing was changed, and the token stays good")
}

/// Nothing to let go.
#[must_use]
pub fn not_adopted(node: &NodeId) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        format!("{node} has no adopted host, so none can be let go"),
        format!("groundstate node explain {node} says what it has"),
    )
    .then("nothing: the request changed nothing")
}

/// A run is at the adopted host.
#[must_use]
pub fn run_is_at_it(node: &NodeId, phase: Phase) -> Reason {
    Reason::new(
        ReasonCode::UnderWay,
        format!("the host of {node} is not let go while a run is at it"),
        format!("wait for its end (groundstate node wait {node}), or stop it: groundstate node quarantine {node}"),
    )
    .seen(format!("it is {}", phase.as_str()))
}

/// An agent calls whose host was let go.
#[must_use]
pub fn let_go(node: &NodeId) -> Reason {
    Reason::new(
        ReasonCode::NotAllowed,
        format!(
            "this host is not {node}'s any more: it was let go, or adopted again with another key"
        ),
        "on the host: systemctl disable --now host-agent; to have it back, adopt it again",
    )
    .then("nothing: nothing is asked of this host any more")
}

/// A token whose terms are no terms.
#[must_use]
pub fn too_many_tokens(most: usize) -> Reason {
    Reason::new(
        ReasonCode::TooMany,
        format!("{most} adopt tokens are good at the moment, which is the most"),
        "use them, or wait until some are too old",
    )
    .then("nothing: no token was made")
}

/// What differs between a machine and what is known of a node.
#[must_use]
pub fn differs(what: &str, known: &str, said: &str) -> String {
    format!("{what}: known {known}, this machine {said}")
}
