// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask bench`: the product against the tools that people would use instead, as ratios.
//!
//! A line a figure: name, ours, peer, ratio, goal and whether it is reached. It measures nothing itself: a program built
//! for speed does (`compare` of `tests/`), one part after the other, and this frame judges what it prints. A part that
//! cannot be measured is short, and says why.

mod fleet;
mod image;
mod machine;
mod measure;
mod peers;
mod pxe;
mod rack;
mod report;
mod storage;
mod suite;
mod svg;
mod table;

pub(crate) use peers::{Peer, Peers};

use crate::layout::Layout;
use anyhow::Result;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Measure the product against the tools that people would use instead
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Virtual disks and the layout of disks
    Storage(storage::Options),
    /// The boot service: DHCP, TFTP and HTTP
    Pxe(suite::Options),
    /// Images: published, served, deployed, fanned out
    Image(suite::Options),
    /// The provisioner with ten thousand simulated nodes
    Fleet(suite::Options),
}

/// Measures. Exit status: 0 every goal is reached, 1 one is not, or a figure is missing.
pub(crate) fn run(layout: &Layout, options: &Options) -> Result<ExitCode> {
    match &options.what {
        What::Storage(options) => storage::run(layout, options),
        What::Pxe(options) => pxe::SUITE.run(layout, options),
        What::Image(options) => image::SUITE.run(layout, options),
        What::Fleet(options) => fleet::SUITE.run(layout, options),
    }
}
