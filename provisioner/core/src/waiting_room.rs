// SPDX-License-Identifier: Apache-2.0
//! The waiting room: machines that are of no node, as they asked to enrol or were heard by the boot service.
//!
//! Whatever they say proves nothing, so that nobody is let in from here but by a person. A flood of invented machines costs
//! bounded memory, few events, and no place of a machine that goes on asking: the one that was silent longest goes first, and
//! what only a datagram said never drives out what spoke over a connection.

use crate::deadline::{ENROL_RETRY_SLOW, ENROL_RETRY_WAITING};
use crate::decide::{Reply, Wish};
use crate::fleet::Fleet;
use crate::reasons;
use crate::reasons_site;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;
use groundstate_api::boot::BootSighting;
use groundstate_api::enrol::EnrolRequest;
use groundstate_api::event::Happened;
use groundstate_api::glob;
use groundstate_api::machine::{Left, Machine};
use groundstate_api::site::Site;
use groundstate_api::{MacAddr, Millis};

/// Machines that asked to enrol and are kept: a hall that is racked at once.
pub const ASKED_MAX: usize = 1_024;
/// Machines that were only heard and are kept.
pub const HEARD_MAX: usize = 512;
/// Machines that asked from one address and are kept: a machine has one, a few while it is moved about.
pub const OF_ADDRESS_MAX: usize = 8;

/// The machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct WaitingRoom {
    machines: BTreeMap<MacAddr, Machine>,
}

impl WaitingRoom {
    /// Takes in what a machine says of itself. Whether that is news: it is new, or says something else than before.
    pub(crate) fn take(&mut self, said: Machine) -> bool {
        match self.machines.get_mut(&said.mac) {
            Some(known) => {
                let before = known.clone();
                known.last_seen = known.last_seen.max(said.last_seen);
                // What was only heard takes nothing from what was said.
                if said.uuid.is_some() || known.uuid.is_none() {
                    let first_seen = known.first_seen.min(said.first_seen);
                    let heard = known.clone();
                    *known = said;
                    known.first_seen = first_seen;
                    known.last_seen = known.last_seen.max(heard.last_seen);
                    known.firmware = known.firmware.or(heard.firmware);
                    known.relay = known.relay.take().or(heard.relay);
                    known.address = known.address.take().or(heard.address);
                }
                differs(&before, known)
            }
            None => {
                self.make_room(&said);
                self.machines.insert(said.mac, said);
                true
            }
        }
    }

    /// The longest silent of its kind goes where there is no place left.
    fn make_room(&mut self, new: &Machine) {
        let asked = new.uuid.is_some();
        let of_address = |machine: &&Machine| {
            asked
                && machine.uuid.is_some()
                && machine.address == new.address
                && new.address.is_some()
        };
        let of_kind = |machine: &&Machine| machine.uuid.is_some() == asked;
        let most = if asked { ASKED_MAX } else { HEARD_MAX };
        let crowd = self.machines.values().filter(of_address).count() >= OF_ADDRESS_MAX;
        let goes = if crowd {
            self.machines
                .values()
                .filter(of_address)
                .min_by_key(|machine| machine.last_seen)
        } else if self.machines.values().filter(of_kind).count() >= most {
            self.machines
                .values()
                .filter(of_kind)
                .min_by_key(|machine| machine.last_seen)
        } else {
            None
        };
        if let Some(mac) = goes.map(|machine| machine.mac) {
            self.machines.remove(&mac);
        }
    }

    /// It is here no more. Whether it was.
    pub(crate) fn leave(&mut self, mac: MacAddr) -> bool {
        self.machines.remove(&mac).is_some()
    }

    /// Those go that are of a node now, whichever of their addresses is the node's.
    pub(crate) fn let_go(&mut self, is_node: impl Fn(MacAddr) -> bool) {
        self.machines
            .retain(|mac, machine| !is_node(*mac) && !machine.macs.iter().any(|mac| is_node(*mac)));
    }
}

/// Whether they say something else of themselves; when they said it does not count.
fn differs(before: &Machine, now: &Machine) -> bool {
    let still = Machine {
        first_seen: now.first_seen,
        last_seen: now.last_seen,
        // An address that is leased anew is no news.
        address: now.address.clone(),
        ..before.clone()
    };
    still != *now
}

impl Fleet {
    /// The waiting machines, the longest known first, with what the site would propose for each.
    #[must_use]
    pub fn machines(&self, site: &Site) -> Vec<Machine> {
        let mut machines: Vec<Machine> = self.waiting.machines.values().cloned().collect();
        machines.sort_by_key(|machine| (machine.first_seen, machine.mac));
        for machine in &mut machines {
            propose(machine, site);
        }
        machines
    }

