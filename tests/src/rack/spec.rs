// SPDX-License-Identifier: Apache-2.0
//! What a virtual server consists of. A description only: it starts nothing and writes nothing.

use super::RackError;
use groundstate_api::boot::Firmware;
use groundstate_api::units::{Bytes, MIB};
use groundstate_api::{MacAddr, NodeId, SystemUuid};
use std::collections::BTreeSet;

/// The most nodes of a demo rack: MAC address, serial numbers and the address pool have room for so many.
pub const NODES_MAX: u8 = 90;
/// The smallest memory with which firmware and Debian's kernel start, in MiB.
const MEMORY_MIN_MIB: u32 = 256;
/// q35's built-in AHCI controller has six ports.
const AHCI_PORTS: usize = 6;

/// One virtual server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// Its name in the site file.
    pub name: NodeId,
    /// The MAC address of its one network card.
    pub mac: MacAddr,
    /// The kind of network card.
    pub nic: NicKind,
    /// SMBIOS UUID.
    pub uuid: SystemUuid,
    /// SMBIOS serial number.
    pub serial: String,
    /// How its firmware boots from the network.
    pub firmware: Firmware,
    /// Virtual processors.
    pub cpus: u8,
    /// Memory in MiB: what the populated DIMMs add up to.
    pub memory_mib: u32,
    /// What of that memory the machine does not have, although its DIMMs are listed: mapped out, or broken beyond its
    /// table's knowledge.
    pub memory_lost_mib: u32,
    /// Every memory slot in table order.
    pub dimms: Vec<DimmSpec>,
    /// Every disk. The first is the one the firmware boots after the network.
    pub disks: Vec<DiskSpec>,
    /// Whether it has a baseboard management controller with the sensors and the event log of QEMU's simulator.
    pub bmc: bool,
    /// What UEFI leaves out, by OVMF's names, in place of what it leaves out to reach `firmware` quickly:
    /// `IPv4PXESupport`, `IPv6PXESupport`.
    pub left_out: Option<&'static [&'static str]>,
}

/// The kind of network card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NicKind {
    /// virtio-net.
    Virtio,
    /// Intel 82574L.
    E1000e,
}

/// One memory slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DimmSpec {
    /// Device Locator: the silkscreen name.
    pub slot: String,
    /// Bank Locator.
    pub bank: String,
    /// Size in MiB; 0 when the slot is empty.
    pub size_mib: u32,
    /// Serial number.
    pub serial: String,
    /// Part number.
    pub part: String,
    /// Manufacturer.
    pub manufacturer: String,
}

/// How a disk is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskKind {
    /// An NVMe controller with one namespace, behind a PCIe root port of its own.
    Nvme,
    /// A SATA disk at the chipset's AHCI controller.
    Ahci,
    /// virtio-blk. It has neither SMART nor a world-wide name.
    Virtio,
}

/// What a disk holds before anybody of ours sees it. Never zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldContent {
    /// A GUID Partition Table with one ext4 partition labelled `old-root`.
    GptExt4,
    /// A master boot record with one ext4 partition labelled `old-data`.
    MbrExt4,
    /// An ext4 file system labelled `old-bare` straight on the disk.
    BareExt4,
    /// Random bytes in no shape, at both ends and in the middle.
    Noise,
}

/// One disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSpec {
    /// How it is connected.
    pub kind: DiskKind,
    /// Serial number, at most 20 characters (ATA and NVMe have no more).
    pub serial: String,
    /// World-wide name: `wwn` of an AHCI disk, EUI-64 of an NVMe namespace. An NVMe disk without one is named by its
    /// serial number (Linux: `nvme.8086-…`). The first disk, when it is NVMe, has none: QEMU gives a namespace with a
    /// name a device path that no firmware finds, so it would not boot.
    pub wwn: Option<u64>,
    /// Size; a whole number of MiB.
    pub size: Bytes,
    /// NVMe SMART critical warning byte, where the disk shall be failing.
    pub critical_warning: Option<u8>,
    /// Revolutions per minute of an AHCI disk; `None` for a disk without platters.
    pub rotation_rpm: Option<u16>,
    /// What it holds at first.
    pub old_content: OldContent,
}

