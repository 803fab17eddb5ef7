// SPDX-License-Identifier: Apache-2.0
//! The provisioner as a process of its own: this test program again, told by its environment what to be.

use groundstate_api::image::{ImageKind, ImageRef};
use groundstate_api::site::Site;
use groundstate_api::trust::ImageChoice;
use groundstate_api::{Bytes, Digest, Millis, Reason};
use provisioner::journal::{EtcdOptions, Leader};
use provisioner::{Images, Options, Provisioner, Shared, serve};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Where its state lies; the site is the file `site.json` beside it.
pub(crate) const STATE: &str = "GROUNDSTATE_CHILD_STATE";
/// Where it listens.
pub(crate) const LISTEN: &str = "GROUNDSTATE_CHILD_LISTEN";
/// The etcd cluster, where its journal is there.
pub(crate) const ETCD: &str = "GROUNDSTATE_CHILD_ETCD";

/// The name of the provisioner that listens there.
pub(crate) fn name_at(listen: SocketAddr) -> String {
    format!("at-{}", listen.port())
}

/// One image whose bytes nobody asks for.
struct OneImage;

fn image(name: &str) -> ImageRef {
    ImageRef {
        name: name.into(),
        version: "1".into(),
        kind: ImageKind::RootFsExt4,
        manifest: Digest::of(b"manifest"),
        size: Bytes::gib(1),
        sector_size: 512,
        whole: None,
    }
}

impl Images for OneImage {
    fn newest(&self, name: &str) -> Result<Option<ImageRef>, Reason> {
        Ok(Some(image(name)))
    }
    fn of_channel(&self, choice: &ImageChoice, _: Millis) -> Result<ImageRef, Reason> {
        Ok(image(&choice.name))
    }
    fn verify(&self, _: &ImageRef) -> Result<(), Reason> {
        Ok(())
    }
}

#[test]
#[ignore = "the other tests start it as a process"]
fn child() {
    let Some(state) = std::env::var_os(STATE).map(PathBuf::from) else {
        return;
    };
    let listen: SocketAddr = std::env::var(LISTEN).unwrap().parse().unwrap();
    let site = std::fs::read(state.parent().unwrap().join("site.json")).unwrap();
    let site: Site = serde_json::from_slice(&site).unwrap();
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let options = Options {
            site,
            state_dir: state,
            images: Arc::new(OneImage),
        };
        let ours = match std::env::var(ETCD) {
            Err(_) => Provisioner::open(options).unwrap(),
            Ok(etcd) => {
                let shared = Shared {
                    etcd: EtcdOptions::parse(&etcd).unwrap(),
                    me: Leader {
                        name: name_at(listen),
                        url: format!("https://{listen}"),
                    },
                    names: Vec::new(),
                };
                Provisioner::open_shared(options, shared).unwrap()
            }
        };
        let listener = tokio::net::TcpListener::bind(listen).await.unwrap();
        let tls = ours.pki().server_config().unwrap();
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        let router = ours.api(axum::Router::new());
        let runs = tokio::spawn(ours.clone().run(stopped.clone()));
        serve::serve_tls(listener, router, tls, stopped).await;
        runs.await.unwrap();
    });
}
