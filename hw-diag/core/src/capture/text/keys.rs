// SPDX-License-Identifier: Apache-2.0
//! Lines of the form `Name: value`, and the few sentences that say something.

use super::Reader;
use super::lines::{any_base, bracketed, degrees, number, small};
use crate::capture::words::{ata_status, decisive, safe};
use crate::disk::DiskFacts;
use crate::disk::facts::{Assessment, SelfTestResult};
use alloc::format;
use alloc::string::String;
use groundstate_api::Bytes;

/// The self-test routine whose time stands on the next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Routine {
    /// Minutes.
    Short,
    /// Hours.
    Extended,
    /// Another one.
    Other,
}

impl Reader {
    /// A line that is in no table.
    pub(super) fn field(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() || self.sentence(line) {
            return;
        }
        let Some((key, value)) = line.split_once(':') else {
            return;
        };
        let (key, value) = (key.trim(), value.trim());
        let taken = self.who(key, value)
            || self.says(key, value)
            || self.ata_field(key, value)
            || self.nvme_field(key, value)
            || self.scsi_field(key, value);
        self.known |= taken;
    }

    fn sentence(&mut self, line: &str) -> bool {
        if let Some(rest) = line.strip_prefix("smartctl ") {
            let version = rest.starts_with(|c: char| c.is_ascii_digit());
            self.known |= version || rest.starts_with("version");
            if !version {
                self.command(line);
            }
            return true;
        }
        if line.contains("smartctl ") && line.contains("/dev/") {
            self.command(line);
            return true;
        }
        if line.starts_with("Device supports SMART and is") {
            self.is_scsi = true;
            self.scsi.exceptions_disabled = Some(!line.contains("Enabled"));
            return true;
        }
        self.routine = if line.starts_with("Short self-test routine") {
            Some(Routine::Short)
        } else if line.starts_with("Extended self-test routine") {
            Some(Routine::Extended)
        } else if line.ends_with("self-test routine") {
            Some(Routine::Other)
        } else {
            self.routine
        };
        let trouble = line.starts_with("Smartctl open device")
            || line.starts_with("Warning! ")
            || line.contains(" failed: ")
            || line.ends_with(" failed")
            || line.contains("mode, exit(");
        if trouble {
            self.missed(line);
        }
        trouble
    }

    /// The command line that stands above many captures says where the disk sits.
    fn command(&mut self, line: &str) {
        if !self.facts.slot.is_empty() {
            return;
        }
        let words = line.split_whitespace();
        let of = |prefix: &'static str| words.clone().find(|word| word.starts_with(prefix));
        let mut slot = of("/dev/").map(String::from).unwrap_or_default();
        let behind = [
            "megaraid,",
            "cciss,",
            "areca,",
            "3ware,",
            "aacraid,",
            "sssraid,",
        ];
        let behind = words.clone().find(|word| {
            let word = word.trim_start_matches("sat+").trim_start_matches("-d");
            behind.iter().any(|kind| word.starts_with(kind))
        });
        if let Some(behind) = behind {
            slot.push(' ');
            slot.push_str(behind);
        }
        self.facts.slot = safe(&slot);
    }

