// SPDX-License-Identifier: Apache-2.0
//! A rack as a person in front of it sees it: units from top to bottom, with what is free between.

use super::words::PhaseWord;
use crate::fleet_view::NO_RACK;
use groundstate_api::fleet::{RackView, SlotView};
use groundstate_api::view::Phase;
use std::collections::BTreeMap;

pub(super) struct Elevation {
    /// The last part of its address.
    pub(super) key: String,
    pub(super) title: String,
    pub(super) about: String,
    pub(super) cells: Vec<Cell>,
    /// What stands in no unit: upright PDUs, nodes of no rack.
    pub(super) beside: Vec<Cell>,
    pub(super) counts: Vec<(PhaseWord, u32)>,
    pub(super) nodes: usize,
}

pub(super) struct Cell {
    /// `7`, `7–8`, or nothing.
    pub(super) unit: String,
    pub(super) height: u16,
    pub(super) what: What,
    pub(super) name: String,
    pub(super) why: String,
}

pub(super) enum What {
    Node(PhaseWord),
    Fixture(String),
    Free,
}

/// The tallest cell that the style has a height for: the most units of a rack.
const HEIGHT_MAX: u16 = 60;

impl Elevation {
    pub(super) fn of(rack: &RackView) -> Self {
        let mut counts: BTreeMap<Phase, u32> = BTreeMap::new();
        for phase in rack.slots.iter().filter_map(|slot| slot.phase) {
            *counts.entry(phase).or_default() += 1;
        }
        let (cells, beside) = cells(rack);
        let loose = rack.name == NO_RACK;
        let mut about = vec![rack.place.clone()];
        if rack.fault_domain != rack.name {
            about.push(format!("fails with {}", rack.fault_domain));
        }
        about.retain(|text| !text.is_empty());
        Self {
            key: key(&rack.name),
            title: if loose {
                "In no rack".to_owned()
            } else {
                rack.name.clone()
            },
            about: about.join(", "),
            nodes: rack.slots.iter().filter(|s| s.phase.is_some()).count(),
            counts: counts.into_iter().map(|(p, n)| (p.into(), n)).collect(),
            cells,
            beside,
        }
    }
}

/// A name as one part of an address, whatever it has in it.
pub(super) fn key(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            key.push(char::from(byte));
        } else {
            key.push_str(&format!("%{byte:02X}"));
        }
    }
    key
}

fn cells(rack: &RackView) -> (Vec<Cell>, Vec<Cell>) {
    let (mut cells, mut beside) = (Vec::new(), Vec::new());
    // The unit below which everything is still to be drawn.
    let mut open = rack.units;
    for slot in &rack.slots {
        if slot.unit == 0 {
            beside.push(cell(slot, String::new()));
            continue;
        }
        let height = slot.height.clamp(1, HEIGHT_MAX);
        let top = slot.unit.saturating_add(height - 1);
        if open > top {
            cells.push(free(top + 1, open));
        }
        let unit = if height == 1 {
            slot.unit.to_string()
        } else {
            format!("{}–{top}", slot.unit)
        };
        cells.push(cell(slot, unit));
        open = open.min(slot.unit.saturating_sub(1));
    }
    if open > 0 && rack.units > 0 {
        cells.push(free(1, open));
    }
    (cells, beside)
}

fn cell(slot: &SlotView, unit: String) -> Cell {
    Cell {
        unit,
        height: slot.height.clamp(1, HEIGHT_MAX),
        what: match slot.phase {
            Some(phase) => What::Node(phase.into()),
            None => What::Fixture(match slot.kind.as_str() {
                "pdu" => "PDU".to_owned(),
                kind => kind.to_owned(),
            }),
        },
        name: slot.name.clone(),
        why: slot.why.clone().unwrap_or_default(),
    }
}

fn free(from: u16, to: u16) -> Cell {
    Cell {
        unit: if from == to {
            from.to_string()
        } else {
            format!("{from}–{to}")
        },
        height: (to - from + 1).min(HEIGHT_MAX),
        what: What::Free,
        name: String::new(),
        why: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(unit: u16, height: u16, name: &str) -> SlotView {
        SlotView {
            unit,
            height,
            name: name.into(),
            kind: "node".into(),
            phase: Some(Phase::Ready),
            why: None,
        }
    }

    #[test]
    fn every_unit_is_drawn_once_from_the_top() {
        let rack = RackView {
            name: "r1".into(),
            fault_domain: "row".into(),
            place: String::new(),
            units: 10,
            slots: vec![slot(8, 2, "b"), slot(3, 1, "a"), slot(0, 1, "pdu")],
        };
        let seen = Elevation::of(&rack);
        let drawn: Vec<(String, u16, String)> = seen
            .cells
            .iter()
            .map(|cell| (cell.unit.clone(), cell.height, cell.name.clone()))
            .collect();
        let want = [
            ("10", 1, ""),
            ("8–9", 2, "b"),
            ("4–7", 4, ""),
            ("3", 1, "a"),
            ("1–2", 2, ""),
        ];
        let want: Vec<_> = want
            .iter()
            .map(|(unit, height, name)| ((*unit).to_owned(), *height, (*name).to_owned()))
            .collect();
        assert_eq!(drawn, want);
        assert_eq!(seen.cells.iter().map(|c| c.height).sum::<u16>(), 10);
        assert_eq!(seen.beside.len(), 1);
        assert_eq!(seen.about, "fails with row");
        assert_eq!(key("a/b?<"), "a%2Fb%3F%3C");
    }
}
