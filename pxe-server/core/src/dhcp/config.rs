// SPDX-License-Identifier: Apache-2.0
//! What a DHCP server is told of its site: subnets, reservations, the names of first stages.
//!
//! Nothing is checked here; [`super::Server::new`] checks all of it once and names what cannot be served.

use crate::names::{HttpBase, SNPONLY, UKI, UNDIONLY};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use groundstate_api::site::Network;
use groundstate_api::site_pool::{Pool, PoolReservation, PoolSubnet};
use groundstate_api::{MacAddr, SystemUuid};

/// One subnet that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetConfig {
    /// An address of the subnet: its own (`10.77.0.0`) or any within.
    pub network: Ipv4Addr,
    /// Length of the network prefix, 8 to 30.
    pub prefix: u8,
    /// First and last address of each range that is leased to anybody. There may be none: then only reservations are
    /// served. Our own address, the routers', the name servers' and the time servers' are left out by themselves.
    pub pools: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// Default gateway (option 3).
    pub router: Option<Ipv4Addr>,
    /// Name servers (option 6).
    pub dns: Vec<Ipv4Addr>,
    /// Time servers (option 42), for clients that ask for them.
    pub ntp: Vec<Ipv4Addr>,
    /// Domain name (option 15), for clients that ask for it.
    pub domain: Option<String>,
    /// Interface MTU in bytes (option 26), for clients that ask for it.
    pub mtu: Option<u16>,
    /// Classless static routes (option 121, RFC 3442), for clients that ask for them.
    pub routes: Vec<Route>,
    /// Lease time in seconds.
    pub lease_secs: u32,
}

/// A route that clients are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The destination network.
    pub to: Ipv4Addr,
    /// The length of its prefix, 0 to 32.
    pub prefix: u8,
    /// The router on the way there.
    pub via: Ipv4Addr,
}

/// By what a machine with a reservation is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Its MAC address.
    Mac(MacAddr),
    /// Its system UUID (option 97). Firmware and iPXE send it, an operating system does not: that one gets the address
    /// because its firmware got it with the same MAC address.
    Uuid(SystemUuid),
    /// The port of the relay agent that it is plugged into (option 82).
    RelayPort {
        /// Sub-option 1, byte for byte.
        circuit: Vec<u8>,
        /// Sub-option 2, byte for byte; without it, whatever stands there.
        remote: Option<Vec<u8>>,
    },
}

/// An address that is one machine's alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Whose.
    pub who: Who,
    /// The address, inside or outside the pools, in one of the subnets.
    pub address: Ipv4Addr,
    /// Its host name (option 12), for clients that ask for it.
    pub host_name: Option<String>,
}

/// The names of the files that firmware starts first, by processor architecture type (option 93, IANA).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootNames {
    /// By TFTP, for PXE firmware: a program that becomes iPXE.
    pub pxe: BTreeMap<u16, String>,
    /// By HTTP, for UEFI HTTP Boot: the boot image as one program.
    pub http: BTreeMap<u16, String>,
    /// By HTTP, for UEFI HTTP Boot where what is to be booted needs iPXE (a recipe with a kernel). Empty unless filled.
    pub http_ipxe: BTreeMap<u16, String>,
}

impl BootNames {
    /// No names at all.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            pxe: BTreeMap::new(),
            http: BTreeMap::new(),
            http_ipxe: BTreeMap::new(),
        }
    }
}

impl Default for BootNames {
    /// What the boot image for x86-64 has: BIOS (0), UEFI PXE (7, 9), UEFI HTTP Boot (16).
    fn default() -> Self {
        let named = |architecture: u16, name: &str| (architecture, name.to_string());
        Self {
            pxe: BTreeMap::from([named(0, UNDIONLY), named(7, SNPONLY), named(9, SNPONLY)]),
            http: BTreeMap::from([named(16, UKI)]),
            http_ipxe: BTreeMap::new(),
        }
    }
}

/// What a DHCP server is told of its site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Our own address: the server identifier. Requests that no relay agent passed on are served from its subnet.
    pub address: Ipv4Addr,
    /// Where HTTP boot files are.
    pub http: HttpBase,
    /// The subnets.
    pub subnets: Vec<SubnetConfig>,
    /// The reservations.
    pub reservations: Vec<Reservation>,
    /// The names of first stages.
    pub boot: BootNames,
    /// Whether an address that a machine did not have before is probed while it is offered.
    pub probe: bool,
}

