// SPDX-License-Identifier: Apache-2.0
//! An authoritative DHCPv4 server for several subnets that also answers PXE, UEFI HTTP Boot and iPXE (RFC 2131, 2132,
//! 3011, 3046, 3396, 3442, 3527, 4578, 5107, 6842, PXE 2.1).
//!
//! [`Request::parse`] turns bytes into a request that can only be meaningful; [`Server::handle`] turns a request and the
//! boot policy's answer into replies, sightings and wishes to keep leases. proxyDHCP and DHCPv6 are not here; they share
//! [`boot_file`], the options and the writer.

mod action;
mod bindings;
mod book;
mod boot_file;
mod client;
mod config;
mod declines;
mod foreign;
mod free;
mod grant;
mod lease;
mod offers;
pub(crate) mod options;
mod quiet;
mod reply;
mod request;
mod reservation;
mod server;
mod space;
mod subnet;
mod tell;
pub(crate) mod write;

pub use action::{Action, Dropped, Event};
pub use boot_file::{BootFile, boot_file};
pub use client::Client;
pub use config::{BootNames, Reservation, Route, ServerConfig, SubnetConfig, Who};
pub use foreign::Overheard;
pub use lease::{Lease, LeaseCounts, LeaseState};
pub(crate) use quiet::Quiet;
pub use reply::Destination;
pub use request::{Malformed, Message, Request};
pub use reservation::ReservationError;
pub use server::Server;
pub(crate) use server::no_file;
pub use subnet::{ServerConfigError, SubnetError, SubnetName};
