// SPDX-License-Identifier: Apache-2.0
//! What a booted machine says: enrolment, and then everything of its run. A node speaks for itself and its own run.

use super::body::{self, SMALL, check_schema};
use super::problem::Refusal;
use crate::pki::ProvenKey;
use crate::provisioner::Provisioner;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use groundstate_api::enrol::{EnrolReply, EnrolRequest};
use groundstate_api::limits::{JSON_BODY_MAX, LOG_CHUNK_MAX};
use groundstate_api::plan::{DiskAction, TablePlan};
use groundstate_api::plan::{PartitionContents, Plan, Role};
use groundstate_api::run::{
    HostCredential, HostCredentialRequest, Instruction, InventoryReport, LogChunk, Progress,
};
use groundstate_api::{Millis, NodeId, Part, Reason, ReasonCode, RunId};
use prov_core::{Found, Input, Peer, Reply};

pub(crate) async fn enrol(
    State(ours): State<Provisioner>,
    body: Body,
) -> Result<Json<EnrolReply>, Refusal> {
    let request: EnrolRequest = body::json(body, SMALL).await?;
    check_schema("schema", request.schema)?;
    let key = ProvenKey::from_csr(&request.csr_pem)
        .map_err(|e| Refusal::field("csr_pem", e.to_string()))?;
    tokio::task::spawn_blocking(move || enrol_now(&ours, request, &key))
        .await?
        .map(Json)
}

fn enrol_now(
    ours: &Provisioner,
    request: EnrolRequest,
    key: &ProvenKey,
) -> Result<EnrolReply, Refusal> {
    let (node, reply) = match ours.find(request.boot_mac) {
        Found::Node(node) => {
            let input = Input::EnrolAsked {
                request: Box::new(request),
                key: key.digest(),
            };
            let reply = ours.submit(&node, input)?;
            (Some(node), reply)
        }
        Found::Nobody(_) => (None, ours.stranger_enrols(request.boot_mac)?),
    };
    match (node, reply) {
        (Some(node), Some(Reply::Enrolled { run, firmware })) => {
            let certificate_pem = ours
                .pki()
                .sign_node(&node, &run, key)
                .map_err(Refusal::internal)?;
            Ok(EnrolReply::Enrolled {
                node,
                run,
                certificate_pem,
                firmware,
            })
        }
        (Some(node), Some(Reply::BootLocal(plan))) => Ok(boot_local(node, &plan)),
        (_, Some(Reply::NotEnrolled { reason, retry })) => Ok(EnrolReply::Refused {
            reason,
            retry_ms: retry.0,
        }),
        (_, reply) => Err(Refusal::internal(format!(
            "enrolment was answered with {reply:?}"
        ))),
    }
}

/// How to start the host that the plan put on disk.
fn boot_local(node: NodeId, plan: &Plan) -> EnrolReply {
    let cannot = |what: &str| EnrolReply::Refused {
        reason: Reason::new(ReasonCode::Internal, what, "order again: groundstate node reprovision NODE"),
        retry_ms: Millis::secs(30).0,
    };
    let Some((disk, table)) = os_disk(plan) else {
        return cannot(
            "the plan of this node's host has no OS disk",
        );
    };
    let guid = |holds: fn(&PartitionContents) -> bool| {
        table
            .partitions
            .iter()
            .find(|p| holds(&p.holds))
            .map(|p| p.guid.clone())
    };
    let esp = guid(|holds| matches!(holds, PartitionContents::Esp { .. }));
    let root = guid(|holds| matches!(holds, PartitionContents::Root));
    let (Some(esp_guid), Some(root_guid)) = (esp, root) else {
        return cannot(
            "the plan of this node's host has no boot or root partition",
        );
    };
    EnrolReply::BootLocal {
        node,
        disk_serial: disk,
        esp_guid,
        root_guid,
    }
}

fn os_disk(plan: &Plan) -> Option<(String, &TablePlan)> {
    let disk = plan.disks.iter().find(|disk| disk.role == Role::Os)?;
    match &disk.action {
        DiskAction::Wipe { table, .. } | DiskAction::Keep { table } => {
            Some((disk.serial.clone(), table))
        }
        DiskAction::LeaveAlone => None,
    }
}

