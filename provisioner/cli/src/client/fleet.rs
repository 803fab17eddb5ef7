// SPDX-License-Identifier: Apache-2.0
//! `groundstate fleet`, `groundstate audit` and `groundstate webhook`: the site at a glance, who ordered what, who is told.

use super::brake;
use super::explain::moment;
use super::paper::{Paper, Tone};
use super::plan::escaped;
use super::said::{document, document_line, say};
use super::show;
use super::table::{Cell, Table};
use super::time::{from_now, now};
use super::{Client, Connect};
use crate::End;
use anyhow::Result;
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;
use groundstate_api::audit::{Audit, WebhookList, WebhookView};
use groundstate_api::event::Happened;
use groundstate_api::fleet::FleetView;
use groundstate_api::text::{counted, inert};
use groundstate_api::view::{EventPage, Phase};
use groundstate_api::{Millis, NodeId, paths};

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
    #[arg(long, value_name = "WHEN", value_parser = super::time::moment)]
    since: Option<Millis>,
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
    let mut table = Table::new(&["EVENT", "WHEN (UTC)", "BY", "FROM", "DID", "STATUS"])
        .whole(&["WHEN (UTC)", "STATUS"]);
    let wanted = wanted(args);
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
fn wanted(args: &AuditArgs) -> String {
    let named = |name: &str, value: &Option<String>| match value {
        Some(value) => format!("&{name}={}", escaped(value)),
        None => String::new(),
    };
    let node = args.node.as_ref().map(NodeId::to_string);
    let since = args.since.map(|at| at.0.to_string());
    let dry_runs = if args.all { "" } else { "&dry_runs=false" };
    named("by", &args.by) + &named("node", &node) + &named("since", &since) + dry_runs
}

/// What was ordered, as the table has it.
fn did(audit: &Audit) -> String {
    let asked = if audit.dry_run { " (dry run)" } else { "" };
    format!("{}{asked}", audit.words())
}

pub(crate) fn webhook(command: &WebhookCommand) -> Result<End> {
    let WebhookCommand::Ls(args) = command;
    let client = Client::new(&args.connect)?;
    let text = client.text(paths::WEBHOOKS)?;
    if args.json {
        document(&text)?;
        return Ok(End::Done);
    }
    let list: WebhookList = client.parse(paths::WEBHOOKS, &text)?;
    say(&hooks(&list, now()))?;
    Ok(End::Done)
}

/// Who is told, and how that goes.
fn hooks(list: &WebhookList, now: Millis) -> String {
    if list.webhooks.is_empty() {
        return "the site file names nobody to tell".to_owned();
    }
    let each = list.webhooks.iter().flat_map(|hook| hook_lines(hook, now));
    each.collect::<Vec<_>>().join("\n")
}

fn hook_lines(hook: &WebhookView, now: Millis) -> Vec<String> {
    let kinds = match hook.events.as_slice() {
        [] => "all".to_owned(),
        kinds => kinds.join(", "),
    };
    let told = match hook.last_told {
        Some(at) => format!(", last {}", moment(at, now)),
        None => ", nothing since groundstate was started".to_owned(),
    };
    let line = |name: &str, words: &str| format!("  {name:<10} {}", inert(words));
    let mut lines = vec![
        inert(&hook.name).into_owned(),
        line("where:", &hook.url),
        line("events:", &kinds),
        line(
            "told:",
            &format!("up to event {} of {}{told}", hook.told, hook.newest),
        ),
    ];
    if let Some(reason) = &hook.failing {
        let tries = if hook.tries == 1 { "try" } else { "tries" };
        let why = format!(
            "{} [{}], after {} {tries}",
            reason.what, reason.code, hook.tries
        );
        lines.push(line("failing:", &why));
        lines.extend(reason.evidence.iter().map(|seen| line("seen:", seen)));
        if let Some(at) = hook.next_try {
            lines.push(line(
                "by itself:",
                &format!("tried again {}", moment(at, now)),
            ));
        }
        lines.push(line("do now:", &reason.next_step));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{did, hooks, racks};
    use crate::client::paper::Paper;
    use groundstate_api::audit::{WebhookList, WebhookView};
    use groundstate_api::fleet::FleetView;
    use groundstate_api::{Millis, Reason, ReasonCode};
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

    #[test]
    fn an_order_is_told_with_what_it_does_where_its_path_does_not_say() {
        let audit = json!({"by": "operator:ana", "from": "10.0.0.9", "did": "POST /v1/nodes/n1/actions", "status": 409});
        // In journals of before it stands nowhere.
        let mut audit: groundstate_api::audit::Audit = serde_json::from_value(audit).unwrap();
        assert_eq!(did(&audit), "POST /v1/nodes/n1/actions");
        audit.act = Some("power cycle".into());
        audit.dry_run = true;
        assert_eq!(
            did(&audit),
            "POST /v1/nodes/n1/actions (power cycle) (dry run)"
        );
    }

    #[test]
    fn a_webhook_that_fails_says_why_since_when_and_what_to_do() {
        let day = 20_000 * 86_400_000;
        let failing = WebhookView {
            name: "chat".to_owned(),
            url: "https://chat.example/hook".to_owned(),
            events: vec!["phase-changed".to_owned(), "held".to_owned()],
            told: 80,
            newest: 92,
            last_told: Some(Millis(day)),
            tries: 3,
            failing: Some(
                Reason::new(ReasonCode::Internal, "it answered 500", "look at its log")
                    .seen("status 500"),
            ),
            next_try: Some(Millis(day + 90_000)),
        };
        let fresh = WebhookView {
            name: "tickets".to_owned(),
            url: "https://tickets.example/".to_owned(),
            ..WebhookView::default()
        };
        let list = WebhookList {
            webhooks: vec![failing, fresh],
        };
        expect_test::expect![[r"
            chat
              where:     https://chat.example/hook
              events:    phase-changed, held
              told:      up to event 80 of 92, last 2024-10-04 00:00:00Z (60 s ago)
              failing:   it answered 500 [internal], after 3 tries
              seen:      status 500
              by itself: tried again 2024-10-04 00:01:30Z (in 30 s)
              do now:    look at its log
            tickets
              where:     https://tickets.example/
              events:    all
              told:      up to event 0 of 0, nothing since groundstate was started"]]
        .assert_eq(&hooks(&list, Millis(day + 60_000)));
    }
}
