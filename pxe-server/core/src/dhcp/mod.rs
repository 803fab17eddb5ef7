// SPDX-License-Identifier: Apache-2.0
//! An authoritative DHCPv4 server for one subnet that also answers PXE, UEFI HTTP Boot and iPXE (RFC 2131, RFC 2132,
//! RFC 4578, PXE 2.1).
//!
//! [`Request::parse`] turns bytes into a request that can only be meaningful; [`Server::handle`] turns a request and the
//! boot policy's answer into replies, sightings and a wish to keep the leases. proxyDHCP, several subnets and DHCPv6 are
//! not here.

mod client;
mod lease;
mod quiet;
mod reply;
mod request;
mod server;
mod subnet;

pub use client::Client;
pub use lease::{Lease, LeaseState, LeaseTable};
pub use reply::Destination;
pub use request::{Malformed, Message, Request};
pub use server::{Action, Dropped, Event, Server};
pub use subnet::{Subnet, SubnetError};
