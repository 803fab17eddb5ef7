// SPDX-License-Identifier: Apache-2.0
//! The DIMMs that should be there: from the site file, else from the last good report.

use super::super::{LAST_GOOD, SITE_FILE};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::health::Place;
use groundstate_api::inventory::{Dimm, MemoryInfo};
use groundstate_api::site::Hardware;
use groundstate_api::units::Bytes;

/// One DIMM that should be there.
pub(super) struct Wanted {
    pub(super) slot: String,
    /// Bank; `None` where the expectation does not say.
    pub(super) bank: Option<String>,
    pub(super) size: Option<Bytes>,
    pub(super) serial: Option<String>,
    pub(super) vendor: String,
    pub(super) part_number: String,
    pub(super) from: &'static str,
}

/// `unreadable` is told of each size in the site file that is none.
pub(super) fn wanted(
    expected: Option<&Hardware>,
    last_good: Option<&MemoryInfo>,
    unreadable: &mut dyn FnMut(String, &str),
) -> Vec<Wanted> {
    let before = last_good.map_or(&[][..], |memory| &memory.dimms);
    let named = expected.map_or(&[][..], |hardware| &hardware.dimms);
    if named.is_empty() {
        let populated = before.iter().filter(|dimm| dimm.populated);
        return populated
            .map(|dimm| Wanted {
                slot: dimm.slot.clone(),
                bank: Some(dimm.bank.clone()),
                size: dimm.size,
                serial: serial(dimm),
                vendor: dimm.manufacturer.clone(),
                part_number: dimm.part_number.clone(),
                from: LAST_GOOD,
            })
            .collect();
    }
    let mut wanted = Vec::new();
    for (index, dimm) in named.iter().enumerate() {
        let size = Bytes::parse(&dimm.size);
        if size.is_none() {
            unreadable(format!("hardware.dimm[{index}].size"), &dimm.size);
        }
        // What the last good report knows of the slot, unless it is of another module.
        let mut known = before.iter().filter(|d| d.slot == dimm.slot && d.populated);
        let known = known.find(|d| dimm.serial.is_none() || serial(d) == dimm.serial);
        wanted.push(Wanted {
            slot: dimm.slot.clone(),
            bank: None,
            size,
            serial: dimm.serial.clone().or_else(|| known.and_then(serial)),
            vendor: known.map(|d| d.manufacturer.clone()).unwrap_or_default(),
            part_number: known.map(|d| d.part_number.clone()).unwrap_or_default(),
            from: SITE_FILE,
        });
    }
    wanted
}

/// Words that firmware and publishers of captures write for "no serial number", in lower case.
const NO_SERIAL: [&str; 14] = [
    "",
    "unknown",
    "not specified",
    "none",
    "no dimm",
    "nodimm",
    "undefined",
    "empty",
    "[empty]",
    "n/a",
    "to be filled by o.e.m.",
    "not available",
    "fffffffff",
    "0",
];

/// The serial number, unless the firmware fills the field with a word for "none", or with one character only.
pub(super) fn serial(dimm: &Dimm) -> Option<String> {
    let said = dimm.serial.to_ascii_lowercase();
    let first = said.chars().next()?;
    let filler = matches!(first, '0' | 'f' | '-' | '*' | '.' | ' ' | '?');
    let fill = filler && said.chars().all(|c| c == first);
    (!fill && !NO_SERIAL.contains(&said.as_str())).then(|| dimm.serial.clone())
}

impl Wanted {
    /// What is expected, in words.
    pub(super) fn words(&self) -> String {
        let size = self
            .size
            .map_or_else(|| "a DIMM".into(), |size| format!("{size}"));
        let mut words = format!("{} expects {size} in slot {}", self.from, self.slot);
        if let Some(serial) = &self.serial {
            words.push_str(", serial ");
            words.push_str(serial);
        }
        if self.from == LAST_GOOD && !self.made().is_empty() {
            words.push_str(", ");
            words.push_str(&self.made());
        }
        words
    }
    /// Maker and part number, as far as they are known.
    fn made(&self) -> String {
        String::from(format!("{} {}", self.vendor, self.part_number).trim())
    }
    /// What the last good report adds to an expectation of the site file, which has no makers.
    pub(super) fn known(&self) -> Option<String> {
        let made = self.made();
        let add = self.from == SITE_FILE && !made.is_empty();
        add.then(|| format!("{LAST_GOOD} had {made} in slot {}", self.slot))
    }
    /// What a technician needs to find the slot and to order the part.
    pub(super) fn place(&self) -> Place {
        Place {
            slot: self.slot.clone(),
            vendor: self.vendor.clone(),
            part_number: self.part_number.clone(),
            serial: self.serial.clone().unwrap_or_default(),
            size: self.size,
            ..Place::default()
        }
    }
}

/// A name for each slot that no other slot has: its own, with the bank where names repeat, with a number where banks do
/// too.
pub(crate) fn labels(dimms: &[Dimm]) -> Vec<String> {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let mut pairs: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for dimm in dimms {
        *names.entry(&dimm.slot).or_default() += 1;
        *pairs.entry((&dimm.slot, &dimm.bank)).or_default() += 1;
    }
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    dimms
        .iter()
        .map(|dimm| {
            let (slot, bank) = (dimm.slot.as_str(), dimm.bank.as_str());
            let number = numbers.entry(slot).or_default();
            *number += 1;
            if names.get(slot) == Some(&1) {
                dimm.slot.clone()
            } else if pairs.get(&(slot, bank)) == Some(&1) && !bank.is_empty() {
                format!("{slot} ({bank})")
            } else {
                format!("{slot} (number {number})")
            }
        })
        .collect()
}
