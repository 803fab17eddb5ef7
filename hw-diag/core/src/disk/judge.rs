// SPDX-License-Identifier: Apache-2.0
//! The verdict on a disk: what was read of it, held against the rules.
//!
//! Whoever read the disk, the same facts get the same verdict. Refuses to look at anything but the facts and the figures
//! of earlier reports, and to call a disk ok of which nothing is known.

use super::facts::{DiskFacts, Protocol};
use super::measure::{Media, Reading};
use super::rules::Rule;
use super::trend::{self, EarlierFigures};
use super::{ata, figures, nvme, own_word, scsi};
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::health::{DeviceKind, DeviceReport, HealthFinding, Place};

/// The report on one disk. `earlier` are the figures of the node's earlier reports on the same disk, in any order.
#[must_use]
pub fn judge(facts: &DiskFacts, earlier: &[EarlierFigures]) -> DeviceReport {
    let media = Media::of(facts);
    let figures = figures::of(facts);
    let mut findings: Vec<HealthFinding> = merged(readings(facts))
        .iter()
        .filter_map(|reading| {
            let model = &facts.identity.model;
            let rule = Rule::choose(reading.measure, reading.value, media, model)?;
            Some(rule.finding(reading))
        })
        .collect();
    findings.extend(trend::findings(&figures, earlier));
    let mut report = DeviceReport::new(
        facts.device.clone(),
        DeviceKind::Disk,
        source(facts),
        findings,
    );
    report.place = place(facts);
    report.figures = figures;
    report
}

/// Everything that the rules are about.
fn readings(facts: &DiskFacts) -> Vec<Reading> {
    let mut out = Vec::new();
    let mut counters = false;
    let mut explained = false;
    let mut limit = None;
    if let Some(ata) = &facts.ata {
        counters |= !ata.attributes.is_empty();
        limit = ata::limit_c(ata);
        out.extend(ata::readings(facts, ata));
    }
    if let Some(nvme) = &facts.nvme {
        counters |= nvme.critical_warning.is_some();
        let critical = nvme::critical(nvme);
        explained |= !critical.is_empty();
        limit = nvme::limit_c(nvme);
        out.extend(critical);
        out.extend(nvme::readings(nvme));
    }
    if let Some(scsi) = &facts.scsi {
        counters |= scsi::has_counters(scsi);
        let exception = scsi::exception(scsi);
        explained |= exception
            .as_ref()
            .is_some_and(|reading| reading.measure == super::Measure::PredictsFailure);
        limit = scsi.trip_temperature_c;
        out.extend(exception);
        out.extend(scsi::readings(facts, scsi));
    }
    out.extend(own_word::doubts(facts));
    out.extend(own_word::self_tests(facts));
    out.extend(own_word::heat(facts, limit));
    out.extend(own_word::own_word(facts, counters, explained));
    out
}

/// One reading per measure: the highest value, with the lines of all.
fn merged(readings: Vec<Reading>) -> Vec<Reading> {
    let mut out: Vec<Reading> = Vec::new();
    for reading in readings {
        match out.iter_mut().find(|one| one.measure == reading.measure) {
            Some(same) => {
                if reading.value > same.value {
                    same.value = reading.value;
                }
                if same.detail.is_empty() {
                    same.detail = reading.detail;
                } else if !reading.detail.is_empty() {
                    same.detail.push_str(", ");
                    same.detail.push_str(&reading.detail);
                }
                same.evidence.extend(reading.evidence);
            }
            None => out.push(reading),
        }
    }
    out
}

/// Where the facts come from, in words.
fn source(facts: &DiskFacts) -> &'static str {
    match facts.protocol {
        Protocol::Ata => "ATA SMART",
        Protocol::Nvme => "NVMe SMART / Health log",
        Protocol::Scsi => "SCSI log pages",
        Protocol::Unknown => "none",
    }
}

fn place(facts: &DiskFacts) -> Place {
    let who = &facts.identity;
    Place {
        slot: facts.slot.clone(),
        vendor: who.vendor.clone(),
        model: who.model.clone(),
        part_number: String::new(),
        serial: who.serial.clone(),
        firmware: who.revision.clone(),
        size: who.size,
    }
}

#[cfg(test)]
mod tests;
