// SPDX-License-Identifier: Apache-2.0
//! DHCPv6 for network boot (RFC 8415, RFC 5970): addresses and boot file URLs for UEFI PXEv6 and HTTPv6.
//!
//! It refuses prefixes and temporary addresses, and sends no DHCPv6 message that is not the answer to one. Router
//! Advertisements go with it, a few in an hour.

mod advert;
mod choose;
mod config;
mod duid;
mod lease;
mod reply;
mod request;
mod server;
mod wire;

pub use advert::Advertiser;
pub use config::{Dhcp6Config, Dhcp6ConfigError, Reservation6, Subnet6, Who6};
pub use duid::Duid;
pub use lease::{LEASES_MAX, Lease6, LeaseState6};
pub use reply::{Destination6, REPLY_MAX};
pub use request::{Ia, IaKind, Malformed6, Message6, RELAYS_MAX, Request6};
pub use server::{Action6, Dropped6, Event6, Server6};
