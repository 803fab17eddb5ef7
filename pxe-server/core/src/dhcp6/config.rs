// SPDX-License-Identifier: Apache-2.0
//! What a DHCPv6 service is told, and what cannot be served.

use crate::dhcp::BootNames;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv6Addr;
use core::ops::RangeInclusive;
use groundstate_api::{MacAddr, SystemUuid};

/// Lease times that are sensible, in seconds: five minutes to a week.
const LEASE_SECS: RangeInclusive<u32> = 300..=604_800;
/// Name servers that fit a reply without crowding out the rest.
const DNS_MAX: usize = 8;
/// Reservations: as many as the largest v4 pool has addresses.
const RESERVATIONS_MAX: usize = 65_536;
/// Networks behind relay agents.
const SUBNETS_MAX: usize = 256;
/// Parameters of the boot file (option 60), and the bytes of each.
const PARAMETERS_MAX: usize = 4;
const PARAMETER_BYTES_MAX: usize = 128;
/// The first and last interface identifier of a pool that nobody chose: `::d6:0:0` to `::d6:ffff:ffff`.
const POOL_FIRST: u128 = 0xd6_0000_0000;
const POOL_LAST: u128 = 0xd6_ffff_ffff;
/// The part of an address that a /64 names.
const PREFIX_MASK: u128 = !(u64::MAX as u128);

/// A DHCPv6 service for network boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcp6Config {
    /// Our own global or unique-local address: it stands in URLs.
    pub address: Ipv6Addr,
    /// The TCP port of our HTTP boot files; it stands in URLs unless it is 80.
    pub http_port: u16,
    /// The names of first stages.
    pub boot: BootNames,
    /// The networks that are served: the interface's own first, then those behind relay agents.
    pub subnets: Vec<Subnet6>,
    /// Addresses that are kept for certain machines.
    pub reservations: Vec<Reservation6>,
    /// Name servers (option 23).
    pub dns: Vec<Ipv6Addr>,
    /// The search domain (option 24).
    pub domain: Option<String>,
    /// The valid lifetime of an address in seconds, 300 to 604,800. It is preferred for as long.
    pub lease_secs: u32,
    /// Whether a client that asks for it gets its address with the first exchange (option 14).
    pub rapid_commit: bool,
    /// Option 7. With 255 a client takes our offer without waiting for others.
    pub preference: Option<u8>,
    /// What is handed to the boot file (option 60).
    pub parameters: Vec<String>,
    /// Whether an operating system whose MAC address cannot be seen, so that the boot policy cannot be asked, gets an address.
    pub nameless: bool,
}

/// A /64 and the addresses of it that are leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet6 {
    /// Its first four groups; the rest is zero.
    pub prefix: Ipv6Addr,
    /// First address to lease.
    pub first: Ipv6Addr,
    /// Last address to lease.
    pub last: Ipv6Addr,
}

/// Whose address is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who6 {
    /// The machine with this MAC address.
    Mac(MacAddr),
    /// The machine with this system UUID (a DUID of type 4).
    Uuid(SystemUuid),
    /// The client with this DUID.
    Duid(Vec<u8>),
}

/// An address that is kept for a machine. It may lie in the pool or beside it, and is offered to nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation6 {
    /// Whose it is.
    pub who: Who6,
    /// The address.
    pub address: Ipv6Addr,
}

/// Why a DHCPv6 service cannot be given. Each names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dhcp6ConfigError {
    /// The interface has no address that a URL could name.
    #[error(
        "the interface has no IPv6 address but link-local ones, and a boot file's URL cannot name those; give it one, for example `ip -6 address add fd77::1/64 dev IF`"
    )]
    LinkLocalOnly,
    /// The interface's network is smaller than a /64.
    #[error(
        "the interface's IPv6 address {address} has prefix length {prefix}; addresses are leased from a /64, so it must be 64 or less, or the pool must be given"
    )]
    Prefix {
        /// The address.
        address: Ipv6Addr,
        /// Its prefix length.
        prefix: u8,
    },
    /// Our own address is no unicast address beyond the link.
    #[error("dhcp6.address is {address}, which is not a global or unique-local unicast address")]
    Address {
        /// As given.
        address: Ipv6Addr,
    },
    /// No network, or too many.
    #[error("dhcp6.subnets has {count} entries; it must have 1 to {SUBNETS_MAX}")]
    Subnets {
        /// How many.
        count: usize,
    },
    /// An address does not lie in its /64.
    #[error("dhcp6.{field} is {address}, which is not in {prefix}/64")]
    Outside {
        /// The field.
        field: &'static str,
        /// Its value.
        address: Ipv6Addr,
        /// The network.
        prefix: Ipv6Addr,
    },
    /// The pool ends before it begins.
    #[error("dhcp6.pool_last {last} lies before dhcp6.pool_first {first}")]
    PoolOrder {
        /// First.
        first: Ipv6Addr,
        /// Last.
        last: Ipv6Addr,
    },
    /// Our own address would be leased.
    #[error("dhcp6.address {address} lies in the pool; it would be leased to a machine")]
    InPool {
        /// It.
        address: Ipv6Addr,
    },
    /// The lease time is out of range.
    #[error("dhcp6.lease_secs is {seconds}; it must be 300 to 604,800")]
    LeaseTime {
        /// As given.
        seconds: u32,
    },
    /// A list is too long.
    #[error("dhcp6.{field} has {count} entries; {most} is the most")]
    TooMany {
        /// The field.
        field: &'static str,
        /// How many.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// Two reservations name one address.
    #[error("dhcp6.reservations gives {address} to two machines")]
    Twice {
        /// It.
        address: Ipv6Addr,
    },
    /// A name is not one that fits DNS.
    #[error("dhcp6.domain {name:?} is not a domain name")]
    Domain {
        /// As given.
        name: String,
    },
    /// A parameter is too long.
    #[error("dhcp6.parameters has an entry of {bytes} bytes; {PARAMETER_BYTES_MAX} is the most")]
    Parameter {
        /// Its length.
        bytes: usize,
    },
}

