// SPDX-License-Identifier: Apache-2.0
//! What happened to a node, in the journal's own headlines.

use crate::journal::JournalError;
use crate::page::words::When;
use crate::page::{Page, Top};
use crate::provisioner::Provisioner;
use askama::Template;
use groundstate_api::event::{Event, Happened};
use groundstate_api::headline::headline;
use groundstate_api::{Millis, NodeId};

/// Events on one page of the history.
const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "history.html")]
pub(super) struct History {
    top: Top,
    node: String,
    lines: Vec<Line>,
    after: u64,
    next: Option<u64>,
}

/// One event.
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) at: When,
    pub(super) text: String,
    /// Its class in the style, or nothing.
    pub(super) class: &'static str,
}

impl Line {
    fn of(event: &Event, now: Millis) -> Self {
        let text = headline(&event.what);
        Self {
            number: event.number,
            at: When::of(event.at, now),
            class: class(&event.what, &text),
            text,
        }
    }
}

fn class(what: &Happened, text: &str) -> &'static str {
    if text.starts_with("ALARM") || text.starts_with("QUARANTINE") {
        return "ev-alarm";
    }
    if matches!(what, Happened::PhaseChanged { .. }) {
        return "ev-phase";
    }
    if matches!(what, Happened::Remarked { .. }) {
        return "ev-person";
    }
    ""
}

impl History {
    /// Reads the journal: blocks.
    pub(super) fn make(page: &Page, node: &NodeId, after: u64) -> Result<Self, JournalError> {
        let now = page.ours.now();
        let events = page.ours.events(after, PAGE, Some(node))?;
        let full = events.len() >= PAGE;
        Ok(Self {
            next: events.last().filter(|_| full).map(|last| last.number),
            lines: events.iter().map(|event| Line::of(event, now)).collect(),
            node: node.to_string(),
            after,
            top: page.top("/nodes"),
        })
    }
}

/// The newest events of a node, newest first. Blocks.
pub(super) fn newest(ours: &Provisioner, node: &NodeId, most: usize, now: Millis) -> Vec<Line> {
    match ours.latest(most, Some(node)) {
        Ok(events) => {
            let lines = events.iter().rev();
            lines.map(|event| Line::of(event, now)).collect()
        }
        Err(error) => {
            tracing::error!(%error, %node, "the page cannot show the newest events");
            Vec::new()
        }
    }
}
