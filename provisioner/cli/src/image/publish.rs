// SPDX-License-Identifier: Apache-2.0
//! `groundstate image publish`: an image's chunks, boot files and manifest into an S3-compatible bucket, then the repository's
//! signed documents, so that the bucket is a repository of its own: channels can be deployed from it.
//!
//! It removes nothing there, and signs nothing: what is published is what stands in the repository.

use super::bucket;
use super::named::Named;
use super::progress::Progress;
use super::state::StateArgs;
use crate::End;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use groundstate_api::image::ImageRef;
use groundstate_api::trust::Channel;
use image_core::manifest::reference;
use image_repo::objects::{Bucket, Documents, Held, Published};
use image_repo::{RepoError, Repository};
use serde::Serialize;
use std::path::PathBuf;
use tokio::runtime::Runtime;

pub(super) const EXAMPLES: &str = "\
Examples:
  groundstate image publish appliance 7 --s3 bucket.toml
  groundstate image publish --channels --s3 bucket.toml
  groundstate image write appliance@stable /dev/sdb --s3 bucket.toml
  groundstate image serve --s3 bucket.toml --listen 0.0.0.0:8443

bucket.toml:
  endpoint = \"https://s3.example.net\"      # left out: Amazon's
  bucket = \"images\"
  prefix = \"site/\"                         # optional; so are region, virtual_hosted
  cache_size = \"20GiB\"                     # what `image serve` keeps on disk; or in bytes
  credentials = \"/etc/groundstate/s3\"      # mode 600: aws_access_key_id = ..., aws_secret_access_key = ...
  authority = \"/etc/groundstate/s3-ca.crt\" # left out: the authorities that the system trusts

What is there already is not sent again. Chunks go first, then the manifest, then what is signed: trust roots, the image's
signature, and last the catalogue. Whoever finds one of them finds all that it names.

A catalogue names every channel. It is sent when every image that a channel stands for is in the bucket; publish --channels
sends what is missing. Publish again after promote, revoke and renew: the bucket is told by nobody else.

Exit status: 0 done, 1 an error, 2 wrong usage, 3 the images are in the bucket, the newest catalogue is not: the last lines say
why, and what to do.";

#[derive(Args)]
pub(crate) struct PublishArgs {
    /// The image: NAME, NAME:VERSION, NAME@CHANNEL or sha256:DIGEST; without a version, the newest import.
    #[arg(value_name = "NAME", required_unless_present = "channels")]
    named: Option<Named>,
    /// The version, as a word of its own.
    version: Option<String>,
    /// Publish every image that a channel stands for.
    #[arg(long, conflicts_with = "named")]
    channels: bool,
    /// The TOML file that names the bucket.
    #[arg(long, value_name = "FILE")]
    s3: PathBuf,
    #[command(flatten)]
    state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    bucket: String,
    prefix: String,
    images: Vec<Sent>,
    documents: Documents,
}

#[derive(Serialize)]
struct Sent {
    image: ImageRef,
    #[serde(flatten)]
    published: Published,
    signed: bool,
}

pub(super) fn run(args: &PublishArgs) -> Result<End> {
    let repository = args.state.find()?;
    let images = images(args, &repository)?;
    let (bucket, config) = bucket::open(&args.s3)?;
    let runtime = bucket::runtime()?;
    let mut report = Report {
        bucket: config.bucket,
        prefix: config.prefix,
        images: Vec::new(),
        documents: Documents::default(),
    };
    for image in images {
        super::revoke::warn_of_revoked(&repository, &image)?;
        let published = publish(&runtime, &repository, &bucket, &image);
        let published = published.with_context(|| {
            let (name, version) = (&image.name, &image.version);
            format!("{name} {version} is not in the bucket {}", report.bucket)
        })?;
        report.images.push(Sent {
            signed: repository.trust().statement(&image.manifest)?.is_some(),
            published,
            image,
        });
    }
    let manifests: Vec<_> = report.images.iter().map(|one| one.image.manifest).collect();
    let documents = runtime.block_on(repository.publish_documents(&manifests, &bucket));
    report.documents = documents.with_context(|| {
        format!(
            "the images are in the bucket {}, the signed documents are not",
            report.bucket
        )
    })?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.text(args));
    }
    Ok(if report.documents.held.is_empty() {
        End::Done
    } else {
        End::Held
    })
}

