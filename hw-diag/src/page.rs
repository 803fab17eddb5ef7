// SPDX-License-Identifier: Apache-2.0
//! The verdict on one page, worst first.

use crate::ecc::EccCount;
use groundstate_api::inventory::{Disk, Finding, Gravity, Inventory, Verdict};
use std::fmt::Write as _;

/// Colours of the three verdicts, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// No colour.
    Plain,
    /// ANSI colours.
    Colour,
}

impl Ink {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// The page. Findings must be gravest first, as `judge` returns them.
#[must_use]
pub fn page(seen: &Inventory, findings: &[Finding], ecc: &[EccCount], ink: Ink) -> String {
    let mut text = String::new();
    let stops = findings
        .iter()
        .filter(|f| f.gravity == Gravity::Stop)
        .count();
    let verdict = match (stops, findings.len()) {
        (0, 0) => ink.paint("32", "OK: nothing is wrong"),
        (0, warnings) => ink.paint("33", &format!("OK with {warnings} to watch")),
        (stops, _) => ink.paint("31;1", &format!("STOP: {stops} to repair")),
    };
    let system = &seen.system;
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{verdict}");
    let _ = writeln!(
        text,
        "{} {}, serial {}, firmware {}{}",
        said(&system.manufacturer),
        said(&system.product),
        said(&system.serial),
        said(&system.firmware_version),
        if system.uefi { ", UEFI" } else { "" }
    );
    for finding in findings {
        let word = match finding.gravity {
            Gravity::Stop => ink.paint("31;1", "STOP"),
            Gravity::Warn => ink.paint("33", "WARN"),
        };
        let _ = writeln!(text, "\n{word} {}", finding.reason);
    }
    text.push('\n');
    memory(&mut text, seen, ecc);
    disks(&mut text, seen, ink);
    for nic in &seen.nics {
        let link = if nic.link { "link" } else { "no link" };
        let speed = nic
            .speed_mbps
            .map(|s| format!(", {s} Mb/s"))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "nic    {:<10} {} {}, {link}{speed}",
            nic.name, nic.mac, nic.driver
        );
    }
    for line in &seen.could_not_look {
        let _ = writeln!(text, "could not look: {line}");
    }
    text
}

/// A word for what firmware or disk leaves empty.
fn said(text: &str) -> &str {
    if text.is_empty() { "(not said)" } else { text }
}

fn memory(text: &mut String, seen: &Inventory, ecc: &[EccCount]) {
    let memory = &seen.memory;
    let configured = match memory.configured.0 {
        0 => "an unknown size".to_owned(),
        _ => memory.configured.to_string(),
    };
    let populated = memory.dimms.iter().filter(|d| d.populated).count();
    let _ = writeln!(
        text,
        "cpu    {} x {}\nmemory {} usable of {configured}; {populated} of {} slots populated",
        seen.system.cpus,
        seen.system.cpu_model,
        memory.available,
        memory.dimms.len()
    );
    for dimm in memory.dimms.iter().filter(|d| d.populated) {
        let size = dimm
            .size
            .map_or_else(|| "size unknown".to_owned(), |s| s.to_string());
        let _ = writeln!(
            text,
            "dimm   {:<10} {size:<9} {} {} {}, serial {}",
            dimm.slot, dimm.kind, dimm.manufacturer, dimm.part_number, dimm.serial
        );
    }
    for count in ecc.iter().filter(|c| c.corrected + c.uncorrected > 0) {
        let _ = writeln!(
            text,
            "ecc    {:<10} {} corrected, {} uncorrected errors since boot",
            count.slot, count.corrected, count.uncorrected
        );
    }
}

fn disks(text: &mut String, seen: &Inventory, ink: Ink) {
    let mut disks: Vec<&Disk> = seen.disks.iter().collect();
    disks.sort_by_key(|disk| std::cmp::Reverse(disk.health.verdict));
    for disk in disks {
        let word = match disk.health.verdict {
            Verdict::Ok => ink.paint("32", "ok     "),
            Verdict::Unknown => ink.paint("33", "unknown"),
            Verdict::Warn => ink.paint("33", "warn   "),
            Verdict::Fail => ink.paint("31;1", "FAIL   "),
        };
        let figures = [
            disk.health.temperature_c.map(|c| format!(", {c} °C")),
            disk.health.power_on_hours.map(|h| format!(", {h} h")),
        ];
        let _ = writeln!(
            text,
            "disk   {word} {:<9} serial {}, {}, {}, {}{}",
            disk.size.to_string(),
            said(&disk.serial),
            said(&disk.model),
            disk.slot,
            disk.kernel_name,
            figures.into_iter().flatten().collect::<String>()
        );
    }
}
