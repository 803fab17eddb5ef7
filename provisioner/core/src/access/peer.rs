// SPDX-License-Identifier: Apache-2.0
//! Who calls, as its certificate says. The site CA signed it; the name in it is ours.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use groundstate_api::site_parts::Role;
use groundstate_api::{NodeId, PlanId, RunId};

/// The longest name of a person or a program, in characters.
pub const CLIENT_NAME_MAX: usize = 63;
/// The name in the first certificate, which the provisioner makes for itself. It is given to nobody else.
pub const FIRST_NAME: &str = "local";

/// Who calls.
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
    Client {
        /// What it may do.
        role: Role,
        /// Its name.
        name: String,
        /// Digest of its public key: what is revoked.
        key: String,
    },
}

impl Peer {
    /// Reads the common name of a certificate whose public key has this digest. `None` where it is none of ours.
    ///
    /// `operator:local` is an admin: it is the first certificate of sites that were set up before there were roles, when the
    /// operator's was the only one and opened everything. No other certificate gets that name.
    #[must_use]
    pub fn from_common_name(text: &str, key: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let key = key.to_string();
        match kind {
            "node" => {
                let (node, run) = rest.split_once(':')?;
                let (node, run) = (node.parse().ok()?, run.parse().ok()?);
                Some(Self::Node { node, run, key })
            }
            "host" => {
                let (node, plan) = rest.split_once(':')?;
                let (node, plan) = (node.parse().ok()?, plan.parse().ok()?);
                Some(Self::Host { node, plan, key })
            }
            _ => {
                let role = Role::ALL.into_iter().find(|role| role.as_str() == kind)?;
                let first = role == Role::Operator && rest == FIRST_NAME;
                let role = if first { Role::Admin } else { role };
                Self::client(role, rest, &key)
            }
        }
    }

    /// A person or a program; `None` where the name is not 1 to 63 of `a-z`, `0-9`, `-`, `.`, `_`.
    #[must_use]
    pub fn client(role: Role, name: &str, key: &str) -> Option<Self> {
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_');
        let good = (1..=CLIENT_NAME_MAX).contains(&name.len()) && name.chars().all(allowed);
        good.then(|| Self::Client {
            role,
            name: name.to_string(),
            key: key.to_string(),
        })
    }

    /// The common name of its certificate; `None` for anyone.
    #[must_use]
    pub fn common_name(&self) -> Option<String> {
        match self {
            Self::Anyone => None,
            Self::Node { node, run, .. } => Some(format!("node:{node}:{run}")),
            Self::Host { node, plan, .. } => Some(format!("host:{node}:{plan}")),
            Self::Client { role, name, .. } => Some(format!("{}:{name}", role.as_str())),
        }
    }

    /// The role of a person or a program.
    #[must_use]
    pub const fn role(&self) -> Option<Role> {
        match self {
            Self::Client { role, .. } => Some(*role),
            Self::Anyone | Self::Node { .. } | Self::Host { .. } => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_are_nobody() {
        for role in Role::ALL {
            let peer = Peer::client(role, "ana.b-1_c", "sha256:k").unwrap();
            let name = peer.common_name().unwrap();
            assert_eq!(Peer::from_common_name(&name, "sha256:k"), Some(peer));
        }
        let long = format!("viewer:{}", "a".repeat(64));
        for text in [
            "",
            "viewer",
            "viewer:",
            "root:ana",
            "viewer:Ana",
            "viewer:a b",
            "admin:a\nb",
            "viewer:a:b",
            "node:a",
            "host:a:b:c",
            long.as_str(),
        ] {
            assert_eq!(Peer::from_common_name(text, "k"), None, "{text}");
        }
    }

    #[test]
    fn the_first_certificate_of_before_there_were_roles_is_an_admin_and_no_other() {
        let role = |text| Peer::from_common_name(text, "k").unwrap().role();
        assert_eq!(role("operator:local"), Some(Role::Admin));
        assert_eq!(role("admin:local"), Some(Role::Admin));
        assert_eq!(role("operator:ana"), Some(Role::Operator));
        assert_eq!(role("viewer:local"), Some(Role::Viewer));
    }
}
