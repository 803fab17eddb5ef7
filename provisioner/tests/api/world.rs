// SPDX-License-Identifier: Apache-2.0
//! A site with two nodes, its provisioner on a loopback port, and callers with and without certificates.

use groundstate_api::event::{Event, Happened};
use groundstate_api::image::ImageRef;
use groundstate_api::plan::HandOver;
use groundstate_api::site::{Network, Node, Policy, Site};
use groundstate_api::site_parts::{Access, Rack, Role, Slot};
use groundstate_api::view::Problem;
use groundstate_api::{Bytes, Digest, MacAddr, Millis, NodeId, Reason, SCHEMA};
use mos_core::guid::Guid;
use provisioner::journal::{EtcdOptions, Journal, Leader, Reader as _, SqliteJournal};
use provisioner::pki::ProvenKey;
use provisioner::{Images, OpenError, Options, Provisioner, Shared, serve};
use rcgen::{CertificateParams, KeyPair};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

#[path = "seen.rs"]
mod seen;

pub(crate) use seen::{inventory, uuid};

pub(crate) const MAC_1: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
pub(crate) const MAC_2: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 2]);
pub(crate) const BOOT: &str = "11111111-1111-1111-1111-111111111111";
/// A later boot of node-1 in its run.
pub(crate) const LATER_BOOT: &str = "77777777-7777-7777-7777-777777777777";

/// The one GUID of the image's own partition table.
pub(crate) const IMAGE_GUID: &str = "0f9a3c5e-1111-4222-8333-444455556666";

/// An image repository that has one image, and says what it was told to say of it.
struct FixedImages(Result<(), Reason>);

impl Images for FixedImages {
    fn newest(&self, name: &str) -> Result<Option<ImageRef>, Reason> {
        Ok((name == "debian-host").then(|| ImageRef {
            name: name.to_owned(),
            version: "12.1".into(),
            kind: groundstate_api::image::ImageKind::RootFsExt4,
            manifest: Digest::of(b"manifest"),
            size: Bytes::gib(1),
            sector_size: 512,
            whole: None,
        }))
    }
    fn verify(&self, _: &ImageRef) -> Result<(), Reason> {
        self.0.clone()
    }
    fn table_guids(&self, _: &ImageRef) -> Result<Vec<Guid>, Reason> {
        Ok(Guid::parse(IMAGE_GUID).into_iter().collect())
    }
}

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) ours: Provisioner,
    pub(crate) port: u16,
    pub(crate) page_port: u16,
    stop: watch::Sender<bool>,
    runtime: tokio::runtime::Runtime,
}

pub(crate) fn site() -> Site {
    let node = |number: u8| {
        let (name, serial) = (format!("node-{number}"), format!("GS{number}"));
        let mac = MacAddr([0x52, 0x54, 0, 0, 0, number]);
        Node::new(name.parse().unwrap(), mac, uuid(number), &serial)
    };
    let at = |last| Ipv4Addr::new(127, 0, 0, last);
    let network = Network::new(at(1), 24, (at(100), at(200)));
    let policy = Policy::new("debian-host", HandOver::Kexec);
    Site {
        nodes: vec![node(1), node(2)],
        ..Site::new("lab <b>&", network, policy)
    }
}

/// The same with node-1 in rack `here` and node-2 in rack `there`, and the name `bound` for `here` only.
pub(crate) fn racked_site() -> Site {
    let mut site = site();
    for (node, rack) in site.nodes.iter_mut().zip(["here", "there"]) {
        node.slot = Some(Slot {
            rack: rack.into(),
            unit: 1,
            height: 1,
            bay: None,
            power: vec![],
            port: None,
        });
        site.racks.push(Rack {
            name: rack.into(),
            fault_domain: None,
            units: 42,
            place: String::new(),
            relay: None,
        });
    }
    site.access.push(Access {
        name: "bound".into(),
        racks: vec!["here".into()],
        nodes: vec![],
    });
    site
}

