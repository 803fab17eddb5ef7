// SPDX-License-Identifier: Apache-2.0
//! `groundstate brake`: whether measures that disturb hosts are stopped for the whole site.

use super::action::agreed;
use super::because::Why;
use super::explain::moment;
use super::orders::{How, would_be_sent};
use super::said::{document, say};
use super::time::now;
use super::{Client, Connect, Terms, Verb};
use crate::End;
use anyhow::Result;
use clap::{Args, Subcommand};
use groundstate_api::healing::{BrakeOrder, BrakeView};
use groundstate_api::text::inert;
use groundstate_api::{explain, paths};
use serde_json::json;

#[derive(Subcommand)]
pub(crate) enum BrakeCommand {
    /// Say whether the brake is on, since when and why.
    Show(ShowArgs),
    /// Stop every measure that disturbs hosts, for the whole site. Asks first.
    #[command(after_help = "Example:\n  groundstate brake on --why 'the switch in r2 is replaced'")]
    On(TurnArgs),
    /// Let measures go on. Asks first.
    #[command(
        visible_alias = "release",
        after_help = "Example:\n  groundstate brake off --why 'the switch works'"
    )]
    Off(TurnArgs),
}

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Args)]
pub(crate) struct TurnArgs {
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    how: How,
}

pub(crate) fn run(command: &BrakeCommand) -> Result<End> {
    match command {
        BrakeCommand::Show(args) => {
            let client = Client::new(&args.connect)?;
            let text = client.text(paths::BRAKE)?;
            print(&client, args.json, &text)
        }
        BrakeCommand::On(args) => turn(args, true),
        BrakeCommand::Off(args) => turn(args, false),
    }
}

fn turn(args: &TurnArgs, on: bool) -> Result<End> {
    let client = Client::new(&args.how.connect)?;
    let follows = if on {
        "no measure that disturbs a host begins, on the whole site, until the brake is let go"
    } else {
        "measures that are due begin again, as many at once as the site file says"
    };
    let asks = !args.how.yes && !args.how.dry_run;
    if asks {
        super::said::tell(&format!("Then {follows}."));
    }
    let order = BrakeOrder {
        on,
        why: args.why.told_for(&args.how)?,
    };
    if args.how.dry_run && args.how.json {
        let path = paths::BRAKE;
        would_be_sent(&[
            json!({"method": "POST", "path": path, "body": order, "follows": follows}),
        ])?;
        return Ok(End::Done);
    }
    if args.how.dry_run {
        let body = serde_json::to_string(&order)?;
        say(&format!(
            "would be sent: POST {} {body}\nthen: {follows}",
            paths::BRAKE
        ))?;
        return Ok(End::Done);
    }
    if asks {
        let (verb, word) = if on {
            ("set the brake", "on")
        } else {
            ("let the brake go", "off")
        };
        agreed(verb, word)?;
    }
    let mut terms = Terms::fresh();
    if let Some(key) = &args.how.idempotency_key {
        terms.key.clone_from(key);
    }
    let text = client.order(Verb::Post, paths::BRAKE, Some(&order), &terms)?;
    print(&client, args.how.json, &text)
}

fn print(client: &Client, json: bool, text: &str) -> Result<End> {
    if json {
        document(text)?;
    } else {
        let view: BrakeView = client.parse(paths::BRAKE, text)?;
        say(&page(&view))?;
    }
    Ok(End::Done)
}

/// The brake in words.
pub(crate) fn page(view: &BrakeView) -> String {
    let now = now();
    let word = if view.on { "ON" } else { "off" };
    let by = view.by.as_ref().map(|by| format!(", by {}", inert(by)));
    let since = view
        .since
        .map(|since| format!(", since {}", moment(since, now)));
    let mut lines = vec![format!(
        "brake {word}{}{}",
        since.unwrap_or_default(),
        by.unwrap_or_default()
    )];
    if let Some(reason) = view.reason.as_ref().filter(|_| view.on) {
        let since = view.since.unwrap_or(now);
        lines.extend(explain::reason_lines(reason, since, &|at| moment(at, now)));
    }
    lines.join("\n")
}
