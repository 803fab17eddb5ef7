// SPDX-License-Identifier: Apache-2.0
//! The repair ticket of a node: what to do, where, what not to touch, what lies on the part, and what comes after.
//!
//! It invents nothing: the sentence is the reason's or the finding's, the place is the site file's, the parts are those
//! that the machine's own reports name.

use crate::node::Node;
use crate::reasons_action;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::health::{DeviceKind, DeviceReport, Verdict};
use groundstate_api::site::Site;
use groundstate_api::site_parts::Slot;
use groundstate_api::ticket::{Ticket, TicketMachine, TicketPart};
use groundstate_api::view::Phase;
use groundstate_api::{Millis, Part, Reason, ReasonCode};

/// The most lines of evidence on one sheet.
const EVIDENCE_MAX: usize = 12;
/// The most other findings on one sheet.
const ALSO_MAX: usize = 6;
/// The most sentences on what to leave alone.
const LEAVE_MAX: usize = 10;

/// How a report names a virtual disk that a device carries.
const VHD: &str = "VHD ";
/// Up to so many virtual disks are named one by one.
const VHDS_NAMED: usize = 3;

/// The ticket; `None` where nothing is to be repaired. `reports` are the reports on the node's devices, with what each
/// carries.
#[must_use]
pub fn ticket(node: &Node, site: &Site, reports: &[DeviceReport], at: Millis) -> Option<Ticket> {
    let reason = node.view().reason;
    let worst = worst(reports);
    let device = match &reason {
        Some(reason) => match &reason.part {
            Some(part) => find(part, reports),
            None if is_of_hardware(reason.code) => worst,
            None => None,
        },
        None => worst,
    };
    if reason.is_none() && device.is_none() {
        return None;
    }
    let reason = reason.unwrap_or_else(|| of_device(device));
    let from_device = reason.part.is_none() && is_of_hardware(reason.code);
    let finding = device.and_then(|report| report.findings.first());
    let do_this = finding
        .filter(|_| from_device)
        .map_or_else(|| reason.next_step.clone(), |f| f.next_step.clone());
    let part = device.map(part_of).or_else(|| said(reason.part.as_ref()));
    Some(Ticket {
        site: site.name.clone(),
        node: node.id().clone(),
        at,
        phase: node.phase,
        code: reason.code,
        do_this,
        what: reason.what.clone(),
        since: reason.since.or(Some(node.since)),
        machine: machine(node, site),
        evidence: evidence(&reason, device),
        leave_alone: leave_alone(node, site, reports, device),
        data: device.map(|d| in_short(&d.affects)).unwrap_or_default(),
        after: after(node, part.as_ref()),
        also: also(reports, device),
        part,
    })
}

/// Reasons that name no part although it may be one.
const fn is_of_hardware(code: ReasonCode) -> bool {
    matches!(
        code,
        ReasonCode::HostTrouble | ReasonCode::Quarantined | ReasonCode::InRepair
    )
}

/// The device with the gravest finding, where one is to be looked at.
fn worst(reports: &[DeviceReport]) -> Option<&DeviceReport> {
    let grave = |r: &&DeviceReport| matches!(r.verdict, Verdict::Warn | Verdict::Fail);
    // The first of the gravest: reports come in a fixed order.
    reports
        .iter()
        .filter(grave)
        .rev()
        .max_by_key(|report| report.verdict)
}

fn of_device(device: Option<&DeviceReport>) -> Reason {
    let code = match device.map(|d| d.kind) {
        Some(DeviceKind::Disk) => ReasonCode::DiskFailing,
        Some(DeviceKind::Dimm | DeviceKind::Memory) => ReasonCode::DimmFailing,
        Some(_) | None => ReasonCode::HostTrouble,
    };
    match device.and_then(|d| d.findings.first()) {
        Some(finding) => Reason::new(code, finding.what.clone(), finding.next_step.clone()),
        None => Reason::new(code, "a device is not well", "look at what was seen"),
    }
}

fn find<'a>(part: &Part, reports: &'a [DeviceReport]) -> Option<&'a DeviceReport> {
    let of = |kind: DeviceKind| reports.iter().filter(move |report| report.kind == kind);
    match part {
        Part::Disk { slot, serial, .. } => of(DeviceKind::Disk)
            .find(|r| !serial.is_empty() && r.place.serial == *serial)
            .or_else(|| of(DeviceKind::Disk).find(|r| serial.is_empty() && r.place.slot == *slot)),
        Part::Dimm { slot, .. } => {
            of(DeviceKind::Dimm).find(|r| r.device == *slot || r.place.slot == *slot)
        }
        Part::Image { .. } | Part::Machine { .. } | Part::Field { .. } => None,
    }
}

