// SPDX-License-Identifier: Apache-2.0
//! The boot service: DHCP, TFTP and HTTP boot files on one network interface.
//!
//! Everything is decided in `pxe-core`; here are sockets, the lease file and the boot files. It refuses to know what a
//! machine should boot: that is the [`BootPolicy`]'s answer. It serves the files of [`BootFiles`] by exact name and no
//! others, and opens no file because a client asked.

mod admin;
mod assets;
mod beside;
mod body;
mod boot_dir;
mod boot_files;
mod boot_iso;
mod capture;
mod clock;
mod content;
mod descriptors;
mod desk;
mod dhcp;
mod dhcp6;
mod exposition;
mod front;
mod gone;
mod http;
mod lease_file;
mod lease_log;
mod limits;
mod metrics;
mod pieces;
mod places;
mod policy;
mod port_holder;
mod proxy;
mod proxy_automatic;
mod router_advert;
mod seen;
mod slowly;
mod sockets;
mod tftp;
mod tls;

pub use admin::{ADDRESS as ADMIN_ADDRESS, AdminAddress, AdminListener};
pub use assets::{Assets, AssetsError};
pub use beside::{Sockets6, dhcp6_of_interface};
pub use boot_dir::{BootDir, BootDirError, Changes, DEPTH_MAX, FILES_MAX, LeftOut};
pub use boot_files::{AssembleError, BootFiles, assemble};
pub use boot_iso::{BootIsoError, ISO, boot_iso};
pub use capture::{Capture, CaptureConfig};
pub use content::Content;
pub use desk::{NoScript, script_text};
pub use dhcp6::{Dhcp6LeaseError, Dhcp6SetUpError, kept_leases6};
pub use lease_file::LeaseFileError;
pub use lease_log::kept_leases;
pub use limits::{Limits, Ranges};
pub use policy::FolderPolicy;
pub use port_holder::{Protocol, advice};
pub use proxy_automatic::Automatic;
pub use seen::BootLog;
pub use sockets::Sockets;
pub use tls::{Https, HttpsError};

use clock::Clock;
use desk::Desk;
use groundstate_api::MacAddr;
use groundstate_api::boot::{BootAnswer, BootQuestion, BootSighting};
use groundstate_api::boot_session::ForeignServer;
use groundstate_api::site::Network;
use lease_log::LeaseLog;
use pxe_core::dhcp::{Server, ServerConfig, ServerConfigError};
use pxe_core::dhcp6::{Dhcp6Config, Dhcp6ConfigError};
use pxe_core::proxy::{ProxyConfig, ProxyConfigError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Where and what to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// The provisioning network's interface, for example `eth1`.
    pub interface: String,
    /// Subnets, reservations, first stages, and where HTTP boot files are.
    pub dhcp: ServerConfig,
    /// Where the leases are kept.
    pub state_dir: PathBuf,
    /// The boot files over TLS, too.
    pub https: Option<Https>,
    /// How much is served and remembered at a time.
    pub limits: Limits,
}

impl Config {
    /// A site's provisioning network.
    #[must_use]
    pub fn of_site(interface: &str, network: &Network, state_dir: &Path) -> Self {
        Self {
            interface: interface.to_owned(),
            dhcp: ServerConfig::from(network),
            state_dir: state_dir.to_owned(),
            https: None,
            limits: Limits::default(),
        }
    }
}

/// Answers what a machine shall boot.
pub trait BootPolicy: Send + Sync {
    /// Called for each DHCP message and each script; it must answer from memory, within milliseconds.
    fn ask(&self, question: &BootQuestion) -> BootAnswer;

    /// Whether somebody has declared this machine: what was seen of it outlives a flood of others.
    fn knows(&self, mac: MacAddr) -> bool {
        let _nobody_is_declared = mac;
        false
    }
}

/// Hears what the boot service saw.
pub trait Sightings: Send + Sync {
    /// Called from the serving tasks; it must not block for longer than a write to a local database.
    fn saw(&self, mac: MacAddr, sighting: BootSighting);

    /// Called once, before anything is served: where boot sessions can be read.
    fn log(&self, log: BootLog) {
        drop(log);
    }

    /// Another DHCP server answers on this network: an alarm, at most once an hour of each.
    fn foreign(&self, server: &ForeignServer) {
        let _nobody_hears = server;
    }
}

