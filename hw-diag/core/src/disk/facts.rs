// SPDX-License-Identifier: Apache-2.0
//! What a disk says of itself, in the field's own terms. Facts only: nothing here is good or bad.

use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::Bytes;
use serde::{Deserialize, Serialize};

/// Which command set the disk's health data are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// ATA, also behind a SAS adapter or a RAID controller.
    Ata,
    /// NVMe.
    Nvme,
    /// SCSI and SAS.
    Scsi,
    /// Not known: virtio, a bare capture.
    Unknown,
}

/// Who the disk is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// Vendor (SCSI) or empty.
    pub vendor: String,
    /// Model family, where a capture names one.
    pub family: String,
    /// Model or product.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// Firmware revision.
    pub revision: String,
    /// World Wide Name or EUI-64.
    pub wwn: Option<String>,
    /// Size.
    pub size: Option<Bytes>,
    /// Logical sector size in bytes.
    pub logical_sector: Option<u32>,
    /// Rotations per minute; `Some(0)` is solid state.
    pub rotation_rpm: Option<u32>,
}

/// What the disk's own health assessment is (SMART RETURN STATUS, SCSI informational exceptions, NVMe).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assessment {
    /// It says that it is well.
    Passed,
    /// It says that it fails.
    Failed,
    /// It does not say, or the answer did not come through.
    #[default]
    NotSaid,
}

/// Everything that was read of one disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskFacts {
    /// The device or the capture's name.
    pub device: String,
    /// Where it sits; empty where that is not known.
    #[serde(default)]
    pub slot: String,
    /// How the facts were read: `ioctl`, `smartctl --json`, `smartctl -x text`, `none`.
    pub source: String,
    /// Which command set.
    pub protocol: Protocol,
    /// Who it is.
    #[serde(default)]
    pub identity: Identity,
    /// Its own assessment.
    #[serde(default)]
    pub assessment: Assessment,
    /// Temperature in degrees Celsius.
    #[serde(default)]
    pub temperature_c: Option<i16>,
    /// Power-on hours.
    #[serde(default)]
    pub power_on_hours: Option<u64>,
    /// ATA data.
    #[serde(default)]
    pub ata: Option<AtaFacts>,
    /// NVMe data.
    #[serde(default)]
    pub nvme: Option<NvmeFacts>,
    /// SCSI data.
    #[serde(default)]
    pub scsi: Option<ScsiFacts>,
    /// The self-test log; `None` where it was not read or the disk keeps none.
    #[serde(default)]
    pub self_tests: Option<SelfTestLog>,
    /// What could not be read, a line each with the reason.
    #[serde(default)]
    pub missed: Vec<String>,
    /// Why the disk did not answer, or not in time; whatever else was read before, its state is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer: Option<String>,
    /// Where a capture ends in the middle of what it announces, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
    /// Counters that decide and that are there without a number that can be read, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// What says that the disk fails where its own assessment says that it passes, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contradictions: Vec<String>,
}

/// Lines about counters that could not be read, for one disk.
const UNREADABLE_MAX: usize = 32;

impl DiskFacts {
    /// Nothing known yet but the device and how it was read.
    #[must_use]
    pub fn new(device: impl Into<String>, source: impl Into<String>, protocol: Protocol) -> Self {
        Self {
            device: device.into(),
            slot: String::new(),
            source: source.into(),
            protocol,
            identity: Identity::default(),
            assessment: Assessment::NotSaid,
            temperature_c: None,
            power_on_hours: None,
            ata: None,
            nvme: None,
            scsi: None,
            self_tests: None,
            missed: Vec::new(),
            no_answer: None,
            cut: None,
            unreadable: Vec::new(),
            contradictions: Vec::new(),
        }
    }

    /// A counter that decides and could not be read: it is no zero.
    pub(crate) fn could_not_read(&mut self, line: String) {
        if self.unreadable.len() < UNREADABLE_MAX && !self.unreadable.contains(&line) {
            self.unreadable.push(line);
        }
    }
}