impl Subnet6 {
    /// The /64 of an address, with the pool that nobody chose: `::d6:0:0` to `::d6:ffff:ffff` of it.
    #[must_use]
    pub fn around(address: Ipv6Addr) -> Self {
        let prefix = u128::from(address) & PREFIX_MASK;
        Self {
            prefix: prefix.into(),
            first: (prefix | POOL_FIRST).into(),
            last: (prefix | POOL_LAST).into(),
        }
    }

    /// Whether the address lies in the /64.
    #[must_use]
    pub fn contains(&self, address: Ipv6Addr) -> bool {
        u128::from(address) & PREFIX_MASK == u128::from(self.prefix)
    }

    /// Whether the address may be leased.
    #[must_use]
    pub fn in_pool(&self, address: Ipv6Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    fn check(&self) -> Result<(), Dhcp6ConfigError> {
        for (field, address) in [
            ("prefix", self.prefix),
            ("pool_first", self.first),
            ("pool_last", self.last),
        ] {
            let whole = field != "prefix" || u128::from(address) & !PREFIX_MASK == 0;
            if !self.contains(address) || !whole || !is_routable(self.prefix) {
                return Err(Dhcp6ConfigError::Outside {
                    field,
                    address,
                    prefix: self.prefix,
                });
            }
        }
        if self.last < self.first {
            return Err(Dhcp6ConfigError::PoolOrder {
                first: self.first,
                last: self.last,
            });
        }
        Ok(())
    }
}

impl Dhcp6Config {
    /// The service of an interface with these addresses and prefix lengths: from its first address beyond the link, with
    /// leases of an hour.
    ///
    /// # Errors
    /// No such address, or one whose network is smaller than a /64.
    pub fn of_interface(
        addresses: &[(Ipv6Addr, u8)],
        http_port: u16,
    ) -> Result<Self, Dhcp6ConfigError> {
        let routable = || addresses.iter().filter(|(a, _)| is_routable(*a));
        let Some(&(address, _)) = routable()
            .find(|(_, length)| *length <= 64)
            .or_else(|| routable().next())
        else {
            return Err(Dhcp6ConfigError::LinkLocalOnly);
        };
        let shortest = addresses
            .iter()
            .filter(|(a, _)| *a == address)
            .map(|(_, l)| *l)
            .min();
        if let Some(prefix) = shortest.filter(|length| *length > 64) {
            return Err(Dhcp6ConfigError::Prefix { address, prefix });
        }
        Ok(Self {
            address,
            http_port,
            boot: BootNames::default(),
            subnets: alloc::vec![Subnet6::around(address)],
            reservations: Vec::new(),
            dns: Vec::new(),
            domain: None,
            lease_secs: 3_600,
            rapid_commit: false,
            preference: Some(255),
            parameters: Vec::new(),
            nameless: false,
        })
    }

    pub(super) fn check(&self) -> Result<(), Dhcp6ConfigError> {
        let address = self.address;
        if !is_routable(address) {
            return Err(Dhcp6ConfigError::Address { address });
        }
        if self.subnets.is_empty() || self.subnets.len() > SUBNETS_MAX {
            return Err(Dhcp6ConfigError::Subnets {
                count: self.subnets.len(),
            });
        }
        for subnet in &self.subnets {
            subnet.check()?;
            if subnet.in_pool(address) {
                return Err(Dhcp6ConfigError::InPool { address });
            }
        }
        if !LEASE_SECS.contains(&self.lease_secs) {
            return Err(Dhcp6ConfigError::LeaseTime {
                seconds: self.lease_secs,
            });
        }
        for (field, count, most) in [
            ("dns", self.dns.len(), DNS_MAX),
            ("reservations", self.reservations.len(), RESERVATIONS_MAX),
            ("parameters", self.parameters.len(), PARAMETERS_MAX),
        ] {
            if count > most {
                return Err(Dhcp6ConfigError::TooMany { field, count, most });
            }
        }
        if let Some(long) = self
            .parameters
            .iter()
            .find(|p| p.len() > PARAMETER_BYTES_MAX)
        {
            return Err(Dhcp6ConfigError::Parameter { bytes: long.len() });
        }
        if let Some(name) = self
            .domain
            .as_ref()
            .filter(|name| super::wire::domain(name).is_none())
        {
            return Err(Dhcp6ConfigError::Domain { name: name.clone() });
        }
        self.check_reservations()
    }

