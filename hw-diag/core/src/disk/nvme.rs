// SPDX-License-Identifier: Apache-2.0
//! What an NVMe disk is read for.

use super::facts::NvmeFacts;
use super::measure::{Measure, Reading};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Critical warning bits from bit 0 on (NVM Express Base 2.0, figure 207).
const CRITICAL: [Measure; 6] = [
    Measure::SpareLow,
    Measure::TemperatureWarning,
    Measure::ReliabilityDegraded,
    Measure::ReadOnly,
    Measure::BackupFailed,
    Measure::PersistentMemory,
];

/// The raised bits of the critical warning.
pub(super) fn critical(nvme: &NvmeFacts) -> Vec<Reading> {
    let bits = nvme.critical_warning.unwrap_or(0);
    let text = format!("{bits:#04x}");
    let reading = |measure| {
        let line = format!("critical warning {text}");
        Reading::detailed(measure, 1, text.clone(), vec![line])
    };
    let mut out: Vec<Reading> = CRITICAL
        .iter()
        .enumerate()
        .filter(|(bit, _)| bits & (1 << bit) != 0)
        .map(|(_, measure)| reading(*measure))
        .collect();
    if bits >> CRITICAL.len() != 0 {
        out.push(reading(Measure::ReservedWarning));
    }
    out
}

/// The counters.
pub(super) fn readings(nvme: &NvmeFacts) -> Vec<Reading> {
    let mut out = Vec::new();
    if let (Some(spare), Some(threshold)) = (nvme.available_spare, nvme.available_spare_threshold) {
        let said = nvme.critical_warning.is_some_and(|bits| bits & 1 != 0);
        let line = format!("available spare {spare} %, threshold {threshold} %");
        if spare < threshold && !said {
            out.push(Reading::detailed(
                Measure::SpareBelowThreshold,
                u64::from(threshold.saturating_sub(spare)),
                format!("{spare} %, below the drive's threshold of {threshold} %"),
                vec![line],
            ));
        }
    }
    let mut push = |measure, value: Option<u64>, what: &str| {
        if let Some(value) = value {
            let line: String = format!("{what}: {value}");
            out.push(Reading::new(measure, value, vec![line]));
        }
    };
    let used = nvme.percentage_used.map(u64::from);
    push(Measure::WearPercent, used, "percentage used");
    let errors = nvme.media_errors;
    push(
        Measure::MediaErrors,
        errors,
        "media and data integrity errors",
    );
    let minutes = nvme.critical_temperature_minutes;
    push(
        Measure::CriticalHeatMinutes,
        minutes,
        "minutes above the critical temperature",
    );
    out
}

/// The temperature limit that the disk names.
pub(super) fn limit_c(nvme: &NvmeFacts) -> Option<i16> {
    nvme.warning_temperature_c
        .filter(|limit| *limit > 0)
        .or(nvme.critical_temperature_c)
}
