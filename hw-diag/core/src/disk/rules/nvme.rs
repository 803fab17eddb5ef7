// SPDX-License-Identifier: Apache-2.0
//! Rules for NVMe disks (NVM Express Base 2.0, SMART / Health Information).

use super::{BASE, Rule};
use crate::disk::measure::Measure;
use groundstate_api::health::{Advice, Sureness, Verdict};

/// A critical warning is the drive's own word that it fails, whichever bit it is.
const CRITICAL: Rule = Rule {
    verdict: Verdict::Fail,
    advice: Advice::Replace,
    next_step: "Copy what is needed off it and replace it",
    why: "A raised critical warning bit is the drive's own word, and smartctl calls the drive FAILED for it.",
    ..BASE
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "nvme-spare-low",
        measure: Measure::SpareLow,
        what: "Critical warning {detail}: the available spare is below its threshold",
        ..CRITICAL
    },
    Rule {
        code: "nvme-temperature-warning",
        measure: Measure::TemperatureWarning,
        advice: Advice::Look,
        what: "Critical warning {detail}: the temperature is over or under a threshold",
        next_step: "Look at fans, heat sink and the room, and look again when it is cooled; replace it only if the warning stays",
        why: "The drive calls itself failed while it is outside its limits; the cause is mostly not in the drive.",
        ..CRITICAL
    },
    Rule {
        code: "nvme-reliability-degraded",
        measure: Measure::ReliabilityDegraded,
        what: "Critical warning {detail}: the drive's reliability is degraded",
        ..CRITICAL
    },
    Rule {
        code: "nvme-read-only",
        measure: Measure::ReadOnly,
        what: "Critical warning {detail}: the medium is in read-only mode",
        ..CRITICAL
    },
    Rule {
        code: "nvme-backup-failed",
        measure: Measure::BackupFailed,
        what: "Critical warning {detail}: the backup of the volatile memory has failed",
        next_step: "Replace it: what is in its cache is lost with the power",
        ..CRITICAL
    },
    Rule {
        code: "nvme-persistent-memory",
        measure: Measure::PersistentMemory,
        what: "Critical warning {detail}: the persistent memory region is read-only or unreliable",
        ..CRITICAL
    },
    Rule {
        code: "nvme-reserved-warning",
        measure: Measure::ReservedWarning,
        sureness: Sureness::Likely,
        what: "Critical warning {detail}: bits are set that no specification names",
        ..CRITICAL
    },
    Rule {
        code: "nvme-spare-below-threshold",
        measure: Measure::SpareBelowThreshold,
        sureness: Sureness::Likely,
        advice: Advice::Replace,
        what: "The available spare is {detail}, yet the drive raises no warning",
        next_step: "Update the firmware, and plan to replace it",
        why: "The drive contradicts itself, so neither word is taken whole.",
        ..BASE
    },
    Rule {
        code: "nvme-media-errors",
        measure: Measure::MediaErrors,
        sureness: Sureness::Certain,
        advice: Advice::Watch,
        what: "{n:media and data integrity error}: data could not be given back as written",
        next_step: "Scrub what is on it; replace it if the number grows",
        why: "Data were lost once. One or two in years stay one or two on most drives.",
        ..BASE
    },
    Rule {
        code: "nvme-critical-heat",
        measure: Measure::CriticalHeatMinutes,
        verdict: Verdict::Ok,
        advice: Advice::Look,
        what: "{n:minute} above the critical temperature over its life",
        next_step: "Look at the cooling if the number grows",
        why: "It counts for life; a fan changed years ago is still in it.",
        ..BASE
    },
];
