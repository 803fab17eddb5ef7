// SPDX-License-Identifier: Apache-2.0
//! One node: where it is and why, its run as a time line, its disks, memory modules and all that is known beside.

mod bmc;
mod boots;
mod dimms;
mod disks;
mod facts;
mod history;
mod time;

use super::actions::ActionRow;
use super::front::{MeasureRow, measure_rows, place};
use super::nodes::Row;
use super::why::Why;
use super::words::When;
use super::{Page, Top, harden, not_found, reading, show};
use askama::Template;
use axum::extract::{Path, Query};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bmc::Bmc;
use boots::Boot;
use dimms::Dimm;
use disks::DiskCard;
use groundstate_api::healing::TroubleView;
use groundstate_api::health::{DeviceKind, DeviceReport, Verdict};
use groundstate_api::view::NodeReport;
use groundstate_api::{Millis, NodeId};
use history::Line;
use serde::Deserialize;
use time::TimeLine;

/// Lines of the log on the node's page.
const LOG_LINES: usize = 40;
/// Events on the node's page, newest first.
const EVENTS: usize = 15;

#[derive(Template)]
#[template(path = "node.html")]
struct NodePage {
    top: Top,
    mark: String,
    row: Row,
    rack: Option<Rack>,
    run: Option<String>,
    ticket: bool,
    facts: Vec<(&'static str, String)>,
    time: TimeLine,
    disks: Vec<DiskCard>,
    dimms: Vec<Dimm>,
    dimms_words: String,
    devices: Vec<Device>,
    well: Vec<String>,
    findings: Vec<Why>,
    alarms: Vec<Why>,
    troubles: Vec<Trouble>,
    measures: Vec<MeasureRow>,
    steps: Vec<(&'static str, Vec<String>)>,
    changes: Vec<(String, String, String)>,
    could_not_look: Vec<String>,
    boots: Vec<Boot>,
    actions: Vec<ActionRow>,
    history: Vec<Line>,
    log: Vec<String>,
    bmc: Option<Bmc>,
}

/// Where the node stands.
struct Rack {
    name: String,
    key: String,
    words: String,
}

/// What somebody says is wrong with the host.
struct Trouble {
    by: String,
    since: When,
    what: String,
    evidence: Vec<String>,
}

impl Trouble {
    fn of(view: &TroubleView, now: Millis) -> Self {
        Self {
            by: view.by.clone(),
            since: When::of(view.since, now),
            what: view.trouble.what.clone(),
            evidence: view.trouble.evidence.clone(),
        }
    }
}

/// A device that is not well, and is neither a disk nor a memory module: those have pictures.
struct Device {
    title: String,
    verdict: Mark,
    findings: Vec<Found>,
}

/// A verdict in a word, with its class in the style.
#[derive(Clone, Copy)]
struct Mark {
    says: &'static str,
    class: &'static str,
}

/// A finding of hw-diag.
struct Found {
    what: String,
    code: String,
    sure: &'static str,
    evidence: Vec<String>,
    next_step: String,
}

impl Mark {
    const fn of(verdict: Verdict) -> Self {
        let (says, class) = match verdict {
            Verdict::Ok => ("ok", "ok"),
            Verdict::Unknown => ("unknown", "unknown"),
            Verdict::Warn => ("warning", "warn"),
            Verdict::Fail => ("failing", "fail"),
        };
        Self { says, class }
    }
}

impl Found {
    fn all(report: &DeviceReport) -> Vec<Self> {
        let finding = |f: &groundstate_api::health::HealthFinding| Self {
            what: f.what.clone(),
            code: f.code.clone(),
            sure: f.sureness.as_str(),
            evidence: f.evidence.clone(),
            next_step: f.next_step.clone(),
        };
        report.findings.iter().map(finding).collect()
    }
}

/// Thousandths of `whole` that `part` is.
pub(super) fn thousandths(part: u64, whole: u64) -> u64 {
    let part = u128::from(part) * 1_000 / u128::from(whole.max(1));
    u64::try_from(part).unwrap_or(1_000).min(1_000)
}

pub(super) async fn one(page: Page, Path(name): Path<String>) -> Response {
    let node = match page.node(&name) {
        Ok(node) => node,
        Err(response) => return response,
    };
    let reader = page.clone();
    let made = reading(move || NodePage::make(&reader, &node)).await;
    match made {
        Some(Some(made)) => show(&made),
        // It left the site in between.
        Some(None) => not_found(&page.ours.site().name, "There is no such node."),
        None => harden(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
    }
}

impl NodePage {
    /// Reads the journal: blocks.
    fn make(page: &Page, node: &NodeId) -> Option<Self> {
        let (ours, now) = (&page.ours, page.ours.now());
        let report = ours.report(node)?;
        let site = ours.with_node(node, |node| node.site.clone())?;
        let fleet = ours.fleet_view();
        let eta = fleet.etas.iter().find(|eta| eta.node == *node);
        let slot = site.slot.as_ref();
        let boots = ours.boots(Some(site.mac));
        let log = report.view.run.as_ref();
        let log = log.and_then(|run| ours.log(node, run).ok().flatten());
        let (inventory, since) = (report.inventory.as_ref(), report.view.since);
        let is_pictured = |r: &&DeviceReport| matches!(r.kind, DeviceKind::Disk | DeviceKind::Dimm);
        let others = report.hardware.iter().filter(|r| !is_pictured(r));
        let (well, ill): (Vec<_>, Vec<_>) = others.partition(|r| r.verdict == Verdict::Ok);
        Some(Self {
            mark: super::live::mark_of(ours, node),
            row: Row::of(&report.view, now),
            rack: slot.map(|slot| Rack {
                name: slot.rack.clone(),
                key: super::elevation::key(&slot.rack),
                words: place(Some(&slot.rack), Some(slot.unit)),
            }),
            run: report.view.run.as_ref().map(ToString::to_string),
            ticket: ours.ticket(node).is_some(),
            facts: facts::facts(&report, &site, now),
            time: TimeLine::of(&report, eta, now),
            disks: disks::disks(&report),
            dimms: dimms::dimms(&report),
            dimms_words: dimms::words(&report),
            devices: ill.into_iter().map(device).collect(),
            well: well.into_iter().map(DeviceReport::title).collect(),
            findings: whys(findings(&report), since, now),
            alarms: whys(report.alarms.iter().rev(), since, now),
            troubles: report
                .troubles
                .iter()
                .map(|t| Trouble::of(t, now))
                .collect(),
            measures: measure_rows(&report.measures, now),
            steps: steps(&report),
            changes: changes(&report),
            could_not_look: inventory
                .map(|i| i.could_not_look.clone())
                .unwrap_or_default(),
            boots: boots::boots(&boots, now),
            actions: report
                .actions
                .iter()
                .map(|a| ActionRow::of(a, now))
                .collect(),
            history: history::newest(ours, node, EVENTS, now),
            log: log.map(|log| tail(&log)).unwrap_or_default(),
            bmc: Bmc::of(ours, node, now),
            top: page.top("/nodes"),
        })
    }
}

fn device(report: &DeviceReport) -> Device {
    Device {
        title: report.title(),
        verdict: Mark::of(report.verdict),
        findings: Found::all(report),
    }
}

fn whys<'a>(
    reasons: impl Iterator<Item = &'a groundstate_api::Reason>,
    since: Millis,
    now: Millis,
) -> Vec<Why> {
    reasons.map(|reason| Why::of(reason, since, now)).collect()
}

fn steps(report: &NodeReport) -> Vec<(&'static str, Vec<String>)> {
    let facts = report.facts.iter();
    facts
        .map(|(step, lines)| (step.says(), lines.clone()))
        .collect()
}

fn changes(report: &NodeReport) -> Vec<(String, String, String)> {
    let changes = report.host.iter().flat_map(|host| &host.changes);
    changes
        .map(|c| (c.what.clone(), c.before.clone(), c.after.clone()))
        .collect()
}

/// The findings of the run but the one that is the node's own reason: that stands above already.
fn findings(report: &NodeReport) -> impl Iterator<Item = &groundstate_api::Reason> {
    let own = report.view.reason.as_ref();
    let is_own = move |reason: &groundstate_api::Reason| {
        own.is_some_and(|own| own.what == reason.what && own.part == reason.part)
    };
    let all = report.findings.iter().map(|finding| &finding.reason);
    all.filter(move |reason| !is_own(reason))
}

/// The last lines of a log.
fn tail(log: &str) -> Vec<String> {
    let mut lines: Vec<&str> = log.lines().rev().take(LOG_LINES).collect();
    lines.reverse();
    lines.into_iter().map(ToOwned::to_owned).collect()
}

/// The whole log of the newest run, as text.
pub(super) async fn log(page: Page, Path(name): Path<String>) -> Response {
    let node = match page.node(&name) {
        Ok(node) => node,
        Err(response) => return response,
    };
    let Some(run) = page.ours.view(&node).and_then(|view| view.run) else {
        return not_found(&page.ours.site().name, "This node has no run yet.");
    };
    let ours = page.ours.clone();
    match reading(move || ours.log(&node, &run)).await {
        Some(Ok(text)) => {
            let text = text.unwrap_or_else(|| "There is no log of this run yet.\n".to_owned());
            let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            harden((kind, text).into_response())
        }
        Some(Err(error)) => {
            tracing::error!(%error, "the page cannot show a log");
            let text = "The log cannot be read; see the provisioner's own log.\n";
            harden((StatusCode::INTERNAL_SERVER_ERROR, text).into_response())
        }
        None => harden(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
    }
}

/// Where a page of the history begins.
#[derive(Deserialize, Default)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

/// Everything that ever happened to the node, a page at a time.
pub(super) async fn history(
    page: Page,
    Path(name): Path<String>,
    Query(after): Query<After>,
) -> Response {
    let node = match page.node(&name) {
        Ok(node) => node,
        Err(response) => return response,
    };
    let reader = page.clone();
    match reading(move || history::History::make(&reader, &node, after.after)).await {
        Some(Ok(made)) => show(&made),
        Some(Err(error)) => {
            tracing::error!(%error, "the page cannot show a history");
            let text = "The journal cannot be read; see the provisioner's own log.\n";
            harden((StatusCode::INTERNAL_SERVER_ERROR, text).into_response())
        }
        None => harden(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
    }
}
