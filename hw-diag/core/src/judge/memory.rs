// SPDX-License-Identifier: Apache-2.0
//! DIMMs by slot, and available against configured memory.

use super::{LAST_GOOD, SITE_FILE, stop, unreadable, warn};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::inventory::{Dimm, Finding, Inventory, MemoryInfo};
use groundstate_api::reason::{Part, Reason, ReasonCode};
use groundstate_api::site::Hardware;
use groundstate_api::units::Bytes;

/// `MemTotal` leaves out the kernel's own image and reservations, firmware tables and the legacy hole: 60 to 130 MiB on
/// machines of 1 to 2 GiB. Up to this much may always be missing.
const RESERVED_MAX: Bytes = Bytes::mib(256);
/// One part in twenty may be missing on larger machines: the kernel keeps 64 bytes for each page of 4 KiB (1.6 %), and
/// firmware keeps up to a few hundred MiB. One DIMM of sixteen is 6.25 % and shows; fewer are told by their slots.
const RESERVED_SHARE: u64 = 20;

/// One DIMM that should be there.
struct Wanted {
    slot: String,
    size: Option<Bytes>,
    serial: Option<String>,
    from: &'static str,
}

pub(super) fn judge(
    expected: Option<&Hardware>,
    last_good: Option<&Inventory>,
    seen: &Inventory,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let wanted = wanted(expected, last_good, &mut findings);
    if seen.memory.dimms.is_empty() {
        findings.extend(no_table(seen, wanted.len()));
    } else {
        against(&wanted, &seen.memory.dimms, &mut findings);
    }
    findings.extend(available(&seen.memory));
    findings
}

fn wanted(
    expected: Option<&Hardware>,
    last_good: Option<&Inventory>,
    findings: &mut Vec<Finding>,
) -> Vec<Wanted> {
    let before = last_good.map_or(&[][..], |inventory| &inventory.memory.dimms);
    let named = expected.map_or(&[][..], |hardware| &hardware.dimms);
    if named.is_empty() {
        let populated = before.iter().filter(|dimm| dimm.populated);
        return populated
            .map(|dimm| Wanted {
                slot: dimm.slot.clone(),
                size: dimm.size,
                serial: serial(dimm),
                from: LAST_GOOD,
            })
            .collect();
    }
    let mut wanted = Vec::new();
    for (index, dimm) in named.iter().enumerate() {
        let size = Bytes::parse(&dimm.size);
        if size.is_none() {
            findings.push(unreadable(
                format!("hardware.dimm[{index}].size"),
                &dimm.size,
            ));
        }
        let known = before.iter().find(|d| d.slot == dimm.slot && d.populated);
        wanted.push(Wanted {
            slot: dimm.slot.clone(),
            size,
            serial: dimm.serial.clone().or_else(|| known.and_then(serial)),
            from: SITE_FILE,
        });
    }
    wanted
}

/// The serial number, unless the firmware fills the field with a word for "none".
fn serial(dimm: &Dimm) -> Option<String> {
    let none = [
        "",
        "unknown",
        "not specified",
        "none",
        "no dimm",
        "00000000",
    ];
    let said = dimm.serial.to_ascii_lowercase();
    (!none.contains(&said.as_str())).then(|| dimm.serial.clone())
}

fn no_table(seen: &Inventory, wanted: usize) -> Option<Finding> {
    let what = "the firmware's SMBIOS tables list no memory slot";
    let mut reason = Reason::new(
        ReasonCode::DimmMissing,
        if wanted == 0 {
            format!("{what}, so the DIMMs cannot be checked")
        } else {
            format!("{what}, so the {wanted} expected DIMMs cannot be found")
        },
        "update the machine's firmware, or look at the DIMMs in its set-up screen",
    )
    .about(Part::Machine {
        said: seen.system.serial.clone(),
    });
    for line in &seen.could_not_look {
        reason = reason.seen(line.clone());
    }
    Some(if wanted == 0 {
        warn(reason)
    } else {
        stop(reason)
    })
}

fn against(wanted: &[Wanted], seen: &[Dimm], findings: &mut Vec<Finding>) {
    // Slot names repeat on 59 of 2,049 real servers: each seen slot stands for one expectation only.
    let mut free: Vec<&Dimm> = seen.iter().collect();
    let mut order: Vec<&Wanted> = wanted.iter().collect();
    order.sort_by_key(|want| !free.iter().any(|dimm| fits(want, dimm)));
    let mut late = Vec::new();
    for want in order {
        let best = free
            .iter()
            .position(|dimm| fits(want, dimm))
            .or_else(|| free.iter().position(|dimm| dimm.slot == want.slot));
        let dimm = best.map(|at| free.remove(at));
        late.extend(one(want, dimm));
    }
    findings.extend(late);
}

