// SPDX-License-Identifier: Apache-2.0
//! DIMMs by slot, the errors counted on them, and available against configured memory.
//!
//! One list of faults gives both the findings that hold a run and the report on each DIMM, so that both say the same
//! words. Refuses to judge by looks: channels that hold different amounts are no fault unless something else is expected.

mod against;
mod fault;
mod wanted;

pub(crate) use wanted::labels;

use super::{stop, unreadable, warn};
use crate::memory::rules::{Count, RULES};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use fault::{About, Fault};
use groundstate_api::health::{Advice, DeviceKind, DeviceReport, Place, Sureness, Verdict};
use groundstate_api::inventory::{Dimm, Finding, Inventory, MemoryInfo};
use groundstate_api::reason::{Part, ReasonCode};
use groundstate_api::site::Hardware;
use groundstate_api::units::{Bytes, MIB, Millis};
use wanted::{Wanted, serial, wanted};

/// `MemTotal` leaves out the kernel's own image and reservations, firmware tables and the legacy hole: 60 to 130 MiB on
/// machines of 1 to 2 GiB. Up to this much may always be missing.
const RESERVED_MAX: Bytes = Bytes::mib(256);
/// One part in twenty may be missing on larger machines: the kernel keeps 64 bytes for each page of 4 KiB (1.6 %), and
/// firmware keeps up to a few hundred MiB. One DIMM of sixteen is 6.25 % and shows; fewer are told by their slots.
const RESERVED_SHARE: u64 = 20;

/// The findings on memory. `seen.complete_after` says how long the error counters may have run.
pub(super) fn judge(
    expected: Option<&Hardware>,
    last_good: Option<&Inventory>,
    seen: &Inventory,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let before = last_good.map(|inventory| &inventory.memory);
    let wanted = wanted(expected, before, &mut |path, value| {
        findings.push(unreadable(path, value));
    });
    let since = Some(seen.complete_after).filter(|after| after.0 > 0);
    let faults = faults(&wanted, &seen.memory, since);
    findings.extend(
        faults
            .into_iter()
            .filter_map(|fault| fault.finding(&seen.system.serial, &seen.could_not_look)),
    );
    findings
}

/// A report on each DIMM that is there or should be, and one on memory as a whole; in the table's order.
///
/// `since` is how long error counters ran that do not say it themselves.
#[must_use]
pub fn reports(
    memory: &MemoryInfo,
    expected: Option<&Hardware>,
    last_good: Option<&MemoryInfo>,
    since: Option<Millis>,
) -> Vec<DeviceReport> {
    let mut unread = Vec::new();
    let wanted = wanted(expected, last_good, &mut |path, value| {
        unread.push(fault::unreadable(path, value));
    });
    let mut whole = Vec::new();
    let mut by_slot: BTreeMap<usize, Vec<Fault>> = BTreeMap::new();
    let mut gone = Vec::new();
    for fault in unread.into_iter().chain(faults(&wanted, memory, since)) {
        match &fault.about {
            About::Slot { seen: Some(at), .. } => by_slot.entry(*at).or_default().push(fault),
            About::Slot { seen: None, .. } => gone.push(fault),
            About::Whole(_) | About::Machine | About::Field(_) => whole.push(fault),
        }
    }
    let names = labels(&memory.dimms);
    let mut reports = Vec::new();
    for (index, (dimm, name)) in memory.dimms.iter().zip(&names).enumerate() {
        let faults = by_slot.remove(&index).unwrap_or_default();
        if dimm.populated || !faults.is_empty() {
            reports.push(of_slot(name, dimm, faults));
        }
    }
    for fault in gone {
        let About::Slot { place, .. } = &fault.about else {
            continue;
        };
        let place = place.clone();
        let (name, kind) = (place.slot.clone(), DeviceKind::Dimm);
        let mut report = DeviceReport::new(name, kind, "SMBIOS", alloc::vec![fault.health()]);
        report.place = place;
        reports.push(report);
    }
    reports.push(of_memory(memory, whole));
    reports
}

fn of_slot(name: &str, dimm: &Dimm, faults: Vec<Fault>) -> DeviceReport {
    // Of a DIMM that is missing, what was there is what a technician needs.
    let gone = faults.iter().find_map(|fault| match &fault.about {
        About::Slot { place, .. } if !dimm.populated => Some(place.clone()),
        About::Slot { .. } | About::Whole(_) | About::Machine | About::Field(_) => None,
    });
    let findings = faults.into_iter().map(Fault::health).collect();
    let mut report = DeviceReport::new(name, DeviceKind::Dimm, "SMBIOS", findings);
    report.place = gone.unwrap_or_else(|| place(dimm, name));
    if let Some(errors) = dimm.errors {
        report.source = "SMBIOS, EDAC".into();
        crate::memory::figures(&mut report, errors);
    }
    report
}

fn of_memory(memory: &MemoryInfo, faults: Vec<Fault>) -> DeviceReport {
    let findings = faults.into_iter().map(Fault::health).collect();
    let mut report = DeviceReport::new("memory", DeviceKind::Memory, "SMBIOS, kernel", findings);
    report.place.size = Some(memory.configured);
    let populated = memory.dimms.iter().filter(|dimm| dimm.populated).count();
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    for (name, count) in [
        ("configured_mib", memory.configured.0 / MIB),
        ("available_mib", memory.available.0 / MIB),
        (
            "populated_slots",
            u64::try_from(populated).unwrap_or(u64::MAX),
        ),
    ] {
        report.figures.insert(name.into(), number(count));
    }
    report
}

