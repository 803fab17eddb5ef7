// SPDX-License-Identifier: Apache-2.0
//! Checks the things of a site that stand in racks: every name that is used is there, and nothing stands where something else
//! does.

use crate::site_limits::{FIXTURES_MAX, RACKS_MAX};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use groundstate_api::site::Site;
use groundstate_api::site_parts::{Fixture, Rack, Slot};

type Add<'a> = &'a mut dyn FnMut(String, String);

/// Units of a rack: the highest ones that are made have 60.
const UNITS: core::ops::RangeInclusive<u16> = 1..=60;
/// The longest name of a rack, switch, PDU, profile, …
const NAME_MAX: usize = 63;
/// The longest name of an outlet or a port.
const SOCKET_MAX: usize = 64;

/// Names every fault through `add`.
pub(crate) fn check(site: &Site, add: Add<'_>) {
    too_many("rack", site.racks.len(), RACKS_MAX, add);
    too_many("switch", site.switches.len(), FIXTURES_MAX, add);
    too_many("pdu", site.pdus.len(), FIXTURES_MAX, add);
    racks(site, add);
    let racks: BTreeMap<&str, &Rack> = site.racks.iter().map(|r| (r.name.as_str(), r)).collect();
    let mut places = Places::new(&racks);
    for (kind, fixtures) in [("switch", &site.switches), ("pdu", &site.pdus)] {
        let mut names = Names::default();
        for (index, fixture) in fixtures.iter().enumerate() {
            let path = format!("{kind}[{index}]");
            names.take(&path, &fixture.name, add);
            places.fixture(&path, fixture, add);
        }
    }
    let mut outlets = Sockets::new("pdu", site.pdus.iter().map(|pdu| pdu.name.as_str()));
    let switches = site.switches.iter().map(|switch| switch.name.as_str());
    let mut ports = Sockets::new("switch", switches);
    for (index, node) in site.nodes.iter().enumerate() {
        let Some(slot) = &node.slot else { continue };
        let path = format!("node[{index}].slot");
        places.node(&path, slot, add);
        for (at, outlet) in slot.power.iter().enumerate() {
            outlets.take(&format!("{path}.power[{at}]"), outlet, add);
        }
        if let Some(port) = &slot.port {
            ports.take(&format!("{path}.port"), port, add);
        }
    }
}

/// Says where a list is longer than is good.
pub(crate) fn too_many(path: &str, count: usize, most: usize, add: Add<'_>) {
    if count > most {
        add(path.to_string(), format!("{count}; {most} is the most"));
    }
}

/// Whether it is a name as racks, switches, profiles and the like have: it stands in paths, columns and names of files.
#[must_use]
pub(crate) fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=NAME_MAX).contains(&text.len())
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Names of one kind, each once.
#[derive(Default)]
pub(crate) struct Names<'a> {
    taken: BTreeMap<&'a str, String>,
}

impl<'a> Names<'a> {
    /// Checks a name and that no other has it.
    pub(crate) fn take(&mut self, path: &str, name: &'a str, add: Add<'_>) {
        let at = format!("{path}.name");
        if !is_name(name) {
            let should = format!("{name:?} should be 1 to {NAME_MAX} of a-z, 0-9 and '-'");
            add(at, should);
        } else if let Some(first) = self.taken.get(name) {
            add(at, format!("{name} is taken by {first}"));
        } else {
            self.taken.insert(name, path.to_string());
        }
    }
}

fn racks(site: &Site, add: Add<'_>) {
    let mut names = Names::default();
    for (index, rack) in site.racks.iter().enumerate() {
        let path = format!("rack[{index}]");
        names.take(&path, &rack.name, add);
        if !UNITS.contains(&rack.units) {
            let should = format!(
                "{} should be {} to {}",
                rack.units,
                UNITS.start(),
                UNITS.end()
            );
            add(format!("{path}.units"), should);
        }
        if let Some(domain) = rack.fault_domain.as_ref().filter(|name| !is_name(name)) {
            let should = format!("{domain:?} should be 1 to {NAME_MAX} of a-z, 0-9 and '-'");
            add(format!("{path}.fault_domain"), should);
        }
    }
}

/// What stands where.
struct Places<'a> {
    racks: &'a BTreeMap<&'a str, &'a Rack>,
    /// By rack and lowest unit: the units above it, the bay, and whose.
    taken: BTreeMap<(&'a str, u16), alloc::vec::Vec<Taken>>,
}

struct Taken {
    height: u16,
    bay: Option<u16>,
    path: String,
}

