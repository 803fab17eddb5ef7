// SPDX-License-Identifier: Apache-2.0
//! What the kernel's log says of hardware: firmware files that drivers did not find, and machine checks.
//!
//! Lines come in one by one as `/dev/kmsg` or `dmesg` give them; what matters is kept within a bound, the rest forgotten.

use super::finding::{figure, kind};
use super::known;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::health::{Advice, DeviceKind, DeviceReport, Sureness, Verdict};
use serde::{Deserialize, Serialize};

/// The most missing files that are kept: a machine has fewer kinds of cards.
const FILES_MAX: usize = 64;
/// The most machine-check lines that are kept; more are counted.
const CHECKS_MAX: usize = 16;
/// The most lines on PCI addresses that are kept, for the functions that no driver took.
const ABOUT_MAX: usize = 256;
/// The most lines about one address that a finding shows.
const ABOUT_ONE_MAX: usize = 4;

/// A firmware file that a driver did not find.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MissingFirmware {
    /// Its path below `/lib/firmware`.
    pub file: String,
    /// The PCI address that wanted it, where the line names one.
    pub device: Option<String>,
    /// The line.
    pub line: String,
}

/// What was kept of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogFacts {
    /// Firmware files that drivers did not find, each once per device.
    pub missing_firmware: Vec<MissingFirmware>,
    /// Lines of the machine-check handler, the first 16.
    pub machine_checks: Vec<String>,
    /// How many there were.
    pub machine_check_count: u64,
    /// Lines of errors that name a PCI address.
    pub about: Vec<String>,
}

impl LogFacts {
    /// Takes one line: its text, without time and priority.
    pub fn take(&mut self, line: &str) {
        let text = crate::clean(line.as_bytes());
        if let Some(file) = missing_file(&text) {
            let found = MissingFirmware {
                file,
                device: address(&text),
                line: text.clone(),
            };
            let twin = |one: &MissingFirmware| one.file == found.file && one.device == found.device;
            if self.missing_firmware.len() < FILES_MAX && !self.missing_firmware.iter().any(twin) {
                self.missing_firmware.push(found);
            }
        }
        if is_machine_check(&text) {
            self.machine_check_count = self.machine_check_count.saturating_add(1);
            if self.machine_checks.len() < CHECKS_MAX {
                self.machine_checks.push(text.clone());
            }
        }
        let grave = ["fail", "error", "timed out", "timeout", "unable"];
        let lower = text.to_ascii_lowercase();
        if self.about.len() < ABOUT_MAX
            && grave.iter().any(|word| lower.contains(word))
            && address(&text).is_some()
        {
            self.about.push(text);
        }
    }

    /// The first lines of errors about a PCI address.
    pub(super) fn lines_about(&self, address: &str) -> Vec<String> {
        let lines = self.about.iter().filter(|line| line.contains(address));
        lines.take(ABOUT_ONE_MAX).cloned().collect()
    }
}

/// `Direct firmware load for FILE failed with error -2` (mainline); `firmware: failed to load FILE (-2)` (Debian).
fn missing_file(text: &str) -> Option<String> {
    let after = |mark: &str| text.split_once(mark).map(|(_, rest)| rest);
    let (file, rest) = after("Direct firmware load for ")
        .or_else(|| after("firmware: failed to load "))?
        .split_once(' ')?;
    // -2 is ENOENT: any other error is not a missing file.
    rest.contains("-2").then(|| file.to_string())
}

/// The first word that looks like `0000:3b:00.0`.
fn address(text: &str) -> Option<String> {
    text.split([' ', ',', ']', '['])
        .map(|word| word.trim_end_matches(':'))
        .find(|word| is_address(word))
        .map(str::to_string)
}

fn is_address(word: &str) -> bool {
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let mut parts = word.split([':', '.']);
    let domain = parts.next().unwrap_or_default();
    (hex(domain, 4) || hex(domain, 5) || hex(domain, 8))
        && parts.next().is_some_and(|bus| hex(bus, 2))
        && parts.next().is_some_and(|device| hex(device, 2))
        && parts.next().is_some_and(|function| hex(function, 1))
        && parts.next().is_none()
}

/// `mce: [Hardware Error]: …` and `{1}[Hardware Error]: …` of the firmware's error source (APEI). The handler's own
/// greeting at boot has no such mark.
fn is_machine_check(text: &str) -> bool {
    text.contains("[Hardware Error]:")
}

/// Files whose device the log does not name, and machine checks, belong to the machine as a whole.
pub(super) fn judge(log: &LogFacts) -> Option<DeviceReport> {
    let mut findings = Vec::new();
    for missing in log.missing_firmware.iter().filter(|f| f.device.is_none()) {
        let next = match known::firmware_package(&missing.file) {
            Some(package) => format!("install Debian's package {package}, which brings the file"),
            None => format!("put {} below /lib/firmware", missing.file),
        };
        let kind = kind(
            "firmware-file-missing",
            Verdict::Ok,
            Sureness::Certain,
            Advice::Update,
        );
        let what = format!("a driver did not find the firmware file {}", missing.file);
        findings.push(kind.says(what, [missing.line.clone()], next));
    }
    if log.machine_check_count > 0 {
        let kind = kind(
            "machine-check",
            Verdict::Warn,
            Sureness::Likely,
            Advice::Look,
        );
        let what = "the processor or the firmware reported hardware errors since boot";
        let next = "look at the lines for bank and address and at the BMC's event log: memory errors name a DIMM there; others point at the processor or a card";
        findings.push(kind.says(what, log.machine_checks.iter().cloned(), next));
    }
    if findings.is_empty() {
        return None;
    }
    let mut report = DeviceReport::new("kernel log", DeviceKind::Machine, "kernel log", findings);
    let lines = (
        "machine_check_lines".to_string(),
        figure(log.machine_check_count),
    );
    report.figures.extend([lines]);
    Some(report)
}
