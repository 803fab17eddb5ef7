// SPDX-License-Identifier: Apache-2.0
//! The baseboard management controller (BMC): its sensors, its event log, its firmware (IPMI 2.0, revision 1.1).
//!
//! [`Walk`] says which request to send next and takes the answer; it never sends one. It only asks: no sensor is armed, no
//! log cleared. What a BMC answers is not trusted: every loop has a bound, and a record that ends too early is named.

mod event;
mod judge;
mod reading;
mod sdr;
mod sel;
mod walk;

pub use event::{Grade, meaning, threshold_meaning};
pub use judge::judge;
pub use reading::{Analog, Factors, Linearization};
pub use sdr::{Locator, NotSdr, Record, SensorRecord, record};
pub use sel::{Moment, SelEntry, SelFacts, entry};
pub use walk::{Walk, completion};

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Network functions.
pub(crate) const NETFN_CHASSIS: u8 = 0x00;
pub(crate) const NETFN_SENSOR: u8 = 0x04;
pub(crate) const NETFN_APP: u8 = 0x06;
pub(crate) const NETFN_STORAGE: u8 = 0x0a;
/// The longest answer to a request, in bytes, with its completion code: an SDR of 255 + 5 bytes with the next one's id.
pub const ANSWER_MAX: usize = 272;

/// A request to the BMC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Network function, even: a request.
    pub netfn: u8,
    /// Logical unit, 0 to 3.
    pub lun: u8,
    /// Command.
    pub command: u8,
    /// Its data.
    pub data: Vec<u8>,
}

impl Request {
    /// A request to logical unit 0.
    #[must_use]
    pub fn new(netfn: u8, command: u8, data: impl Into<Vec<u8>>) -> Self {
        let data = data.into();
        Self {
            netfn,
            lun: 0,
            command,
            data,
        }
    }

    /// Chassis Identify (28.5): the light that shows which machine it is. On stays on until it is switched off.
    #[must_use]
    pub fn chassis_identify(on: bool) -> Self {
        // Byte 1 is an interval in seconds, 0 is off; byte 2 bit 0 keeps it on without end.
        let data = if on { [0, 1].as_slice() } else { &[0] };
        Self::new(NETFN_CHASSIS, 0x04, data)
    }
}

/// What Get Device ID says (20.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceId {
    /// Firmware revision: `3.88`.
    pub firmware: String,
    /// IPMI version: `2.0`.
    pub ipmi: String,
    /// Manufacturer by its IANA enterprise number.
    pub manufacturer: u32,
    /// Product id.
    pub product: u16,
    /// Whether its firmware is being updated or starts up.
    pub busy: bool,
    /// Whether it keeps the repository of sensor records.
    pub has_repository: bool,
    /// Whether it keeps an event log.
    pub has_log: bool,
}

impl DeviceId {
    /// Decodes the data after the completion code; `None` where it is too short.
    #[must_use]
    pub fn decode(data: &[u8]) -> Option<Self> {
        let &[_, _, major, minor, version, support, m0, m1, m2, p0, p1, ..] = data else {
            return None;
        };
        Some(Self {
            // The minor part is binary coded decimal.
            firmware: format!("{}.{minor:02x}", major & 0x7f),
            // Two digits, the lower one first: 51h is 1.5.
            ipmi: format!("{}.{}", version & 0xf, version >> 4),
            // 20 bits.
            manufacturer: u32::from_le_bytes([m0, m1, m2 & 0x0f, 0]),
            product: u16::from_le_bytes([p0, p1]),
            busy: major & 0x80 != 0,
            has_repository: support & 0x02 != 0,
            has_log: support & 0x04 != 0,
        })
    }

    /// The manufacturer's name, where it is a known one, else its number.
    #[must_use]
    pub fn maker(&self) -> String {
        let known = MAKERS
            .iter()
            .find(|(number, _)| *number == self.manufacturer);
        known.map_or_else(
            || format!("IANA enterprise {}", self.manufacturer),
            |(_, name)| (*name).to_string(),
        )
    }
}

/// Makers of servers and BMCs by IANA enterprise number.
const MAKERS: &[(u32, &str)] = &[
    (2, "IBM"),
    (11, "HP"),
    (42, "Oracle"),
    (343, "Intel"),
    (674, "Dell"),
    (2_011, "Huawei"),
    (2_623, "ASUS"),
    (5_771, "Cisco"),
    (7_244, "Quanta"),
    (10_368, "Fujitsu"),
    (10_876, "Supermicro"),
    (15_370, "Gigabyte"),
    (19_046, "Lenovo"),
    (20_974, "AMI"),
    (47_196, "HPE"),
];

/// One sensor with what it read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sensor {
    /// Its number at its owner.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// Sensor type (42.2): 01h temperature, 04h fan, 08h power supply, …
    pub kind: u8,
    /// Event/reading type (42.1): 01h thresholds, 02h to 0Ch generic, 6Fh by sensor type.
    pub event_type: u8,
    /// What it is on (43.14): entity id and instance.
    pub entity: (u8, u8),
    /// Whether it gave a reading; a sensor of an empty bay does not.
    pub available: bool,
    /// The reading in thousandths of its unit, where it measures.
    pub value_milli: Option<i64>,
    /// The unit, for people.
    pub unit: String,
    /// Threshold comparison (bits 0 to 5: lower non-critical, critical, non-recoverable; upper the same) or the states that
    /// hold now (bits 0 to 14).
    pub states: u16,
    /// The six limits in the order of those bits, in thousandths of the unit, where it has them.
    pub limits_milli: [Option<i64>; 6],
}

/// What was read of the BMC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IpmiFacts {
    /// Who it is.
    pub device: Option<DeviceId>,
    /// Its sensors.
    pub sensors: Vec<Sensor>,
    /// Names of all sensors that it has records of, by number: also of those that only send events.
    pub names: Vec<(u8, String)>,
    /// Parts and controllers that it has records of.
    pub locators: Vec<Locator>,
    /// Its event log.
    pub log: Option<SelFacts>,
    /// What could not be read, a line each with the reason.
    pub missed: Vec<String>,
}

impl IpmiFacts {
    /// The name of a sensor by its number.
    pub(crate) fn name_of(&self, number: u8) -> Option<&str> {
        let found = self
            .names
            .iter()
            .find(|(n, name)| *n == number && !name.is_empty());
        found.map(|(_, name)| name.as_str())
    }
}

#[cfg(test)]
mod tests;
