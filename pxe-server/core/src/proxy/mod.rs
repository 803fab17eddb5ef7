// SPDX-License-Identifier: Apache-2.0
//! Boot files beside a foreign DHCP server (PXE 2.1, section 2.2): proxyDHCP on port 67 and the boot server on port 4011.
//!
//! It refuses to give an address, to keep a lease, and to answer an operating system.

mod config;
mod reply;
mod request;
mod service;

pub use config::{ProxyConfig, ProxyConfigError};
pub use request::{Port, ProxyRequest};
pub use service::{Proxy, ProxyAction, ProxyDropped, ProxyEvent};
