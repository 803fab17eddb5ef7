// SPDX-License-Identifier: Apache-2.0
//! What stands where in etcd. Numbers are padded with zeros, so that the order of keys is the order of numbers.
//!
//! | key | value |
//! |---|---|
//! | `version` | version of this layout |
//! | `leader` | who writes, bound to its lease |
//! | `m/SHA256 OF NAME` | a provisioner and its address, bound to a lease of a day |
//! | `c/SHA256 OF NAME` | what provisioners keep in common; each may write, who wrote it last saw what it replaced |
//! | `newest` | number of the newest event, and the stamp of its append |
//! | `e/NUMBER` | an event |
//! | `b/NUMBER/STAMP/PIECE` | pieces of an event's body that is too long for one transaction |
//! | `n/NODE/NUMBER` | nothing: that the event is this node's |
//! | `o/NUMBER` | what is filtered by of an order in the audit trail: when, by whom, whether it only asked |
//! | `ob/SHA256 OF CALLER/NUMBER`, `on/NODE/NUMBER` | the same, of one caller and about one node |
//! | `orders-from` | the number from which on orders stand under `o`; those before it are looked for among the events |
//! | `l/RUN/START`, `le/RUN` | pieces of a log, and its end |
//! | `d/SHA256 OF NAME` | digest, length and pieces of a document |
//! | `dp/SHA256 OF NAME/DIGEST/PIECE` | its pieces |

use groundstate_api::{Digest, NodeId, RunId};

#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    fn at(&self, rest: &str) -> String {
        format!("{}/{rest}", self.prefix)
    }

    pub(super) fn version(&self) -> String {
        self.at("version")
    }

    pub(super) fn leader(&self) -> String {
        self.at("leader")
    }

    pub(super) fn member(&self, name: &str) -> String {
        self.at(&format!("m/{}", hex(name)))
    }

    /// The members' keys: from and to.
    pub(super) fn members(&self) -> (String, String) {
        (self.at("m/"), self.at("m0"))
    }

    pub(super) fn common(&self, name: &str) -> String {
        self.at(&format!("c/{}", hex(name)))
    }

    pub(super) fn newest(&self) -> String {
        self.at("newest")
    }

    pub(super) fn event(&self, number: u64) -> String {
        self.at(&format!("e/{number:020}"))
    }

    /// Behind every event; `0` follows `/`.
    pub(super) fn events_end(&self) -> String {
        self.at("e0")
    }

    pub(super) fn body(&self, number: u64, stamp: &str, piece: usize) -> String {
        self.at(&format!("b/{number:020}/{stamp}/{piece:06}"))
    }

    pub(super) fn of_node(&self, node: &NodeId, number: u64) -> String {
        self.at(&format!("n/{node}/{number:020}"))
    }

    pub(super) fn of_node_end(&self, node: &NodeId) -> String {
        self.at(&format!("n/{node}0"))
    }

    /// The first event whose order stands in the index.
    pub(super) fn orders_from(&self) -> String {
        self.at("orders-from")
    }

    /// Where an order stands: among all, among its caller's, among those about its node.
    pub(super) fn order(&self, number: u64, of: OrdersOf<'_>) -> String {
        self.at(&format!("{}/{number:020}", of.folder()))
    }

    /// Behind every order of those.
    pub(super) fn orders_end(&self, of: OrdersOf<'_>) -> String {
        self.at(&format!("{}0", of.folder()))
    }

    pub(super) fn log(&self, run: &RunId, start: u64) -> String {
        self.at(&format!("l/{run}/{start:020}"))
    }

    pub(super) fn log_end_of_pieces(&self, run: &RunId) -> String {
        self.at(&format!("l/{run}0"))
    }

    pub(super) fn log_end(&self, run: &RunId) -> String {
        self.at(&format!("le/{run}"))
    }

    pub(super) fn document(&self, name: &str) -> String {
        self.at(&format!("d/{}", hex(name)))
    }

    /// All documents: from and to.
    pub(super) fn documents(&self) -> (String, String) {
        (self.at("d/"), self.at("d0"))
    }

    /// All pieces of a document, whatever their digest: from and to.
    pub(super) fn all_pieces(&self, name: &str) -> (String, String) {
        let all = format!("dp/{}", hex(name));
        (self.at(&format!("{all}/")), self.at(&format!("{all}0")))
    }

    pub(super) fn document_pieces(&self, name: &str, digest: &str) -> String {
        self.at(&format!("dp/{}/{digest}/", hex(name)))
    }

    /// The pieces of every other digest: two ranges.
    pub(super) fn other_pieces(&self, name: &str, digest: &str) -> [(String, String); 2] {
        let all = format!("dp/{}", hex(name));
        [
            (
                self.at(&format!("{all}/")),
                self.at(&format!("{all}/{digest}/")),
            ),
            (
                self.at(&format!("{all}/{digest}0")),
                self.at(&format!("{all}0")),
            ),
        ]
    }
}

/// Which orders of the index.
#[derive(Clone, Copy, Debug)]
pub(super) enum OrdersOf<'a> {
    All,
    Caller(&'a str),
    Node(&'a NodeId),
}

impl OrdersOf<'_> {
    fn folder(self) -> String {
        match self {
            Self::All => "o".to_owned(),
            Self::Caller(by) => format!("ob/{}", hex(by)),
            Self::Node(node) => format!("on/{node}"),
        }
    }
}

fn hex(name: &str) -> String {
    Digest::of(name.as_bytes()).to_string().replace(':', "-")
}

/// The number at the end of a key.
pub(super) fn number_of(key: &str) -> Option<u64> {
    key.rsplit('/').next()?.parse().ok()
}
