// SPDX-License-Identifier: Apache-2.0
//! Who may call what: one row per route. A path without a row is refused to everybody.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use groundstate_api::{NodeId, PlanId, RunId, paths};

/// Who calls, as its certificate says. The site CA signed it; the name in it is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// No certificate.
    Anyone,
    /// The maintenance OS of one run of one node.
    Node {
        /// The node.
        node: NodeId,
        /// The run.
        run: RunId,
        /// Digest of its public key: a later boot of the same run has another one.
        key: String,
    },
    /// The host that one plan made.
    Host {
        /// The node.
        node: NodeId,
        /// The plan.
        plan: PlanId,
        /// Digest of its public key: the host of a later boot of the same run has another one.
        key: String,
    },
    /// A person, or a program that stands for one.
    Operator {
        /// Its name.
        name: String,
    },
}

impl Peer {
    /// Reads the common name of a certificate whose public key has this digest. `None` where it is none of ours.
    #[must_use]
    pub fn from_common_name(text: &str, key: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "node" => {
                let (node, run) = rest.split_once(':')?;
                let (node, run) = (node.parse().ok()?, run.parse().ok()?);
                let key = key.to_string();
                Some(Self::Node { node, run, key })
            }
            "host" => {
                let (node, plan) = rest.split_once(':')?;
                let (node, plan) = (node.parse().ok()?, plan.parse().ok()?);
                let key = key.to_string();
                Some(Self::Host { node, plan, key })
            }
            "operator" if !rest.is_empty() => Some(Self::Operator {
                name: rest.to_string(),
            }),
            _ => None,
        }
    }

    /// The common name of its certificate; `None` for anyone.
    #[must_use]
    pub fn common_name(&self) -> Option<String> {
        match self {
            Self::Anyone => None,
            Self::Node { node, run, .. } => Some(format!("node:{node}:{run}")),
            Self::Host { node, plan, .. } => Some(format!("host:{node}:{plan}")),
            Self::Operator { name } => Some(format!("operator:{name}")),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            &self
                .common_name()
                .unwrap_or_else(|| "no certificate".to_string()),
        )
    }
}

/// The kind of caller that a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Anyone.
    Anyone,
    /// A maintenance OS.
    Node,
    /// A host's agent.
    Host,
    /// An operator.
    Operator,
    /// A maintenance OS or an operator.
    NodeOrOperator,
}

impl Who {
    /// Whether this caller may call.
    #[must_use]
    pub fn admits(self, peer: &Peer) -> bool {
        match self {
            Self::Anyone => true,
            Self::Node => matches!(peer, Peer::Node { .. }),
            Self::Host => matches!(peer, Peer::Host { .. }),
            Self::Operator => matches!(peer, Peer::Operator { .. }),
            Self::NodeOrOperator => matches!(peer, Peer::Node { .. } | Peer::Operator { .. }),
        }
    }

    /// For people.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Node => "a node in its run",
            Self::Host => "a host's agent",
            Self::Operator => "an operator",
            Self::NodeOrOperator => "a node in its run, or an operator",
        }
    }
}

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its path, as in [`groundstate_api::paths`].
    pub path: &'static str,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Who may call it.
    pub who: Who,
}

const fn route(method: &'static str, path: &'static str, who: Who) -> Route {
    Route { path, method, who }
}

impl Route {
    /// Every route of the API.
    pub const ALL: &'static [Self] = &[
        route("GET", paths::HEALTHZ, Who::Anyone),
        route("GET", paths::NODES, Who::Operator),
        route("GET", paths::NODE, Who::Operator),
        route("POST", paths::PROVISION, Who::Operator),
        route("POST", paths::REPROVISION, Who::Operator),
        route("GET", paths::NODE_PLAN, Who::Operator),
        route("GET", paths::NODE_PLAN_PREVIEW, Who::Operator),
        route("POST", paths::REBUILD_DISK, Who::Operator),
        route("POST", paths::ERASE, Who::Operator),
        route("GET", paths::ERASE_CERTIFICATES, Who::Operator),
        route("GET", paths::NODE_LOG, Who::Operator),
        route("GET", paths::EVENTS, Who::Operator),
        route("GET", paths::BOOTS, Who::Operator),
        route("GET", paths::BOOT_ANSWERS, Who::Operator),
        route("POST", paths::BOOT_REPORTS, Who::Operator),
        route("POST", paths::ENROL, Who::Anyone),
        route("POST", paths::RUN_INVENTORY, Who::Node),
        route("GET", paths::RUN_INSTRUCTION, Who::Node),
        route("POST", paths::RUN_PROGRESS, Who::Node),
        route("POST", paths::RUN_LOG, Who::Node),
        route("POST", paths::RUN_SOURCES, Who::Node),
        route("POST", paths::RUN_HOST_CREDENTIAL, Who::Node),
        route("POST", paths::RUN_ERASED, Who::Node),
        route("POST", paths::HOST_REGISTER, Who::Host),
        route("POST", paths::HOST_HEARTBEAT, Who::Host),
        route("GET", paths::IMAGE_MANIFEST, Who::NodeOrOperator),
        route("GET", paths::CHUNK, Who::NodeOrOperator),
        route("GET", paths::BLOB, Who::NodeOrOperator),
        route("GET", paths::TRUST_ROOT, Who::NodeOrOperator),
        route("GET", paths::TRUST_CATALOGUE, Who::NodeOrOperator),
        route("GET", paths::TRUST_IMAGE, Who::NodeOrOperator),
    ];

    /// Who may call the path; `None` for a path that is not in the table.
    #[must_use]
    pub fn who(path: &str) -> Option<Who> {
        Self::ALL.iter().find(|r| r.path == path).map(|r| r.who)
    }
}
