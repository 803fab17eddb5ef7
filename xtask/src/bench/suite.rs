// SPDX-License-Identifier: Apache-2.0
//! A bench that compares the product with peers, part by part: makes the peers ready, builds both sides, measures, reports.

use super::machine::Machine;
use super::measure::{self, Part};
use super::peers::{Crate, Peer, Peers};
use super::report;
use crate::layout::Layout;
use crate::progress::note;
use crate::{product, setup};
use anyhow::{Result, bail};
use clap::Args;
use groundstate_tests::compare::Figure;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A bench.
pub(super) struct Suite {
    /// What it is called.
    pub(super) name: &'static str,
    /// Its parts, in order.
    pub(super) parts: &'static [Part],
    /// The peers, as Debian packages.
    pub(super) peers: &'static [Peer],
    /// The peers, as programs of a crate.
    pub(super) crates: &'static [Crate],
    /// All parts together; what is not measured by then is short.
    pub(super) limit: Duration,
}

/// How to measure
#[derive(Args)]
pub(crate) struct Options {
    /// Also write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A folder on the file system to measure; the target folder's without it
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Measure these parts only
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
}

impl Suite {
    /// Measures and reports.
    pub(super) fn run(&self, layout: &Layout, options: &Options) -> Result<ExitCode> {
        let known = |name: &String| self.parts.iter().any(|part| part.name == name);
        if let Some(strange) = options.only.iter().find(|name| !known(name)) {
            let names: Vec<_> = self.parts.iter().map(|part| part.name).collect();
            bail!(
                "bench {} has no part {strange:?}; it has {}",
                self.name,
                names.join(", ")
            );
        }
        // A peer that cannot be had makes its own part short, and not the others.
        if let Err(error) = setup::ensure() {
            note(&format!("set-up: {error:#}; what needs it will be short"));
        }
        let began = Instant::now();
        let mut environment: Vec<(&'static str, OsString)> = Peers::fetch(layout, self.peers)?
            .with_crates(layout, self.crates)
            .environment()?
            .into_iter()
            .collect();
        // Built as it is shipped.
        let groundstate = product::build(layout)?.groundstate;
        environment.push(("GROUNDSTATE", groundstate.into_os_string()));
        let program = measure::build(layout)?;
        let made = layout.made(format!("bench/{}", self.name));
        let folder = options.folder.clone().unwrap_or_else(|| made.clone());
        std::fs::create_dir_all(&folder)?;
        let folder = folder.canonicalize()?;
        let machine = Machine::here(&folder);
        for line in machine.lines() {
            note(&line);
        }
        let mut figures: Vec<Figure> = Vec::new();
        let until = began + self.limit;
        for part in self.parts {
            if options.only.is_empty() || options.only.iter().any(|name| name == part.name) {
                let taken = measure::part_in(&environment, &program, *part, &folder, until);
                taken.iter().for_each(report::print);
                figures.extend(taken);
            }
        }
        report::close(
            self.name,
            &made,
            options.json.as_deref(),
            &machine,
            &figures,
            began,
        )
    }
}
