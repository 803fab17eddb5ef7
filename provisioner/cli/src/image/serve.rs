// SPDX-License-Identifier: Apache-2.0
//! `groundstate image serve`: gives images out over HTTPS, without a provisioner.

use super::bucket;
use super::size::size;
use super::state::StateArgs;
use super::told::Told;
use crate::End;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use groundstate_api::Bytes;
use image_repo::objects::{Behind, BucketConfig, ReadThrough};
use image_repo::serve::{self, ServeOptions};
use image_repo::{Repository, ServeConfig};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// The address and port to listen on.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "[::]:8443")]
    listen: SocketAddr,
    /// The server's certificate with those above it, PEM. Without it, plain HTTP: every byte is proved by its digest all the
    /// same, but everybody on the way sees it.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Serve only clients with a certificate of this authority.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    client_ca: Option<PathBuf>,
    /// The most bytes a second to all clients together.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    rate: Option<Bytes>,
    /// The most bytes a second to one client.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    client_rate: Option<Bytes>,
    /// Let caches that several clients share keep what is immutable.
    #[arg(long)]
    shared_caches: bool,
    /// What is not in the repository comes out of an S3-compatible bucket, which this TOML file names; what was asked for is
    /// kept in the state directory's folder `images-cache`.
    #[arg(long, value_name = "FILE")]
    s3: Option<PathBuf>,
    #[command(flatten)]
    state: StateArgs,
}

impl ServeArgs {
    fn behind(&self) -> Result<Option<(Arc<ReadThrough>, BucketConfig)>> {
        let Some(path) = &self.s3 else {
            return Ok(None);
        };
        bucket::behind(path, &self.state.state_dir).map(Some)
    }
}

pub(super) fn run(args: &ServeArgs) -> Result<End> {
    for (name, rate) in [("--rate", args.rate), ("--client-rate", args.client_rate)] {
        if rate == Some(Bytes(0)) {
            bail!("{name} 0 gives nothing to anybody; leave it out for no bound");
        }
    }
    tracing_subscriber::registry().with(Told::default()).init();
    let behind = args.behind()?;
    let config = ServeConfig {
        shared_caches: args.shared_caches,
        total_rate: args.rate,
        client_rate: args.client_rate,
        ..ServeConfig::default()
    };
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => Some(serve::tls(cert, key, args.client_ca.as_deref())?),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => bail!("--tls-cert and --tls-key belong together"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the server's threads cannot be started")?;
    let repository = match &behind {
        // A cache of a bucket begins with nothing of its own.
        Some((cache, _)) => {
            let behind = Behind::new(Arc::clone(cache), runtime.handle().clone());
            Repository::open_before(&args.state.folder(), behind)?
        }
        None => args.state.find()?,
    };
    let repository = Arc::new(repository);
    runtime.block_on(async {
        let silent = match &behind {
            Some((_, config)) => bucket::asked(config).await?,
            None => None,
        };
        let listener = tokio::net::TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("{} cannot be listened on", args.listen))?;
        let at = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let count = repository.listing()?.images.len();
        eprintln!(
            "serving {count} images of {}{} at {scheme}://{at}; numbers at /metrics; Ctrl-C ends it",
            args.state.folder().display(),
            behind.as_ref().map(|(_, config)| format!(" and {},", bucket::named(config))).unwrap_or_default()
        );
        if let Some(error) = silent {
            eprintln!("the bucket gives nothing for now: {error}");
        }
        let options = ServeOptions {
            repository,
            config,
            tls,
        };
        serve::run(listener, options, stopped()).await;
        Ok::<_, anyhow::Error>(())
    })?;
    Ok(End::Done)
}

/// Until somebody ends it.
async fn stopped() {
    let terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match terminated {
        Ok(mut terminated) => {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        // Without it, Ctrl-C ends it.
        Err(_) => {
            let _ended = tokio::signal::ctrl_c().await;
        }
    }
}
