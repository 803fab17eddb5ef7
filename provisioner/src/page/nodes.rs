// SPDX-License-Identifier: Apache-2.0
//! The list of nodes.

use super::Why;
use crate::clock::words;
use askama::Template;
use groundstate_api::boot::BootSighting;
use groundstate_api::run::StepState;
use groundstate_api::view::{NodeList, NodeView};

#[derive(Template)]
#[template(path = "nodes.html")]
pub(super) struct Nodes {
    site: String,
    rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) node: String,
    pub(super) mac: String,
    pub(super) phase: &'static str,
    pub(super) since: String,
    pub(super) why: Option<Why>,
    pub(super) now: Option<Now>,
}

/// What goes on, with figures where it has some.
pub(super) struct Now {
    pub(super) says: String,
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) figures: String,
}

impl Nodes {
    pub(super) fn of(site: &str, list: &NodeList) -> Self {
        Self {
            site: site.to_owned(),
            rows: list.nodes.iter().map(Row::of).collect(),
        }
    }
}

impl Row {
    pub(super) fn of(view: &NodeView) -> Self {
        Self {
            node: view.node.to_string(),
            mac: view.mac.to_string(),
            phase: view.phase.as_str(),
            since: words(view.since),
            why: view.reason.as_ref().map(Why::from),
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
        let measured =
            |says: String, done: groundstate_api::Bytes, total: groundstate_api::Bytes| Self {
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
}
