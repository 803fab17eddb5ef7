// SPDX-License-Identifier: Apache-2.0
//! Decides how our host's boot entry gets into the firmware's list, and which variables change for it.

use super::{DevicePath, EfiError, LOAD_OPTION_ACTIVE, LoadOption, Node, Ucs2};
use crate::guid::Guid;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

/// The description by which we know our own entry.
pub const OUR_DESCRIPTION: &str = "Groundstate host";

/// A `Boot####` variable that is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    /// Its number.
    pub number: u16,
    /// What it says; `None` where it cannot be read: such a one is left alone and its number stays taken.
    pub option: Option<LoadOption>,
}

/// One change, to be made in the given order: a power cut between two of them leaves a list that still boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootChange {
    /// Write this option.
    Write {
        /// Its number.
        number: u16,
        /// What it says.
        option: LoadOption,
    },
    /// Write this `BootOrder`.
    Order(Vec<u16>),
    /// Delete this option: an older entry of ours.
    Delete(u16),
}

/// What has to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryChanges {
    /// The number of our entry.
    pub number: u16,
    /// The changes in order; none when everything is as it should be.
    pub changes: Vec<BootChange>,
}

/// The entry for a host: `file` (with backslashes) on GPT partition `number` of any disk.
///
/// # Errors
/// `file` holds a NUL.
pub fn our_option(
    number: u32,
    start_lba: u64,
    size_lba: u64,
    guid: Guid,
    file: &str,
) -> Result<LoadOption, EfiError> {
    let partition = Node::GptPartition {
        number,
        start_lba,
        size_lba,
        guid,
    };
    Ok(LoadOption {
        attributes: LOAD_OPTION_ACTIVE,
        description: Ucs2::new(OUR_DESCRIPTION)?,
        paths: vec![DevicePath(vec![partition, Node::File(Ucs2::new(file)?)])],
        optional_data: Vec::new(),
    })
}

/// Puts `ours` first in the boot order. An older entry with our description is replaced under its number, further ones
/// are deleted, everything else stays in its order. Doing it twice changes nothing the second time.
///
/// # Errors
/// Every boot number is taken.
pub fn add_boot_entry(
    existing: &[Existing],
    order: &[u16],
    ours: LoadOption,
) -> Result<EntryChanges, EfiError> {
    let is_ours = |entry: &&Existing| {
        entry
            .option
            .as_ref()
            .is_some_and(|o| o.description == ours.description)
    };
    let mut mine: Vec<&Existing> = existing.iter().filter(is_ours).collect();
    mine.sort_by_key(|entry| (entry.option.as_ref() != Some(&ours), entry.number));
    let number = match mine.first() {
        Some(entry) => entry.number,
        None => free_number(existing, order)?,
    };
    let stale: Vec<u16> = mine.iter().skip(1).map(|entry| entry.number).collect();
    let mut wanted = vec![number];
    wanted.extend(order.iter().filter(|n| **n != number && !stale.contains(n)));

    let mut changes = Vec::new();
    if mine.first().and_then(|entry| entry.option.as_ref()) != Some(&ours) {
        changes.push(BootChange::Write {
            number,
            option: ours,
        });
    }
    if wanted != order {
        changes.push(BootChange::Order(wanted));
    }
    changes.extend(stale.into_iter().map(BootChange::Delete));
    Ok(EntryChanges { number, changes })
}

/// The lowest number that neither names an option nor stands in the order (where it may be about to come back).
fn free_number(existing: &[Existing], order: &[u16]) -> Result<u16, EfiError> {
    let taken: BTreeSet<u16> = existing
        .iter()
        .map(|entry| entry.number)
        .chain(order.iter().copied())
        .collect();
    (0..=u16::MAX)
        .find(|number| !taken.contains(number))
        .ok_or(EfiError::NoFreeNumber)
}
