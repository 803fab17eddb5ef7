// SPDX-License-Identifier: Apache-2.0
//! Checks the ranges that are leased: each lies in its subnet, none holds an address that is somebody else's, and a machine
//! that gets one reaches the provisioner.

use crate::parts_check::{Names, no_such, too_many};
use crate::site_limits::{LEASES_MAX, NAME_SERVERS_MAX, POOLS_MAX, RESERVATIONS_MAX};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use groundstate_api::MacAddr;
use groundstate_api::site::Site;
use groundstate_api::site_pool::{Pool, PoolReservation, PoolSubnet, size};

type Add<'a> = &'a mut dyn FnMut(String, String);

/// The longest host name in bytes (RFC 1035).
const HOST_NAME_MAX: usize = 253;

/// Names every fault through `add`.
pub(crate) fn check(site: &Site, add: Add<'_>) {
    let network = &site.network;
    too_many("network.pool", network.pools.len(), POOLS_MAX, add);
    too_many("network.dns", network.dns.len(), NAME_SERVERS_MAX, add);
    let Some(own) = PoolSubnet::around(network.address, network.prefix) else {
        // The prefix is a fault of its own.
        return;
    };
    let mut names = Names::default();
    let mut subnets = Subnets::new(own);
    for (index, pool) in network.pools.iter().enumerate() {
        let path = format!("network.pool[{index}]");
        names.take(&path, &pool.name, add);
        if let Some(subnet) = subnets.of(&path, pool, add) {
            range(&path, pool, subnet, site, add);
            rack(&path, pool, subnet, site, add);
        }
    }
    subnets.without_router(add);
    overlaps(site, add);
    in_all(site, add);
    reservations(site, &subnets, add);
}

/// The range that an address is in, as people know it; `None` where nobody is leased it.
#[must_use]
pub(crate) fn holds(site: &Site, address: Ipv4Addr) -> Option<String> {
    let network = &site.network;
    if (network.pool_first..=network.pool_last).contains(&address) {
        return Some("the pool of leases".to_string());
    }
    let mut pools = network.pools.iter();
    let pool = pools.find(|pool| (pool.first..=pool.last).contains(&address))?;
    Some(format!("the pool of leases {}", pool.name))
}

/// What is said of a subnet by the pools in it.
struct Said<'a> {
    path: String,
    pool: &'a Pool,
    router: Option<Ipv4Addr>,
}

/// The subnets that pools name.
struct Subnets<'a> {
    own: PoolSubnet,
    all: BTreeMap<PoolSubnet, Said<'a>>,
}

impl<'a> Subnets<'a> {
    const fn new(own: PoolSubnet) -> Self {
        Self {
            own,
            all: BTreeMap::new(),
        }
    }

    /// The subnet of a pool, where what is said of it is one.
    fn of(&mut self, path: &str, pool: &'a Pool, add: Add<'_>) -> Option<PoolSubnet> {
        let Some(text) = &pool.network else {
            for (key, is_said) in [
                ("router", pool.router.is_some()),
                ("dns", !pool.dns.is_empty()),
                ("lease_secs", pool.lease_secs.is_some()),
            ] {
                if is_said {
                    let should = "goes with a network of the pool's own; here the provisioning network's holds";
                    add(format!("{path}.{key}"), should.to_string());
                }
            }
            return Some(self.own);
        };
        let at = format!("{path}.network");
        let Some(subnet) = PoolSubnet::parse(text) else {
            let should =
                format!("{text:?} should be a subnet with a prefix of 8 to 30, as 10.20.1.0/24");
            add(at, should);
            return None;
        };
        if subnet == self.own {
            let should = format!("{text} is the provisioning network: leave the key out");
            add(at, should);
            return None;
        }
        let others = self.all.keys().filter(|other| **other != subnet);
        if let Some(other) = others
            .chain([&self.own])
            .find(|other| other.overlaps(&subnet))
        {
            add(
                at,
                format!("{subnet} shares addresses with the subnet {other}"),
            );
            return None;
        }
        let said = self.all.entry(subnet).or_insert_with(|| Said {
            path: path.to_string(),
            pool,
            router: None,
        });
        said.router = said.router.or(pool.router);
        said.agrees(path, pool, add);
        terms(path, pool, subnet, add);
        Some(subnet)
    }

