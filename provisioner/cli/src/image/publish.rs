// SPDX-License-Identifier: Apache-2.0
//! `groundstate image publish`: an image's chunks, boot files and manifest into an S3-compatible bucket, out of which
//! `groundstate image serve --s3` gives them.
//!
//! Signatures and channels stay in the repository: whoever serves them needs them on disk. It removes nothing there.

use super::bucket;
use super::named::Named;
use super::progress::Progress;
use super::state::StateArgs;
use crate::End;
use anyhow::{Context as _, Result};
use clap::Args;
use groundstate_api::image::ImageRef;
use image_repo::objects::Published;
use serde::Serialize;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  groundstate image publish appliance 7 --s3 bucket.toml
  groundstate image serve --s3 bucket.toml --listen 0.0.0.0:8443

bucket.toml:
  endpoint = \"https://s3.example.net\"      # left out: Amazon's
  bucket = \"images\"
  prefix = \"site/\"                         # optional; so are region, virtual_hosted, cache_size
  credentials = \"/etc/groundstate/s3\"      # mode 600: aws_access_key_id = ..., aws_secret_access_key = ...
  authority = \"/etc/groundstate/s3-ca.crt\" # left out: the authorities that the system trusts

What is there already is not sent again. The manifest goes last: whoever finds it finds all that it names.";

#[derive(Args)]
pub(crate) struct PublishArgs {
    /// The image: NAME, NAME:VERSION, NAME@CHANNEL or sha256:DIGEST; without a version, the newest import.
    #[arg(value_name = "NAME")]
    named: Named,
    /// The version, as a word of its own.
    version: Option<String>,
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
    image: ImageRef,
    bucket: String,
    prefix: String,
    #[serde(flatten)]
    published: Published,
}

pub(super) fn run(args: &PublishArgs) -> Result<End> {
    let repository = args.state.find()?;
    let named = args.named.with(args.version.as_deref())?;
    let image = named.any(&args.state, &repository)?;
    let (bucket, config) = bucket::open(&args.s3)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the requests cannot be started")?;
    let mut progress = Progress::new("publishing")?;
    let mut told = |done, all| progress.set(done, Some(all));
    let published = runtime.block_on(repository.publish_to(&image, &bucket, &mut told));
    progress.clear();
    let report = Report {
        published: published.with_context(|| {
            let bucket = &config.bucket;
            format!(
                "{} {} is not in the bucket {bucket}",
                image.name, image.version
            )
        })?,
        image,
        bucket: config.bucket,
        prefix: config.prefix,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        let (image, done) = (&report.image, &report.published);
        println!(
            "{} {} is in the bucket {}: {} objects, {} of them sent now, {}",
            image.name, image.version, report.bucket, done.objects, done.sent, done.sent_bytes
        );
        println!("  manifest  {}", image.manifest);
    }
    Ok(End::Done)
}
