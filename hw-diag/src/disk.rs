// SPDX-License-Identifier: Apache-2.0
//! Every whole disk: what sysfs says at once, and what the disk itself answers within the patience.
//!
//! Refuses to wait for a disk that hangs: each is asked in a thread of its own, and one that does not answer is reported
//! with what sysfs knows of it and unknown health. Its thread is left behind; the kernel ends its command in time.

use crate::sysfs::{Tree, below};
use crate::{ata, nvme, scsi};
use groundstate_api::inventory::{Disk, Health, Transport};
use groundstate_api::units::Bytes;
use hw_core::slot::{Place, ancestor, name, numbered, usb_device};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long all disks together may take. Healthy ones answer within 0.1 s, one in standby spins up in 10 to 15 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Stack of an asking thread: it holds one block of 4 KiB and little else; PID 1 must stay small.
const STACK: usize = 128 * 1024;
/// The most disks that are asked: a server with two full JBODs of 84 has fewer. More are named, not asked.
const DISKS_MAX: usize = 512;
/// sysfs counts `size` in sectors of 512 bytes whatever the disk's sectors are.
const SYSFS_SECTOR: u64 = 512;
/// Not disks: memory, optical drives, floppies, and what lies upon disks.
const NOT_DISKS: [&str; 9] = [
    "loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "mtdblock",
];

/// What a disk answered.
pub(crate) struct Answer {
    /// Serial number, where the disk was asked for it.
    pub(crate) serial: Option<String>,
    /// World Wide Name.
    pub(crate) wwn: Option<String>,
    /// Model.
    pub(crate) model: Option<String>,
    /// Firmware revision.
    pub(crate) revision: Option<String>,
    /// Health.
    pub(crate) health: Health,
}

impl Answer {
    /// Only a health.
    pub(crate) fn only(health: Health) -> Self {
        Self {
            serial: None,
            wwn: None,
            model: None,
            revision: None,
            health,
        }
    }
}

/// How to ask a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ask {
    Ata { rotational: bool },
    Nvme,
    Scsi,
    Nobody(&'static str),
}

/// The disks by serial number, and what could not be looked at.
pub(crate) fn disks(tree: &Tree, could_not_look: &mut Vec<String>) -> Vec<Disk> {
    let names = match tree.names("sys/block") {
        Ok(names) => names,
        Err(error) => {
            could_not_look.push(format!("disks: /sys/block: {error}"));
            return Vec::new();
        }
    };
    let mut disks = Vec::new();
    let mut asks = Vec::new();
    for kernel_name in names {
        let Some((disk, ask)) = at_once(tree, &kernel_name, could_not_look) else {
            continue;
        };
        if disks.len() == DISKS_MAX {
            could_not_look.push(format!(
                "disks: more than {DISKS_MAX}; {kernel_name} was not asked"
            ));
            continue;
        }
        disks.push(disk);
        asks.push(ask);
    }
    ask_all(tree, &mut disks, asks, PATIENCE, ask_one);
    disks.sort_by(|a, b| (&a.serial, &a.slot).cmp(&(&b.serial, &b.slot)));
    disks
}

/// What sysfs says of one block device; `None` when it is not a disk.
fn at_once(
    tree: &Tree,
    kernel_name: &str,
    could_not_look: &mut Vec<String>,
) -> Option<(Disk, Ask)> {
    let block = below("sys/block", kernel_name);
    let file = |name: &str| below(&block, name);
    if NOT_DISKS.iter().any(|prefix| is_kind(kernel_name, prefix))
        || !tree.exists(&file("device"))
        || tree.flag(&file("hidden"))
    {
        return None;
    }
    let path = controller_path(tree, &block)?;
    let transport = transport(tree, kernel_name, &path, &block);
    let slot = slot(tree, &path, &block);
    let removable = tree.flag(&file("removable"));
    let size = Bytes(
        tree.number::<u64>(&file("size"))
            .unwrap_or(0)
            .saturating_mul(SYSFS_SECTOR),
    );
    if size.0 == 0 {
        if !removable {
            could_not_look.push(format!(
                "disk {kernel_name} in {slot}: the kernel gives it no size"
            ));
        }
        return None;
    }
    let first = |files: &[&str]| files.iter().find_map(|name| tree.text(&file(name)));
    let rotational = tree.flag(&file("queue/rotational"));
    let wwid = first(&["wwid", "device/wwid"]);
    let disk = Disk {
        kernel_name: kernel_name.into(),
        slot,
        serial: first(&["serial", "device/serial"])
            .or_else(|| page80(tree, &block))
            .or_else(|| usb_serial(tree, &path))
            .unwrap_or_default(),
        wwn: wwid.filter(|id| {
            id.starts_with("eui.") || id.starts_with("naa.") || id.starts_with("uuid.")
        }),
        model: first(&["device/model"]).unwrap_or_default(),
        revision: first(&["device/firmware_rev", "device/rev"]).unwrap_or_default(),
        size,
        logical_sector: tree
            .number(&file("queue/logical_block_size"))
            .unwrap_or(512),
        physical_sector: tree
            .number(&file("queue/physical_block_size"))
            .unwrap_or(512),
        transport,
        rotational,
        removable,
        read_only: tree.flag(&file("ro")),
        contents: Vec::new(),
        layout: None,
        health: hw_core::unknown("none", "the disk was not asked"),
    };
    let ask = match transport {
        Transport::Ata => Ask::Ata { rotational },
        Transport::Nvme => Ask::Nvme,
        Transport::Scsi => Ask::Scsi,
        Transport::Virtio => Ask::Nobody("a virtio disk keeps no health data"),
        Transport::Usb => Ask::Nobody("a USB disk is not asked: many bridges hang when they are"),
        Transport::Other => Ask::Nobody("no health data is known for this kind of disk"),
    };
    Some((disk, ask))
}

