// SPDX-License-Identifier: Apache-2.0
//! `groundstate events`.

use super::show::moment;
use super::{Client, Connect};
use crate::End;
use anyhow::Result;
use clap::Args;
use groundstate_api::NodeId;
use groundstate_api::event::{Event, Happened};
use groundstate_api::paths;
use groundstate_api::run::StepState;
use groundstate_api::view::EventPage;
use std::io::Write as _;

/// How long a long poll waits.
const WAIT_MS: u64 = 25_000;

/// Show events, over the API.
#[derive(Args)]
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
        let mut out = std::io::stdout().lock();
        for event in &page.events {
            if args.json {
                writeln!(out, "{}", serde_json::to_string(event)?)?;
            } else {
                writeln!(out, "{}", line(event))?;
            }
        }
        out.flush()?;
        after = page.next_after;
        if page.events.is_empty() && !args.follow {
            return Ok(End::Done);
        }
    }
}

fn line(event: &Event) -> String {
    let node = event.node.as_ref().map_or("-", |node| node.as_str());
    let what = match &event.what {
        Happened::NodeAdded => "added from the site file".to_owned(),
        Happened::RunOrdered { run, .. } => format!("run {run} ordered"),
        Happened::BootSeen { sighting } => {
            let seen = serde_json::to_value(sighting).unwrap_or_default();
            format!("boot: {seen}")
        }
        Happened::Enrolled { boot_id, .. } => format!("enrolled, boot {boot_id}"),
        Happened::EnrolRefused { reason, alarm } => {
            format!(
                "{}refused: {} [{}]",
                if *alarm { "ALARM: " } else { "" },
                reason.what,
                reason.code
            )
        }
        Happened::InventoryTaken {
            inventory,
            findings,
        } => {
            format!(
                "inventory: {} disks, {} findings",
                inventory.disks.len(),
                findings.len()
            )
        }
        Happened::Planned { plan } => format!("plan {}", plan.id),
        Happened::StepMoved { step, state, .. } => match state {
            StepState::Started => format!("{}: {}", step.as_str(), step.says()),
            StepState::Running { done, total } => format!("{}: {done} of {total}", step.as_str()),
            StepState::Done { .. } => format!("{}: done", step.as_str()),
            StepState::Failed { reason } => format!(
                "{}: failed: {} [{}]",
                step.as_str(),
                reason.what,
                reason.code
            ),
            StepState::Waiting { reason } => format!("{}: waits: {}", step.as_str(), reason.what),
        },
        Happened::HostCredentialIssued { plan, .. } => format!("host certificate for plan {plan}"),
        Happened::HostRegistered { os, .. } => format!("host registered: {os}"),
        Happened::PhaseChanged { from, to, reason } => {
            let why = reason
                .as_ref()
                .map(|r| format!(": {} [{}]", r.what, r.code))
                .unwrap_or_default();
            format!("{} -> {}{why}", from.as_str(), to.as_str())
        }
    };
    format!("{:>6} {} {node:<16} {what}", event.number, moment(event.at))
}
