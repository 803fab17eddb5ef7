// SPDX-License-Identifier: Apache-2.0
//! `groundstate action`: what is done to machines or asked of hosts, and what the policy wants to do.

use super::because::Why;
use super::explain::{moment, outcome};
use super::orders::{How, would_be_sent};
use super::paper::{Paper, Tone};
use super::said::{ask, document, say, tell};
use super::table::{Cell, Table};
use super::time::{now, span};
use super::{Client, Connect, Refused, Terms, Verb, names};
use crate::End;
use crate::refusal::Failed;
use anyhow::Result;
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;
use groundstate_api::action::{ActionList, ActionView, Outcome};
use groundstate_api::healing::Because;
use groundstate_api::text::inert;
use groundstate_api::{NodeId, Reason, ReasonCode, paths};
use serde_json::json;

#[derive(Subcommand)]
pub(crate) enum ActionCommand {
    /// List actions, newest first.
    #[command(
        visible_alias = "list",
        after_help = "Examples:\n  groundstate action ls --open\n  groundstate action ls --node r1-07"
    )]
    Ls(LsArgs),
    /// Show one action.
    Show(ShowArgs),
    /// Forbid an action that has not begun. Asks first.
    #[command(after_help = "Example:\n  groundstate action veto 1234 --why 'a job ends at 10'")]
    Veto(DecideArgs),
    /// Let an action go on that waits for approval. Asks first.
    Approve(DecideArgs),
}

#[derive(Args)]
pub(crate) struct LsArgs {
    /// Only this node's.
    #[arg(long, add = ArgValueCompleter::new(names::complete))]
    node: Option<NodeId>,
    /// Only those that go on or wait.
    #[arg(long)]
    open: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// Its number.
    #[arg(value_parser = number)]
    action: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Args)]
pub(crate) struct DecideArgs {
    /// Its number.
    #[arg(value_parser = number)]
    action: u64,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    how: How,
}

/// The number of an action.
fn number(text: &str) -> Result<u64, &'static str> {
    text.parse()
        .map_err(|_| "an action has a number, as groundstate action ls shows it")
}

pub(crate) fn run(command: &ActionCommand) -> Result<End> {
    match command {
        ActionCommand::Ls(args) => ls(args),
        ActionCommand::Show(args) => show(args),
        ActionCommand::Veto(args) => decide(args, "veto", paths::ACTION_VETO),
        ActionCommand::Approve(args) => decide(args, "approve", paths::ACTION_APPROVE),
    }
}

fn ls(args: &LsArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let mut path = paths::ACTIONS.to_owned();
    let node = args.node.as_ref().map(|node| format!("node={node}"));
    let open = args.open.then(|| "open=true".to_owned());
    let asks: Vec<String> = node.into_iter().chain(open).collect();
    if !asks.is_empty() {
        path = format!("{path}?{}", asks.join("&"));
    }
    let text = client.text(&path)?;
    let list: ActionList = client.parse(&path, &text)?;
    if let (Some(node), true) = (&args.node, list.actions.is_empty()) {
        super::nodes::must_be(&client, node)?;
    }
    if args.json {
        document(&text)?;
        return Ok(End::Done);
    }
    if list.actions.is_empty() {
        say("no actions")?;
    } else {
        say(&page(&list.actions, Paper::of_terminal()))?;
    }
    Ok(End::Done)
}

fn page(actions: &[ActionView], paper: Paper) -> String {
    let now = now();
    let mut table = Table::new(&["ACTION", "NODE", "WHAT", "BY", "TRY", "BEGAN", "STANDS"]);
    for view in actions {
        let action = &view.action;
        let tone = match &view.outcome {
            None => Tone::Busy,
            Some(Outcome::Done { .. }) => Tone::Good,
            Some(Outcome::Failed { .. }) => Tone::Bad,
            Some(Outcome::Vetoed { .. }) => Tone::Warn,
        };
        table.row([
            action.id.to_string().into(),
            action.node.as_str().into(),
            action.act.says().into(),
            action.by.as_str().into(),
            action.attempt.to_string().into(),
            format!("{} ago", span(now.since(action.began))).into(),
            Cell::new(tone, outcome(view.outcome.as_ref())),
        ]);
    }
    table.page(paper)
}

