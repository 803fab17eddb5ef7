// SPDX-License-Identifier: Apache-2.0
//! The memory slots as a picture: what sits where, what is missing, what fails.

use super::{Found, Mark};
use groundstate_api::health::{DeviceKind, DeviceReport, Verdict};
use groundstate_api::inventory;
use groundstate_api::view::NodeReport;

pub(super) struct Dimm {
    pub(super) slot: String,
    pub(super) size: String,
    pub(super) kind: String,
    pub(super) serial: String,
    pub(super) mark: Mark,
    pub(super) findings: Vec<Found>,
}

/// Memory in a line.
pub(super) fn words(report: &NodeReport) -> String {
    let memory = report.inventory.as_ref().map(|i| &i.memory);
    memory.map_or_else(String::new, |memory| {
        format!(
            "{} usable of {} in the modules",
            memory.available, memory.configured
        )
    })
}

/// Every slot in the table's order, then what should be there and has no slot.
pub(super) fn dimms(report: &NodeReport) -> Vec<Dimm> {
    let seen = report.inventory.as_ref().map(|i| i.memory.dimms.as_slice());
    let seen = seen.unwrap_or_default();
    let judged: Vec<&DeviceReport> = report
        .hardware
        .iter()
        .filter(|r| r.kind == DeviceKind::Dimm)
        .collect();
    let of_slot = |slot: &str| {
        let mine = |r: &&&DeviceReport| r.device == slot || r.place.slot == slot;
        judged.iter().find(mine).copied()
    };
    let mut dimms: Vec<Dimm> = seen
        .iter()
        .map(|dimm| one(dimm, of_slot(&dimm.slot)))
        .collect();
    let has_slot = |r: &DeviceReport| {
        seen.iter()
            .any(|dimm| r.device == dimm.slot || r.place.slot == dimm.slot)
    };
    dimms.extend(judged.iter().filter(|r| !has_slot(r)).map(|r| {
        Dimm {
            slot: r.device.clone(),
            size: r
                .place
                .size
                .map(|size| size.to_string())
                .unwrap_or_default(),
            kind: String::new(),
            serial: r.place.serial.clone(),
            mark: mark(false, Some(r)),
            findings: Found::all(r),
        }
    }));
    dimms
}

fn one(dimm: &inventory::Dimm, judged: Option<&DeviceReport>) -> Dimm {
    Dimm {
        slot: dimm.slot.clone(),
        size: match (dimm.populated, dimm.size) {
            (false, _) => String::new(),
            (true, Some(size)) => size.to_string(),
            (true, None) => "size unknown".to_owned(),
        },
        kind: match (dimm.populated, dimm.speed) {
            (false, _) => String::new(),
            (true, 0) => dimm.kind.clone(),
            (true, speed) => format!("{} {speed} MT/s", dimm.kind),
        },
        serial: if dimm.populated {
            dimm.serial.clone()
        } else {
            String::new()
        },
        mark: mark(dimm.populated, judged),
        findings: judged.map(Found::all).unwrap_or_default(),
    }
}

fn mark(populated: bool, judged: Option<&DeviceReport>) -> Mark {
    let verdict = judged.map_or(Verdict::Ok, |r| r.verdict);
    match (populated, verdict) {
        (false, Verdict::Fail | Verdict::Warn) => Mark {
            says: "missing",
            class: "fail",
        },
        (false, Verdict::Ok | Verdict::Unknown) => Mark {
            says: "empty",
            class: "empty",
        },
        (true, verdict) => Mark::of(verdict),
    }
}