impl NodeSpec {
    /// Node `index` (from 1) of a demo rack: 2 GiB in four DIMMs, an NVMe disk for the OS and three data disks.
    ///
    /// # Panics
    /// When `index` is 0 or above [`NODES_MAX`].
    #[must_use]
    pub fn demo(index: u8, firmware: Firmware) -> Self {
        assert!(
            (1..=NODES_MAX).contains(&index),
            "a demo rack has nodes 1 to {NODES_MAX}, not {index}"
        );
        let mut uuid = *b"\x67\x73\x00\x01rack\xa0\x00demo\x00\x00";
        // Version 4, variant 1, so that no tool calls it malformed.
        uuid[6] = 0x40;
        uuid[8] = 0x80;
        uuid[15] = index;
        let dimms: Vec<DimmSpec> = (0..4)
            .map(|at| DimmSpec {
                slot: format!("DIMM_{}{}", if at < 2 { 'A' } else { 'B' }, at % 2 + 1),
                bank: format!("NODE 0 CHANNEL {}", at / 2),
                size_mib: 512,
                serial: format!("GS{index}-DIMM-{at:04}"),
                part: "GSM-512-DDR4".to_owned(),
                manufacturer: "Groundstate Labs".to_owned(),
            })
            .collect();
        Self {
            name: format!("node-{index}")
                .parse()
                .expect("`node-` and a number is a node name"),
            mac: MacAddr([0x52, 0x54, 0x00, 0x67, 0x73, index]),
            nic: NicKind::Virtio,
            uuid: SystemUuid(uuid),
            serial: format!("GS-RACK-{index:04}"),
            firmware,
            cpus: 2,
            memory_mib: dimms.iter().map(|d| d.size_mib).sum(),
            memory_lost_mib: 0,
            dimms,
            disks: demo_disks(index),
            bmc: false,
            left_out: None,
        }
    }

    /// A demo node with a BMC and 24 disks: five SATA disks and nineteen NVMe, of which the last fails.
    #[must_use]
    pub fn crowded(index: u8, firmware: Firmware) -> Self {
        const DISKS: u64 = 24;
        let mut node = Self::demo(index, firmware);
        let mut disks = Vec::new();
        for number in 0..DISKS {
            let is_sata = (1..AHCI_PORTS as u64).contains(&number);
            disks.push(DiskSpec {
                kind: if is_sata {
                    DiskKind::Ahci
                } else {
                    DiskKind::Nvme
                },
                serial: format!("GS{index}-CROWD-{number:02}"),
                wwn: (number > 0).then_some(0x5067_7300_0000_1000 | number),
                size: Bytes::mib(64),
                critical_warning: (number + 1 == DISKS).then_some(4),
                rotation_rpm: (is_sata && number % 2 == 0).then_some(7_200),
                old_content: OldContent::Noise,
            });
        }
        node.disks = disks;
        node.bmc = true;
        node
    }

    /// A demo node with so many NVMe disks: one of 4 GiB for the OS, the others of 1 GiB.
    #[must_use]
    pub fn shelf(index: u8, firmware: Firmware, disks: u8) -> Self {
        let mut node = Self::demo(index, firmware);
        let disk = |number: u8| DiskSpec {
            kind: DiskKind::Nvme,
            serial: format!("GS{index}-SHELF-{number:02}"),
            wwn: (number > 0).then_some(0x5067_7300_0000_2000 | u64::from(number)),
            size: Bytes::gib(if number == 0 { 4 } else { 1 }),
            critical_warning: None,
            rotation_rpm: None,
            old_content: OldContent::GptExt4,
        };
        node.disks = (0..disks).map(disk).collect();
        node
    }

    /// Checks what QEMU would otherwise truncate or refuse in words of its own.
    ///
    /// # Errors
    /// [`RackError::BadSpec`] with the part.
    pub fn check(&self) -> Result<(), RackError> {
        let bad = |problem: String| {
            Err(RackError::BadSpec {
                node: self.name.to_string(),
                problem,
            })
        };
        let dimms: u32 = self.dimms.iter().map(|d| d.size_mib).sum();
        if dimms != self.memory_mib {
            return bad(format!(
                "its DIMMs add up to {dimms} MiB, its memory is {} MiB",
                self.memory_mib
            ));
        }
        let memory = self.memory_mib.saturating_sub(self.memory_lost_mib);
        if memory < MEMORY_MIN_MIB {
            return bad(format!(
                "{memory} MiB of memory; firmware and kernel need {MEMORY_MIN_MIB}"
            ));
        }
        if !qemu_value(&self.serial) {
            return bad(format!(
                "serial number {:?} has a comma or a control character",
                self.serial
            ));
        }
        let ahci = self.disks.iter().filter(|d| d.kind == DiskKind::Ahci);
        if ahci.count() > AHCI_PORTS {
            return bad(format!("more than {AHCI_PORTS} AHCI disks"));
        }
        if let Some(first) = self.disks.first()
            && first.kind == DiskKind::Nvme
            && first.wwn.is_some()
        {
            return bad(format!(
                "disk {:?}: QEMU cannot boot an NVMe disk that has a world-wide name",
                first.serial
            ));
        }
        let mut serials = BTreeSet::new();
        for disk in &self.disks {
            if !serials.insert(&disk.serial) {
                return bad(format!("two disks have the serial {}", disk.serial));
            }
            if let Some(problem) = disk.problem() {
                return bad(format!("disk {:?}: {problem}", disk.serial));
            }
        }
        Ok(())
    }
}

