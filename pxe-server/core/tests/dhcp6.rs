// SPDX-License-Identifier: Apache-2.0
//! DHCPv6: what each message and each kind of client is answered, through relay agents too, and the replay of real
//! clients' packets.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

#[path = "dhcp6/anything.rs"]
mod anything;
#[path = "dhcp6/captures.rs"]
mod captures;
#[path = "dhcp6/clients.rs"]
mod clients;
#[path = "proxy/frames.rs"]
mod frames;
#[path = "dhcp6/leases.rs"]
mod leases;
#[path = "dhcp6/links.rs"]
mod links;
#[path = "dhcp6/malformed.rs"]
mod malformed;
#[path = "dhcp6/messages.rs"]
mod messages;
#[path = "dhcp6/packet.rs"]
mod packet;
#[path = "dhcp6/relays.rs"]
mod relays;
