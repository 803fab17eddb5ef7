// SPDX-License-Identifier: Apache-2.0
//! Whether the site's address is where machines will look for it: on the interface that is served. Asked before anything is
//! made or opened, so that a wrong interface or a missing address costs one line and not a half-made state directory.

use crate::pxe_server::interface::{Own, on_all};
use anyhow::{Result, bail};
use groundstate_api::site::Network;
use std::path::Path;

/// What only makes machines wonder is told and not refused.
pub(super) type Warnings = Vec<String>;

/// For who serves machines on this interface.
///
/// # Errors
/// The address is not there; what is, and the command that adds it.
pub(super) fn on(interface: &str, network: &Network, site: &Path) -> Result<Warnings> {
    judge(interface, network, site, &on_all()?).map_err(anyhow::Error::msg)
}

/// For who serves the API alone, without saying where it listens.
///
/// # Errors
/// The address is none of this machine.
pub(super) fn of_this_machine(network: &Network) -> Result<()> {
    let address = network.address;
    let is_ours = |own: &Own| own.address == address;
    if address.is_loopback() || on_all()?.iter().any(is_ours) {
        return Ok(());
    }
    bail!(not_here(network))
}

fn not_here(network: &Network) -> String {
    let (address, prefix) = (network.address, network.prefix);
    format!(
        "the site's network.address, {address}, is no address of this machine, and nothing else says where the API listens\n  do now: give --listen ADDR:PORT with an address of this machine (`ip address` shows those it has)\n      or: put it on the interface where machines reach it: ip address add {address}/{prefix} dev INTERFACE"
    )
}

fn judge(interface: &str, network: &Network, site: &Path, all: &[Own]) -> Result<Warnings, String> {
    let (address, prefix) = (network.address, network.prefix);
    if address.is_loopback() {
        return Ok(Vec::new());
    }
    let here: Vec<&Own> = all.iter().filter(|own| own.is_on(interface)).collect();
    if let Some(own) = here.iter().find(|own| own.address == address) {
        let mut warnings = Vec::new();
        if own.prefix != prefix {
            warnings.push(format!(
                "{interface} has {address}/{}, and the site says network.prefix = {prefix}: machines are told {prefix}",
                own.prefix
            ));
        }
        if !own.is_up {
            warnings.push(format!(
                "{interface} is down, no machine is heard: ip link set {interface} up"
            ));
        }
        return Ok(warnings);
    }
    let has = match here.as_slice() {
        [] => "no IPv4 address".to_owned(),
        some => {
            let each = some
                .iter()
                .map(|own| format!("{}/{}", own.address, own.prefix));
            each.collect::<Vec<_>>().join(", ")
        }
    };
    let add = format!("ip address add {address}/{prefix} dev {interface}");
    let (place, step) = match all.iter().find(|own| own.address == address) {
        Some(other) => (
            format!("; it is on {}", other.interface),
            format!(
                "--interface {}, if machines boot there; else take it off there, and {add}",
                other.interface
            ),
        ),
        None => (
            String::new(),
            format!("{add} && ip link set {interface} up"),
        ),
    };
    Err(format!(
        "the site's network.address, {address}, is not on {interface}, which has {has}{place}\n  do now: {step}\n      or: write this machine's address on {interface} into {} as network.address",
        site.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(interface: &str, address: &str, prefix: u8) -> Own {
        Own {
            interface: interface.into(),
            address: address.parse().unwrap(),
            prefix,
            is_up: interface != "down0",
        }
    }

    fn said(interface: &str, address: &str) -> Result<Warnings, String> {
        let pool = ("10.20.0.100", "10.20.0.199");
        let pool = (pool.0.parse().unwrap(), pool.1.parse().unwrap());
        let network = Network::new(address.parse().unwrap(), 24, pool);
        let all = [
            own("eth0", "192.0.2.7", 24),
            own("eth0", "10.20.0.2", 24),
            own("eth1", "10.20.0.1", 24),
            own("eth2", "10.20.0.3", 16),
            own("down0", "10.20.0.4", 24),
        ];
        judge(interface, &network, Path::new("site.toml"), &all)
    }

    #[test]
    fn an_address_that_is_there_is_served_and_what_is_odd_is_told() {
        for (interface, address) in [
            ("eth0", "10.20.0.2"),
            ("eth1", "10.20.0.1"),
            ("lo", "127.0.0.1"),
        ] {
            assert_eq!(said(interface, address), Ok(Vec::new()));
        }
        let told = said("eth2", "10.20.0.3").unwrap().join("\n");
        assert_eq!(
            told,
            "eth2 has 10.20.0.3/16, and the site says network.prefix = 24: machines are told 24"
        );
        let told = said("down0", "10.20.0.4").unwrap().join("\n");
        assert_eq!(
            told,
            "down0 is down, no machine is heard: ip link set down0 up"
        );
    }

    #[test]
    fn an_address_that_is_not_there_is_refused_with_what_is_and_the_command() {
        for (interface, address, wants) in [
            (
                "eth0",
                "10.20.0.9",
                [
                    "10.20.0.9, is not on eth0, which has 192.0.2.7/24, 10.20.0.2/24\n",
                    "do now: ip address add 10.20.0.9/24 dev eth0 && ip link set eth0 up\n",
                    "into site.toml as network.address",
                ],
            ),
            (
                "eth7",
                "10.20.0.1",
                [
                    "which has no IPv4 address; it is on eth1\n",
                    "do now: --interface eth1, if machines boot there",
                    "and ip address add 10.20.0.1/24 dev eth7\n",
                ],
            ),
        ] {
            let said = said(interface, address).unwrap_err();
            for want in wants {
                assert!(said.contains(want), "{want}: {said}");
            }
        }
    }
}