    fn check_reservations(&self) -> Result<(), Dhcp6ConfigError> {
        let mut seen = alloc::collections::BTreeSet::from([self.address]);
        for &Reservation6 { address, .. } in &self.reservations {
            if !self.subnets.iter().any(|subnet| subnet.contains(address)) {
                return Err(Dhcp6ConfigError::Outside {
                    field: "reservations",
                    address,
                    prefix: self.subnets.first().map_or(address, |subnet| subnet.prefix),
                });
            }
            if !seen.insert(address) {
                return Err(Dhcp6ConfigError::Twice { address });
            }
        }
        Ok(())
    }
}

/// Whether a URL may name the address: unicast, and of more than one link.
fn is_routable(address: Ipv6Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_unicast_link_local()
        || address.to_ipv4_mapped().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Dhcp6Config {
        Dhcp6Config::of_interface(&[("fd77::1".parse().unwrap(), 64)], 80).unwrap()
    }

    #[test]
    fn an_interface_says_what_is_served() {
        let ll = ("fe80::1".parse().unwrap(), 64);
        let own = ("fd77:0:0:5::1".parse().unwrap(), 64);
        let one = ("2001:db8::7".parse().unwrap(), 128);
        let error = Dhcp6Config::of_interface(&[ll], 80).unwrap_err();
        assert!(error.to_string().contains("link-local"), "{error}");
        assert!(matches!(
            Dhcp6Config::of_interface(&[ll, one], 80),
            Err(Dhcp6ConfigError::Prefix { prefix: 128, .. })
        ));
        let config = Dhcp6Config::of_interface(&[ll, one, own], 80).unwrap();
        assert_eq!(config.address, own.0);
        let pool = config.subnets[0];
        assert_eq!(
            (pool.prefix, pool.first, pool.last),
            (
                "fd77:0:0:5::".parse().unwrap(),
                "fd77:0:0:5:0:d6::".parse().unwrap(),
                "fd77:0:0:5:0:d6:ffff:ffff".parse().unwrap()
            )
        );
        config.check().unwrap();
    }

    #[test]
    fn what_cannot_be_served_names_the_field() {
        type Change = fn(&mut Dhcp6Config);
        let cases: [(Change, &str); 14] = [
            (|c| c.address = "fe80::1".parse().unwrap(), "dhcp6.address"),
            (|c| c.subnets.clear(), "dhcp6.subnets"),
            (
                |c| c.subnets[0].last = "fd78::1".parse().unwrap(),
                "dhcp6.pool_last",
            ),
            (
                |c| c.subnets[0].last = "fd77::d5:0:0".parse().unwrap(),
                "before dhcp6.pool_first",
            ),
            (
                |c| c.address = "fd77::d6:1:1".parse().unwrap(),
                "lies in the pool",
            ),
            (|c| c.lease_secs = 1, "dhcp6.lease_secs"),
            (
                |c| c.dns = alloc::vec!["fd77::2".parse().unwrap(); 9],
                "dhcp6.dns",
            ),
            (|c| c.domain = Some("a..b".into()), "dhcp6.domain"),
            (
                |c| {
                    c.reservations = alloc::vec![
                        Reservation6 {
                            who: Who6::Mac(MacAddr([2; 6])),
                            address: "fd77::9".parse().unwrap(),
                        };
                        2
                    ];
                },
                "two machines",
            ),
            (
                |c| c.subnets = alloc::vec![c.subnets[0]; SUBNETS_MAX + 1],
                "dhcp6.subnets has 257 entries; it must have 1 to 256",
            ),
            (
                |c| c.subnets[0].prefix = "fd77::1".parse().unwrap(),
                "dhcp6.prefix is fd77::1, which is not in",
            ),
            (
                |c| c.parameters = alloc::vec![String::new(); PARAMETERS_MAX + 1],
                "dhcp6.parameters has 5 entries; 4 is the most",
            ),
            (
                |c| c.parameters = alloc::vec!["x".repeat(PARAMETER_BYTES_MAX + 1)],
                "dhcp6.parameters has an entry of 129 bytes; 128 is the most",
            ),
            (
                |c| {
                    c.reservations = alloc::vec![Reservation6 {
                        who: Who6::Mac(MacAddr([2; 6])),
                        address: "fd99::9".parse().unwrap(),
                    }];
                },
                "dhcp6.reservations is fd99::9, which is not in fd77::/64",
            ),
        ];
        for (change, says) in cases {
            let mut config = config();
            change(&mut config);
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(says), "{says}: {error}");
        }
    }
}