/// `sr0` is of kind `sr`, `sram` is not; `dm-` stands for itself.
fn is_kind(kernel_name: &str, prefix: &str) -> bool {
    kernel_name
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '_'))
}

/// The device path below `/sys`. A multipath NVMe namespace hangs below a virtual subsystem: its first controller's path
/// stands for it.
fn controller_path(tree: &Tree, block: &str) -> Option<String> {
    let path = tree.device_path(block)?;
    if !path.contains("/nvme-subsystem/") {
        return Some(path);
    }
    let subsystem = below(block, "device");
    let names = tree.names(&subsystem).ok()?;
    let controller = names.iter().find(|name| numbered(name, "nvme").is_some())?;
    tree.device_path(&below(&subsystem, controller))
}

fn transport(tree: &Tree, kernel_name: &str, path: &str, block: &str) -> Transport {
    let has = |prefix: &str| path.split('/').any(|part| numbered(part, prefix).is_some());
    if kernel_name.starts_with("nvme") {
        Transport::Nvme
    } else if kernel_name.starts_with("vd") && has("virtio") {
        Transport::Virtio
    } else if has("usb") {
        Transport::Usb
    } else if !kernel_name.starts_with("sd") {
        Transport::Other
    } else if has("ata") || tree.text(&below(block, "device/vendor")).as_deref() == Some("ATA") {
        // Behind a SAS adapter a SATA disk's vendor is "ATA", and ATA commands reach it by translation (SAT).
        Transport::Ata
    } else {
        Transport::Scsi
    }
}

fn slot(tree: &Tree, path: &str, block: &str) -> String {
    let below_sys = |path: &str| below("sys", path);
    let ata_port = ancestor(path, "ata").and_then(|(port, name)| {
        tree.number(&below_sys(&format!("{port}/ata_port/{name}/port_no")))
    });
    let first_host = ancestor(path, "host").and_then(|(host, _)| {
        let (controller, _) = host.rsplit_once('/')?;
        let names = tree.names(&below_sys(controller)).ok()?;
        names.iter().filter_map(|name| numbered(name, "host")).min()
    });
    name(&Place {
        path,
        ata_port,
        first_host,
        namespace: tree.number(&below(block, "nsid")),
    })
}

/// The serial number that the kernel keeps from the disk's vital product data.
fn page80(tree: &Tree, block: &str) -> Option<String> {
    let page = tree.bytes(&below(block, "device/vpd_pg80")).ok()?;
    Some(hw_core::scsi::unit_serial(&page)).filter(|serial| !serial.is_empty())
}

/// The serial number of the USB device: `…/usb1/1-2/1-2:1.0/host4/…` has it in `1-2`.
fn usb_serial(tree: &Tree, path: &str) -> Option<String> {
    let device = usb_device(path)?;
    tree.text(&below(&below("sys", &device), "serial"))
}

/// Asks one disk; `known` is the serial number that the kernel has.
fn ask_one(ask: &Ask, device: &Path, known: &str) -> Answer {
    match *ask {
        Ask::Ata { rotational } => ata::ask(device, rotational),
        Ask::Nvme => nvme::ask(device),
        Ask::Scsi => scsi::ask(device, known),
        Ask::Nobody(why) => Answer::only(hw_core::unknown("none", why)),
    }
}

/// Asks every disk in a thread of its own and waits for the answers until `patience` ends.
fn ask_all(
    tree: &Tree,
    disks: &mut [Disk],
    asks: Vec<Ask>,
    patience: Duration,
    one: fn(&Ask, &Path, &str) -> Answer,
) {
    let (send, receive) = mpsc::channel::<(usize, Answer)>();
    let until = Instant::now() + patience;
    for (index, (disk, ask)) in disks.iter_mut().zip(asks).enumerate() {
        let device = tree.path(&below("dev", &disk.kernel_name));
        let known = disk.serial.clone();
        let send = send.clone();
        let thread = thread::Builder::new()
            .name(disk.kernel_name.clone())
            .stack_size(STACK);
        let spawned = thread.spawn(move || {
            let answer = one(&ask, &device, &known);
            // Nobody listens any more when the patience ended; then the answer is too late by design.
            let _ = send.send((index, answer));
        });
        let why = match spawned {
            Ok(_) => format!("the disk did not answer within {} s", patience.as_secs()),
            Err(error) => format!("no thread to ask the disk: {error}"),
        };
        disk.health = hw_core::unknown("none", why);
    }
    // Only the asking threads hold the channel open now: it ends when all have answered.
    drop(send);
    while let Ok((index, answer)) =
        receive.recv_timeout(until.saturating_duration_since(Instant::now()))
    {
        if let Some(disk) = disks.get_mut(index) {
            merge(disk, answer);
        }
    }
}

/// The disk's own word stands before the kernel's.
fn merge(disk: &mut Disk, answer: Answer) {
    let told = |said: Option<String>| said.filter(|text| !text.is_empty());
    if let Some(serial) = told(answer.serial) {
        disk.serial = serial;
    }
    if let Some(model) = told(answer.model) {
        disk.model = model;
    }
    if let Some(revision) = told(answer.revision) {
        disk.revision = revision;
    }
    if let Some(wwn) = told(answer.wwn) {
        disk.wwn = Some(wwn);
    }
    disk.health = answer.health;
}

#[cfg(test)]
mod tests;
