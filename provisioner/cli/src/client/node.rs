// SPDX-License-Identifier: Apache-2.0
//! `groundstate node`.

use super::life::LifeCommand;
use super::list::ListArgs;
use super::orders::{self, Ask, How};
use super::said::{document, say};
use super::wait::WaitArgs;
use super::which::Which;
use super::would::{self, Wanted};
use super::{Client, Connect, Refused, names, node_path, show};
use crate::End;
use anyhow::{Error, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use groundstate_api::event::Happened;
use groundstate_api::plan::{DiskAction, HandOver, Plan};
use groundstate_api::view::{NodeReport, NodeView, Order, Phase};
use groundstate_api::{NodeId, Reason, ReasonCode, paths};
use std::fmt::Write as _;

/// Runs that are named where another one was asked for.
const RUNS_NAMED_MAX: usize = 8;

#[derive(Subcommand)]
pub(crate) enum NodeCommand {
    /// List the nodes of the site: where each stands, how far it is, and why it waits.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show a node's report: hardware, plan, times, findings.
    Show(NodeArgs),
    /// Say why a node is where it is: what it waits for, since when, until when, and what a person can do.
    #[command(
        after_help = super::explain::EXAMPLE
    )]
    Explain(NodeArgs),
    /// Show what happened to a node, as a time line.
    History(super::history::HistoryArgs),
    /// Show how a node came to be where it is, event by event; the same as `groundstate replay`.
    Replay(super::replay::ReplayArgs),
    /// Order a node's first run, or the next one where no host is on it. Asks first where it is for several nodes.
    #[command(after_help = "Examples:
  groundstate node provision r1-07 && groundstate node wait r1-07
  groundstate node provision --rack r1 --phase enrolled --dry-run")]
    Provision(OrderArgs),
    /// Order a run that replaces the node's host. Asks first.
    #[command(after_help = "Examples:
  groundstate node reprovision r1-07
  groundstate node reprovision --phase held --yes")]
    Reprovision(OrderArgs),
    /// Order a run that makes one data disk anew, a replaced one for example, and touches no other. Asks first.
    RebuildDisk(super::plan::RebuildArgs),
    /// Order a run that erases disks, proves it, and does nothing else. Asks first.
    Erase(super::erase::EraseArgs),
    /// Show the certificates of what was erased in a node, and of what could not be.
    Certificates(super::erase::CertificatesArgs),
    /// Show the plan of a node's run.
    Plan(NodeArgs),
    /// Show the log of the maintenance OS.
    Log(LogArgs),
    /// Show the repair ticket: where the machine stands, which part, what to do, what not to touch. The page prints it.
    #[command(after_help = "Example:\n  groundstate node ticket r1-07 | lp")]
    Ticket(NodeArgs),
    /// Wait until nodes are ready, held, or in another phase, and say meanwhile what is waited for.
    Wait(WaitArgs),
    /// Fetch the diagnostics that a node's host sent last, or ask it for new ones, and show what is in them.
    #[command(after_help = "Examples:
  groundstate node diagnostics r1-07
  groundstate node diagnostics r1-07 --collect --output r1-07.tar.gz")]
    Diagnostics(super::diagnostics::DiagnosticsArgs),
    #[command(flatten)]
    Adopt(super::adopt::AdoptCommand),
    #[command(flatten)]
    Life(LifeCommand),
    #[command(flatten)]
    Power(super::power::PowerCommand),
}

#[derive(Args)]
pub(crate) struct NodeArgs {
    /// The node's name.
    #[arg(add = ArgValueCompleter::new(names::complete))]
    pub(crate) node: NodeId,
    /// Print JSON: the API's document.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connect: Connect,
}

#[derive(Clone, Copy, ValueEnum)]
enum HandOverArg {
    Kexec,
    Reboot,
}

