// SPDX-License-Identifier: Apache-2.0
//! `groundstate watch`.

use crate::client::Connect;
use crate::exit::End;
use anyhow::Result;
use clap::Args;

#[derive(Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    connect: Connect,
}

pub(crate) fn run(_args: &WatchArgs) -> Result<End> {
    Ok(End::Done)
}
