// SPDX-License-Identifier: Apache-2.0
//! The rules that turn arrays and memory devices into slots, whichever way they were read.
//!
//! * A device counts when its array is system memory: of 2,049 real server tables 91 describe flash, cache or video
//!   memory in type 17 too. Where a handle stands on several arrays, one of them being system memory is enough.
//! * A device whose array is not in the table, or whose array does not say what it is for, does not count, and a note
//!   names it. The one exception is text that holds memory devices and nothing else (`dmidecode -t 17`): there every
//!   device counts, and a note says that flash may be among them.
//! * A slot is empty only where `dmidecode` says `No Module Installed`. A module of unknown size, or one that says it has
//!   0 kB, is populated and adds nothing.
//! * The number of slots that an array declares is not used: 44 of the 2,049 list another number. Slots that share a
//!   name (59 of 2,049) are kept apart.

use super::module::NON_VOLATILE_KIND;
use super::{Array, Details, Dimms, Module, Range};
use crate::smbios::DIMMS_MAX;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::inventory::Dimm;
use groundstate_api::units::{Bytes, MIB};

/// The most ranges kept: two for each slot of the largest machine.
const RANGES_MAX: usize = 2 * DIMMS_MAX;

/// One memory device as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) dimm: Dimm,
    pub(crate) module: Module,
}

/// Everything that was read of memory, before anything is counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) arrays: Vec<Array>,
    pub(crate) devices: Vec<Device>,
    pub(crate) ranges: Vec<Range>,
    /// Only memory devices were asked for, so that no array can be among what was read.
    pub(crate) devices_only: bool,
}

/// The slots that count and what is to say of them.
pub(crate) fn assemble(found: Found, notes: &mut Vec<String>) -> (Vec<Dimm>, Details) {
    let mut details = Details::default();
    let known: BTreeSet<u16> = found.arrays.iter().map(|array| array.handle).collect();
    let system: BTreeSet<u16> = handles(&found.arrays, Array::is_system_memory);
    let silent: BTreeSet<u16> = handles(&found.arrays, |array| array.usage.is_empty());
    if found.devices_only && !found.devices.is_empty() {
        notes.push("no memory array (type 16) was captured: every memory device is counted, also flash and cache if there are any".into());
    }
    let mut slots = Vec::new();
    let mut elsewhere = 0usize;
    for Device { dimm, module } in found.devices {
        let array = module.array.unwrap_or(u16::MAX);
        if !found.devices_only && !known.contains(&array) {
            notes.push(format!(
                "SMBIOS memory device {} names the array {array:#06x}, which is not in the table; it is not counted",
                dimm.slot
            ));
        } else if found.devices_only || system.contains(&array) {
            if slots.len() == DIMMS_MAX {
                notes.push(format!("SMBIOS lists more than {DIMMS_MAX} memory slots"));
                break;
            }
            slots.push(dimm);
            details.modules.push(module);
        } else if silent.contains(&array) {
            notes.push(format!(
                "SMBIOS memory device {} belongs to the array {array:#06x}, which does not say what it is for; it is not counted",
                dimm.slot
            ));
        } else {
            elsewhere += 1;
        }
    }
    if elsewhere > 0 {
        details.remarks.push(format!(
            "{elsewhere} memory devices belong to arrays that are not system memory; they are not counted"
        ));
    }
    details.arrays = found.arrays;
    details.ranges = found.ranges;
    details.ranges.truncate(RANGES_MAX);
    remark(&slots, &mut details);
    (slots, details)
}

fn handles(arrays: &[Array], is: impl Fn(&Array) -> bool) -> BTreeSet<u16> {
    let chosen = arrays.iter().filter(|array| is(array));
    chosen.map(|array| array.handle).collect()
}

/// Counts slots and adds sizes.
pub(super) fn count(slots: Vec<Dimm>, details: Details, notes: Vec<String>) -> Dimms {
    let populated = slots.iter().filter(|dimm| dimm.populated).count();
    let total = sum(slots.iter().filter_map(|dimm| dimm.size));
    Dimms {
        populated,
        empty: slots.len() - populated,
        total_mib: total.0 / MIB,
        ram: ram(&slots, &details.modules),
        slots,
        details,
        notes,
    }
}

fn sum(sizes: impl Iterator<Item = Bytes>) -> Bytes {
    Bytes(sizes.fold(0u64, |sum, size| sum.saturating_add(size.0)))
}

