// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a device, in words and in figures: the same value on the node's screen, the CLI and the web page.
//!
//! A finding names what was seen, how sure that is, and one thing to do. Unknown is a verdict of its own and never ok.

use crate::units::{Bytes, Millis};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A verdict on a device. Unknown is never ok.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Looked, and nothing is wrong.
    Ok,
    /// Could not look, or the device does not say.
    Unknown,
    /// Something to watch.
    Warn,
    /// Pull it.
    Fail,
}

impl Verdict {
    /// As it stands in JSON: `ok`, `unknown`, `warn`, `fail`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
    /// As it stands at the start of a line for people: `ok`, `UNKNOWN`, `WARN`, `FAIL`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "UNKNOWN",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// What kind of thing a report is about.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A disk.
    Disk,
    /// A memory module or its slot.
    Dimm,
    /// Memory as a whole.
    Memory,
    /// A processor.
    Cpu,
    /// A PCI function.
    Pci,
    /// A network interface.
    Nic,
    /// A temperature, voltage, current or power sensor.
    Sensor,
    /// A fan.
    Fan,
    /// A power supply.
    PowerSupply,
    /// BIOS, UEFI or a BMC's firmware.
    Firmware,
    /// The Trusted Platform Module.
    Tpm,
    /// The real-time clock.
    Clock,
    /// The baseboard management controller and its event log.
    Bmc,
    /// The machine as a whole.
    Machine,
}

impl DeviceKind {
    /// As people read it: `disk`, `DIMM`, `power supply`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Dimm => "DIMM",
            Self::Memory => "memory",
            Self::Cpu => "CPU",
            Self::Pci => "PCI",
            Self::Nic => "NIC",
            Self::Sensor => "sensor",
            Self::Fan => "fan",
            Self::PowerSupply => "power supply",
            Self::Firmware => "firmware",
            Self::Tpm => "TPM",
            Self::Clock => "clock",
            Self::Bmc => "BMC",
            Self::Machine => "machine",
        }
    }
}

/// How sure a finding is.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sureness {
    /// A pattern that often comes before a fault.
    Hint,
    /// More likely than not.
    Likely,
    /// The device says so itself, or it was measured.
    Certain,
}

impl Sureness {
    /// As people read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hint => "a hint",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

/// The kind of thing to do. The sentence beside it says it in full.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    /// Pull the part and put in another.
    Replace,
    /// Take it out, put it back, look at contacts and cables.
    Reseat,
    /// Nothing now; look again.
    Watch,
    /// Update firmware or driver.
    Update,
    /// Change a setting.
    Configure,
    /// Look: what was seen does not name a cause.
    Look,
}

/// One thing that was found on one device.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthFinding {
    /// A stable name that a program may branch on and `hw-diag explain` explains, for example `ata-pending-sectors`.
    pub code: String,
    /// How grave it is: `warn`, `fail` or `unknown`; `ok` where it is worth telling and nothing is wrong.
    pub verdict: Verdict,
    /// What is wrong, in one sentence.
    pub what: String,
    /// What was seen, a line each; never guessed.
    pub evidence: Vec<String>,
    /// How sure it is.
    pub sureness: Sureness,
    /// What kind of thing to do.
    pub advice: Advice,
    /// What to do, in one sentence.
    pub next_step: String,
}

/// Where a device is and what it is: what a technician needs to find it and to order another.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Slot, bay, silkscreen name or controller address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub slot: String,
    /// Maker.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vendor: String,
    /// Model or product name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Part number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part_number: String,
    /// Serial number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub serial: String,
    /// Firmware revision.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub firmware: String,
    /// Size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Bytes>,
}

/// The report on one device.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceReport {
    /// Its name where it was looked at: `/dev/sda`, `DIMM_A2`, `cpu0`, or the capture's file.
    pub device: String,
    /// What kind of thing it is.
    pub kind: DeviceKind,
    /// The gravest finding's verdict; `ok` without findings.
    pub verdict: Verdict,
    /// Where it is and what it is.
    #[serde(default)]
    pub place: Place,
    /// Where the facts come from: `ATA SMART`, `NVMe SMART / Health log`, `SMBIOS`, `none`.
    #[serde(default)]
    pub source: String,
    /// What was found, gravest first.
    pub findings: Vec<HealthFinding>,
    /// Figures worth following over time, by stable name with the unit at its end: `power_on_hours`,
    /// `pending_sectors`, `temperature_celsius`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, i64>,
    /// What it affects: volumes, VHDs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affects: Vec<String>,
}

impl DeviceReport {
    /// A report on a device with its findings, gravest first; the verdict is the gravest finding's.
    #[must_use]
    pub fn new(
        device: impl Into<String>,
        kind: DeviceKind,
        source: impl Into<String>,
        mut findings: Vec<HealthFinding>,
    ) -> Self {
        findings.sort_by_key(|finding| core::cmp::Reverse((finding.verdict, finding.sureness)));
        Self {
            device: device.into(),
            kind,
            verdict: findings
                .first()
                .map_or(Verdict::Ok, |finding| finding.verdict),
            place: Place::default(),
            source: source.into(),
            findings,
            figures: BTreeMap::new(),
            affects: Vec::new(),
        }
    }
}

impl DeviceReport {
    /// The report with more findings: still gravest first, and the verdict never better than before.
    pub fn add(&mut self, more: Vec<HealthFinding>) {
        self.findings.extend(more);
        self.findings
            .sort_by_key(|finding| core::cmp::Reverse((finding.verdict, finding.sureness)));
        let gravest = self.findings.first().map(|finding| finding.verdict);
        self.verdict = gravest.map_or(self.verdict, |verdict| verdict.max(self.verdict));
    }

