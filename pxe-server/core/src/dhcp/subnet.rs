// SPDX-License-Identifier: Apache-2.0
//! The subnets that are served, checked once.

use super::config::{Route, ServerConfig, SubnetConfig};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv4Addr;
use core::ops::RangeInclusive;

/// Subnets of one server. Each costs a few hundred bytes, and its share of outstanding offers.
pub(super) const SUBNETS_MAX: usize = 1_024;
/// Addresses in all pools together: a million. Each costs four bytes and a bit before it is leased, so that this bounds
/// the table at 4 MiB when nothing is leased and at about 200 MiB when everything is.
pub(super) const POOL_MAX: u32 = 1_048_576;
/// Prefixes that make a subnet for machines.
const PREFIXES: RangeInclusive<u8> = 8..=30;
/// Lease times that are sensible, in seconds: a minute to a year.
pub(super) const LEASE_SECS: RangeInclusive<u32> = 60..=31_536_000;
/// Name servers and time servers that fit a reply without crowding out the rest.
const SERVERS_MAX: usize = 8;
/// Routes that fit an Ethernet frame with everything else.
const ROUTES_MAX: usize = 64;
/// The smallest MTU of IPv4, in bytes (RFC 791).
const MTU_MIN: u16 = 68;
/// The longest domain name, in bytes (RFC 1035).
pub(super) const NAME_MAX: usize = 253;

/// Why a subnet cannot be served. Each names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubnetError {
    /// The prefix is not 8 to 30.
    #[error("prefix is {prefix}; it must be 8 to 30")]
    Prefix {
        /// As given.
        prefix: u8,
    },
    /// An address is not a host address of the subnet.
    #[error("{field} has {address}, which is not a host address of this subnet")]
    Outside {
        /// The field.
        field: &'static str,
        /// Its value.
        address: Ipv4Addr,
    },
    /// A pool ends before it begins.
    #[error("the pool {first}-{last} ends before it begins")]
    PoolOrder {
        /// First.
        first: Ipv4Addr,
        /// Last.
        last: Ipv4Addr,
    },
    /// A pool has nothing to lease.
    #[error(
        "the pool {first}-{last} has no address to lease: all of it is the server's own, or a router's, name server's or time server's"
    )]
    PoolEmpty {
        /// First.
        first: Ipv4Addr,
        /// Last.
        last: Ipv4Addr,
    },
    /// Two pools share addresses.
    #[error("two pools have {address}")]
    PoolsOverlap {
        /// The first address that both have.
        address: Ipv4Addr,
    },
    /// The lease time is out of range.
    #[error("lease_secs is {seconds}; it must be 60 to 31,536,000")]
    LeaseTime {
        /// As given.
        seconds: u32,
    },
    /// Too many servers or routes.
    #[error("{field} has {count} entries; {most} is the most")]
    TooMany {
        /// The field.
        field: &'static str,
        /// How many.
        count: usize,
        /// The most.
        most: usize,
    },
    /// The domain is no domain name.
    #[error(
        "domain is {domain:?}; a domain name has 1 to {NAME_MAX} letters, digits, '-', '_' and dots"
    )]
    Domain {
        /// As given.
        domain: String,
    },
    /// The MTU is too small.
    #[error("mtu is {mtu}; {MTU_MIN} is the least")]
    Mtu {
        /// As given.
        mtu: u16,
    },
    /// A route's prefix is longer than an address, or its network has bits beyond the prefix.
    #[error("routes has {to}/{prefix}, which is no network")]
    Route {
        /// The destination.
        to: Ipv4Addr,
        /// The length of its prefix.
        prefix: u8,
    },
}

/// A subnet as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubnetName {
    /// Its own address.
    pub network: Ipv4Addr,
    /// The length of its prefix.
    pub prefix: u8,
}

impl fmt::Display for SubnetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// Which subnet, in the order of their addresses.
pub(super) type SubnetId = u16;

/// One subnet, checked.
#[derive(Clone, Debug)]
pub(super) struct Subnet {
    pub(super) config: SubnetConfig,
    network: u32,
    mask: u32,
    /// The routes as option 121 has them, the default route first where there is a router.
    pub(super) routes: Vec<u8>,
}