    /// Machines of another subnet come to the provisioner through a router, or not at all.
    fn without_router(&self, add: Add<'_>) {
        for (subnet, said) in self.all.iter().filter(|(_, said)| said.router.is_none()) {
            let should = format!(
                "should be there: machines of {subnet} reach the provisioner through a router"
            );
            add(format!("{}.router", said.path), should);
        }
    }

    fn router(&self, subnet: PoolSubnet, site: &Site) -> Option<Ipv4Addr> {
        if subnet == self.own {
            return site.network.router;
        }
        self.all.get(&subnet)?.router
    }
}

impl Said<'_> {
    /// Pools of one subnet say the same of it, or nothing.
    fn agrees(&self, path: &str, pool: &Pool, add: Add<'_>) {
        let mut differs = |key: &str, ours: bool| {
            if ours {
                let should = format!("differs from {}: both are of one subnet", self.path);
                add(format!("{path}.{key}"), should);
            }
        };
        let router = |pool: &Pool| pool.router;
        let first = self.router.or(router(self.pool));
        differs("router", pool.router.is_some() && pool.router != first);
        let (first, ours) = (&self.pool.dns, &pool.dns);
        differs("dns", !ours.is_empty() && ours != first);
        let (first, ours) = (self.pool.lease_secs, pool.lease_secs);
        differs("lease_secs", ours.is_some() && ours != first);
    }
}

/// Router, name servers and lease time of a subnet.
fn terms(path: &str, pool: &Pool, subnet: PoolSubnet, add: Add<'_>) {
    if let Some(router) = pool.router.filter(|router| !subnet.is_host(*router)) {
        let should = format!("{router} should be a host address inside {subnet}");
        add(format!("{path}.router"), should);
    }
    too_many(
        &format!("{path}.dns"),
        pool.dns.len(),
        NAME_SERVERS_MAX,
        add,
    );
    let seconds = &crate::site_check::LEASE_SECS;
    if let Some(said) = pool.lease_secs.filter(|said| !seconds.contains(said)) {
        let should = format!("{said} should be {} to {}", seconds.start(), seconds.end());
        add(format!("{path}.lease_secs"), should);
    }
}

/// The range itself: in its subnet, and without the addresses of those who serve it.
fn range(path: &str, pool: &Pool, subnet: PoolSubnet, site: &Site, add: Add<'_>) {
    for (key, address) in [("first", pool.first), ("last", pool.last)] {
        if !subnet.is_host(address) {
            let should = format!("{address} should be a host address inside {subnet}");
            add(format!("{path}.{key}"), should);
        }
    }
    if pool.last < pool.first {
        let should = format!(
            "{} should not be below first, {}: the pool is empty",
            pool.last, pool.first
        );
        add(format!("{path}.last"), should);
    }
    let addresses = pool.first..=pool.last;
    let ours = site.network.address;
    if addresses.contains(&ours) {
        let should = format!("the pool should not hold our own address, {ours}");
        add(format!("{path}.first"), should);
    }
    let router = match pool.network {
        Some(_) => pool.router,
        None => site.network.router,
    };
    if let Some(router) = router.filter(|router| addresses.contains(router)) {
        let should = format!("the pool should not hold the router, {router}");
        add(format!("{path}.first"), should);
    }
    for rack in &site.racks {
        if let Some(IpAddr::V4(relay)) = rack.relay
            && addresses.contains(&relay)
            && Some(relay) != router
        {
            let should = format!(
                "the pool should not hold the relay of rack {}, {relay}",
                rack.name
            );
            add(format!("{path}.first"), should);
        }
    }
}

/// A rack's machines ask through its relay agent, whose address says the subnet.
fn rack(path: &str, pool: &Pool, subnet: PoolSubnet, site: &Site, add: Add<'_>) {
    let Some(name) = &pool.rack else { return };
    let at = format!("{path}.rack");
    let Some(rack) = site.racks.iter().find(|rack| rack.name == *name) else {
        let known = site.racks.iter().map(|rack| rack.name.as_str());
        add(at, no_such("rack", name, known));
        return;
    };
    match rack.relay {
        None => {
            let should = format!(
                "rack {name} has no relay: its machines' questions would not say that they come from {subnet}"
            );
            add(at, should);
        }
        Some(IpAddr::V4(relay)) if subnet.is_host(relay) => {}
        Some(relay) => {
            let should = format!("the relay of rack {name}, {relay}, is not in {subnet}");
            add(at, should);
        }
    }
}