impl DiskSpec {
    fn problem(&self) -> Option<&'static str> {
        let name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.serial.is_empty() || self.serial.len() > 20 || !self.serial.chars().all(name) {
            Some("a serial is 1 to 20 of A-Z, a-z, 0-9, '-' and '_'")
        } else if !self.size.0.is_multiple_of(MIB) || self.size.0 < 64 * MIB {
            Some("a size is a whole number of MiB, 64 at least")
        } else if self.critical_warning.is_some() && self.kind != DiskKind::Nvme {
            Some("only a virtual NVMe disk can have a critical warning")
        } else if self.rotation_rpm.is_some() && self.kind != DiskKind::Ahci {
            Some("only an AHCI disk has a rotation rate")
        } else if self.wwn.is_some() && self.kind == DiskKind::Virtio {
            Some("a virtio disk has no world-wide name")
        } else {
            None
        }
    }
}

/// Whether QEMU's option parser takes the text as one value.
fn qemu_value(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c == ',' || c.is_control())
}

fn demo_disks(index: u8) -> Vec<DiskSpec> {
    let node = u64::from(index) << 8;
    let disk = |kind, serial: &str, wwn: Option<u64>, size, rotation_rpm, old_content| DiskSpec {
        kind,
        serial: format!("GS{index}-{serial}"),
        wwn: wwn.map(|wwn| wwn | node),
        size,
        critical_warning: None,
        rotation_rpm,
        old_content,
    };
    // NAA 5 names with a made-up company, EUI-64 names likewise: no real disk has them.
    let (naa, eui) = (0x5067_7300_0000_0000, 0x6773_00ff_fe00_0000);
    let (small, large) = (Bytes::gib(1), Bytes::gib(4));
    use DiskKind::{Ahci, Nvme};
    use OldContent::{BareExt4, GptExt4, MbrExt4, Noise};
    vec![
        disk(Nvme, "OS-NVME", None, large, None, GptExt4),
        disk(Ahci, "DATA-SSD", Some(naa | 1), small, None, MbrExt4),
        disk(Nvme, "DATA-NVME", Some(eui | 2), small, None, BareExt4),
        disk(Ahci, "DATA-HDD", Some(naa | 3), small, Some(7_200), Noise),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_nodes_are_sound_and_share_nothing() {
        let mut seen = BTreeSet::new();
        for index in 1..=NODES_MAX {
            NodeSpec::crowded(index, Firmware::Bios).check().unwrap();
            let shelf = NodeSpec::shelf(index, Firmware::Bios, index.min(24));
            shelf.check().unwrap();
            assert_eq!(shelf.disks.len(), usize::from(index.min(24)));
            let node = NodeSpec::demo(index, Firmware::Bios);
            node.check().unwrap();
            assert!(node.disks.len() >= 4);
            assert!(seen.insert(node.mac.to_string()));
            assert!(seen.insert(node.uuid.to_string()));
            assert!(seen.insert(node.serial));
            for disk in node.disks {
                assert!(seen.insert(disk.serial));
                assert!(disk.wwn.is_none_or(|wwn| seen.insert(format!("{wwn:x}"))));
            }
            for dimm in node.dimms {
                assert!(seen.insert(dimm.serial));
            }
        }
    }

    #[test]
    fn what_qemu_would_bend_is_refused() {
        let refused = |change: fn(&mut NodeSpec)| {
            let mut node = NodeSpec::demo(1, Firmware::Bios);
            change(&mut node);
            node.check().unwrap_err().to_string()
        };
        let text = refused(|n| n.memory_mib = 1024);
        assert_eq!(
            text,
            "node node-1: its DIMMs add up to 2048 MiB, its memory is 1024 MiB"
        );
        assert!(refused(|n| n.disks[1].serial = "x".repeat(21)).contains("1 to 20"));
        assert!(refused(|n| n.disks[1].serial = n.disks[0].serial.clone()).contains("two disks"));
        assert!(refused(|n| n.disks[0].wwn = Some(1)).contains("cannot boot"));
        assert!(refused(|n| n.disks[1].critical_warning = Some(4)).contains("NVMe"));
        assert!(refused(|n| n.disks[0].size.0 += 1).contains("whole number"));
        assert!(refused(|n| n.serial = "a,b".to_owned()).contains("comma"));
    }
}
