// SPDX-License-Identifier: Apache-2.0
//! Further ranges of addresses that are leased, `[[network.pool]]`: in the provisioning network itself, or in a subnet behind a
//! relay agent.

use crate::ids::MacAddr;
use crate::site::Network;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use serde::{Deserialize, Serialize};

/// A range of addresses.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Its name: 1 to 63 of `a-z`, `0-9`, `-`.
    pub name: String,
    /// The subnet, for example `10.20.1.0/24`; its machines' questions come through a relay agent. Without it: the provisioning
    /// network's own, whose router, name servers and lease time hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// First address to lease.
    pub first: Ipv4Addr,
    /// Last address to lease.
    pub last: Ipv4Addr,
    /// The rack whose machines are served from the subnet: its relay agent must be in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<String>,
    /// Default gateway of the subnet (option 3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<Ipv4Addr>,
    /// Name servers of the subnet (option 6); the provisioning network's where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<Ipv4Addr>,
    /// Lease time of the subnet in seconds; the provisioning network's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_secs: Option<u32>,
    /// Addresses that are one machine's alone.
    #[serde(default, rename = "reservation", skip_serializing_if = "Vec::is_empty")]
    pub reservations: Vec<PoolReservation>,
}

/// An address of the pool's subnet, inside or outside its range, that is one machine's alone.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolReservation {
    /// The MAC address of the machine.
    pub mac: MacAddr,
    /// The address.
    pub address: Ipv4Addr,
    /// The host name that it is told (option 12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
}

/// A subnet: its own address and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PoolSubnet {
    /// Its own address, `10.20.1.0`.
    pub network: Ipv4Addr,
    /// The length of its prefix, 8 to 30.
    pub prefix: u8,
}

/// Prefixes of a subnet with machines in it.
const PREFIX_MIN: u8 = 8;
const PREFIX_MAX: u8 = 30;

impl PoolSubnet {
    /// The subnet that an address is in; `None` where the prefix is none for machines.
    #[must_use]
    pub fn around(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        if !(PREFIX_MIN..=PREFIX_MAX).contains(&prefix) {
            return None;
        }
        let mask = u32::MAX << (32 - u32::from(prefix));
        Some(Self {
            network: Ipv4Addr::from(u32::from(address) & mask),
            prefix,
        })
    }

    /// Reads `10.20.1.0/24`; `None` where that is no subnet, or an address within one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let is_plain = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let address: Ipv4Addr = address.parse().ok()?;
        let subnet = Self::around(address, prefix.parse().ok().filter(|_| is_plain)?)?;
        (subnet.network == address).then_some(subnet)
    }

    /// Its last address, which is everybody's.
    #[must_use]
    pub fn broadcast(&self) -> Ipv4Addr {
        let hosts = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
        Ipv4Addr::from(u32::from(self.network) | hosts)
    }

    /// Whether this is the address of a machine in it: neither its own nor everybody's.
    #[must_use]
    pub fn is_host(&self, address: Ipv4Addr) -> bool {
        address > self.network && address < self.broadcast()
    }

    /// Whether both have an address in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.network <= other.broadcast() && other.network <= self.broadcast()
    }
}

impl core::fmt::Display for PoolSubnet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl Pool {
    /// The subnet that it is in; `None` where what is said of it is none.
    #[must_use]
    pub fn subnet(&self, network: &Network) -> Option<PoolSubnet> {
        match &self.network {
            Some(text) => PoolSubnet::parse(text),
            None => PoolSubnet::around(network.address, network.prefix),
        }
    }

    /// The addresses that it has; 0 where it ends before it begins.
    #[must_use]
    pub fn size(&self) -> u64 {
        size(self.first, self.last)
    }
}

/// The addresses from one to another, both included; 0 where the last one is before the first.
#[must_use]
pub fn size(first: Ipv4Addr, last: Ipv4Addr) -> u64 {
    (u64::from(u32::from(last)) + 1).saturating_sub(u64::from(u32::from(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_is_its_own_address_and_a_prefix() {
        let subnet = PoolSubnet::parse("10.20.4.0/22").unwrap();
        assert_eq!(subnet.broadcast(), Ipv4Addr::new(10, 20, 7, 255));
        for (address, is_host) in [
            ([10, 20, 4, 0], false),
            ([10, 20, 4, 1], true),
            ([10, 20, 7, 254], true),
            ([10, 20, 7, 255], false),
            ([10, 20, 8, 1], false),
        ] {
            assert_eq!(subnet.is_host(address.into()), is_host, "{address:?}");
        }
        for text in [
            "10.20.4.1/22",
            "10.20.4.0",
            "10.20.4.0/",
            "10.20.4.0/31",
            "10.20.4.0/7",
            "10.20.4.0/+24",
            "10.20.4.0/024x",
            " 10.20.4.0/24",
            "fd00::/24",
        ] {
            assert_eq!(PoolSubnet::parse(text), None, "{text}");
        }
        let of = |text: &str| PoolSubnet::parse(text).unwrap();
        assert!(of("10.0.0.0/8").overlaps(&subnet) && subnet.overlaps(&of("10.0.0.0/8")));
        assert!(!of("10.20.8.0/22").overlaps(&subnet));
        assert_eq!(size([0, 0, 0, 0].into(), [255; 4].into()), 1 << 32);
        assert_eq!(size([10, 0, 0, 9].into(), [10, 0, 0, 8].into()), 0);
    }
}