/// No address is in two ranges.
fn overlaps(site: &Site, add: Add<'_>) {
    let network = &site.network;
    let own = (network.pool_first, network.pool_last, None);
    let pools = network.pools.iter().enumerate();
    let mut ranges: Vec<(Ipv4Addr, Ipv4Addr, Option<usize>)> = pools
        .map(|(index, pool)| (pool.first, pool.last, Some(index)))
        .chain([own])
        .filter(|(first, last, _)| first <= last)
        .collect();
    ranges.sort_unstable();
    let mut widest: Option<(Ipv4Addr, Option<usize>)> = None;
    for (first, last, index) in ranges {
        if let Some((end, before)) = widest.filter(|(end, _)| first <= *end) {
            // Told at the one that stands later in the file.
            let (later, earlier) = (index.max(before), index.min(before));
            let other = match earlier {
                Some(index) => format!("network.pool[{index}]"),
                None => "network.pool_first to pool_last".to_string(),
            };
            let path = later.map_or_else(String::new, |index| format!("network.pool[{index}]"));
            let should = format!("{first} to {} is in {other}, too", last.min(end));
            add(format!("{path}.first"), should);
        }
        if widest.is_none_or(|(end, _)| last > end) {
            widest = Some((last, index));
        }
    }
}

/// How many addresses there are together.
fn in_all(site: &Site, add: Add<'_>) {
    let network = &site.network;
    let mut sum = size(network.pool_first, network.pool_last);
    if sum > LEASES_MAX {
        let should = format!("{sum} addresses; {LEASES_MAX} is the most");
        add("network.pool_last".to_string(), should);
        return;
    }
    for (index, pool) in network.pools.iter().enumerate() {
        sum += pool.size();
        if sum > LEASES_MAX {
            let should = format!("{sum} addresses with the pools before; {LEASES_MAX} is the most");
            add(format!("network.pool[{index}].last"), should);
            return;
        }
    }
}

fn reservations(site: &Site, subnets: &Subnets<'_>, add: Add<'_>) {
    let network = &site.network;
    let count = network.pools.iter().map(|pool| pool.reservations.len());
    too_many(
        "network.pool.reservation",
        count.sum(),
        RESERVATIONS_MAX,
        add,
    );
    let mut addresses: BTreeMap<Ipv4Addr, String> = BTreeMap::new();
    let mut machines: BTreeMap<(PoolSubnet, MacAddr), String> = BTreeMap::new();
    for (index, pool) in network.pools.iter().enumerate() {
        let Some(subnet) = pool.subnet(network) else {
            continue;
        };
        for (at, said) in pool.reservations.iter().enumerate() {
            let path = format!("network.pool[{index}].reservation[{at}]");
            reservation(&path, said, subnet, subnets.router(subnet, site), site, add);
            if let Some(first) = addresses.insert(said.address, path.clone()) {
                let should = format!("{} is reserved by {first}", said.address);
                add(format!("{path}.address"), should);
            }
            if let Some(first) = machines.insert((subnet, said.mac), path.clone()) {
                let should = format!("{} has {first} in the same subnet", said.mac);
                add(format!("{path}.mac"), should);
            }
        }
    }
}

fn reservation(
    path: &str,
    said: &PoolReservation,
    subnet: PoolSubnet,
    router: Option<Ipv4Addr>,
    site: &Site,
    add: Add<'_>,
) {
    let address = said.address;
    let should = if !subnet.is_host(address) {
        Some(format!(
            "{address} should be a host address inside {subnet}"
        ))
    } else if address == site.network.address {
        Some(format!("{address} is our own address"))
    } else if router == Some(address) {
        Some(format!("{address} is the router"))
    } else {
        None
    };
    if let Some(should) = should {
        add(format!("{path}.address"), should);
    }
    if !crate::site_check::is_one_interface(said.mac) {
        let should = format!("{} should be the address of one interface", said.mac);
        add(format!("{path}.mac"), should);
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name =
        |name: &str| (1..=HOST_NAME_MAX).contains(&name.len()) && name.chars().all(allowed);
    if let Some(name) = said.host_name.as_ref().filter(|name| !is_name(name)) {
        let should = format!("{name:?} should be 1 to {HOST_NAME_MAX} of A-Z, a-z, 0-9 and - _ .");
        add(format!("{path}.host_name"), should);
    }
}
