// SPDX-License-Identifier: Apache-2.0
//! A provisioner on loopback, for tests of this crate and of others: a site of nodes that a test adds, a repository without
//! images, the API over TLS. Nothing of the product calls it.

use crate::images::Images;
use crate::{Options, Provisioner, serve};
use groundstate_api::Reason;
use groundstate_api::image::ImageRef;
use groundstate_api::plan::HandOver;
use groundstate_api::site::{Network, Node, Policy, Site};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// How long it may take to end.
const END_MAX: Duration = Duration::from_secs(5);

/// A repository without images.
pub struct NoImages;

impl Images for NoImages {
    fn newest(&self, _: &str) -> Result<Option<ImageRef>, Reason> {
        Ok(None)
    }
    fn verify(&self, _: &ImageRef) -> Result<(), Reason> {
        Ok(())
    }
}

/// The site `lab` on loopback, with these nodes.
#[must_use]
pub fn lab(nodes: Vec<Node>) -> Site {
    let at = |last| Ipv4Addr::new(127, 0, 0, last);
    let network = Network::new(at(1), 24, (at(100), at(200)));
    Site {
        nodes,
        ..Site::new("lab", network, Policy::new("debian-host", HandOver::Kexec))
    }
}

/// The lab's node with this number: `node-1` is `52:54:00:00:00:01`.
///
/// # Panics
/// Never: every number makes a name and a UUID.
#[must_use]
pub fn lab_node(number: u8, serial: &str) -> Node {
    let name = format!("node-{number}").parse();
    let uuid = format!("564d1234-5678-9abc-def0-1234567890{number:02x}").parse();
    let mac = groundstate_api::MacAddr([0x52, 0x54, 0, 0, 0, number]);
    Node::new(name.expect("a name"), mac, uuid.expect("a UUID"), serial)
}

/// A provisioner that serves. Dropped, it ends without a word, as a killed process does.
pub struct Loopback {
    /// The provisioner.
    pub ours: Provisioner,
    /// Where its API is.
    pub address: SocketAddr,
    /// What it runs in.
    pub runtime: Runtime,
    state: PathBuf,
    stop: watch::Sender<bool>,
}

impl Loopback {
    /// Over this state directory, at a port that is free. Nothing happens by itself until [`Self::live`].
    ///
    /// # Panics
    /// Where it cannot be opened or served.
    #[must_use]
    pub fn serve(state: &Path, site: Site) -> Self {
        Self::serve_at(state, site, 0)
    }

    /// The same at this port.
    ///
    /// # Panics
    /// Where it cannot be opened or served.
    #[must_use]
    pub fn serve_at(state: &Path, site: Site, port: u16) -> Self {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let ours = Provisioner::open(Options {
            site,
            state_dir: state.to_owned(),
            images: Arc::new(NoImages),
        })
        .expect("a provisioner");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("its address");
        let router = ours.api(axum::Router::new());
        let tls = ours.pki().server_config().expect("its certificate");
        let (stop, stopped) = watch::channel(false);
        runtime.spawn(serve::serve_tls(listener, router, tls, stopped));
        Self {
            ours,
            address,
            runtime,
            state: state.to_owned(),
            stop,
        }
    }

    /// What a provisioner does by itself begins.
    #[must_use]
    pub fn live(self) -> Self {
        let stopped = self.stop.subscribe();
        self.runtime.spawn(self.ours.clone().run(stopped));
        self
    }

    /// Where its API is, for a client.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The folder of its first operator's certificate.
    #[must_use]
    pub fn credential(&self) -> PathBuf {
        self.state.join("pki/operator")
    }

    /// Ends it in order.
    pub fn end(self) {
        self.stop.send_replace(true);
        self.runtime.shutdown_timeout(END_MAX);
    }
}
