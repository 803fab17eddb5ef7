// SPDX-License-Identifier: Apache-2.0
//! The fields of memory structures in `dmidecode`'s words, as values.
//!
//! Refuses to guess what a word may mean: one that no version of dmidecode prints leaves its field open, and an odd size
//! is named.

use super::Said;
use crate::memory::{Array, Device, Module, Range};
use alloc::format;
use alloc::string::String;
use groundstate_api::inventory::Dimm;
use groundstate_api::units::Bytes;

pub(super) fn array(said: &Said<'_>) -> Array {
    Array {
        handle: said.handle,
        location: said.field("Location").unwrap_or_default(),
        usage: said.field("Use").unwrap_or_default(),
        correction: said.field("Error Correction Type").unwrap_or_default(),
        capacity: said
            .field("Maximum Capacity")
            .and_then(|words| bytes(&words))
            .filter(|size| size.0 > 0),
        declared: said
            .field("Number Of Devices")
            .and_then(|words| words.parse().ok()),
    }
}

/// A memory device, and what is odd about its size; `None` where dmidecode showed no fields because the structure is too
/// short or cut off.
pub(super) fn device(said: &Said<'_>) -> Option<(Device, Option<String>)> {
    let words = said.field("Size")?;
    let slot = string(said, "Locator");
    let mut odd = None;
    let (populated, size) = match words.as_str() {
        "No Module Installed" | "Not Installed" => (false, None),
        "Unknown" => (true, None),
        _ => {
            let size = bytes(&words);
            if size.is_none() {
                odd = Some(format!(
                    "SMBIOS memory device {slot} says its size is `{words}`; it counts as a module of unknown size"
                ));
            }
            // A module that says it has nothing is there and does not know its size.
            (true, size.filter(|size| size.0 > 0))
        }
    };
    let rated = speed(said, "Speed");
    let configured =
        speed(said, "Configured Memory Speed").or_else(|| speed(said, "Configured Clock Speed"));
    let dimm = Dimm {
        slot,
        bank: string(said, "Bank Locator"),
        size,
        populated,
        kind: word(said, "Type"),
        speed: configured.or(rated).unwrap_or(0),
        manufacturer: string(said, "Manufacturer"),
        part_number: string(said, "Part Number"),
        serial: string(said, "Serial Number"),
        errors: None,
    };
    Some((
        Device {
            dimm,
            module: module(said, rated),
        },
        odd,
    ))
}

fn module(said: &Said<'_>, rated_speed: Option<u32>) -> Module {
    let bits = |name: &str| {
        let words = said.field(name)?;
        words.strip_suffix(" bits")?.parse().ok()
    };
    let portion = |name: &str| match said.field(name)?.as_str() {
        "None" => Some(Bytes(0)),
        words => bytes(words),
    };
    Module {
        handle: said.handle,
        array: handle(said, "Array Handle"),
        form_factor: word(said, "Form Factor"),
        detail: word(said, "Type Detail"),
        technology: word(said, "Memory Technology"),
        total_width: bits("Total Width"),
        data_width: bits("Data Width"),
        rank: said.field("Rank").and_then(|words| words.parse().ok()),
        rated_speed,
        millivolts: said
            .field("Configured Voltage")
            .and_then(|words| millivolts(&words)),
        persistent: portion("Non-Volatile Size"),
        volatile: portion("Volatile Size"),
        cache: portion("Cache Size"),
        logical: portion("Logical Size"),
    }
}

pub(super) fn range(said: &Said<'_>, of_device: bool) -> Option<Range> {
    let array = handle(said, "Physical Array Handle");
    let device = handle(said, "Physical Device Handle");
    let range = Range {
        start: address(said, "Starting Address")?,
        end: address(said, "Ending Address")?,
        array: array.filter(|_| !of_device),
        device: device.filter(|_| of_device),
        interleave: said
            .field("Interleaved Data Depth")
            .and_then(|words| words.parse().ok()),
    };
    (range.array.is_some() || range.device.is_some()).then_some(range)
}

/// A string of the table; dmidecode's words for none are none.
fn string(said: &Said<'_>, name: &str) -> String {
    match said.field(name) {
        Some(words) if words != "Not Specified" && words != "<BAD INDEX>" => words,
        Some(_) | None => String::new(),
    }
}

/// A word that stands for a number, as the raw table's decoder says it.
fn word(said: &Said<'_>, name: &str) -> String {
    match said.field(name) {
        Some(words) if words == "<OUT OF SPEC>" => "out of spec".into(),
        Some(words) if words == "None" => String::new(),
        Some(words) => words,
        None => String::new(),
    }
}

/// `0x0010`.
fn handle(said: &Said<'_>, name: &str) -> Option<u16> {
    let words = said.field(name)?;
    u16::from_str_radix(words.strip_prefix("0x")?, 16).ok()
}

/// `0x017FFFFFFFF`, or with dmidecode's stray `k` behind extended addresses, which are in bytes too.
fn address(said: &Said<'_>, name: &str) -> Option<u64> {
    let words = said.field(name)?;
    let digits = words.strip_prefix("0x")?.trim_end_matches('k');
    u64::from_str_radix(digits, 16).ok()
}

/// `2666 MT/s`, before dmidecode 3.0 `800 MHz (1.2 ns)`; for memory both count transfers.
fn speed(said: &Said<'_>, name: &str) -> Option<u32> {
    let words = said.field(name)?;
    let mut parts = words.split(' ');
    let speed = parts.next()?.parse().ok()?;
    matches!(parts.next(), Some("MT/s" | "MHz")).then_some(speed)
}

/// `16 GB`, `16384 MB`, `512 kB`, `9 TB`: binary units in dmidecode's spelling.
fn bytes(words: &str) -> Option<Bytes> {
    let (number, unit) = words.split_once(' ')?;
    let shift = match unit {
        "bytes" => 0,
        "kB" | "KB" => 10,
        "MB" => 20,
        "GB" => 30,
        "TB" => 40,
        "PB" => 50,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    number.checked_mul(1 << shift).map(Bytes)
}

/// `1.2 V`, `1.35 V`: up to three decimals.
fn millivolts(words: &str) -> Option<u32> {
    let volts = words.strip_suffix(" V")?;
    let (whole, part) = volts.split_once('.').unwrap_or((volts, ""));
    let scale = match part.len() {
        0 => 0,
        1 => 100,
        2 => 10,
        3 => 1,
        _ => return None,
    };
    let part: u32 = if part.is_empty() {
        0
    } else {
        part.parse().ok()?
    };
    let whole: u32 = whole.parse().ok()?;
    whole.checked_mul(1_000)?.checked_add(part * scale)
}
