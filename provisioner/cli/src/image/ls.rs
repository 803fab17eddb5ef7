// SPDX-License-Identifier: Apache-2.0
//! `groundstate image ls`: which images there are. It makes no folder where none is.

use super::format::kind_word;
use super::state::StateArgs;
use crate::End;
use anyhow::Result;
use clap::Args;
use groundstate_api::image::ImageRef;

#[derive(Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &LsArgs) -> Result<End> {
    let images = if args.state.folder().is_dir() {
        args.state.find()?.list()?
    } else {
        Vec::new()
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&images)?);
    } else if images.is_empty() {
        println!(
            "no images in {}; `groundstate image import` brings one in",
            args.state.folder().display()
        );
    } else {
        images.iter().for_each(|image| println!("{}", line(image)));
    }
    Ok(End::Done)
}

pub(super) fn line(image: &ImageRef) -> String {
    format!(
        "{:<24} {:<16} {:>10}  {:<10}  {}",
        image.name,
        image.version,
        image.size,
        kind_word(image.kind),
        image.manifest
    )
}
