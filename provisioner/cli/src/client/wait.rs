// SPDX-License-Identifier: Apache-2.0
//! `groundstate node wait`: waits until nodes are where they should be, and says meanwhile what is waited for.
//!
//! Exit status: 0 every node is there; 3 a node stopped where a person is needed; 4 the time is over.

use super::list::{step, view_page, why};
use super::paper::Paper;
use super::said::{document, document_line, say, tell};
use super::table::cut;
use super::time::{clock, length_of, now, span};
use super::{Client, Connect, names, node_path};
use crate::End;
use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use groundstate_api::view::{EventPage, NodeReport, NodeView, Phase};
use groundstate_api::{Millis, NodeId, explain, paths};
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How long one long poll waits: what a running step says is not in the journal, and is asked for anew after it.
const WAIT_MS: u64 = 5_000;
/// The pause between two rounds, so that a busy site is not asked without end.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Args)]
#[command(
    after_help = "Exit status: 0 every node is there, 3 a node stopped where a person is needed, 4 the time is over.

Examples:
  groundstate node wait r1-07
  groundstate node wait r1-07 r1-08 --for ready --timeout 20min
  groundstate node provision r1-07 && groundstate node wait r1-07 || groundstate node explain r1-07"
)]
pub(crate) struct WaitArgs {
    /// The nodes' names.
    #[arg(required = true, value_name = "NODE", add = ArgValueCompleter::new(names::complete))]
    nodes: Vec<NodeId>,
    /// What for: a phase such as `ready` or `held`; or `settled`: nothing goes on any more.
    #[arg(long = "for", default_value = "settled", value_parser = goal, value_name = "PHASE")]
    goal: Goal,
    /// How long: seconds, or 20min, 2h.
    #[arg(long, default_value = "3600", value_parser = timeout, value_name = "TIME")]
    timeout: Millis,
    /// Print JSON: each node as it was at the end, for several nodes one in each line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// Nothing goes on any more.
    Settled,
    /// This phase.
    Phase(Phase),
}

fn goal(text: &str) -> Result<Goal, String> {
    if text == "settled" {
        return Ok(Goal::Settled);
    }
    let phase = super::list::phase(text).map(Goal::Phase);
    phase.map_err(|phases| format!("{phases}; or settled"))
}

fn timeout(text: &str) -> Result<Millis, String> {
    let secs = text
        .parse::<u64>()
        .ok()
        .and_then(|secs| secs.checked_mul(1_000));
    let time = secs.map(Millis).or_else(|| length_of(text));
    time.ok_or_else(|| "say seconds, or 90s, 20min, 2h".to_owned())
}

/// How a node stands to the goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    There,
    /// It will not get there before a person has acted.
    Stopped,
    Waits,
}

impl Goal {
    fn of(self, phase: Phase) -> Stands {
        let stopped = matches!(phase, Phase::Held | Phase::Quarantined | Phase::Retired);
        match self {
            Self::Phase(wanted) if wanted == phase => Stands::There,
            Self::Settled if matches!(phase, Phase::Ready | Phase::Enrolled | Phase::Rescue) => {
                Stands::There
            }
            _ if stopped => Stands::Stopped,
            Self::Settled | Self::Phase(_) => Stands::Waits,
        }
    }

    const fn says(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Phase(phase) => phase.as_str(),
        }
    }
}

pub(crate) fn run(args: &WaitArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let until = Instant::now() + Duration::from_millis(args.timeout.0);
    let mut line = LiveLine::new();
    let mut views: BTreeMap<NodeId, NodeView> = BTreeMap::new();
    let mut asked: Vec<NodeId> = args.nodes.clone();
    let mut cursor = None;
    loop {
        for node in &asked {
            let report: NodeReport = client.get(&node_path(paths::NODE, node))?;
            cursor = cursor.max(Some(report.view.version));
            line.news(&report.view);
            views.insert(node.clone(), report.view);
        }
        let stands = |view: &NodeView| args.goal.of(view.phase);
        let waits = views.values().filter(|view| stands(view) == Stands::Waits);
        let waits: Vec<&NodeView> = waits.collect();
        if waits.is_empty() || Instant::now() >= until {
            line.end();
            return finish(args, &views);
        }
        line.show(&waits, args.goal, until);
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        let wait = u64::try_from(left).unwrap_or(u64::MAX).min(WAIT_MS);
        let after = cursor.unwrap_or_default();
        let one = match args.nodes.as_slice() {
            [one] => format!("&node={one}"),
            _ => String::new(),
        };
        let page: EventPage = client.get(&format!(
            "{}?after={after}&wait_ms={wait}{one}",
            paths::EVENTS
        ))?;
        cursor = cursor.max(Some(page.next_after));
        let moved = |node: &NodeId| {
            page.events
                .iter()
                .any(|event| event.node.as_ref() == Some(node))
        };
        let under_way = |node: &NodeId| waits.iter().any(|view| view.node == *node);
        // After a quiet time all are asked for: what a step says of itself is no event.
        let quiet = page.events.is_empty();
        asked = args.nodes.clone();
        asked.retain(|node| moved(node) || (quiet && under_way(node)));
        if !quiet {
            std::thread::sleep(PAUSE);
        }
    }
}

