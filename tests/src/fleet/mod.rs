// SPDX-License-Identifier: Apache-2.0
//! A fleet of simulated nodes that speak to a real provisioner over real HTTPS: each enrols with a key of its own, sends an
//! inventory, carries its plan out step by step, gets its host's certificate, registers and reports.
//!
//! No machine runs: what a node would do to its disks takes the time it is told and nothing else. Everything that is said, and
//! in which order, is what `maintenance-os` and `host-agent` say.

mod call;
mod node;
mod population;
mod swarm;
mod tally;

pub use call::{Answer, Line, Trust};
pub use node::{Acknowledged, Pace};
pub use population::{Member, Population};
pub use swarm::Swarm;
pub use tally::{Latencies, Tally};
