// SPDX-License-Identifier: Apache-2.0
//! The system event log (IPMI 2.0, chapters 31 and 32): its entries as values.

use super::event::{MEMORY, SPECIFIC, meaning};
use crate::fields::{byte, le16, le32};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// An entry's length in bytes.
pub(crate) const ENTRY: usize = 16;
/// Times below this count from the BMC's start, because its clock was not set yet (37.1).
const SET_FROM: u32 = 0x2000_0000;

/// When something was logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Seconds since 1970 by the BMC's clock.
    At(i64),
    /// Seconds since the BMC started; its clock was not set.
    SinceStart(u32),
    /// Not known.
    Unknown,
}

impl Moment {
    pub(crate) fn of(raw: u32) -> Self {
        match raw {
            u32::MAX => Self::Unknown,
            early if early < SET_FROM => Self::SinceStart(early),
            set => Self::At(i64::from(set)),
        }
    }

    /// For people, in UTC as far as the BMC's clock keeps it.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::At(seconds) => date(seconds),
            Self::SinceStart(seconds) => format!("{seconds} s after the BMC's start"),
            Self::Unknown => "at an unknown time".to_string(),
        }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelEntry {
    /// Record id.
    pub id: u16,
    /// Record type: 02h is an event, C0h and above are the maker's own.
    pub record_type: u8,
    /// When.
    pub moment: Moment,
    /// Sensor type.
    pub sensor_type: u8,
    /// Sensor number.
    pub sensor: u8,
    /// Whether the state came; else it went.
    pub asserted: bool,
    /// Event/reading type.
    pub event_type: u8,
    /// Event data.
    pub data: [u8; 3],
}

/// What was read of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SelFacts {
    /// How many entries it has.
    pub total: u16,
    /// Free bytes; FFFFh means at least that many.
    pub free_bytes: u16,
    /// Whether events were lost because it is full.
    pub overflow: bool,
    /// The newest entries that were read, oldest first.
    pub entries: Vec<SelEntry>,
}

impl SelFacts {
    /// Of the data of Get SEL Info after the completion code.
    pub(crate) fn of_info(data: &[u8]) -> Option<Self> {
        Some(Self {
            total: le16(data, 1)?,
            free_bytes: le16(data, 3)?,
            overflow: byte(data, 13)? & 0x80 != 0,
            entries: Vec::new(),
        })
    }
}

/// Decodes the 16 bytes of an entry; `None` where they are fewer.
#[must_use]
pub fn entry(bytes: &[u8]) -> Option<SelEntry> {
    let record_type = byte(bytes, 2)?;
    let data = [byte(bytes, 13)?, byte(bytes, 14)?, byte(bytes, 15)?];
    let direction = byte(bytes, 12)?;
    Some(SelEntry {
        id: le16(bytes, 0)?,
        record_type,
        // Records from E0h on have no time.
        moment: if record_type >= 0xe0 {
            Moment::Unknown
        } else {
            Moment::of(le32(bytes, 3)?)
        },
        sensor_type: byte(bytes, 10)?,
        sensor: byte(bytes, 11)?,
        asserted: direction & 0x80 == 0,
        event_type: direction & 0x7f,
        data,
    })
}

impl SelEntry {
    /// Whether the specification says what it means; the maker's own records are counted only.
    pub(crate) fn is_event(&self) -> bool {
        self.record_type == 0x02
    }

    /// Which state or crossing it is about.
    pub(crate) fn offset(&self) -> u8 {
        self.data[0] & 0x0f
    }

    /// Which memory module, by the BMC's count, where the event says so (42.2, sensor type 0Ch: event data 3).
    pub(crate) fn module(&self) -> Option<u8> {
        let in_third = (self.data[0] >> 4) & 3 == 3;
        let memory = self.sensor_type == MEMORY && self.event_type == SPECIFIC;
        (memory && in_third && self.data[2] != 0xff).then_some(self.data[2])
    }

    /// In one line; `name` is the sensor's, where its record is known.
    #[must_use]
    pub fn words(&self, name: Option<&str>) -> String {
        let sensor = name.map_or_else(|| format!("sensor {}", self.sensor), str::to_string);
        let [a, b, c] = self.data;
        if !self.is_event() {
            let kind = self.record_type;
            return format!(
                "{}: the maker's own record of type {kind:02x}h",
                self.moment.words()
            );
        }
        let what = meaning(self.sensor_type, self.event_type, self.offset()).map_or_else(
            || {
                format!(
                    "event of type {:02x}h, offset {}",
                    self.event_type,
                    self.offset()
                )
            },
            |(words, _)| words.to_string(),
        );
        let gone = if self.asserted { "" } else { " (gone)" };
        let module = self.module().map(|n| format!(", module {n}"));
        format!(
            "{}: {sensor}: {what}{gone}{} [data {a:02x} {b:02x} {c:02x}]",
            self.moment.words(),
            module.unwrap_or_default()
        )
    }
}

/// `2026-11-05 12:33 UTC`; days to a date by Howard Hinnant's `civil_from_days`.
fn date(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400);
    let minutes = seconds.rem_euclid(86_400) / 60;
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02} UTC",
        minutes / 60,
        minutes % 60
    )
}
