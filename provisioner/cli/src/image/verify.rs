// SPDX-License-Identifier: Apache-2.0
//! `groundstate image verify`: reads every byte of an image, and says exactly what is signed by whom until when. It believes
//! nothing that it has not read now.

use super::finish::refused;
use super::named::{Named, now};
use super::origin::{Believed, Found, FromArgs, Origin, find, read_all};
use super::state::StateArgs;
use crate::End;
use crate::client::Refused;
use anyhow::Result;
use groundstate_api::ReasonCode;
use groundstate_api::image::ImageRef;
use groundstate_api::trust::{KeyId, TrustRoot};
use image_core::manifest::reference;
use image_core::trust::{Verified, moment};
use image_repo::Repository;
use image_repo::trust::{Pin, peek, verify};
use serde_json::json;

pub(super) const EXAMPLES: &str = "\
Examples:
  groundstate image verify appliance@stable
  groundstate image verify appliance 7 --allow-unsigned
  groundstate image verify appliance@stable --s3 bucket.toml

Exit status: 0 every byte is right and those who may have signed it; 3 bytes are wrong or missing, or it is not believed: what
is signed, what is missing and what to do is said; 1 an error; 2 wrong usage.";

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    state: StateArgs,
    /// The image: NAME, NAME:VERSION, NAME@CHANNEL, or the digest of its manifest.
    image: Named,
    /// Its version, as a word of its own.
    version: Option<String>,
    #[command(flatten)]
    from: FromArgs,
    /// Only the bytes: an image that nobody signed is in order too. One that was revoked is not.
    #[arg(long)]
    allow_unsigned: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What was looked at.
struct Looked {
    image: ImageRef,
    believed: Result<Believed>,
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let named = args.image.with(args.version.as_deref())?;
    let looked = match args.from.origin()? {
        None => here(args, &named)?,
        Some(origin) => there(args, &named, origin.as_ref())?,
    };
    let image = &looked.image;
    let believed = match looked.believed {
        Err(error) if !args.allow_unsigned || is_revoked(&error) => return Err(error),
        believed => believed,
    };
    if args.json {
        println!("{}", in_json(image, &believed)?);
        return Ok(End::Done);
    }
    println!(
        "{} {}: every byte is what the manifest says",
        image.name, image.version
    );
    println!("  manifest   {}", image.manifest);
    println!("  size       {}", image.size);
    match believed {
        Err(why) => println!("  signed     no: {}", why_not(&why)),
        Ok(Believed { verified, trusted }) => {
            say(&verified, trusted.root());
            let rows = trusted.catalogue().channels.iter();
            let channels: Vec<String> = rows
                .filter(|row| row.manifest == image.manifest)
                .map(|row| format!("{}@{}", row.image, row.channel))
                .collect();
            if !channels.is_empty() {
                println!(
                    "  channels   {}, until {} (catalogue {})",
                    channels.join(", "),
                    moment(trusted.catalogue().expires),
                    trusted.catalogue().sequence
                );
            }
        }
    }
    Ok(End::Done)
}

/// In the repository on this machine.
fn here(args: &Args, named: &Named) -> Result<Looked> {
    let repository = args.state.find()?;
    let image = named.any(&args.state, &repository)?;
    bytes(&repository, &image)?;
    let pin = Pin::of_state(&args.state.state_dir);
    let title = format!("{} {}", image.name, image.version);
    let believed = verify(&repository, &image, &pin, now()).and_then(|verified| {
        let trusted = peek(&repository, &pin, now())?;
        Ok(Believed { verified, trusted })
    });
    Ok(Looked {
        image,
        believed: believed.map_err(refused(&title)),
    })
}

/// Behind a server, or in a bucket.
fn there(args: &Args, named: &Named, origin: &dyn Origin) -> Result<Looked> {
    let pin = Pin::of_state(&args.state.state_dir);
    let Found { manifest, believed } = find(origin, &pin, named)?;
    read_all(origin, &manifest)?;
    Ok(Looked {
        image: reference(&manifest),
        believed,
    })
}

/// Reads all that makes up the image now: every chunk as it is stored and as it is, and the boot files.
pub(super) fn bytes(repository: &Repository, image: &ImageRef) -> Result<()> {
    let manifest = repository.manifest(&image.manifest)?;
    // Fast, names the damaged file, and reads the boot files; it may remember that it read them today.
    repository
        .verify(image)
        .map_err(|reason| Refused { reason })?;
    let mut reader = repository.reader(&manifest)?;
    let mut plain = Vec::new();
    for chunk in &manifest.chunks {
        plain.resize(usize::try_from(chunk.length.0)?, 0);
        reader.fill(chunk.offset.0, &mut plain)?;
    }
    Ok(())
}

fn say(verified: &Verified, root: &TrustRoot) {
    for id in &verified.signers {
        println!("  signed by  {id}  {}", whose(root, *id));
    }
    let until = verified.expires.map_or_else(
        || "for as long as its keys hold".to_owned(),
        |at| format!("until {}", moment(at)),
    );
    println!(
        "  signed at  {}, {until}; trust root {} needs {}",
        moment(verified.signed_at),
        root.version,
        root.roles.images.threshold
    );
}

/// Whether those who may took it back: then its bytes being right makes nothing of it right.
fn is_revoked(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Refused>()
        .is_some_and(|refused| refused.reason.code == ReasonCode::ImageRevoked)
}

/// Why it is not believed, in one line.
fn why_not(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Refused>() {
        Some(Refused { reason }) => reason.what.clone(),
        None => format!("{error:#}"),
    }
}

fn whose(root: &TrustRoot, id: KeyId) -> String {
    root.key(id)
        .map(|key| key.comment.clone())
        .unwrap_or_default()
}

fn in_json(image: &ImageRef, believed: &Result<Believed>) -> Result<String> {
    let mut said = json!({"image": image, "bytes": "verified", "signed": null});
    match believed {
        Ok(Believed { verified, .. }) => {
            said["signed"] = json!({
                "signers": verified.signers,
                "signed_at": verified.signed_at,
                "expires": verified.expires,
            });
        }
        Err(error) => said["why"] = json!(why_not(error)),
    }
    Ok(serde_json::to_string_pretty(&said)?)
}
