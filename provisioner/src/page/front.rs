// SPDX-License-Identifier: Apache-2.0
//! The front page: who needs a person, what goes on, and the racks; and a page for each rack.

use super::elevation::Elevation;
use super::nodes::Row;
use super::why::Why;
use super::words::{PhaseWord, When, lasting};
use super::{Page, Top, not_found, show};
use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;
use groundstate_api::explain::eta_line;
use groundstate_api::fleet::{Eta, FleetView, Need};
use groundstate_api::healing::MeasureView;
use groundstate_api::{Millis, NodeId};
use serde::Deserialize;

/// Needs on the front page; more stand on a page of their own.
const NEEDS_FRONT: usize = 9;
/// Needs on their own page.
const NEEDS_PAGE: usize = 100;
/// Runs on the front page whose end is expected.
const ETAS_FRONT: usize = 6;
/// Measures on the front page.
const MEASURES_FRONT: usize = 12;
/// Up to so many nodes each rack is drawn on the front page; beyond, each is a card with its counts.
const DRAWN_MAX: u32 = 1_500;

#[derive(Template)]
#[template(path = "front.html")]
struct Front {
    top: Top,
    mark: String,
    brake: Option<Brake>,
    leader: Option<String>,
    total: u32,
    counts: Vec<Count>,
    needs: Vec<NeedRow>,
    needs_more: usize,
    etas: Vec<EtaRow>,
    etas_more: usize,
    measures: Vec<MeasureRow>,
    measures_more: usize,
    drawn: bool,
    racks: Vec<Elevation>,
}

#[derive(Template)]
#[template(path = "needs.html")]
struct Needs {
    top: Top,
    mark: String,
    needs: Vec<NeedRow>,
    from: usize,
    next: Option<usize>,
}

#[derive(Template)]
#[template(path = "rack.html")]
struct RackPage {
    top: Top,
    mark: String,
    rack: Elevation,
    needs: Vec<NeedRow>,
    rows: Vec<Row>,
}

/// How many nodes are in a phase, as a part of the bar of all.
struct Count {
    phase: PhaseWord,
    number: u32,
    /// Thousandths from the bar's left.
    from: u64,
    /// Thousandths.
    width: u64,
}

struct Brake {
    by: String,
    since: Option<When>,
    why: Option<Why>,
}

pub(super) struct NeedRow {
    pub(super) node: String,
    pub(super) place: String,
    pub(super) phase: PhaseWord,
    pub(super) since: When,
    pub(super) what: String,
    pub(super) code: &'static str,
    pub(super) next_step: String,
}

struct EtaRow {
    node: String,
    left: String,
    at: When,
    from: String,
}

pub(super) struct MeasureRow {
    pub(super) node: String,
    pub(super) measure: String,
    pub(super) because: String,
    pub(super) waits: Option<String>,
    pub(super) due: Option<String>,
}

/// Where in a list a page begins.
#[derive(Deserialize, Default)]
pub(super) struct From {
    #[serde(default)]
    from: usize,
}

pub(super) async fn front(page: Page) -> Response {
    let (fleet, now) = (page.ours.fleet_view(), page.ours.now());
    let drawn = fleet.phases.values().sum::<u32>() <= DRAWN_MAX;
    show(&Front {
        mark: fleet.newest.to_string(),
        brake: fleet.brake.on.then(|| Brake {
            by: fleet.brake.by.clone().unwrap_or_default(),
            since: fleet.brake.since.map(|at| When::of(at, now)),
            why: fleet
                .brake
                .reason
                .as_ref()
                .map(|r| Why::of(r, fleet.brake.since.unwrap_or(now), now)),
        }),
        leader: fleet.leader.clone(),
        total: fleet.phases.values().sum(),
        counts: counts(&fleet),
        needs: needs_rows(&fleet.needs, 0, NEEDS_FRONT, now),
        needs_more: fleet.needs.len().saturating_sub(NEEDS_FRONT),
        etas: etas(&fleet.etas, now),
        etas_more: fleet.etas.len().saturating_sub(ETAS_FRONT),
        measures: measure_rows(
            &fleet.measures[..fleet.measures.len().min(MEASURES_FRONT)],
            now,
        ),
        measures_more: fleet.measures.len().saturating_sub(MEASURES_FRONT),
        drawn,
        racks: fleet.racks.iter().map(Elevation::of).collect(),
        top: page.top("/"),
    })
}

