// SPDX-License-Identifier: Apache-2.0
//! Carries one action out at a machine's BMC. Each may be carried out again after a restart of ours: what is so already is not done
//! twice.

use super::Power;
use crate::provisioner::Provisioner;
use bmc::{Target, Trouble};
use groundstate_api::action::{Act, Action, Outcome, PowerTo};
use groundstate_api::event::Happened;
use groundstate_api::site_parts::BmcProtocol;
use groundstate_api::{Millis, Reason, ReasonCode};

/// How long power may take at most; the action's own deadline may be nearer.
const POWER_MAX: Millis = Millis::secs(10 * 60);
/// How long it may take at least, where the deadline is near or past: an answer needs that.
const POWER_MIN: Millis = Millis::secs(30);
/// Events of a node that are looked through for a boot since the action began.
const LOOK_BACK: usize = 200;

/// Carries it out and says how it ended.
pub(super) async fn carry(ours: &Provisioner, action: Action) -> Outcome {
    let power = ours.power().clone();
    let target = match ours.target_for(&action.node, &action.act).await {
        Ok(target) => target,
        Err(reason) => return Outcome::Failed { reason },
    };
    let address = target.address.to_string();
    let done = power
        .alone(&address, act(ours, &power, &action, &target))
        .await;
    power.trusted(&target);
    done.unwrap_or_else(|trouble| Outcome::Failed {
        reason: trouble.reason(&address),
    })
}

async fn act(
    ours: &Provisioner,
    power: &Power,
    action: &Action,
    target: &Target,
) -> Result<Outcome, Trouble> {
    let bmcs = &power.0.bmcs;
    match &action.act {
        Act::Power { to } => {
            if *to == PowerTo::Cycle && has_booted_since(ours, action).await {
                let fact = "it was seen to boot since this was begun: it is not done again";
                power.restarted(&action.node, ours.now());
                return Ok(Outcome::Done {
                    by: "boot-service".to_owned(),
                    facts: vec![fact.to_owned()],
                });
            }
            let left = action.deadline.since(ours.now());
            let within = left.min(POWER_MAX).max(POWER_MIN);
            let facts = bmcs.power(target, *to, within).await?;
            if matches!(to, PowerTo::On | PowerTo::Cycle) {
                power.restarted(&action.node, ours.now());
            }
            Ok(done(target, facts))
        }
        Act::BootNext { to } => power.set_next_boot(ours, &action.node, target, *to).await,
        Act::Identify { on } => Ok(done(target, bmcs.identify(target, *on).await?)),
        Act::HostBootNext { .. }
        | Act::RestartServices
        | Act::CollectDiagnostics
        | Act::RebootHost
        | Act::Drain
        | Act::Heal { .. } => Ok(Outcome::Failed {
            reason: Reason::new(
                ReasonCode::Internal,
                format!("{} is no business of a BMC", action.act.says()),
                "report this with the provisioner's log",
            ),
        }),
    }
}

fn done(target: &Target, facts: Vec<String>) -> Outcome {
    let by = match target.protocol {
        Some(BmcProtocol::Ipmi) => "ipmi",
        Some(BmcProtocol::Redfish | BmcProtocol::RedfishHttp) => "redfish",
        None => "bmc",
    };
    Outcome::Done {
        by: by.to_owned(),
        facts,
    }
}

/// Whether the machine was seen to boot since the action began: then it was restarted before we were, or by somebody else.
async fn has_booted_since(ours: &Provisioner, action: &Action) -> bool {
    let (ours, after, node) = (ours.clone(), action.id.0, action.node.clone());
    let read =
        tokio::task::spawn_blocking(move || ours.events(after, LOOK_BACK, Some(&node))).await;
    let Ok(Ok(events)) = read else {
        return false;
    };
    events.iter().any(|event| {
        matches!(
            event.what,
            Happened::BootSeen { .. }
                | Happened::Enrolled { .. }
                | Happened::CameBack { .. }
                | Happened::HostRegistered { .. }
        )
    })
}
