// SPDX-License-Identifier: Apache-2.0
//! What SMBIOS says of arrays (type 16), modules (type 17) and their addresses (types 19 and 20), in `dmidecode`'s words
//! whichever way it was read. A field that the firmware leaves open is `None` or empty, never a guess.

use alloc::string::String;
use groundstate_api::units::Bytes;
use serde::Serialize;

/// Type 17, Memory Type: a module whose contents survive a power cut.
pub(crate) const NON_VOLATILE_KIND: &str = "Logical non-volatile device";
/// Type 16, Use: the only one whose modules count.
pub(crate) const SYSTEM_MEMORY: &str = "System Memory";

/// A physical memory array (type 16).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Array {
    /// Its handle.
    pub handle: u16,
    /// Where it is: `System Board Or Motherboard`, an add-on card, `CXL`.
    pub location: String,
    /// What it is for: `System Memory`, `Flash Memory`, `Cache Memory`; empty where the table does not say.
    #[serde(rename = "use")]
    pub usage: String,
    /// Error correction: `None`, `Single-bit ECC`, `Multi-bit ECC`.
    pub correction: String,
    /// The most that it can hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Bytes>,
    /// How many slots it says it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<u16>,
}

impl Array {
    /// Whether its modules are the machine's memory.
    #[must_use]
    pub fn is_system_memory(&self) -> bool {
        self.usage == SYSTEM_MEMORY
    }
}

/// What a memory device (type 17) says beyond an inventory's `Dimm`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Module {
    /// Its handle.
    pub handle: u16,
    /// The handle of its array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<u16>,
    /// Form factor: `DIMM`, `SODIMM`, `Row Of Chips`.
    pub form_factor: String,
    /// Type detail: `Synchronous Registered (Buffered)`.
    pub detail: String,
    /// Technology: `DRAM`, `NVDIMM-N`, `Intel Optane DC persistent memory`; empty before SMBIOS 3.2.
    pub technology: String,
    /// Bits with check bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_width: Option<u16>,
    /// Bits of data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_width: Option<u16>,
    /// Ranks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<u8>,
    /// The speed that the module can do, in MT/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rated_speed: Option<u32>,
    /// Configured voltage in millivolts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub millivolts: Option<u32>,
    /// The part of its size that survives a power cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent: Option<Bytes>,
    /// The part of its size that is plain memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volatile: Option<Bytes>,
    /// The part of its size that is cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Bytes>,
    /// The size of a logical device, which is a share of other modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logical: Option<Bytes>,
}

/// Physical addresses of an array (type 19) or of a module in it (type 20).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// Last address.
    pub end: u64,
    /// The array's handle, for a range of an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<u16>,
    /// The memory device's handle, for a range of a module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<u16>,
    /// How many consecutive rows one module gives before the next one's turn; `None` where it is not interleaved or not
    /// said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interleave: Option<u8>,
}

impl Range {
    /// How many bytes it covers; 0 where its end stands before its start.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.end
            .checked_sub(self.start)
            .map_or(0, |last| last.saturating_add(1))
    }
    /// Whether it covers an address.
    #[must_use]
    pub fn covers(&self, address: u64) -> bool {
        self.start <= address && address <= self.end
    }
}
