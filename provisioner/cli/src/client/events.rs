// SPDX-License-Identifier: Apache-2.0
//! `groundstate events`.

use super::said::{document_line, say};
use super::show::moment;
use super::{Client, Connect};
use crate::End;
use anyhow::Result;
use clap::Args;
use groundstate_api::NodeId;
use groundstate_api::event::Event;
use groundstate_api::headline::headline;
use groundstate_api::paths;
use groundstate_api::text::inert;
use groundstate_api::view::EventPage;

/// How long a long poll waits.
const WAIT_MS: u64 = 25_000;

/// Show events, over the API.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  groundstate events --follow\n  groundstate events --node r1-07 --after 1200 --json"
)]
pub(crate) struct EventsArgs {
    /// Wait for further events.
    #[arg(long)]
    follow: bool,
    /// Only this node's.
    #[arg(long)]
    node: Option<NodeId>,
    /// Only events after this number.
    #[arg(long, default_value_t = 0)]
    after: u64,
    /// Print one JSON document per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

pub(crate) fn run(args: &EventsArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let mut after = args.after;
    if let Some(node) = &args.node {
        super::history::must_be_known(&client, node)?;
    }
    loop {
        let wait = if args.follow { WAIT_MS } else { 0 };
        let node = args
            .node
            .as_ref()
            .map(|node| format!("&node={node}"))
            .unwrap_or_default();
        let page: EventPage = client.get(&format!(
            "{}?after={after}&wait_ms={wait}{node}",
            paths::EVENTS
        ))?;
        for event in &page.events {
            if args.json {
                document_line(&serde_json::to_string(event)?)?;
            } else {
                say(&line(event))?;
            }
        }
        // A page may be empty because what it looked through is not shown to this caller.
        let is_last = page.events.is_empty() && page.next_after <= after;
        after = page.next_after;
        if is_last && !args.follow {
            return Ok(End::Done);
        }
    }
}

fn line(event: &Event) -> String {
    let node = event.node.as_ref().map_or("-", |node| node.as_str());
    let what = inert(&headline(&event.what)).into_owned();
    format!("{:>6} {} {node:<16} {what}", event.number, moment(event.at))
}