/// What an ATA disk keeps (ACS-4; SFF-8035i for attributes).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AtaFacts {
    /// Whether SMART is there; `None` where nothing says.
    pub smart_available: Option<bool>,
    /// Whether SMART is switched on; `None` where nothing says.
    pub smart_enabled: Option<bool>,
    /// The attributes, in the table's order.
    pub attributes: Vec<Attribute>,
    /// Errors that the device counted in its error log, all of its life.
    pub error_count: Option<u64>,
    /// The newest entries of the error log.
    pub errors: Vec<LoggedError>,
    /// Device Statistics (log 04h).
    pub statistics: Vec<Statistic>,
    /// Entries of the Pending Defects log (0Ch).
    pub pending_defects: Option<u64>,
    /// Attributes whose raw value could not be read; the 0 that stands there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub raw_unread: Vec<u8>,
    /// What was wrong with the data blocks, for example a checksum.
    pub block_faults: Vec<String>,
}

/// One attribute with its threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its number.
    pub id: u8,
    /// Its name where a capture gives one: vendors use one number for different things.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether the vendor calls it a sign of failure (flag bit 0), not of age.
    pub prefail: bool,
    /// Normalised value; the lower the worse. `None` where the capture has none.
    pub current: Option<u8>,
    /// The lowest normalised value so far.
    pub worst: Option<u8>,
    /// The vendor's threshold; `None` where there is none.
    pub threshold: Option<u8>,
    /// Raw value, 48 bits (56 for a few).
    pub raw: u64,
    /// The raw value as the capture words it, for example `31 (Min/Max 20/45)`.
    #[serde(default)]
    pub raw_text: Option<String>,
    /// Whether it failed, as the capture says or the threshold shows ([`WhenFailed::by_threshold`]). Whoever reads the
    /// disk fills it in: the judgement looks here and not at the threshold, because `smartctl` knows of drives whose
    /// worst value means nothing.
    #[serde(default)]
    pub when_failed: WhenFailed,
}

/// Whether an attribute was at or below its threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFailed {
    /// Never.
    #[default]
    Never,
    /// It was once.
    Past,
    /// It is now.
    Now,
}

impl WhenFailed {
    /// What the threshold says of the values, as `smartctl` reads them. A threshold of 0 never fails, 254 is invalid and
    /// 255 is for tests (SFF-8035i). A value of 0 counts, though it is no normalised value by the letter: worn-out
    /// solid-state drives say so.
    #[must_use]
    pub fn by_threshold(current: Option<u8>, worst: Option<u8>, threshold: Option<u8>) -> Self {
        let Some(threshold) = threshold.filter(|limit| *limit != 0 && *limit < 254) else {
            return Self::Never;
        };
        let reached = |value: Option<u8>| value.is_some_and(|value| value <= threshold);
        if reached(current) {
            Self::Now
        } else if reached(worst) {
            Self::Past
        } else {
            Self::Never
        }
    }
}

/// One entry of an error log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedError {
    /// Its running number, where the log has one.
    pub number: Option<u64>,
    /// Power-on hours when it happened.
    pub hours: Option<u64>,
    /// What it was, for example `UNC at LBA 1234` or `status 0x4004`.
    pub what: String,
}

/// One of the Device Statistics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistic {
    /// Page.
    pub page: u8,
    /// Byte offset in the page.
    pub offset: u16,
    /// Its name in the standard.
    pub name: String,
    /// Its value.
    pub value: i64,
    /// Whether the value is normalised (a percentage that grows).
    pub normalised: bool,
}

/// What an NVMe disk keeps (NVM Express Base 2.0, SMART / Health Information). Saturated where a counter has 128 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NvmeFacts {
    /// Critical warning bits.
    pub critical_warning: Option<u8>,
    /// Available spare in percent.
    pub available_spare: Option<u8>,
    /// Its threshold in percent.
    pub available_spare_threshold: Option<u8>,
    /// Percentage used of the rated endurance; up to 255.
    pub percentage_used: Option<u8>,
    /// Media and data integrity errors.
    pub media_errors: Option<u64>,
    /// Error log entries over the life.
    pub error_log_entries: Option<u64>,
    /// Unsafe shutdowns.
    pub unsafe_shutdowns: Option<u64>,
    /// Power cycles.
    pub power_cycles: Option<u64>,
    /// Data units read (of 512,000 bytes).
    pub data_units_read: Option<u64>,
    /// Data units written (of 512,000 bytes).
    pub data_units_written: Option<u64>,
    /// Minutes above the warning temperature.
    pub warning_temperature_minutes: Option<u64>,
    /// Minutes above the critical temperature.
    pub critical_temperature_minutes: Option<u64>,
    /// Warning composite temperature threshold in degrees Celsius.
    pub warning_temperature_c: Option<i16>,
    /// Critical composite temperature threshold in degrees Celsius.
    pub critical_temperature_c: Option<i16>,
    /// The newest entries of the error log.
    pub errors: Vec<LoggedError>,
}

