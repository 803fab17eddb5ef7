// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask bench pxe`: the boot service against the servers that people would use instead.
//!
//! Everything runs in network namespaces over veth: nothing of it reaches the machine's own network.

use super::machine::Machine;
use super::measure::{self, Part};
use super::peers::{Crate, Peer, Peers};
use super::report;
use crate::layout::Layout;
use crate::progress::note;
use crate::{product, setup};
use anyhow::Result;
use clap::Args;
use groundstate_tests::compare::Figure;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// All parts together; what is not measured by then is short.
const LIMIT: Duration = Duration::from_secs(28 * 60);

const fn part(name: &'static str, title: &'static str) -> Part {
    Part { name, title }
}

/// The parts, in order: `compare` has a word for each. Add yours at the end.
const PARTS: &[Part] = &[
    part("dhcp-500", "DHCP: 500 leases a second for a minute"),
    part("dhcp-max", "DHCP: the highest rate"),
    part("dhcp-burst", "DHCP: 1,000 machines at once"),
    part("dhcp-overload", "DHCP: ten times what it can"),
    part("dhcp-100k", "DHCP: with 100,000 leases"),
    part("dhcp-memory", "DHCP: memory with 10,000 leases"),
    part("http", "HTTP: a boot file of 1 GiB"),
    part("storm", "boot storm: 1,000 machines within 10 s"),
    part("storm-loss", "boot storm: 200 machines with 5 % loss"),
    part("tftp-one", "TFTP: one client at each window"),
    part("tftp-500", "TFTP: 500 clients at once"),
    part("tftp-memory", "TFTP: memory for each transfer"),
    part("tftp-loss", "TFTP: 200 clients with 5 % loss"),
];

const fn peer(program: &'static str, package: &'static str) -> Peer {
    Peer { program, package }
}

/// The servers and clients that are measured, as Debian packages. Add yours at the end.
const PEERS: &[Peer] = &[
    peer("perfdhcp", "kea-admin"),
    peer("kea-dhcp4", "kea-dhcp4-server"),
    peer("dnsmasq", "dnsmasq-base"),
    peer("in.tftpd", "tftpd-hpa"),
    peer("atftpd", "atftpd"),
    peer("nginx", "nginx-light"),
];

/// The same, as programs of a crate.
const CRATES: &[Crate] = &[Crate {
    program: "tftpd",
    version: "1.0.0",
}];

/// Measure the boot service
#[derive(Args)]
pub(crate) struct Options {
    /// Also write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A folder on the file system where leases are kept; the target folder's without it
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Measure these parts only
    #[arg(long, value_name = "PART", value_parser = names())]
    only: Vec<String>,
}

fn names() -> clap::builder::PossibleValuesParser {
    PARTS
        .iter()
        .map(|part| part.name)
        .collect::<Vec<_>>()
        .into()
}

/// Measures and reports.
pub(super) fn run(layout: &Layout, options: &Options) -> Result<ExitCode> {
    // A peer that cannot be had makes its own part short, and not the others.
    if let Err(error) = setup::ensure() {
        note(&format!("set-up: {error:#}; what needs it will be short"));
    }
    let began = Instant::now();
    let mut environment: Vec<(&'static str, OsString)> = Peers::fetch(layout, PEERS)?
        .with_crates(layout, CRATES)
        .environment()?
        .into_iter()
        .collect();
    // Built as it is shipped.
    let groundstate = product::build(layout)?.groundstate;
    environment.push(("GROUNDSTATE", groundstate.into_os_string()));
    let program = measure::build(layout)?;
    let made = layout.made("bench/pxe");
    let folder = options.folder.clone().unwrap_or_else(|| made.clone());
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let machine = Machine::here(&folder);
    for line in machine.lines() {
        note(&line);
    }
    let mut figures: Vec<Figure> = Vec::new();
    for part in PARTS {
        if !options.only.is_empty() && !options.only.iter().any(|name| name == part.name) {
            continue;
        }
        let taken = measure::part_in(&environment, &program, *part, &folder, began + LIMIT);
        taken.iter().for_each(report::print);
        figures.extend(taken);
    }
    report::close(
        "pxe",
        &made,
        options.json.as_deref(),
        &machine,
        &figures,
        began,
    )
}
