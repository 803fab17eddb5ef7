// SPDX-License-Identifier: Apache-2.0
//! What a class of machines should have: counts, sizes, models, firmware, links.
//!
//! A profile names no serial number: it is for every machine of a kind, where the site file's `hardware` is for one. It
//! is learned from a good machine, read and trimmed by a person, and tried on earlier reports before it is switched on.
//! What a profile does not say is not judged.

mod back_test;
mod judge;
mod learn;

pub use back_test::{BackTest, RuleRecord, back_test};
pub use judge::judge;
pub use learn::learn;

use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A hardware profile. In TOML; unknown keys are refused by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// [`groundstate_api::SCHEMA`].
    pub schema: u32,
    /// The profile's name.
    pub name: String,
    /// The machine.
    #[serde(default, skip_serializing_if = "Machine::is_silent")]
    pub machine: Machine,
    /// Processors.
    #[serde(default, skip_serializing_if = "Cpu::is_silent")]
    pub cpu: Cpu,
    /// Memory.
    #[serde(default, skip_serializing_if = "Memory::is_silent")]
    pub memory: Memory,
    /// Groups of like DIMMs.
    #[serde(default, rename = "dimm", skip_serializing_if = "Vec::is_empty")]
    pub dimms: Vec<DimmGroup>,
    /// Groups of like disks.
    #[serde(default, rename = "disk", skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<DiskGroup>,
    /// Groups of like network interfaces.
    #[serde(default, rename = "nic", skip_serializing_if = "Vec::is_empty")]
    pub nics: Vec<NicGroup>,
}

/// The machine: patterns, where `*` stands for any text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Machine {
    /// Manufacturer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<String>,
    /// Product name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Firmware versions that are right; any of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub firmware: Vec<String>,
    /// Whether it runs on UEFI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uefi: Option<bool>,
}

/// Processors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cpu {
    /// Logical processors that the kernel uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Model pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Memory as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// What the DIMMs add up to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Size>,
}

/// Like DIMMs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DimmGroup {
    /// How many.
    pub count: u32,
    /// Size of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Type, for example `DDR4`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The least configured speed in MT/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_min: Option<u32>,
    /// Part number pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_number: Option<String>,
}

/// Like disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskGroup {
    /// How many.
    pub count: u32,
    /// Model pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Size of each: the very size, or within 1 % of it (vendors round differently).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Whether it rotates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotational: Option<bool>,
    /// How it is connected: `ata`, `nvme`, `scsi`, `virtio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<groundstate_api::inventory::Transport>,
    /// Firmware revisions that are right; any of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firmware: Vec<String>,
}

/// Like network interfaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NicGroup {
    /// How many.
    pub count: u32,
    /// Driver pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Whether each must have a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<bool>,
    /// The least speed in Mb/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_min_mbps: Option<u32>,
}

impl Machine {
    fn is_silent(&self) -> bool {
        *self == Self::default()
    }
}
impl Cpu {
    fn is_silent(&self) -> bool {
        *self == Self::default()
    }
}
impl Memory {
    fn is_silent(&self) -> bool {
        *self == Self::default()
    }
}

/// A size as people write it: `32GiB`, `960197124096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub Bytes);

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Exact(self.0))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Bytes::parse(&text).map(Self).ok_or_else(|| {
            serde::de::Error::custom(alloc::format!(
                "`{text}` is not a size; `32GiB` and `960197124096` are"
            ))
        })
    }
}

/// Prints a size so that it reads back as the very same number of bytes.
struct Exact(Bytes);

impl core::fmt::Display for Exact {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let bytes = self.0.0;
        for (unit, name) in UNITS {
            if bytes > 0 && bytes.is_multiple_of(unit) {
                return write!(f, "{}{name}", bytes / unit);
            }
        }
        write!(f, "{bytes}")
    }
}

#[cfg(test)]
mod tests;