/// Why the boot service cannot serve, or stopped serving.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The site file's network cannot be served.
    #[error("the provisioning network cannot be served: {0}")]
    Network(#[from] ServerConfigError),
    /// There is no such interface.
    #[error("there is no network interface {name:?}: {source}")]
    Interface {
        /// Its name.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// The interface was removed while it was served.
    #[error(
        "the network interface {name:?} is gone, and nobody is heard any more; start the service again when it is back"
    )]
    Gone {
        /// Its name.
        name: String,
    },
    /// A socket could not be opened.
    #[error("cannot listen for {service} on {address}: {source}{advice}")]
    Listen {
        /// `DHCP`, `TFTP`, `HTTP` or `HTTPS`.
        service: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
        /// Who has the port and what to do, where that is known.
        advice: String,
    },
    /// A socket stopped working.
    #[error("the {service} socket stopped working: {source}")]
    Socket {
        /// `DHCP`, `TFTP` or `HTTP`.
        service: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The kept leases cannot be read or written.
    #[error(transparent)]
    Leases(#[from] LeaseFileError),
    /// proxyDHCP cannot be served so.
    #[error("proxyDHCP cannot be served: {0}")]
    Proxy(#[from] ProxyConfigError),
    /// DHCPv6 cannot be served so.
    #[error("DHCPv6 cannot be served: {0}")]
    Dhcp6(#[from] Dhcp6ConfigError),
    /// DHCPv6 cannot be set up on the interface.
    #[error("DHCPv6 cannot be served: {0}")]
    Dhcp6SetUp(#[from] Dhcp6SetUpError),
    /// The kept leases of DHCPv6 cannot be read.
    #[error(transparent)]
    Leases6(#[from] Dhcp6LeaseError),
    /// A serving task panicked.
    #[error("a serving task ended: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Serves until `stop` becomes true (or its sender is dropped).
///
/// # Errors
/// A network that cannot be served, a port that is taken, leases that cannot be read, or a socket that stops working.
pub async fn serve(
    config: Config,
    files: BootFiles,
    policy: Arc<dyn BootPolicy>,
    sightings: Arc<dyn Sightings>,
    stop: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    serve_on(config, Sockets::default(), files, policy, sightings, stop).await
}

/// As [`serve`], with the sockets that were handed over (socket activation, tests); the others are opened here.
///
/// # Errors
/// As [`serve`].
pub async fn serve_on(
    config: Config,
    handed_over: Sockets,
    files: BootFiles,
    policy: Arc<dyn BootPolicy>,
    sightings: Arc<dyn Sightings>,
    stop: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    let service = BootService::open(config, handed_over, files, policy, sightings)?;
    service.serve(stop).await
}

/// The boot service with every port open, before it answers anybody.
pub struct BootService {
    desk: Arc<Desk>,
    leases: Arc<LeaseLog>,
    sockets: sockets::Bound,
    admin: Option<AdminListener>,
    https: Option<Https>,
    interface: String,
    limits: Limits,
    proxy: Option<beside::ProxyReady>,
    ipv6: Option<beside::Ipv6Ready>,
    ends_with_interface: bool,
}

/// Changes a service that runs.
#[derive(Clone)]
pub struct Reloader {
    desk: Arc<Desk>,
}

impl Reloader {
    /// Serves by another DHCP configuration from now on; leases stay.
    ///
    /// # Errors
    /// The first thing in it that cannot be served; then everything stays as it was.
    pub fn dhcp(&self, config: ServerConfig) -> Result<(), ServerConfigError> {
        self.desk.server().reload(config)
    }

    /// Answers beside another DHCP server by another configuration from now on, where that is served.
    ///
    /// # Errors
    /// An address that machines could not fetch boot files from; then everything stays as it was.
    pub fn proxy(&self, config: ProxyConfig) -> Result<(), ProxyConfigError> {
        match self.desk.beside.proxy.get() {
            Some(proxy) => beside::held(proxy).reload(config),
            None => Ok(()),
        }
    }

    /// Serves DHCPv6 by another configuration from now on, where that is served; leases stay.
    ///
    /// # Errors
    /// The first field that cannot be served; then everything stays as it was.
    pub fn dhcp6(&self, config: Dhcp6Config) -> Result<(), Dhcp6ConfigError> {
        match self.desk.beside.dhcp6.get() {
            Some(dhcp6) => dhcp6.server().reload(config),
            None => Ok(()),
        }
    }
}

impl BootService {
    /// Reads the leases and opens every port.
    ///
    /// # Errors
    /// A network that cannot be served, a port that is taken, or leases that cannot be read.
    pub fn open(
        config: Config,
        handed_over: Sockets,
        files: BootFiles,
        policy: Arc<dyn BootPolicy>,
        sightings: Arc<dyn Sightings>,
    ) -> Result<Self, ServeError> {
        let (lease_log, kept) = LeaseLog::open(&config.state_dir)?;
        let limits = config.limits;
        descriptors::make_room(&limits);
        let sockets = sockets::Bound::open(&config, handed_over)?;
        let server = Server::new(config.dhcp.clone(), kept)?;
        let desk = Desk::new(server, Clock::start(), files, policy, sightings, &limits);
        Ok(Self {
            desk: Arc::new(desk),
            leases: Arc::new(lease_log),
            sockets,
            admin: None,
            https: config.https,
            interface: config.interface,
            limits,
            proxy: None,
            ipv6: None,
            ends_with_interface: false,
        })
    }

    /// What changes the service while it runs.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        let desk = Arc::clone(&self.desk);
        Reloader { desk }
    }

    /// Serves health, metrics, boots and leases there, too. It asks nobody who they are.
    pub fn admin_on(&mut self, listener: AdminListener) {
        self.admin = Some(listener);
    }

    /// Ends with an error when the interface is removed, so that whoever minds the service starts it again.
    pub const fn end_with_interface(&mut self) {
        self.ends_with_interface = true;
    }

    /// Captures packets of booting machines.
    pub fn capture_into(&self, capture: Capture) {
        self.desk.capture_into(capture);
    }

    /// What is served where, for people.
    #[must_use]
    pub fn ports(&self) -> Vec<(&'static str, SocketAddr)> {
        self.sockets.ports()
    }

    /// Serves until `stop` becomes true (or its sender is dropped).
    ///
    /// # Errors
    /// A socket that stops working, or leases that cannot be written at the end.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) -> Result<(), ServeError> {
        let Self {
            desk,
            leases,
            sockets,
            admin,
            https,
            proxy,
            ipv6,
            interface,
            limits,
            ends_with_interface,
        } = self;
        let mut tasks = JoinSet::new();
        if ends_with_interface {
            tasks.spawn(gone::until_gone(interface, sockets.dhcp.index));
        }
        let front: Arc<dyn front::Front> = desk.clone();
        match proxy {
            Some(proxy) => proxy.begin(sockets.dhcp, Arc::clone(&front), &mut tasks),
            None => drop(tasks.spawn(dhcp::serve(sockets.dhcp, Arc::clone(&desk), leases))),
        }
        let room = Arc::new(http::Room::new(&limits));
        let mut tftp = vec![sockets.tftp];
        if let Some(ipv6) = ipv6 {
            let (socket, listener) = ipv6.begin(&front, &mut tasks);
            tftp.push(socket);
            let (room, desk) = (Arc::clone(&room), Arc::clone(&desk));
            tasks.spawn(http::serve(listener, None, room, desk));
        }
        tasks.spawn(tftp::serve(tftp, Arc::clone(&desk), limits));
        tasks.spawn(http::serve(
            sockets.http,
            None,
            Arc::clone(&room),
            Arc::clone(&desk),
        ));
        if let (Some(listener), Some(https)) = (sockets.https, https) {
            let tls = Some(https.tls);
            tasks.spawn(http::serve(listener, tls, room, Arc::clone(&desk)));
        }
        tasks.spawn(seen::mind(Arc::clone(&desk)));
        if let Some(admin) = admin {
            tasks.spawn(admin::serve(admin, Arc::clone(&desk)));
        }
        let ended = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => None,
            ended = tasks.join_next() => ended,
        };
        tasks.shutdown().await;
        match ended {
            None => Ok(()),
            Some(Ok(error)) => Err(error),
            Some(Err(error)) => Err(error.into()),
        }
    }
}
