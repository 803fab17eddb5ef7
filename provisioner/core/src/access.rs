// SPDX-License-Identifier: Apache-2.0
//! Who may call what: one row per route and method. What has no row is refused to everybody.
//!
//! It refuses to know how a caller proved who it is: the certificate was checked before.

mod peer;
mod roles;
mod rows;

pub use peer::{CLIENT_NAME_MAX, FIRST_NAME, Peer};
pub use roles::{Roles, Who};

/// What a call touches, and so what is checked beside the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// Nothing that belongs to a node: health, this API's description, images.
    Nothing,
    /// The node of the path: the gate refuses callers that may not touch it.
    Node,
    /// A list, or one thing that is not named by its node: the handler leaves out, or refuses, what the caller may not see.
    Each,
    /// The whole site: callers that are bound to racks or nodes are refused.
    Site,
    /// The caller's own node, as its certificate says.
    Own,
}

impl Object {
    /// For the guide.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Node => "the node",
            Self::Each => "each one",
            Self::Site => "the whole site",
            Self::Own => "its own node",
        }
    }
}

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its path, as in [`groundstate_api::paths`].
    pub path: &'static str,
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: &'static str,
    /// Who may call it.
    pub who: Who,
    /// What is checked beside that.
    pub object: Object,
}

impl Route {
    /// Every route of the API.
    pub const ALL: &'static [Self] = rows::ALL;

    /// The row of a route that must have one. Where it is asked in a constant, a route without a row does not compile.
    ///
    /// # Panics
    /// Where there is no such row.
    #[must_use]
    pub const fn row(method: &str, path: &str) -> &'static Self {
        match Self::find(method, path) {
            Some(row) => row,
            None => panic!("a route without a row in prov_core::access::Route::ALL"),
        }
    }

    /// The row of this method and path.
    #[must_use]
    pub const fn find(method: &str, path: &str) -> Option<&'static Self> {
        let mut left = Self::ALL;
        while let Some((row, rest)) = left.split_first() {
            if same(row.method.as_bytes(), method.as_bytes())
                && same(row.path.as_bytes(), path.as_bytes())
            {
                return Some(row);
            }
            left = rest;
        }
        None
    }

    /// Whether a call changes something.
    #[must_use]
    pub const fn changes(&self) -> bool {
        !same(self.method.as_bytes(), b"GET")
    }
}

const fn same(mut a: &[u8], mut b: &[u8]) -> bool {
    loop {
        match (a.split_first(), b.split_first()) {
            (None, None) => return true,
            (Some((x, a_rest)), Some((y, b_rest))) if *x == *y => {
                a = a_rest;
                b = b_rest;
            }
            (Some(_), Some(_)) | (None, Some(_)) | (Some(_), None) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::site_parts::Role;

    #[test]
    fn no_route_stands_twice_and_each_is_found() {
        for (n, route) in Route::ALL.iter().enumerate() {
            let again = Route::ALL.iter().skip(n + 1);
            let twice = again
                .filter(|other| other.path == route.path && other.method == route.method)
                .count();
            assert_eq!(twice, 0, "{} {}", route.method, route.path);
            assert_eq!(Route::row(route.method, route.path), route);
            let named = route.path.contains("{node}");
            assert_eq!(named, route.object == Object::Node, "{}", route.path);
        }
        assert_eq!(Route::find("POST", "/healthz"), None);
    }

    #[test]
    fn an_admin_may_all_that_any_role_may_and_a_viewer_changes_nothing() {
        for route in Route::ALL {
            let roles = route.who.roles();
            if roles != Roles::NONE {
                assert!(roles.has(Role::Admin), "{} {}", route.method, route.path);
            }
            let is_known = route.who != Who::Anyone;
            let may = is_known && roles.has(Role::Viewer) && route.changes();
            assert!(!may, "{} {}", route.method, route.path);
        }
    }
}
