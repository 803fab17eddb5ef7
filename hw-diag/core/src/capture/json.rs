// SPDX-License-Identifier: Apache-2.0
//! `smartctl --json`: finds the report of one disk and reads who it is and what it says of itself.

mod ata;
mod node;
mod nvme;
mod scsi;
#[cfg(test)]
mod tests;

use super::derive::fill_in;
use super::words::safe;
use super::{CaptureError, JSON_OBJECTS_MAX, JSON_VALUES_MAX, looks_like_json, looks_like_text};
use crate::disk::DiskFacts;
use crate::disk::facts::{Assessment, Identity, Protocol};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::Bytes;
use node::{Missed, Node};
pub(super) use scsi::{gigabytes, not_moved};
use serde_json::Value;

/// How the facts were read.
const SOURCE: &str = "smartctl --json";
/// How deep a report may lie in what wraps it: an exporter's or an API's answer, a list of one.
const WRAPPED_MAX: usize = 3;
/// Temperatures outside are a sensor that lies, in degrees Celsius.
const CELSIUS: core::ops::RangeInclusive<i64> = -60..=200;

pub(super) fn read(bytes: &[u8], name: &str) -> Result<DiskFacts, CaptureError> {
    if !looks_like_json(bytes) {
        let name = name.to_string();
        return Err(if looks_like_text(bytes) {
            CaptureError::TextGiven { name }
        } else {
            let why = "it begins neither with { nor with [".into();
            CaptureError::NotJson { name, why }
        });
    }
    bounded(bytes, name)?;
    // Depth is bounded by the parser: it refuses more than 128 levels.
    let value: Value = serde_json::from_slice(bytes).map_err(|error| CaptureError::NotJson {
        name: name.into(),
        why: safe(&error.to_string()),
    })?;
    let mut reports = Vec::new();
    find(&value, 0, &mut reports);
    let report = match (reports.first(), reports.len()) {
        (Some(report), 1) => *report,
        (Some(_), count) => {
            let name = name.into();
            return Err(CaptureError::Several { name, count });
        }
        (None, _) if is_scan(&value) => return Err(CaptureError::Scan { name: name.into() }),
        (None, _) => return Err(CaptureError::NotAReport { name: name.into() }),
    };
    let missed = Missed::default();
    let mut facts = facts(Node::root(report, &missed), name);
    let (lines, unreadable) = missed.lines();
    facts.missed = lines;
    for line in unreadable {
        facts.could_not_read(line);
    }
    Ok(facts)
}

/// Refuses what would take too much memory before it is parsed. Text may hold the signs too, which only refuses earlier.
fn bounded(bytes: &[u8], name: &str) -> Result<(), CaptureError> {
    let count = |sign: &[u8]| bytes.iter().filter(|byte| sign.contains(byte)).count();
    for (signs, what, limit) in [
        (&b"{"[..], "objects", JSON_OBJECTS_MAX),
        (&b",[{"[..], "values", JSON_VALUES_MAX),
    ] {
        if count(signs) > limit {
            let name = name.into();
            return Err(CaptureError::TooMany { name, what, limit });
        }
    }
    Ok(())
}

/// Fields of which every report has one; a list of devices has none.
const MARKS: [&str; 10] = [
    "model_name",
    "smart_status",
    "smart_support",
    "ata_smart_attributes",
    "ata_smart_data",
    "nvme_smart_health_information_log",
    "scsi_error_counter_log",
    "scsi_grown_defect_list",
    "scsi_model_name",
    "user_capacity",
];

fn is_scan(value: &Value) -> bool {
    value.get("devices").is_some_and(Value::is_array)
}

fn is_report(value: &Value) -> bool {
    let device = value.get("device");
    let device = device.is_some_and(|device| {
        ["protocol", "info_name", "type"]
            .iter()
            .any(|field| device.get(field).is_some())
    });
    // A report of a disk that could not be opened has nothing but smartctl's own words.
    let alone = value.get("smartctl").is_some_and(Value::is_object) && !is_scan(value);
    device || alone || MARKS.iter().any(|mark| value.get(mark).is_some())
}

