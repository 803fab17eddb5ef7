// SPDX-License-Identifier: Apache-2.0
//! Expected DIMMs against those that are there, slot by slot.

use super::fault::{About, Fault};
use super::wanted::{Wanted, labels, serial};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use groundstate_api::health::{Advice, Place, Sureness, Verdict};
use groundstate_api::inventory::Dimm;
use groundstate_api::reason::ReasonCode;

pub(super) fn against(wanted: &[Wanted], seen: &[Dimm], faults: &mut Vec<Fault>) {
    let pairs = pairs(wanted, seen);
    let names = labels(seen);
    for (index, want) in wanted.iter().enumerate() {
        let at = pairs.get(&index).copied();
        let dimm = at.and_then(|at| Some((at, seen.get(at)?, names.get(at)?.as_str())));
        let twin = |(other, twin): (usize, &Wanted)| other != index && twin.slot == want.slot;
        let repeats = dimm.is_none() && wanted.iter().enumerate().any(twin);
        faults.extend(one(want, repeats, dimm, seen));
    }
}

/// Which slot each expectation is about. Slot names repeat on 59 of 2,049 real servers: each slot stands for one
/// expectation only, and among slots of one name serial number, bank and size tell which.
fn pairs(wanted: &[Wanted], seen: &[Dimm]) -> BTreeMap<usize, usize> {
    let mut by_name: BTreeMap<&str, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (index, want) in wanted.iter().enumerate() {
        by_name.entry(&want.slot).or_default().0.push(index);
    }
    for (index, dimm) in seen.iter().enumerate() {
        if let Some((_, slots)) = by_name.get_mut(dimm.slot.as_str()) {
            slots.push(index);
        }
    }
    let mut chosen = BTreeMap::new();
    for (wants, slots) in by_name.into_values() {
        let mut all: Vec<(u8, usize, usize)> = Vec::new();
        for want in &wants {
            for slot in &slots {
                if let (Some(w), Some(d)) = (wanted.get(*want), seen.get(*slot)) {
                    all.push((alike(w, d), *want, *slot));
                }
            }
        }
        all.sort_by_key(|(score, want, slot)| (Reverse(*score), *want, *slot));
        let mut taken = alloc::collections::BTreeSet::new();
        for (_, want, slot) in all {
            if !chosen.contains_key(&want) && taken.insert(slot) {
                chosen.insert(want, slot);
            }
        }
    }
    chosen
}

/// How well a slot of the right name fits an expectation.
fn alike(want: &Wanted, dimm: &Dimm) -> u8 {
    let bank = want.bank.as_ref() == Some(&dimm.bank);
    let serial = want.serial.is_some() && want.serial == serial(dimm);
    let size = dimm.populated && want.size == dimm.size;
    u8::from(serial) * 8 + u8::from(bank) * 4 + u8::from(size) * 2 + u8::from(dimm.populated)
}

/// What is wrong with one expectation. `repeats` says that others have its slot name; `dimm` is the slot that it is about:
/// its place in the list, the slot, and a name that no other slot has.
fn one(
    want: &Wanted,
    repeats: bool,
    dimm: Option<(usize, &Dimm, &str)>,
    seen: &[Dimm],
) -> Option<Fault> {
    let Some((at, dimm, name)) = dimm else {
        let name = match &want.bank {
            Some(bank) if repeats => format!("{} ({bank})", want.slot),
            Some(_) | None => want.slot.clone(),
        };
        let what = format!("the DIMM of slot {name} is missing");
        let line = if repeats {
            "SMBIOS lists fewer slots of that name"
        } else {
            "SMBIOS lists no slot of that name"
        };
        return Some(missing(want, None, &name, what, line.into(), seen));
    };
    if !dimm.populated {
        let what = format!("the DIMM in slot {name} is missing");
        let line = format!("SMBIOS says slot {name} is empty");
        return Some(missing(want, Some(at), name, what, line, seen));
    }
    match (want.size, dimm.size) {
        (Some(wanted), Some(size)) if wanted != size => {
            let what = format!("the DIMM in slot {name} has {size} instead of {wanted}");
            let mut fault = missing(want, Some(at), name, what, holds(dimm, name), &[]);
            fault.code = "dimm-wrong-size";
            return Some(fault);
        }
        (Some(_), None) => {
            let what = format!("the size of the DIMM in slot {name} is unknown");
            let next = "look at the DIMM's label or update the firmware";
            let mut fault = watch(want, (at, dimm, name), what, next);
            (fault.code, fault.verdict) = ("dimm-size-unknown", Verdict::Unknown);
            return Some(fault);
        }
        (Some(_) | None, _) => {}
    }
    let other = want.serial.as_ref().zip(serial(dimm));
    let (was, is) = other.filter(|(was, is)| *was != is)?;
    let what = format!("the DIMM in slot {name} is serial {is} instead of {was}");
    let next = "if it was replaced, write the new serial number into the site file";
    let mut fault = watch(want, (at, dimm, name), what, next);
    fault.evidence.extend(elsewhere(want, seen));
    Some(fault)
}

/// What a slot holds, in words.
pub(super) fn holds(dimm: &Dimm, slot: &str) -> String {
    let size = dimm
        .size
        .map_or_else(|| "unknown size".into(), |size| format!("{size}"));
    let serial = serial(dimm).unwrap_or_else(|| "unknown".into());
    let made = format!("{} {}", dimm.manufacturer, dimm.part_number);
    let made = made.trim();
    let comma = if made.is_empty() { "" } else { ", " };
    format!("SMBIOS says slot {slot} holds {size}, serial {serial}{comma}{made}")
}

/// Where the expected module sits, if it is in another slot.
fn elsewhere(want: &Wanted, seen: &[Dimm]) -> Option<String> {
    let serial_number = want.serial.as_ref()?;
    let names = labels(seen);
    let mut found = seen.iter().zip(names).filter(|(dimm, _)| {
        dimm.populated && dimm.slot != want.slot && serial(dimm).as_ref() == Some(serial_number)
    });
    let (_, name) = found.next()?;
    found
        .next()
        .is_none()
        .then(|| format!("serial {serial_number} sits in slot {name} now"))
}

fn missing(
    want: &Wanted,
    at: Option<usize>,
    name: &str,
    what: String,
    line: String,
    seen: &[Dimm],
) -> Fault {
    let mut evidence = alloc::vec![want.words(), line];
    evidence.extend(want.known());
    evidence.extend(elsewhere(want, seen));
    Fault {
        code: "dimm-missing",
        verdict: Verdict::Fail,
        sureness: Sureness::Certain,
        advice: Advice::Reseat,
        reason: ReasonCode::DimmMissing,
        what,
        next: format!(
            "power the machine off, reseat or replace the DIMM in slot {name}, and order the run again"
        ),
        evidence,
        about: About::Slot {
            seen: at,
            place: Place {
                slot: name.into(),
                ..want.place()
            },
        },
    }
}

fn watch(want: &Wanted, (at, dimm, name): (usize, &Dimm, &str), what: String, next: &str) -> Fault {
    Fault {
        code: "dimm-replaced",
        verdict: Verdict::Warn,
        sureness: Sureness::Certain,
        advice: Advice::Configure,
        reason: ReasonCode::DimmMissing,
        what,
        next: next.into(),
        evidence: alloc::vec![want.words(), holds(dimm, name)],
        about: About::Slot {
            seen: Some(at),
            place: super::place(dimm, name),
        },
    }
}
