// SPDX-License-Identifier: Apache-2.0
//! The list of nodes: all, of one phase, or those that a person looks for.

use super::front::place;
use super::why::Why;
use super::words::{PhaseWord, When};
use super::{Page, Top, show};
use askama::Template;
use axum::extract::Query;
use axum::response::{IntoResponse as _, Redirect, Response};
use groundstate_api::boot::BootSighting;
use groundstate_api::explain::reason_of;
use groundstate_api::run::StepState;
use groundstate_api::view::{NodeView, Phase};
use groundstate_api::{Bytes, Millis, NodeId};
use prov_core::Node;
use serde::Deserialize;

/// Nodes on a page.
const PAGE: usize = 100;
/// The longest text that is looked for, in characters: a serial number or a name is shorter.
const SOUGHT_MAX: usize = 80;

#[derive(Template)]
#[template(path = "nodes.html")]
struct Nodes {
    top: Top,
    mark: String,
    rows: Vec<Row>,
    sought: String,
    /// The same in an address.
    sought_key: String,
    phase: &'static str,
    phase_says: String,
    phases: Vec<(PhaseWord, u32)>,
    found: usize,
    first: usize,
    next: Option<usize>,
}

/// A node in a table.
pub(super) struct Row {
    pub(super) node: String,
    pub(super) mac: String,
    pub(super) place: String,
    pub(super) phase: PhaseWord,
    pub(super) since: When,
    pub(super) why: Why,
    /// Whether there is nothing to say beside the phase.
    pub(super) quiet: bool,
    pub(super) now: Option<Now>,
}

/// What goes on, with figures where it has some.
pub(super) struct Now {
    pub(super) says: String,
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) figures: String,
}

#[derive(Deserialize, Default)]
pub(super) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    phase: String,
    #[serde(default)]
    after: usize,
}

pub(super) async fn list(page: Page, Query(asked): Query<Asked>) -> Response {
    let sought: String = asked.q.trim().chars().take(SOUGHT_MAX).collect();
    // Who types a whole name wants that node.
    if let Ok(node) = sought.parse::<NodeId>()
        && page.ours.with_node(&node, |_| ()).is_some()
    {
        return super::harden(Redirect::to(&format!("/nodes/{node}")).into_response());
    }
    let now = page.ours.now();
    let phase = Phase::ALL.into_iter().find(|p| p.as_str() == asked.phase);
    let (found, rows) = page.ours.with_fleet(|fleet| {
        let small = sought.to_lowercase();
        let mut found = 0_usize;
        let mut rows = Vec::new();
        for node in fleet.nodes() {
            let fits = phase.is_none_or(|phase| node.phase == phase) && matches(node, &small);
            if !fits {
                continue;
            }
            found += 1;
            if found > asked.after && rows.len() < PAGE {
                rows.push(Row::in_fleet(node, now));
            }
        }
        (found, rows)
    });
    let fleet = page.ours.fleet_view();
    let end = asked.after.saturating_add(PAGE);
    show(&Nodes {
        mark: fleet.newest.to_string(),
        rows,
        sought_key: super::elevation::key(&sought),
        sought,
        phase: phase.map_or("", Phase::as_str),
        phase_says: phase.map(|p| PhaseWord::from(p).says).unwrap_or_default(),
        phases: fleet
            .phases
            .iter()
            .map(|(p, n)| ((*p).into(), *n))
            .collect(),
        found,
        first: asked.after,
        next: (end < found).then_some(end),
        top: page.top("/nodes"),
    })
}

/// Whether a node is what a person looks for: by name, MAC address, serial number, rack or a word of its reason.
fn matches(node: &Node, small: &str) -> bool {
    if small.is_empty() {
        return true;
    }
    let has = |text: &str| text.to_lowercase().contains(small);
    let site = &node.site;
    has(node.id().as_str())
        || has(&site.mac.to_string())
        || has(&site.serial)
        || site.slot.as_ref().is_some_and(|slot| has(&slot.rack))
        || node
            .reason
            .as_ref()
            .is_some_and(|r| has(&r.what) || has(r.code.as_str()))
}

impl Row {
    pub(super) fn in_fleet(node: &Node, now: Millis) -> Self {
        let mut row = Self::of(&node.view(), now);
        let slot = node.site.slot.as_ref();
        row.place = place(slot.map(|s| s.rack.as_str()), slot.map(|s| s.unit));
        row
    }

    pub(super) fn of(view: &NodeView, now: Millis) -> Self {
        Self {
            node: view.node.to_string(),
            mac: view.mac.to_string(),
            place: String::new(),
            phase: view.phase.into(),
            since: When::of(view.since, now),
            why: Why::of(&reason_of(view), view.since, now),
            quiet: view.reason.is_none(),
            now: Now::of(view),
        }
    }
}

impl Now {
    fn of(view: &NodeView) -> Option<Self> {
        let plain = |says: String| Self {
            says,
            done: 0,
            total: 0,
            figures: String::new(),
        };
        let measured = |says: String, done: Bytes, total: Bytes| Self {
            says,
            done: done.0,
            total: total.0,
            figures: format!("{done} of {total}"),
        };
        if let Some((step, state)) = &view.step {
            return Some(match state {
                StepState::Running { done, total } => {
                    measured(step.says().to_owned(), *done, *total)
                }
                StepState::Started => plain(step.says().to_owned()),
                StepState::Done { .. } => plain(format!("{}: done", step.says())),
                StepState::Failed { .. } => plain(format!("{}: failed", step.says())),
                StepState::Waiting { .. } => plain(format!("{}: waits", step.says())),
            });
        }
        match view.boot.as_ref()? {
            BootSighting::FileProgress { file, done, length } => {
                Some(measured(format!("sending {file}"), *done, *length))
            }
            BootSighting::FileSent { file, .. } => Some(plain(format!("{file} was sent"))),
            BootSighting::Leased { address, .. } => {
                Some(plain(format!("has the address {address}")))
            }
            BootSighting::Refused { .. } => Some(plain("was refused a boot file".to_owned())),
            BootSighting::SentToLocalDisk => Some(plain("was sent to its own disk".to_owned())),
        }
    }

    /// Thousandths of it that are done, where it has figures.
    pub(super) fn part(&self) -> u64 {
        super::node::thousandths(self.done, self.total)
    }
}
