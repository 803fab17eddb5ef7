// SPDX-License-Identifier: Apache-2.0
//! Memory: which slots there are, what sits in them, what is wrong with it.
//!
//! [`from_smbios`] reads a raw SMBIOS table or a dump of `dmidecode --dump-bin`, [`from_dmidecode_text`] what `dmidecode`
//! prints; both end in the same [`Dimms`], counted by the same rules (`assemble`). Refuses to call memory what the
//! firmware does not call system memory, and to name a DIMM where the tables do not name one.

mod assemble;
mod edac;
mod locate;
mod module;
mod report;
pub mod rules;
mod tested;
mod text;

pub use crate::judge::memory_reports as reports;
pub use edac::{Assigned, Controller, Counter, assign};
pub use locate::{Located, locate};
pub use module::{Array, Module, Range};
pub use report::{DimmsReport, SCHEMA, SlotReport};
pub use tested::{Ended, MemoryTestReport, Mismatch};
pub use text::{LINE_MAX, TEXT_MAX_BYTES, TextError, from_dmidecode_text};

pub(crate) use assemble::{Device, Found, assemble};
pub(crate) use edac::{error_findings, figures};
pub(crate) use module::{NON_VOLATILE_KIND, SYSTEM_MEMORY};

use crate::smbios::{CaptureError, Smbios, capture};
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::inventory::Dimm;
use groundstate_api::units::Bytes;
use serde::Serialize;

/// The slots of a machine's system memory and what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dimms {
    /// Every slot of the system memory arrays, populated or not, in table order.
    pub slots: Vec<Dimm>,
    /// What else the tables say, beside the slots.
    pub details: Details,
    /// Slots with a module in them, also one whose size is unknown.
    pub populated: usize,
    /// Slots without.
    pub empty: usize,
    /// What the sizes of the modules add up to, in whole MiB, as `dmidecode` shows them: persistent modules too.
    pub total_mib: u64,
    /// What of it the kernel should have as memory: without persistent memory and without DRAM that only caches it.
    pub ram: Bytes,
    /// What was wrong with the capture, a line each: something was not read or not counted.
    pub notes: Vec<String>,
}

/// What the tables say of memory beyond the slots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Details {
    /// More of each slot, in the slots' order.
    pub modules: Vec<Module>,
    /// The memory arrays, also those that are not system memory.
    pub arrays: Vec<Array>,
    /// Physical addresses of arrays and modules.
    pub ranges: Vec<Range>,
    /// What is odd and no fault: counts that differ, names that repeat, persistent modules; a line each.
    pub remarks: Vec<String>,
}

impl Dimms {
    /// The slots that a decoded table lists.
    #[must_use]
    pub fn of(smbios: Smbios) -> Self {
        assemble::count(smbios.dimms, smbios.memory, smbios.notes)
    }
}

/// The slots in an SMBIOS capture: a file that begins with an entry point (`_SM3_`, `_SM_` or `_DMI_`) is a dump of
/// `dmidecode --dump-bin`, any other a raw table as in `/sys/firmware/dmi/tables/DMI`.
///
/// # Errors
/// The capture is empty, or its entry point is damaged or leads out of the file.
pub fn from_smbios(bytes: &[u8]) -> Result<Dimms, CaptureError> {
    let mut smbios = capture(bytes)?.decode();
    // Who the machine is is not asked here.
    smbios
        .notes
        .retain(|note| note != crate::smbios::NO_SYSTEM_INFORMATION);
    Ok(Dimms::of(smbios))
}

/// What the slots' modules should give the kernel as memory; see [`Dimms::ram`].
#[must_use]
pub fn ram(slots: &[Dimm], modules: &[Module]) -> Bytes {
    assemble::ram(slots, modules)
}
