// SPDX-License-Identifier: Apache-2.0
//! `groundstate pxe-server`: the boot service alone, from a folder.
//!
//! It asks no provisioner. What a machine boots is decided by the configuration's rules and by the files that are there.

mod args;
mod banner;
mod changes;
mod document;
mod explain;
mod handed_over;
pub(crate) mod interface;
mod notify;
mod reader;
mod reload;
mod settings;
mod state_dir;

pub(crate) use args::PxeServerArgs;
pub(crate) use banner::hidden;

use crate::End;
use crate::client::Connect;
use crate::client::said::document as document_of;
use crate::remote::Remote;
use crate::up::say;
use anyhow::{Context as _, Result, bail};
use groundstate_api::MacAddr;
use groundstate_api::boot::BootSighting;
use groundstate_api::boot_session::ForeignServer;
use groundstate_api::text::counted;
use handed_over::HandedOver;
use notify::Supervisor;
use pxe_core::dhcp6::Dhcp6Config;
use pxe_core::proxy::ProxyConfig;
use pxe_core::script::CommandLine;
use pxe_server::{
    AdminAddress, BootDir, BootFiles, BootPolicy, BootService, Capture, CaptureConfig, Config,
    FolderPolicy, Https, Sightings, Sockets6,
};
use reload::Running;
use serde_json::json;
use settings::Settings;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Nobody is told but the log.
struct Log;

impl Sightings for Log {
    fn saw(&self, mac: MacAddr, sighting: BootSighting) {
        tracing::info!(%mac, ?sighting, "seen");
    }
    fn foreign(&self, server: &ForeignServer) {
        say(&format!(
            "ALARM       another DHCP server answers on this network: {}",
            server.server
        ));
    }
}

pub(crate) fn run(args: &PxeServerArgs) -> Result<End> {
    if let Some(mac) = args.explain {
        return explain::run(args, mac);
    }
    let settings = Settings::read_with_files(args)?;
    if args.check {
        return check(&settings, args.json);
    }
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(args, settings))?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(End::Done)
}

/// Says what would be served; every fault was told before.
fn check(settings: &Settings, json: bool) -> Result<End> {
    let folder = Arc::new(BootDir::open(&settings.boot_dir)?);
    let policy = FolderPolicy::new(settings.rules.clone(), Arc::clone(&folder));
    let mut told = banner::hidden(&folder.hidden());
    told.extend(banner::for_whom(&policy, &folder, &settings.rules.files));
    let addresses = settings.addresses();
    let reservations = if settings.proxy {
        0
    } else {
        settings.dhcp.reservations.len()
    };
    let (files, rules) = (folder.names().len(), settings.rules.rules.len());
    if json {
        let document = json!({
            "interface": settings.interface, "proxy": settings.proxy, "addresses": addresses,
            "reservations": reservations, "files": files, "rules": rules, "told": told,
        });
        document_of(&document.to_string())?;
        return Ok(End::Done);
    }
    let leases = if settings.proxy {
        format!(
            "proxyDHCP on {}, which gives no addresses",
            settings.interface
        )
    } else {
        format!(
            "{} on {}, {}",
            counted(addresses, "address"),
            settings.interface,
            counted(reservations, "reservation")
        )
    };
    say(&format!(
        "in order: {leases}, {}, {}",
        counted(files, "file"),
        counted(rules, "rule")
    ));
    told.iter().for_each(|line| say(line));
    Ok(End::Done)
}

/// The endpoint that `groundstate boot ls` asks. Where nobody named one it is on loopback, and a loopback that cannot be
/// served stops no machine from booting.
async fn admin_endpoint(service: &mut BootService, named: Option<&AdminAddress>) -> Result<()> {
    let usual = AdminAddress::usual();
    match named.unwrap_or(&usual).open().await {
        Ok(listener) => {
            service.admin_on(listener);
            say(&format!("admin       {}", named.unwrap_or(&usual)));
            Ok(())
        }
        Err(error) if named.is_none() => {
            say(&format!(
                "admin       not served at {usual}: {error}; --admin names another place"
            ));
            Ok(())
        }
        Err(error) => {
            Err(error).with_context(|| format!("the admin endpoint {}", named.unwrap_or(&usual)))
        }
    }
}

