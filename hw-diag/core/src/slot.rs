// SPDX-License-Identifier: Apache-2.0
//! Where a disk sits, from its device path in sysfs: the last PCI address on it and the port below.
//!
//! The names are those of udev's `by-path` links (without udev): they stay the same as long as the wiring does. Kernel
//! names such as `sda` and port numbers that count over all controllers are not used: they follow the probing order.

use alloc::format;
use alloc::string::{String, ToString};

/// What the shell found beside the device path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// The canonical device path below `/sys`, for example `devices/pci0000:00/0000:00:1f.2/ata3/host2/...`.
    pub path: &'a str,
    /// The ATA port's number on its controller (`ata_port/ataN/port_no`), from 1.
    pub ata_port: Option<u32>,
    /// The lowest SCSI host number of the same controller, so that hosts count from 0.
    pub first_host: Option<u32>,
    /// The NVMe namespace's number.
    pub namespace: Option<u32>,
}

/// The slot's name: `pci-0000:00:05.0-nvme-1`, `pci-0000:00:1f.2-ata-3`, `pci-0000:00:06.0`, `pci-0000:01:00.0-scsi-0:0:4:0`.
#[must_use]
pub fn name(place: &Place<'_>) -> String {
    let Some(pci) = place.path.split('/').rfind(|part| is_pci(part)) else {
        return format!("path-{}", place.path);
    };
    if let Some(namespace) = place.namespace {
        return format!("pci-{pci}-nvme-{namespace}");
    }
    let address = place.path.split('/').rev().find_map(scsi_address);
    if let Some(usb) = place.path.split('/').rfind(|part| is_usb_interface(part)) {
        return format!(
            "pci-{pci}-usb-0:{}",
            usb.split_once('-').map_or(usb, |(_, port)| port)
        );
    }
    match (place.ata_port, address) {
        // Two devices on one port: a PATA slave or a port multiplier.
        (Some(port), Some([_, _, target, _])) if target > 0 => {
            format!("pci-{pci}-ata-{port}.{target}")
        }
        (Some(port), _) => format!("pci-{pci}-ata-{port}"),
        (None, Some([host, channel, target, lun])) => {
            let host = host.saturating_sub(place.first_host.unwrap_or(host));
            format!("pci-{pci}-scsi-{host}:{channel}:{target}:{lun}")
        }
        (None, None) => format!("pci-{pci}"),
    }
}

/// `0000:00:1f.2`; a domain behind Intel VMD has five digits.
#[must_use]
pub fn is_pci(part: &str) -> bool {
    let hex = |text: &str, lengths: core::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit())
    };
    let mut fields = part.split(':');
    let (Some(domain), Some(bus), Some(device), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return false;
    };
    let Some((device, function)) = device.split_once('.') else {
        return false;
    };
    hex(domain, 4..=8) && hex(bus, 2..=2) && hex(device, 2..=2) && hex(function, 1..=1)
}

/// `2:0:0:0`: host, channel, target, lun.
fn scsi_address(part: &str) -> Option<[u32; 4]> {
    let mut fields = part.split(':').map(|field| field.parse::<u32>().ok());
    let address = [
        fields.next()??,
        fields.next()??,
        fields.next()??,
        fields.next()??,
    ];
    fields.next().is_none().then_some(address)
}

/// `1-2.1:1.0`: bus, port chain, configuration, interface.
fn is_usb_interface(part: &str) -> bool {
    let Some((bus, rest)) = part.split_once('-') else {
        return false;
    };
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '.');
    bus.parse::<u32>().is_ok()
        && rest
            .split_once(':')
            .is_some_and(|(ports, interface)| digits(ports) && digits(interface))
}

/// The path of the USB device that the disk on `path` belongs to: what stands before its interface.
#[must_use]
pub fn usb_device(path: &str) -> Option<String> {
    let parts: alloc::vec::Vec<&str> = path.split('/').collect();
    let interface = parts.iter().rposition(|part| is_usb_interface(part))?;
    Some(parts.get(..interface)?.join("/"))
}

/// The number of an ATA host, of a directory such as `ata3` or `host2`.
#[must_use]
pub fn numbered(part: &str, prefix: &str) -> Option<u32> {
    part.strip_prefix(prefix)?.parse().ok()
}

/// The part of `path` up to and with its first component that is `prefix` and a number, and that component.
#[must_use]
pub fn ancestor(path: &str, prefix: &str) -> Option<(String, String)> {
    let mut so_far = String::new();
    for part in path.split('/') {
        if !so_far.is_empty() {
            so_far.push('/');
        }
        so_far.push_str(part);
        if numbered(part, prefix).is_some() {
            return Some((so_far, part.to_string()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_have_udevs_names() {
        let check = |place: Place<'_>, slot: &str| assert_eq!(name(&place), slot);
        check(
            Place {
                path: "devices/pci0000:00/0000:00:05.0/nvme/nvme0/nvme0n1",
                namespace: Some(1),
                ..Place::default()
            },
            "pci-0000:00:05.0-nvme-1",
        );
        check(
            Place {
                path: "devices/pci0000:00/0000:00:1f.2/ata9/host8/target8:0:0/8:0:0:0/block/sda",
                ata_port: Some(3),
                first_host: Some(6),
                ..Place::default()
            },
            "pci-0000:00:1f.2-ata-3",
        );
        check(
            Place {
                path: "devices/pci0000:00/0000:00:01.1/ata1/host0/target0:0:1/0:0:1:0/block/sdb",
                ata_port: Some(1),
                ..Place::default()
            },
            "pci-0000:00:01.1-ata-1.1",
        );
        check(
            Place {
                path: "devices/pci0000:00/0000:00:03.0/0000:01:00.0/host3/target3:2:4/3:2:4:0/block/sdc",
                first_host: Some(3),
                ..Place::default()
            },
            "pci-0000:01:00.0-scsi-0:2:4:0",
        );
        check(
            Place {
                path: "devices/pci0000:00/0000:00:06.0/virtio3/block/vda",
                ..Place::default()
            },
            "pci-0000:00:06.0",
        );
        check(
            Place {
                path: "devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host4/target4:0:0/4:0:0:0/block/sdd",
                first_host: Some(4),
                ..Place::default()
            },
            "pci-0000:00:14.0-usb-0:2:1.0",
        );
        check(
            Place {
                path: "devices/platform/mmc0/block/mmcblk0",
                ..Place::default()
            },
            "path-devices/platform/mmc0/block/mmcblk0",
        );
        assert_eq!(
            usb_device("devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host4/block/sdd")
                .as_deref(),
            Some("devices/pci0000:00/0000:00:14.0/usb1/1-2")
        );
        assert_eq!(usb_device("devices/pci0000:00/0000:00:14.0"), None);
        assert!(is_pci("10000:01:00.0"));
        assert!(!is_pci("pci0000:00"));
    }
}