fn one(client: &Client, id: u64) -> Result<ActionView> {
    let list: ActionList = client.get(paths::ACTIONS)?;
    let found = list.actions.into_iter().find(|view| view.action.id.0 == id);
    // As the API refuses an order for it.
    let reason = || Refused {
        reason: Reason::new(
            ReasonCode::BadRequest,
            format!("there is no action {id}, or it ended long ago"),
            "groundstate action ls names them",
        )
        .then("nothing: nothing was sent"),
    };
    Ok(found.ok_or_else(reason)?)
}

fn show(args: &ShowArgs) -> Result<End> {
    let view = one(&Client::new(&args.connect)?, args.action)?;
    if args.json {
        document(&serde_json::to_string(&view)?)?;
        return Ok(End::Done);
    }
    let now = now();
    let action = &view.action;
    let mut lines = vec![
        format!(
            "action {}: {} of {}",
            action.id,
            action.act.says(),
            action.node
        ),
        format!("  by:        {}, try {}", inert(&action.by), action.attempt),
        format!("  began:     {}", moment(action.began, now)),
    ];
    if view.ended.is_none() {
        lines.push(format!("  deadline:  {}", moment(action.deadline, now)));
    }
    if let Some(because) = &action.because {
        lines.push(format!(
            "  because:   {} [{}]",
            inert(&because.what),
            because.code
        ));
    }
    let ended = view.ended.map(|ended| format!(", {}", moment(ended, now)));
    lines.push(format!(
        "  stands:    {}{}",
        outcome(view.outcome.as_ref()),
        ended.unwrap_or_default()
    ));
    match &view.outcome {
        Some(Outcome::Done { facts, .. }) => {
            lines.extend(
                facts
                    .iter()
                    .map(|fact| format!("  seen:      {}", inert(fact))),
            );
        }
        Some(Outcome::Failed { reason }) => {
            lines.extend(
                reason
                    .evidence
                    .iter()
                    .map(|line| format!("  seen:      {}", inert(line))),
            );
            lines.push(format!("  do now:    {}", inert(&reason.next_step)));
        }
        Some(Outcome::Vetoed { .. }) | None => {}
    }
    say(&lines.join("\n"))?;
    Ok(End::Done)
}

fn decide(args: &DecideArgs, verb: &str, path: &str) -> Result<End> {
    let client = Client::new(&args.how.connect)?;
    let path = path.replace("{action}", &args.action.to_string());
    let asks = !args.how.yes && !args.how.dry_run;
    if asks {
        let view = one(&client, args.action)?;
        tell(&page(&[view], Paper::of_terminal()));
    }
    let body = Because {
        why: args.why.told_for(&args.how)?,
    };
    if args.how.dry_run && args.how.json {
        would_be_sent(&[json!({"method": "POST", "path": path, "body": body})])?;
        return Ok(End::Done);
    }
    if args.how.dry_run {
        say(&format!(
            "would be sent: POST {path} {}",
            serde_json::to_string(&body)?
        ))?;
        return Ok(End::Done);
    }
    if asks {
        agreed(verb, &args.action.to_string())?;
    }
    let mut terms = Terms::fresh();
    if let Some(key) = &args.how.idempotency_key {
        terms.key.clone_from(key);
    }
    let text = client.order(Verb::Post, &path, Some(&body), &terms)?;
    if args.how.json {
        document(&text)?;
    } else {
        say(&format!("action {}: {verb} taken", args.action))?;
    }
    Ok(End::Done)
}

/// Asks on the terminal for a word.
pub(crate) fn agreed(verb: &str, word: &str) -> Result<()> {
    if ask(&format!("Type {word} to {verb}: "))? == word {
        Ok(())
    } else {
        Err(Failed::not_agreed().into())
    }
}