/// The node and run of the caller's certificate; the site must still have the node.
fn me(ours: &Provisioner, peer: &Peer) -> Result<(NodeId, RunId), Refusal> {
    match peer {
        Peer::Node { node, run } if ours.with_node(node, |_| ()).is_some() => {
            Ok((node.clone(), run.clone()))
        }
        Peer::Node { .. } | Peer::Anyone | Peer::Host { .. } | Peer::Operator { .. } => Err(
            Refusal::not_allowed("the site has no such node", format!("called by {peer}")),
        ),
    }
}

fn own_run(mine: &RunId, said: &RunId, peer: &Peer) -> Result<(), Refusal> {
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
    node: NodeId,
    run: RunId,
    input: Input,
) -> Result<Json<Instruction>, Refusal> {
    let submit = move || {
        ours.submit(&node, input)?;
        instruction_of(&ours, &node, &run)
    };
    tokio::task::spawn_blocking(submit).await?.map(Json)
}

fn instruction_of(ours: &Provisioner, node: &NodeId, run: &RunId) -> Result<Instruction, Refusal> {
    ours.with_node(node, |state| state.instruction(run))
        .ok_or_else(|| Refusal::internal(format!("node {node} has vanished")))
}

pub(crate) async fn instruction(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
) -> Result<Json<Instruction>, Refusal> {
    let (node, run) = me(&ours, &peer)?;
    instruct(ours, node, run.clone(), Input::Spoke { run }).await
}

pub(crate) async fn inventory(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Json<Instruction>, Refusal> {
    let (node, run) = me(&ours, &peer)?;
    let report: InventoryReport = body::json(body, JSON_BODY_MAX).await?;
    own_run(&run, &report.run, &peer)?;
    check_schema("inventory.schema", report.inventory.schema)?;
    let submit = move || {
        ours.inventory(&node, run.clone(), Box::new(report.inventory))?;
        instruction_of(&ours, &node, &run)
    };
    tokio::task::spawn_blocking(submit).await?.map(Json)
}

pub(crate) async fn progress(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Json<Instruction>, Refusal> {
    let (node, run) = me(&ours, &peer)?;
    let progress: Progress = body::json(body, SMALL).await?;
    own_run(&run, &progress.run, &peer)?;
    instruct(ours, node, run, Input::ProgressReceived(progress)).await
}

pub(crate) async fn log(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let (node, run) = me(&ours, &peer)?;
    // JSON may spend six characters on one of the text.
    let chunk: LogChunk =
        body::json(body, groundstate_api::Bytes(LOG_CHUNK_MAX.0 * 6 + 4_096)).await?;
    own_run(&run, &chunk.run, &peer)?;
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
        ours.append_log(&node, &run, chunk.offset, &chunk.text)?;
        ours.submit(&node, Input::Spoke { run })
    };
    tokio::task::spawn_blocking(keep).await??;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn host_credential(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Json<HostCredential>, Refusal> {
    let (node, run) = me(&ours, &peer)?;
    let request: HostCredentialRequest = body::json(body, SMALL).await?;
    own_run(&run, &request.run, &peer)?;
    let key = ProvenKey::from_csr(&request.csr_pem)
        .map_err(|e| Refusal::field("csr_pem", e.to_string()))?;
    let issue = move || {
        let input = Input::CredentialAsked {
            run,
            key: key.digest(),
        };
        match ours.submit(&node, input)? {
            Some(Reply::Credential(plan)) => {
                let certificate_pem = ours
                    .pki()
                    .sign_host(&node, &plan, &key)
                    .map_err(Refusal::internal)?;
                Ok(HostCredential { certificate_pem })
            }
            Some(Reply::Conflict(reason)) => Err(Refusal::conflict(reason)),
            reply => Err(Refusal::internal(format!(
                "a credential was answered with {reply:?}"
            ))),
        }
    };
    tokio::task::spawn_blocking(issue).await?.map(Json)
}
