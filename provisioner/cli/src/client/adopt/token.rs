// SPDX-License-Identifier: Apache-2.0
//! The operator's side: a token is made here, and only its digest is sent; an adopted host is let go.

use crate::End;
use crate::client::action::agreed;
use crate::client::said::{document, say, tell};
use crate::client::{Client, Connect, Terms, Verb, names, node_path, nodes};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use groundstate_api::adopt::{
    AdoptOrder, AdoptTokenView, TOKEN_BEGINS, TOKEN_MINUTES_MAX, TOKEN_MINUTES_USUAL,
};
use groundstate_api::healing::Because;
use groundstate_api::site::Site;
use groundstate_api::view::{NodeList, NodeView};
use groundstate_api::{Digest, MacAddr, NodeId, paths};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

#[derive(Args)]
#[command(group = clap::ArgGroup::new("whom").required(true).multiple(true))]
pub(crate) struct TokenArgs {
    /// The node that the host becomes. One that the site does not know yet becomes a node of it.
    #[arg(long, value_name = "NODE", group = "whom", add = ArgValueCompleter::new(names::complete))]
    name: Option<NodeId>,
    /// The node of the site with this MAC address; with --name of a new node, only a machine with this address may use the token.
    #[arg(long, group = "whom")]
    mac: Option<MacAddr>,
    /// The node of the site with this serial number; with --name of a new node, only that machine may use the token.
    #[arg(long, group = "whom")]
    serial: Option<String>,
    /// How many minutes it is good.
    #[arg(long, default_value_t = TOKEN_MINUTES_USUAL, value_parser = clap::value_parser!(u32).range(1..=i64::from(TOKEN_MINUTES_MAX)))]
    minutes: u32,
    /// Write the token into this new file, mode 0600, instead of printing it.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print JSON: the API's answer, and the token.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Args)]
pub(crate) struct UnadoptArgs {
    /// The node's name.
    #[arg(add = ArgValueCompleter::new(names::complete))]
    node: NodeId,
    /// Why, for who reads the node's history; at most 512 bytes.
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Print JSON: the API's document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

pub(super) fn make(args: &TokenArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let node = whom(&client, args)?;
    let token = fresh()?;
    let order = AdoptOrder {
        token: Digest::of(token.as_bytes()),
        minutes: Some(args.minutes),
        mac: args.mac,
        serial: args.serial.clone(),
    };
    let path = node_path(paths::ADOPT, &node);
    // First the file: a token that is good and that nobody has is worse than a file without one.
    if let Some(file) = &args.output {
        keep(file, &token)?;
    }
    let made = client.order(Verb::Post, &path, Some(&order), &Terms::fresh());
    if let (Err(_), Some(file)) = (&made, &args.output) {
        // It was made a moment ago, and is good for nothing.
        std::fs::remove_file(file).with_context(|| format!("removing {}", file.display()))?;
    }
    let text = made?;
    let view: AdoptTokenView = client.parse(&path, &text)?;
    let file = match &args.output {
        Some(file) => file.display().to_string(),
        None => "FILE".to_owned(),
    };
    if args.json {
        let mut answer: serde_json::Value = serde_json::from_str(&text)?;
        if args.output.is_none() {
            answer["secret"] = token.into();
        }
        document(&answer.to_string())?;
        return Ok(End::Done);
    }
    let mut lines = Vec::new();
    if args.output.is_none() {
        lines.push(token);
    }
    let new = if view.new {
        ", which becomes a node of the site"
    } else {
        ""
    };
    let short = format!(
        "good once, for {} minutes, to make a running host {}{new}. On that host, as root:",
        args.minutes, view.node
    );
    tell(&short);
    tell(&format!(
        "  groundstate node adopt --url {} --ca-fingerprint {} --token-file {file}",
        view.provisioner, view.ca
    ));
    if !lines.is_empty() {
        say(&lines.join("\n"))?;
    }
    Ok(End::Done)
}

/// The node that is meant: by its name, or as the site knows its machine.
fn whom(client: &Client, args: &TokenArgs) -> Result<NodeId> {
    if let Some(name) = &args.name {
        return Ok(name.clone());
    }
    if let Some(mac) = args.mac {
        let list: NodeList = client.get(paths::NODES)?;
        let found = list.nodes.into_iter().find(|view| view.mac == mac);
        let none = || {
            format!(
                "no node of the site has the MAC address {mac}; --name says whom the host becomes"
            )
        };
        return found.map(|view| view.node).with_context(none);
    }
    let Some(serial) = &args.serial else {
        bail!("say --name, --mac or --serial");
    };
    let site: Site = client.get(paths::SITE)?;
    let found = site
        .nodes
        .into_iter()
        .find(|node| node.serial.trim() == serial.trim());
    let none = || {
        format!(
            "no node of the site has the serial number {serial:?}; --name says whom the host becomes"
        )
    };
    found.map(|node| node.name).with_context(none)
}

/// A token that never was.
fn fresh() -> Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    let mut random = std::fs::File::open("/dev/urandom").context("/dev/urandom")?;
    std::io::Read::read_exact(&mut random, &mut bytes).context("/dev/urandom")?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{TOKEN_BEGINS}{hex}"))
}

fn keep(file: &Path, token: &str) -> Result<()> {
    let mut open = OpenOptions::new();
    let made = open.write(true).create_new(true).mode(0o600).open(file);
    let mut made = made.with_context(|| {
        format!(
            "{} cannot be made, and no token was; say another --output where it is there already",
            file.display()
        )
    })?;
    writeln!(made, "{token}").with_context(|| format!("{} cannot be written", file.display()))
}

pub(super) fn unadopt(args: &UnadoptArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    if !args.yes {
        nodes::must_be(&client, &args.node)?;
        tell(&format!(
            "{}: its adopted host is let go. What runs on it goes on; its agent is believed no more.",
            args.node
        ));
        agreed("let it go", args.node.as_str())?;
    }
    let why = Because {
        why: args.why.clone(),
    };
    let path = node_path(paths::ADOPT, &args.node);
    let text = client.order(Verb::Delete, &path, Some(&why), &Terms::fresh())?;
    if args.json {
        document(&text)?;
        return Ok(End::Done);
    }
    let view: NodeView = client.parse(&path, &text)?;
    say(&format!(
        "{} is {} now. On the host: systemctl disable --now host-agent",
        view.node,
        view.phase.as_str()
    ))?;
    Ok(End::Done)
}
