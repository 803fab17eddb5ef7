// SPDX-License-Identifier: Apache-2.0
//! What an ATA disk is read for.

use super::facts::{AtaFacts, Attribute, DiskFacts, Statistic, WhenFailed};
use super::meanings::{COUNT_MAX, Meaning};
use super::measure::{Measure, Media, Reading};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// Device Statistics by page and offset (ACS-4, 9.5).
pub(super) const REALLOCATION_CANDIDATES: (u8, u16) = (3, 0x38);
/// Number of Reported Uncorrectable Errors.
pub(super) const REPORTED_UNCORRECTABLE: (u8, u16) = (4, 0x08);
/// Specified Maximum Operating Temperature.
const MAXIMUM_TEMPERATURE: (u8, u16) = (5, 0x58);
/// Percentage Used Endurance Indicator.
pub(super) const ENDURANCE_USED: (u8, u16) = (7, 0x08);

pub(super) fn statistic(ata: &AtaFacts, at: (u8, u16)) -> Option<&Statistic> {
    ata.statistics
        .iter()
        .find(|one| (one.page, one.offset) == at)
}

/// Everything that an ATA disk's rules are about.
pub(super) fn readings(facts: &DiskFacts, ata: &AtaFacts) -> Vec<Reading> {
    let mut out = switches(ata);
    out.extend(thresholds(ata));
    let media = Media::of(facts);
    let standard_wear = statistic(ata, ENDURANCE_USED).is_some();
    for attribute in &ata.attributes {
        let meaning = Meaning::of(attribute, media, &facts.identity.model);
        // The standard's own endurance indicator is better than a vendor's normalised value.
        let wear = |meaning: &&Meaning| meaning.measure == Measure::WearPercent;
        let meaning = meaning.filter(|meaning| !wear(meaning) || !standard_wear);
        let unread = ata.raw_unread.contains(&attribute.id);
        if let Some(meaning) = meaning.filter(|meaning| !unread || wear(meaning)) {
            out.extend(by_meaning(attribute, meaning));
        }
        out.extend(spares_used(attribute, media));
    }
    out.extend(statistics(ata));
    if let Some(count) = ata.error_count {
        let lines = ata.errors.iter().take(ERRORS_SHOWN);
        let lines = lines
            .map(|error| {
                let hours = error.hours.map(|hours| format!(" at {hours} h"));
                format!("error{}: {}", hours.unwrap_or_default(), error.what)
            })
            .collect();
        out.push(Reading::new(Measure::DeviceErrors, count, lines));
    }
    out
}

/// Lines of the error log that a finding shows.
const ERRORS_SHOWN: usize = 3;

/// The temperature limit that the disk names: the highest at its case.
pub(super) fn limit_c(ata: &AtaFacts) -> Option<i16> {
    let limit = statistic(ata, MAXIMUM_TEMPERATURE)?.value;
    i16::try_from(limit).ok()
}

fn switches(ata: &AtaFacts) -> Vec<Reading> {
    let mut out = Vec::new();
    if ata.smart_available == Some(false) {
        let line = "SMART support: unavailable".into();
        out.push(Reading::new(Measure::SmartAbsent, 1, vec![line]));
    } else if ata.smart_enabled == Some(false) {
        let line = "SMART support: disabled".into();
        out.push(Reading::new(Measure::SmartDisabled, 1, vec![line]));
    }
    if let Some(first) = ata.block_faults.first() {
        let count = u64::try_from(ata.block_faults.len()).unwrap_or(u64::MAX);
        out.push(Reading::detailed(
            Measure::DamagedData,
            count,
            first.clone(),
            ata.block_faults.clone(),
        ));
    }
    out
}

fn thresholds(ata: &AtaFacts) -> Vec<Reading> {
    let of = |measure, wanted: &dyn Fn(&&Attribute) -> bool| {
        let found: Vec<&Attribute> = ata.attributes.iter().filter(wanted).collect();
        let names: Vec<String> = found.iter().map(|one| name(one)).collect();
        let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
        let lines = found.iter().map(|one| line(one)).collect();
        Reading::detailed(measure, count, names.join(", "), lines)
    };
    let now = |one: &&Attribute| one.when_failed == WhenFailed::Now;
    vec![
        of(Measure::PrefailNow, &|one| now(one) && one.prefail),
        of(Measure::OldAgeNow, &|one| now(one) && !one.prefail),
        of(Measure::FailedBefore, &|one| {
            one.when_failed == WhenFailed::Past
        }),
    ]
}