    /// One waiting machine.
    #[must_use]
    pub fn machine(&self, mac: MacAddr, site: &Site) -> Option<Machine> {
        let mut machine = self.waiting.machines.get(&mac)?.clone();
        propose(&mut machine, site);
        Some(machine)
    }

    /// How many wait.
    #[must_use]
    pub fn machines_waiting(&self) -> usize {
        self.waiting.machines.len()
    }

    /// A machine of no node asks to enrol: it is shown to people, and told what it waits for. Journalled once in a while.
    pub fn stranger_enrols(
        &mut self,
        now: Millis,
        request: &EnrolRequest,
        from: Option<IpAddr>,
        out: &mut Vec<Wish>,
    ) {
        let mac = request.boot_mac;
        let machine = of_request(now, request, from);
        let is_news = self.waiting.take(machine);
        let (reason, retry) = if self.closed() {
            (reasons::unknown_machine(&mac.to_string()), ENROL_RETRY_SLOW)
        } else {
            (reasons_site::waits_to_be_accepted(mac), ENROL_RETRY_WAITING)
        };
        if is_news && self.stranger_is_news(now, mac) {
            if self.closed() {
                out.push(Wish::Append(Happened::EnrolRefused {
                    reason: reason.clone(),
                    alarm: false,
                }));
            }
            self.tell_of(mac, out);
        }
        out.push(Wish::Reply(Reply::NotEnrolled { reason, retry }));
    }

    /// The boot service saw a machine of no node.
    pub fn stranger_boots(
        &mut self,
        now: Millis,
        mac: MacAddr,
        sighting: BootSighting,
        out: &mut Vec<Wish>,
    ) {
        let mut machine = heard(now, mac);
        if let BootSighting::Leased { address, firmware } = &sighting {
            machine.address = Some(address.clone());
            machine.firmware = *firmware;
        }
        let is_news = self.waiting.take(machine);
        if self.stranger_is_news(now, mac) {
            out.push(Wish::Append(Happened::BootSeen { sighting }));
            if is_news {
                self.tell_of(mac, out);
            }
        }
    }

    fn tell_of(&self, mac: MacAddr, out: &mut Vec<Wish>) {
        if let Some(machine) = self.waiting.machines.get(&mac) {
            let machine = Box::new(machine.clone());
            out.push(Wish::Append(Happened::MachineSeen { machine }));
        }
    }

    /// A machine leaves the waiting room. Whether it was there: one that was accepted went when the site got its node.
    pub fn machine_leaves(&self, mac: MacAddr, left: Left, by: &str, out: &mut Vec<Wish>) -> bool {
        let is_there = self.waiting.machines.contains_key(&mac);
        if is_there || matches!(left, Left::Accepted { .. }) {
            let by = by.to_string();
            out.push(Wish::Append(Happened::MachineLeft { mac, left, by }));
        }
        is_there
    }
}

fn heard(now: Millis, mac: MacAddr) -> Machine {
    Machine {
        mac,
        macs: Vec::new(),
        uuid: None,
        serial: None,
        model: None,
        address: None,
        firmware: None,
        relay: None,
        rack: None,
        profile: None,
        first_seen: now,
        last_seen: now,
    }
}

fn of_request(now: Millis, request: &EnrolRequest, from: Option<IpAddr>) -> Machine {
    let said = |text: &String| !text.trim().is_empty();
    let others: BTreeSet<MacAddr> = request.macs.iter().copied().collect();
    Machine {
        macs: others
            .into_iter()
            .filter(|mac| *mac != request.boot_mac)
            .collect(),
        uuid: request.uuid,
        serial: Some(request.serial.trim().to_string()).filter(said),
        model: request.model.clone().filter(said),
        address: from.map(|address| address.to_string()),
        ..heard(now, request.boot_mac)
    }
}

/// What the site would make of it: the rack that its relay agent alone stands for, the first profile whose model it fits.
pub fn propose(machine: &mut Machine, site: &Site) {
    let relay: Option<IpAddr> = machine.relay.as_ref().and_then(|text| text.parse().ok());
    let mut racks = site
        .racks
        .iter()
        .filter(|rack| relay.is_some() && rack.relay == relay);
    machine.rack = match (racks.next(), racks.next()) {
        (Some(rack), None) => Some(rack.name.clone()),
        (_, Some(_)) | (None, None) => None,
    };
    let fits = |pattern: &String| {
        machine
            .model
            .as_ref()
            .is_some_and(|model| glob::matches(pattern, model))
    };
    let profile = site
        .profiles
        .iter()
        .find(|profile| profile.model.as_ref().is_some_and(fits));
    machine.profile = profile.map(|profile| profile.name.clone());
}
