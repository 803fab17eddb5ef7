// SPDX-License-Identifier: Apache-2.0
//! A site of a thousand nodes in 24 racks with a journal behind it, its provisioner, and its page on a loopback port.

use crate::events::{Story, event};
use groundstate_api::event::Event;
use groundstate_api::site::Site;
use groundstate_api::{Millis, NodeId};
use provisioner::journal::{Journal as _, SqliteJournal};
use provisioner::peer::NoImages;
use provisioner::{Options, Provisioner, serve};
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Racks of the large site.
const RACKS: usize = 24;
/// Nodes in a rack: all units but the switch's.
const IN_RACK: usize = 41;

pub(crate) struct World {
    pub(crate) ours: Provisioner,
    pub(crate) address: String,
    stop: watch::Sender<bool>,
    runtime: Option<tokio::runtime::Runtime>,
    _dir: TempDir,
}

impl World {
    /// A thousand nodes, most of them ready, some of them in every other phase.
    pub(crate) fn large() -> Self {
        let mut nodes = Vec::new();
        for rack in 0..RACKS {
            for unit in 0..IN_RACK {
                let name = format!("r{:02}-n{:02}", rack + 1, unit + 1);
                nodes.push(node(nodes.len(), &name, Some((rack + 1, unit + 1))));
            }
        }
        while nodes.len() < 1_000 {
            let name = format!("bench-{}", nodes.len());
            nodes.push(node(nodes.len(), &name, None));
        }
        let stories = (0..nodes.len()).map(Story::of).collect();
        Self::of(&site("Falkenstein 2", &nodes), stories)
    }

    /// Five nodes in one rack, each with a whole story.
    pub(crate) fn small() -> Self {
        let stories = vec![
            Story::Provisioning,
            Story::DimmMissing,
            Story::Ready,
            Story::DiskFailing,
            Story::Enrolled,
        ];
        let nodes: Vec<Value> = (0..stories.len())
            .map(|at| node(at, &format!("r01-n{:02}", at + 1), Some((1, 2 * at + 1))))
            .collect();
        Self::of(&site("Falkenstein 2", &nodes), stories)
    }

    /// The same with a site as somebody hostile would write it, and machines as somebody hostile would build them.
    pub(crate) fn hostile(said: &str) -> Self {
        let mut evil = node(0, "r01-n01", Some((1, 1)));
        evil["serial"] = json!(said);
        evil["slot"]["rack"] = json!(said);
        evil["slot"]["power"] = json!([said]);
        evil["slot"]["port"] = json!(said);
        let mut site = site(said, &[evil, node(1, "r01-n02", Some((1, 3)))]);
        site["rack"][0]["place"] = json!(said);
        site["rack"][0]["fault_domain"] = json!(said);
        site["pdu"][0]["name"] = json!(said);
        Self::of(&site, vec![Story::Says(said.to_owned()), Story::Ready])
    }

    fn of(site: &Value, stories: Vec<Story>) -> Self {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let site: Site = serde_json::from_value(site.clone()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut journal = SqliteJournal::open(&dir.path().join("journal.db")).unwrap();
        let now = provisioner::clock::now();
        let mut events: Vec<Event> = Vec::new();
        for (node, story) in site.nodes.iter().zip(&stories) {
            for (ago, what) in story.tell(node, now) {
                let number = u64::try_from(events.len()).unwrap() + 1;
                let at = Millis(now.0 - ago.0);
                events.push(event(number, at, &node.name, &what));
            }
        }
        for batch in events.chunks(200) {
            journal.append(batch).unwrap();
        }
        for (node, story) in site.nodes.iter().zip(&stories) {
            if let Some((run, text)) = story.log(node) {
                journal.append_log(&node.name, &run, 0, &text).unwrap();
            }
        }
        drop(journal);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let ours = Provisioner::open(Options {
            site,
            state_dir: dir.path().to_owned(),
            images: Arc::new(NoImages),
        })
        .unwrap();
        let (stop, stopped) = watch::channel(false);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(serve::serve_plain(listener, ours.page(), stopped));
        Self {
            ours,
            address,
            stop,
            runtime: Some(runtime),
            _dir: dir,
        }
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Orders a run, as somebody would over the API.
    pub(crate) fn order(&self, node: &str) {
        let node: NodeId = node.parse().unwrap();
        let terms = groundstate_api::plan::OrderTerms::default();
        self.ours.order(&node, None, false, terms).unwrap();
    }

    /// Stops serving, as a process that ends does.
    pub(crate) fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.end();
    }
}

fn site(name: &str, nodes: &[Value]) -> Value {
    let racks = if nodes.len() < 100 { 1 } else { RACKS };
    let rack = |at: usize| {
        json!({"name": format!("r{at:02}"), "place": format!("hall B, row {}", (at - 1) / 8 + 1),
               "fault_domain": format!("feed-{}", (at - 1) / 8 + 1), "units": 42})
    };
    let switch =
        |at: usize| json!({"name": format!("sw-{at:02}"), "rack": format!("r{at:02}"), "unit": 42});
    let pdu = |at: usize| json!({"name": format!("pdu-{at:02}"), "rack": format!("r{at:02}")});
    let each = |make: &dyn Fn(usize) -> Value| (1..=racks).map(make).collect::<Vec<_>>();
    json!({
        "name": name,
        "network": {"address": "127.0.0.1", "prefix": 24, "pool_first": "127.0.0.100", "pool_last": "127.0.0.200"},
        "policy": {"image": "debian-host", "hand_over": "kexec"},
        "rack": each(&rack), "switch": each(&switch), "pdu": each(&pdu),
        "node": nodes,
    })
}

fn node(at: usize, name: &str, place: Option<(usize, usize)>) -> Value {
    let (high, low) = (at / 256, at % 256);
    let mut node = json!({
        "name": name, "mac": format!("52:54:00:00:{high:02x}:{low:02x}"),
        "uuid": format!("11111111-1111-1111-1111-11111111{at:04x}"), "serial": format!("CZ3{at:05}"),
    });
    if let Some((rack, unit)) = place {
        node["slot"] = json!({"rack": format!("r{rack:02}"), "unit": unit,
            "power": [format!("pdu-{rack:02}/{unit}")], "port": format!("sw-{rack:02}/Ethernet{unit}")});
    }
    node
}
