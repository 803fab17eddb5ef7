// SPDX-License-Identifier: Apache-2.0
//! The racks with what stands in them, from the top.

use super::Cell;
use groundstate_api::NodeId;
use groundstate_api::fleet::{RackView, SlotView};
use groundstate_api::site::Site;
use groundstate_api::site_parts::{Fixture, Rack};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The name under which the nodes of no rack stand.
pub(crate) const NO_RACK: &str = "-";

/// Racks by name, numbers in names by their value; the nodes of no rack last.
pub(super) fn racks(site: &Site, cells: &BTreeMap<NodeId, Cell>) -> Vec<RackView> {
    let mut racks: BTreeMap<&str, RackView> = site.racks.iter().map(empty).collect();
    for (kind, fixtures) in [("switch", &site.switches), ("pdu", &site.pdus)] {
        for fixture in fixtures {
            let rack = racks
                .entry(&fixture.rack)
                .or_insert_with(|| unnamed(&fixture.rack));
            rack.slots.push(of_fixture(kind, fixture));
        }
    }
    for node in &site.nodes {
        // A node that the site has and the fleet does not is on its way in: the next look has it.
        let Some(cell) = cells.get(&node.name) else {
            continue;
        };
        let (name, unit, height) = node.slot.as_ref().map_or((NO_RACK, 0, 1), |slot| {
            (slot.rack.as_str(), slot.unit, slot.height)
        });
        let rack = racks.entry(name).or_insert_with(|| unnamed(name));
        rack.slots.push(SlotView {
            unit,
            height,
            name: node.name.to_string(),
            kind: "node".to_owned(),
            phase: Some(cell.phase),
            why: cell.why.clone(),
        });
    }
    let mut racks: Vec<RackView> = racks.into_values().collect();
    for rack in &mut racks {
        // The top comes first; what has no unit comes last, by name.
        rack.slots
            .sort_by_cached_key(|slot| (Reverse(slot.unit), natural(&slot.name)));
    }
    racks.sort_by_cached_key(|rack| (rack.name == NO_RACK, natural(&rack.name)));
    racks
}

fn empty(rack: &Rack) -> (&str, RackView) {
    let view = RackView {
        name: rack.name.clone(),
        fault_domain: rack
            .fault_domain
            .clone()
            .unwrap_or_else(|| rack.name.clone()),
        place: rack.place.clone(),
        units: rack.units,
        slots: Vec::new(),
    };
    (&rack.name, view)
}

/// A rack that something stands in and nothing describes, or the place of what stands in none.
fn unnamed(name: &str) -> RackView {
    RackView {
        name: name.to_owned(),
        fault_domain: name.to_owned(),
        place: String::new(),
        units: 0,
        slots: Vec::new(),
    }
}

fn of_fixture(kind: &str, fixture: &Fixture) -> SlotView {
    SlotView {
        unit: fixture.unit.unwrap_or(0),
        height: fixture.height,
        name: fixture.name.clone(),
        kind: kind.to_owned(),
        phase: None,
        why: None,
    }
}

/// Sorts `rack-2` before `rack-10`: a name as its texts and numbers.
pub(crate) fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = vec![(String::new(), 0_u64)];
    let mut in_number = false;
    for c in name.chars() {
        let digit = c.to_digit(10).map(u64::from);
        if digit.is_none() && in_number {
            parts.push((String::new(), 0));
        }
        in_number = digit.is_some();
        if let Some((text, number)) = parts.last_mut() {
            match digit {
                Some(digit) => *number = number.saturating_mul(10).saturating_add(digit),
                None => text.push(c),
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_by_their_value() {
        let mut names = ["rack-10", "rack-2", "a1-b10", "a1-b9", "rack", "10", "9"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(
            names,
            ["9", "10", "a1-b9", "a1-b10", "rack", "rack-2", "rack-10"]
        );
    }
}
