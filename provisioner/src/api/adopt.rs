// SPDX-License-Identifier: Apache-2.0
//! Adoption over HTTP: a person makes a token's digest known, a running host shows the token and becomes a node, a person lets it
//! go again.
//!
//! The token never comes here but with the host that uses it, and is never kept: the journal has its digest. Nothing of a host's
//! body is read before its token was found good.

use super::body::{self, SMALL, check_schema};
use super::life::{WHY_MAX, typed};
use super::only_if::Ours;
use super::operator::{known, unknown};
use super::problem::Refusal;
use super::routes::{Routes, routes};
use super::text;
use super::wrong;
use crate::pki::ProvenKey;
use crate::provisioner::Provisioner;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use groundstate_api::adopt::{
    AdoptOrder, AdoptReply, AdoptRequest, AdoptToken, AdoptTokenView, TOKEN_MINUTES_MAX,
    TOKEN_MINUTES_USUAL,
};
use groundstate_api::boot::Firmware;
use groundstate_api::healing::Because;
use groundstate_api::host::NetworkBoot;
use groundstate_api::limits::JSON_BODY_MAX;
use groundstate_api::plan::EarlierDisks;
use groundstate_api::site::{Node, Site};
use groundstate_api::view::NodeView;
use groundstate_api::{Digest, Millis, NodeId, ParseIdError, Reason, ReasonCode, paths};
use prov_core::adopt::Adoptee;
use prov_core::{Input, Peer, Reply, reasons_adopt};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

/// The longest serial number that a token may be bound to, in bytes.
const SERIAL_MAX: usize = 128;
/// The most MAC addresses of one machine: eight cards with eight ports.
const MACS_MAX: usize = 64;
/// The longest header with a token, in bytes.
const TOKEN_MAX: usize = 256;

pub(crate) fn routes() -> Routes {
    routes![
        POST paths::ADOPT => token,
        DELETE paths::ADOPT => let_go,
        POST paths::ADOPT_HOST => adopt,
        GET paths::CA => ca,
    ]
}

/// The site CA's certificate.
async fn ca(State(ours): State<Provisioner>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "application/x-pem-file")];
    (kind, ours.pki().ca_pem().to_owned())
}

