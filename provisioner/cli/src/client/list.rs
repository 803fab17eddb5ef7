// SPDX-License-Identifier: Apache-2.0
//! `groundstate node list`.

use super::nodes::{self, Filter, Listed, natural};
use super::paper::{Paper, Tone};
use super::said::{document, say};
use super::table::{Cell, Table};
use super::time::{from_now, now, span};
use super::{Client, Connect};
use crate::End;
use anyhow::Result;
use clap::{Args, ValueEnum};
use groundstate_api::run::StepState;
use groundstate_api::text::{counted, inert};
use groundstate_api::view::{NodeView, Phase};
use groundstate_api::{Millis, Reason, explain};
use std::cmp::Ordering;

/// Where words stand behind `do now:`.
const INDENT: usize = 11;

/// What the list is sorted by.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    /// By name, as people count.
    Name,
    /// By rack, and within it from the top.
    Rack,
    /// By phase in the order of a node's life.
    Phase,
    /// What has been where it is for longest first.
    Since,
}

#[derive(Args)]
#[command(after_help = "Examples:
  groundstate node list
  groundstate node list --phase held --phase quarantined
  groundstate node list --rack r1 --sort rack
  groundstate node list --json | jq -r '.nodes[].node'")]
pub(crate) struct ListArgs {
    /// Only nodes in this phase. May be given several times.
    #[arg(long, value_parser = phase, value_name = "PHASE")]
    phase: Vec<Phase>,
    /// Only nodes of this rack; `-` for those of no rack. May be given several times.
    #[arg(long, value_name = "RACK")]
    rack: Vec<String>,
    /// The order.
    #[arg(long, default_value = "name")]
    sort: Sort,
    /// Print JSON: the API's document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Reads a phase as it stands in JSON.
pub(crate) fn phase(text: &str) -> Result<Phase, String> {
    let found = Phase::ALL.into_iter().find(|phase| phase.as_str() == text);
    found.ok_or_else(|| {
        let all: Vec<&str> = Phase::ALL.iter().map(|phase| phase.as_str()).collect();
        format!("phases are {}", all.join(", "))
    })
}

pub(crate) fn run(args: &ListArgs) -> Result<End> {
    let filter = Filter {
        phases: args.phase.clone(),
        racks: args.rack.clone(),
    };
    let (all, count) = nodes::filtered(&Client::new(&args.connect)?, &filter)?;
    let mut shown: Vec<&Listed> = all.iter().collect();
    shown.sort_by(|a, b| order(args.sort, a, b));
    if args.json {
        document(&nodes::document(&shown))?;
    } else if shown.is_empty() && !filter.is_empty() {
        say(&format!("none of the {} is so", counted(count, "node")))?;
    } else if shown.is_empty() {
        say("the site has no nodes; machines that wait to become some: groundstate machine ls")?;
    } else {
        say(&page(&shown, now(), Paper::of_terminal()))?;
    }
    Ok(End::Done)
}

fn order(sort: Sort, a: &Listed, b: &Listed) -> Ordering {
    let by_name = natural(a.view.node.as_str(), b.view.node.as_str());
    let first = match sort {
        Sort::Name => Ordering::Equal,
        Sort::Rack => match (&a.place, &b.place) {
            (Some(x), Some(y)) => natural(&x.rack, &y.rack).then(y.unit.cmp(&x.unit)),
            (x, y) => y.is_some().cmp(&x.is_some()),
        },
        Sort::Phase => a.view.phase.cmp(&b.view.phase),
        Sort::Since => a.view.since.cmp(&b.view.since),
    };
    first.then(by_name)
}

/// The list as a table.
pub(crate) fn page(nodes: &[&Listed], now: Millis, paper: Paper) -> String {
    let mut table = Table::new(&[
        "NODE", "RACK", "UNIT", "PHASE", "FOR", "STEP", "DONE", "ETA", "WHY",
    ]);
    for node in nodes {
        let view = &node.view;
        let (step, progress) = step(view);
        let place = node.place.as_ref();
        let unit = place.map(|place| place.unit).filter(|unit| *unit > 0);
        let eta = node.eta.as_ref().map(|eta| from_now(eta.at, now));
        let cells = [
            Cell::from(view.node.as_str()),
            place.map_or("-", |place| &place.rack).into(),
            unit.map_or_else(|| "-".to_owned(), |unit| unit.to_string())
                .into(),
            Cell::new(Tone::of(view.phase), view.phase.as_str()),
            span(now.since(view.since)).into(),
            step.into(),
            progress.into(),
            eta.unwrap_or_default().into(),
            why(view).into(),
        ];
        table.row(cells);
    }
    table.page(paper)
}

/// The step and how far it is.
pub(crate) fn step(view: &NodeView) -> (&'static str, String) {
    let Some((step, state)) = &view.step else {
        return ("", String::new());
    };
    let far = match state {
        StepState::Running { done, total } => match (done.0 * 100).checked_div(total.0) {
            Some(percent) => format!("{percent} %"),
            None => String::new(),
        },
        StepState::Done { .. } => "done".to_owned(),
        StepState::Failed { .. } => "failed".to_owned(),
        StepState::Waiting { .. } => "waits".to_owned(),
        StepState::Started => String::new(),
    };
    (step.as_str(), far)
}

/// Why, in a line: nothing where all is as it should be. Where somebody is waited for, that is said even where nobody said why.
pub(crate) fn why(view: &NodeView) -> String {
    let says = |reason: &Reason| format!("{} [{}]", reason.what, reason.code);
    match (&view.reason, Tone::of(view.phase)) {
        (Some(reason), _) => says(reason),
        (None, Tone::Bad | Tone::Warn) => says(&explain::reason_of(view)),
        (None, _) => String::new(),
    }
}

/// Nodes after an order: the same columns as far as the answer has them. Why a single one waits is below them, whole, with what
/// a person can do.
pub(crate) fn view_page(views: &[NodeView], paper: Paper) -> String {
    let alone = match views {
        [view] if !why(view).is_empty() => Some(explain::reason_of(view)),
        _ => None,
    };
    let mut head = vec!["NODE", "PHASE", "FOR", "STEP", "DONE"];
    head.extend(alone.is_none().then_some("WHY"));
    let mut table = Table::new(&head);
    let now = now();
    for view in views {
        let (step, progress) = step(view);
        let cells = [
            Cell::from(view.node.as_str()),
            Cell::new(Tone::of(view.phase), view.phase.as_str()),
            span(now.since(view.since)).into(),
            step.into(),
            progress.into(),
            why(view).into(),
        ];
        table.row(cells);
    }
    let mut page = table.page(paper);
    if let Some(reason) = alone {
        for (name, words) in [
            ("why:", format!("{} [{}]", reason.what, reason.code)),
            ("do now:", reason.next_step.clone()),
        ] {
            let words = paper.folded(Tone::Plain, &inert(&words), INDENT, INDENT);
            page.push_str(&format!("\n  {name:<width$}{words}", width = INDENT - 2));
        }
    }
    page
}
