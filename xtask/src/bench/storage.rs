// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask bench storage`: virtual disks against qemu-img, fallocate and dd; 24 disks laid out against one.

use super::machine::Machine;
use super::measure::{self, Part};
use super::report;
use crate::layout::Layout;
use crate::progress::note;
use crate::setup;
use anyhow::Result;
use clap::Args;
use groundstate_tests::compare::Figure;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// All parts together; what is not measured by then is short.
const LIMIT: Duration = Duration::from_secs(28 * 60);

/// The parts, in order.
const PARTS: [Part; 6] = [
    Part {
        name: "fixed",
        title: "fixed VHD 8 GiB",
    },
    Part {
        name: "many",
        title: "24 disks x 4 VHDs",
    },
    Part {
        name: "shelf",
        title: "24 disks laid out, against one",
    },
    Part {
        name: "dynamic",
        title: "dynamic VHD, random access",
    },
    Part {
        name: "convert",
        title: "raw to dynamic VHD",
    },
    Part {
        name: "first-writes",
        title: "first writes",
    },
];

/// Measure virtual disks and the layout of disks
#[derive(Args)]
pub(crate) struct Options {
    /// Also write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A folder on the file system to measure, with 24 GiB free; the target folder's without it
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Also boot virtual nodes with 8 disks and with one, and report how long laying their disks out takes
    #[arg(long)]
    with_rack: bool,
    /// Measure these parts only
    #[arg(long, value_name = "PART", value_parser = PARTS.map(|part| part.name))]
    only: Vec<String>,
}

/// Measures and reports.
pub(super) fn run(layout: &Layout, options: &Options) -> Result<ExitCode> {
    // A peer that cannot be installed makes its own part short, and not the others.
    if let Err(error) = setup::ensure() {
        note(&format!("set-up: {error:#}; what needs it will be short"));
    }
    let program = measure::build(layout)?;
    let made = layout.made("bench/storage");
    let folder = options.folder.clone().unwrap_or_else(|| made.clone());
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let machine = Machine::here(&folder);
    for line in machine.lines() {
        note(&line);
    }
    let began = Instant::now();
    let mut figures: Vec<Figure> = Vec::new();
    for part in PARTS {
        if !options.only.is_empty() && !options.only.iter().any(|name| name == part.name) {
            continue;
        }
        let taken = measure::part(&program, part, &folder, began + LIMIT);
        taken.iter().for_each(report::print);
        figures.extend(taken);
    }
    if options.with_rack {
        let figure = super::rack::shelf(layout, began + LIMIT);
        report::print(&figure);
        figures.push(figure);
    }
    report::close(
        "storage",
        &made,
        options.json.as_deref(),
        &machine,
        &figures,
        began,
    )
}
