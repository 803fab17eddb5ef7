// SPDX-License-Identifier: Apache-2.0
//! Orders about a node's life beside its runs, what the fabric controller sees wrong with it, and what people write down.

use super::body::{self, SMALL};
use super::only_if::Ours;
use super::operator::{known, ordered};
use super::problem::Refusal;
use super::routes::{Routes, routes};
use crate::provisioner::Provisioner;
use axum::body::Body;
use axum::extract::Path;
use axum::{Extension, Json};
use groundstate_api::healing::{ApprovePlan, Because, Remark, Troubles};
use groundstate_api::site_parts::Role;
use groundstate_api::view::{NodeView, Phase};
use groundstate_api::{paths, text};
use prov_core::health::{TROUBLE_LINE_MAX, TROUBLE_LINES_MAX, TROUBLES_MAX};
use prov_core::{Input, LifeOrder, Peer};

/// The longest reason in a caller's words, in bytes.
pub(crate) const WHY_MAX: usize = 512;
/// The longest remark, in bytes.
const REMARK_MAX: usize = 2_048;

pub(crate) fn routes() -> Routes {
    routes![
        POST paths::DRAIN => drain,
        POST paths::QUARANTINE => quarantine,
        POST paths::REPAIR => repair,
        POST paths::RELEASE => release,
        POST paths::RETIRE => retire,
        POST paths::RESCUE => rescue,
        POST paths::APPROVE_PLAN => approve,
        POST paths::NODE_TROUBLES => troubles,
        POST paths::NODE_REMARKS => remark,
    ]
}

type Answer = Result<Json<NodeView>, Refusal>;

/// One handler for each order: they differ in nothing but the order.
macro_rules! orders {
    ($($name:ident => $order:expr),* $(,)?) => {
        $(
            async fn $name(
                Ours(ours): Ours,
                Extension(peer): Extension<Peer>,
                Path(node): Path<String>,
                body: Body,
            ) -> Answer {
                order(ours, peer, node, body, $order).await
            }
        )*
    };
}

orders![
    drain => LifeOrder::Drain,
    quarantine => LifeOrder::Quarantine,
    repair => LifeOrder::Repair,
    release => LifeOrder::Release,
    retire => LifeOrder::Retire,
    rescue => LifeOrder::Rescue,
];

async fn order(
    ours: Provisioner,
    peer: Peer,
    name: String,
    body: Body,
    order: LifeOrder,
) -> Answer {
    let node = known(&ours, &name)?;
    let because: Because = body::json_or_default(body, SMALL).await?;
    let why = typed("why", because.why, WHY_MAX)?;
    if order == LifeOrder::Release {
        let phase = ours.with_node(&node, |node| node.phase);
        may_release(&peer, phase)?;
    }
    let by = peer.to_string();
    input(ours, name, Input::Life { order, by, why }).await
}

/// A technician gives back what was in repair, and nothing else; only an admin takes a retired node back.
fn may_release(peer: &Peer, phase: Option<Phase>) -> Result<(), Refusal> {
    let refused = match (peer.role(), phase) {
        (Some(Role::Technician), Some(phase)) => phase != Phase::InRepair,
        (Some(Role::Operator | Role::Fabric), Some(phase)) => phase == Phase::Retired,
        _ => false,
    };
    if refused {
        let phase = phase.map_or("gone", Phase::as_str);
        return Err(Refusal::not_allowed(
            "this certificate's role may not give the node back out of this phase",
            format!("the node is {phase}; called by {peer}"),
        ));
    }
    Ok(())
}

async fn approve(
    Ours(ours): Ours,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Answer {
    let ApprovePlan { run } = body::json(body, SMALL).await?;
    let by = peer.to_string();
    input(ours, name, Input::PlanApproved { run, by }).await
}

async fn troubles(
    Ours(ours): Ours,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Answer {
    let Troubles { mut troubles } = body::json(body, SMALL).await?;
    if troubles.len() > TROUBLES_MAX {
        let what = format!(
            "{} troubles are too many; {TROUBLES_MAX} is the most",
            troubles.len()
        );
        return Err(Refusal::field("troubles", what));
    }
    for (number, trouble) in troubles.iter_mut().enumerate() {
        let field = |name: &str| format!("troubles[{number}].{name}");
        trouble.what = typed(
            &field("what"),
            std::mem::take(&mut trouble.what),
            TROUBLE_LINE_MAX,
        )?;
        if trouble.what.is_empty() {
            return Err(Refusal::field(&field("what"), "it is empty"));
        }
        if trouble.evidence.len() > TROUBLE_LINES_MAX {
            let what = format!("{TROUBLE_LINES_MAX} lines of evidence are the most");
            return Err(Refusal::field(&field("evidence"), what));
        }
        for line in &mut trouble.evidence {
            *line = typed(&field("evidence"), std::mem::take(line), TROUBLE_LINE_MAX)?;
        }
    }
    let by = peer.to_string();
    input(ours, name, Input::HealthReported { by, troubles }).await
}

async fn remark(
    Ours(ours): Ours,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Answer {
    let Remark { text } = body::json(body, SMALL).await?;
    let text = typed("text", text, REMARK_MAX)?;
    if text.is_empty() {
        return Err(Refusal::field("text", "a remark says something"));
    }
    let by = peer.to_string();
    input(ours, name, Input::Remarked { by, text }).await
}

async fn input(ours: Provisioner, name: String, input: Input) -> Answer {
    let node = known(&ours, &name)?;
    let submit = {
        let (ours, node) = (ours.clone(), node.clone());
        move || ours.submit(&node, input)
    };
    let reply = tokio::task::spawn_blocking(submit).await??;
    ordered(&ours, &node, reply)
}

/// A text that a person or a program typed: what cannot be shown as it is, or is too long, is refused by its field.
pub(crate) fn typed(field: &str, text: String, max: usize) -> Result<String, Refusal> {
    if text.len() > max {
        let what = format!("it has {} bytes; {max} is the most", text.len());
        return Err(Refusal::field(field, what));
    }
    if !text.chars().all(text::printable) {
        let what = "it has control characters, or characters that turn the line around";
        return Err(Refusal::field(field, what));
    }
    Ok(text.trim().to_owned())
}
