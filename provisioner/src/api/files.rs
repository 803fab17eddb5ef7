// SPDX-License-Identifier: Apache-2.0
//! Files for hosts on their way: from who applies a site to the journal, and from there, or from the folder of secrets, to the
//! node whose plan names them.
//!
//! A secret is given to the key that the run is bound to, while that run places its first-boot data, and to nobody else. It
//! is kept nowhere on its way: not in the journal, not in a log, not in a cache.

use super::body;
use super::node::me;
use super::problem::Refusal;
use super::routes::{Routes, routes};
use crate::provisioner::{Provisioner, Speaker};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use groundstate_api::customise::{Encoded, FileBytes, PlannedContent, SITE_FILE_MAX};
use groundstate_api::plan::{Plan, Step};
use groundstate_api::run::StepState;
use groundstate_api::{Bytes, Digest, Part, Reason, ReasonCode, paths};
use prov_core::{Node, Peer};

/// A file as base64, with the name of its field.
const BODY_MAX: Bytes = Bytes(SITE_FILE_MAX.0 / 3 * 4 + 4_096);

pub(crate) fn routes() -> Routes {
    routes![
        PUT paths::SITE_FILE => put,
        GET paths::RUN_FILE => file,
        GET paths::RUN_CREDENTIAL => credential,
    ]
}

fn digest_of(hex: &str) -> Result<Digest, Refusal> {
    format!("sha256:{hex}")
        .parse()
        .map_err(|_| Refusal::field("digest", "should be a SHA-256: 64 hexadecimal digits"))
}

async fn put(
    State(ours): State<Provisioner>,
    Path(hex): Path<String>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let said = match digest_of(&hex) {
        Ok(said) => said,
        Err(refusal) => {
            body::read_away(body).await;
            return Err(refusal);
        }
    };
    let FileBytes {
        base64: Encoded(bytes),
    } = body::json(body, BODY_MAX).await?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > SITE_FILE_MAX.0 {
        let should = format!("{} bytes; {SITE_FILE_MAX} is the most", bytes.len());
        return Err(Refusal::field("base64", should));
    }
    let found = Digest::of(&bytes);
    if found != said {
        let should = format!("the bytes have the digest {found}; the file changed on its way here");
        return Err(Refusal::field("base64", should));
    }
    tokio::task::spawn_blocking(move || ours.keep_file(&bytes)).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// What the speaker's open run plans, looked at by `look`.
fn of_plan<T>(
    ours: &Provisioner,
    peer: &Peer,
    me: &Speaker,
    look: impl FnOnce(&Node, &Plan) -> Option<T>,
) -> Result<T, Refusal> {
    let found = ours.with_node(&me.node, |node| {
        let is_bound = node.is_bound_to(&me.run, &me.key);
        let plan = || node.run.as_ref()?.plan.as_ref();
        is_bound.then(|| look(node, &plan()?.get()))
    });
    let looked = found.flatten().ok_or_else(|| not_its_time(peer))?;
    looked.ok_or_else(not_planned)
}

async fn file(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    Path(hex): Path<String>,
) -> Result<Response, Refusal> {
    let me = me(&ours, &peer)?;
    let wanted = digest_of(&hex)?;
    of_plan(&ours, &peer, &me, |_, plan| {
        let named = |content: &PlannedContent| matches!(content, PlannedContent::Stored { digest, .. } if *digest == wanted);
        plan.files
            .iter()
            .any(|file| named(&file.content))
            .then_some(())
    })?;
    let kept = tokio::task::spawn_blocking(move || ours.kept_file(&wanted)).await??;
    let bytes = kept.ok_or_else(|| {
        let reason = Reason::new(
            ReasonCode::PlanRefused,
            format!("no file {wanted} is kept here"),
            "apply the site again from the folder that has the file (groundstate apply), then order again",
        )
        .about(Part::Field {
            path: "digest".to_owned(),
        });
        Refusal::new(StatusCode::NOT_FOUND, reason)
    })?;
    Ok(answer(bytes))
}

async fn credential(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let me = me(&ours, &peer)?;
    let placing = of_plan(&ours, &peer, &me, |node, plan| {
        let is_named = |content: &PlannedContent| matches!(content, PlannedContent::Credential { from } if *from == name);
        plan.files
            .iter()
            .any(|file| is_named(&file.content))
            .then(|| placing(node))
    })?;
    match placing {
        Placing::Now => {}
        Placing::NotYet => return Err(not_yet()),
        Placing::Over => return Err(not_its_time(&peer)),
    }
    let read = tokio::task::spawn_blocking(move || ours.credentials().read_bytes(&name)).await?;
    let bytes = read.map_err(|error| Refusal::conflict(error.reason_of_host()))?;
    Ok(answer(bytes.into_bytes()))
}

/// How far the step is that places the first-boot data.
enum Placing {
    NotYet,
    Now,
    Over,
}

fn placing(node: &Node) -> Placing {
    let run = node.run.as_ref();
    if run.is_some_and(|run| run.facts.contains_key(&Step::FirstBoot)) {
        return Placing::Over;
    }
    match run.and_then(|run| run.step.as_ref()) {
        Some((Step::FirstBoot, StepState::Done { .. } | StepState::Failed { .. })) => Placing::Over,
        Some((
            Step::FirstBoot,
            StepState::Started | StepState::Running { .. } | StepState::Waiting { .. },
        )) => Placing::Now,
        Some(_) | None => Placing::NotYet,
    }
}

/// A node's report that it began the step may still be on its way: it asks again by itself.
fn not_yet() -> Refusal {
    let reason = Reason::new(
        ReasonCode::NotAllowed,
        "the step that puts this secret there has not been heard of yet",
        "wait: a node asks again by itself",
    )
    .then("the node asks again, and gets it once its report is here");
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason)
}

/// Its own plan, if it has one yet, names no such thing.
fn not_planned() -> Refusal {
    let reason = Reason::new(
        ReasonCode::PlanRefused,
        "the plan of this run names no such file and no such secret",
        "add it to the site file, apply it, and order again",
    )
    .then("nothing: the request changed nothing");
    Refusal::new(StatusCode::NOT_FOUND, reason)
}

fn not_its_time(peer: &Peer) -> Refusal {
    Refusal::not_allowed(
        "a node gets what its own plan names, while the step is done that puts it there",
        format!("called by {peer}"),
    )
}

fn answer(bytes: Vec<u8>) -> Response {
    let body = Json(FileBytes {
        base64: Encoded(bytes),
    });
    ([(header::CACHE_CONTROL, "no-store")], body).into_response()
}
