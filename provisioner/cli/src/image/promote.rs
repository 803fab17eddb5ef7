// SPDX-License-Identifier: Apache-2.0
//! `groundstate image promote`: a channel stands for this image from now on; and without an image, the catalogue is renewed.

use super::finish::{HowArgs, life, refused};
use super::named::{Named, now};
use super::state::StateArgs;
use crate::End;
use crate::client::Refused;
use anyhow::{Result, bail};
use groundstate_api::image::ImageRef;
use groundstate_api::trust::{Catalogue, ImageChoice};
use groundstate_api::{Millis, Part, Reason, ReasonCode};
use image_core::trust::{TrustError, next, statement_of, version};
use image_repo::Repository;
use image_repo::trust::{Offer, Pin, catalogue_to_change, root};

pub(super) const EXAMPLES: &str = "\
Examples:
  groundstate image promote debian-host 12.11-1 --channel stable --key me.key
  groundstate image promote --renew --expires 30d --key me.key

A catalogue says what all channels stand for, and it expires: until then an old one can be passed off
as the newest, afterwards nothing is deployed from any channel. Renew it before.";

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    state: StateArgs,
    /// The image: NAME, NAME:VERSION, or the digest of its manifest.
    #[arg(required_unless_present_any = ["add", "renew"])]
    image: Option<Named>,
    /// Its version, as a word of its own.
    version: Option<String>,
    /// The channel.
    #[arg(long, required_unless_present_any = ["add", "renew"])]
    channel: Option<String>,
    /// For how long the catalogue holds.
    #[arg(long, value_name = "TIME", value_parser = life, default_value = "30d")]
    expires: Millis,
    /// The channel may stand for an older version than before.
    #[arg(long)]
    step_back: bool,
    /// Change no channel, only sign the catalogue for another while.
    #[arg(long, conflicts_with = "image")]
    renew: bool,
    #[command(flatten)]
    how: HowArgs,
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let repository = args.state.find()?;
    if !args.how.add.is_empty() {
        return args.how.add(&args.state, &repository);
    }
    let pin = Pin::of_state(&args.state.state_dir);
    let (before, sequence) =
        catalogue_to_change(&repository, &pin).map_err(refused("the catalogue"))?;
    warn_of_loss(before.as_ref(), sequence);
    let renewed = next::renewed(
        before.as_ref(),
        sequence,
        now(),
        Some(now().plus(args.expires)),
    );
    let next = match (&args.image, &args.channel) {
        (Some(named), Some(channel)) => {
            let image = named.with(args.version.as_deref())?.find(&repository)?;
            check(args, &repository, &pin, before.as_ref(), &image, channel)?;
            next::promoted(renewed, &image, channel, args.step_back)
        }
        _ => renewed,
    };
    let document = waiting(&repository, args, next)?;
    args.how.put(&args.state, &repository, &document)
}

/// Says that the catalogue that was seen last is not there: what it alone said is lost with it.
pub(super) fn warn_of_loss(before: Option<&Catalogue>, next: u64) {
    let there = before.map_or(0, |before| before.sequence);
    if there + 1 < next {
        eprintln!(
            "WARNING: catalogue {} was believed before, and the newest here is {there}. Promote every channel once more, and revoke again what was revoked since.",
            next - 1
        );
    }
}

/// Whether nodes would take it: what would be refused there is refused here.
fn check(
    args: &Args,
    repository: &Repository,
    pin: &Pin,
    before: Option<&Catalogue>,
    image: &ImageRef,
    channel: &str,
) -> Result<()> {
    let choice = format!("{}@{channel}", image.name);
    if let Err(error) = choice.parse::<ImageChoice>() {
        bail!("--channel {channel:?}: {error}");
    }
    let refused_as = |fault| refused(&choice)(fault);
    let root = root(repository, pin, now()).map_err(refused_as)?;
    let statement = repository
        .trust()
        .statement(&image.manifest)
        .map_err(refused_as)?
        .unwrap_or_default();
    let revoked = before.map_or(&[][..], |before| &before.revoked);
    statement_of(&root, revoked, image, &statement, now())
        .map_err(|error| refused(&choice)(error.into()))?;
    let is_revoked = revoked
        .iter()
        .find(|each| each.part == groundstate_api::trust::RevokedPart::Manifest(image.manifest));
    if let Some(revoked) = is_revoked {
        let error = TrustError::RevokedImage {
            image: format!("{} {}", image.name, image.version),
            since: revoked.since,
            why: revoked.why.clone(),
        };
        return Err(refused(&choice)(error.into()));
    }
    let row = before.and_then(|before| {
        before
            .channels
            .iter()
            .find(|row| row.image == image.name && row.channel == channel)
    });
    if let Some(row) = row.filter(|_| !args.step_back)
        && version::compare(&image.version, &row.version).is_lt()
    {
        let reason = Reason::new(
            ReasonCode::ImageUntrusted,
            format!(
                "{choice} stands for {}, and {} is older",
                row.version, image.version
            ),
            "if that is meant, say --step-back",
        );
        let image = Part::Image {
            image: image.name.clone(),
            digest: Some(image.manifest.to_string()),
        };
        return Err(Refused {
            reason: reason.about(image),
        }
        .into());
    }
    Ok(())
}

/// The catalogue that waits already, where it says the same, so that the next signer signs the same bytes.
fn waiting(repository: &Repository, args: &Args, next: Catalogue) -> Result<Offer> {
    let offer = Offer::Catalogue(next);
    if args.how.anew {
        return Ok(offer);
    }
    same_that_waits(repository, offer)
}

/// The one that waits in place of this one, where both say the same but for their times.
pub(super) fn same_that_waits(repository: &Repository, offer: Offer) -> Result<Offer> {
    let found = repository
        .trust()
        .waits_instead(&offer)
        .map_err(refused("the catalogue"))?;
    let (Some((_, Offer::Catalogue(waits))), Offer::Catalogue(next)) = (found, &offer) else {
        return Ok(offer);
    };
    let timeless = |catalogue: &Catalogue| {
        let mut same = catalogue.clone();
        (same.issued, same.expires) = (Millis(0), Millis(0));
        for row in &mut same.channels {
            row.promoted_at = Millis(0);
        }
        for each in &mut same.revoked {
            each.since = Millis(0);
        }
        same
    };
    if timeless(&waits) == timeless(next) {
        return Ok(Offer::Catalogue(waits));
    }
    Ok(offer)
}