impl World {
    pub(crate) fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap(), Ok(()))
    }

    pub(crate) fn with_image(image: Result<(), Reason>) -> Self {
        Self::at(tempfile::tempdir().unwrap(), image)
    }

    pub(crate) fn with_site(site: Site) -> Self {
        Self::of(tempfile::tempdir().unwrap(), Ok(()), site)
    }

    pub(crate) fn at(dir: TempDir, image: Result<(), Reason>) -> Self {
        Self::of(dir, image, site())
    }

    fn of(dir: TempDir, image: Result<(), Reason>, site: Site) -> Self {
        Self::opened(dir, site, Arc::new(FixedImages(image)), Provisioner::open)
    }

    /// Over a journal that the test makes of the one in this directory.
    pub(crate) fn over(
        dir: TempDir,
        site: Site,
        wrap: impl FnOnce(SqliteJournal) -> Box<dyn Journal>,
    ) -> Self {
        let journal = SqliteJournal::open(&dir.path().join("journal.db")).unwrap();
        let images = Arc::new(FixedImages(Ok(())));
        Self::opened(dir, site, images, |options| {
            Provisioner::open_over(options, wrap(journal))
        })
    }

    /// One of several over a journal in etcd. It follows until it is elected.
    pub(crate) fn among(dir: TempDir, etcd: EtcdOptions, name: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let me = Leader {
            name: name.to_owned(),
            url: format!("https://{}", listener.local_addr().unwrap()),
        };
        let names = Vec::new();
        let images = Arc::new(FixedImages(Ok(())));
        Self::opened_at(dir, site(), images, Some(listener), |options| {
            Provisioner::open_shared(options, Shared { etcd, me, names })
        })
    }

    fn opened(
        dir: TempDir,
        site: Site,
        images: Arc<dyn Images>,
        open: impl FnOnce(Options) -> Result<Provisioner, OpenError>,
    ) -> Self {
        Self::opened_at(dir, site, images, None, open)
    }

    fn opened_at(
        dir: TempDir,
        site: Site,
        images: Arc<dyn Images>,
        listener: Option<std::net::TcpListener>,
        open: impl FnOnce(Options) -> Result<Provisioner, OpenError>,
    ) -> Self {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let ours = open(Options {
            site,
            state_dir: dir.path().to_owned(),
            images,
        })
        .unwrap();
        let (stop, stopped) = watch::channel(false);
        let bind = || runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let api = match listener {
            None => bind(),
            Some(listener) => {
                let _within = runtime.enter();
                TcpListener::from_std(listener).unwrap()
            }
        };
        let page = bind();
        let (port, page_port) = (
            api.local_addr().unwrap().port(),
            page.local_addr().unwrap().port(),
        );
        let bytes = || axum::routing::get(|| async { "bytes" });
        let images = axum::Router::new()
            .route(groundstate_api::paths::IMAGE_MANIFEST, bytes())
            .route(groundstate_api::paths::CHUNK, bytes())
            .route(groundstate_api::paths::BLOB, bytes())
            .route(groundstate_api::paths::TRUST_ROOT, bytes())
            .route(groundstate_api::paths::TRUST_CATALOGUE, bytes())
            .route(groundstate_api::paths::TRUST_IMAGE, bytes());
        let (router, tls) = (ours.api(images), ours.pki().server_config().unwrap());
        runtime.spawn(serve::serve_tls(api, router, tls, stopped.clone()));
        runtime.spawn(serve::serve_plain(page, ours.page(), stopped.clone()));
        runtime.spawn(ours.clone().run(stopped));
        Self {
            dir,
            ours,
            port,
            page_port,
            stop,
            runtime,
        }
    }

    /// Stops without a word, as a killed process does, and starts on the same directory.
    pub(crate) fn restart(self) -> Self {
        self.restart_as(site())
    }

    /// The same with this site file.
    pub(crate) fn restart_as(self, site: Site) -> Self {
        Self::of(self.stopped(), Ok(()), site)
    }

    /// Stops without a word, and leaves its folder.
    pub(crate) fn stopped(self) -> TempDir {
        self.runtime.shutdown_background();
        drop((self.ours, self.stop));
        self.dir
    }

    /// Stops, and says why it does not start with this site file.
    pub(crate) fn refuses(self, site: Site) -> String {
        let dir = self.stopped();
        let options = Options {
            site,
            state_dir: dir.path().to_owned(),
            images: Arc::new(FixedImages(Ok(()))),
        };
        match Provisioner::open(options) {
            Ok(_) => panic!("it starts"),
            Err(error) => error.to_string(),
        }
    }

    /// Stops, writes these events into the journal, and starts with this site.
    pub(crate) fn after(self, site: Site, happened: Vec<(NodeId, Happened)>) -> Self {
        let dir = self.stopped();
        let mut journal = SqliteJournal::open(&dir.path().join("journal.db")).unwrap();
        let first = journal.newest().unwrap() + 1;
        let events: Vec<Event> = (first..)
            .zip(happened)
            .map(|(number, (node, what))| Event {
                number,
                at: Millis(1_800_000_000_000),
                node: Some(node),
                what,
            })
            .collect();
        for batch in events.chunks(journal.batch_max()) {
            journal.append(batch).unwrap();
        }
        drop(journal);
        Self::of(dir, Ok(()), site)
    }

    /// Stops, writes into the journal that node-1 came back in its run in this boot with this key, and starts: a test does not
    /// wait until a key has been silent.
    pub(crate) fn came_back(self, boot: u32, key: &Key) -> Self {
        let node: NodeId = "node-1".parse().unwrap();
        let came_back = Happened::CameBack {
            run: self.ours.view(&node).unwrap().run.unwrap(),
            boot_id: LATER_BOOT.parse().unwrap(),
            key: ProvenKey::from_csr(&key.csr()).unwrap().digest(),
            boot,
        };
        self.after(site(), vec![(node, came_back)])
    }

    pub(crate) fn pki(&self, file: &str) -> PathBuf {
        self.dir.path().join("pki").join(file)
    }

    pub(crate) fn anyone(&self) -> Caller {
        Caller::new(self, None)
    }

    pub(crate) fn operator(&self) -> Caller {
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let cert = read(&self.pki("operator/operator.crt"));
        Caller::new(self, Some((cert, read(&self.pki("operator/operator.key")))))
    }

    /// A person or a program with this role and name.
    pub(crate) fn client(&self, role: Role, name: &str) -> Caller {
        let out = self.dir.path().join(format!("{}-{name}", role.as_str()));
        let access = self.ours.pki().access();
        access.issue(role, name, 30, &out).unwrap();
        let read = |file: &str| std::fs::read_to_string(out.join(file)).unwrap();
        Caller::new(self, Some((read("operator.crt"), read("operator.key"))))
    }

    pub(crate) fn with(&self, certificate: &str, key: &Key) -> Caller {
        Caller::new(
            self,
            Some((certificate.to_owned(), key.pair.serialize_pem())),
        )
    }

    pub(crate) fn page(&self, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.page_port);
        ureq::get(url)
            .call()
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap()
    }

    /// Orders a run of node-1 and enrols it.
    pub(crate) fn enrolled(&self) -> (Caller, String) {
        let key = Key::new();
        self.operator()
            .post("/v1/nodes/node-1/provision", &json!({}))
            .ok();
        self.enrol(&key)
    }

    /// Enrols node-1 with this key.
    pub(crate) fn enrol(&self, key: &Key) -> (Caller, String) {
        let reply = self.anyone().post("/v1/enrol", &key.request(1)).ok();
        assert_eq!(reply["answer"], "enrolled", "{reply}");
        let run = reply["run"].as_str().unwrap().to_owned();
        (
            self.with(reply["certificate_pem"].as_str().unwrap(), key),
            run,
        )
    }
}

