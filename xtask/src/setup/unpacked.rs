// SPDX-License-Identifier: Apache-2.0
//! Peers of the tests that Debian packages as servers: unpacked below `target/groundstate/`, as the benches have them, and never
//! installed, because an installed server would be started.
//!
//! Where one cannot be fetched it is named; the test against it is skipped then, and in CI it fails.

use crate::bench::{Peer, Peers};
use crate::layout::Layout;
use anyhow::Result;

/// The packages.
const PEERS: &[Peer] = &[
    // A cache in front of the image server.
    Peer::new("nginx", "nginx-light"),
];

/// Unpacks what is neither installed nor unpacked.
pub(crate) fn peers(layout: &Layout) -> Result<()> {
    Peers::fetch(layout, PEERS).map(drop)
}
