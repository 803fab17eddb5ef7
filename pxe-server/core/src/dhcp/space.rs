// SPDX-License-Identifier: Apache-2.0
//! Every address that may be given to a machine, numbered: first those of the pools, subnet by subnet, then the reserved
//! ones outside them. The numbers make a table of addresses dense.

use super::reservation::Reservations;
use super::subnet::{SubnetId, Subnets};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::ops::Range;

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of a pool, for anybody.
    Pool,
    /// One machine's alone.
    Reserved,
}

/// Where an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) number: u32,
    pub(super) subnet: SubnetId,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
struct Pool {
    first: u32,
    last: u32,
    /// The number of its first address.
    number: u32,
    subnet: SubnetId,
}

/// Every address that may be given to a machine.
#[derive(Clone, Debug)]
pub(super) struct Space {
    /// In the order of addresses, which is that of numbers.
    pools: Vec<Pool>,
    /// Addresses in pools that are never leased: servers' and routers'.
    kept_out: BTreeSet<Ipv4Addr>,
    /// Reserved addresses, and those outside the pools in their order.
    reserved: BTreeSet<Ipv4Addr>,
    outside: Vec<(Ipv4Addr, SubnetId)>,
    /// The numbers of each subnet's pools.
    windows: Vec<Range<u32>>,
    in_pools: u32,
}

impl Space {
    pub(super) fn new(subnets: &Subnets, reservations: &Reservations, ours: Ipv4Addr) -> Self {
        let mut space = Self {
            pools: Vec::new(),
            kept_out: BTreeSet::from([ours]),
            reserved: reservations.addresses().collect(),
            outside: Vec::new(),
            windows: Vec::new(),
            in_pools: 0,
        };
        for (id, subnet) in subnets.iter() {
            let config = &subnet.config;
            let servers = config.router.iter().chain(&config.dns).chain(&config.ntp);
            space.kept_out.extend(servers);
            let begin = space.in_pools;
            for &(first, last) in &config.pools {
                let (first, last) = (u32::from(first), u32::from(last));
                space.pools.push(Pool {
                    first,
                    last,
                    number: space.in_pools,
                    subnet: id,
                });
                space.in_pools += last - first + 1;
            }
            space.windows.push(begin..space.in_pools);
        }
        for &address in &space.reserved {
            if let (None, Some((id, _))) = (space.pool_of(address), subnets.of(address)) {
                space.outside.push((address, id));
            }
        }
        space
    }

    /// How many numbers there are.
    pub(super) fn size(&self) -> u32 {
        let outside = u32::try_from(self.outside.len()).unwrap_or(0);
        self.in_pools + outside
    }

    /// How many of them are of pools.
    pub(super) const fn in_pools(&self) -> u32 {
        self.in_pools
    }

    /// The numbers of a subnet's pools.
    pub(super) fn window(&self, subnet: SubnetId) -> Range<u32> {
        self.windows
            .get(usize::from(subnet))
            .cloned()
            .unwrap_or(0..0)
    }

    /// Where an address stands; `None` where it is given to nobody.
    pub(super) fn place(&self, address: Ipv4Addr) -> Option<Place> {
        let reserved = !self.reserved.is_empty() && self.reserved.contains(&address);
        if let Some(pool) = self.pool_of(address) {
            if !reserved && self.kept_out.contains(&address) {
                return None;
            }
            return Some(Place {
                number: pool.number + (u32::from(address) - pool.first),
                subnet: pool.subnet,
                kind: if reserved { Kind::Reserved } else { Kind::Pool },
            });
        }
        let at = self
            .outside
            .binary_search_by_key(&address, |(outside, _)| *outside)
            .ok()?;
        let (_, subnet) = self.outside.get(at)?;
        Some(Place {
            number: self.in_pools + u32::try_from(at).ok()?,
            subnet: *subnet,
            kind: Kind::Reserved,
        })
    }

    /// The address of a number of a pool.
    pub(super) fn address(&self, number: u32) -> Option<Ipv4Addr> {
        let after = self.pools.partition_point(|pool| pool.number <= number);
        let pool = self.pools.get(after.checked_sub(1)?)?;
        let address = pool.first + (number - pool.number);
        (address <= pool.last).then_some(address.into())
    }

    fn pool_of(&self, address: Ipv4Addr) -> Option<&Pool> {
        let address = u32::from(address);
        let after = self.pools.partition_point(|pool| pool.first <= address);
        self.pools
            .get(after.checked_sub(1)?)
            .filter(|pool| address <= pool.last)
    }
}
