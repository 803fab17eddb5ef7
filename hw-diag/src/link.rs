// SPDX-License-Identifier: Apache-2.0
//! More of each network interface: firmware, duplex, error counters.

use crate::link_ethtool;
use crate::sysfs::{Tree, below};
use groundstate_api::inventory::Nic;
use hw_core::machine::{Duplex, NicFacts};
use std::path::Path;

/// `IFF_UP` in an interface's flags.
const IFF_UP: u32 = 1;
/// The most counters that are kept of one interface; the kernel has 24 common ones.
const COUNTERS_MAX: usize = 64;

/// The facts on interfaces that were found.
pub(crate) fn links(tree: &Tree, nics: &[Nic]) -> Vec<NicFacts> {
    nics.iter().map(|nic| one(tree, nic)).collect()
}

fn one(tree: &Tree, nic: &Nic) -> NicFacts {
    let file = |name: &str| below(&below("sys/class/net", &nic.name), name);
    let flags = tree
        .text(&file("flags"))
        .and_then(|text| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok());
    // Reading `duplex` of an interface that is down is an error.
    let duplex = match tree.text(&file("duplex")).as_deref() {
        Some("full") => Duplex::Full,
        Some("half") => Duplex::Half,
        Some(_) | None => Duplex::Unknown,
    };
    let statistics = file("statistics");
    let names = tree.names(&statistics).unwrap_or_default();
    let counters = names.into_iter().take(COUNTERS_MAX).filter_map(|name| {
        let count: u64 = tree.number(&below(&statistics, &name))?;
        (count > 0).then_some((name, count))
    });
    // An ioctl asks the running machine, whatever the tree is.
    let firmware = if tree.path("") == Path::new("/") {
        link_ethtool::firmware_version(&nic.name)
    } else {
        None
    };
    NicFacts {
        name: nic.name.clone(),
        mac: nic.mac.to_string(),
        address: tree.link_name(&file("device")).unwrap_or_default(),
        driver: nic.driver.clone(),
        firmware: firmware.unwrap_or_default(),
        up: flags.is_some_and(|flags| flags & IFF_UP != 0),
        link: nic.link,
        speed_mbps: nic.speed_mbps,
        duplex,
        carrier_changes: tree.number(&file("carrier_changes")),
        counters: counters.collect(),
        listened: false,
        neighbour: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn counters_flags_and_duplex_are_read() {
        let fixture = Fixture::new();
        let net = "sys/class/net/eno1";
        fixture.link(&format!("{net}/device"), "sys/devices/0000:3b:00.0");
        for (name, content) in [
            ("flags", "0x1003\n"),
            ("duplex", "half\n"),
            ("carrier_changes", "5\n"),
            ("statistics/rx_crc_errors", "12\n"),
            ("statistics/rx_packets", "18446744073709551615\n"),
            ("statistics/tx_errors", "0\n"),
        ] {
            fixture.file(&format!("{net}/{name}"), content);
        }
        let nic = Nic {
            name: "eno1".into(),
            mac: "02:00:00:00:00:01".parse().unwrap(),
            link: true,
            speed_mbps: Some(100),
            driver: "igb".into(),
        };
        let seen = links(&fixture.tree(), &[nic]);
        let [seen] = seen.as_slice() else { panic!() };
        assert!(seen.up && seen.duplex == Duplex::Half);
        assert_eq!(
            (seen.address.as_str(), seen.carrier_changes),
            ("0000:3b:00.0", Some(5))
        );
        assert_eq!(seen.counters.len(), 2);
        assert_eq!(seen.counters["rx_packets"], u64::MAX);
    }
}
