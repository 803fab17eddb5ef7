// SPDX-License-Identifier: Apache-2.0
//! `groundstate image channels`: what each channel stands for, and what is revoked, as far as it is believed.

use super::finish::{describe_catalogue, named, refused};
use super::named::now;
use super::state::StateArgs;
use crate::End;
use anyhow::Result;
use groundstate_api::trust::{Channel, RevokedPart};
use image_core::manifest::reference;
use image_core::trust::{TrustError, Trusted, moment, revokes};
use image_repo::trust::{Pin, TrustFault, peek};
use image_repo::{RepoError, Repository};
use serde_json::json;

const NONE: &str =
    "no channels; groundstate image promote NAME VERSION --channel CHANNEL makes one";

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    state: StateArgs,
    /// Print JSON: the catalogue, whether each channel's image is revoked, why else a channel gives nothing, and the revoked
    /// images' names; or null where nothing was promoted yet.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let repository = args.state.find()?;
    let pin = Pin::of_state(&args.state.state_dir);
    let trusted = match peek(&repository, &pin, now()) {
        // Nothing was promoted yet: that is no fault.
        Err(TrustFault::Refused(TrustError::NoCatalogue {
            seen: 0,
            waits: false,
        })) => {
            println!("{}", if args.json { "null" } else { NONE });
            return Ok(End::Done);
        }
        trusted => trusted.map_err(refused("the catalogue"))?,
    };
    let catalogue = trusted.catalogue();
    if args.json {
        println!("{}", in_json(&trusted, &repository)?);
        return Ok(End::Done);
    }
    println!("{}", describe_catalogue(catalogue, Some(&repository)));
    if catalogue.channels.is_empty() {
        println!("{NONE}");
    }
    for (row, fault) in silent(&trusted, &repository) {
        println!("  {}@{} gives nothing: {fault}", row.image, row.channel);
    }
    for row in elsewhere(&trusted, &repository) {
        println!(
            "  {}@{}: the image is not in this repository",
            row.image, row.channel
        );
    }
    let signers: Vec<String> = trusted.signers().iter().map(ToString::to_string).collect();
    println!("  signed by {}", signers.join(", "));
    println!(
        "  trust root {}, until {}",
        trusted.root().version,
        moment(trusted.root().expires)
    );
    Ok(End::Done)
}

/// The channels that give nothing though nobody revoked their image and it is here: the key that signed it was revoked, the
/// signature has expired, or is not here.
pub(super) fn silent<'a>(
    trusted: &'a Trusted,
    repository: &Repository,
) -> Vec<(&'a Channel, TrustFault)> {
    let catalogue = trusted.catalogue();
    let given = |row: &Channel| -> Result<(), TrustFault> {
        let image = reference(&repository.manifest(&row.manifest)?);
        let statement = repository.trust().statement(&row.manifest)?;
        trusted.image_of(row, &image, statement.as_ref())?;
        Ok(())
    };
    let rows = catalogue.channels.iter();
    rows.filter(|row| !revokes(catalogue, &row.manifest))
        .filter_map(|row| Some((row, given(row).err()?)))
        .filter(|(_, fault)| !is_elsewhere(fault))
        .collect()
}

/// The channels whose image is not in this repository; a bucket may have it.
fn elsewhere<'a>(trusted: &'a Trusted, repository: &Repository) -> Vec<&'a Channel> {
    let rows = trusted.catalogue().channels.iter();
    rows.filter(|row| {
        let found = repository.manifest(&row.manifest).map_err(TrustFault::from);
        found.is_err_and(|fault| is_elsewhere(&fault))
    })
    .collect()
}

const fn is_elsewhere(fault: &TrustFault) -> bool {
    matches!(
        fault,
        TrustFault::Repository(RepoError::NoSuchManifest { .. })
    )
}

/// The catalogue, with what people are told of its rows besides.
fn in_json(trusted: &Trusted, repository: &Repository) -> Result<String> {
    let catalogue = trusted.catalogue();
    let mut said = serde_json::to_value(catalogue)?;
    let silent = silent(trusted, repository);
    for (at, row) in catalogue.channels.iter().enumerate() {
        said["channels"][at]["revoked"] = json!(revokes(catalogue, &row.manifest));
        let fault = silent.iter().find(|(silent, _)| *silent == row);
        said["channels"][at]["gives_nothing"] = json!(fault.map(|(_, fault)| fault.to_string()));
    }
    for (at, each) in catalogue.revoked.iter().enumerate() {
        if let RevokedPart::Manifest(digest) = &each.part {
            said["revoked"][at]["image"] = json!(named(catalogue, Some(repository), digest));
        }
    }
    Ok(serde_json::to_string_pretty(&said)?)
}
