// SPDX-License-Identifier: Apache-2.0
//! The interface's own addresses, as the system has them.

use anyhow::{Context as _, Result, bail};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use std::net::Ipv4Addr;

/// An address of ours and its subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) interface: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) is_up: bool,
}

impl Own {
    /// Whether the address lies in this subnet.
    pub(super) fn holds(&self, address: Ipv4Addr) -> bool {
        let mask = u32::MAX
            .checked_shl(32 - u32::from(self.prefix))
            .unwrap_or(0);
        u32::from(self.address) & mask == u32::from(address) & mask
    }

    /// Whether it is this interface's.
    pub(crate) fn is_on(&self, interface: &str) -> bool {
        self.interface == interface
    }
}

/// Every IPv4 address of this machine.
pub(crate) fn on_all() -> Result<Vec<Own>> {
    let all = getifaddrs().context("listing this machine's addresses")?;
    let own = all.filter_map(|each| {
        let address = each.address?.as_sockaddr_in()?.ip();
        let mask = u32::from(each.netmask?.as_sockaddr_in()?.ip());
        Some(Own {
            interface: each.interface_name,
            address,
            prefix: u8::try_from(mask.leading_ones()).ok()?,
            is_up: each.flags.contains(InterfaceFlags::IFF_UP),
        })
    });
    Ok(own.collect())
}

/// The interface's address whose subnet holds the pool; without a pool, its first.
pub(super) fn own_address(interface: &str, pool: Option<Ipv4Addr>) -> Result<Own> {
    crate::up::check_interface(interface)?;
    let mut all = on_all()?;
    all.retain(|own| own.is_on(interface));
    choose(interface, &all, pool)
}

fn choose(interface: &str, all: &[Own], pool: Option<Ipv4Addr>) -> Result<Own> {
    let Some(first) = all.first() else {
        bail!(
            "{interface} has no IPv4 address; give it one, for example `ip address add 10.0.0.1/24 dev {interface}`"
        );
    };
    let Some(pool) = pool else {
        return Ok(first.clone());
    };
    if let Some(own) = all.iter().find(|own| own.holds(pool)) {
        return Ok(own.clone());
    }
    let list: Vec<String> = all
        .iter()
        .map(|own| format!("{}/{}", own.address, own.prefix))
        .collect();
    bail!(
        "--pool: {pool} lies in no subnet of {interface}, which has {}",
        list.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_whose_subnet_holds_the_pool_is_ours() {
        let own = |d, prefix| Own {
            interface: "eth0".into(),
            address: Ipv4Addr::new(10, d, 0, 1),
            prefix,
            is_up: true,
        };
        let all = [own(1, 24), own(2, 16), own(0, 32)];
        let pool = |text: &str| Some(text.parse().unwrap());
        assert_eq!(choose("eth1", &all, None).unwrap(), all[0]);
        assert_eq!(choose("eth1", &all, pool("10.2.7.9")).unwrap(), all[1]);
        let error = choose("eth1", &all, pool("10.3.0.5")).unwrap_err();
        assert!(
            error.to_string().contains("10.1.0.1/24, 10.2.0.1/16"),
            "{error}"
        );
        let error = choose("eth1", &[], None).unwrap_err().to_string();
        assert!(error.contains("ip address add"), "{error}");
    }
}
