// SPDX-License-Identifier: Apache-2.0
//! The disks' health, and whether they can be told apart.

use super::{stop, warn};
use alloc::format;
use alloc::vec::Vec;
use groundstate_api::inventory::{Disk, Finding, Inventory, Transport, Verdict};
use groundstate_api::reason::{Reason, ReasonCode};

pub(super) fn judge(seen: &Inventory) -> Vec<Finding> {
    let mut findings: Vec<Finding> = seen.disks.iter().filter_map(health).collect();
    findings.extend(identities(&seen.disks));
    findings
}

/// Whether a run could choose the disk by its serial number: what is removable, read-only or of no size never is.
fn eligible(disk: &Disk) -> bool {
    !disk.removable && !disk.read_only && disk.size.0 > 0
}

fn health(disk: &Disk) -> Option<Finding> {
    let serial = match disk.serial.as_str() {
        "" => "without serial number",
        serial => serial,
    };
    let name = format!("disk {serial} in {}", disk.slot);
    let (code, what, next) = match disk.health.verdict {
        Verdict::Ok => return None,
        Verdict::Unknown => (
            ReasonCode::DiskError,
            format!("the health of {name} is unknown"),
            "nothing, if this kind of disk keeps no health data; otherwise look at its cabling and controller",
        ),
        Verdict::Warn => (
            ReasonCode::DiskFailing,
            format!("{name} shows signs of wear or errors"),
            "watch this disk, and have a spare ready",
        ),
        Verdict::Fail => (
            ReasonCode::DiskFailing,
            format!("{name} is failing"),
            "replace the disk named above, write the new serial number into the site file, and order the run again",
        ),
    };
    let mut reason = Reason::new(code, what, next).about(disk.part());
    reason = reason.seen(format!("source: {}", disk.health.source));
    for line in &disk.health.evidence {
        reason = reason.seen(line.clone());
    }
    Some(match disk.health.verdict {
        Verdict::Fail if eligible(disk) => stop(reason),
        Verdict::Ok | Verdict::Unknown | Verdict::Warn | Verdict::Fail => warn(reason),
    })
}

/// Disks whose serial number is empty or shared: a plan that names a serial could mean the wrong one.
fn identities(disks: &[Disk]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, disk) in disks.iter().enumerate().filter(|(_, d)| eligible(d)) {
        if disk.serial.is_empty() {
            findings.push(nameless(disk));
            continue;
        }
        let same = |other: &&Disk| eligible(other) && other.serial == disk.serial;
        if disks.iter().take(index).any(|other| same(&other)) {
            continue;
        }
        let others: Vec<&Disk> = disks.iter().skip(index + 1).filter(same).collect();
        if others.is_empty() {
            continue;
        }
        let what = format!(
            "{} disks have the serial number {}, so they cannot be told apart",
            others.len() + 1,
            disk.serial
        );
        let next = "take all but one of them out, or give them serial numbers of their own (one namespace per NVMe drive, one path per disk)";
        let mut reason = Reason::new(ReasonCode::WrongDisk, what, next).about(disk.part());
        for one in core::iter::once(disk).chain(others) {
            let wwn = one.wwn.as_deref().unwrap_or("none");
            reason = reason.seen(format!("{}: {}, WWN {wwn}", one.slot, one.size));
        }
        findings.push(stop(reason));
    }
    findings
}

fn nameless(disk: &Disk) -> Finding {
    let what = format!(
        "the disk in {} has no serial number, so it cannot be told apart",
        disk.slot
    );
    let next =
        "take the disk out, or give it a serial number (a virtual disk's is set by its hypervisor)";
    let mut reason = Reason::new(ReasonCode::WrongDisk, what, next).about(disk.part());
    for line in &disk.health.evidence {
        reason = reason.seen(line.clone());
    }
    match disk.transport {
        // Never chosen unless named, and without a serial number it cannot be named.
        Transport::Usb | Transport::Other => warn(reason),
        Transport::Ata | Transport::Nvme | Transport::Scsi | Transport::Virtio => stop(reason),
    }
}
