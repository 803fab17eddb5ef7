// SPDX-License-Identifier: Apache-2.0
//! Every whole disk: what sysfs says at once, and what the disk itself answers within the patience.
//!
//! Refuses to judge; `hw-core` does, by the facts. A disk that hangs is reported with what is known of it, and its state is
//! unknown.

pub(crate) mod ask;
mod attachment;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod liar;
pub(crate) mod path;

use crate::raid;
use crate::sysfs::{Tree, below};
use ask::{Ask, Job};
use groundstate_api::health::{DeviceReport, HealthFinding};
use groundstate_api::inventory::{Disk, Health, Transport, Verdict};
use groundstate_api::units::Bytes;
use hw_core::disk::facts::Protocol;
use hw_core::disk::{DiskFacts, judge};
use hw_core::slot::{Place, ancestor, name, numbered, usb_device};
use std::time::{Duration, Instant};

/// How long all disks together may take. Healthy ones answer within 0.1 s, one in standby spins up in 10 to 15 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The most disks that are asked: a server with two full JBODs of 84 has fewer. More are named, not asked.
const DISKS_MAX: usize = 512;
/// sysfs counts `size` in sectors of 512 bytes whatever the disk's sectors are.
const SYSFS_SECTOR: u64 = 512;
/// Not disks: memory, optical drives, floppies, and what lies upon disks.
const NOT_DISKS: [&str; 9] = [
    "loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "mtdblock",
];

/// What was seen of the machine's disks.
#[derive(Clone, Debug, Default)]
pub struct DisksLook {
    /// Every whole disk by serial number, judged, with what it said.
    pub disks: Vec<(Disk, DiskFacts)>,
    /// The disks behind RAID controllers, which have no block device of their own; the controllers' volumes are among
    /// `disks`.
    pub members: Vec<DiskFacts>,
    /// What could not be looked at, and why.
    pub could_not_look: Vec<String>,
}

/// Looks at all disks, also those behind RAID controllers.
pub(crate) fn everything(tree: &Tree) -> DisksLook {
    let until = Instant::now() + PATIENCE;
    let behind = raid::look(tree, until);
    let mut look = disks(tree);
    let (mut members, missed) = behind.wait(until);
    // A disk that the kernel shows too was asked already.
    members.retain(|member| {
        let serial = &member.identity.serial;
        serial.is_empty() || !look.disks.iter().any(|(disk, _)| disk.serial == *serial)
    });
    look.members = members;
    look.could_not_look.extend(missed);
    look
}

/// Looks at the disks that the kernel shows.
pub(crate) fn disks(tree: &Tree) -> DisksLook {
    let mut look = DisksLook::default();
    let names = match tree.names("sys/block") {
        Ok(names) => names,
        Err(error) => {
            look.could_not_look
                .push(format!("disks: /sys/block: {error}"));
            return look;
        }
    };
    let mut seen = Vec::new();
    let mut jobs = Vec::new();
    for kernel_name in names {
        let Some((disk, ask)) = at_once(tree, &kernel_name, &mut look.could_not_look) else {
            continue;
        };
        if seen.len() == DISKS_MAX {
            look.could_not_look.push(format!(
                "disks: more than {DISKS_MAX}; {kernel_name} was not asked"
            ));
            continue;
        }
        jobs.push(job(tree, &disk, ask));
        seen.push(disk);
    }
    let answers = ask::all(jobs, PATIENCE, ask::one);
    let pairs = seen.into_iter().zip(answers);
    look.disks = pairs.map(|(disk, facts)| judged(disk, facts)).collect();
    let key = |(disk, _): &(Disk, DiskFacts)| (disk.serial.clone(), disk.slot.clone());
    look.disks.sort_by_cached_key(key);
    look
}

/// One disk by its kernel name, ready to be asked; `None` when sysfs has no such disk.
pub(crate) fn find(tree: &Tree, kernel_name: &str) -> Option<Job> {
    let (disk, ask) = at_once(tree, kernel_name, &mut Vec::new())?;
    Some(job(tree, &disk, ask))
}

