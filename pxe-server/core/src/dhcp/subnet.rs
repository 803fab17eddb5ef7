// SPDX-License-Identifier: Apache-2.0
//! The subnet that is served, checked once.

use crate::names::HttpBase;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::ops::RangeInclusive;
use groundstate_api::site::Network;

/// The largest pool, in addresses: it bounds the lease table's memory and the search for a free address.
pub(super) const POOL_MAX: u32 = 65_536;
/// Lease times that are sensible, in seconds: five minutes to a week.
pub(super) const LEASE_SECS: RangeInclusive<u32> = 300..=604_800;
/// Name servers that fit a reply without crowding out the rest.
pub(super) const DNS_MAX: usize = 8;

/// Why a network cannot be served. Each names the site file's field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubnetError {
    /// The prefix is not 8 to 30.
    #[error("network.prefix is {prefix}; it must be 8 to 30")]
    Prefix {
        /// As given.
        prefix: u8,
    },
    /// An address is not a host address of the subnet.
    #[error("network.{field} is {address}, which is not a host address of {network}/{prefix}")]
    Outside {
        /// The field.
        field: &'static str,
        /// Its value.
        address: Ipv4Addr,
        /// The network.
        network: Ipv4Addr,
        /// The prefix.
        prefix: u8,
    },
    /// The pool ends before it begins.
    #[error("network.pool_last {last} lies before network.pool_first {first}")]
    PoolOrder {
        /// First.
        first: Ipv4Addr,
        /// Last.
        last: Ipv4Addr,
    },
    /// The pool is larger than `POOL_MAX`.
    #[error("the pool has {addresses} addresses; {POOL_MAX} is the most")]
    PoolSize {
        /// How many.
        addresses: u32,
    },
    /// Our own address or the router's lies in the pool.
    #[error("network.{field} {address} lies in the pool; it would be leased to a machine")]
    InPool {
        /// The field.
        field: &'static str,
        /// Its value.
        address: Ipv4Addr,
    },
    /// The lease time is out of range.
    #[error("network.lease_secs is {seconds}; it must be 300 to 604,800")]
    LeaseTime {
        /// As given.
        seconds: u32,
    },
    /// Too many name servers.
    #[error("network.dns has {count} entries; {DNS_MAX} is the most")]
    Dns {
        /// How many.
        count: usize,
    },
}

/// A subnet with its pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    address: Ipv4Addr,
    mask: u32,
    first: u32,
    last: u32,
    router: Option<Ipv4Addr>,
    dns: Vec<Ipv4Addr>,
    lease_secs: u32,
    http: HttpBase,
}

impl Subnet {
    /// Checks what the site file says.
    ///
    /// # Errors
    /// The first field that cannot be served.
    pub fn new(network: &Network) -> Result<Self, SubnetError> {
        if !(8..=30).contains(&network.prefix) {
            return Err(SubnetError::Prefix {
                prefix: network.prefix,
            });
        }
        let mask = u32::MAX << (32 - u32::from(network.prefix));
        let subnet = Self {
            address: network.address,
            mask,
            first: network.pool_first.into(),
            last: network.pool_last.into(),
            router: network.router,
            dns: network.dns.clone(),
            lease_secs: network.lease_secs,
            http: HttpBase {
                address: network.address,
                port: network.http_port,
            },
        };
        subnet.check(network.prefix).map(|()| subnet)
    }

    fn check(&self, prefix: u8) -> Result<(), SubnetError> {
        let (first, last) = (Ipv4Addr::from(self.first), Ipv4Addr::from(self.last));
        let mut hosts = alloc::vec![
            ("address", self.address),
            ("pool_first", first),
            ("pool_last", last)
        ];
        hosts.extend(self.router.map(|router| ("router", router)));
        for &(field, address) in &hosts {
            if !self.is_host(address) {
                let network = Ipv4Addr::from(u32::from(self.address) & self.mask);
                return Err(SubnetError::Outside {
                    field,
                    address,
                    network,
                    prefix,
                });
            }
        }
        if self.last < self.first {
            return Err(SubnetError::PoolOrder { first, last });
        }
        if self.size() > POOL_MAX {
            return Err(SubnetError::PoolSize {
                addresses: self.size(),
            });
        }
        for (field, address) in hosts {
            if !field.starts_with("pool") && self.in_pool(address) {
                return Err(SubnetError::InPool { field, address });
            }
        }
        if !LEASE_SECS.contains(&self.lease_secs) {
            return Err(SubnetError::LeaseTime {
                seconds: self.lease_secs,
            });
        }
        if self.dns.len() > DNS_MAX {
            return Err(SubnetError::Dns {
                count: self.dns.len(),
            });
        }
        Ok(())
    }

