// SPDX-License-Identifier: Apache-2.0
//! What the BMC said last. It is not asked for a page: a page that anybody may open orders nothing.

use crate::page::words::When;
use crate::provisioner::Provisioner;
use groundstate_api::bmc::BmcReport;
use groundstate_api::{Millis, NodeId};

/// Lines of the console that are shown, the newest.
const CONSOLE_LINES: usize = 40;

pub(super) struct Bmc {
    pub(super) at: Option<When>,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) console_at: Option<When>,
    pub(super) console: Vec<String>,
}

impl Bmc {
    pub(super) fn of(ours: &Provisioner, node: &NodeId, now: Millis) -> Option<Self> {
        let seen = ours.last_bmc(node)?;
        let console = seen.console.as_ref();
        let lines = console
            .map(|(_, lines)| lines.as_slice())
            .unwrap_or_default();
        let from = lines.len().saturating_sub(CONSOLE_LINES);
        Some(Self {
            at: seen.report.as_ref().map(|report| When::of(report.at, now)),
            facts: seen.report.as_ref().map(facts).unwrap_or_default(),
            console_at: console.map(|(at, _)| When::of(*at, now)),
            console: lines.iter().skip(from).cloned().collect(),
        })
    }
}

fn facts(report: &BmcReport) -> Vec<(&'static str, String)> {
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut facts = vec![
        ("power", report.power.clone()),
        ("health", word(&report.health)),
        ("next boot", word(&report.next_boot)),
        ("locator LED", word(&report.led)),
        (
            "machine",
            format!("{} {}", report.manufacturer, report.model),
        ),
        ("serial number", report.serial.clone()),
        ("firmware", report.firmware.clone()),
        ("BMC firmware", report.bmc_firmware.clone()),
        ("spoken to by", report.protocol.clone()),
        ("certificate", word(&report.certificate)),
        ("DIMMs", report.dimms.join("; ")),
        ("drives", report.drives.join("; ")),
        ("known to be odd", report.quirks.join(", ")),
    ];
    facts.retain(|(_, value)| !value.trim().is_empty());
    facts
}
