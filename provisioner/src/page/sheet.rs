// SPDX-License-Identifier: Apache-2.0
//! The repair ticket as a sheet of paper: one A4 page that needs no screen beside it.

use super::words::{PhaseWord, When};
use super::{Page, assets, harden, not_found, show};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64ct::{Base64, Encoding as _};
use groundstate_api::ticket::{Ticket, TicketPart};
use groundstate_api::{Digest, Millis};
use std::sync::LazyLock;

/// What a sheet by itself may do: have this one style.
static OWN_STYLE: LazyLock<String> = LazyLock::new(|| {
    let digest = Base64::encode_string(&Digest::of(assets::STYLE.as_bytes()).0);
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

#[derive(Template)]
#[template(path = "ticket.html")]
pub(crate) struct Sheet {
    ticket: Ticket,
    phase: PhaseWord,
    code: &'static str,
    written: When,
    since: Option<When>,
    place: Vec<(&'static str, String)>,
    part: Vec<(&'static str, String)>,
    /// Whether it lies beside the pages of the site, so that links lead somewhere. If not, it has its style in itself.
    on_page: bool,
    style: &'static str,
}

impl Sheet {
    pub(crate) fn of(ticket: Ticket, now: Millis, on_page: bool) -> Self {
        Self {
            phase: ticket.phase.into(),
            code: ticket.code.as_str(),
            written: When::of(ticket.at, now),
            since: ticket.since.map(|at| When::of(at, now)),
            place: place(&ticket),
            part: ticket.part.as_ref().map(part).unwrap_or_default(),
            ticket,
            on_page,
            style: assets::STYLE,
        }
    }

    /// The sheet as an answer, with the headers of a page.
    pub(crate) fn answer(&self) -> Response {
        let mut response = show(self);
        if !self.on_page {
            let policy = HeaderValue::from_str(&OWN_STYLE);
            match policy {
                Ok(policy) => response
                    .headers_mut()
                    .insert(header::CONTENT_SECURITY_POLICY, policy),
                // The sheet is then plain, and as strict as a page.
                Err(_) => None,
            };
        }
        response
    }
}

fn place(ticket: &Ticket) -> Vec<(&'static str, String)> {
    let machine = &ticket.machine;
    let unit = machine.unit.map(|unit| match machine.height {
        0 | 1 => unit.to_string(),
        height => format!("{unit} to {}", unit.saturating_add(height - 1)),
    });
    let mut rows = vec![
        ("rack", machine.rack.clone().unwrap_or_default()),
        ("place", machine.place.clone()),
        ("unit", unit.unwrap_or_default()),
        (
            "bay",
            machine.bay.map(|bay| bay.to_string()).unwrap_or_default(),
        ),
        ("machine", machine.model.clone()),
        ("serial number", machine.serial.clone()),
        ("power", machine.power.join(", ")),
        ("switch port", machine.port.clone().unwrap_or_default()),
        ("MAC address", machine.mac.to_string()),
    ];
    rows.retain(|(_, value)| !value.is_empty());
    rows
}

fn part(part: &TicketPart) -> Vec<(&'static str, String)> {
    let place = &part.place;
    let mut rows = vec![
        ("part", part.kind.clone()),
        ("slot", place.slot.clone()),
        ("name", part.device.clone()),
        (
            "size",
            place.size.map(|size| size.to_string()).unwrap_or_default(),
        ),
        ("maker", place.vendor.clone()),
        ("model", place.model.clone()),
        ("part number", place.part_number.clone()),
        ("serial number", place.serial.clone()),
        ("firmware", place.firmware.clone()),
    ];
    rows.retain(|(_, value)| !value.is_empty());
    // A slot that is the device's name is said once.
    if place.slot == part.device || part.device == place.serial {
        rows.retain(|(name, _)| *name != "name");
    }
    rows
}

pub(super) async fn ticket(State(page): State<Page>, Path(name): Path<String>) -> Response {
    let node = match page.node(&name) {
        Ok(node) => node,
        Err(response) => return response,
    };
    match page.ours.ticket(&node) {
        Some(ticket) => Sheet::of(ticket, page.ours.now(), true).answer(),
        None => not_found(
            &page.ours.site().name,
            "Nothing is to be repaired at this node.",
        ),
    }
}

/// A ticket as JSON.
pub(crate) fn json(ticket: &Ticket) -> Response {
    match serde_json::to_string(ticket) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a ticket cannot be written");
            harden(StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
    }
}
