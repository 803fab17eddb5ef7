// SPDX-License-Identifier: Apache-2.0
//! The real server over loopback TLS, called as nodes, hosts, operators and strangers call it; curl among them.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

mod access;
mod adopt;
mod among;
mod asked;
mod at_once;
mod boots;
mod credentials;
mod desk;
mod disks;
mod enrolment;
mod erase;
mod files;
mod fleet;
mod follow;
mod full;
mod golden;
mod hostile;
mod life_orders;
mod machines;
mod matrix;
mod measures;
mod newest;
mod page;
mod pki;
mod resume;
mod resumed;
mod roles;
mod site;
mod slow;
mod sources;
mod trends;
mod way;
mod webhook;
mod world;