/// What a module gives the kernel as memory.
///
/// A module that says how its size is divided is believed: an NVDIMM-N gives nothing, an Optane module its volatile part.
/// One that does not say and is a logical non-volatile device gives nothing: to the kernel it is storage. Where Optane
/// modules have a volatile part (Memory Mode), the DRAM beside them only caches it and is not memory of its own.
pub(super) fn ram(slots: &[Dimm], modules: &[Module]) -> Bytes {
    let none = Module::default();
    let pairs = || {
        slots
            .iter()
            .enumerate()
            .map(|(index, dimm)| (dimm, modules.get(index).unwrap_or(&none)))
    };
    let slow = |dimm: &Dimm, module: &Module| {
        dimm.kind == NON_VOLATILE_KIND || module.technology.starts_with("Intel Optane")
    };
    let memory_mode = pairs().any(|(dimm, module)| {
        slow(dimm, module) && module.volatile.is_some_and(|volatile| volatile.0 > 0)
    });
    sum(pairs().filter_map(|(dimm, module)| {
        if slow(dimm, module) {
            module.volatile
        } else if memory_mode {
            None
        } else if module.persistent.is_some_and(|size| size.0 > 0) {
            module.volatile
        } else {
            dimm.size
        }
    }))
}

/// What is odd and no fault.
fn remark(slots: &[Dimm], details: &mut Details) {
    for array in details.arrays.iter().filter(|a| a.is_system_memory()) {
        let listed = details
            .modules
            .iter()
            .filter(|module| module.array == Some(array.handle))
            .count();
        let declared = array.declared.map(usize::from);
        if declared.is_some_and(|declared| declared != listed) {
            details.remarks.push(format!(
                "array {:#06x} says it has {} slots and lists {listed}; the listed ones count",
                array.handle,
                declared.unwrap_or(0)
            ));
        }
    }
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for dimm in slots {
        *names.entry(&dimm.slot).or_default() += 1;
    }
    for (name, times) in names.into_iter().filter(|(_, times)| *times > 1) {
        details.remarks.push(format!(
            "{times} slots have the name `{name}`; they are told apart by bank and order"
        ));
    }
    let open = slots.iter().filter(|d| d.populated && d.size.is_none());
    for dimm in open {
        details.remarks.push(format!(
            "slot {} holds a module of unknown size; it adds nothing to the sum",
            dimm.slot
        ));
    }
    let total = sum(slots.iter().filter_map(|dimm| dimm.size));
    let ram = ram(slots, &details.modules);
    if ram != total {
        details.remarks.push(format!(
            "{ram} of {total} is memory to the kernel; the rest is persistent or caches persistent modules"
        ));
    }
    let system: BTreeSet<u16> = handles(&details.arrays, Array::is_system_memory);
    let mapped = details
        .ranges
        .iter()
        .filter(|range| range.array.is_some_and(|array| system.contains(&array)));
    let mapped = sum(mapped.map(|range| Bytes(range.length())));
    if mapped.0 > 0 && mapped != total {
        details.remarks.push(format!(
            "the mapped address ranges (type 19) cover {mapped}, the modules add up to {total}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(kind: &str, gib: u64) -> Dimm {
        Dimm {
            slot: "A".into(),
            bank: String::new(),
            size: (gib > 0).then(|| Bytes::gib(gib)),
            populated: gib > 0,
            kind: kind.into(),
            speed: 0,
            manufacturer: String::new(),
            part_number: String::new(),
            serial: String::new(),
            errors: None,
        }
    }

    fn module(technology: &str, persistent: Option<u64>, volatile: Option<u64>) -> Module {
        Module {
            technology: technology.into(),
            persistent: persistent.map(Bytes::gib),
            volatile: volatile.map(Bytes::gib),
            ..Module::default()
        }
    }

    #[test]
    fn persistent_memory_is_not_the_kernels_memory() {
        let dram = || (slot("DDR4", 32), module("DRAM", Some(0), Some(32)));
        let optane = |persistent, volatile| {
            let technology = "Intel Optane DC persistent memory";
            (
                slot(NON_VOLATILE_KIND, 128),
                module(technology, persistent, volatile),
            )
        };
        let gib = |pairs: Vec<(Dimm, Module)>| {
            let (slots, modules): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            super::ram(&slots, &modules).0 >> 30
        };
        assert_eq!(gib(vec![dram(), dram()]), 64);
        assert_eq!(gib(vec![dram(), optane(Some(128), Some(0))]), 32);
        assert_eq!(gib(vec![dram(), optane(None, None)]), 32);
        // Memory Mode: the DRAM is cache.
        assert_eq!(gib(vec![dram(), optane(Some(0), Some(126))]), 126);
        let nvdimm = (slot("DDR4", 16), module("NVDIMM-N", Some(16), None));
        assert_eq!(gib(vec![dram(), nvdimm]), 32);
        // A table from before SMBIOS 3.2 says nothing of this.
        assert_eq!(gib(vec![(slot("DDR3", 8), Module::default())]), 8);
    }
}