/// What a SCSI disk keeps (SPC-5, SBC-4 log pages).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScsiFacts {
    /// Additional sense code and qualifier of the Informational Exceptions page (2Fh).
    pub exception: Option<(u8, u8)>,
    /// The health line as a capture words it, for example `FAILURE PREDICTION THRESHOLD EXCEEDED`.
    pub exception_text: Option<String>,
    /// Elements in the grown defect list.
    pub grown_defects: Option<u64>,
    /// Read error counters (page 03h).
    pub read: Option<ErrorCounters>,
    /// Write error counters (page 02h).
    pub write: Option<ErrorCounters>,
    /// Verify error counters (page 05h).
    pub verify: Option<ErrorCounters>,
    /// Pending defects (page 15h, subpage 01h).
    pub pending_defects: Option<u64>,
    /// Non-medium errors (page 06h).
    pub non_medium_errors: Option<u64>,
    /// Percentage of the rated endurance used (page 11h).
    pub endurance_used_percent: Option<u8>,
    /// Background scan (page 15h).
    pub background_scan: Option<BackgroundScan>,
    /// The disk's reference (trip) temperature in degrees Celsius.
    pub trip_temperature_c: Option<i16>,
    /// Whether failure prediction is switched off on the disk.
    pub exceptions_disabled: Option<bool>,
}

/// Error counters of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorCounters {
    /// Corrected, all ways together.
    pub corrected: Option<u64>,
    /// Uncorrected.
    pub uncorrected: Option<u64>,
    /// Corrected by rereads or rewrites (with delay).
    pub retried: Option<u64>,
    /// Bytes processed.
    pub bytes: Option<u64>,
}

/// Background scan results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BackgroundScan {
    /// Status in words, for example `background scan disabled`, `scan active`, `halted due to fatal error`.
    pub status: String,
    /// Entries with a medium error.
    pub medium_errors: Option<u64>,
    /// Entries whose reassignment failed or is still wanted.
    pub not_reassigned: Option<u64>,
}

/// A self-test's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelfTestKind {
    /// Minutes.
    Short,
    /// Hours: the whole medium.
    Extended,
    /// After transport.
    Conveyance,
    /// A range of blocks.
    Selective,
    /// Immediate off-line collection or a vendor's own.
    Other,
}

/// How a self-test ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelfTestResult {
    /// Without error.
    Passed,
    /// It runs.
    Running {
        /// Percent that remain.
        remaining: u8,
    },
    /// The host or a reset ended it.
    Aborted,
    /// It failed, with what failed in words: `read failure`, `electrical failure`.
    Failed(String),
    /// The code is not known.
    Unknown(String),
}

/// One entry of the self-test log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// Which.
    pub kind: SelfTestKind,
    /// How it ended.
    pub result: SelfTestResult,
    /// Power-on hours when it ran.
    pub hours: Option<u64>,
    /// The first block that failed.
    pub lba: Option<u64>,
}

/// The self-test log, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SelfTestLog {
    /// The entries, newest first.
    pub entries: Vec<SelfTest>,
    /// Percent that remain of the one that runs.
    pub running: Option<u8>,
    /// How the last test ended as the SMART data say it (self-test execution status, byte 363), also where the log is
    /// missing.
    pub last_status: Option<SelfTestResult>,
    /// Expected minutes of a short test, where the disk says.
    pub short_minutes: Option<u32>,
    /// Expected minutes of an extended test, where the disk says.
    pub extended_minutes: Option<u32>,
}
