// SPDX-License-Identifier: Apache-2.0
//! `groundstate replay`: how a node came to be where it is. The provisioner folds the node's events as far as asked, from the
//! journal; nothing is done by that.

use super::explain::page;
use super::history::events_of;
use super::said::{document, say, tell};
use super::time::{moment_of, now};
use super::{Client, Connect, names, node_path, show};
use crate::End;
use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use groundstate_api::event::{Event, Happened};
use groundstate_api::headline::headline;
use groundstate_api::text::inert;
use groundstate_api::view::NodeReport;
use groundstate_api::{NodeId, paths};
use std::io::{BufRead as _, IsTerminal as _};

#[derive(Args)]
#[command(group = clap::ArgGroup::new("moment").args(["at", "event"]), after_help = "Examples:
  groundstate replay r1-07                       step through what moved it, from the first event
  groundstate replay r1-07 --at 2h               as it was two hours ago
  groundstate replay r1-07 --event 1234 --json   as it was after event 1234")]
pub(crate) struct ReplayArgs {
    /// The node's name.
    #[arg(add = ArgValueCompleter::new(names::complete))]
    node: NodeId,
    /// As it was then: 90s, 15min, 2h, 3d ago, or a moment such as 2026-11-22T10:00:00Z.
    #[arg(long, value_name = "WHEN", conflicts_with = "event")]
    at: Option<String>,
    /// As it was after this event.
    #[arg(long, value_name = "NUMBER")]
    event: Option<u64>,
    /// Step through every event, not only those that moved it to another phase.
    #[arg(long, conflicts_with_all = ["at", "event"])]
    all: bool,
    /// Print JSON: the node's report as it was. With --at or --event; `groundstate node history --json` prints the events.
    #[arg(long, requires = "moment")]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

pub(crate) fn run(args: &ReplayArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let number = match (&args.at, args.event) {
        (_, Some(number)) => number,
        (Some(at), None) => {
            let at = moment_of(at, now())?;
            let events = events_of(&client, &args.node)?;
            let last = events.iter().rfind(|event| event.at <= at);
            last.with_context(|| format!("{} has no event before {}", args.node, show::moment(at)))?
                .number
        }
        (None, None) => return step(&client, args),
    };
    let path = path_at(&args.node, number);
    let text = client.text(&path)?;
    if args.json {
        document(&text)?;
    } else {
        let report: NodeReport = client.parse(&path, &text)?;
        say(&format!(
            "After event {number}:\n{}",
            page(&report, None, now())
        ))?;
    }
    Ok(End::Done)
}

fn path_at(node: &NodeId, number: u64) -> String {
    format!("{}?at_event={number}", node_path(paths::NODE, node))
}

/// On a terminal one event for each Enter, `b` back, `q` out; else all of them one after the other.
fn step(client: &Client, args: &ReplayArgs) -> Result<End> {
    let mut events = events_of(client, &args.node)?;
    if !args.all {
        let moves = |event: &Event| {
            matches!(
                event.what,
                Happened::PhaseChanged { .. } | Happened::NodeAdded
            )
        };
        events.retain(moves);
    }
    let asks = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut at = 0;
    while let Some(event) = events.get(at) {
        let path = path_at(&args.node, event.number);
        let report: NodeReport = client.get(&path)?;
        say(&format!(
            "-- {} of {}: event {}, {}: {}\n{}\n",
            at + 1,
            events.len(),
            event.number,
            show::moment(event.at),
            inert(&headline(&event.what)),
            page(&report, None, now())
        ))?;
        at += 1;
        if asks && at < events.len() {
            tell("Enter: next   b: back   q: out");
            let mut typed = String::new();
            let read = std::io::stdin().lock().read_line(&mut typed)?;
            match typed.trim() {
                "q" => break,
                "b" => at = at.saturating_sub(2),
                _ if read == 0 => break,
                _ => {}
            }
        }
    }
    Ok(End::Done)
}