impl<'a> Places<'a> {
    fn new(racks: &'a BTreeMap<&'a str, &'a Rack>) -> Self {
        Self {
            racks,
            taken: BTreeMap::new(),
        }
    }

    fn fixture(&mut self, path: &str, fixture: &'a Fixture, add: Add<'_>) {
        if !self.rack(path, &fixture.rack, add) {
            return;
        }
        if let Some(unit) = fixture.unit {
            self.put(path, &fixture.rack, (unit, fixture.height, None), add);
        }
    }

    fn node(&mut self, path: &str, slot: &'a Slot, add: Add<'_>) {
        if self.rack(path, &slot.rack, add) {
            self.put(path, &slot.rack, (slot.unit, slot.height, slot.bay), add);
        }
    }

    fn rack(&self, path: &str, name: &str, add: Add<'_>) -> bool {
        let known = self.racks.contains_key(name);
        if !known {
            add(
                format!("{path}.rack"),
                no_such("rack", name, self.racks.keys().copied()),
            );
        }
        known
    }

    fn put(
        &mut self,
        path: &str,
        rack: &'a str,
        (unit, height, bay): (u16, u16, Option<u16>),
        add: Add<'_>,
    ) {
        let units = self.racks.get(rack).map_or(*UNITS.end(), |rack| rack.units);
        let is_unit = (1..=units).contains(&unit);
        if !is_unit {
            let should = format!("{unit} should be 1 to {units}, the units of rack {rack}");
            add(format!("{path}.unit"), should);
        }
        // From a unit that is none, as much fits as into the rack.
        let above = if is_unit { units - unit + 1 } else { units };
        let is_height = (1..=above).contains(&height);
        if !is_height {
            let should = format!("{height} should be 1 to {above}: rack {rack} has {units} units");
            add(format!("{path}.height"), should);
        }
        if !is_unit || !is_height {
            return;
        }
        // Whatever begins below may reach up to here; nothing is higher than a rack.
        let near = (rack, unit.saturating_sub(*UNITS.end()))..(rack, unit + height);
        let beside = |other: &Taken, at: u16| {
            at == unit
                && other.height == height
                && bay.is_some()
                && other.bay.is_some_and(|b| Some(b) != bay)
        };
        let clash = self.taken.range(near).find_map(|((_, at), others)| {
            let hit = |other: &&Taken| at + other.height > unit && !beside(other, *at);
            others.iter().find(hit).map(|other| other.path.clone())
        });
        if let Some(other) = clash {
            let last = unit + height - 1;
            let should = format!(
                "units {unit} to {last} of rack {rack} are taken by {other}; nodes of one chassis share units where each says another bay"
            );
            add(format!("{path}.unit"), should);
            return;
        }
        let path = path.to_string();
        let taken = Taken { height, bay, path };
        self.taken.entry((rack, unit)).or_default().push(taken);
    }
}

/// Outlets or ports: `NAME/SOCKET`, each once.
struct Sockets<'a> {
    kind: &'static str,
    known: alloc::collections::BTreeSet<&'a str>,
    taken: BTreeMap<&'a str, String>,
}

impl<'a> Sockets<'a> {
    fn new(kind: &'static str, known: impl Iterator<Item = &'a str>) -> Self {
        Self {
            kind,
            known: known.collect(),
            taken: BTreeMap::new(),
        }
    }

    fn take(&mut self, path: &str, text: &'a str, add: Add<'_>) {
        let kind = self.kind;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._:-/".contains(c);
        let split = text.split_once('/').filter(|(_, socket)| {
            (1..=SOCKET_MAX).contains(&socket.len()) && socket.chars().all(allowed)
        });
        let Some((name, _)) = split else {
            let should = format!(
                "{text:?} should be the name of a {kind}, a slash and 1 to {SOCKET_MAX} of A-Z, a-z, 0-9 and . _ : - /"
            );
            add(path.to_string(), should);
            return;
        };
        if !self.known.contains(name) {
            add(
                path.to_string(),
                no_such(kind, name, self.known.iter().copied()),
            );
        } else if let Some(first) = self.taken.get(text) {
            add(path.to_string(), format!("{text} is taken by {first}"));
        } else {
            self.taken.insert(text, path.to_string());
        }
    }
}

/// A name that nothing has, with those that there are.
pub(crate) fn no_such<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 8;
    let mut known: alloc::vec::Vec<&str> = known.take(SHOWN + 1).collect();
    let more = if known.len() > SHOWN { ", …" } else { "" };
    known.truncate(SHOWN);
    let there = if known.is_empty() {
        "none".to_string()
    } else {
        format!("{}{more}", known.join(", "))
    };
    format!("there is no {kind} {name:?}; there are: {there}")
}