    /// Who the disk is.
    fn who(&mut self, key: &str, value: &str) -> bool {
        let who = &mut self.facts.identity;
        match key {
            "Model Family" => who.family = safe(value),
            "Device Model" => (who.model, self.is_ata) = (safe(value), true),
            "Model Number" => (who.model, self.is_nvme) = (safe(value), true),
            "Vendor" => (who.vendor, self.is_scsi) = (safe(value), true),
            "Product" => (who.model, self.is_scsi) = (safe(value), true),
            // 5.x of a SCSI disk: `Device: SEAGATE  ST373453LC  Version: DX10`.
            "Device" => match value.split_once("Version:") {
                Some((model, version)) => {
                    (who.model, who.revision) = (safe(model), safe(version));
                    self.is_scsi = true;
                }
                None => return false,
            },
            "Serial Number" | "Serial number" => {
                // Published captures have dashes where the number was.
                who.serial = Some(safe(value)).filter(|s| s != "--").unwrap_or_default();
            }
            "Firmware Version" | "Revision" => who.revision = safe(value),
            "LU WWN Device Id" | "Logical Unit id" => {
                who.wwn = digits(value).map(|digits| format!("0x{digits}"));
            }
            "Namespace 1 IEEE EUI-64" => {
                who.wwn = digits(value).map(|digits| format!("eui.{digits}"));
            }
            "User Capacity"
            | "Total NVM Capacity"
            | "Namespace 1 Size/Capacity"
            | "Namespace 1 Size" => {
                let size = number(value).filter(|bytes| *bytes > 0).map(Bytes);
                who.size = who.size.or(size);
            }
            "Sector Size"
            | "Sector Sizes"
            | "Logical block size"
            | "Namespace 1 Formatted LBA Size" => who.logical_sector = small(value),
            "Rotation Rate" if value.starts_with("Solid State") => who.rotation_rpm = Some(0),
            "Rotation Rate" => who.rotation_rpm = small(value),
            "ATA Version is" | "SATA Version is" => self.is_ata = true,
            "Transport protocol" => self.is_scsi = true,
            "NVMe Version" | "PCI Vendor/Subsystem ID" => self.is_nvme = true,
            _ => return false,
        }
        true
    }

    /// What the disk says of itself.
    fn says(&mut self, key: &str, value: &str) -> bool {
        match key {
            "SMART overall-health self-assessment test result" => {
                self.health += 1;
                self.facts.assessment = if value.starts_with("PASSED") {
                    Assessment::Passed
                } else if value.starts_with("FAILED") {
                    Assessment::Failed
                } else {
                    Assessment::NotSaid
                };
            }
            "SMART Health Status" => {
                self.health += 1;
                self.is_scsi = true;
                self.facts.assessment = match value {
                    "" => Assessment::NotSaid,
                    "OK" => Assessment::Passed,
                    _ => Assessment::Failed,
                };
                if self.facts.assessment == Assessment::Failed {
                    self.scsi.exception = exception(value);
                    let text = value.split('[').next().unwrap_or(value);
                    self.scsi.exception_text = Some(safe(text));
                }
            }
            "SMART support is" => match value.split([' ', '.']).next() {
                Some("Available") => self.ata.smart_available = Some(true),
                Some("Unavailable") => self.ata.smart_available = Some(false),
                Some("Enabled") => {
                    self.ata.smart_enabled = Some(true);
                    self.scsi.exceptions_disabled = Some(false);
                }
                Some("Disabled") => {
                    self.ata.smart_enabled = Some(false);
                    self.scsi.exceptions_disabled = Some(true);
                }
                _ => {}
            },
            "Self-test execution status" => {
                let status = bracketed(value).and_then(|byte| u8::try_from(byte).ok());
                let status = status.map(ata_status);
                if let Some(SelfTestResult::Running { remaining }) = status {
                    self.log.running = Some(remaining);
                }
                self.log.last_status = status;
            }
            "recommended polling time" => {
                let minutes = bracketed(value).and_then(|minutes| u32::try_from(minutes).ok());
                match self.routine.take() {
                    Some(Routine::Short) => self.log.short_minutes = minutes,
                    Some(Routine::Extended) => self.log.extended_minutes = minutes,
                    Some(Routine::Other) | None => {}
                }
            }
            "Long (extended) Self Test duration" | "Long (extended) Self-test duration" => {
                let seconds: Option<u32> = small(value);
                self.log.extended_minutes = seconds.map(|seconds| seconds.div_ceil(60));
            }
            _ => return false,
        }
        true
    }

    fn ata_field(&mut self, key: &str, value: &str) -> bool {
        match key {
            "Current Temperature" => self.facts.temperature_c = degrees(value),
            "ATA Error Count" | "Device Error Count" => self.ata.error_count = number(value),
            _ => return false,
        }
        true
    }

