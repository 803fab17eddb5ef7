// SPDX-License-Identifier: Apache-2.0
//! `groundstate image rm`: takes a name away. The bytes stay until `image gc` finds that nobody needs them.

use super::gc::DAY;
use super::named::Named;
use super::state::StateArgs;
use crate::End;
use crate::client::Refused;
use anyhow::{Result, bail};
use clap::Args;
use groundstate_api::image::ImageRef;
use groundstate_api::{Part, Reason, ReasonCode};
use image_repo::Repository;
use image_repo::trust::TrustedBy;
use serde_json::json;

#[derive(Args)]
#[command(after_help = "Examples:
  groundstate image rm debian-host 12.11-1
  groundstate image rm debian-host:12.11-1")]
pub(crate) struct RmArgs {
    /// The image: NAME:VERSION, or NAME and its version as a word of its own.
    #[arg(value_name = "NAME")]
    named: Named,
    /// Its version.
    version: Option<String>,
    #[command(flatten)]
    state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RmArgs) -> Result<End> {
    let repository = args.state.find()?;
    let named = args.named.with(args.version.as_deref())?;
    let image = one_of(&named, &repository)?;
    let (name, version) = (&image.name, &image.version);
    if let Some(by) = repository.trusted_manifests()?.get(&image.manifest) {
        return Err(Refused {
            reason: stays(&image, by),
        }
        .into());
    }
    let manifest = repository.remove(name, version)?;
    if args.json {
        println!(
            "{}",
            json!({ "name": name, "version": version, "manifest": manifest })
        );
    } else {
        println!(
            "{name} {version} has no name any more ({manifest}); `groundstate image gc` frees what nobody else needs, {DAY} hours \
             from now at the earliest: a node may be fetching it"
        );
    }
    Ok(End::Done)
}

/// The image with its version said: a name alone would take away whatever came in last.
fn one_of(named: &Named, repository: &Repository) -> Result<ImageRef> {
    if named.version().is_some() {
        return named.find(repository);
    }
    let images = repository.list()?;
    let versions: Vec<String> = images
        .iter()
        .filter(|image| image.name == named.name())
        .map(|image| format!("{}:{}", image.name, image.version))
        .collect();
    if versions.is_empty() {
        return named.find(repository).and_then(|_| {
            bail!("{named} says no name and version; say NAME:VERSION as groundstate image ls has them")
        });
    }
    bail!(
        "say which version of {} has to go: groundstate image rm {}; there {} {}",
        named.name(),
        versions.first().map_or("NAME:VERSION", String::as_str),
        if versions.len() == 1 { "is" } else { "are" },
        versions.join(", ")
    )
}

/// Who names it, and all the commands after which it goes.
fn stays(image: &ImageRef, by: &TrustedBy) -> Reason {
    let (name, version) = (&image.name, &image.version);
    let mut who: Vec<String> = by
        .channels
        .iter()
        .map(|channel| format!("{name}@{channel} stands for it"))
        .collect();
    let mut steps: Vec<String> = by
        .channels
        .iter()
        .map(|channel| {
            format!(
                "groundstate image promote {name} OTHER_VERSION --channel {channel} --key SECRET"
            )
        })
        .collect();
    if by.is_signed {
        who.push("it is signed".to_owned());
        steps.push(format!(
            "groundstate image revoke {name} {version} --why TEXT --key SECRET"
        ));
    }
    steps.push(format!("groundstate image rm {name} {version}"));
    Reason::new(
        ReasonCode::PlanRefused,
        format!("{name} {version} stays: {}", who.join(", and ")),
        format!(
            "if nobody shall deploy it any more, in this order: {}",
            steps.join("; ")
        ),
    )
    .about(Part::Image {
        image: format!("{name} {version}"),
        digest: Some(image.manifest.to_string()),
    })
    .then("nothing: nothing was taken away")
}
