// SPDX-License-Identifier: Apache-2.0
//! Ethernet interfaces with a device behind them. Bridges, taps, VLANs and Wi-Fi are not the machine's ports.

use crate::sysfs::{Tree, below};
use groundstate_api::ids::MacAddr;
use groundstate_api::inventory::Nic;

/// `ARPHRD_ETHER`.
const ETHERNET: u32 = 1;

/// The interfaces by MAC address.
pub(crate) fn nics(tree: &Tree, could_not_look: &mut Vec<String>) -> Vec<Nic> {
    let names = match tree.names("sys/class/net") {
        Ok(names) => names,
        Err(error) => {
            could_not_look.push(format!("network interfaces: /sys/class/net: {error}"));
            return Vec::new();
        }
    };
    let mut nics: Vec<Nic> = Vec::new();
    for name in names {
        let file = |file: &str| below(&below("sys/class/net", &name), file);
        let ethernet = tree.number(&file("type")) == Some(ETHERNET);
        if !ethernet || !tree.exists(&file("device")) || tree.exists(&file("phy80211")) {
            continue;
        }
        let Some(mac) = tree.number::<MacAddr>(&file("address")) else {
            could_not_look.push(format!("network interface {name}: it has no MAC address"));
            continue;
        };
        nics.push(Nic {
            mac,
            // Reading `carrier` of an interface that is down is an error: no link then.
            link: tree.flag(&file("carrier")),
            // -1 where the driver does not know.
            speed_mbps: tree
                .number::<i64>(&file("speed"))
                .and_then(|s| u32::try_from(s).ok()),
            driver: tree.link_name(&file("device/driver")).unwrap_or_default(),
            name,
        });
    }
    nics.sort_by(|a, b| (a.mac, &a.name).cmp(&(b.mac, &b.name)));
    nics
}