fn finish(args: &WaitArgs, views: &BTreeMap<NodeId, NodeView>) -> Result<End> {
    let shown: Vec<NodeView> = args
        .nodes
        .iter()
        .filter_map(|node| views.get(node).cloned())
        .collect();
    if args.json {
        for view in &shown {
            let text = serde_json::to_string(view)?;
            if shown.len() == 1 {
                document(&text)?;
            } else {
                document_line(&text)?;
            }
        }
    } else {
        say(&view_page(&shown, Paper::of_terminal()))?;
    }
    let mut end = End::Done;
    for view in &shown {
        let stands = args.goal.of(view.phase);
        if stands == Stands::There {
            continue;
        }
        let reason = explain::reason_of(view);
        let now = now();
        let lines =
            explain::reason_lines(&reason, view.since, &|at| super::explain::moment(at, now));
        let waited = if stands == Stands::Stopped {
            end = End::Held;
            format!(
                "{} is {} and needs a person",
                view.node,
                view.phase.as_str()
            )
        } else {
            if end == End::Done {
                end = End::TimeOver;
            }
            let time = span(args.timeout);
            format!(
                "{} is still {} after {time}",
                view.node,
                view.phase.as_str()
            )
        };
        tell(&format!("{waited}: {}", lines.join("\n")));
    }
    Ok(end)
}

/// What is said meanwhile: on a terminal one line that changes, else a line for each change.
struct LiveLine {
    terminal: bool,
    shown: bool,
    said: BTreeMap<NodeId, (Phase, String)>,
}

impl LiveLine {
    fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            shown: false,
            said: BTreeMap::new(),
        }
    }

    /// Without a terminal: a line where a node moved, or waits for something else.
    fn news(&mut self, view: &NodeView) {
        let word = step(view).0;
        let code = view.reason.as_ref().map(|reason| reason.code.as_str());
        let state = (view.phase, format!("{word}{}", code.unwrap_or_default()));
        if self.terminal || self.said.insert(view.node.clone(), state.clone()) == Some(state) {
            return;
        }
        tell(&format!("{} {}", clock(now()), waits_for(view)));
    }

    fn show(&mut self, waits: &[&NodeView], goal: Goal, until: Instant) {
        let (true, Some(first)) = (self.terminal, waits.first()) else {
            return;
        };
        let more = waits.len() - 1;
        let more = if more > 0 {
            format!(" (and {more} more)")
        } else {
            String::new()
        };
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        let left = span(Millis(u64::try_from(left).unwrap_or(u64::MAX)));
        let text = format!(
            "for {}, {left} left{more}: {}",
            goal.says(),
            waits_for(first)
        );
        let columns = super::paper::terminal_columns().unwrap_or(80);
        let text = super::said::harmless(&cut(&text, columns.saturating_sub(1)));
        let mut err = std::io::stderr().lock();
        // Back to the line's begin, and the rest of it clear; where nobody sees it nothing is lost.
        let _unseen = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
        self.shown = true;
    }

    fn end(&mut self) {
        if self.shown {
            let _unseen = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// Where the node is, and what it waits for.
fn waits_for(view: &NodeView) -> String {
    let (word, far) = step(view);
    let at = match (word, far.as_str()) {
        ("", _) => String::new(),
        (word, "") => format!(", {word}"),
        (word, far) => format!(", {word} {far}"),
    };
    let why = match why(view) {
        why if why.is_empty() => explain::reason_of(view).what.clone(),
        why => why,
    };
    let line = format!("{} is {}{at}: {why}", view.node, view.phase.as_str());
    groundstate_api::text::inert(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_needs_a_person_is_not_waited_for() {
        let held = Goal::Phase(Phase::Held);
        assert_eq!(held.of(Phase::Held), Stands::There);
        assert_eq!(held.of(Phase::Quarantined), Stands::Stopped);
        assert_eq!(held.of(Phase::Ready), Stands::Waits);
        let ready = goal("ready").unwrap();
        assert_eq!(ready.of(Phase::Held), Stands::Stopped);
        assert_eq!(ready.of(Phase::Suspect), Stands::Waits);
        for phase in Phase::ALL {
            assert_eq!(Goal::Phase(phase).of(phase), Stands::There);
            assert_eq!(goal(phase.as_str()).unwrap(), Goal::Phase(phase));
        }
        assert!(goal("reddy").unwrap_err().contains("handed-over"));
        assert_eq!(timeout("90").unwrap(), timeout("90s").unwrap());
        assert!(timeout("soon").is_err());
    }
}
