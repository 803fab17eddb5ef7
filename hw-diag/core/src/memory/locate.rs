// SPDX-License-Identifier: Apache-2.0
//! Which slots a physical address belongs to, as far as the firmware's tables say (types 19 and 20).
//!
//! Refuses to name one slot where several share the address: interleaved ranges name all of them.

use super::Details;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::inventory::Dimm;

/// Where an address lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The slots that it may lie in, in table order and by names that differ; never empty.
    pub slots: Vec<String>,
    /// Indices of those slots in the list of DIMMs.
    pub indices: Vec<usize>,
    /// How that is known, in words.
    pub how: String,
}

/// The populated slots that a physical address may lie in; `None` where no table covers it.
#[must_use]
pub fn locate(slots: &[Dimm], details: &Details, address: u64) -> Option<Located> {
    let of_module = |index: &usize| {
        let module = details.modules.get(*index);
        module.is_some_and(|module| {
            details
                .ranges
                .iter()
                .any(|range| range.device == Some(module.handle) && range.covers(address))
        })
    };
    let of_array = |index: &usize| {
        let array = details.modules.get(*index).and_then(|module| module.array);
        array.is_some_and(|array| {
            details
                .ranges
                .iter()
                .any(|range| range.array == Some(array) && range.covers(address))
        })
    };
    let populated = || {
        slots
            .iter()
            .enumerate()
            .filter(|(_, dimm)| dimm.populated)
            .map(|(index, _)| index)
    };
    let mut indices: Vec<usize> = populated().filter(of_module).collect();
    let mut table = "SMBIOS type 20";
    if indices.is_empty() {
        indices = populated().filter(of_array).collect();
        table = "SMBIOS type 19";
    }
    let labels = crate::judge::labels(slots);
    let names: Vec<String> = indices
        .iter()
        .filter_map(|index| labels.get(*index).cloned())
        .collect();
    let how = match names.len() {
        0 => return None,
        1 => format!("{table} gives the address {address:#x} to this slot alone"),
        several => format!(
            "{table} gives the address {address:#x} to {several} slots, which share it by interleaving"
        ),
    };
    Some(Located {
        slots: names,
        indices,
        how,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Module, Range};

    #[test]
    fn an_address_names_its_module_else_its_array() {
        let dimm = |slot: &str, populated| Dimm {
            slot: slot.into(),
            bank: String::new(),
            size: None,
            populated,
            kind: String::new(),
            speed: 0,
            manufacturer: String::new(),
            part_number: String::new(),
            serial: String::new(),
            errors: None,
        };
        let slots = [dimm("A1", true), dimm("A2", true), dimm("B1", false)];
        let module = |handle| Module {
            handle,
            array: Some(0x10),
            ..Module::default()
        };
        let range = |start, end, array, device| Range {
            start,
            end,
            array,
            device,
            interleave: None,
        };
        let details = Details {
            modules: vec![module(1), module(2), module(3)],
            ranges: vec![
                range(0, 0x2fff, Some(0x10), None),
                range(0, 0xfff, None, Some(1)),
                range(0x1000, 0x1fff, None, Some(1)),
                range(0x1000, 0x1fff, None, Some(2)),
                // An empty slot cannot hold an address, and a range may end before it starts.
                range(0x2000, 0x2fff, None, Some(3)),
                range(0x9000, 0x8000, None, Some(1)),
            ],
            ..Details::default()
        };
        let at = |address| locate(&slots, &details, address).map(|found| found.slots.join("+"));
        assert_eq!(at(0xfff).unwrap(), "A1");
        assert_eq!(at(0x1000).unwrap(), "A1+A2");
        assert_eq!(at(0x2000).unwrap(), "A1+A2");
        assert_eq!(at(0x3000), None);
        assert_eq!(at(0x8800), None);
    }
}
