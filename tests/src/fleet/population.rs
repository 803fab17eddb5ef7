// SPDX-License-Identifier: Apache-2.0
//! Who the nodes are: names, addresses and serial numbers by number, and the site that holds them all.

use crate::world::{inventory, sim_site};
use groundstate_api::enrol::EnrolRequest;
use groundstate_api::inventory::Inventory;
use groundstate_api::site::{Network, Node, Site};
use groundstate_api::site_parts::{Rack, Slot};
use groundstate_api::{BootId, MacAddr, NodeId, SCHEMA, SystemUuid};

/// Nodes in a rack: a machine of one unit each, the topmost two units are switches'.
const PER_RACK: u32 = 40;

/// A fleet by its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Population {
    /// How many nodes.
    pub nodes: u32,
}

/// One node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member(pub u32);

impl Population {
    /// Every node.
    pub fn members(self) -> impl Iterator<Item = Member> {
        (0..self.nodes).map(Member)
    }

    /// The site of them all on this network.
    #[must_use]
    pub fn site(self, network: Network) -> Site {
        let mut site = sim_site();
        let pattern = site.nodes.remove(0);
        site.name = format!("fleet of {}", self.nodes);
        site.network = network;
        let racks = self.nodes.div_ceil(PER_RACK);
        site.racks = (0..racks)
            .map(|rack| Rack {
                name: rack_name(rack),
                fault_domain: None,
                units: 42,
                place: format!("row {}", rack / 10 + 1),
                relay: None,
            })
            .collect();
        site.nodes = self.members().map(|who| who.site_node(&pattern)).collect();
        site
    }
}

fn rack_name(rack: u32) -> String {
    format!("r{:03}", rack + 1)
}

impl Member {
    /// Its name.
    ///
    /// # Panics
    /// Never: a letter and digits are a name.
    #[must_use]
    pub fn name(self) -> NodeId {
        format!("n{:05}", self.0 + 1)
            .parse()
            .expect("a node's name")
    }

    /// The MAC address it boots from: a locally administered one.
    #[must_use]
    pub fn mac(self) -> MacAddr {
        let [_, a, b, c] = self.0.to_be_bytes();
        MacAddr([0x52, 0x54, 0x01, a, b, c])
    }

    /// Its SMBIOS UUID.
    #[must_use]
    pub fn uuid(self) -> SystemUuid {
        let mut bytes = *b"\x67\x73\x00\x02fl\x40\0\x80\0\0\0\0\0\0\0";
        for (to, from) in bytes.iter_mut().skip(12).zip(self.0.to_be_bytes()) {
            *to = from;
        }
        SystemUuid(bytes)
    }

    /// Its SMBIOS serial number.
    #[must_use]
    pub fn serial(self) -> String {
        format!("SYS-{:05}", self.0 + 1)
    }

    /// What the site file says of it: as the pattern, with its own serial numbers, where it sits, and no two alike.
    fn site_node(self, pattern: &Node) -> Node {
        let mut node = pattern.clone();
        node.name = self.name();
        node.mac = self.mac();
        node.uuid = self.uuid();
        node.serial = self.serial();
        node.slot = Some(Slot {
            rack: rack_name(self.0 / PER_RACK),
            unit: u16::try_from(self.0 % PER_RACK).unwrap_or_default() + 1,
            height: 1,
            power: Vec::new(),
            port: None,
            bay: None,
        });
        if let Some(hardware) = &mut node.hardware {
            for disk in &mut hardware.disks {
                disk.serial = self.own(&disk.serial);
            }
            for dimm in &mut hardware.dimms {
                dimm.serial = dimm.serial.as_deref().map(|serial| self.own(serial));
            }
        }
        node
    }

    /// What its probes see.
    #[must_use]
    pub fn inventory(self, boot: &BootId) -> Inventory {
        let mut seen = inventory(crate::world::Trouble::None);
        seen.boot_id = boot.clone();
        seen.system.serial = self.serial();
        seen.system.uuid = Some(self.uuid());
        for disk in &mut seen.disks {
            disk.serial = self.own(&disk.serial);
        }
        for dimm in &mut seen.memory.dimms {
            dimm.serial = self.own(&dimm.serial);
        }
        for nic in &mut seen.nics {
            nic.mac = self.mac();
        }
        seen
    }

    fn own(self, serial: &str) -> String {
        format!("{serial}-{:05}", self.0 + 1)
    }

    /// What it asks with when it enrols.
    #[must_use]
    pub fn enrols(self, boot: &BootId, csr_pem: String) -> EnrolRequest {
        EnrolRequest {
            schema: SCHEMA,
            macs: vec![self.mac()],
            boot_mac: self.mac(),
            uuid: Some(self.uuid()),
            serial: self.serial(),
            model: None,
            boot_id: boot.clone(),
            uefi: true,
            csr_pem,
            shell: None,
        }
    }

    /// The id of its boot with this number.
    ///
    /// # Panics
    /// Never: digits of that form are an id.
    #[must_use]
    pub fn boot(self, number: u32) -> BootId {
        format!("{:08x}-0000-4000-8000-{:012x}", self.0, number)
            .parse()
            .expect("a boot id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_nodes_are_alike() {
        let of = Population { nodes: 10_000 };
        let macs: BTreeSet<_> = of.members().map(Member::mac).collect();
        let uuids: BTreeSet<_> = of.members().map(Member::uuid).collect();
        let names: BTreeSet<_> = of.members().map(Member::name).collect();
        assert_eq!(
            (macs.len(), uuids.len(), names.len()),
            (10_000, 10_000, 10_000)
        );
    }

    #[test]
    fn the_site_says_what_the_probes_see() {
        let site = Population { nodes: 45 }.site(sim_site().network);
        let last = site.nodes.last().unwrap();
        let who = Member(44);
        let seen = who.inventory(&who.boot(1));
        let named = &last.hardware.as_ref().unwrap().disks;
        assert!(
            seen.disks
                .iter()
                .all(|disk| named.iter().any(|one| one.serial == disk.serial))
        );
        assert_eq!(last.slot.as_ref().unwrap().rack, "r002");
        assert_eq!(last.slot.as_ref().unwrap().unit, 5);
    }
}
