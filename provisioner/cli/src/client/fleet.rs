// SPDX-License-Identifier: Apache-2.0
//! `groundstate fleet`, `groundstate audit` and `groundstate webhook`: the site at a glance, who ordered what, who is told.

use super::brake;
use super::explain::moment;
use super::paper::{Paper, Tone};
use super::plan::escaped;
use super::said::{document, document_line, say};
use super::show;
use super::table::{Cell, Table};
use super::time::{from_now, moment_of, now};
use super::{Client, Connect};
use crate::End;
use anyhow::Result;
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;
use groundstate_api::audit::Audit;
use groundstate_api::event::Happened;
use groundstate_api::fleet::FleetView;
use groundstate_api::text::{counted, inert};
use groundstate_api::view::{EventPage, Phase};
use groundstate_api::{Millis, NodeId, paths};
use serde_json::Value;
use std::collections::BTreeSet;

/// Show how the site stands: nodes by phase, racks, brake, who leads, what will be done when.
#[derive(Args)]
#[command(after_help = "Examples:\n  groundstate fleet\n  groundstate fleet --json | jq .phases")]
pub(crate) struct FleetArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Subcommand)]
pub(crate) enum WebhookCommand {
    /// List who is told of events, and how that goes.
    Ls(FleetArgs),
}

