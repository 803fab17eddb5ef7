// SPDX-License-Identifier: Apache-2.0
//! The waiting room around what `prov-core` decides: what boot services heard beside it, and a machine that becomes a node.

use crate::api::Refusal;
use crate::provisioner::Provisioner;
use axum::http::StatusCode;
use groundstate_api::machine::{Accept, Left, Machine};
use groundstate_api::site::{Node, Site};
use groundstate_api::site_parts::Slot;
use groundstate_api::{MacAddr, SystemUuid};
use prov_core::reasons_site;

impl Provisioner {
    /// The waiting machines.
    pub(crate) fn machines(&self) -> Vec<Machine> {
        let site = self.site();
        let mut machines = self.with_fleet(|fleet| fleet.machines(&site));
        machines
            .iter_mut()
            .for_each(|machine| self.heard_of(machine, &site));
        machines
    }

    fn machine(&self, mac: MacAddr) -> Option<Machine> {
        let site = self.site();
        let mut machine = self.with_fleet(|fleet| fleet.machine(mac, &site))?;
        self.heard_of(&mut machine, &site);
        Some(machine)
    }

    /// Adds what a boot service knows of its newest boot and it did not say itself.
    fn heard_of(&self, machine: &mut Machine, site: &Site) {
        let Some(session) = self.boots(Some(machine.mac)).sessions.into_iter().next() else {
            return;
        };
        machine.firmware = machine.firmware.or(session.firmware);
        machine.address = machine.address.take().or(session.address);
        machine.relay = machine.relay.take().or(session.relay);
        prov_core::waiting_room::propose(machine, site);
    }

    /// Makes a waiting machine a node of the site. Blocks.
    pub(crate) fn accept_machine(
        &self,
        mac: MacAddr,
        accept: &Accept,
        by: &str,
    ) -> Result<(), Refusal> {
        let machine = self.machine(mac).ok_or_else(|| not_there(mac))?;
        let Some((uuid, serial)) = identity(&machine) else {
            return Err(Refusal::conflict(reasons_site::cannot_be_accepted(
                &machine,
            )));
        };
        let node = Node {
            slot: slot(accept, &machine)?,
            profile: accept.profile.clone().or(machine.profile),
            ..Node::new(accept.name.clone(), mac, uuid, &serial)
        };
        self.change_site(by, |site, _| {
            if site.nodes.iter().any(|known| known.name == node.name) {
                return Err(Refusal::field(
                    "name",
                    format!("{} is a node of the site already", node.name),
                ));
            }
            let mut site = site.clone();
            site.nodes.push(node);
            Ok(site)
        })?;
        let node = accept.name.clone();
        self.machine_left(mac, Left::Accepted { node }, by)
            .map(drop)
    }

    /// Sends a machine out of the waiting room. Blocks.
    pub(crate) fn forget_machine(&self, mac: MacAddr, by: &str) -> Result<(), Refusal> {
        match self.machine_left(mac, Left::Forgotten, by)? {
            true => Ok(()),
            false => Err(not_there(mac)),
        }
    }

    /// Whether it was there.
    fn machine_left(&self, mac: MacAddr, left: Left, by: &str) -> Result<bool, Refusal> {
        let mut was_there = false;
        self.decide_alone(None, |fleet, _, wishes| {
            was_there = fleet.machine_leaves(mac, left, by, wishes);
        })?;
        Ok(was_there)
    }
}

fn identity(machine: &Machine) -> Option<(SystemUuid, String)> {
    let serial = machine
        .serial
        .clone()
        .filter(|serial| !serial.trim().is_empty())?;
    Some((machine.uuid?, serial))
}

/// Where it sits, if that was said: a person sees it, nobody guesses it.
fn slot(accept: &Accept, machine: &Machine) -> Result<Option<Slot>, Refusal> {
    match (accept.rack.as_ref().or(machine.rack.as_ref()), accept.unit) {
        (Some(rack), Some(unit)) => Ok(Some(Slot {
            rack: rack.clone(),
            unit,
            height: 1,
            ..Slot::default()
        })),
        (None, Some(_)) => Err(Refusal::field("rack", "a unit goes with its rack")),
        (Some(_), None) if accept.rack.is_some() => Err(Refusal::field(
            "unit",
            "a rack goes with the machine's lowest unit in it",
        )),
        (_, None) => Ok(None),
    }
}

fn not_there(mac: MacAddr) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, reasons_site::no_such_machine(mac))
}
