// SPDX-License-Identifier: Apache-2.0
//! The slots of a capture as JSON and as lines: what `hw-diag dimms` prints.

use super::{Array, Dimms, Module, Range};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::inventory::Dimm;
use groundstate_api::units::{Bytes, MIB};
use serde::Serialize;

/// The version of [`DimmsReport`]; a field that changes its meaning makes it 2.
pub const SCHEMA: u32 = 1;

/// The slots of a capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DimmsReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Slots with a module in them.
    pub populated: usize,
    /// Slots without.
    pub empty: usize,
    /// What the modules' sizes add up to, in whole MiB.
    pub total_mib: u64,
    /// What of it the kernel should have as memory, in whole MiB.
    pub ram_mib: u64,
    /// Every slot of system memory, in table order.
    pub slots: Vec<SlotReport>,
    /// The memory arrays, also those that are not system memory.
    pub arrays: Vec<Array>,
    /// Physical addresses of arrays and modules.
    pub ranges: Vec<Range>,
    /// What is odd and no fault, a line each.
    pub remarks: Vec<String>,
    /// What was wrong with the capture, a line each.
    pub notes: Vec<String>,
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlotReport {
    /// As an inventory has it.
    #[serde(flatten)]
    pub dimm: Dimm,
    /// What the table says beyond that.
    #[serde(flatten)]
    pub module: Module,
}

impl From<Dimms> for DimmsReport {
    fn from(dimms: Dimms) -> Self {
        let mut modules = dimms.details.modules.into_iter();
        Self {
            schema: SCHEMA,
            populated: dimms.populated,
            empty: dimms.empty,
            total_mib: dimms.total_mib,
            ram_mib: dimms.ram.0 / MIB,
            slots: dimms
                .slots
                .into_iter()
                .map(|dimm| SlotReport {
                    dimm,
                    module: modules.next().unwrap_or_default(),
                })
                .collect(),
            arrays: dimms.details.arrays,
            ranges: dimms.details.ranges,
            remarks: dimms.details.remarks,
            notes: dimms.notes,
        }
    }
}

impl DimmsReport {
    /// The report as lines of text: the sum, each slot, then remarks and notes.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let slots = self.slots.len();
        let total = Bytes::mib(self.total_mib);
        lines.push(format!(
            "memory   {total} in {} of {slots} slots, {} empty",
            self.populated, self.empty
        ));
        for SlotReport { dimm, .. } in &self.slots {
            let bank = if dimm.bank.is_empty() {
                String::new()
            } else {
                format!(" ({})", dimm.bank)
            };
            let mut line = format!("slot     {}{bank}: ", dimm.slot);
            match (dimm.populated, dimm.size) {
                (false, _) => line.push_str("empty"),
                (true, None) => line.push_str("size unknown"),
                (true, Some(size)) => line.push_str(&format!("{size}")),
            }
            if dimm.populated {
                let mut say = |prefix: &str, word: &str| {
                    if !word.is_empty() {
                        line.push_str(&format!(", {prefix}{word}"));
                    }
                };
                say("", &dimm.kind);
                if dimm.speed > 0 {
                    say("", &format!("{} MT/s", dimm.speed));
                }
                say("", &dimm.manufacturer);
                say("part ", &dimm.part_number);
                say("serial ", &dimm.serial);
            }
            lines.push(line);
        }
        lines.extend(self.remarks.iter().map(|line| format!("remark   {line}")));
        lines.extend(self.notes.iter().map(|line| format!("note     {line}")));
        lines
    }
}
