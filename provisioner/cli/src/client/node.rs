// SPDX-License-Identifier: Apache-2.0
//! `groundstate node`.

use super::{Client, Connect, node_path, show};
use crate::End;
use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use groundstate_api::health;
use groundstate_api::plan::{DiskAction, HandOver, Plan};
use groundstate_api::view::{EventPage, NodeList, NodeReport, NodeView, Order, Phase};
use groundstate_api::{NodeId, ReasonCode, paths};
use serde::Serialize;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How long one long poll of `node wait` waits.
const WAIT_MS: u64 = 10_000;

#[derive(Subcommand)]
pub(crate) enum NodeCommand {
    /// List every node of the site.
    List(ListArgs),
    /// Show a node's report.
    Show(NodeArgs),
    /// Say why a node is where it is, and the one next step.
    Explain(NodeArgs),
    /// Order a node's first run, or the next one where no host is on it.
    Provision(OrderArgs),
    /// Order a run that replaces the node's host. Asks first.
    Reprovision(AgainArgs),
    /// Order a run that makes one data disk anew, a replaced one for example, and touches no other.
    RebuildDisk(super::plan::RebuildArgs),
    /// Order a run that erases disks, proves it, and does nothing else. Asks first.
    Erase(super::erase::EraseArgs),
    /// Show the certificates of what was erased in a node, and of what could not be.
    Certificates(super::erase::CertificatesArgs),
    /// Show the plan of a node's run.
    Plan(NodeArgs),
    /// Show the log of the maintenance OS.
    Log(LogArgs),
    /// Wait until a node is ready or held.
    Wait(WaitArgs),
    #[command(flatten)]
    Power(super::power::PowerCommand),
}

#[derive(Args)]
pub(crate) struct ListArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Args)]
pub(crate) struct NodeArgs {
    /// The node's name.
    node: NodeId,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Clone, Copy, ValueEnum)]
enum HandOverArg {
    Kexec,
    Reboot,
}

#[derive(Args)]
pub(crate) struct OrderArgs {
    /// The node's name.
    node: NodeId,
    /// How to get into the host; the site file's policy where absent.
    #[arg(long)]
    hand_over: Option<HandOverArg>,
    /// A disk that may be wiped although it holds something that is not this node's, by its serial number. May be given
    /// several times.
    #[arg(long, value_name = "SERIAL")]
    confirm: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Args)]
pub(crate) struct AgainArgs {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Args)]
pub(crate) struct LogArgs {
    /// The node's name.
    node: NodeId,
    /// Another run than the newest.
    #[arg(long)]
    run: Option<groundstate_api::RunId>,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Args)]
