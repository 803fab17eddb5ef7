// SPDX-License-Identifier: Apache-2.0
//! What a proxyDHCP service is told.

use crate::dhcp::BootNames;
use crate::names::HttpBase;
use core::net::Ipv4Addr;

/// A proxyDHCP service beside somebody else's DHCP server. It has no pool: it never gives an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyConfig {
    /// Our own address: the server identifier, and where TFTP is served.
    pub address: Ipv4Addr,
    /// Where our HTTP boot files are.
    pub http: HttpBase,
    /// The names of first stages.
    pub boot: BootNames,
}

/// Why a proxyDHCP service cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyConfigError {
    /// The address is no host's address.
    #[error("address {address} is not an address that machines could fetch boot files from")]
    Address {
        /// As given.
        address: Ipv4Addr,
    },
}

impl ProxyConfig {
    pub(super) fn check(&self) -> Result<(), ProxyConfigError> {
        let address = self.address;
        let usable = !(address.is_unspecified()
            || address.is_broadcast()
            || address.is_multicast()
            || address.is_loopback());
        if usable {
            Ok(())
        } else {
            Err(ProxyConfigError::Address { address })
        }
    }
}
