// SPDX-License-Identifier: Apache-2.0
//! What a node's disks counted in its inventories, for whoever asks what they gained since.
//!
//! Most counts never change, and names are longer than they are: each name is kept once, with its counts beside it in the order
//! of the inventories.

use crate::kept::{Figures, Kept, Packed};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::Millis;
use serde::{Deserialize, Serialize};

/// How many inventories' figures are kept per node: with a run a month, a year. The oldest stays for good, so that slow
/// growth shows too.
const FIGURES_MAX: usize = 12;

/// What the disks counted in one inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFigures {
    /// When the inventory came.
    pub at: Millis,
    /// Figures by the disk's serial number.
    pub disks: Figures,
}

/// The same of at most 12 inventories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted(Option<Kept<Columns>>);

/// Every disk's counts, each at the place of its inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Columns {
    /// When the inventories came, the oldest first.
    at: Vec<Millis>,
    /// By serial number.
    disks: BTreeMap<String, Column>,
}

/// One disk in all inventories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Column {
    /// Whether it was seen.
    seen: Vec<bool>,
    /// What it counted, by name.
    figures: BTreeMap<String, Vec<Option<i64>>>,
}

impl Counted {
    /// All of it, the oldest inventory first.
    #[must_use]
    pub fn get(&self) -> Vec<DiskFigures> {
        let columns = self.0.as_ref().map(Kept::get).unwrap_or_default();
        let one = |at| DiskFigures {
            at,
            disks: Figures::new(),
        };
        let mut all: Vec<DiskFigures> = columns.at.into_iter().map(one).collect();
        for (serial, column) in columns.disks {
            for (one, _) in all.iter_mut().zip(column.seen).filter(|(_, seen)| *seen) {
                one.disks.insert(serial.clone(), BTreeMap::new());
            }
            for (name, values) in column.figures {
                for (one, value) in all.iter_mut().zip(values) {
                    if let (Some(disk), Some(value)) = (one.disks.get_mut(&serial), value) {
                        disk.insert(name.clone(), value);
                    }
                }
            }
        }
        all
    }

    /// Takes in what another inventory's disks counted.
    pub(crate) fn count(&mut self, at: Millis, disks: Figures) {
        let mut all = self.get();
        all.push(DiskFigures { at, disks });
        if all.len() > FIGURES_MAX {
            // The oldest stays; the next one goes.
            all.remove(1);
        }
        self.0 = Some(Kept::new(&Columns::of(all)));
    }

    /// The long value, for a snapshot.
    pub(crate) fn packed_mut(&mut self) -> Option<&mut Packed> {
        self.0.as_mut().map(|kept| &mut kept.packed)
    }
}

impl Columns {
    fn of(all: Vec<DiskFigures>) -> Self {
        let inventories = all.len();
        let mut columns = Self::default();
        for (place, one) in all.into_iter().enumerate() {
            columns.at.push(one.at);
            for (serial, figures) in one.disks {
                let column = columns.disks.entry(serial).or_insert_with(|| Column {
                    seen: vec![false; inventories],
                    figures: BTreeMap::new(),
                });
                put(&mut column.seen, place, true);
                for (name, value) in figures {
                    let values = column.figures.entry(name);
                    let values = values.or_insert_with(|| vec![None; inventories]);
                    put(values, place, Some(value));
                }
            }
        }
        columns
    }
}

fn put<T>(values: &mut [T], place: usize, value: T) {
    if let Some(old) = values.get_mut(place) {
        *old = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn figures() -> impl Strategy<Value = Figures> {
        let disk = prop::collection::btree_map("[a-c]", any::<i64>(), 0..4);
        prop::collection::btree_map("[X-Z]", disk, 0..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_was_counted_comes_out_as_it_went_in_but_for_the_middle(
            all in prop::collection::vec(figures(), 0..30),
        ) {
            let (mut counted, mut plain) = (Counted::default(), Vec::new());
            for (at, disks) in (1..).zip(all) {
                counted.count(Millis(at), disks.clone());
                plain.push(DiskFigures { at: Millis(at), disks });
                if plain.len() > FIGURES_MAX {
                    plain.remove(1);
                }
                prop_assert_eq!(&counted.get(), &plain);
            }
        }
    }
}