    fn nvme_field(&mut self, key: &str, value: &str) -> bool {
        let log = &mut self.nvme;
        match key {
            "Critical Warning" => {
                log.critical_warning = any_base(value);
                self.has_nvme_log = true;
            }
            "Temperature" => self.facts.temperature_c = degrees(value),
            "Available Spare" => log.available_spare = small(value),
            "Available Spare Threshold" => log.available_spare_threshold = small(value),
            "Percentage Used" => {
                log.percentage_used = decisive_byte(&mut self.facts, key, value);
                self.said_used = true;
            }
            "Data Units Read" => log.data_units_read = number(value),
            "Data Units Written" => log.data_units_written = number(value),
            "Power Cycles" => log.power_cycles = number(value),
            "Power On Hours" => self.facts.power_on_hours = number(value),
            "Unsafe Shutdowns" => log.unsafe_shutdowns = number(value),
            "Media and Data Integrity Errors" => {
                log.media_errors = decisive_count(&mut self.facts, key, value);
                self.said_media = true;
            }
            "Error Information Log Entries" => log.error_log_entries = number(value),
            "Warning  Comp. Temperature Time" => log.warning_temperature_minutes = number(value),
            "Critical Comp. Temperature Time" => log.critical_temperature_minutes = number(value),
            "Warning  Comp. Temp. Threshold" => log.warning_temperature_c = degrees(value),
            "Critical Comp. Temp. Threshold" => log.critical_temperature_c = degrees(value),
            _ => return false,
        }
        self.is_nvme = true;
        true
    }

    fn scsi_field(&mut self, key: &str, value: &str) -> bool {
        let log = &mut self.scsi;
        match key {
            "Current Drive Temperature" => {
                // A RAID volume says 0 for want of a sensor.
                self.facts.temperature_c = degrees(value).filter(|celsius| *celsius != 0);
            }
            "Drive Trip Temperature" => log.trip_temperature_c = degrees(value),
            "Elements in grown defect list" => log.grown_defects = number(value),
            "Non-medium error count" => log.non_medium_errors = number(value),
            "Pending defect count" => {
                let count = value.split(' ').next().unwrap_or_default();
                log.pending_defects = decisive_count(&mut self.facts, key, count);
            }
            "Percentage used endurance indicator" => {
                log.endurance_used_percent = decisive_byte(&mut self.facts, key, value);
            }
            "Accumulated power on time, hours" => {
                // `Accumulated power on time, hours:minutes 55120:47 [...]`
                let hours = value.strip_prefix("minutes").and_then(number);
                self.facts.power_on_hours = self.facts.power_on_hours.or(hours);
            }
            _ => return false,
        }
        self.is_scsi = true;
        true
    }
}

/// A counter that decides; one that is no number is told.
fn decisive_count(facts: &mut DiskFacts, key: &str, value: &str) -> Option<u64> {
    let count = decisive(value);
    if count.is_none() {
        facts.could_not_read(format!("{key} holds no count"));
    }
    count
}

/// A counter that decides and fits one byte.
fn decisive_byte(facts: &mut DiskFacts, key: &str, value: &str) -> Option<u8> {
    let count = decisive_count(facts, key, value)?;
    let byte = u8::try_from(count).ok();
    if byte.is_none() {
        facts.could_not_read(format!("{key} is beyond 255"));
    }
    byte
}

/// `FAILURE PREDICTION THRESHOLD EXCEEDED [asc=5d, ascq=10]`.
fn exception(text: &str) -> Option<(u8, u8)> {
    let hex = |name: &str| {
        let (_, after) = text.split_once(name)?;
        let end = after
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(after.len());
        u8::from_str_radix(after.get(..end)?, 16).ok()
    };
    Some((hex("[asc=")?, hex(", ascq=")?))
}

/// The digits of a World Wide Name, which smartctl prints in groups: `5 000c50 0a1b2c3d4`.
fn digits(value: &str) -> Option<String> {
    let joined: String = value.split_whitespace().collect();
    let digits = joined.strip_prefix("0x").unwrap_or(&joined).to_lowercase();
    let is_name = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit());
    is_name.then_some(digits)
}
