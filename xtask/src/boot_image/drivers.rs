// SPDX-License-Identifier: Apache-2.0
//! Which drivers go into the boot image, as data: one line and one reason each.
//!
//! Only what a disk, a network card or a sensor needs. No USB storage: a stick must never look like a disk to lay out.
//! What these drivers depend on is found out, not listed.

/// What a driver is for, which decides what its absence from a kernel means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Network cards: without them the node cannot be reached.
    Network,
    /// Disks and their controllers: without them there is nothing to lay out. The host's initrd has the same ones, so
    /// that a host can start from whatever the maintenance OS could write to.
    Storage,
    /// File systems: PID 1 loads them by name when it mounts one.
    FileSystem,
    /// Sensors, firmware variables and faster arithmetic: a kernel without them is reported, not refused.
    Extra,
}

/// One driver.
#[derive(Debug)]
pub(crate) struct Driver {
    /// Module name with underscores.
    pub(crate) name: &'static str,
    /// What it is for.
    pub(crate) what: For,
    /// What must be there first although the module does not say so.
    pub(crate) also: &'static [&'static str],
    /// Why it is here, for the reader of this table and of the image's sizes.
    pub(crate) why: &'static str,
}

const fn driver(what: For, name: &'static str, why: &'static str) -> Driver {
    Driver {
        name,
        what,
        also: &[],
        why,
    }
}

use For::{Extra, FileSystem, Network, Storage};

/// Modules that PID 1 loads at start although no device asks for them by a modalias.
pub(crate) const ALWAYS: &[&str] = &["ipmi_devintf"];

/// Every driver of the boot image.
pub(crate) const DRIVERS: &[Driver] = &[
    driver(Network, "e1000", "Intel 8254x, and QEMU's oldest card"),
    driver(Network, "e1000e", "Intel 8257x and I217-I219 on boards"),
    driver(Network, "igb", "Intel I210, I350: 1 GbE on most boards"),
    driver(Network, "ixgbe", "Intel X520, X540, X550: 10 GbE"),
    driver(Network, "i40e", "Intel X710, XL710, X722: 10 to 40 GbE"),
    driver(Network, "ice", "Intel E810, E823: 25 to 100 GbE"),
    driver(Network, "mlx4_en", "Mellanox ConnectX-3: 10 to 40 GbE"),
    driver(Network, "mlx5_core", "Mellanox ConnectX-4 and later"),
    driver(Network, "bnxt_en", "Broadcom NetXtreme-E: 10 to 200 GbE"),
    driver(Network, "tg3", "Broadcom BCM57xx: 1 GbE on boards"),
    driver(Network, "virtio_net", "virtual servers"),
    driver(Storage, "ahci", "SATA on every board"),
    driver(Storage, "ata_piix", "SATA in IDE mode on older boards"),
    driver(Storage, "nvme", "NVMe disks"),
    driver(Storage, "vmd", "NVMe behind Intel VMD, on by default there"),
    driver(Storage, "sd_mod", "every SCSI, SAS and SATA disk"),
    driver(Storage, "megaraid_sas", "Broadcom MegaRAID, Dell PERC"),
    driver(Storage, "mpt3sas", "Broadcom SAS2 and SAS3 HBAs"),
    driver(Storage, "smartpqi", "Microchip SmartRAID, HPE Gen10"),
    driver(Storage, "hpsa", "HPE Smart Array of Gen8 and Gen9"),
    driver(Storage, "aacraid", "Microchip/Adaptec series 6 to 8"),
    driver(Storage, "virtio_blk", "virtual servers"),
    driver(Storage, "virtio_scsi", "virtual servers"),
    driver(Storage, "virtio_pci", "the bus of virtual devices"),
    driver(FileSystem, "ext4", "the root partition and data volumes"),
    Driver {
        name: "vfat",
        what: FileSystem,
        // Debian's kernel mounts vfat with code page 437 and character set ascii, and would ask modprobe for them,
        // which the boot image does not have; utf8 is for who mounts with iocharset=utf8.
        also: &["nls_cp437", "nls_ascii", "nls_utf8"],
        why: "the ESP",
    },
    driver(FileSystem, "xfs", "data volumes"),
    driver(Extra, "crc32c_intel", "ext4's and xfs's checksums, fast"),
    driver(Extra, "efivarfs", "boot entries on UEFI"),
    driver(Extra, "ipmi_si", "the BMC"),
    driver(Extra, "ipmi_devintf", "/dev/ipmi0"),
    driver(Extra, "coretemp", "temperatures: Intel processors"),
    driver(Extra, "k10temp", "temperatures: AMD processors"),
    driver(Extra, "acpi_power_meter", "the board's power meter"),
    driver(Extra, "ses", "locate LEDs of disk enclosures"),
    driver(Extra, "virtio_rng", "entropy on virtual servers"),
    driver(Extra, "amd64_edac", "memory errors: AMD"),
    driver(Extra, "sb_edac", "memory errors: Xeon E5 v1 to v4"),
    driver(Extra, "skx_edac", "memory errors: Xeon Scalable 1, 2"),
    driver(Extra, "i10nm_edac", "memory errors: Xeon Scalable 3+"),
    driver(Extra, "ie31200_edac", "memory errors: Xeon E3 and E"),
    driver(Extra, "pnd2_edac", "memory errors: Atom C3000"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_driver_is_listed_once_and_has_a_reason() {
        let mut names: Vec<_> = DRIVERS.iter().map(|driver| driver.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "a driver is listed twice");
        for driver in DRIVERS {
            assert!(!driver.why.is_empty() && !driver.name.contains('-'));
        }
        for name in ALWAYS {
            assert!(
                names.contains(name),
                "{name} is always loaded but not there"
            );
        }
        assert!(!names.contains(&"usb_storage"));
    }
}
