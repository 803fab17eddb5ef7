// SPDX-License-Identifier: Apache-2.0
//! Which rung worked for which model and firmware: a small table that the shell keeps.

use crate::rung::Rung;
use crate::text::inert_within;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::Millis;
use groundstate_api::action::NextBoot;
use serde::{Deserialize, Serialize};

/// The most rows: a fleet has tens of models with a few firmware versions each. The oldest row goes first.
pub const ROWS_MAX: usize = 1_024;
/// The longest name in a row, in characters.
const NAME_MAX: usize = 64;
/// So many boots that went elsewhere count as a lie; a single one may be a loose cable.
const BOOTS_OTHERWISE_MAX: u32 = 2;

/// A model with its firmware.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MachineKey {
    /// Manufacturer.
    pub manufacturer: String,
    /// Model.
    pub model: String,
    /// The BMC's firmware and the BIOS, as far as they are known: either decides what becomes of an override.
    pub firmware: String,
}

impl MachineKey {
    /// A key of texts that a machine says.
    #[must_use]
    pub fn new(manufacturer: &str, model: &str, firmware: &str) -> Self {
        Self {
            manufacturer: inert_within(manufacturer, NAME_MAX),
            model: inert_within(model, NAME_MAX),
            firmware: inert_within(firmware, NAME_MAX),
        }
    }
}

/// What became of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lesson {
    /// The machine booted what it should.
    Booted,
    /// The BMC said yes, and something else was read back.
    ReadBackDiffers,
    /// All was read back well, and the machine booted something else or nothing.
    BootedOtherwise,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Model and firmware.
    pub machine: MachineKey,
    /// What was wanted.
    pub to: NextBoot,
    /// The rung.
    pub rung: Rung,
    /// How often the machine booted what it should.
    pub worked: u32,
    /// How often something else was read back since it last worked.
    pub refused: u32,
    /// How often something else was booted since it last worked.
    pub otherwise: u32,
    /// When it was last noted, milliseconds since 1970.
    pub at: Millis,
}

impl Row {
    /// Whether it is known to lie.
    #[must_use]
    pub const fn lies(&self) -> bool {
        self.refused > 0 || self.otherwise >= BOOTS_OTHERWISE_MAX
    }
}

/// The table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    rows: Vec<Row>,
}

impl Learned {
    /// Notes what became of a try.
    pub fn note(
        &mut self,
        machine: &MachineKey,
        to: NextBoot,
        rung: Rung,
        lesson: Lesson,
        now: Millis,
    ) {
        let index = match self.index(machine, to, rung) {
            Some(index) => index,
            None => self.add(machine, to, rung),
        };
        let Some(row) = self.rows.get_mut(index) else {
            return;
        };
        row.at = now;
        match lesson {
            Lesson::Booted => {
                row.worked = row.worked.saturating_add(1);
                (row.refused, row.otherwise) = (0, 0);
            }
            Lesson::ReadBackDiffers => row.refused = row.refused.saturating_add(1),
            Lesson::BootedOtherwise => row.otherwise = row.otherwise.saturating_add(1),
        }
    }

    /// The rows, in the order in which they came.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rungs of `can` that can bring `to` about, in the order in which they are tried: what worked, what is unknown, and last what
    /// is known to lie, because nothing else is left then.
    #[must_use]
    pub fn order(&self, machine: Option<&MachineKey>, to: NextBoot, can: &[Rung]) -> Vec<Rung> {
        let rank = |rung: Rung| {
            let row = machine.and_then(|machine| self.rows.get(self.index(machine, to, rung)?));
            match row {
                Some(row) if row.lies() => 2,
                Some(row) if row.worked > 0 => 0,
                Some(_) | None => 1,
            }
        };
        let mut rungs: Vec<Rung> = Rung::ALL
            .into_iter()
            .filter(|rung| can.contains(rung) && rung.can(to))
            .collect();
        rungs.sort_by_key(|rung| rank(*rung));
        rungs
    }

    fn index(&self, machine: &MachineKey, to: NextBoot, rung: Rung) -> Option<usize> {
        self.rows
            .iter()
            .position(|row| row.rung == rung && row.to == to && row.machine == *machine)
    }

    fn add(&mut self, machine: &MachineKey, to: NextBoot, rung: Rung) -> usize {
        if self.rows.len() >= ROWS_MAX {
            let oldest = self
                .rows
                .iter()
                .enumerate()
                .min_by_key(|(_, row)| row.at)
                .map(|(index, _)| index);
            if let Some(oldest) = oldest {
                self.rows.remove(oldest);
            }
        }
        self.rows.push(Row {
            machine: machine.clone(),
            to,
            rung,
            worked: 0,
            refused: 0,
            otherwise: 0,
            at: Millis(0),
        });
        self.rows.len() - 1
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn what_worked_is_tried_first_and_what_lied_last() {
        let key = MachineKey::new("Contoso", "R\u{1b}1", "1.0");
        let mut learned = Learned::default();
        let order = |learned: &Learned| learned.order(Some(&key), NextBoot::Network, &Rung::ALL);
        assert_eq!(order(&learned), Rung::ALL);
        learned.note(
            &key,
            NextBoot::Network,
            Rung::RedfishOnce,
            Lesson::ReadBackDiffers,
            Millis(1),
        );
        learned.note(
            &key,
            NextBoot::Network,
            Rung::Ipmi,
            Lesson::Booted,
            Millis(2),
        );
        learned.note(
            &key,
            NextBoot::Network,
            Rung::RedfishPersistent,
            Lesson::BootedOtherwise,
            Millis(3),
        );
        assert_eq!(
            order(&learned),
            [
                Rung::Ipmi,
                Rung::RedfishPersistent,
                Rung::InOs,
                Rung::BootService,
                Rung::RedfishOnce
            ]
        );
        // Another wish, another firmware: nothing is known.
        assert_eq!(
            learned.order(Some(&key), NextBoot::Disk, &Rung::ALL),
            Rung::ALL
        );
        assert_eq!(learned.order(None, NextBoot::HttpBoot, &Rung::ALL).len(), 4);
        learned.note(
            &key,
            NextBoot::Network,
            Rung::RedfishOnce,
            Lesson::Booted,
            Millis(4),
        );
        assert_eq!(order(&learned).first(), Some(&Rung::RedfishOnce));
        let json = serde_json::to_string(&learned).unwrap();
        assert_eq!(serde_json::from_str::<Learned>(&json).unwrap(), learned);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut learned = Learned::default();
        for count in 0..(ROWS_MAX + 10) {
            let key = MachineKey::new("m", &format!("{count}"), &"x".repeat(1_000));
            learned.note(
                &key,
                NextBoot::Disk,
                Rung::Ipmi,
                Lesson::Booted,
                Millis(u64::try_from(count).unwrap()),
            );
        }
        assert_eq!(learned.rows().len(), ROWS_MAX);
        assert_eq!(learned.rows()[0].machine.model, "10");
    }
}