async fn serve(args: &PxeServerArgs, settings: Settings) -> Result<()> {
    let supervisor = Supervisor::from_env();
    let signals = Signals::take()?;
    let folder = Arc::new(BootDir::open(&settings.boot_dir)?);
    let state_dir = state_dir::choose(settings.state_dir.as_deref())?;
    let config = Config {
        interface: settings.interface.clone(),
        dhcp: settings.dhcp.clone(),
        state_dir: state_dir.clone(),
        https: settings.https()?,
        limits: settings.bounds.limits,
    };
    let policy = Arc::new(FolderPolicy::new(
        settings.rules.clone(),
        Arc::clone(&folder),
    ));
    let command_line = CommandLine::parse(&settings.rules.command_line)?;
    let files = BootFiles::of_folder(Arc::clone(&folder), command_line);
    let HandedOver { sockets, proxy } = handed_over::sockets()?;
    if proxy.is_some() && !settings.proxy {
        bail!(
            "the socket of proxyDHCP (UDP 4011) was handed over, and proxy is not on: set proxy = true, or disable the socket's unit"
        );
    }
    let remote = remote(args, &state_dir)?;
    let (asked, told): (Arc<dyn BootPolicy>, Arc<dyn Sightings>) = match &remote {
        Some(remote) => (Arc::new(remote.clone()), Arc::new(remote.clone())),
        None => (policy.clone(), Arc::new(Log)),
    };
    // Its words name the system's error already.
    let mut service = BootService::open(config, sockets, files, asked, told)
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    beside(&mut service, &settings, &state_dir, proxy)
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    admin_endpoint(&mut service, settings.admin.as_ref()).await?;
    capture(&mut service, &settings)?;
    banner::say_all(&service, &settings, &folder, &state_dir);
    match &args.provisioner {
        Some(url) => say(&format!(
            "policy      what {url} says; their own disks while it is away"
        )),
        None => banner::for_whom(&policy, &folder, &settings.rules.files)
            .iter()
            .for_each(|line| say(line)),
    }
    let running = Running {
        args: args.clone(),
        settings,
        folder,
        policy,
        reloader: service.reloader(),
    };
    let (stop_now, stop) = watch::channel(false);
    supervisor.ready();
    let minding = tokio::spawn(mind(running, signals, supervisor.clone(), stop_now));
    let served = service.serve(stop).await;
    minding.abort();
    supervisor.stopping();
    if let Some(remote) = remote {
        remote.stop();
    }
    served?;
    say("groundstate pxe-server has stopped");
    Ok(())
}

/// Packets go into files where that was asked for.
fn capture(service: &mut BootService, settings: &Settings) -> Result<()> {
    let Some(capture) = &settings.capture else {
        return Ok(());
    };
    let started = Capture::start(CaptureConfig {
        folder: capture.folder.clone(),
        only: capture.only.clone(),
    });
    let what = || format!("the captures' folder {}", capture.folder.display());
    service.capture_into(started.with_context(what)?);
    Ok(())
}

/// What is served only where it was asked for; and a service of its own ends with its interface.
fn beside(
    service: &mut BootService,
    settings: &Settings,
    state_dir: &Path,
    proxy: Option<UdpSocket>,
) -> Result<(), pxe_server::ServeError> {
    service.end_with_interface();
    if settings.proxy {
        service.proxy_on(settings.proxy_config(), proxy)?;
    }
    if let Some(config) = settings.dhcp6_config()? {
        service.dhcp6_on(config, state_dir, Sockets6::default())?;
    }
    Ok(())
}

impl Settings {
    /// What a service beside another DHCP server is told.
    pub(super) fn proxy_config(&self) -> ProxyConfig {
        ProxyConfig {
            address: self.dhcp.address,
            http: self.dhcp.http,
            boot: self.dhcp.boot.clone(),
        }
    }

    /// What DHCPv6 is told, where it is on.
    pub(super) fn dhcp6_config(&self) -> Result<Option<Dhcp6Config>, pxe_server::ServeError> {
        let Some(six) = &self.dhcp6 else {
            return Ok(None);
        };
        let (port, boot) = (self.dhcp.http.port, self.dhcp.boot.clone());
        let own = pxe_server::dhcp6_of_interface(&self.interface, port, boot)?;
        Ok(Some(six.over(own)))
    }
}

/// The provisioner that answers, where one does.
fn remote(args: &PxeServerArgs, state_dir: &Path) -> Result<Option<Remote>> {
    let (Some(url), Some(credential)) = (&args.provisioner, &args.credential) else {
        return Ok(None);
    };
    let remote = Remote::start(&Connect::to(url, credential), state_dir);
    Ok(Some(
        remote.with_context(|| format!("the provisioner {url}"))?,
    ))
}

/// What the service is told by signal. They are taken before it says that it serves: until then SIGHUP would end it.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn take() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

/// Signals and the supervisor, until it is time to stop.
async fn mind(
    mut running: Running,
    mut signals: Signals,
    supervisor: Supervisor,
    stop_now: watch::Sender<bool>,
) {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hang_up.recv() => {
                supervisor.reloading();
                for line in running.reload() {
                    say(&line);
                }
                supervisor.ready();
            }
            () = supervisor.due() => supervisor.alive(),
        }
    }
    stop_now.send_replace(true);
}

impl Settings {
    /// Certificate and key, where they are configured.
    fn https(&self) -> Result<Option<Https>> {
        let read = |tls: &document::Tls| Https::read(tls.port, &tls.certificate, &tls.key);
        Ok(self.tls.as_ref().map(read).transpose()?)
    }

    /// How many addresses there are to lease: none beside another DHCP server.
    pub(super) fn addresses(&self) -> u64 {
        if self.proxy { 0 } else { self.dhcp.leasable() }
    }
}
