// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask bench image`: images published, served, deployed and fanned out, against the tools that people would use
//! instead.
//!
//! Its traffic stays on loopback and in network namespaces of its own.

use super::measure::Part;
use super::peers::Peer;
use super::suite::Suite;
use std::time::Duration;

/// Images.
pub(super) const SUITE: Suite = Suite {
    name: "image",
    parts: PARTS,
    peers: PEERS,
    crates: &[],
    limit: Duration::from_secs(28 * 60),
};

/// The parts, in order: `compare` has a word for each. Add yours at the end.
const PARTS: &[Part] = &[
    Part::new("image-publish", "publish an image, against zstd and casync"),
    Part::new(
        "image-deploy",
        "an image onto a disk, its second version, the same again",
    ),
    Part::new("image-serve", "serve chunks, plain and TLS"),
    Part::new("image-fan-out", "32 machines at once, with peers"),
];

/// The tools and servers that are measured, as Debian packages. Add yours at the end.
const PEERS: &[Peer] = &[
    Peer::new("nginx", "nginx-light"),
    Peer::new("bmaptool", "bmap-tools"),
    Peer::new("casync", "casync"),
    Peer::new("udp-sender", "udpcast"),
    Peer::new("curl", "curl"),
    Peer::new("zstd", "zstd"),
    Peer::new("qemu-img", "qemu-utils"),
];