    /// The device in one line: kind, name, where it sits, what it is.
    #[must_use]
    pub fn title(&self) -> String {
        let place = &self.place;
        let mut parts = Vec::new();
        let mut said = |prefix: &str, text: &str| {
            if !text.is_empty() && text != self.device {
                parts.push(format!("{prefix}{text}"));
            }
        };
        said("", &place.slot);
        if let Some(size) = place.size {
            said("", &format!("{size}"));
        }
        said("", &place.vendor);
        said("", &place.model);
        said("part ", &place.part_number);
        said("serial ", &place.serial);
        said("firmware ", &place.firmware);
        let mut title = format!("{} {}", self.kind.as_str(), self.device);
        if !parts.is_empty() {
            title.push_str(": ");
            title.push_str(&parts.join(", "));
        }
        title
    }

    /// The report as lines of text, the same on every screen: verdict and device, then for each finding what is wrong,
    /// how sure that is, what was seen and what to do, then what it affects.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.push(format!("{:<7} {}", self.verdict.word(), self.title()));
        for finding in &self.findings {
            lines.push(format!("  {} [{}]", finding.what, finding.code));
            for seen in &finding.evidence {
                lines.push(format!("    seen:     {seen}"));
            }
            lines.push(format!("    how sure: {}", finding.sureness.as_str()));
            lines.push(format!("    do now:   {}", finding.next_step));
        }
        if !self.affects.is_empty() {
            lines.push(format!("  affects: {}", self.affects.join(", ")));
        }
        lines
    }
}

/// The gravest verdict of all; unknown where there is no report: nobody looked.
#[must_use]
pub fn gravest(reports: &[DeviceReport]) -> Verdict {
    // Unknown is less grave than a warning, and never ok.
    reports
        .iter()
        .map(|report| report.verdict)
        .max()
        .unwrap_or(Verdict::Unknown)
}

/// One page on many devices, worst first: a line that sums up, what is wrong in full, and what is well in a line each
/// kind.
#[must_use]
pub fn page(reports: &[DeviceReport]) -> Vec<String> {
    let mut sorted: Vec<&DeviceReport> = reports.iter().collect();
    sorted.sort_by(|a, b| (b.verdict, a.kind, &a.device).cmp(&(a.verdict, b.kind, &b.device)));
    let count = |verdict| {
        sorted
            .iter()
            .filter(|report| report.verdict == verdict)
            .count()
    };
    let mut lines = Vec::new();
    let words: Vec<String> = [Verdict::Fail, Verdict::Warn, Verdict::Unknown, Verdict::Ok]
        .into_iter()
        .map(|verdict| (count(verdict), verdict))
        .filter(|(count, _)| *count > 0)
        .map(|(count, verdict)| format!("{count} {}", verdict.as_str()))
        .collect();
    let words = if words.is_empty() {
        String::from("nothing was looked at")
    } else {
        words.join(", ")
    };
    lines.push(format!("{}: {words}", gravest(reports).word()));
    for report in sorted.iter().filter(|report| report.verdict != Verdict::Ok) {
        lines.push(String::new());
        lines.extend(report.lines());
    }
    let well: Vec<&&DeviceReport> = sorted
        .iter()
        .filter(|report| report.verdict == Verdict::Ok)
        .collect();
    if !well.is_empty() {
        lines.push(String::new());
    }
    for report in well {
        lines.push(format!("{:<7} {}", report.verdict.word(), report.title()));
        for finding in &report.findings {
            lines.push(format!("          {}", finding.what));
        }
    }
    lines
}

/// Corrected and uncorrected memory errors that the memory controller counted since boot (EDAC).
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryErrors {
    /// Corrected.
    pub corrected: u64,
    /// Uncorrected.
    pub uncorrected: u64,
    /// How long the counters ran; `None` where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Millis>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(code: &str, verdict: Verdict) -> HealthFinding {
        HealthFinding {
            code: code.into(),
            verdict,
            what: "12 sectors wait to be reallocated".into(),
            evidence: alloc::vec!["attribute 197 is 12".into()],
            sureness: Sureness::Likely,
            advice: Advice::Watch,
            next_step: "have a spare ready".into(),
        }
    }

    #[test]
    fn the_page_has_the_worst_first_and_says_what_to_do() {
        let mut bad = DeviceReport::new(
            "/dev/sdb",
            DeviceKind::Disk,
            "ATA SMART",
            alloc::vec![finding("ata-pending-sectors", Verdict::Warn)],
        );
        bad.place = Place {
            slot: "bay 3".into(),
            size: Some(Bytes::gib(4)),
            model: "ST4".into(),
            serial: "Z1".into(),
            ..Place::default()
        };
        bad.affects.push("volume gs-data-2".into());
        let well = DeviceReport::new("cpu0", DeviceKind::Cpu, "sysfs", Vec::new());
        expect_test::expect![[r"
            WARN: 1 warn, 1 ok

            WARN    disk /dev/sdb: bay 3, 4 GiB, ST4, serial Z1
              12 sectors wait to be reallocated [ata-pending-sectors]
                seen:     attribute 197 is 12
                how sure: likely
                do now:   have a spare ready
              affects: volume gs-data-2

            ok      CPU cpu0"]]
        .assert_eq(&page(&[well, bad]).join("\n"));
        assert_eq!(page(&[]), ["UNKNOWN: nothing was looked at"]);
    }
}
