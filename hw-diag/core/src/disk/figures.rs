// SPDX-License-Identifier: Apache-2.0
//! The figures of a disk that are worth following over time, by stable name with the unit at its end.
//!
//! A figure that was not read is absent, never 0: a trend from nothing to something would be a lie.

use super::ata::{ENDURANCE_USED, REALLOCATION_CANDIDATES, REPORTED_UNCORRECTABLE, statistic};
use super::facts::{AtaFacts, DiskFacts};
use super::meanings::{COUNT_MAX, Meaning, count};
use super::measure::{Measure, Media};
use super::scsi::uncorrected_sum;
use alloc::collections::BTreeMap;
use alloc::string::String;

/// Bytes in an NVMe data unit: a thousand blocks of 512 bytes.
const DATA_UNIT_BYTES: u64 = 512_000;

/// Every figure that was read.
#[must_use]
pub fn of(facts: &DiskFacts) -> BTreeMap<String, i64> {
    let mut out = BTreeMap::new();
    let mut put = |name: &str, value: Option<u64>| {
        if let Some(value) = value.and_then(|value| i64::try_from(value).ok()) {
            out.insert(name.into(), value);
        }
    };
    put("power_on_hours", facts.power_on_hours);
    if let Some(ata) = &facts.ata {
        for (name, value) in ata_figures(facts, ata) {
            put(name, value);
        }
    }
    if let Some(nvme) = &facts.nvme {
        put("wear_percent", nvme.percentage_used.map(u64::from));
        let spare = nvme.available_spare.map(u64::from);
        put("available_spare_percent", spare);
        put("media_errors", nvme.media_errors);
        put("error_log_entries", nvme.error_log_entries);
        put("unsafe_shutdowns", nvme.unsafe_shutdowns);
        put("power_cycles", nvme.power_cycles);
        let bytes = |units: Option<u64>| units.map(|n| n.saturating_mul(DATA_UNIT_BYTES));
        put("read_bytes", bytes(nvme.data_units_read));
        put("written_bytes", bytes(nvme.data_units_written));
        put(
            "critical_temperature_minutes",
            nvme.critical_temperature_minutes,
        );
    }
    if let Some(scsi) = &facts.scsi {
        put("grown_defects", scsi.grown_defects);
        put("pending_sectors", scsi.pending_defects);
        put("uncorrected_errors", uncorrected_sum(scsi));
        put("non_medium_errors", scsi.non_medium_errors);
        put("wear_percent", scsi.endurance_used_percent.map(u64::from));
        let scan = scsi.background_scan.as_ref();
        let errors = scan.and_then(|scan| scan.medium_errors);
        put("background_scan_medium_errors", errors);
    }
    if let Some(celsius) = facts.temperature_c {
        out.insert("temperature_celsius".into(), i64::from(celsius));
    }
    out
}

fn ata_figures<'a>(
    facts: &'a DiskFacts,
    ata: &'a AtaFacts,
) -> impl Iterator<Item = (&'static str, Option<u64>)> + 'a {
    let measured = |wanted: Measure| {
        ata.attributes.iter().find_map(|attribute| {
            let meaning = Meaning::of(attribute, Media::of(facts), &facts.identity.model)?;
            let worn = meaning.measure == Measure::WearPercent;
            if meaning.raw_contradicts(attribute) || !worn && ata.raw_unread.contains(&attribute.id)
            {
                return None;
            }
            let value = (meaning.measure == wanted).then(|| meaning.value(attribute))?;
            value.filter(|value| *value < COUNT_MAX)
        })
    };
    let counted = |id: u8| {
        let found = ata.attributes.iter().find(|one| one.id == id);
        found.map(count).filter(|value| *value < COUNT_MAX)
    };
    let stated = |at| statistic(ata, at).and_then(|one| u64::try_from(one.value).ok());
    [
        (
            "reallocated_sectors",
            measured(Measure::Reallocated).or_else(|| measured(Measure::RetiredBlocks)),
        ),
        (
            "pending_sectors",
            measured(Measure::Pending)
                .or_else(|| stated(REALLOCATION_CANDIDATES))
                .or(ata.pending_defects),
        ),
        ("offline_uncorrectable_sectors", measured(Measure::Offline)),
        (
            "reported_uncorrectable_errors",
            measured(Measure::Uncorrectable).or_else(|| stated(REPORTED_UNCORRECTABLE)),
        ),
        ("crc_errors", measured(Measure::Crc)),
        ("spin_retries", measured(Measure::SpinRetries)),
        ("end_to_end_errors", measured(Measure::EndToEnd)),
        ("command_timeouts", measured(Measure::CommandTimeouts)),
        (
            "wear_percent",
            stated(ENDURANCE_USED).or_else(|| measured(Measure::WearPercent)),
        ),
        ("power_cycles", counted(12)),
        ("device_errors", ata.error_count),
    ]
    .into_iter()
}