/// Everything that is wrong, in the order of the expectation, then of the slots, then memory as a whole.
fn faults(wanted: &[Wanted], memory: &MemoryInfo, since: Option<Millis>) -> Vec<Fault> {
    let mut faults = Vec::new();
    if memory.dimms.is_empty() {
        faults.push(no_table(wanted.len()));
    } else {
        against::against(wanted, &memory.dimms, &mut faults);
    }
    let names = labels(&memory.dimms);
    for (index, (dimm, name)) in memory.dimms.iter().zip(&names).enumerate() {
        counted(index, dimm, name, since, &mut faults);
    }
    faults.extend(available(memory));
    faults
}

fn no_table(wanted: usize) -> Fault {
    let what = "the firmware's SMBIOS tables list no memory slot";
    Fault {
        code: "memory-not-listed",
        verdict: if wanted == 0 {
            Verdict::Unknown
        } else {
            Verdict::Fail
        },
        sureness: Sureness::Certain,
        advice: Advice::Update,
        reason: ReasonCode::DimmMissing,
        what: if wanted == 0 {
            format!("{what}, so the DIMMs cannot be checked")
        } else {
            format!("{what}, so the {wanted} expected DIMMs cannot be found")
        },
        next: "update the machine's firmware, or look at the DIMMs in its set-up screen".into(),
        evidence: Vec::new(),
        about: About::Machine,
    }
}

/// The memory errors counted on a DIMM.
fn counted(index: usize, dimm: &Dimm, name: &str, since: Option<Millis>, faults: &mut Vec<Fault>) {
    let Some(errors) = dimm.errors else {
        return;
    };
    let what = format!("the DIMM in slot {name}");
    let since = errors.since.or(since);
    let holds = [against::holds(dimm, name)];
    for finding in crate::memory::error_findings(&what, errors, since, &holds) {
        let rule = RULES.iter().find(|rule| rule.code == finding.code);
        let Some(rule) = rule else {
            continue;
        };
        faults.push(Fault {
            code: rule.code,
            verdict: finding.verdict,
            sureness: finding.sureness,
            advice: finding.advice,
            reason: match rule.count {
                Count::Uncorrected | Count::CorrectedPerDay => ReasonCode::DimmFailing,
            },
            what: finding.what,
            next: finding.next_step,
            evidence: finding.evidence,
            about: About::Slot {
                seen: Some(index),
                place: place(dimm, name),
            },
        });
    }
}

/// What a technician needs of a DIMM that is there; `name` is a name of the slot that no other has.
fn place(dimm: &Dimm, name: &str) -> Place {
    Place {
        slot: name.into(),
        vendor: dimm.manufacturer.clone(),
        part_number: dimm.part_number.clone(),
        serial: serial(dimm).unwrap_or_default(),
        size: dimm.size,
        ..Place::default()
    }
}

fn available(memory: &MemoryInfo) -> Option<Fault> {
    let (configured, available) = (memory.configured, memory.available);
    if configured.0 == 0 {
        return None;
    }
    let allowed = Bytes(RESERVED_MAX.0.max(configured.0 / RESERVED_SHARE));
    let populated = || memory.dimms.iter().filter(|dimm| dimm.populated);
    let count = populated().count();
    let sums =
        format!("{count} populated DIMMs add up to {configured}; the kernel has {available}");
    let short = Bytes(configured.0.saturating_sub(available.0));
    if short > allowed {
        let line = format!("up to {allowed} may be kept by firmware and kernel");
        return Some(Fault {
            code: "memory-short",
            verdict: Verdict::Fail,
            sureness: Sureness::Certain,
            advice: Advice::Look,
            reason: ReasonCode::MemoryShort,
            what: format!("{short} of {configured} memory is missing from what the kernel can use"),
            next: "look for mapped-out DIMMs, mirroring or a memory limit in the firmware's set-up, reseat the DIMMs, and order the run again".into(),
            evidence: alloc::vec![sums, line],
            about: About::Whole(Some(widest(memory))),
        });
    }
    // A module of unknown size adds nothing to the sum, so the kernel may well have more.
    if available > configured && populated().all(|dimm| dimm.size.is_some()) {
        return Some(Fault {
            code: "memory-more-than-listed",
            verdict: Verdict::Warn,
            sureness: Sureness::Certain,
            advice: Advice::Update,
            reason: ReasonCode::MemoryShort,
            what: "the kernel has more memory than the firmware's tables list".into(),
            next: "do not rely on this machine's DIMM list; update its firmware".into(),
            evidence: alloc::vec![sums],
            about: About::Whole(None),
        });
    }
    None
}

/// The part of a shortage: no single DIMM can be blamed, so all populated slots are named.
fn widest(memory: &MemoryInfo) -> Part {
    let populated = || memory.dimms.iter().filter(|dimm| dimm.populated);
    let slots: Vec<&str> = populated().map(|dimm| dimm.slot.as_str()).collect();
    let serials: Vec<String> = populated().filter_map(serial).collect();
    Part::Dimm {
        slot: slots.join("+"),
        serial: (!serials.is_empty()).then(|| serials.join("+")),
        size: Some(memory.configured.to_string()),
    }
}

#[cfg(test)]
mod tests;
