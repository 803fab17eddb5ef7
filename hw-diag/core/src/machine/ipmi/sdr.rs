// SPDX-License-Identifier: Apache-2.0
//! Sensor data records (IPMI 2.0, chapter 43): which sensors there are, what they are called and how to read them.
//!
//! Offsets are those of the specification's tables less one. A record that ends before what it must have is refused by
//! name; a sensor's name that it cuts off is empty.

use super::reading::{Analog, Factors, Linearization};
use crate::clean;
use crate::fields::byte;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Bytes before a record's body: id, version, type, length of the rest.
pub(crate) const HEADER: usize = 5;

/// A sensor as its record describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SensorRecord {
    /// Owner: 20h is the BMC itself.
    pub owner: u8,
    /// Logical unit to ask.
    pub lun: u8,
    /// First number.
    pub number: u8,
    /// How many sensors with following numbers share this record; 1 is usual.
    pub count: u8,
    /// Entity id and instance.
    pub entity: (u8, u8),
    /// Sensor type.
    pub kind: u8,
    /// Event/reading type.
    pub event_type: u8,
    /// Unit, for people.
    pub unit: &'static str,
    /// Whether the value is a share of a hundred.
    pub percent: bool,
    /// How to read the raw byte; `None` in a compact record, whose sensors measure nothing.
    pub factors: Option<Factors>,
    /// Raw limits in the order of the threshold bits, where they can be read.
    pub limits: [Option<u8>; 6],
    /// Name.
    pub name: String,
}

/// A part or controller that the BMC knows of (11h FRU, 12h management controller).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Locator {
    /// Name.
    pub name: String,
    /// Entity id and instance.
    pub entity: (u8, u8),
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A sensor that can be read (01h, 02h).
    Sensor(SensorRecord),
    /// A sensor that only sends events (03h): number and name.
    EventOnly {
        /// Number.
        number: u8,
        /// Name.
        name: String,
    },
    /// A part or controller.
    Locator(Locator),
    /// Another kind, by its type.
    Other(u8),
}

/// Why a record says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSdr {
    /// Shorter than what its type must have.
    #[error("the record of type {kind:02x}h has {length} bytes; {wanted} are the least")]
    Short {
        /// Its type.
        kind: u8,
        /// Its length.
        length: usize,
        /// The least that it should have.
        wanted: usize,
    },
}

/// Decodes a record with its header.
///
/// # Errors
/// Where it is shorter than its type must be.
pub fn record(bytes: &[u8]) -> Result<Record, NotSdr> {
    let kind = byte(bytes, 3).unwrap_or(0);
    let least = match kind {
        0x01 => 48,
        0x02 => 32,
        0x03 => 17,
        0x11 | 0x12 => 16,
        _ => HEADER,
    };
    if bytes.len() < least {
        let length = bytes.len();
        return Err(NotSdr::Short {
            kind,
            length,
            wanted: least,
        });
    }
    Ok(match kind {
        0x01 => Record::Sensor(full(bytes)),
        0x02 => Record::Sensor(compact(bytes)),
        0x03 => Record::EventOnly {
            number: byte(bytes, 7).unwrap_or(0),
            name: name(bytes, 16),
        },
        0x11 | 0x12 => Record::Locator(Locator {
            name: name(bytes, 15),
            entity: entity(bytes, 12),
        }),
        other => Record::Other(other),
    })
}

fn entity(bytes: &[u8], at: usize) -> (u8, u8) {
    let instance = byte(bytes, at + 1).unwrap_or(0);
    (byte(bytes, at).unwrap_or(0), instance & 0x7f)
}

/// What full and compact records have in common.
fn head(bytes: &[u8]) -> SensorRecord {
    let at = |at: usize| byte(bytes, at).unwrap_or(0);
    SensorRecord {
        owner: at(5),
        lun: at(6) & 3,
        number: at(7),
        count: 1,
        entity: entity(bytes, 8),
        kind: at(12),
        event_type: at(13) & 0x7f,
        unit: unit(at(21)),
        percent: at(20) & 1 != 0,
        ..SensorRecord::default()
    }
}