#[derive(Args)]
pub(crate) struct OrderArgs {
    #[command(flatten)]
    which: Which,
    /// How to get into the host; the site file's policy where absent.
    #[arg(long)]
    hand_over: Option<HandOverArg>,
    /// A disk that may be wiped although it holds something that is not this node's, by its serial number. May be given
    /// several times.
    #[arg(long, value_name = "SERIAL")]
    confirm: Vec<String>,
    /// Let the plan wait, once it is written, until somebody approves it.
    #[arg(long)]
    approve: bool,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub(crate) struct LogArgs {
    /// The node's name.
    #[arg(add = ArgValueCompleter::new(names::complete))]
    node: NodeId,
    /// Another run than the newest.
    #[arg(long)]
    run: Option<groundstate_api::RunId>,
    #[command(flatten)]
    connect: Connect,
}

pub(crate) fn run(command: &NodeCommand) -> Result<End> {
    match command {
        NodeCommand::List(args) => super::list::run(args),
        NodeCommand::Show(args) => show_node(args),
        NodeCommand::Explain(args) => super::explain::run(args),
        NodeCommand::History(args) => super::history::run(args),
        NodeCommand::Replay(args) => super::replay::run(args),
        NodeCommand::Provision(args) => order(args, "provision", paths::PROVISION, Ask::Several),
        NodeCommand::Reprovision(args) => {
            order(args, "reprovision", paths::REPROVISION, Ask::Always)
        }
        NodeCommand::RebuildDisk(args) => super::plan::rebuild(args),
        NodeCommand::Erase(args) => super::erase::erase(args),
        NodeCommand::Certificates(args) => super::erase::certificates(args),
        NodeCommand::Plan(args) => plan(args),
        NodeCommand::Log(args) => log(args),
        NodeCommand::Ticket(args) => {
            let path = node_path(paths::NODE_TICKET, &args.node);
            show_document(&args.connect, args.json, &path, super::ticket::page)
        }
        NodeCommand::Wait(args) => super::wait::run(args),
        NodeCommand::Diagnostics(args) => super::diagnostics::run(args),
        NodeCommand::Adopt(command) => super::adopt::run(command),
        NodeCommand::Life(command) => super::life::run(command),
        NodeCommand::Power(command) => super::power::run(command),
    }
}

/// A document as JSON, or in words.
fn show_document<T: serde::de::DeserializeOwned>(
    connect: &Connect,
    json: bool,
    path: &str,
    words: impl FnOnce(&T) -> String,
) -> Result<End> {
    let client = Client::new(connect)?;
    let text = client.text(path)?;
    if json {
        document(&text)?;
    } else {
        say(&words(&client.parse(path, &text)?))?;
    }
    Ok(End::Done)
}

fn show_node(args: &NodeArgs) -> Result<End> {
    let path = node_path(paths::NODE, &args.node);
    show_document(&args.connect, args.json, &path, show::report)
}

fn plan(args: &NodeArgs) -> Result<End> {
    let path = node_path(paths::NODE_PLAN, &args.node);
    show_document(&args.connect, args.json, &path, show::plan)
}

fn order(args: &OrderArgs, verb: &str, path: &str, ask: Ask) -> Result<End> {
    let hand_over = args.hand_over.map(|hand_over| match hand_over {
        HandOverArg::Kexec => HandOver::Kexec,
        HandOverArg::Reboot => HandOver::Reboot,
    });
    let client = Client::new(&args.how.connect)?;
    let nodes = args.which.of(&client)?;
    if nodes.len() > 1 && !args.confirm.is_empty() {
        bail!(
            "--confirm names disks of one node; these are {} nodes",
            nodes.len()
        );
    }
    let body = serde_json::to_value(Order {
        hand_over,
        confirm_wipe: args.confirm.clone(),
        approve: args.approve,
    })?;
    let wanted = match ask {
        Ask::Several => Wanted::Provision,
        Ask::Always | Ask::Shown => Wanted::Reprovision,
    };
    let mut orders = Vec::new();
    for node in &nodes {
        let view = &node.view;
        orders.push(orders::Order {
            node: view.node.clone(),
            phase: view.phase,
            version: view.version,
            path: node_path(path, &view.node),
            body: body.clone(),
            follows: "ordered; then checking, provisioning and ready".to_owned(),
            refused: refused(&client, view, wanted, &args.how)?,
        });
    }
    if let ([only], Ask::Always, false, false) =
        (nodes.as_slice(), ask, args.how.yes, args.how.dry_run)
    {
        super::said::tell(&stakes(&client, &only.view.node)?);
    }
    orders::carry_out(&client, verb, &orders, &args.how, ask)
}

/// Why a run would be refused, where that is shown before anything is sent.
fn refused(client: &Client, view: &NodeView, wanted: Wanted, how: &How) -> Result<Option<Reason>> {
    if how.yes && !how.dry_run {
        return Ok(None);
    }
    // Whether a host is there stands in the report alone, and decides only here.
    let host = match (view.phase, wanted) {
        (Phase::Held, Wanted::Provision) => {
            let report: NodeReport = client.get(&node_path(paths::NODE, &view.node))?;
            report.host
        }
        _ => None,
    };
    Ok(would::refusal(view, host.as_ref(), wanted))
}

/// What is at stake, by the plan that made the host.
fn stakes(client: &Client, node: &NodeId) -> Result<String> {
    let report: NodeReport = client.get(&node_path(paths::NODE, node))?;
    let mut text = format!("{node} is {}.\n", report.view.phase.as_str());
    let Some(plan) = &report.plan else {
        if report.host.is_some_and(|host| host.adopted.is_some()) {
            text.push_str(
                "Its host was adopted: no plan of ours wrote what stands on its disks. They are wiped only where --confirm names them or the site lets them go.",
            );
            return Ok(text);
        }
        text.push_str(
            "It has no plan yet: each disk that the policy uses will be wiped, unless something that is not this node's stands on it: then the run is held until --confirm names that disk.",
        );
        return Ok(text);
    };
    disks(&mut text, plan);
    text.push_str("The new plan is written from the site file and the disks found; these are the last plan's.");
    Ok(text)
}

fn disks(text: &mut String, plan: &Plan) {
    for disk in &plan.disks {
        let word = match disk.action {
            DiskAction::Wipe { .. } => "WIPED ",
            DiskAction::Keep { .. } => "kept  ",
            DiskAction::Renew { .. } => "OS NEW",
            DiskAction::Erase { .. } => "ERASED",
            DiskAction::LeaveAlone => "unused",
        };
        // Writing to a string cannot fail.
        let _written = writeln!(text, "  {word} {}", show::disk_line(disk));
    }
}

fn log(args: &LogArgs) -> Result<End> {
    let run = args
        .run
        .as_ref()
        .map(|run| format!("?run={run}"))
        .unwrap_or_default();
    let client = Client::new(&args.connect)?;
    let path = format!("{}{run}", node_path(paths::NODE_LOG, &args.node));
    let text = match client.text(&path) {
        Err(error) if args.run.is_some() => return Err(with_runs(&client, &args.node, error)),
        text => text?,
    };
    super::said::print(&text)?;
    Ok(End::Done)
}

/// The same refusal, with the runs there are: another one was named.
fn with_runs(client: &Client, node: &NodeId, error: Error) -> Error {
    let Some(refused) = error.downcast_ref::<Refused>() else {
        return error;
    };
    if refused.reason.code != ReasonCode::NothingOrdered {
        return error;
    }
    let Ok(events) = super::history::events_of(client, node) else {
        return error;
    };
    let runs = events.iter().filter_map(|event| match &event.what {
        Happened::RunOrdered { run, .. } => Some(run.as_str()),
        _ => None,
    });
    let runs: Vec<&str> = runs.collect();
    let first = runs.len().saturating_sub(RUNS_NAMED_MAX);
    let seen = match runs.get(first..).unwrap_or_default() {
        [] => format!("{node} has had no run"),
        newest => format!("the newest runs of {node}: {}", newest.join(", ")),
    };
    let reason = refused.reason.clone().seen(seen);
    Refused { reason }.into()
}
