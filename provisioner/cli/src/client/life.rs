// SPDX-License-Identifier: Apache-2.0
//! Orders about a node's life: out of use and back, to rescue, out of the fleet; approval of its plan; a remark.

use super::because::Why;
use super::nodes::Listed;
use super::orders::{self, Ask, How, Order, carry_out};
use super::which::Which;
use super::would::{self, Wanted};
use super::{Client, Refused, node_path};
use crate::End;
use anyhow::Result;
use clap::{Args, Subcommand};
use groundstate_api::healing::Because;
use groundstate_api::paths;
use groundstate_api::site::Site;
use groundstate_api::view::Phase;
use prov_core::LifeOrder;
use serde_json::{Value, json};

/// The longest remark.
const REMARK_MAX: usize = 2_048;

#[derive(Subcommand)]
pub(crate) enum LifeCommand {
    /// Let a host give its work away, before something that stops it. Asks first.
    #[command(
        after_help = "Example:\n  groundstate node drain r1-07 --why 'firmware update at 10'"
    )]
    Drain(BecauseArgs),
    /// Take a node out of use: nothing is done to it by itself until it is released. Asks first.
    #[command(
        after_help = "Example:\n  groundstate node quarantine r1-07 --why 'disk in bay 3 clicks'"
    )]
    Quarantine(BecauseArgs),
    /// Say that a person begins to work at a node. Asks first.
    #[command(after_help = "Example:\n  groundstate node repair r1-07 --why 'DIMM_B1 is replaced'")]
    Repair(BecauseArgs),
    /// Let a node out of drain, quarantine, repair or rescue. Asks first.
    #[command(
        after_help = "Examples:\n  groundstate node release r1-07 --why 'DIMM_B1 is new'
  groundstate node release --rack r1 --phase quarantined --why 'power is back' --dry-run"
    )]
    Release(BecauseArgs),
    /// Take a node out of the fleet: it boots nothing of ours any more. Asks first.
    #[command(after_help = "Example:\n  groundstate node retire r1-07 --why 'sold'")]
    Retire(BecauseArgs),
    /// Start the maintenance OS with a shell for the keys of the site file. Nothing is written by itself. Asks first.
    #[command(
        after_help = "Example:\n  groundstate node rescue r1-07 --why 'looking for a lost file'"
    )]
    Rescue(BecauseArgs),
    /// Approve the plan of a node that waits for approval. Asks first; `groundstate node plan NODE` shows the plan.
    #[command(after_help = "Examples:\n  groundstate node approve r1-07
  groundstate node approve --rack r1 --phase planned --yes")]
    Approve(ApproveArgs),
    /// Write something down about a node. It stands in the journal and on the node's page.
    #[command(after_help = "Example:\n  groundstate node remark r1-07 'the fan in front is loud'")]
    Remark(RemarkArgs),
}

#[derive(Args)]
pub(crate) struct BecauseArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub(crate) struct RemarkArgs {
    /// The node's name.
    #[arg(add = clap_complete::engine::ArgValueCompleter::new(super::names::complete))]
    node: groundstate_api::NodeId,
    /// The remark; at most 2,048 bytes.
    #[arg(value_parser = |text: &str| words(text, REMARK_MAX))]
    text: String,
    #[command(flatten)]
    how: How,
}

/// Words of a person: some, not too many, one line, nothing that steers a terminal.
pub(crate) fn words(text: &str, most: usize) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("say something".to_owned());
    }
    if text.len() > most {
        return Err(format!("{} bytes; at most {most}", text.len()));
    }
    match text.chars().find(|c| !groundstate_api::text::printable(*c)) {
        Some(c) => Err(format!(
            "{:?} cannot stand in it; write one line of text",
            c
        )),
        None => Ok(text.to_owned()),
    }
}

