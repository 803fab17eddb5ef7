// SPDX-License-Identifier: Apache-2.0
//! proxyDHCP: what each kind of client is told beside a foreign DHCP server, and the replay of real clients' packets.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

#[path = "proxy/anything.rs"]
mod anything;
#[path = "proxy/captures.rs"]
mod captures;
#[path = "proxy/frames.rs"]
mod frames;
#[path = "proxy/packet.rs"]
mod packet;
#[path = "proxy/table.rs"]
mod table;
