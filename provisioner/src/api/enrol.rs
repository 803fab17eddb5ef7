// SPDX-License-Identifier: Apache-2.0
//! What a booted machine says first, to which anyone may pretend: enrolment.

use super::body::{self, SMALL, check_schema};
use super::problem::Refusal;
use super::text::printable;
use crate::pki::ProvenKey;
use crate::provisioner::Provisioner;
use crate::serve::Caller;
use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use groundstate_api::enrol::{EnrolReply, EnrolRequest};
use groundstate_api::plan::{DiskAction, PartitionContents, Plan, Role, TablePlan};
use groundstate_api::{Millis, NodeId, Reason, ReasonCode};
use prov_core::{Found, Input, Reply};
use std::net::IpAddr;

/// The longest serial number, in characters: SMBIOS strings are shorter in practice, and this one is journalled.
const SERIAL_MAX: usize = 128;
/// The most MAC addresses of one machine: eight cards with eight ports.
const MACS_MAX: usize = 64;

pub(crate) async fn enrol(
    State(ours): State<Provisioner>,
    caller: Option<Extension<Caller>>,
    body: Body,
) -> Result<Json<EnrolReply>, Refusal> {
    let request: EnrolRequest = body::json(body, SMALL).await?;
    check_schema("schema", request.schema)?;
    check_bounds(&request)?;
    let key = ProvenKey::from_csr(&request.csr_pem)
        .map_err(|e| Refusal::field("csr_pem", e.to_string()))?;
    let from = caller.map(|Extension(Caller(address))| address);
    tokio::task::spawn_blocking(move || enrol_now(&ours, request, &key, from))
        .await?
        .map(Json)
}

fn check_bounds(request: &EnrolRequest) -> Result<(), Refusal> {
    let serial = &request.serial;
    if serial.chars().nth(SERIAL_MAX).is_some() || !serial.chars().all(printable) {
        let what = format!("a serial number has at most {SERIAL_MAX} printable characters");
        return Err(Refusal::field("serial", what));
    }
    let model = request.model.as_deref().unwrap_or_default();
    if model.chars().nth(SERIAL_MAX).is_some() || !model.chars().all(printable) {
        let what = format!("a model has at most {SERIAL_MAX} printable characters");
        return Err(Refusal::field("model", what));
    }
    let macs = request.macs.len();
    if macs > MACS_MAX {
        let what = format!("{macs} MAC addresses are too many; {MACS_MAX} is the most");
        return Err(Refusal::field("macs", what));
    }
    Ok(())
}

fn enrol_now(
    ours: &Provisioner,
    request: EnrolRequest,
    key: &ProvenKey,
    from: Option<IpAddr>,
) -> Result<EnrolReply, Refusal> {
    let (node, reply) = match ours.find(request.boot_mac, &request.macs) {
        Found::Node(node) => {
            let input = Input::EnrolAsked {
                request: Box::new(request),
                key: key.digest(),
            };
            let reply = ours.submit(&node, input)?;
            (Some(node), reply)
        }
        Found::Nobody(_) => (None, ours.stranger_enrols(&request, from)?),
    };
    match (node, reply) {
        (
            Some(node),
            Some(Reply::Enrolled {
                run,
                firmware,
                boot,
            }),
        ) => {
            let erases = ours.with_node(&node, |state| {
                state
                    .run
                    .as_ref()
                    .is_some_and(|run| run.terms.erase.is_some())
            });
            let signed = match erases {
                Some(true) => ours.pki().sign_eraser(&node, &run, key),
                Some(false) | None => ours.pki().sign_node(&node, &run, key),
            };
            let certificate_pem = signed.map_err(Refusal::internal)?;
            Ok(EnrolReply::Enrolled {
                node,
                run,
                certificate_pem,
                firmware,
                boot,
            })
        }
        (Some(node), Some(Reply::Rescue)) => Ok(EnrolReply::Rescue {
            node,
            keys: ours.site().rescue.keys.clone(),
        }),
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
        reason: Reason::new(
            ReasonCode::Internal,
            what,
            format!("order again: groundstate node reprovision {node}"),
        ),
        retry_ms: Millis::secs(30).0,
    };
    let Some((disk, table)) = os_disk(plan) else {
        return cannot("the plan of this node's host has no OS disk");
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
        return cannot("the plan of this node's host has no boot or root partition");
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
        DiskAction::Wipe { table, .. }
        | DiskAction::Renew { table, .. }
        | DiskAction::Keep { table } => Some((disk.serial.clone(), table)),
        DiskAction::Erase { .. } | DiskAction::LeaveAlone => None,
    }
}
