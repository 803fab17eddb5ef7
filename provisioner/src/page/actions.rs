// SPDX-License-Identifier: Apache-2.0
//! What was done to machines or asked of their hosts, and what came of it.

use super::words::When;
use super::{Page, Top, show};
use askama::Template;
use axum::response::Response;
use groundstate_api::Millis;
use groundstate_api::action::{ActionView, Outcome};
use prov_core::ActionsWanted;

/// Actions on the page of all.
const SHOWN: usize = 100;

#[derive(Template)]
#[template(path = "actions.html")]
struct Actions {
    top: Top,
    mark: String,
    open: Vec<ActionRow>,
    ended: Vec<ActionRow>,
}

/// What goes on, then what has ended, newest first.
pub(super) async fn list(page: Page) -> Response {
    let now = page.ours.now();
    let all = page.ours.actions(ActionsWanted::ALL);
    let (ended, open): (Vec<_>, Vec<_>) = all.actions.iter().partition(|a| a.ended.is_some());
    let rows = |of: Vec<&ActionView>| {
        of.into_iter()
            .take(SHOWN)
            .map(|a| ActionRow::of(a, now))
            .collect()
    };
    show(&Actions {
        mark: page.ours.fleet_view().newest.to_string(),
        open: rows(open),
        ended: rows(ended),
        top: page.top("/actions"),
    })
}

/// An action in a table.
pub(super) struct ActionRow {
    pub(super) id: String,
    pub(super) node: String,
    pub(super) says: &'static str,
    pub(super) by: String,
    pub(super) because: Option<String>,
    pub(super) attempt: u32,
    pub(super) began: When,
    pub(super) took: String,
    pub(super) outcome: &'static str,
    pub(super) class: &'static str,
    pub(super) lines: Vec<String>,
    pub(super) next_step: Option<String>,
}

impl ActionRow {
    pub(super) fn of(view: &ActionView, now: Millis) -> Self {
        let action = &view.action;
        let ended = view.ended.unwrap_or(now);
        let (outcome, class, lines, next_step) = match &view.outcome {
            None => {
                let left = action.deadline.since(now);
                let line = format!("counts as failed in {}", super::words::lasting(left));
                ("goes on", "warn", vec![line], None)
            }
            Some(Outcome::Done { by, facts }) => {
                let mut lines = vec![format!("by {by}")];
                lines.extend(facts.iter().cloned());
                ("done", "ok", lines, None)
            }
            Some(Outcome::Failed { reason }) => {
                let mut lines = vec![format!("{} [{}]", reason.what, reason.code)];
                lines.extend(reason.evidence.iter().cloned());
                ("failed", "fail", lines, Some(reason.next_step.clone()))
            }
            Some(Outcome::Vetoed { by, why }) => {
                ("vetoed", "unknown", vec![format!("by {by}: {why}")], None)
            }
        };
        Self {
            id: action.id.to_string(),
            node: action.node.to_string(),
            says: action.act.says(),
            by: action.by.clone(),
            because: action.because.as_ref().map(|reason| reason.what.clone()),
            attempt: action.attempt,
            began: When::of(action.began, now),
            took: ended.since(action.began).to_string(),
            outcome,
            class,
            lines,
            next_step,
        }
    }
}