pub(crate) fn run(command: &LifeCommand) -> Result<End> {
    match command {
        LifeCommand::Drain(args) => because(args, LifeOrder::Drain, paths::DRAIN, |_| {
            "draining, until its host has no work".to_owned()
        }),
        LifeCommand::Quarantine(args) => {
            because(args, LifeOrder::Quarantine, paths::QUARANTINE, |_| {
                "quarantined, until it is released".to_owned()
            })
        }
        LifeCommand::Repair(args) => because(args, LifeOrder::Repair, paths::REPAIR, |_| {
            "in-repair, until it is released".to_owned()
        }),
        LifeCommand::Release(args) => because(args, LifeOrder::Release, paths::RELEASE, released),
        LifeCommand::Retire(args) => because(args, LifeOrder::Retire, paths::RETIRE, |_| {
            "retired: it boots nothing of ours".to_owned()
        }),
        LifeCommand::Rescue(args) => because(args, LifeOrder::Rescue, paths::RESCUE, |_| {
            "rescue, once the machine has booted from the network".to_owned()
        }),
        LifeCommand::Approve(args) => approve(args),
        LifeCommand::Remark(args) => remark(args),
    }
}

fn released(node: &Listed) -> String {
    match node.view.phase {
        Phase::Retired => "enrolled: a node of the fleet again".to_owned(),
        _ if node.view.last_heard.is_some() => "ready when its host calls".to_owned(),
        _ => "enrolled, or ready when it has a host that calls".to_owned(),
    }
}

/// An order with a reason why. A person is shown what will happen, then asked why, then whether to do it.
fn because(
    args: &BecauseArgs,
    order: LifeOrder,
    path: &str,
    follows: fn(&Listed) -> String,
) -> Result<End> {
    let how = &args.how;
    let client = Client::new(&how.connect)?;
    let nodes = args.which.of(&client)?;
    let has_keys = order != LifeOrder::Rescue || has_rescue_keys(&client);
    let wanted = Wanted::Life(order, has_keys);
    let mut orders: Vec<Order> = nodes
        .iter()
        .map(|node| one(node, path, follows(node), wanted))
        .collect();
    let shown = !how.yes && !how.dry_run;
    if shown {
        orders::show(&orders);
    }
    let body = serde_json::to_value(Because {
        why: args.why.told_for(how)?,
    })?;
    for order in &mut orders {
        order.body.clone_from(&body);
    }
    let verb = match order {
        LifeOrder::Repair => "begin the repair",
        other => other.as_str(),
    };
    let ask = if shown { Ask::Shown } else { Ask::Always };
    carry_out(&client, verb, &orders, how, ask)
}

/// Whether somebody could open a shell in a rescue. Where the site is not shown, the provisioner says so when it is asked.
fn has_rescue_keys(client: &Client) -> bool {
    let site: Result<Site> = client.get(paths::SITE);
    site.map_or(true, |site| !site.rescue.keys.is_empty())
}

fn one(node: &Listed, path: &str, follows: String, wanted: Wanted) -> Order {
    let view = &node.view;
    Order {
        node: view.node.clone(),
        phase: view.phase,
        version: view.version,
        path: node_path(path, &view.node),
        body: Value::Null,
        follows,
        refused: would::refusal(view, None, wanted),
    }
}

fn approve(args: &ApproveArgs) -> Result<End> {
    let client = Client::new(&args.how.connect)?;
    let nodes = args.which.of(&client)?;
    let mut orders = Vec::new();
    for node in &nodes {
        let follows = "provisioning: its disks are written as the plan says".to_owned();
        let mut order = one(node, paths::APPROVE_PLAN, follows, Wanted::Approve);
        match (&node.view.run, &order.refused) {
            // There is no run that could be named in an order.
            (None, Some(reason)) if !args.how.dry_run => {
                let reason = reason.clone();
                return Err(Refused { reason }.into());
            }
            (run, _) => order.body = json!({ "run": run }),
        }
        orders.push(order);
    }
    carry_out(&client, "approve", &orders, &args.how, Ask::Always)
}

fn remark(args: &RemarkArgs) -> Result<End> {
    let client = Client::new(&args.how.connect)?;
    let report: groundstate_api::view::NodeReport =
        client.get(&node_path(paths::NODE, &args.node))?;
    let order = Order {
        node: args.node.clone(),
        phase: report.view.phase,
        version: report.view.version,
        path: node_path(paths::NODE_REMARKS, &args.node),
        body: json!({ "text": args.text }),
        follows: "the same: a remark changes nothing".to_owned(),
        refused: None,
    };
    carry_out(&client, "remark", &[order], &args.how, Ask::Several)
}