fn fits(want: &Wanted, dimm: &Dimm) -> bool {
    dimm.slot == want.slot && dimm.populated && dimm.size == want.size
}

fn one(want: &Wanted, dimm: Option<&Dimm>) -> Option<Finding> {
    let slot = &want.slot;
    let Some(dimm) = dimm else {
        let what = format!("the DIMM of slot {slot} is missing");
        return Some(missing(
            want,
            what,
            "SMBIOS lists no slot of that name".into(),
        ));
    };
    if !dimm.populated {
        let what = format!("the DIMM in slot {slot} is missing");
        return Some(missing(
            want,
            what,
            format!("SMBIOS says slot {slot} is empty"),
        ));
    }
    match (want.size, dimm.size) {
        (Some(wanted), Some(size)) if wanted != size => {
            let what = format!("the DIMM in slot {slot} has {size} instead of {wanted}");
            return Some(missing(want, what, holds(dimm)));
        }
        (Some(_), None) => {
            let what = format!("the size of the DIMM in slot {slot} is unknown");
            let next = "look at the DIMM's label or update the firmware";
            return Some(watch(want, dimm, what, next));
        }
        (Some(_) | None, _) => {}
    }
    let other = want.serial.as_ref().zip(serial(dimm));
    let (was, is) = other.filter(|(was, is)| *was != is)?;
    let what = format!("the DIMM in slot {slot} is serial {is} instead of {was}");
    let next = "if it was replaced, write the new serial number into the site file";
    Some(watch(want, dimm, what, next))
}

impl Wanted {
    /// What is expected, in words.
    fn words(&self) -> String {
        let size = self
            .size
            .map_or_else(|| "a DIMM".into(), |size| size.to_string());
        let serial = self.serial.as_ref().map(|s| format!(", serial {s}"));
        let serial = serial.unwrap_or_default();
        format!("{} expects {size} in slot {}{serial}", self.from, self.slot)
    }
}

/// What a slot holds, in words.
fn holds(dimm: &Dimm) -> String {
    let size = dimm
        .size
        .map_or_else(|| "unknown size".into(), |size| size.to_string());
    let serial = serial(dimm).unwrap_or_else(|| "unknown".into());
    let Dimm {
        slot,
        manufacturer,
        part_number,
        ..
    } = dimm;
    format!("SMBIOS says slot {slot} holds {size}, serial {serial}, {manufacturer} {part_number}")
}

fn missing(want: &Wanted, what: String, seen: String) -> Finding {
    let next = format!(
        "power the machine off, reseat or replace the DIMM in slot {}, and order the run again",
        want.slot
    );
    let reason = Reason::new(ReasonCode::DimmMissing, what, next).about(Part::Dimm {
        slot: want.slot.clone(),
        serial: want.serial.clone(),
        size: want.size.map(|size| size.to_string()),
    });
    stop(reason.seen(want.words()).seen(seen))
}

fn watch(want: &Wanted, dimm: &Dimm, what: String, next: &str) -> Finding {
    let reason = Reason::new(ReasonCode::DimmMissing, what, next).about(Part::Dimm {
        slot: want.slot.clone(),
        serial: serial(dimm),
        size: dimm.size.map(|size| size.to_string()),
    });
    warn(reason.seen(want.words()).seen(holds(dimm)))
}

fn available(memory: &MemoryInfo) -> Option<Finding> {
    let (configured, available) = (memory.configured, memory.available);
    if configured.0 == 0 {
        return None;
    }
    let allowed = Bytes(RESERVED_MAX.0.max(configured.0 / RESERVED_SHARE));
    let populated = memory.dimms.iter().filter(|dimm| dimm.populated).count();
    let sums =
        format!("{populated} populated DIMMs add up to {configured}; the kernel has {available}");
    let short = Bytes(configured.0.saturating_sub(available.0));
    if short > allowed {
        let what =
            format!("{short} of {configured} memory is missing from what the kernel can use");
        let next = "look for mapped-out DIMMs, mirroring or a memory limit in the firmware's set-up, reseat the DIMMs, and order the run again";
        let reason = Reason::new(ReasonCode::MemoryShort, what, next).about(widest(memory));
        let line = format!("up to {allowed} may be kept by firmware and kernel");
        return Some(stop(reason.seen(sums).seen(line)));
    }
    if available > configured {
        let what = "the kernel has more memory than the firmware's tables list";
        let next = "do not rely on this machine's DIMM list; update its firmware";
        let reason = Reason::new(ReasonCode::MemoryShort, what, next);
        return Some(warn(reason.seen(sums)));
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