/// A key made in a boot.
pub(crate) struct Key {
    pub(crate) pair: KeyPair,
}

impl Key {
    pub(crate) fn new() -> Self {
        Self {
            pair: KeyPair::generate().unwrap(),
        }
    }

    /// A signing request that asks for a name it must not get.
    pub(crate) fn csr(&self) -> String {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "operator:evil");
        params.serialize_request(&self.pair).unwrap().pem().unwrap()
    }

    pub(crate) fn request(&self, node: u8) -> Value {
        let mac = MacAddr([0x52, 0x54, 0, 0, 0, node]);
        json!({
            "schema": SCHEMA, "macs": [mac], "boot_mac": mac, "uuid": uuid(node), "serial": format!("GS{node}"),
            "boot_id": BOOT, "uefi": true, "csr_pem": self.csr(),
        })
    }
}

pub(crate) struct Caller {
    agent: ureq::Agent,
    server: String,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    /// The entity tag.
    pub(crate) tag: Option<String>,
}

impl Answer {
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn ok_text(self) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        self.text
    }

    pub(crate) fn read<T: DeserializeOwned>(self) -> T {
        assert_eq!(self.status, 200, "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn problem(self, status: u16) -> Problem {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Caller {
    fn new(world: &World, credential: Option<(String, String)>) -> Self {
        let ca = Certificate::from_pem(world.ours.pki().ca_pem().as_bytes()).unwrap();
        let client = credential.map(|(cert, key)| {
            let cert = Certificate::from_pem(cert.as_bytes()).unwrap();
            ClientCert::new_with_certs(&[cert], PrivateKey::from_pem(key.as_bytes()).unwrap())
        });
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::new_with_certs(&[ca]))
            .client_cert(client)
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .build()
            .new_agent();
        Self {
            agent,
            server: format!("https://127.0.0.1:{}", world.port),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.answer(self.agent.get(format!("{}{path}", self.server)).call())
    }

    pub(crate) fn post(&self, path: &str, body: &impl Serialize) -> Answer {
        self.answer(
            self.agent
                .post(format!("{}{path}", self.server))
                .send_json(body),
        )
    }

    pub(crate) fn put(&self, path: &str, matching: Option<&str>, body: &impl Serialize) -> Answer {
        let mut request = self.agent.put(format!("{}{path}", self.server));
        if let Some(tag) = matching {
            request = request.header("If-Match", tag);
        }
        self.answer(request.send_json(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.answer(self.agent.delete(format!("{}{path}", self.server)).call())
    }

    /// A call with these headers and, where it is not empty, this body.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (Answer, ureq::http::HeaderMap) {
        let request = headers.iter().fold(
            ureq::http::Request::builder()
                .method(method)
                .uri(format!("{}{path}", self.server)),
            |request, (name, value)| request.header(*name, *value),
        );
        let request = request.body(body.to_owned()).unwrap();
        let config = self.agent.configure_request(request);
        let request = config.allow_non_standard_methods(true).build();
        let answer = self.agent.run(request);
        let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let headers = answer.headers().clone();
        (self.answer(Ok(answer)), headers)
    }

    pub(crate) fn post_text(&self, path: &str, body: &str) -> Answer {
        self.answer(self.agent.post(format!("{}{path}", self.server)).send(body))
    }

    fn answer(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
        let mut answer = answer.unwrap();
        let status = answer.status().as_u16();
        let tag = answer.headers().get("etag");
        let tag = tag.map(|tag| tag.to_str().unwrap().to_owned());
        Answer {
            status,
            tag,
            text: answer.body_mut().read_to_string().unwrap(),
        }
    }
}
