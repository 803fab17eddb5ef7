// SPDX-License-Identifier: Apache-2.0
//! `groundstate image sign`: somebody who may says that this image is what its name says. It reads every byte of the image
//! first: what is signed is what is there.

use super::finish::{HowArgs, life, refused};
use super::named::{Named, now};
use super::state::StateArgs;
use super::verify::bytes;
use crate::End;
use anyhow::{Result, bail};
use groundstate_api::Millis;
use groundstate_api::image::ImageRef;
use image_core::trust::next;
use image_repo::Repository;
use image_repo::trust::Offer;

pub(super) const EXAMPLES: &str = "\
Examples:
  groundstate image sign debian-host 12.11-1 --key me.key
  groundstate image sign debian-host 12.11-1 --out statement.json
  minisign -S -s their.key -m statement.json
  groundstate image sign --add-signature statement.json.minisig

Where a threshold of keys is needed, the statement waits until enough of them have signed it.";

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    state: StateArgs,
    /// The image: NAME, NAME:VERSION, or the digest of its manifest.
    #[arg(required_unless_present = "add")]
    image: Option<Named>,
    /// Its version, as a word of its own.
    version: Option<String>,
    /// For how long the signature holds, for example 1y. Without it: as long as the keys do.
    #[arg(long, value_name = "TIME", value_parser = life)]
    expires: Option<Millis>,
    #[command(flatten)]
    how: HowArgs,
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let repository = args.state.find()?;
    if !args.how.add.is_empty() {
        return args.how.add(&args.state, &repository);
    }
    let Some(named) = &args.image else {
        bail!("which image: NAME VERSION");
    };
    let image = named.with(args.version.as_deref())?.find(&repository)?;
    bytes(&repository, &image)?;
    let document = statement(args, &repository, &image)?;
    args.how.put(&args.state, &repository, &document)
}

/// The statement that waits or holds already, so that another signature goes beside the first; a new one where there is none,
/// or where another time is asked for.
fn statement(args: &Args, repository: &Repository, image: &ImageRef) -> Result<Offer> {
    let fresh = next::statement(image, now(), args.expires.map(|life| now().plus(life)));
    if args.expires.is_some() || args.how.anew {
        return Ok(Offer::Image(fresh));
    }
    let files = repository.trust();
    let title = format!("{} {}", image.name, image.version);
    for at in [files.pending(), files] {
        let signed = at.statement(&image.manifest).map_err(refused(&title))?;
        let before = signed.and_then(|signed| Offer::parse(&signed.document).ok());
        if let Some(Offer::Image(before)) = before {
            let mut same = fresh.clone();
            same.signed_at = before.signed_at;
            same.expires = before.expires;
            let holds = before.expires.is_none_or(|expires| expires > now());
            if same == before && holds {
                return Ok(Offer::Image(before));
            }
        }
    }
    Ok(Offer::Image(fresh))
}
