// SPDX-License-Identifier: Apache-2.0
//! Sets of roles, and the kinds of caller that a route is for.

use super::Peer;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::site_parts::Role;

/// A set of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);
    /// Every role: what is only seen.
    pub const ALL: Self = Self::of(&Role::ALL);
    /// The admin alone.
    pub const ADMIN: Self = Self::of(&[Role::Admin]);
    /// People who order: operator and admin.
    pub const OPERATOR: Self = Self::of(&[Role::Operator, Role::Admin]);
    /// Who orders runs and measures: operator, admin, fabric.
    pub const ORDERS: Self = Self::of(&[Role::Operator, Role::Admin, Role::Fabric]);
    /// Who works at machines: technician, operator, admin.
    pub const HANDS: Self = Self::of(&[Role::Technician, Role::Operator, Role::Admin]);
    /// Everybody but the viewer.
    pub const ACTS: Self = Self::of(&[Role::Technician, Role::Operator, Role::Admin, Role::Fabric]);
    /// The fabric controller, and the admin.
    pub const FABRIC: Self = Self::of(&[Role::Fabric, Role::Admin]);

    /// These roles.
    #[must_use]
    pub const fn of(roles: &[Role]) -> Self {
        let (mut bits, mut left) = (0, roles);
        while let Some((role, rest)) = left.split_first() {
            bits |= Self::bit(*role);
            left = rest;
        }
        Self(bits)
    }

    /// Whether a role is among them.
    #[must_use]
    pub const fn has(self, role: Role) -> bool {
        self.0 & Self::bit(role) != 0
    }

    const fn bit(role: Role) -> u8 {
        match role {
            Role::Viewer => 1,
            Role::Technician => 2,
            Role::Operator => 4,
            Role::Admin => 8,
            Role::Fabric => 16,
        }
    }

    fn says(self) -> String {
        let among = Role::ALL.into_iter().filter(|role| self.has(*role));
        let names: Vec<&str> = among.map(Role::as_str).collect();
        match names.split_last() {
            Some((last, before)) if !before.is_empty() => {
                format!("{} or {last}", before.join(", "))
            }
            Some((only, _)) => String::from(*only),
            None => String::from("nobody"),
        }
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
    /// A person or a program with one of these roles.
    Roles(Roles),
    /// A maintenance OS in its run, or one of these roles.
    NodeOr(Roles),
}

impl Who {
    /// Whether this caller may call.
    #[must_use]
    pub fn admits(self, peer: &Peer) -> bool {
        match self {
            Self::Anyone => true,
            Self::Node => matches!(peer, Peer::Node { .. }),
            Self::Host => matches!(peer, Peer::Host { .. }),
            Self::Roles(roles) => peer.role().is_some_and(|role| roles.has(role)),
            Self::NodeOr(roles) => {
                matches!(peer, Peer::Node { .. }) || peer.role().is_some_and(|role| roles.has(role))
            }
        }
    }

    /// The roles that may call.
    #[must_use]
    pub const fn roles(self) -> Roles {
        match self {
            Self::Anyone => Roles::ALL,
            Self::Node | Self::Host => Roles::NONE,
            Self::Roles(roles) | Self::NodeOr(roles) => roles,
        }
    }

    /// For people.
    #[must_use]
    pub fn says(self) -> String {
        match self {
            Self::Anyone => String::from("anyone"),
            Self::Node => String::from("a node in its run"),
            Self::Host => String::from("a host's agent"),
            Self::Roles(roles) => format!("the role {}", roles.says()),
            Self::NodeOr(roles) => format!("a node in its run, or the role {}", roles.says()),
        }
    }
}
