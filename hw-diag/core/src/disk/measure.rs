// SPDX-License-Identifier: Apache-2.0
//! What a rule can be about: one thing read of a disk, as a count, with the lines that show it.
//!
//! A measure means the same on every disk; that a vendor keeps it under another number or unit is settled before it gets
//! here (`meanings`). Nothing in this file is good or bad.

use super::facts::{DiskFacts, Protocol};
use alloc::string::String;
use alloc::vec::Vec;

/// What was measured. The unit is a plain count where none is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The disk's own assessment is that it fails.
    SaysFailed,
    /// The disk did not answer, or not to the end: whatever was read, the rest is not known.
    NoAnswer,
    /// No health data came through at all.
    NothingRead,
    /// Only the disk's own assessment came through, no counter that could bear it out.
    OnlyOwnWord,
    /// Counters came through, but not the disk's own assessment.
    NoOwnWord,
    /// A capture that ends in the middle.
    Cut,
    /// Counters that decide, and hold nothing that can be read as a number.
    Unreadable,
    /// Something says that the disk fails where its own assessment says that it passes.
    Contradicted,
    /// Lines about what could not be read.
    PartlyRead,
    /// The newest self-tests that failed to read a block, with no whole test passed since.
    SelfTestRead,
    /// The newest self-tests in which a part of the drive failed, with no whole test passed since.
    SelfTestPart,
    /// Failed self-tests of a kind that only the vendor knows.
    SelfTestVendor,
    /// Failed self-tests before a whole one passed.
    SelfTestBefore,
    /// Temperature now, in degrees Celsius, of a disk that names no limit.
    Celsius,
    /// Temperature now, in degrees Celsius, at or above the limit that the disk itself names.
    CelsiusAtLimit,
    /// Endurance used, in percent of what the drive is rated for.
    WearPercent,
    /// A normalised value that says worn out beside a raw value that says otherwise.
    WearUnclear,
    /// Attributes at or below their threshold that the vendor calls a sign of failure.
    PrefailNow,
    /// Attributes at or below their threshold that the vendor calls a sign of age.
    OldAgeNow,
    /// Attributes that were at or below their threshold once.
    FailedBefore,
    /// Sectors that wait for reallocation.
    Pending,
    /// Sectors that the offline scan could not read.
    Offline,
    /// Uncorrectable errors that were reported to the host.
    Uncorrectable,
    /// Counters of unreadable sectors that hold a number no drive can reach.
    ImpossibleCount,
    /// Sectors that were replaced from the spares.
    Reallocated,
    /// Flash blocks that were retired.
    RetiredBlocks,
    /// How much of the way from new to the vendor's threshold of reallocation is used, in percent.
    SparesUsedPercent,
    /// Spin-ups that needed another try.
    SpinRetries,
    /// Errors on the way between the drive's buffer and the host.
    EndToEnd,
    /// Commands that ran out of time.
    CommandTimeouts,
    /// Interface CRC errors.
    Crc,
    /// Uncorrectable errors that only the Device Statistics count.
    UncorrectableStatistic,
    /// Entries in the drive's error log.
    DeviceErrors,
    /// SMART is there and switched off.
    SmartDisabled,
    /// The drive has no SMART.
    SmartAbsent,
    /// Data blocks with a wrong checksum or the like.
    DamagedData,
    /// Critical warning bit 0.
    SpareLow,
    /// Critical warning bit 1.
    TemperatureWarning,
    /// Critical warning bit 2.
    ReliabilityDegraded,
    /// Critical warning bit 3.
    ReadOnly,
    /// Critical warning bit 4.
    BackupFailed,
    /// Critical warning bit 5.
    PersistentMemory,
    /// Critical warning bits that no specification names.
    ReservedWarning,
    /// Available spare is below its threshold, and the critical warning does not say so.
    SpareBelowThreshold,
    /// Media and data integrity errors.
    MediaErrors,
    /// Minutes above the critical temperature.
    CriticalHeatMinutes,
    /// The drive predicts its failure (additional sense code 5Dh).
    PredictsFailure,
    /// The drive warns (additional sense code 0Bh).
    ScsiWarning,
    /// Another informational exception.
    ScsiException,
    /// Uncorrected errors of reading, writing or verifying.
    Uncorrected,
    /// Defects that a SAS drive holds as pending.
    PendingDefects,
    /// Elements in the grown defect list.
    GrownDefects,
    /// Blocks found by the background scan whose reassignment failed or is wanted.
    NotReassigned,
    /// Medium errors that the background scan found.
    ScanMediumErrors,
    /// The background scan stopped with a fatal error.
    ScanStopped,
    /// Errors that are not of the medium.
    NonMedium,
    /// An NVMe drive behind a translation that says only that all is well.
    TranslatedNvme,
    /// Failure prediction is switched off.
    PredictionOff,
}

/// One measure of one disk.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// What.
    pub(super) measure: Measure,
    /// How much.
    pub(super) value: u64,
    /// What `{detail}` in a rule's sentence becomes; empty where its rules have none.
    pub(super) detail: String,
    /// The lines that show it.
    pub(super) evidence: Vec<String>,
}

impl Reading {
    pub(super) fn new(measure: Measure, value: u64, evidence: Vec<String>) -> Self {
        Self {
            measure,
            value,
            detail: String::new(),
            evidence,
        }
    }

    pub(super) fn detailed(
        measure: Measure,
        value: u64,
        detail: String,
        evidence: Vec<String>,
    ) -> Self {
        Self {
            measure,
            value,
            detail,
            evidence,
        }
    }
}

/// What the data are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Platters, and disks that do not say: what is bad on a platter is then not taken lightly.
    Rotating,
    /// Flash.
    Solid,
}

impl Media {
    /// Of this disk.
    #[must_use]
    pub fn of(facts: &DiskFacts) -> Self {
        let flash = facts.protocol == Protocol::Nvme || facts.identity.rotation_rpm == Some(0);
        if flash { Self::Solid } else { Self::Rotating }
    }
}
