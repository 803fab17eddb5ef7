// SPDX-License-Identifier: Apache-2.0
//! What smartctl's text leaves to the reader: temperature and power-on hours out of an ATA disk's tables.

use crate::disk::DiskFacts;
use crate::disk::facts::{AtaFacts, Attribute};

/// Device Statistics: Power-on Hours (ACS-4, 9.5.4).
const POWER_ON_HOURS: (u8, u16) = (1, 0x10);
/// Device Statistics: Current Temperature (ACS-4, 9.5.8).
const CURRENT_TEMPERATURE: (u8, u16) = (5, 0x08);
/// Hours that a disk can have run: a century. Drives that count minutes or half minutes pass it.
const HOURS_MAX: u64 = 876_000;
/// Degrees Celsius that a sensor can mean.
const CELSIUS: core::ops::RangeInclusive<i64> = 1..=119;

/// Fills in what is still missing. The standard's statistics come before the vendor's attributes.
pub(super) fn fill_in(facts: &mut DiskFacts) {
    let Some(ata) = &facts.ata else {
        return;
    };
    let hours = statistic(ata, POWER_ON_HOURS)
        .and_then(|hours| u64::try_from(hours).ok())
        .or_else(|| attribute(ata, 9).map(|one| leading(one).unwrap_or(one.raw)));
    let celsius = statistic(ata, CURRENT_TEMPERATURE)
        .or_else(|| degrees(ata, 194))
        .or_else(|| degrees(ata, 190));
    facts.power_on_hours = facts
        .power_on_hours
        .or(hours.filter(|hours| *hours <= HOURS_MAX));
    facts.temperature_c = facts.temperature_c.or_else(|| {
        let celsius = celsius.filter(|celsius| CELSIUS.contains(celsius));
        celsius.and_then(|celsius| i16::try_from(celsius).ok())
    });
}

fn statistic(ata: &AtaFacts, at: (u8, u16)) -> Option<i64> {
    let mut all = ata.statistics.iter();
    all.find(|one| (one.page, one.offset) == at)
        .map(|one| one.value)
}

fn attribute(ata: &AtaFacts, id: u8) -> Option<&Attribute> {
    ata.attributes.iter().find(|one| one.id == id)
}

fn degrees(ata: &AtaFacts, id: u8) -> Option<i64> {
    let one = attribute(ata, id)?;
    // The lowest byte is the temperature; vendors keep the lowest and highest above.
    let degrees = leading(one).unwrap_or(one.raw & 0xff);
    i64::try_from(degrees).ok()
}

/// The number with which the raw value begins as the capture words it.
fn leading(attribute: &Attribute) -> Option<u64> {
    let text = attribute.raw_text.as_deref()?.trim_start();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}
