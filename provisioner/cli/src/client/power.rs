// SPDX-License-Identifier: Apache-2.0
//! Commands of a node's power, next boot and BMC; they stand beside the others of `groundstate node`.

use crate::End;
use anyhow::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum PowerCommand {}

pub(crate) fn run(command: &PowerCommand) -> Result<End> {
    match *command {}
}