fn part_of(report: &DeviceReport) -> TicketPart {
    TicketPart {
        kind: report.kind.as_str().to_string(),
        device: report.device.clone(),
        place: report.place.clone(),
    }
}

/// A part that no report describes: it may be missing.
fn said(part: Option<&Part>) -> Option<TicketPart> {
    let mut place = groundstate_api::health::Place::default();
    let (kind, device) = match part? {
        Part::Dimm { slot, serial, .. } => {
            place.slot.clone_from(slot);
            place.serial = serial.clone().unwrap_or_default();
            (DeviceKind::Dimm, slot.clone())
        }
        Part::Disk {
            slot,
            serial,
            model,
            ..
        } => {
            place.slot.clone_from(slot);
            place.serial.clone_from(serial);
            place.model = model.clone().unwrap_or_default();
            (DeviceKind::Disk, serial.clone())
        }
        Part::Image { .. } | Part::Machine { .. } | Part::Field { .. } => return None,
    };
    Some(TicketPart {
        kind: kind.as_str().to_string(),
        device,
        place,
    })
}

fn machine(node: &Node, site: &Site) -> TicketMachine {
    let slot = node.site.slot.as_ref();
    let rack = slot.and_then(|slot| site.racks.iter().find(|rack| rack.name == slot.rack));
    let seen = node.run.as_ref().and_then(|run| run.inventory.as_ref());
    let seen = seen.or(node.last_good.as_ref());
    TicketMachine {
        rack: slot.map(|slot| slot.rack.clone()),
        place: rack.map(|rack| rack.place.clone()).unwrap_or_default(),
        unit: slot.map(|slot| slot.unit),
        height: slot.map_or(1, |slot| slot.height),
        bay: slot.and_then(|slot| slot.bay),
        power: slot.map(|slot| slot.power.clone()).unwrap_or_default(),
        port: slot.and_then(|slot| slot.port.clone()),
        model: seen.map_or_else(String::new, |seen| {
            let (maker, product) = (&seen.system.manufacturer, &seen.system.product);
            format!("{maker} {product}").trim().to_string()
        }),
        serial: node.site.serial.clone(),
        mac: node.site.mac,
    }
}

