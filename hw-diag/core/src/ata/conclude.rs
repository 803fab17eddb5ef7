// SPDX-License-Identifier: Apache-2.0
//! Temperature and power-on hours, which an ATA disk keeps in several places.

use crate::disk::facts::{AtaFacts, DiskFacts};

/// Attributes that hold the temperature in their lowest byte: 194, and 190 (airflow) on drives that have only that.
const TEMPERATURE: [u8; 2] = [194, 190];
/// Device Statistics: Current Temperature, Power-on Hours (page, offset).
const STATISTIC_TEMPERATURE: (u8, u16) = (5, 8);
const STATISTIC_HOURS: (u8, u16) = (1, 16);
/// Attribute 9: power-on hours. Several vendors keep milliseconds above the lower 24 bits.
const HOURS: u8 = 9;
const HOURS_MASK: u64 = 0x00ff_ffff;

/// Fills temperature and hours. The hours of the Device Statistics go first, since they are hours on every disk; old drives
/// count minutes or seconds in the attribute.
pub fn conclude(facts: &mut DiskFacts) {
    let Some(ata) = &facts.ata else { return };
    let raw = |id: u8| ata.attributes.iter().find(|a| a.id == id).map(|a| a.raw);
    let byte = TEMPERATURE.iter().find_map(|id| raw(*id));
    let celsius = byte
        .map(|raw| i16::from(raw.to_le_bytes()[0].cast_signed()))
        .filter(|c| *c != 0)
        .or_else(|| statistic(ata, STATISTIC_TEMPERATURE).and_then(|c| i16::try_from(c).ok()));
    let hours = statistic(ata, STATISTIC_HOURS)
        .and_then(|hours| u64::try_from(hours).ok())
        .or_else(|| raw(HOURS).map(|raw| raw & HOURS_MASK));
    facts.temperature_c = celsius.or(facts.temperature_c);
    facts.power_on_hours = hours.or(facts.power_on_hours);
}

fn statistic(ata: &AtaFacts, (page, offset): (u8, u16)) -> Option<i64> {
    let at = |s: &&crate::disk::facts::Statistic| (s.page, s.offset) == (page, offset);
    ata.statistics.iter().find(at).map(|s| s.value)
}

#[cfg(test)]
mod tests {
    use super::super::data::attributes;
    use super::super::fixture::smart_block;
    use super::*;
    use crate::disk::facts::{Protocol, Statistic};

    #[test]
    fn attributes_and_statistics_each_have_their_place() {
        let mut facts = DiskFacts::new("sda", "ioctl", Protocol::Ata);
        let table = smart_block(&[
            (9, 0x32, 90, 90, 0x1234_0000_2710),
            (190, 2, 64, 40, 40),
            (194, 2, 64, 40, 0x0010_0020_0024),
        ]);
        let ata = facts.ata.get_or_insert_default();
        ata.attributes = attributes(&table, &table);
        conclude(&mut facts);
        assert_eq!(facts.temperature_c, Some(36));
        assert_eq!(facts.power_on_hours, Some(10_000));
        let ata = facts.ata.as_mut().unwrap();
        ata.attributes.retain(|a| a.id == 9);
        for (page, offset, value) in [(1, 16, 42), (5, 8, -3)] {
            ata.statistics.push(Statistic {
                page,
                offset,
                name: String::new(),
                value,
                normalised: false,
            });
        }
        conclude(&mut facts);
        assert_eq!(facts.temperature_c, Some(-3));
        assert_eq!(facts.power_on_hours, Some(42));
    }
}
