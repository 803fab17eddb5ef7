// SPDX-License-Identifier: Apache-2.0
//! `groundstate machine ls | accept | forget`: the waiting room.

use crate::End;
use crate::client::paper::{Paper, Tone};
use crate::client::said::{document, say};
use crate::client::table::{Cell, Table};
use crate::client::{Client, Connect, Terms, Verb};
use anyhow::Result;
use clap::{Args, Subcommand};
use groundstate_api::machine::{Accept, Machine, MachineList};
use groundstate_api::view::NodeView;
use groundstate_api::{MacAddr, NodeId, paths};

#[derive(Subcommand)]
pub(crate) enum MachineCommand {
    /// List the machines that are no node yet.
    Ls(ListArgs),
    /// Make a machine a node of the site.
    Accept(AcceptArgs),
    /// Send a machine away; when it asks again it stands there again.
    Forget(ForgetArgs),
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
pub(crate) struct AcceptArgs {
    /// The MAC address that it booted from.
    mac: MacAddr,
    /// The node's name.
    name: NodeId,
    /// The rack; the one that its relay agent stands for where absent, if the site says so.
    #[arg(long)]
    rack: Option<String>,
    /// Its lowest unit in the rack, 1 at the bottom.
    #[arg(long, requires = "rack")]
    unit: Option<u16>,
    /// The hardware profile; the one whose model it fits where absent, if there is one.
    #[arg(long)]
    profile: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Args)]
pub(crate) struct ForgetArgs {
    /// The MAC address that it booted from.
    mac: MacAddr,
    #[command(flatten)]
    connect: Connect,
}

pub(super) fn run(command: &MachineCommand) -> Result<End> {
    match command {
        MachineCommand::Ls(args) => list(args),
        MachineCommand::Accept(args) => accept(args),
        MachineCommand::Forget(args) => forget(args),
    }
}

fn list(args: &ListArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let text = client.text(paths::MACHINES)?;
    if args.json {
        document(&text)?;
        return Ok(End::Done);
    }
    let list: MachineList = client.parse(paths::MACHINES, &text)?;
    say(&page(&list.machines, Paper::of_terminal()))?;
    Ok(End::Done)
}

fn page(machines: &[Machine], paper: Paper) -> String {
    if machines.is_empty() {
        return "no machine waits".to_owned();
    }
    let mut table = Table::new(&[
        "MAC",
        "MODEL",
        "SERIAL",
        "UUID",
        "ADDRESS",
        "PROPOSED",
        "NEXT STEP",
    ]);
    for machine in machines {
        let text = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or("-"));
        let proposed = [&machine.rack, &machine.profile].map(|one| one.as_deref().unwrap_or("-"));
        table.row([
            Cell::new(Tone::Bold, machine.mac.to_string()),
            text(&machine.model),
            text(&machine.serial),
            machine
                .uuid
                .map_or_else(|| "-".to_owned(), |uuid| uuid.to_string())
                .into(),
            text(&machine.address),
            proposed.join(" ").into(),
            machine.next_step().into(),
        ]);
    }
    table.page(paper)
}

fn accept(args: &AcceptArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let body = Accept {
        name: args.name.clone(),
        rack: args.rack.clone(),
        unit: args.unit,
        profile: args.profile.clone(),
    };
    let path = paths::MACHINE_ACCEPT.replace("{mac}", &args.mac.to_string());
    let text = client.order(Verb::Post, &path, Some(&body), &Terms::fresh())?;
    if args.json {
        document(&text)?;
        return Ok(End::Done);
    }
    let view: NodeView = client.parse(&path, &text)?;
    say(&format!(
        "{} is a node of the site now; provision it: groundstate node provision {}",
        view.node, view.node
    ))?;
    Ok(End::Done)
}

fn forget(args: &ForgetArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let path = paths::MACHINE.replace("{mac}", &args.mac.to_string());
    client.order::<()>(Verb::Delete, &path, None, &Terms::fresh())?;
    say(&format!("{} is out of the waiting room", args.mac))?;
    Ok(End::Done)
}
