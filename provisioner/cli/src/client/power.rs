// SPDX-License-Identifier: Apache-2.0
//! Commands of a node's power, next boot and BMC; they stand beside the others of `groundstate node`. They print what was verified
//! and by which way, and where it did not work what a person can do.

use super::explain::outcome;
use super::paper::Paper;
use super::said::{ask, document, harmless, say, tell};
use super::table::Table;
use super::{Client, Connect, Terms, Verb, names, node_path};
use crate::End;
use crate::refusal::Failed;
use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use groundstate_api::action::{Act, ActionList, ActionView, NextBoot, Outcome, PowerTo};
use groundstate_api::bmc::BmcReport;
use groundstate_api::text::inert;
use groundstate_api::{NodeId, paths};
use std::time::{Duration, Instant};

/// How often the action is looked at while it goes on.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Subcommand)]
pub(crate) enum PowerCommand {
    /// Switch a machine on or off through its BMC, and say what was seen. All but `on` ask first.
    #[command(after_help = "Example:\n  groundstate node power r1-07 cycle --yes")]
    Power(PowerArgs),
    /// Say what a machine boots next, once, and by which way its BMC took it.
    #[command(after_help = "Example:\n  groundstate node boot-next r1-07 network")]
    BootNext(BootNextArgs),
    /// Light a machine's locator LED, or put it out.
    Identify(IdentifyArgs),
    /// Show what a machine's BMC says: model, power, health, memory, drives, certificate, oddities.
    Bmc(AskArgs),
    /// Show a machine's serial console as far as its BMC keeps it.
    Console(AskArgs),
}

#[derive(Clone, Copy, ValueEnum)]
enum PowerArg {
    On,
    /// In order: the operating system stops first.
    Off,
    /// At once.
    ForceOff,
    /// Off at once and on again.
    Cycle,
}

#[derive(Clone, Copy, ValueEnum)]
enum NextArg {
    /// PXE, or HTTP Boot where the firmware offers only that.
    Network,
    /// UEFI HTTP Boot.
    HttpBoot,
    /// Its own disk.
    Disk,
    /// The boot image as an ISO in the BMC's virtual drive.
    VirtualMedia,
}