pub(super) async fn needs(page: Page, Query(from): Query<From>) -> Response {
    let (fleet, now) = (page.ours.fleet_view(), page.ours.now());
    let end = from.from.saturating_add(NEEDS_PAGE);
    show(&Needs {
        mark: fleet.newest.to_string(),
        needs: needs_rows(&fleet.needs, from.from, NEEDS_PAGE, now),
        from: from.from,
        next: (end < fleet.needs.len()).then_some(end),
        top: page.top("/needs"),
    })
}

pub(super) async fn rack(page: Page, Path(name): Path<String>) -> Response {
    let (fleet, now) = (page.ours.fleet_view(), page.ours.now());
    let Some(rack) = fleet.racks.iter().find(|rack| rack.name == name) else {
        return not_found(&fleet.site, "There is no such rack.");
    };
    let here = |need: &&Need| need.rack.as_deref().unwrap_or(crate::fleet_view::NO_RACK) == name;
    let nodes = rack.slots.iter().filter(|slot| slot.phase.is_some());
    let nodes = nodes.filter_map(|slot| slot.name.parse::<NodeId>().ok());
    show(&RackPage {
        mark: fleet.newest.to_string(),
        rack: Elevation::of(rack),
        needs: fleet
            .needs
            .iter()
            .filter(here)
            .map(|need| need_row(need, now))
            .collect(),
        rows: nodes
            .filter_map(|node| page.ours.view(&node))
            .map(|view| Row::of(&view, now))
            .collect(),
        top: page.top("/"),
    })
}

fn counts(fleet: &FleetView) -> Vec<Count> {
    let total = u64::from(fleet.phases.values().sum::<u32>().max(1));
    let mut before = 0_u64;
    let mut counts = Vec::new();
    for (phase, number) in &fleet.phases {
        let number = *number;
        let from = before * 1_000 / total;
        before += u64::from(number);
        counts.push(Count {
            phase: (*phase).into(),
            number,
            from,
            // What is there can be seen.
            width: (before * 1_000 / total).saturating_sub(from).max(2),
        });
    }
    counts
}

fn needs_rows(needs: &[Need], from: usize, most: usize, now: Millis) -> Vec<NeedRow> {
    let page = needs.iter().skip(from).take(most);
    page.map(|need| need_row(need, now)).collect()
}

fn need_row(need: &Need, now: Millis) -> NeedRow {
    NeedRow {
        node: need.node.to_string(),
        place: place(need.rack.as_deref(), need.unit),
        phase: need.phase.into(),
        since: When::of(need.since, now),
        what: need.what.clone(),
        code: need.code.as_str(),
        next_step: need.next_step.clone(),
    }
}

/// `rack r1, unit 7`; nothing for a node of no rack.
pub(super) fn place(rack: Option<&str>, unit: Option<u16>) -> String {
    match (rack, unit) {
        (Some(rack), Some(unit)) => format!("rack {rack}, unit {unit}"),
        (Some(rack), None) => format!("rack {rack}"),
        (None, _) => String::new(),
    }
}

fn etas(etas: &[Eta], now: Millis) -> Vec<EtaRow> {
    let mut soonest: Vec<&Eta> = etas.iter().collect();
    soonest.sort_by(|a, b| (a.at, &a.node).cmp(&(b.at, &b.node)));
    let row = |eta: &Eta| EtaRow {
        node: eta.node.to_string(),
        left: left(eta, now),
        at: When::of(eta.at, now),
        from: eta_from(eta),
    };
    soonest.into_iter().take(ETAS_FRONT).map(row).collect()
}

/// How long a run still takes.
pub(super) fn left(eta: &Eta, now: Millis) -> String {
    if eta.at > now {
        format!("in about {}", lasting(eta.at.since(now)))
    } else {
        format!("{} later than usual", lasting(now.since(eta.at)))
    }
}

/// What an expectation is made of: the words that the command line has too.
pub(super) fn eta_from(eta: &Eta) -> String {
    let line = eta_line(eta, &|_| String::new());
    line.split_once(", ")
        .map(|(_, by)| by.to_owned())
        .unwrap_or(line)
}

pub(super) fn measure_rows(measures: &[MeasureView], now: Millis) -> Vec<MeasureRow> {
    let row = |measure: &MeasureView| MeasureRow {
        node: measure.node.to_string(),
        measure: measure.measure.as_str().replace('-', " "),
        because: measure.because.what.clone(),
        waits: measure.waits.as_ref().map(|reason| reason.what.clone()),
        due: measure.due.map(|due| match due > now {
            true => format!("in {}", lasting(due.since(now))),
            false => "now".to_owned(),
        }),
    };
    measures.iter().map(row).collect()
}
