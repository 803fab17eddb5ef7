// SPDX-License-Identifier: Apache-2.0
//! Commands of the site and of the waiting room; they stand at the top of `groundstate`.

use crate::End;
use anyhow::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum SiteCommand {}

pub(crate) fn run(command: &SiteCommand) -> Result<End> {
    match *command {}
}