/// What the kernel knows is where the facts begin.
fn job(tree: &Tree, disk: &Disk, ask: Ask) -> Job {
    let (source, protocol) = match ask {
        Ask::Ata => ("ioctl", Protocol::Ata),
        Ask::Nvme => ("ioctl", Protocol::Nvme),
        Ask::Scsi => ("ioctl", Protocol::Scsi),
        Ask::Nobody(_) => ("none", Protocol::Unknown),
    };
    let mut facts = DiskFacts::new(format!("/dev/{}", disk.kernel_name), source, protocol);
    facts.slot.clone_from(&disk.slot);
    let identity = &mut facts.identity;
    identity.model.clone_from(&disk.model);
    identity.serial.clone_from(&disk.serial);
    identity.revision.clone_from(&disk.revision);
    identity.wwn.clone_from(&disk.wwn);
    identity.size = Some(disk.size);
    identity.logical_sector = Some(disk.logical_sector);
    identity.rotation_rpm = (!disk.rotational).then_some(0);
    Job {
        ask,
        device: tree.path(&below("dev", &disk.kernel_name)),
        facts,
    }
}

/// The disk with the verdict on its facts. Its own word stands before the kernel's.
fn judged(mut disk: Disk, mut facts: DiskFacts) -> (Disk, DiskFacts) {
    let identity = &mut facts.identity;
    for (kernel, own) in [
        (&mut disk.serial, &identity.serial),
        (&mut disk.model, &identity.model),
        (&mut disk.revision, &identity.revision),
    ] {
        if !own.is_empty() {
            kernel.clone_from(own);
        }
    }
    if identity.wwn.is_some() {
        disk.wwn.clone_from(&identity.wwn);
    }
    // What the kernel sees is what is written to, whatever the disk counts.
    identity.size = Some(disk.size);
    disk.health = health(judge(&facts, &[]), &facts);
    (disk, facts)
}

/// The report as the inventory carries it.
fn health(report: DeviceReport, facts: &DiskFacts) -> Health {
    Health {
        verdict: report.verdict,
        source: report.source,
        evidence: report.findings.iter().map(line).collect(),
        temperature_c: facts.temperature_c,
        power_on_hours: facts.power_on_hours,
        findings: report.findings,
        figures: report.figures,
    }
}

/// A finding in one line: what, and what was seen unless the sentence says it already.
fn line(finding: &HealthFinding) -> String {
    let seen: Vec<&str> = finding
        .evidence
        .iter()
        .map(String::as_str)
        .filter(|seen| !finding.what.contains(seen))
        .collect();
    if seen.is_empty() {
        finding.what.clone()
    } else {
        format!("{} ({})", finding.what, seen.join("; "))
    }
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
        rotational: tree.flag(&file("queue/rotational")),
        removable,
        read_only: tree.flag(&file("ro")),
        contents: Vec::new(),
        layout: None,
        health: not_asked(),
        attachment: attachment::look(tree, kernel_name, &path, &block),
    };
    let ask = way(transport, raid::volume_of(tree, &path, &block));
    Some((disk, ask))
}

/// How a disk is asked; `volume` is the driver of the RAID controller whose volume it is.
fn way(transport: Transport, volume: Option<&str>) -> Ask {
    let nobody = |why: &str| Ask::Nobody(why.to_owned());
    match (transport, volume) {
        (_, Some(driver)) => Ask::Nobody(format!(
            "a volume of the RAID controller ({driver}): its disks are reported on their own"
        )),
        (Transport::Ata, None) => Ask::Ata,
        (Transport::Nvme, None) => Ask::Nvme,
        (Transport::Scsi, None) => Ask::Scsi,
        (Transport::Virtio, None) => nobody("a virtio disk keeps no health data"),
        (Transport::Usb, None) => {
            nobody("a USB disk is not asked: many bridges hang when they are")
        }
        (Transport::Other, None) => nobody("no health data is known for this kind of disk"),
    }
}

/// Before a disk is asked nothing is known.
fn not_asked() -> Health {
    Health {
        verdict: Verdict::Unknown,
        source: "none".into(),
        evidence: vec!["the disk was not asked".into()],
        temperature_c: None,
        power_on_hours: None,
        findings: Vec::new(),
        figures: std::collections::BTreeMap::new(),
    }
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

#[cfg(test)]
mod tests;
