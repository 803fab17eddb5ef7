// SPDX-License-Identifier: Apache-2.0
//! `groundstate image rm`: takes a name away. The bytes stay until `image gc` finds that nobody needs them.

use super::gc::DAY;
use super::state::StateArgs;
use crate::End;
use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

#[derive(Args)]
pub(crate) struct RmArgs {
    /// The image's name.
    name: String,
    /// Its version.
    version: String,
    #[command(flatten)]
    state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RmArgs) -> Result<End> {
    let repository = args.state.find()?;
    let image = repository.find(&args.name, Some(&args.version))?;
    if repository.trusted_manifests()?.contains(&image.manifest) {
        bail!(
            "{} {} is named by a signature or a channel and stays; promote another version first, or revoke this one",
            args.name,
            args.version
        );
    }
    let manifest = repository.remove(&args.name, &args.version)?;
    if args.json {
        println!(
            "{}",
            json!({ "name": args.name, "version": args.version, "manifest": manifest })
        );
    } else {
        println!(
            "{} {} has no name any more ({manifest}); `groundstate image gc` frees what nobody else needs, {DAY} hours from now \
             at the earliest: a node may be fetching it",
            args.name, args.version
        );
    }
    Ok(End::Done)
}
