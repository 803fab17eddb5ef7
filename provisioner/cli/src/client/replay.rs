// SPDX-License-Identifier: Apache-2.0
//! `groundstate replay`: how a node came to be where it is. The provisioner folds the node's events as far as asked, from the
//! journal; nothing is done by that.

use super::explain::page;
use super::history::events_of;
use super::said::{document, say, tell};
use super::time::{moment, now};
use super::{Client, Connect, names, node_path, show};
use crate::End;
use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use groundstate_api::event::{Event, Happened};
use groundstate_api::headline::headline;
use groundstate_api::text::inert;
use groundstate_api::view::NodeReport;
use groundstate_api::{Millis, NodeId, paths};
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
    #[arg(long, value_name = "WHEN", conflicts_with = "event", value_parser = moment)]
    at: Option<Millis>,
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
    if args.at.is_none() && args.event.is_none() {
        return step(&client, args);
    }
    let number = last_of(&client, args)?;
    let path = path_at(&args.node, number);
    let text = client.text(&path)?;
    if args.json {
        document(&text)?;
    } else {
        let report: NodeReport = client.parse(&path, &text)?;
        say(&format!(
            "After event {number}{}:\n{}",
            last_up_to(args.event, number),
            page(&report, None, now())
        ))?;
    }
    Ok(End::Done)
}

/// The number of the node's last event up to where it is asked for.
fn last_of(client: &Client, args: &ReplayArgs) -> Result<u64> {
    let node = &args.node;
    let events = events_of(client, node)?;
    let is_before = |event: &&Event| {
        args.event.is_none_or(|number| event.number <= number)
            && args.at.is_none_or(|at| event.at <= at)
    };
    let last = events.iter().rfind(is_before).map(|event| event.number);
    last.with_context(|| match args.at {
        Some(at) => format!("{node} has no event before {}", show::moment(at)),
        None => format!(
            "{node} has no event up to number {}; its first is {}",
            args.event.unwrap_or_default(),
            events.first().map_or(0, |first| first.number)
        ),
    })
}

/// Says of an event that is not the node's which one is.
fn last_up_to(asked: Option<u64>, number: u64) -> String {
    match asked.filter(|asked| *asked != number) {
        Some(asked) => format!(", the node's last one up to {asked}"),
        None => String::new(),
    }
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
