// SPDX-License-Identifier: Apache-2.0
//! The site file that a rack's nodes belong to: what an operator would have written about them.

use super::NodeSpec;
use groundstate_api::disk_policy::{DiskPolicy, WipeRule};
use groundstate_api::plan::HandOver;
use groundstate_api::site::{
    ExpectedDimm, ExpectedDisk, Hardware, Network, Node, Policy, Site, VhdPolicy,
};
use groundstate_api::units::{Bytes, GIB, MIB};
use std::net::Ipv4Addr;

/// Our own address in the rack, on the bridge.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// Length of the rack's network prefix.
pub const PREFIX: u8 = 24;

/// The site of these nodes. Give the nodes as they should be, before a fault is put into them.
#[must_use]
pub fn site(nodes: &[NodeSpec]) -> Site {
    let at = |last| Ipv4Addr::new(10, 77, 0, last);
    let policy = Policy {
        // The rack's disks hold what other systems left there, and all of it may go.
        disks: DiskPolicy {
            wipe: Some(WipeRule::Any),
            ..DiskPolicy::default()
        },
        vhds: vec![VhdPolicy {
            name: "vm".to_owned(),
            size: "256MiB".to_owned(),
            count: 1,
            ..VhdPolicy::default()
        }],
        ..Policy::new("debian-host", HandOver::Kexec)
    };
    let network = Network::new(ADDRESS, PREFIX, (at(100), at(199)));
    Site {
        nodes: nodes.iter().map(node).collect(),
        ..Site::new("demo", network, policy)
    }
}

/// [`site`] as the text of a site file.
///
/// # Panics
/// Never: every value of a site can be written as TOML.
#[must_use]
pub fn site_toml(nodes: &[NodeSpec]) -> String {
    toml::to_string_pretty(&site(nodes)).expect("a site is tables of texts and numbers")
}

fn node(spec: &NodeSpec) -> Node {
    let dimms = spec.dimms.iter().filter(|d| d.size_mib > 0);
    Node {
        os_disk: spec.disks.first().map(|d| d.serial.clone()),
        hardware: Some(Hardware {
            dimms: dimms
                .map(|d| ExpectedDimm {
                    slot: d.slot.clone(),
                    size: format!("{}MiB", d.size_mib),
                    serial: Some(d.serial.clone()),
                })
                .collect(),
            disks: spec
                .disks
                .iter()
                .map(|d| ExpectedDisk {
                    serial: d.serial.clone(),
                    slot: None,
                    size: Some(size_text(d.size)),
                })
                .collect(),
        }),
        ..Node::new(spec.name.clone(), spec.mac, spec.uuid, &spec.serial)
    }
}

/// A size as a site file writes it: whole GiB or, where it is not, whole MiB.
fn size_text(size: Bytes) -> String {
    match (size.0 % GIB, size.0 % MIB) {
        (0, _) => format!("{}GiB", size.0 / GIB),
        (_, 0) => format!("{}MiB", size.0 / MIB),
        _ => size.0.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use groundstate_api::boot::Firmware;

    #[test]
    fn the_text_reads_back_as_the_same_site() {
        let nodes = [1, 2].map(|index| NodeSpec::demo(index, Firmware::UefiHttp));
        let text = site_toml(&nodes);
        assert_eq!(toml::from_str::<Site>(&text).unwrap(), site(&nodes));
        let sizes = site(&nodes).nodes[0].hardware.clone().unwrap().disks;
        for (disk, spec) in sizes.iter().zip(&nodes[0].disks) {
            let size = disk.size.as_deref().unwrap();
            assert_eq!(groundstate_api::Bytes::parse(size), Some(spec.size));
        }
    }

    #[test]
    fn the_text_is_what_an_operator_would_write() {
        let mut spec = NodeSpec::demo(1, Firmware::Bios);
        spec.dimms.truncate(1);
        spec.disks.truncate(1);
        expect![[r#"
            name = "demo"

            [network]
            address = "10.77.0.1"
            prefix = 24
            pool_first = "10.77.0.100"
            pool_last = "10.77.0.199"
            dns = []
            lease_secs = 3600
            http_port = 80
            https_port = 8443

            [policy]
            image = "debian-host"
            hand_over = "kexec"
            closed = true

            [policy.disks]
            wipe = "any"

            [[policy.vhd]]
            name = "vm"
            size = "256MiB"
            count = 1

            [[node]]
            name = "node-1"
            mac = "52:54:00:67:73:01"
            uuid = "67730001-7261-406b-8000-64656d6f0001"
            serial = "GS-RACK-0001"
            os_disk = "GS1-OS-NVME"
            keep = []

            [[node.hardware.dimm]]
            slot = "DIMM_A1"
            size = "512MiB"
            serial = "GS1-DIMM-0000"

            [[node.hardware.disk]]
            serial = "GS1-OS-NVME"
            size = "4GiB"
        "#]]
        .assert_eq(&site_toml(&[spec]));
    }
}