pub(crate) struct WaitArgs {
    /// The node's name.
    node: NodeId,
    /// How many seconds to wait.
    #[arg(long, default_value_t = 3_600)]
    timeout: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

pub(crate) fn run(command: &NodeCommand) -> Result<End> {
    match command {
        NodeCommand::List(args) => list(args),
        NodeCommand::Show(args) => show_node(args),
        NodeCommand::Explain(args) => explain(args),
        NodeCommand::Provision(args) => order(args, paths::PROVISION),
        NodeCommand::Reprovision(args) => reprovision(args),
        NodeCommand::RebuildDisk(args) => super::plan::rebuild(args),
        NodeCommand::Erase(args) => super::erase::erase(args),
        NodeCommand::Certificates(args) => super::erase::certificates(args),
        NodeCommand::Plan(args) => plan(args),
        NodeCommand::Log(args) => log(args),
        NodeCommand::Wait(args) => wait(args),
        NodeCommand::Power(command) => super::power::run(command),
    }
}

fn print(json: bool, document: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    let text = if json {
        serde_json::to_string_pretty(document)?
    } else {
        text()
    };
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(())
}

/// Held nodes end with exit status 3, so that a script need not read.
fn end_of(view: &NodeView) -> End {
    if view.phase == Phase::Held {
        End::Held
    } else {
        End::Done
    }
}

fn list(args: &ListArgs) -> Result<End> {
    let list: NodeList = Client::new(&args.connect)?.get(paths::NODES)?;
    print(args.json, &list, || {
        let lines: Vec<String> = list.nodes.iter().map(show::view_line).collect();
        if lines.is_empty() {
            "the site has no nodes".to_owned()
        } else {
            lines.join("\n")
        }
    })?;
    Ok(End::Done)
}

fn report(connect: &Connect, node: &NodeId) -> Result<NodeReport> {
    Client::new(connect)?.get(&node_path(paths::NODE, node))
}

fn show_node(args: &NodeArgs) -> Result<End> {
    let report = report(&args.connect, &args.node)?;
    print(args.json, &report, || show::report(&report))?;
    Ok(End::Done)
}

fn explain(args: &NodeArgs) -> Result<End> {
    let report = report(&args.connect, &args.node)?;
    let view = &report.view;
    print(args.json, &view.reason, || {
        let mut text = match &view.reason {
            Some(reason) => format!("{} is {}: {reason}", view.node, view.phase.as_str()),
            None => format!(
                "{} is {}\n  do now:    nothing",
                view.node,
                view.phase.as_str()
            ),
        };
        if !report.hardware.is_empty() {
            text.push_str("\n\nIts hardware, worst first:\n");
            text.push_str(&health::page(&report.hardware).join("\n"));
        }
        text
    })?;
    Ok(end_of(view))
}

fn order(args: &OrderArgs, path: &str) -> Result<End> {
    let hand_over = args.hand_over.map(|hand_over| match hand_over {
        HandOverArg::Kexec => HandOver::Kexec,
        HandOverArg::Reboot => HandOver::Reboot,
    });
    let client = Client::new(&args.connect)?;
    let order = Order {
        hand_over,
        confirm_wipe: args.confirm.clone(),
        ..Order::default()
    };
    let view: NodeView = client.post(&node_path(path, &args.node), &order)?;
    print(args.json, &view, || show::view_line(&view))?;
    Ok(End::Done)
}

fn reprovision(args: &AgainArgs) -> Result<End> {
    if !args.yes && !agreed(&args.order)? {
        bail!("nothing was ordered");
    }
    order(&args.order, paths::REPROVISION)
}

/// Shows what is at stake by the plan that made the host, and asks.
fn agreed(args: &OrderArgs) -> Result<bool> {
    let report = report(&args.connect, &args.node)?;
    let mut err = std::io::stderr().lock();
    writeln!(err, "{} is {}.", args.node, report.view.phase.as_str())?;
    match &report.plan {
        Some(plan) => stakes(&mut err, plan)?,
        None => writeln!(
            err,
            "It has no plan yet: every disk that the policy uses will be wiped."
        )?,
    }
    writeln!(
        err,
        "The new plan is written from the site file and the disks found; these are the last plan's."
    )?;
    if !std::io::stdin().is_terminal() {
        bail!("this is not a terminal to ask on; --yes orders without asking");
    }
    write!(err, "Type the node's name to order: ")?;
    err.flush()?;
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed)?;
    Ok(typed.trim() == args.node.as_str())
}

fn stakes(err: &mut impl std::io::Write, plan: &Plan) -> Result<()> {
    for disk in &plan.disks {
        let word = match disk.action {
            DiskAction::Wipe { .. } => "WIPED ",
            DiskAction::Keep { .. } => "kept  ",
            DiskAction::Renew { .. } => "OS NEW",
            DiskAction::Erase { .. } => "ERASED",
            DiskAction::LeaveAlone => "unused",
        };
        writeln!(err, "  {word} {}", show::disk_line(disk))?;
    }
    Ok(())
}

fn plan(args: &NodeArgs) -> Result<End> {
    let plan: Plan = Client::new(&args.connect)?.get(&node_path(paths::NODE_PLAN, &args.node))?;
    print(args.json, &plan, || show::plan(&plan))?;
    Ok(End::Done)
}

fn log(args: &LogArgs) -> Result<End> {
    let run = args
        .run
        .as_ref()
        .map(|run| format!("?run={run}"))
        .unwrap_or_default();
    let text = Client::new(&args.connect)?
        .text(&format!("{}{run}", node_path(paths::NODE_LOG, &args.node)))?;
    write!(std::io::stdout().lock(), "{text}")?;
    Ok(End::Done)
}

fn wait(args: &WaitArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let until = Instant::now() + Duration::from_secs(args.timeout);
    loop {
        let report: NodeReport = client.get(&node_path(paths::NODE, &args.node))?;
        let view = &report.view;
        let settled = matches!(view.phase, Phase::Ready | Phase::Held | Phase::Enrolled);
        if settled {
            print(args.json, view, || {
                view.reason.as_ref().map_or_else(
                    || show::view_line(view),
                    |reason| format!("{}\n{reason}", show::view_line(view)),
                )
            })?;
            return Ok(end_of(view));
        }
        if Instant::now() >= until {
            let code = view
                .reason
                .as_ref()
                .map_or(ReasonCode::UnderWay, |reason| reason.code);
            bail!(
                "{} is still {} [{code}] after {} s",
                args.node,
                view.phase.as_str(),
                args.timeout
            );
        }
        // Returns at once when something has happened since the report.
        let after = view.version;
        let left = u64::try_from(until.saturating_duration_since(Instant::now()).as_millis())
            .unwrap_or(u64::MAX);
        let wait = left.min(WAIT_MS);
        let _page: EventPage = client.get(&format!(
            "{}?after={after}&node={}&wait_ms={wait}",
            paths::EVENTS,
            args.node
        ))?;
    }
}