fn full(bytes: &[u8]) -> SensorRecord {
    let at = |at: usize| byte(bytes, at).unwrap_or(0);
    let analog = match at(20) >> 6 {
        0 => Analog::Unsigned,
        1 => Analog::OnesComplement,
        2 => Analog::TwosComplement,
        _ => Analog::None,
    };
    // Bit n of the readable mask and limit n: lower non-critical, critical, non-recoverable; upper the same.
    let readable = at(18);
    let places = [41, 40, 39, 38, 37, 36];
    let mut limits = [None; 6];
    for (bit, (limit, place)) in limits.iter_mut().zip(places).enumerate() {
        *limit = (readable >> bit & 1 != 0).then(|| at(place));
    }
    SensorRecord {
        factors: Some(Factors {
            analog,
            linearization: Linearization::of(at(23)),
            m: ten_bits(at(24), at(25)),
            b: ten_bits(at(26), at(27)),
            b_exponent: four_bits(at(29) & 0xf),
            r_exponent: four_bits(at(29) >> 4),
        }),
        limits,
        name: name(bytes, 47),
        ..head(bytes)
    }
}

fn compact(bytes: &[u8]) -> SensorRecord {
    SensorRecord {
        count: (byte(bytes, 23).unwrap_or(0) & 0xf).max(1),
        name: name(bytes, 31),
        ..head(bytes)
    }
}

/// Two's complement of 10 bits: eight in one byte, the upper two in bits 7:6 of the next.
fn ten_bits(low: u8, high: u8) -> i16 {
    let raw = i16::from(low) | i16::from(high >> 6) << 8;
    if raw >= 512 { raw - 1_024 } else { raw }
}

/// Two's complement of 4 bits.
fn four_bits(raw: u8) -> i8 {
    let raw = i8::try_from(raw & 0xf).unwrap_or(0);
    if raw >= 8 { raw - 16 } else { raw }
}

/// A string with its type and length byte (43.15): 8-bit text, 6-bit ASCII, or BCD plus.
fn name(bytes: &[u8], at: usize) -> String {
    let Some(head) = byte(bytes, at) else {
        return String::new();
    };
    let length = usize::from(head & 0x1f);
    let raw = bytes.get(at + 1..at + 1 + length).unwrap_or_default();
    match head >> 6 {
        3 => clean(raw),
        2 => clean(&six_bit(raw)),
        1 => {
            const DIGITS: [u8; 16] = *b"0123456789 -.:,_";
            let digits = raw.iter().flat_map(|b| [b >> 4, b & 0xf]);
            let text: Vec<u8> = digits
                .filter_map(|digit| DIGITS.get(usize::from(digit)).copied())
                .collect();
            clean(&text)
        }
        // Unicode without a word on its encoding: what is ASCII of it.
        _ => {
            let text: Vec<u8> = raw.iter().copied().filter(|b| *b != 0).collect();
            clean(&text)
        }
    }
}

/// Four characters in three bytes, lowest bits first, beginning with the blank.
fn six_bit(raw: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in raw {
        bits |= u32::from(*byte) << held;
        held += 8;
        while held >= 6 {
            let [low, ..] = bits.to_le_bytes();
            text.push((low & 0x3f) + b' ');
            bits >>= 6;
            held -= 6;
        }
    }
    text
}

/// Base units (43.17).
fn unit(code: u8) -> &'static str {
    match code {
        1 => "°C",
        2 => "°F",
        3 => "K",
        4 => "V",
        5 => "A",
        6 => "W",
        7 => "J",
        9 => "VA",
        14 => "kPa",
        16 => "N",
        17 => "CFM",
        18 => "RPM",
        19 => "Hz",
        20 => "µs",
        21 => "ms",
        22 => "s",
        23 => "min",
        24 => "h",
        25 => "d",
        _ => "",
    }
}
