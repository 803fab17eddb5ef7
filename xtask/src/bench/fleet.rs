// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask bench fleet`: the provisioner with ten thousand simulated nodes, which speak real HTTPS from network namespaces
//! of their own.
//!
//! `GROUNDSTATE_BENCH_NODES` makes the fleet smaller and `GROUNDSTATE_BENCH_SECS` each stretch shorter; the names of the figures
//! say the size.

use super::measure::Part;
use super::suite::Suite;
use std::time::Duration;

/// The fleet.
pub(super) const SUITE: Suite = Suite {
    name: "fleet",
    parts: PARTS,
    peers: &[],
    crates: &[],
    limit: Duration::from_secs(28 * 60),
};

/// The parts, in order: `compare` has a word for each. Add yours at the end.
const PARTS: &[Part] = &[Part::new(
    "fleet",
    "taken in, reporting, silent, beside other work, started again",
)];
