// SPDX-License-Identifier: Apache-2.0
//! What an enrolled machine says: everything of its run. A node speaks for itself and its own run.

use super::body::{self, SMALL, check_schema};
use super::problem::Refusal;
use super::text::clean_log;
use crate::pki::ProvenKey;
use crate::provisioner::{Provisioner, Speaker};
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use groundstate_api::limits::{JSON_BODY_MAX, LOG_CHUNK_MAX};
use groundstate_api::run::{
    HostCredential, HostCredentialRequest, Instruction, InventoryReport, LogChunk, Progress,
};
use groundstate_api::{Part, Reason, ReasonCode, RunId};
use prov_core::{Input, Peer, Reply, named};

/// The node, run and key of the caller's certificate; the site must still have the node.
pub(crate) fn me(ours: &Provisioner, peer: &Peer) -> Result<Speaker, Refusal> {
    match peer {
        Peer::Node { node, run, key } if ours.with_node(node, |_| ()).is_some() => Ok(Speaker {
            node: node.clone(),
            run: run.clone(),
            key: key.clone(),
        }),
        Peer::Node { .. } | Peer::Anyone | Peer::Host { .. } | Peer::Client { .. } => Err(
            Refusal::not_allowed("the site has no such node", format!("called by {peer}")),
        ),
    }
}

pub(crate) fn own_run(mine: &RunId, said: &RunId, peer: &Peer) -> Result<(), Refusal> {
    if mine == said {
        Ok(())
    } else {
        Err(Refusal::not_allowed(
            "a node speaks for its own run only",
            format!("called by {peer} for run {said}"),
        ))
    }
}

/// Submits the input and answers with the instruction that then holds.
async fn instruct(
    ours: Provisioner,
    me: Speaker,
    input: Input,
) -> Result<Json<Instruction>, Refusal> {
    let submit = move || {
        ours.submit_from(&me, input)?;
        instruction_of(&ours, &me)
    };
    tokio::task::spawn_blocking(submit).await?.map(Json)
}

fn instruction_of(ours: &Provisioner, me: &Speaker) -> Result<Instruction, Refusal> {
    let found = ours.with_node(&me.node, |state| state.instruction(&me.run));
    let gone = || Refusal::internal(format!("node {} has vanished", me.node));
    Ok(match found.ok_or_else(gone)? {
        Instruction::Wait { reason } => Instruction::Wait {
            reason: named::reason(reason, &me.node),
        },
        Instruction::Hold { reason } => Instruction::Hold {
            reason: named::reason(reason, &me.node),
        },
        other => other,
    })
}

pub(crate) async fn instruction(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
) -> Result<Json<Instruction>, Refusal> {
    let me = me(&ours, &peer)?;
    let run = me.run.clone();
    instruct(ours, me, Input::Spoke { run }).await
}

pub(crate) async fn inventory(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Json<Instruction>, Refusal> {
    let me = me(&ours, &peer)?;
    let report: InventoryReport = body::said(body, JSON_BODY_MAX).await?;
    own_run(&me.run, &report.run, &peer)?;
    check_schema("inventory.schema", report.inventory.schema)?;
    let submit = move || {
        ours.inventory(&me, Box::new(report.inventory))?;
        instruction_of(&ours, &me)
    };
    tokio::task::spawn_blocking(submit).await?.map(Json)
}

pub(crate) async fn progress(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Json<Instruction>, Refusal> {
    let me = me(&ours, &peer)?;
    let progress: Progress = body::said(body, JSON_BODY_MAX).await?;
    own_run(&me.run, &progress.run, &peer)?;
    instruct(ours, me, Input::ProgressReceived(progress)).await
}

pub(crate) async fn log(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let me = me(&ours, &peer)?;
    // JSON may spend six characters on one of the text.
    let chunk: LogChunk =
        body::json(body, groundstate_api::Bytes(LOG_CHUNK_MAX.0 * 6 + 4_096)).await?;
    own_run(&me.run, &chunk.run, &peer)?;
    if u64::try_from(chunk.text.len()).unwrap_or(u64::MAX) > LOG_CHUNK_MAX.0 {
        let reason = Reason::new(
            ReasonCode::BadRequest,
            format!("the piece is longer than {LOG_CHUNK_MAX}"),
            "send smaller pieces",
        )
        .about(Part::Field {
            path: "text".to_owned(),
        });
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason));
    }
    let keep = move || {
        ours.append_log(&me, chunk.offset, &clean_log(&chunk.text))?;
        let run = me.run.clone();
        ours.submit_from(&me, Input::Spoke { run })
    };
    tokio::task::spawn_blocking(keep).await??;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn host_credential(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Json<HostCredential>, Refusal> {
    let me = me(&ours, &peer)?;
    let request: HostCredentialRequest = body::json(body, SMALL).await?;
    own_run(&me.run, &request.run, &peer)?;
    let key = ProvenKey::from_csr(&request.csr_pem)
        .map_err(|e| Refusal::field("csr_pem", e.to_string()))?;
    let issue = move || {
        let input = Input::CredentialAsked {
            run: me.run.clone(),
            key: key.digest(),
        };
        match ours.submit_from(&me, input)? {
            Some(Reply::Credential(plan)) => {
                let certificate_pem = ours
                    .pki()
                    .sign_host(&me.node, &plan, &key)
                    .map_err(Refusal::internal)?;
                let epoch = ours.with_node(&me.node, |node| node.runs);
                Ok(HostCredential {
                    certificate_pem,
                    epoch: epoch.unwrap_or_default(),
                })
            }
            Some(Reply::Conflict(reason)) => Err(Refusal::conflict(reason)),
            reply => Err(Refusal::internal(format!(
                "a credential was answered with {reply:?}"
            ))),
        }
    };
    tokio::task::spawn_blocking(issue).await?.map(Json)
}
