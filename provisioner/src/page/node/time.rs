// SPDX-License-Identifier: Apache-2.0
//! The run as a time line: each phase and step where it lay, and when the end is expected.

use super::thousandths;
use crate::page::front::{eta_from, left};
use crate::page::words::When;
use groundstate_api::Millis;
use groundstate_api::fleet::Eta;
use groundstate_api::view::NodeReport;

pub(super) struct TimeLine {
    pub(super) rows: Vec<TimeRow>,
    pub(super) began: Option<When>,
    pub(super) all: String,
    pub(super) eta: Option<Expected>,
}

pub(super) struct TimeRow {
    pub(super) what: String,
    /// Since the run began.
    pub(super) at: String,
    pub(super) took: String,
    pub(super) open: bool,
    /// Thousandths of the whole line.
    pub(super) from: u64,
    pub(super) width: u64,
}

pub(super) struct Expected {
    pub(super) left: String,
    pub(super) at: When,
    pub(super) from: String,
}

impl TimeLine {
    pub(super) fn of(report: &NodeReport, eta: Option<&Eta>, now: Millis) -> Self {
        let timings = &report.timings;
        let began = timings.iter().map(|t| t.began).min();
        let start = began.unwrap_or(now);
        let end = timings
            .iter()
            .map(|t| t.took.map_or(now, |took| t.began.plus(took)))
            .max()
            .unwrap_or(now);
        // A run that goes on has its expected rest on the line too.
        let whole = eta.map_or(end, |eta| end.max(eta.at)).since(start).0.max(1);
        let row = |t: &groundstate_api::view::Timing| {
            let took = t.took.unwrap_or_else(|| now.since(t.began));
            let from = thousandths(t.began.since(start).0, whole);
            TimeRow {
                what: t.what.clone(),
                at: match t.began.since(start) {
                    Millis(0) => "+0 s".to_owned(),
                    later => format!("+{later}"),
                },
                took: match t.took {
                    Some(took) => took.to_string(),
                    None => format!("{took}, goes on"),
                },
                open: t.took.is_none(),
                from: from.min(997),
                width: thousandths(took.0, whole).max(3).min(1_000 - from.min(997)),
            }
        };
        Self {
            rows: timings.iter().map(row).collect(),
            began: began.map(|at| When::of(at, now)),
            all: end.since(start).to_string(),
            eta: eta.map(|eta| Expected {
                left: left(eta, now),
                at: When::of(eta.at, now),
                from: eta_from(eta),
            }),
        }
    }
}
