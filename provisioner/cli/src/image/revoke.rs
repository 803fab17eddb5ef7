// SPDX-License-Identifier: Apache-2.0
//! `groundstate image revoke`: an image or a key is not believed any more, nor what the key signed before.

use super::channels::silent;
use super::finish::{HowArgs, life, refused};
use super::named::{Named, now};
use super::promote::{same_that_waits, warn_of_loss};
use super::state::StateArgs;
use crate::End;
use anyhow::{Result, bail};
use groundstate_api::image::ImageRef;
use groundstate_api::trust::{Catalogue, KeyId, RevokedPart};
use groundstate_api::{Digest, Millis};
use image_core::trust::{next, revokes};
use image_repo::Repository;
use image_repo::trust::{Offer, Pin, catalogue_to_change, peek};

pub(super) const EXAMPLES: &str = "\
Examples:
  groundstate image revoke debian-host 12.11-1 --why 'CVE-2026-1234' --key me.key
  groundstate image revoke --key-id 02080044B1E77DC9 --why 'laptop lost' --key other.key

A root key is taken out with groundstate image trust rotate --remove-key ID instead.";

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    state: StateArgs,
    /// The image: NAME, NAME:VERSION, or the digest of its manifest.
    #[arg(required_unless_present_any = ["add", "key_id"])]
    image: Option<Named>,
    /// Its version, as a word of its own.
    version: Option<String>,
    /// A key, by its id as minisign prints it, in place of an image.
    #[arg(long, value_name = "ID", value_parser = key_id, conflicts_with = "image")]
    key_id: Option<KeyId>,
    /// Why, in one line.
    #[arg(long, value_name = "TEXT", required_unless_present = "add")]
    why: Option<String>,
    /// For how long the catalogue holds.
    #[arg(long, value_name = "TIME", value_parser = life, default_value = "30d")]
    expires: Millis,
    #[command(flatten)]
    how: HowArgs,
}

/// Minisign leaves out leading zeros.
pub(super) fn key_id(text: &str) -> Result<KeyId, String> {
    format!("{:0>16}", text.to_ascii_uppercase())
        .parse()
        .map_err(|error: groundstate_api::trust::ParseKeyIdError| error.to_string())
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let repository = args.state.find()?;
    if !args.how.add.is_empty() {
        return args.how.add(&args.state, &repository);
    }
    let part = match (&args.image, args.key_id) {
        (Some(named), None) => {
            let image = named.with(args.version.as_deref())?.find(&repository)?;
            RevokedPart::Manifest(image.manifest)
        }
        (None, Some(id)) => RevokedPart::Key(id),
        (None, None) | (Some(_), Some(_)) => bail!("which one: NAME VERSION, or --key-id ID"),
    };
    let why = args.why.clone().unwrap_or_default();
    if why.trim().is_empty() || why.chars().any(char::is_control) {
        bail!("--why says in one line why");
    }
    let pin = Pin::of_state(&args.state.state_dir);
    let (before, sequence) =
        catalogue_to_change(&repository, &pin).map_err(refused("the catalogue"))?;
    warn_of_loss(before.as_ref(), sequence);
    let next = next::renewed(
        before.as_ref(),
        sequence,
        now(),
        Some(now().plus(args.expires)),
    );
    let offer = Offer::Catalogue(next::revoked(next, part.clone(), why));
    let document = if args.how.anew {
        offer
    } else {
        same_that_waits(&repository, offer)?
    };
    let end = args.how.put(&args.state, &repository, &document)?;
    if let Offer::Catalogue(catalogue) = &document
        && !args.how.dry_run
    {
        let steps = match &part {
            RevokedPart::Manifest(digest) => next_steps(catalogue, digest),
            RevokedPart::Key(id) => next_steps_of_key(&repository, &pin, *id),
        };
        for step in steps {
            // With --json, standard output is one document.
            if args.how.json {
                eprintln!("{step}");
            } else {
                println!("{step}");
            }
        }
    }
    Ok(end)
}

/// Says beside what is done with an image that the newest catalogue revokes it.
pub(super) fn warn_of_revoked(repository: &Repository, image: &ImageRef) -> Result<()> {
    let catalogue = repository.newest_catalogue()?;
    if catalogue.is_some_and(|catalogue| revokes(&catalogue, &image.manifest)) {
        let (name, version) = (&image.name, &image.version);
        eprintln!(
            "WARNING: {name} {version} is revoked: nobody takes it who has the catalogue, and a channel that stands for it gives \
             nothing (groundstate image channels)"
        );
    }
    Ok(())
}

/// A line for each channel whose image nobody but revoked keys has signed. None as long as the revocation waits for signatures.
fn next_steps_of_key(repository: &Repository, pin: &Pin, revoked: KeyId) -> Vec<String> {
    let Ok(trusted) = peek(repository, pin, now()) else {
        return Vec::new();
    };
    let mut parts = trusted.catalogue().revoked.iter().map(|each| &each.part);
    if !parts.any(|part| *part == RevokedPart::Key(revoked)) {
        return Vec::new();
    }
    let silent = silent(&trusted, repository).into_iter();
    silent
        .map(|(row, fault)| {
            let (name, version, channel) = (&row.image, &row.version, &row.channel);
            format!(
                "do now: sign {name} {version} with another key (groundstate image sign {name} {version} --key SECRET), or promote \
                 another version: {name}@{channel} gives nothing: {fault}"
            )
        })
        .collect()
}

/// A line for each channel that stands for what is revoked: it gives nothing until it stands for another image.
fn next_steps(catalogue: &Catalogue, revoked: &Digest) -> Vec<String> {
    let rows = catalogue.channels.iter();
    rows.filter(|row| row.manifest == *revoked)
        .map(|row| {
            let (name, channel) = (&row.image, &row.channel);
            format!(
                "do now: promote another version to {name}@{channel}, which stands for what is revoked here and gives nothing: \
                 groundstate image promote {name} VERSION --channel {channel} --key SECRET"
            )
        })
        .collect()
}