async fn token(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<AdoptTokenView>, Refusal> {
    let node: NodeId = name
        .parse()
        .map_err(|error: ParseIdError| Refusal::field("node", error.to_string()))?;
    let order: AdoptOrder = body::json(body, SMALL).await?;
    let minutes = order.minutes.unwrap_or(TOKEN_MINUTES_USUAL);
    if !(1..=TOKEN_MINUTES_MAX).contains(&minutes) {
        let what = format!("a token is good for 1 to {TOKEN_MINUTES_MAX} minutes");
        return Err(Refusal::field("minutes", what));
    }
    let serial = order
        .serial
        .map(|serial| typed("serial", serial, SERIAL_MAX));
    let made = AdoptToken {
        token: order.token,
        node: node.clone(),
        expires: ours
            .now()
            .plus(Millis::secs(u64::from(minutes).saturating_mul(60))),
        by: peer.to_string(),
        mac: order.mac,
        serial: serial.transpose()?,
    };
    let view = AdoptTokenView {
        new: ours.with_node(&node, |_| ()).is_none(),
        node,
        expires: made.expires,
        provisioner: ours.address(),
        ca: ca_digest(&ours)?,
    };
    let put = move || {
        ours.decide_alone(None, |fleet, now, wishes| {
            fleet.adopt_token(now, made, wishes);
        })
    };
    match tokio::task::spawn_blocking(put).await?? {
        Some(Reply::Conflict(reason)) => Err(Refusal::conflict(reason)),
        _ => Ok(Json(view)),
    }
}

fn ca_digest(ours: &Provisioner) -> Result<Digest, Refusal> {
    let der = CertificateDer::from_pem_slice(ours.pki().ca_pem().as_bytes());
    let der = der.map_err(|error| Refusal::internal(format!("the site CA: {error}")))?;
    Ok(Digest::of(&der))
}

async fn let_go(
    Ours(ours): Ours,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<NodeView>, Refusal> {
    let node = known(&ours, &name)?;
    let because: Because = body::json_or_default(body, SMALL).await?;
    let why = typed("why", because.why, WHY_MAX)?;
    let by = peer.to_string();
    let submit = {
        let (ours, node) = (ours.clone(), node.clone());
        move || ours.submit(&node, Input::Unadopted { by, why })
    };
    match tokio::task::spawn_blocking(submit).await?? {
        Some(Reply::Conflict(reason)) => Err(Refusal::conflict(reason)),
        _ => ours
            .view(&node)
            .map(Json)
            .ok_or_else(|| unknown(&ours, &name)),
    }
}

/// A running host shows its token.
async fn adopt(
    State(ours): State<Provisioner>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<AdoptReply>, Refusal> {
    let token = token_of(&headers);
    let good = token.filter(|token| ours.with_fleet(|fleet| fleet.has_token(ours.now(), token)));
    let Some(digest) = good else {
        body::read_away(body).await;
        return Err(refused(reasons_adopt::no_such_token()));
    };
    let request = request(body).await?;
    tokio::task::spawn_blocking(move || take_in(&ours, digest, request))
        .await?
        .map(Json)
}

/// 401 where the token is none, as for every credential that is not known; else 409.
fn refused(reason: Reason) -> Refusal {
    if reason.code == ReasonCode::NotAllowed {
        Refusal::new(StatusCode::UNAUTHORIZED, reason)
    } else {
        Refusal::conflict(reason)
    }
}

/// The digest of the token in `Authorization: Bearer`.
fn token_of(headers: &HeaderMap) -> Option<Digest> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let token = value.strip_prefix("Bearer ")?.trim();
    let good = (1..=TOKEN_MAX).contains(&token.len());
    good.then(|| Digest::of(token.as_bytes()))
}

/// What the host says, with every text made harmless but its signing request, which is parsed.
async fn request(body: Body) -> Result<AdoptRequest, Refusal> {
    let mut value: Value = body::json(body, JSON_BODY_MAX).await?;
    let request = value.get_mut("csr_pem").map(Value::take);
    text::clean(&mut value);
    if let (Some(request), Some(place)) = (request, value.get_mut("csr_pem")) {
        *place = request;
    }
    let request: AdoptRequest =
        serde_path_to_error::deserialize(value).map_err(|error| wrong::body(&error))?;
    check_schema("schema", request.schema)?;
    if request.macs.len() > MACS_MAX {
        let what = format!("{MACS_MAX} MAC addresses are the most of one machine");
        return Err(Refusal::field("macs", what));
    }
    if request.serial.len() > SERIAL_MAX {
        let what = format!("a serial number has at most {SERIAL_MAX} bytes");
        return Err(Refusal::field("serial", what));
    }
    Ok(request)
}

/// Takes the host in, or says what would come of it. Blocks.
fn take_in(
    ours: &Provisioner,
    token: Digest,
    request: AdoptRequest,
) -> Result<AdoptReply, Refusal> {
    let key = request.csr_pem.as_deref().map(ProvenKey::from_csr);
    let key = key
        .transpose()
        .map_err(|error| Refusal::field("csr_pem", error.to_string()))?;
    let dry_run = request.dry_run;
    let who = Adoptee {
        token,
        key: key.as_ref().map(ProvenKey::digest),
        request,
    };
    let asked = ours.with_fleet(|fleet| fleet.adoptee(ours.now(), &who).cloned());
    let made = asked.map_err(refused)?;
    let known = ours.with_node(&made.node, |node| node.site.clone());
    let (node, new) = match known {
        Some(node) => (node, false),
        None => (new_node(&made, &who.request)?, true),
    };
    let findings = hw_core::judge_node(
        &node,
        None,
        &EarlierDisks::default(),
        &who.request.inventory,
    );
    let mut reply = AdoptReply {
        node: made.node.clone(),
        new,
        adoption: None,
        certificate_pem: None,
        epoch: 0,
        provisioner: ours.address(),
        network_boot: NetworkBoot {
            mac: node.mac,
            firmware: firmware(&who.request),
        },
        findings,
    };
    if dry_run {
        if new {
            would_be_a_site(ours, &node)?;
        }
        return Ok(reply);
    }
    if new {
        ours.change_site(&made.by, |site, _| with_node(site, &node))?;
    }
    let inventory = who.request.inventory.clone();
    let adoption = match ours.submit(&made.node, Input::AdoptAsked(Box::new(who)))? {
        Some(Reply::Adopted(adoption)) => adoption,
        Some(Reply::Conflict(reason)) => return Err(refused(reason)),
        other => {
            return Err(Refusal::internal(format!(
                "an adoption was answered with {other:?}"
            )));
        }
    };
    tell_of_hardware(ours, &made.node, &inventory)?;
    reply.epoch = ours
        .with_node(&made.node, |node| node.runs)
        .unwrap_or_default();
    if let Some(key) = &key {
        let signed = ours.pki().sign_host(&made.node, &adoption, key);
        reply.certificate_pem = Some(signed.map_err(Refusal::internal)?);
    }
    reply.adoption = Some(adoption);
    Ok(reply)
}

/// What hw-diag's figures say beside those of before is trouble of the node, as after an inventory of the maintenance OS.
fn tell_of_hardware(
    ours: &Provisioner,
    node: &NodeId,
    inventory: &groundstate_api::inventory::Inventory,
) -> Result<(), Refusal> {
    let by = prov_core::health::BY_HARDWARE.to_owned();
    let troubles = ours.with_node(node, |node| crate::hardware::troubles(node, inventory));
    let troubles = troubles.unwrap_or_default();
    let told = ours.with_node(node, |node| node.troubles.contains_key(&by));
    if !troubles.is_empty() || told == Some(true) {
        ours.submit(node, Input::HealthReported { by, troubles })?;
    }
    Ok(())
}

fn firmware(request: &AdoptRequest) -> Firmware {
    let of_uefi = if request.uefi {
        Firmware::UefiPxe
    } else {
        Firmware::Bios
    };
    request.inventory.system.firmware.unwrap_or(of_uefi)
}

/// The machine as a node of the site: what it is known by, and nothing else.
fn new_node(made: &AdoptToken, request: &AdoptRequest) -> Result<Node, Refusal> {
    let node = json!({
        "name": made.node,
        "mac": made.mac.unwrap_or(request.boot_mac),
        "uuid": request.uuid,
        "serial": request.serial.trim(),
    });
    serde_json::from_value(node)
        .map_err(|error| Refusal::internal(format!("a node cannot be made of it: {error}")))
}

fn with_node(site: &Site, node: &Node) -> Result<Site, Refusal> {
    // Another call with the same token may have been quicker.
    if site.nodes.iter().any(|known| known.name == node.name) {
        return Ok(site.clone());
    }
    let mut site = site.clone();
    site.nodes.push(node.clone());
    Ok(site)
}

/// Says what stands in the way of the site with this node, and changes nothing.
fn would_be_a_site(ours: &Provisioner, node: &Node) -> Result<(), Refusal> {
    let site = with_node(&ours.site(), node)?;
    let plan = ours.site_plan(&site)?;
    match prov_core::reasons_site::refused(&plan) {
        Some(reason) => Err(Refusal::conflict(reason)),
        None => Ok(()),
    }
}