fn by_meaning(attribute: &Attribute, meaning: &Meaning) -> Option<Reading> {
    if meaning.raw_contradicts(attribute) {
        let lines = vec![line(attribute)];
        let detail = name(attribute);
        return Some(Reading::detailed(Measure::WearUnclear, 1, detail, lines));
    }
    let value = meaning.value(attribute)?;
    let unreadable = matches!(
        meaning.measure,
        Measure::Pending | Measure::Offline | Measure::Uncorrectable
    );
    let lines = vec![line(attribute)];
    if unreadable && value >= COUNT_MAX {
        let detail = format!("{} is {value}", name(attribute));
        return Some(Reading::detailed(
            Measure::ImpossibleCount,
            1,
            detail,
            lines,
        ));
    }
    Some(Reading::new(meaning.measure, value, lines))
}

/// How far the normalised value of attribute 5 has come from new (100, 200 or 253) to its threshold.
fn spares_used(attribute: &Attribute, media: Media) -> Option<Reading> {
    if attribute.id != 5 || media != Media::Rotating || !attribute.prefail {
        return None;
    }
    let current = attribute
        .current
        .filter(|value| (1..=253).contains(value))?;
    let threshold = attribute
        .threshold
        .filter(|limit| (1..200).contains(limit))?;
    let new: u64 = if current > 100 || threshold > 100 {
        200
    } else {
        100
    };
    let (used, way) = (
        new.saturating_sub(u64::from(current)),
        new.saturating_sub(u64::from(threshold)),
    );
    let percent = (used * 100).checked_div(way)?.min(100);
    Some(Reading::new(
        Measure::SparesUsedPercent,
        percent,
        vec![line(attribute)],
    ))
}

fn statistics(ata: &AtaFacts) -> Vec<Reading> {
    let mut out = Vec::new();
    let has = |id: u8| ata.attributes.iter().any(|one| one.id == id);
    let mut push = |measure, at| {
        if let Some(one) = statistic(ata, at) {
            let text = format!("device statistic \"{}\": {}", one.name, one.value);
            out.push(match u64::try_from(one.value) {
                Ok(value) => Reading::new(measure, value, vec![text]),
                Err(_) => Reading::detailed(Measure::Unreadable, 1, text.clone(), vec![text]),
            });
        }
    };
    push(Measure::WearPercent, ENDURANCE_USED);
    if !has(187) {
        push(Measure::UncorrectableStatistic, REPORTED_UNCORRECTABLE);
    }
    if !has(197) {
        push(Measure::Pending, REALLOCATION_CANDIDATES);
    }
    // The log names each defect with its block, so it counts also beside an attribute that says 0.
    if let Some(count) = ata.pending_defects.filter(|count| *count > 0) {
        let text = format!("pending defects log: {count}");
        out.push(Reading::new(Measure::Pending, count, vec![text]));
    }
    out
}

fn name(attribute: &Attribute) -> String {
    match &attribute.name {
        Some(name) => format!("{} {name}", attribute.id),
        None => attribute.id.to_string(),
    }
}

/// An attribute as a line of evidence.
fn line(attribute: &Attribute) -> String {
    let number = |value: Option<u8>| value.map_or_else(|| "-".into(), |value| value.to_string());
    let raw = match &attribute.raw_text {
        Some(text) => text.clone(),
        None => attribute.raw.to_string(),
    };
    let when = match attribute.when_failed {
        WhenFailed::Never => "",
        WhenFailed::Past => ", failed in the past",
        WhenFailed::Now => ", fails now",
    };
    format!(
        "attribute {}: raw {raw}, value {}, worst {}, threshold {}{when}",
        name(attribute),
        number(attribute.current),
        number(attribute.worst),
        number(attribute.threshold),
    )
}
