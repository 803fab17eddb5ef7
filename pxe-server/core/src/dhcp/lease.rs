// SPDX-License-Identifier: Apache-2.0
//! One lease: what is written and read over a restart.

use core::net::Ipv4Addr;
use groundstate_api::boot::Firmware;
use groundstate_api::{MacAddr, Millis, SystemUuid};
use serde::{Deserialize, Serialize};

/// How an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseState {
    /// Taken.
    Bound,
    /// Its machine, or our probe, found it in use by somebody else.
    Declined,
}

/// One address that was given to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// Whose it is.
    pub mac: MacAddr,
    /// How it stands.
    pub state: LeaseState,
    /// Since when this machine has this address, lapses included, milliseconds since 1970.
    #[serde(default)]
    pub since: Millis,
    /// Until when, milliseconds since 1970.
    pub until: Millis,
    /// The machine's UUID, where it was heard.
    pub uuid: Option<SystemUuid>,
    /// The firmware that the machine last booted with, where it was heard.
    pub firmware: Option<Firmware>,
}

/// Leases by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseCounts {
    /// Held by a machine.
    pub bound: u64,
    /// Found in use by somebody else.
    pub declined: u64,
    /// Run out and remembered.
    pub expired: u64,
}

impl Lease {
    /// Whether it holds now.
    #[must_use]
    pub fn holds(&self, now: Millis) -> bool {
        now < self.until
    }
}