impl Subnet {
    pub(super) fn new(config: SubnetConfig) -> Result<Self, SubnetError> {
        if !PREFIXES.contains(&config.prefix) {
            return Err(SubnetError::Prefix {
                prefix: config.prefix,
            });
        }
        let mask = u32::MAX << (32 - u32::from(config.prefix));
        let mut subnet = Self {
            network: u32::from(config.network) & mask,
            mask,
            routes: Vec::new(),
            config,
        };
        subnet.check()?;
        subnet.config.pools.sort_unstable();
        subnet.check_pools()?;
        subnet.routes = encode_routes(&subnet.config)?;
        Ok(subnet)
    }

    fn check(&self) -> Result<(), SubnetError> {
        let config = &self.config;
        if let Some(router) = config.router.filter(|router| !self.is_host(*router)) {
            let field = "router";
            return Err(SubnetError::Outside {
                field,
                address: router,
            });
        }
        if !LEASE_SECS.contains(&config.lease_secs) {
            return Err(SubnetError::LeaseTime {
                seconds: config.lease_secs,
            });
        }
        for (field, count, most) in [
            ("dns", config.dns.len(), SERVERS_MAX),
            ("ntp", config.ntp.len(), SERVERS_MAX),
            ("routes", config.routes.len(), ROUTES_MAX),
        ] {
            if count > most {
                return Err(SubnetError::TooMany { field, count, most });
            }
        }
        if let Some(domain) = config.domain.as_ref().filter(|name| !is_name(name)) {
            return Err(SubnetError::Domain {
                domain: domain.clone(),
            });
        }
        match config.mtu {
            Some(mtu) if mtu < MTU_MIN => Err(SubnetError::Mtu { mtu }),
            Some(_) | None => Ok(()),
        }
    }

    fn check_pools(&self) -> Result<(), SubnetError> {
        let mut before = None;
        for &(first, last) in &self.config.pools {
            for address in [first, last] {
                if !self.is_host(address) {
                    let field = "pool";
                    return Err(SubnetError::Outside { field, address });
                }
            }
            if last < first {
                return Err(SubnetError::PoolOrder { first, last });
            }
            if before.is_some_and(|before| first <= before) {
                return Err(SubnetError::PoolsOverlap { address: first });
            }
            before = Some(last);
        }
        Ok(())
    }

    pub(super) fn name(&self) -> SubnetName {
        SubnetName {
            network: self.network.into(),
            prefix: self.config.prefix,
        }
    }
    pub(super) fn mask(&self) -> Ipv4Addr {
        self.mask.into()
    }
    pub(super) fn broadcast(&self) -> Ipv4Addr {
        (self.network | !self.mask).into()
    }
    fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask == self.network
    }
    /// Whether the address is a host's address of this subnet (not the network's, not the broadcast address).
    pub(super) fn is_host(&self, address: Ipv4Addr) -> bool {
        let host = u32::from(address) & !self.mask;
        self.contains(address) && host != 0 && host != !self.mask
    }
}

/// A host or domain name as it may stand in a reply.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=NAME_MAX).contains(&name.len()) && name.chars().all(plain)
}

/// RFC 3442: the prefix's length, as many bytes of the network as it covers, the router. A client that takes this option
/// no longer looks at option 3, so that the default route is in it too.
fn encode_routes(config: &SubnetConfig) -> Result<Vec<u8>, SubnetError> {
    let mut bytes = Vec::new();
    if config.routes.is_empty() {
        return Ok(bytes);
    }
    let default = config.router.map(|via| Route {
        to: Ipv4Addr::UNSPECIFIED,
        prefix: 0,
        via,
    });
    let said = config.routes.iter().any(|route| route.prefix == 0);
    let default = default.filter(|_| !said);
    for Route { to, prefix, via } in default.into_iter().chain(config.routes.iter().copied()) {
        let beyond = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
        if prefix > 32 || u32::from(to) & beyond != 0 {
            return Err(SubnetError::Route { to, prefix });
        }
        bytes.push(prefix);
        let octets = to.octets();
        bytes.extend(octets.iter().take(usize::from(prefix.div_ceil(8))));
        bytes.extend(via.octets());
    }
    Ok(bytes)
}