/// What is to be published. An image that a channel stands for and that is only in the bucket is not needed here.
fn images(args: &PublishArgs, repository: &Repository) -> Result<Vec<ImageRef>> {
    if let Some(named) = &args.named {
        let named = named.with(args.version.as_deref())?;
        return Ok(vec![named.any(&args.state, repository)?]);
    }
    let manifests = repository.channel_manifests()?;
    if repository.trust().catalogue()?.is_none() {
        bail!(
            "this repository has no signed catalogue, so no channel stands for anything; groundstate image promote NAME VERSION \
             --channel CHANNEL lets one"
        );
    }
    let mut images = Vec::new();
    for digest in manifests {
        match repository.manifest(&digest) {
            Ok(manifest) => images.push(reference(&manifest)),
            Err(RepoError::NoSuchManifest { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(images)
}

fn publish(
    runtime: &Runtime,
    repository: &Repository,
    bucket: &Bucket,
    image: &ImageRef,
) -> Result<Published> {
    let mut progress = Progress::new("publishing")?;
    let mut told = |done, all| progress.set(done, Some(all));
    let published = runtime.block_on(repository.publish_to(image, bucket, &mut told));
    progress.clear();
    Ok(published?)
}

impl Report {
    fn text(&self, args: &PublishArgs) -> String {
        let mut lines = Vec::new();
        for Sent {
            image,
            published,
            signed,
        } in &self.images
        {
            lines.push(format!(
                "{} {} is in the bucket {}: {} objects, {} of them sent now, {}",
                image.name,
                image.version,
                self.bucket,
                published.objects,
                published.sent,
                published.sent_bytes
            ));
            lines.push(format!("  manifest   {}", image.manifest));
            if !signed {
                lines.push(
                    "  signature  none: it is deployed from no channel (groundstate image sign)"
                        .to_owned(),
                );
            }
        }
        let documents = &self.documents;
        if let Some(sequence) = documents.catalogue.filter(|_| documents.held.is_empty()) {
            lines.push(format!(
                "catalogue {sequence} is in the bucket: {} signed documents, {} of them sent now",
                documents.documents, documents.sent
            ));
        }
        if documents.catalogue.is_none() && documents.documents > 0 {
            lines.push(format!(
                "{} signed documents are in the bucket, {} of them sent now; there is no catalogue yet: no channel stands for \
                 anything (groundstate image promote)",
                documents.documents, documents.sent
            ));
        }
        if !documents.held.is_empty() {
            lines.push(format!(
                "NOT SENT: catalogue {}",
                documents.catalogue.unwrap_or_default()
            ));
            lines.extend(documents.held.iter().map(why));
            lines.push(format!("do now: {}", self.next(args)));
        }
        lines.join("\n")
    }

    /// What to do where the catalogue was not sent.
    fn next(&self, args: &PublishArgs) -> String {
        let is_newer = |held: &Held| matches!(held, Held::Newer { .. });
        if self.documents.held.iter().any(is_newer) {
            return "publish from the repository that has the newer one, or bring this one up to date from it".into();
        }
        if args.channels {
            return "import and sign here what is missing, or publish it from the repository that has it; then publish again"
                .into();
        }
        format!(
            "groundstate image publish --channels --s3 {}",
            args.s3.display()
        )
    }
}

fn why(held: &Held) -> String {
    let of = |channel: &Channel| {
        let Channel {
            image,
            channel,
            version,
            ..
        } = channel;
        format!("{image}@{channel} stands for {image} {version}")
    };
    match held {
        Held::NoImage { channel } => format!("  {}, which is not in the bucket", of(channel)),
        Held::NoStatement { channel } => format!(
            "  {}, whose signature is neither here nor in the bucket",
            of(channel)
        ),
        Held::Newer { there } => format!("  the bucket has catalogue {there}, which is newer"),
    }
}
