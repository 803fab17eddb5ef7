// SPDX-License-Identifier: Apache-2.0
//! The DHCP server's answers, and the replay of real clients' packets.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

#[path = "dhcp/captures.rs"]
mod captures;
#[allow(dead_code, reason = "these tests look at no sender")]
#[path = "proxy/frames.rs"]
mod frames;
#[path = "dhcp/kinds.rs"]
mod kinds;
#[path = "dhcp/leases.rs"]
mod leases;
#[path = "dhcp/malformed.rs"]
mod malformed;
#[path = "dhcp/packet.rs"]
mod packet;
#[path = "dhcp/properties.rs"]
mod properties;
#[path = "dhcp/seen.rs"]
mod seen;
#[path = "dhcp/site_pools.rs"]
mod site_pools;
#[path = "dhcp/subnets.rs"]
mod subnets;
#[path = "dhcp/table.rs"]
mod table;
#[path = "dhcp/threats.rs"]
mod threats;
#[path = "dhcp/wire.rs"]
mod wire;
