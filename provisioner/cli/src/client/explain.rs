// SPDX-License-Identifier: Apache-2.0
//! `groundstate node explain`: what a node waits for, since when, what was seen, until when, what happens by itself, and what
//! a person can do. The words are the API's.

use super::said::{document, say};
use super::time::{from_now, now};
use super::{Client, node_path, show};
use crate::End;
use anyhow::Result;
use groundstate_api::action::{ActionView, Outcome};
use groundstate_api::fleet::Eta;
use groundstate_api::healing::{MeasureView, TroubleView};
use groundstate_api::text::inert;
use groundstate_api::view::{NodeReport, Phase};
use groundstate_api::{Millis, explain, health, paths};

/// What stands below its help.
pub(crate) const EXAMPLE: &str = "Exit status 3 where the node is held.\n\nExamples (both say the same):\n  groundstate why r1-07\n  groundstate node explain r1-07";

pub(crate) fn run(args: &super::node::NodeArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let path = node_path(paths::NODE, &args.node);
    let text = client.text(&path)?;
    let report: NodeReport = client.parse(&path, &text)?;
    if args.json {
        document(&serde_json::to_string(&explain::reason_of(&report.view))?)?;
    } else {
        let fleet = super::nodes::fleet(&client)?;
        let eta = fleet.etas.iter().find(|eta| eta.node == args.node);
        say(&page(&report, eta, now()))?;
    }
    Ok(if report.view.phase == Phase::Held {
        End::Held
    } else {
        End::Done
    })
}

/// A moment, and how far it is.
pub(crate) fn moment(at: Millis, now: Millis) -> String {
    format!("{} ({})", show::moment(at), from_now(at, now))
}

/// The whole explanation.
pub(crate) fn page(report: &NodeReport, eta: Option<&Eta>, now: Millis) -> String {
    let at = |at: Millis| moment(at, now);
    let mut lines = explain::lines(&report.view, eta, &at);
    lines.extend(report.troubles.iter().map(|trouble| troubled(trouble, &at)));
    for measure in &report.measures {
        lines.extend(measured(measure, &at));
    }
    let open = report
        .actions
        .iter()
        .filter(|action| action.ended.is_none());
    lines.extend(open.map(|action| under_way(action, &at)));
    let ended = report.actions.iter().find(|action| action.ended.is_some());
    lines.extend(ended.map(|action| ended_line(action, &at)));
    if !report.hardware.is_empty() {
        lines.push("\nIts hardware, worst first:".to_owned());
        lines.extend(health::page(&report.hardware));
    }
    lines.join("\n")
}

fn troubled(view: &TroubleView, at: &dyn Fn(Millis) -> String) -> String {
    let seen: Vec<_> = view
        .trouble
        .evidence
        .iter()
        .map(|line| inert(line))
        .collect();
    let seen = if seen.is_empty() {
        String::new()
    } else {
        format!(": {}", seen.join("; "))
    };
    format!(
        "  trouble:   {}{seen}, says {} since {}",
        inert(&view.trouble.what),
        inert(&view.by),
        at(view.since)
    )
}

fn measured(measure: &MeasureView, at: &dyn Fn(Millis) -> String) -> Vec<String> {
    let due = measure.due.map(|due| format!(", due {}", at(due)));
    let id = measure.action.map(|id| format!(" (action {id})"));
    let mut lines = vec![format!(
        "  policy:    {}{}{}, because: {}",
        measure.measure.says(),
        id.unwrap_or_default(),
        due.unwrap_or_default(),
        inert(&measure.because.what)
    )];
    if let Some(waits) = &measure.waits {
        lines.push(format!(
            "  it waits:  {} [{}]",
            inert(&waits.what),
            waits.code
        ));
        lines.push(format!("  do now:    {}", inert(&waits.next_step)));
    }
    lines
}

fn under_way(view: &ActionView, at: &dyn Fn(Millis) -> String) -> String {
    let action = &view.action;
    format!(
        "  under way: {} (action {}), by {}, try {}, begun {}, counts as failed {}",
        action.act.says(),
        action.id,
        inert(&action.by),
        action.attempt,
        at(action.began),
        at(action.deadline)
    )
}

fn ended_line(view: &ActionView, at: &dyn Fn(Millis) -> String) -> String {
    let ended = view.ended.map(at).unwrap_or_default();
    format!(
        "  last act:  {} (action {}), by {}: {} {ended}",
        view.action.act.says(),
        view.action.id,
        inert(&view.action.by),
        outcome(view.outcome.as_ref())
    )
}

/// How an action ended, in a line.
pub(crate) fn outcome(outcome: Option<&Outcome>) -> String {
    match outcome {
        None => "goes on".to_owned(),
        Some(Outcome::Done { by, .. }) => format!("done by {}", inert(by)),
        Some(Outcome::Failed { reason }) => {
            format!("failed: {} [{}]", inert(&reason.what), reason.code)
        }
        Some(Outcome::Vetoed { by, why }) => format!("vetoed by {}: {}", inert(by), inert(why)),
    }
}