    /// Our own address: the server identifier.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }
    /// The subnet mask.
    #[must_use]
    pub fn mask(&self) -> Ipv4Addr {
        self.mask.into()
    }
    /// The subnet's broadcast address.
    #[must_use]
    pub fn broadcast(&self) -> Ipv4Addr {
        (u32::from(self.address) | !self.mask).into()
    }
    /// The default gateway.
    #[must_use]
    pub const fn router(&self) -> Option<Ipv4Addr> {
        self.router
    }
    /// Name servers.
    #[must_use]
    pub fn dns(&self) -> &[Ipv4Addr] {
        &self.dns
    }
    /// Lease time in seconds.
    #[must_use]
    pub const fn lease_secs(&self) -> u32 {
        self.lease_secs
    }
    /// Where our HTTP boot files are.
    #[must_use]
    pub const fn http(&self) -> HttpBase {
        self.http
    }
    /// Whether the address is a host's address of this subnet (not the network's, not the broadcast address).
    #[must_use]
    pub fn is_host(&self, address: Ipv4Addr) -> bool {
        let (ours, it) = (u32::from(self.address), u32::from(address));
        ours & self.mask == it & self.mask && it & !self.mask != 0 && it & !self.mask != !self.mask
    }
    /// Whether the address may be leased.
    #[must_use]
    pub fn in_pool(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address.into())
    }
    /// How many addresses may be leased.
    #[must_use]
    pub const fn size(&self) -> u32 {
        (self.last - self.first).saturating_add(1)
    }
    /// The pool's addresses from the `start`th on (modulo the pool's size), around to the one before it.
    pub fn from(&self, start: u32) -> impl Iterator<Item = Ipv4Addr> {
        let (first, size) = (self.first, self.size());
        let start = start % size;
        (start..size)
            .chain(0..start)
            .map(move |index| Ipv4Addr::from(first + index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        Network {
            address: Ipv4Addr::new(10, 77, 0, 1),
            prefix: 24,
            pool_first: Ipv4Addr::new(10, 77, 0, 100),
            pool_last: Ipv4Addr::new(10, 77, 0, 199),
            router: None,
            dns: Vec::new(),
            lease_secs: 3_600,
            http_port: 80,
            https_port: 8_443,
        }
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn a_network_that_cannot_be_served_names_the_field() {
        assert!(Subnet::new(&network()).is_ok());
        let ip = |last| Ipv4Addr::new(10, 77, 0, last);
        let cases: Vec<(Network, &str)> = alloc::vec![
            (
                Network {
                    prefix: 31,
                    ..network()
                },
                "network.prefix"
            ),
            (
                Network {
                    pool_first: Ipv4Addr::new(10, 78, 0, 1),
                    ..network()
                },
                "network.pool_first"
            ),
            (
                Network {
                    pool_last: ip(255),
                    ..network()
                },
                "network.pool_last"
            ),
            (
                Network {
                    pool_last: ip(99),
                    ..network()
                },
                "before network.pool_first"
            ),
            (
                Network {
                    address: ip(150),
                    ..network()
                },
                "network.address"
            ),
            (
                Network {
                    router: Some(ip(150)),
                    ..network()
                },
                "network.router"
            ),
            (
                Network {
                    lease_secs: 10,
                    ..network()
                },
                "network.lease_secs"
            ),
            (
                Network {
                    dns: alloc::vec![ip(1); 9],
                    ..network()
                },
                "network.dns"
            ),
        ];
        for (network, says) in cases {
            let error = Subnet::new(&network).unwrap_err();
            assert!(
                std::string::ToString::to_string(&error).contains(says),
                "{error}"
            );
        }
        let wide = Network {
            prefix: 8,
            pool_first: Ipv4Addr::new(10, 80, 0, 0),
            pool_last: Ipv4Addr::new(10, 90, 0, 0),
            ..network()
        };
        assert!(matches!(
            Subnet::new(&wide),
            Err(SubnetError::PoolSize { .. })
        ));
    }

    #[test]
    fn the_pool_is_walked_once_around() {
        let subnet = Subnet::new(&Network {
            pool_last: Ipv4Addr::new(10, 77, 0, 102),
            ..network()
        })
        .unwrap();
        let last: Vec<u8> = subnet.from(7).map(|a| a.octets()[3]).collect();
        assert_eq!(last, [101, 102, 100]);
    }
}
