// SPDX-License-Identifier: Apache-2.0
//! Disks by serial number: the right one, another one in its place, or none.

use super::{LAST_GOOD, SITE_FILE, stop, unreadable, warn};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::inventory::{Disk, Finding, Inventory, Transport};
use groundstate_api::reason::{Part, Reason, ReasonCode};
use groundstate_api::site::Hardware;
use groundstate_api::units::Bytes;

/// One disk that should be there.
struct Wanted {
    serial: String,
    slot: Option<String>,
    size: Option<Bytes>,
    model: Option<String>,
    from: &'static str,
}

pub(super) fn judge(
    expected: Option<&Hardware>,
    last_good: Option<&Inventory>,
    seen: &Inventory,
    may_use: &dyn Fn(&Disk) -> bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let wanted = wanted(expected, last_good, &mut findings);
    let mut unexpected: Vec<&Disk> = seen
        .disks
        .iter()
        .filter(|disk| !wanted.iter().any(|want| want.serial == disk.serial))
        .collect();
    // First those whose slot is known, so that a disk of the same size elsewhere is not blamed twice.
    let mut absent = Vec::new();
    for want in &wanted {
        match seen.disks.iter().find(|disk| disk.serial == want.serial) {
            Some(disk) => findings.extend(present(want, disk)),
            None => match unexpected
                .iter()
                .position(|d| Some(&d.slot) == want.slot.as_ref())
            {
                Some(at) => findings.push(wrong(want, unexpected.remove(at))),
                None => absent.push(want),
            },
        }
    }
    for want in absent {
        let alike = |disk: &&Disk| want.size == Some(disk.size) && !disk.removable;
        let only = match unexpected.iter().filter(|disk| alike(disk)).count() {
            1 => unexpected.iter().position(alike),
            _ => None,
        };
        findings.push(match only {
            Some(at) => wrong(want, unexpected.remove(at)),
            None => missing(want, seen),
        });
    }
    let unnamed = |disk: &&&Disk| is_usual(disk) && !may_use(disk);
    findings.extend(
        unexpected
            .iter()
            .filter(unnamed)
            .map(|disk| unnamed_disk(disk)),
    );
    findings
}

/// Whether a run could use the disk without naming it. What comes and goes, or has no serial number, it never uses.
fn is_usual(disk: &Disk) -> bool {
    !disk.removable
        && disk.size.0 > 0
        && !disk.serial.is_empty()
        && !matches!(disk.transport, Transport::Usb | Transport::Other)
}

fn unnamed_disk(disk: &Disk) -> Finding {
    let what = format!(
        "slot {} holds serial {}, {}: a disk that the site file does not name; it is left alone",
        disk.slot, disk.serial, disk.size
    );
    let next = format!(
        "take the disk out; or, to use it, list {} with the node's other disks in the site file, and order the run again",
        disk.serial
    );
    let mut reason = Reason::new(ReasonCode::WrongDisk, what, next).about(disk.part());
    for one in &disk.contents {
        let label = one.label.as_ref().map(|l| format!(" \"{l}\""));
        reason = reason.seen(format!(
            "it holds {}{} on {}",
            one.what,
            label.unwrap_or_default(),
            one.at
        ));
    }
    warn(reason)
}

fn wanted(
    expected: Option<&Hardware>,
    last_good: Option<&Inventory>,
    findings: &mut Vec<Finding>,
) -> Vec<Wanted> {
    let before = last_good.map_or(&[][..], |inventory| &inventory.disks);
    let named = expected.map_or(&[][..], |hardware| &hardware.disks);
    if named.is_empty() {
        // A stick that was in the machine then need not be there now.
        let wanted = before
            .iter()
            .filter(|disk| is_usual(disk))
            .map(|disk| Wanted {
                serial: disk.serial.clone(),
                slot: Some(disk.slot.clone()),
                size: Some(disk.size),
                model: Some(disk.model.clone()),
                from: LAST_GOOD,
            });
        return wanted.collect();
    }
    let mut wanted = Vec::new();
    for (index, disk) in named.iter().enumerate() {
        let known = before.iter().find(|d| d.serial == disk.serial);
        let said = disk.size.as_deref();
        let size = said.and_then(Bytes::parse);
        if let Some(text) = said.filter(|_| size.is_none()) {
            findings.push(unreadable(format!("hardware.disk[{index}].size"), text));
        }
        wanted.push(Wanted {
            serial: disk.serial.clone(),
            slot: disk.slot.clone().or_else(|| known.map(|d| d.slot.clone())),
            size: size.or_else(|| known.map(|d| d.size)),
            model: known.map(|d| d.model.clone()),
            from: SITE_FILE,
        });
    }
    wanted
}

impl Wanted {
    /// What is expected, in words.
    fn words(&self) -> String {
        let slot = self.slot.as_ref().map(|s| format!(" in slot {s}"));
        let size = self.size.map(|s| format!(", {s}"));
        let (slot, size) = (slot.unwrap_or_default(), size.unwrap_or_default());
        format!("{} expects serial {}{slot}{size}", self.from, self.serial)
    }
}

fn present(want: &Wanted, disk: &Disk) -> Option<Finding> {
    if let Some(size) = want.size.filter(|size| *size != disk.size) {
        let what = format!(
            "disk {} has {} ({} bytes) instead of {size} ({} bytes)",
            disk.serial, disk.size, disk.size.0, size.0
        );
        let next = "check that this is the right disk, correct its size in the site file, and order the run again";
        let reason = Reason::new(ReasonCode::WrongDisk, what, next).about(disk.part());
        return Some(stop(reason.seen(want.words())));
    }
    let slot = want.slot.as_ref().filter(|slot| **slot != disk.slot)?;
    let what = format!(
        "disk {} sits in slot {} instead of {slot}",
        disk.serial, disk.slot
    );
    let next = "if it was moved on purpose, correct its slot in the site file";
    let reason = Reason::new(ReasonCode::WrongDisk, what, next).about(disk.part());
    Some(warn(reason.seen(want.words())))
}

fn wrong(want: &Wanted, found: &Disk) -> Finding {
    let place = want.slot.as_ref().unwrap_or(&found.slot);
    let what = format!(
        "expected serial {} in slot {place}, found {}",
        want.serial, found.serial
    );
    let next = format!(
        "put disk {} back, or write {} into the site file if it was replaced, and order the run again",
        want.serial, found.serial
    );
    let seen = format!(
        "slot {} holds serial {}, {}, {}",
        found.slot, found.serial, found.size, found.model
    );
    let reason = Reason::new(ReasonCode::WrongDisk, what, next).about(found.part());
    stop(reason.seen(want.words()).seen(seen))
}

fn missing(want: &Wanted, seen: &Inventory) -> Finding {
    let what = format!("disk {} is missing", want.serial);
    let next = format!(
        "check the disk, its slot and its cable, or take {} out of the site file, and order the run again",
        want.serial
    );
    let part = Part::Disk {
        slot: want.slot.clone().unwrap_or_else(|| "slot unknown".into()),
        serial: want.serial.clone(),
        size: want.size.map(|size| size.to_string()),
        model: want.model.clone().filter(|model| !model.is_empty()),
    };
    let there: Vec<&str> = seen.disks.iter().map(|d| d.serial.as_str()).collect();
    let mut reason = Reason::new(ReasonCode::DiskMissing, what, next)
        .about(part)
        .seen(want.words())
        .seen(format!("disks that are there: {}", there.join(", ")));
    for line in &seen.could_not_look {
        reason = reason.seen(line.clone());
    }
    stop(reason)
}