fn evidence(reason: &Reason, device: Option<&DeviceReport>) -> Vec<String> {
    let mut lines = reason.evidence.clone();
    for finding in device.iter().flat_map(|device| &device.findings) {
        let told = finding.what == reason.what;
        let more = (!told).then(|| finding.what.clone()).into_iter();
        for line in more.chain(finding.evidence.iter().cloned()) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines.truncate(EVIDENCE_MAX);
    lines
}

fn leave_alone(
    node: &Node,
    site: &Site,
    reports: &[DeviceReport],
    device: Option<&DeviceReport>,
) -> Vec<String> {
    let mut lines = Vec::new();
    if matches!(node.phase, Phase::Ready | Phase::Suspect) && node.host.is_some() {
        lines.push(format!(
            "The host runs: do not switch the machine off before its work is given away (groundstate node drain {}).",
            node.id()
        ));
    }
    let is_other = |report: &&DeviceReport| {
        report.kind == DeviceKind::Disk
            && !device.is_some_and(|device| core::ptr::eq(device, *report))
            && !report.place.serial.is_empty()
    };
    for report in reports.iter().filter(is_other) {
        let place = &report.place;
        let slot = if place.slot.is_empty() {
            &report.device
        } else {
            &place.slot
        };
        let holds = match report.affects.as_slice() {
            [] => "not part of this repair".to_string(),
            carries => format!("carries {}", in_short(carries).join(", ")),
        };
        lines.push(format!("Disk {slot}, serial {}: {holds}.", place.serial));
    }
    lines.extend(neighbours(node, site));
    lines.truncate(LEAVE_MAX);
    lines
}

/// What a device carries, with many virtual disks as one line: a sheet has no room for a hundred.
fn in_short(carries: &[String]) -> Vec<String> {
    let is_vhd = |line: &&String| line.starts_with(VHD);
    let vhds: Vec<&String> = carries.iter().filter(is_vhd).collect();
    let [first, .., last] = vhds.as_slice() else {
        return carries.to_vec();
    };
    if vhds.len() <= VHDS_NAMED {
        return carries.to_vec();
    }
    let others = carries.iter().filter(|line| !is_vhd(line)).cloned();
    let name = |line: &str| line.strip_prefix(VHD).unwrap_or(line).to_string();
    let count = vhds.len();
    let all = format!("{count} VHDs, {} to {}", name(first), name(last));
    others.chain([all]).collect()
}

/// The machines right above and below it, and those of its own chassis.
fn neighbours(node: &Node, site: &Site) -> Vec<String> {
    let Some(mine) = &node.site.slot else {
        return Vec::new();
    };
    let end = |slot: &Slot| slot.unit.saturating_add(slot.height.max(1));
    let line = |other: &groundstate_api::site::Node| {
        let slot = other.slot.as_ref()?;
        if other.name == *node.id() || slot.rack != mine.rack {
            return None;
        }
        let (name, unit) = (&other.name, slot.unit);
        if slot.unit < end(mine) && mine.unit < end(slot) {
            let bay = slot.bay.map(|bay| format!(" in bay {bay}"));
            let bay = bay.unwrap_or_default();
            return Some(format!(
                "The same chassis holds another machine: {name}{bay}."
            ));
        }
        let side = match (unit == end(mine), end(slot) == mine.unit) {
            (true, _) => "above",
            (_, true) => "below",
            (false, false) => return None,
        };
        Some(format!(
            "The machine right {side} it, {name} in unit {unit}, is another one."
        ))
    };
    site.nodes.iter().filter_map(line).collect()
}

fn after(node: &Node, part: Option<&TicketPart>) -> Vec<String> {
    let id = node.id();
    let mut steps = Vec::new();
    let new_serial = part.is_some_and(|part| names(node, part));
    if new_serial {
        steps.push(format!(
            "Write the new part's serial number into the site file (node {id}) and apply it: groundstate apply site.toml"
        ));
    }
    let is_disk = part.is_some_and(|part| part.kind == DeviceKind::Disk.as_str());
    match node.phase {
        Phase::Held => {
            steps.push("Switch the machine on; it boots from the network.".to_string());
            let terms = node.terms_again().cloned().unwrap_or_default();
            let again = reasons_action::again(&terms).replace("NODE", id.as_str());
            steps.push(format!("Order the run again: {again}"));
        }
        Phase::Quarantined | Phase::InRepair | Phase::Draining => {
            steps.push("Switch the machine on.".to_string());
            steps.push(format!("Give it back: groundstate node release {id}"));
            if is_disk && node.host.is_some() {
                steps.push(format!(
                    "Make the data disk anew: groundstate node rebuild-disk {id} SERIAL-OF-THE-NEW-DISK"
                ));
            }
        }
        Phase::Ready | Phase::Suspect => {
            if is_disk && node.host.is_some() {
                steps.push(format!(
                    "Make the data disk anew: groundstate node rebuild-disk {id} SERIAL-OF-THE-NEW-DISK"
                ));
            } else {
                steps.push(
                    "Switch the machine on; it is ready again when its host reports.".to_string(),
                );
            }
        }
        Phase::Enrolled
        | Phase::Ordered
        | Phase::Booting
        | Phase::Checking
        | Phase::Planned
        | Phase::Provisioning
        | Phase::Erasing
        | Phase::HandedOver
        | Phase::Rescue
        | Phase::Retired => {
            let runs = node.run.as_ref().filter(|_| node.run_is_open());
            let goes_on = "Switch the machine on; what was ordered goes on by itself";
            steps.push(match runs.and_then(|run| run.terms.takes_away()) {
                Some(what) => format!("{goes_on}: {what}."),
                None => format!("{goes_on}."),
            });
        }
    }
    steps.push(format!(
        "Look whether it is well: groundstate node explain {id}"
    ));
    steps
}

/// Whether the site file names this very part by its serial number.
fn names(node: &Node, part: &TicketPart) -> bool {
    let serial = part.place.serial.as_str();
    if serial.is_empty() {
        return false;
    }
    let site = &node.site;
    let hardware = site.hardware.as_ref();
    let dimm = hardware.is_some_and(|h| {
        h.dimms
            .iter()
            .any(|dimm| dimm.serial.as_deref() == Some(serial))
    });
    let disk = hardware.is_some_and(|h| h.disks.iter().any(|disk| disk.serial == serial));
    dimm || disk
        || site.os_disk.as_deref() == Some(serial)
        || site.keep.iter().any(|kept| kept == serial)
}

fn also(reports: &[DeviceReport], device: Option<&DeviceReport>) -> Vec<String> {
    let other = |report: &&DeviceReport| {
        matches!(report.verdict, Verdict::Warn | Verdict::Fail)
            && !device.is_some_and(|device| core::ptr::eq(device, *report))
    };
    let line = |report: &DeviceReport| {
        let finding = report.findings.first()?;
        let title = report.title();
        Some(format!(
            "{title}: {}. To do: {}",
            finding.what, finding.next_step
        ))
    };
    let lines = reports.iter().filter(other).filter_map(line);
    lines.take(ALSO_MAX).collect()
}