#[derive(Clone, Copy, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Args)]
pub(crate) struct Doing {
    /// Seconds to wait for the end; 0 only begins it.
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    wait: u64,
    /// Print the action as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Args)]
pub(crate) struct PowerArgs {
    /// The node's name.
    #[arg(add = ArgValueCompleter::new(names::complete))]
    node: NodeId,
    /// Which way.
    to: PowerArg,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    doing: Doing,
}

#[derive(Args)]
pub(crate) struct BootNextArgs {
    /// The node's name.
    #[arg(add = ArgValueCompleter::new(names::complete))]
    node: NodeId,
    /// What.
    to: NextArg,
    #[command(flatten)]
    doing: Doing,
}

#[derive(Args)]
pub(crate) struct IdentifyArgs {
    /// The node's name.
    #[arg(add = ArgValueCompleter::new(names::complete))]
    node: NodeId,
    /// Whether it shall be lit.
    on: Switch,
    #[command(flatten)]
    doing: Doing,
}

#[derive(Args)]
pub(crate) struct AskArgs {
    /// The node's name.
    #[arg(add = ArgValueCompleter::new(names::complete))]
    node: NodeId,
    /// Print the API's answer unchanged.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

pub(crate) fn run(command: &PowerCommand) -> Result<End> {
    match command {
        PowerCommand::Power(args) => power(args),
        PowerCommand::BootNext(args) => {
            let to = match args.to {
                NextArg::Network => NextBoot::Network,
                NextArg::HttpBoot => NextBoot::HttpBoot,
                NextArg::Disk => NextBoot::Disk,
                NextArg::VirtualMedia => NextBoot::VirtualMedia,
            };
            act(&args.node, &Act::BootNext { to }, &args.doing)
        }
        PowerCommand::Identify(args) => {
            let on = matches!(args.on, Switch::On);
            act(&args.node, &Act::Identify { on }, &args.doing)
        }
        PowerCommand::Bmc(args) => bmc(args),
        PowerCommand::Console(args) => console(args),
    }
}

fn power(args: &PowerArgs) -> Result<End> {
    let to = match args.to {
        PowerArg::On => PowerTo::On,
        PowerArg::Off => PowerTo::Off,
        PowerArg::ForceOff => PowerTo::ForceOff,
        PowerArg::Cycle => PowerTo::Cycle,
    };
    let act_wanted = Act::Power { to };
    if to != PowerTo::On && !args.yes {
        // Nobody is asked about a node that is not there.
        super::nodes::must_be(&Client::new(&args.doing.connect)?, &args.node)?;
        if !agreed(&args.node, &act_wanted)? {
            return Err(Failed::not_agreed().into());
        }
    }
    act(&args.node, &act_wanted, &args.doing)
}

fn agreed(node: &NodeId, act: &Act) -> Result<bool> {
    let what = format!("{node}: {}. What runs on it ends.", act.says());
    Ok(ask(&format!("{what}\nType the node's name to order: "))? == node.as_str())
}

/// Begins an action, waits for its end, and says what was seen.
fn act(node: &NodeId, act: &Act, doing: &Doing) -> Result<End> {
    let client = Client::new(&doing.connect)?;
    let path = node_path(paths::NODE_ACTIONS, node);
    let text = client.order(Verb::Post, &path, Some(act), &Terms::fresh())?;
    let mut view: ActionView = client.parse(&path, &text)?;
    let until = Instant::now() + Duration::from_secs(doing.wait);
    let list = format!("{}?node={node}", paths::ACTIONS);
    while view.outcome.is_none() && Instant::now() < until {
        std::thread::sleep(LOOK_EVERY);
        let all: ActionList = client.get(&list)?;
        let found = all
            .actions
            .into_iter()
            .find(|each| each.action.id == view.action.id);
        view = found
            .with_context(|| format!("action {} of {node} is no longer shown", view.action.id))?;
    }
    if doing.json {
        document(&serde_json::to_string(&view)?)?;
    } else if let Some(Outcome::Failed { reason }) = &view.outcome {
        tell(&harmless(&format!("{node}: {}: {reason}", act.says())));
    } else {
        say(&page(node, &view))?;
    }
    Ok(match view.outcome {
        Some(Outcome::Failed { .. } | Outcome::Vetoed { .. }) => End::Held,
        Some(Outcome::Done { .. }) | None => End::Done,
    })
}

/// `node-1: power on: done by redfish`, and below it what was seen.
fn page(node: &NodeId, view: &ActionView) -> String {
    let mut lines = vec![format!(
        "{node}: {}: {}",
        view.action.act.says(),
        outcome(view.outcome.as_ref())
    )];
    if let Some(Outcome::Done { facts, .. }) = &view.outcome {
        lines.extend(facts.iter().map(|fact| format!("  seen: {}", inert(fact))));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn bmc(args: &AskArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let path = node_path(paths::NODE_BMC, &args.node);
    let text = client.text(&path)?;
    if args.json {
        document(&text)?;
        return Ok(End::Done);
    }
    let report: BmcReport = client.parse(&path, &text)?;
    say(&bmc_page(&report, Paper::of_terminal()))?;
    Ok(End::Done)
}

fn bmc_page(report: &BmcReport, paper: Paper) -> String {
    let mut table = Table::new(&["WHAT", "THE BMC SAYS"]);
    let mut row = |what: &str, said: &str| {
        if !said.is_empty() {
            table.row([what.into(), inert(said).as_ref().into()]);
        }
    };
    let join = |all: &[String]| all.join("; ");
    let some = |one: &Option<String>| one.clone().unwrap_or_default();
    let model = [report.manufacturer.as_str(), report.model.as_str()].join(" ");
    row("spoken to by", &report.protocol);
    row("machine", model.trim());
    row("serial number", &report.serial);
    row(
        "uuid",
        &report
            .uuid
            .map_or_else(String::new, |uuid| uuid.to_string()),
    );
    row("power", &report.power);
    row("health", &some(&report.health));
    row("locator led", &some(&report.led));
    row("next boot", &some(&report.next_boot));
    row("firmware", &report.firmware);
    row("bmc firmware", &report.bmc_firmware);
    row("processors", &join(&report.processors));
    row(
        "memory",
        &report
            .memory
            .map_or_else(String::new, |memory| memory.to_string()),
    );
    for dimm in &report.dimms {
        row("dimm", dimm);
    }
    for drive in &report.drives {
        row("drive", drive);
    }
    for mac in &report.macs {
        row("interface", &mac.to_string());
    }
    row("certificate", &some(&report.certificate));
    row("known oddities", &join(&report.quirks));
    table.page(paper)
}

fn console(args: &AskArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let text = client.text(&node_path(paths::NODE_CONSOLE, &args.node))?;
    if args.json {
        document(&serde_json::to_string(&text.lines().collect::<Vec<_>>())?)?;
    } else {
        say(&harmless(&text))?;
    }
    Ok(End::Done)
}
