// SPDX-License-Identifier: Apache-2.0
//! `groundstate pxe-server`: the boot service alone, from a folder.

mod args;
mod banner;
mod interface;
mod state_dir;

pub(crate) use args::PxeServerArgs;

use crate::End;
use anyhow::{Context as _, Result, bail};
use groundstate_api::MacAddr;
use groundstate_api::boot::BootSighting;
use groundstate_api::site::Network;
use pxe_core::rules::Rules;
use pxe_server::{BootDir, BootFiles, BootService, Config, FolderPolicy, Sightings, Sockets};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How long a lease lasts where nobody says: an hour.
const LEASE_SECS: u32 = 3_600;
/// The file in the folder that holds the kernel command line.
const COMMAND_LINE_FILE: &str = "cmdline";

/// Nobody is told but the log.
struct Log;

impl Sightings for Log {
    fn saw(&self, mac: MacAddr, sighting: BootSighting) {
        tracing::info!(%mac, ?sighting, "seen");
    }
}

pub(crate) fn run(args: &PxeServerArgs) -> Result<End> {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(args))?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(End::Done)
}

async fn serve(args: &PxeServerArgs) -> Result<()> {
    let Some(interface) = &args.interface else {
        bail!("--interface is missing");
    };
    let Some(boot_dir) = &args.boot_dir else {
        bail!("--boot-dir is missing");
    };
    let Some(&(first, last)) = args.pool.first() else {
        bail!("--pool is missing");
    };
    let own = interface::own_address(interface, Some(first))?;
    let folder = Arc::new(BootDir::open(boot_dir)?);
    let rules = Rules {
        rules: Vec::new(),
        files: args.boot_file.clone(),
        command_line: command_line(args, boot_dir)?,
    };
    let state_dir = state_dir::choose(args.state_dir.as_deref())?;
    let config = Config {
        interface: interface.clone(),
        network: Network {
            address: own.address,
            prefix: own.prefix,
            pool_first: first,
            pool_last: last,
            router: args.router,
            dns: args.dns.clone(),
            lease_secs: args.lease_secs.unwrap_or(LEASE_SECS),
            http_port: args.http_port.unwrap_or(80),
            https_port: 8_443,
        },
        state_dir: state_dir.clone(),
    };
    let policy = Arc::new(FolderPolicy::new(rules, Arc::clone(&folder)));
    let files = BootFiles::of_folder(Arc::clone(&folder));
    let service = BootService::open(
        config,
        Sockets::default(),
        files,
        policy.clone(),
        Arc::new(Log),
    )?;
    banner::say_all(&service, &folder, &policy, &state_dir);
    let (stop_now, stop) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop_now.send_replace(true);
    });
    service.serve(stop).await?;
    crate::up::say("groundstate pxe-server has stopped");
    Ok(())
}

fn command_line(args: &PxeServerArgs, boot_dir: &Path) -> Result<String> {
    if let Some(given) = &args.command_line {
        return Ok(given.clone());
    }
    let path = boot_dir.join(COMMAND_LINE_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