/// Show who ordered what, from where, and what came of it.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  groundstate audit --since 1d\n  groundstate audit --by operator:ana\n  groundstate audit --node n1 --all"
)]
pub(crate) struct AuditArgs {
    /// Only since then: 90s, 15min, 2h, 3d ago, or a moment such as 2026-11-22T10:00:00Z.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only what this caller ordered, for example operator:ana.
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
    /// Only orders about this node.
    #[arg(long, value_name = "NODE", add = ArgValueCompleter::new(super::names::complete))]
    node: Option<NodeId>,
    /// Also what only asked what would come of it: plans and dry runs.
    #[arg(long)]
    all: bool,
    /// Print the API's events, one JSON document in each line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

pub(crate) fn fleet(args: &FleetArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let text = client.text(paths::FLEET)?;
    if args.json {
        document(&text)?;
    } else {
        let view: FleetView = client.parse(paths::FLEET, &text)?;
        say(&page(&view, now(), Paper::of_terminal()))?;
    }
    Ok(End::Done)
}

/// The site at a glance.
pub(crate) fn page(view: &FleetView, now: Millis, paper: Paper) -> String {
    let count: u32 = view.phases.values().sum();
    let leader = view
        .leader
        .as_deref()
        .map(|leader| format!(", led by {}", inert(leader)));
    let mut lines = vec![format!(
        "site {}, version {}: {}, {} in the waiting room, newest event {}{}",
        inert(&view.site),
        view.site_version,
        counted(count, "node"),
        counted(view.machines, "machine"),
        view.newest,
        leader.unwrap_or_default()
    )];
    lines.push(brake::page(&view.brake));
    lines.push(String::new());
    let mut phases = Table::new(&["PHASE", "NODES"]);
    for (phase, nodes) in &view.phases {
        phases.row([
            Cell::new(Tone::of(*phase), phase.as_str()),
            nodes.to_string().into(),
        ]);
    }
    lines.push(phases.page(paper));
    if !view.racks.is_empty() {
        lines.push(String::new());
        lines.push(racks(view, paper));
    }
    if !view.measures.is_empty() {
        lines.push(String::new());
        let mut table = Table::new(&["NODE", "POLICY", "DUE", "WAITS FOR", "BECAUSE"]);
        for measure in &view.measures {
            let waits = measure.waits.as_ref().map(|waits| waits.what.clone());
            table.row([
                measure.node.as_str().into(),
                measure.measure.says().into(),
                measure
                    .due
                    .map(|due| from_now(due, now))
                    .unwrap_or_default()
                    .into(),
                waits.unwrap_or_default().into(),
                measure.because.what.as_str().into(),
            ]);
        }
        lines.push(table.page(paper));
    }
    if let Some(last) = view.etas.iter().max_by_key(|eta| eta.at) {
        lines.push(format!(
            "\n{} runs go on; the last is expected to be done {} ({})",
            view.etas.len(),
            moment(last.at, now),
            last.node
        ));
    }
    lines.join("\n")
}

fn racks(view: &FleetView, paper: Paper) -> String {
    let mut table = Table::new(&[
        "RACK",
        "FAULT DOMAIN",
        "NODES",
        "READY",
        "NEED A PERSON",
        "PLACE",
    ]);
    for rack in &view.racks {
        let phases: Vec<Phase> = rack.slots.iter().filter_map(|slot| slot.phase).collect();
        let count = |tone| {
            phases
                .iter()
                .filter(|phase| Tone::of(**phase) == tone)
                .count()
        };
        let in_rack = |node: &str| rack.slots.iter().any(|slot| slot.name == node);
        let needs = view.needs.iter();
        let need = needs.filter(|need| in_rack(need.node.as_str())).count();
        let tone = if need > 0 { Tone::Bad } else { Tone::Plain };
        table.row([
            rack.name.as_str().into(),
            rack.fault_domain.as_str().into(),
            phases.len().to_string().into(),
            count(Tone::Good).to_string().into(),
            Cell::new(tone, need.to_string()),
            rack.place.as_str().into(),
        ]);
    }
    table.page(paper)
}

pub(crate) fn audit(args: &AuditArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let since = args.since.as_deref();
    let since = since.map(|text| moment_of(text, now())).transpose()?;
    let mut table = Table::new(&["EVENT", "WHEN (UTC)", "BY", "FROM", "DID", "STATUS"])
        .whole(&["WHEN (UTC)", "STATUS"]);
    let wanted = wanted(args, since);
    let (mut after, mut rows) = (0, 0);
    loop {
        let page: EventPage = client.get(&format!("{}?after={after}{wanted}", paths::AUDIT))?;
        // A page may be empty because what it looked through was not wanted.
        if page.events.is_empty() && page.next_after <= after {
            break;
        }
        after = page.next_after;
        for event in &page.events {
            let Happened::Audited { audit } = &event.what else {
                continue;
            };
            rows += 1;
            if args.json {
                document_line(&serde_json::to_string(event)?)?;
                continue;
            }
            let tone = if audit.status < 400 {
                Tone::Plain
            } else {
                Tone::Warn
            };
            table.row([
                event.number.to_string().into(),
                show::moment(event.at).into(),
                audit.by.as_str().into(),
                audit.from.as_str().into(),
                did(audit).into(),
                Cell::new(tone, audit.status.to_string()),
            ]);
        }
    }
    if let (Some(node), 0) = (&args.node, rows) {
        super::nodes::must_be(&client, node)?;
    }
    if !args.json {
        say(&if rows == 0 {
            "nobody ordered anything".to_owned()
        } else {
            table.page(Paper::of_terminal())
        })?;
    }
    Ok(End::Done)
}

/// What is asked of the audit trail beside its page.
fn wanted(args: &AuditArgs, since: Option<Millis>) -> String {
    let named = |name: &str, value: &Option<String>| match value {
        Some(value) => format!("&{name}={}", escaped(value)),
        None => String::new(),
    };
    let node = args.node.as_ref().map(NodeId::to_string);
    let since = since.map(|at| at.0.to_string());
    let dry_runs = if args.all { "" } else { "&dry_runs=false" };
    named("by", &args.by) + &named("node", &node) + &named("since", &since) + dry_runs
}

/// What was ordered, as the table has it.
fn did(audit: &Audit) -> String {
    let asked = if audit.dry_run { " (dry run)" } else { "" };
    format!("{}{asked}", audit.did)
}

pub(crate) fn webhook(command: &WebhookCommand) -> Result<End> {
    let WebhookCommand::Ls(args) = command;
    let client = Client::new(&args.connect)?;
    let text = client.text(paths::WEBHOOKS)?;
    if args.json {
        document(&text)?;
        return Ok(End::Done);
    }
    let value: Value = client.parse(paths::WEBHOOKS, &text)?;
    say(&stands(&value))?;
    Ok(End::Done)
}

/// A list of flat documents as lines, whatever their fields are.
fn stands(value: &Value) -> String {
    let list = match value {
        Value::Array(list) => Some(list),
        Value::Object(fields) => fields.values().find_map(Value::as_array),
        _ => None,
    };
    let Some(list) = list.filter(|list| !list.is_empty()) else {
        return "the site file names nobody to tell".to_owned();
    };
    let names: BTreeSet<&str> = list
        .iter()
        .filter_map(Value::as_object)
        .flat_map(|fields| fields.keys().map(String::as_str))
        .collect();
    let said = |value: &Value| match value {
        Value::String(text) => inert(text).into_owned(),
        Value::Null => "-".to_owned(),
        other => inert(&other.to_string()).into_owned(),
    };
    let mut lines = Vec::new();
    for hook in list {
        let title = hook.get("name").map(said).unwrap_or_default();
        lines.push(title);
        for name in names.iter().filter(|name| **name != "name") {
            let value = hook.get(*name).unwrap_or(&Value::Null);
            lines.push(format!(
                "  {:<16} {}",
                format!("{}:", inert(name)),
                said(value)
            ));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::racks;
    use crate::client::paper::Paper;
    use groundstate_api::fleet::FleetView;
    use serde_json::json;

    #[test]
    fn a_rack_counts_those_whom_the_fleet_names_whatever_their_phase() {
        let slot = |unit: u16, name: &str, phase: &str| json!({"unit": unit, "height": 1, "name": name, "kind": "node", "phase": phase, "why": null});
        let fleet = json!({
            "site": "lab", "site_version": 1, "phases": {}, "machines": 0, "newest": 1, "measures": [], "etas": [],
            "brake": {"on": false, "since": null, "by": null, "reason": null}, "leader": null,
            "racks": [{"name": "r1", "fault_domain": "f1", "place": "", "units": 42,
                "slots": [slot(1, "n1", "ordered"), slot(2, "n2", "ordered"), slot(3, "n3", "held")]}],
            "needs": (["n1", "n2"].map(|node| json!({"node": node, "rack": "r1", "unit": 1, "phase": "ordered", "since": 0,
                "code": "power-needed", "what": "off", "next_step": "switch it on"}))),
        });
        let view: FleetView = serde_json::from_value(fleet).unwrap();
        let table = racks(&view, Paper::plain(None));
        let row: Vec<&str> = table.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(row, ["r1", "f1", "3", "0", "2"], "{table}");
    }
}