/// Collects the reports that lie in a value, two at most: more than one is refused anyway.
fn find<'a>(value: &'a Value, depth: usize, out: &mut Vec<&'a Value>) {
    if out.len() > 1 || depth > WRAPPED_MAX {
        return;
    }
    if value.is_object() && is_report(value) {
        out.push(value);
        return;
    }
    if is_scan(value) {
        return;
    }
    match value {
        Value::Object(fields) => fields.values().for_each(|one| find(one, depth + 1, out)),
        Value::Array(items) => items.iter().for_each(|one| find(one, depth + 1, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn facts(root: Node<'_>, name: &str) -> DiskFacts {
    let mut facts = DiskFacts::new(name, SOURCE, protocol(root));
    facts.slot = root
        .at("device")
        .at("info_name")
        .text()
        .or_else(|| root.at("device").at("name").text())
        .unwrap_or_default();
    facts.identity = identity(root, facts.protocol);
    facts.assessment = assessment(root);
    if facts.assessment == Assessment::Passed && failing(root) {
        let line = "smartctl's exit status says that the disk fails (bit 3)";
        facts.contradictions.push(line.into());
    }
    let celsius = root.at("temperature").at("current").signed();
    let trip = root.at("temperature").at("drive_trip").signed();
    facts.temperature_c = celsius
        .filter(|celsius| CELSIUS.contains(celsius))
        // A RAID volume says 0 with a trip temperature of 0: it has no sensor.
        .filter(|celsius| *celsius != 0 || trip != Some(0))
        .and_then(|celsius| i16::try_from(celsius).ok());
    facts.power_on_hours = root.at("power_on_time").at("hours").number();
    match facts.protocol {
        Protocol::Ata => ata::read(root, &mut facts),
        Protocol::Nvme => nvme::read(root, &mut facts),
        Protocol::Scsi => scsi::read(root, &mut facts),
        Protocol::Unknown => {}
    }
    fill_in(&mut facts);
    messages(root);
    facts
}

/// As smartctl says it, else by the sections that are there.
fn protocol(root: Node<'_>) -> Protocol {
    let said = root.at("device").at("protocol").text();
    match said.as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("ata") => return Protocol::Ata,
        Some("nvme") => return Protocol::Nvme,
        Some("scsi") => return Protocol::Scsi,
        Some(_) | None => {}
    }
    let begins = |prefix| root.keys().any(|key| key.starts_with(prefix));
    if begins("nvme_") {
        Protocol::Nvme
    } else if begins("ata_") || begins("sata_") {
        Protocol::Ata
    } else if begins("scsi_") {
        Protocol::Scsi
    } else {
        Protocol::Unknown
    }
}

fn identity(root: Node<'_>, protocol: Protocol) -> Identity {
    let first = |names: &[&'static str]| {
        let found = names.iter().find_map(|name| root.at(name).text());
        found.unwrap_or_default()
    };
    let namespace = root.at("nvme_namespaces").first();
    let size = root
        .at("user_capacity")
        .at("bytes")
        .number()
        .or_else(|| root.at("nvme_total_capacity").number())
        .or_else(|| namespace.at("size").at("bytes").number());
    let sector = root
        .at("logical_block_size")
        .number()
        .or_else(|| namespace.at("formatted_lba_size").number());
    let rpm = root.at("rotation_rate").number();
    Identity {
        vendor: first(&["scsi_vendor", "vendor"]),
        family: first(&["model_family"]),
        model: first(if protocol == Protocol::Scsi {
            // The vendor stands apart, so the product alone is the model.
            &["scsi_product", "product", "scsi_model_name", "model_name"]
        } else {
            &["model_name"]
        }),
        serial: first(&["serial_number"]),
        revision: first(&["firmware_version", "scsi_revision", "revision"]),
        wwn: wwn(root),
        size: size.filter(|bytes| *bytes > 0).map(Bytes),
        logical_sector: sector.and_then(|bytes| u32::try_from(bytes).ok()),
        rotation_rpm: rpm.and_then(|rpm| u32::try_from(rpm).ok()),
    }
}

/// As the kernel writes it: `0x…` of 16 digits, or `eui.…`.
fn wwn(root: Node<'_>) -> Option<String> {
    let wwn = root.at("wwn");
    let parts = (
        wwn.at("naa").number(),
        wwn.at("oui").number(),
        wwn.at("id").number(),
    );
    match parts {
        (Some(naa), Some(oui), Some(id)) => Some(format!("0x{naa:x}{oui:06x}{id:09x}")),
        _ => eui64(root).or_else(|| root.at("logical_unit_id").text()),
    }
}

fn eui64(root: Node<'_>) -> Option<String> {
    let eui64 = root.at("nvme_namespaces").first().at("eui64");
    let (oui, id) = (eui64.at("oui").number()?, eui64.at("ext_id").number()?);
    Some(format!("eui.{oui:06x}{id:010x}"))
}

/// Bit 3 of smartctl's exit status: the disk says that it fails.
const EXIT_FAILING: u64 = 1 << 3;

fn failing(root: Node<'_>) -> bool {
    let status = root.at("smartctl").at("exit_status").number();
    status.is_some_and(|bits| bits & EXIT_FAILING != 0)
}

fn assessment(root: Node<'_>) -> Assessment {
    let status = root.at("smart_status");
    let sct = root.at("ata_sct_status").at("smart_status").at("passed");
    match status.at("passed").boolean() {
        Some(false) => Assessment::Failed,
        Some(true) => Assessment::Passed,
        // The SCT status repeats the assessment; its word counts where the other was not read.
        None if failing(root) || sct.boolean() == Some(false) => Assessment::Failed,
        None => Assessment::NotSaid,
    }
}

/// What smartctl could not do, in its own words.
fn messages(root: Node<'_>) {
    let smartctl = root.at("smartctl");
    for message in smartctl.at("messages").items(super::MISSED_MAX) {
        if let Some(text) = message.at("string").text() {
            root.missed(format!("smartctl: {text}"));
        }
    }
    let status = smartctl.at("exit_status").number().unwrap_or(0);
    for (bit, what) in [
        (0, "smartctl could not make sense of its command line"),
        (1, "smartctl could not open the device, or it is asleep"),
        (
            2,
            "a command to the disk failed, or a data structure had a wrong checksum",
        ),
    ] {
        if status & (1 << bit) != 0 {
            root.missed(what.into());
        }
    }
}