impl ServerConfig {
    /// How many addresses of the pools may be leased: all but our own, the routers', the name servers' and the time
    /// servers'. One of those that a reservation names counts.
    #[must_use]
    pub fn leasable(&self) -> u64 {
        let kept_out = self.kept_out();
        let pools = self.subnets.iter().flat_map(|subnet| &subnet.pools);
        pools.map(|pool| leasable(*pool, &kept_out)).sum()
    }

    /// The first pool that has nothing to lease.
    pub(super) fn empty_pool(&self) -> Option<(&SubnetConfig, (Ipv4Addr, Ipv4Addr))> {
        let kept_out = self.kept_out();
        self.subnets.iter().find_map(|subnet| {
            let mut pools = subnet.pools.iter();
            let empty = pools.find(|pool| leasable(**pool, &kept_out) == 0)?;
            Some((subnet, *empty))
        })
    }

    /// What is never leased, in pools or outside them.
    fn kept_out(&self) -> BTreeSet<Ipv4Addr> {
        let servers = |subnet: &SubnetConfig| {
            let all = subnet.router.iter().chain(&subnet.dns).chain(&subnet.ntp);
            all.copied().collect::<Vec<_>>()
        };
        let mut kept_out: BTreeSet<_> = self.subnets.iter().flat_map(servers).collect();
        kept_out.insert(self.address);
        for reservation in &self.reservations {
            kept_out.remove(&reservation.address);
        }
        kept_out
    }
}

fn leasable((first, last): (Ipv4Addr, Ipv4Addr), kept_out: &BTreeSet<Ipv4Addr>) -> u64 {
    if last < first {
        return 0;
    }
    let all = u64::from(u32::from(last) - u32::from(first)) + 1;
    all.saturating_sub(kept_out.range(first..=last).count() as u64)
}

impl From<&Network> for ServerConfig {
    /// The provisioning network's own subnet, then one for each other one that its pools name.
    fn from(network: &Network) -> Self {
        let own = SubnetConfig {
            network: network.address,
            prefix: network.prefix,
            pools: alloc::vec![(network.pool_first, network.pool_last)],
            router: network.router,
            dns: network.dns.clone(),
            ntp: Vec::new(),
            domain: None,
            mtu: None,
            routes: Vec::new(),
            lease_secs: network.lease_secs,
        };
        let mut subnets = alloc::vec![own];
        let mut places = BTreeMap::from([(PoolSubnet::around(network.address, network.prefix), 0)]);
        for pool in &network.pools {
            // What is said of it and is no subnet is refused when the site is read.
            let Some(at) = pool.subnet(network) else {
                continue;
            };
            let index = *places.entry(Some(at)).or_insert(subnets.len());
            if index == subnets.len() {
                subnets.push(behind(at, network));
            }
            if let Some(subnet) = subnets.get_mut(index) {
                add(subnet, pool);
            }
        }
        let reservations = network.pools.iter().flat_map(|pool| &pool.reservations);
        Self {
            address: network.address,
            http: HttpBase {
                address: network.address.into(),
                port: network.http_port,
            },
            subnets,
            reservations: reservations.map(Reservation::from).collect(),
            boot: BootNames::default(),
            probe: false,
        }
    }
}

/// A subnet behind a relay agent, before its pools are added.
fn behind(at: PoolSubnet, network: &Network) -> SubnetConfig {
    SubnetConfig {
        network: at.network,
        prefix: at.prefix,
        pools: Vec::new(),
        router: None,
        dns: network.dns.clone(),
        ntp: Vec::new(),
        domain: None,
        mtu: None,
        routes: Vec::new(),
        lease_secs: network.lease_secs,
    }
}

/// Adds a pool and what it says of its subnet; pools of one subnet say the same, or nothing.
fn add(subnet: &mut SubnetConfig, pool: &Pool) {
    subnet.pools.push((pool.first, pool.last));
    if pool.network.is_none() {
        return;
    }
    subnet.router = pool.router.or(subnet.router);
    if !pool.dns.is_empty() {
        subnet.dns.clone_from(&pool.dns);
    }
    subnet.lease_secs = pool.lease_secs.unwrap_or(subnet.lease_secs);
}

impl From<&PoolReservation> for Reservation {
    fn from(said: &PoolReservation) -> Self {
        Self {
            who: Who::Mac(said.mac),
            address: said.address,
            host_name: said.host_name.clone(),
        }
    }
}