/// Why a server cannot be made of its configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerConfigError {
    /// There is no subnet.
    #[error("there is no subnet to serve")]
    NoSubnet,
    /// Too many subnets.
    #[error("there are {count} subnets; {SUBNETS_MAX} is the most")]
    Subnets {
        /// How many.
        count: usize,
    },
    /// A subnet cannot be served.
    #[error("subnet {subnet}: {why}")]
    Subnet {
        /// Which.
        subnet: SubnetName,
        /// Why.
        why: SubnetError,
    },
    /// Two subnets share addresses.
    #[error("subnet {one} and subnet {other} share addresses")]
    Overlap {
        /// One.
        one: SubnetName,
        /// The other.
        other: SubnetName,
    },
    /// All pools together are too large.
    #[error("the pools have {addresses} addresses together; {POOL_MAX} is the most")]
    PoolSize {
        /// How many.
        addresses: u64,
    },
    /// Our own address is the network's or the broadcast address of its subnet, or unspecified.
    #[error("address is {address}, which is not a host's address")]
    Address {
        /// As given.
        address: Ipv4Addr,
    },
    /// A reservation cannot be kept.
    #[error("reservation of {address}: {why}")]
    Reservation {
        /// The address.
        address: Ipv4Addr,
        /// Why.
        why: super::reservation::ReservationError,
    },
    /// Too many reservations.
    #[error("there are {count} reservations; {most} is the most")]
    Reservations {
        /// How many.
        count: usize,
        /// The most.
        most: usize,
    },
    /// A boot file's name cannot stand in a reply.
    #[error(
        "the boot file of architecture {architecture} is {name:?}; a name has 1 to {most} printable ASCII characters without blanks"
    )]
    BootName {
        /// The architecture.
        architecture: u16,
        /// The name.
        name: String,
        /// The most characters.
        most: usize,
    },
}

/// Every subnet, in the order of their addresses.
#[derive(Clone, Debug)]
pub(super) struct Subnets {
    list: Vec<Subnet>,
}

impl Subnets {
    pub(super) fn new(config: &ServerConfig) -> Result<Self, ServerConfigError> {
        let count = config.subnets.len();
        if count == 0 {
            return Err(ServerConfigError::NoSubnet);
        }
        if count > SUBNETS_MAX {
            return Err(ServerConfigError::Subnets { count });
        }
        let mut list = Vec::with_capacity(count);
        for said in &config.subnets {
            let subnet = Subnet::new(said.clone()).map_err(|why| ServerConfigError::Subnet {
                subnet: SubnetName {
                    network: said.network,
                    prefix: said.prefix,
                },
                why,
            })?;
            list.push(subnet);
        }
        list.sort_unstable_by_key(|subnet| subnet.network);
        for (one, other) in list.iter().zip(list.iter().skip(1)) {
            if one.contains(other.network.into()) {
                let (one, other) = (one.name(), other.name());
                return Err(ServerConfigError::Overlap { one, other });
            }
        }
        let pools = list.iter().flat_map(|subnet| &subnet.config.pools);
        let sizes = pools.map(|(first, last)| u64::from(u32::from(*last) - u32::from(*first)) + 1);
        let addresses = sizes.sum();
        if addresses > u64::from(POOL_MAX) {
            return Err(ServerConfigError::PoolSize { addresses });
        }
        let subnets = Self { list };
        let address = config.address;
        let misplaced = subnets
            .of(address)
            .is_some_and(|(_, subnet)| !subnet.is_host(address));
        if address.is_unspecified() || misplaced {
            return Err(ServerConfigError::Address { address });
        }
        Ok(subnets)
    }

    /// The subnet that has this address.
    pub(super) fn of(&self, address: Ipv4Addr) -> Option<(SubnetId, &Subnet)> {
        let after = self
            .list
            .partition_point(|subnet| subnet.network <= address.into());
        let at = after.checked_sub(1)?;
        let subnet = self.list.get(at).filter(|it| it.contains(address))?;
        Some((SubnetId::try_from(at).ok()?, subnet))
    }

    pub(super) fn get(&self, id: SubnetId) -> Option<&Subnet> {
        self.list.get(usize::from(id))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SubnetId, &Subnet)> {
        (0..).zip(&self.list)
    }

    pub(super) fn words(&self) -> String {
        let names: Vec<String> = self.list.iter().map(|it| it.name().to_string()).collect();
        names.join(", ")
    }
}
