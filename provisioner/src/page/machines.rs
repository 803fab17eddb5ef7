// SPDX-License-Identifier: Apache-2.0
//! The waiting room: machines that asked to enrol and belong to no node.

use super::words::When;
use super::{Page, Top, show};
use askama::Template;
use axum::response::Response;
use groundstate_api::Millis;
use groundstate_api::boot::Firmware;
use groundstate_api::machine::Machine;

#[derive(Template)]
#[template(path = "machines.html")]
struct Machines {
    top: Top,
    mark: String,
    rows: Vec<MachineRow>,
}

struct MachineRow {
    mac: String,
    others: String,
    model: String,
    serial: String,
    uuid: String,
    address: String,
    firmware: &'static str,
    relay: String,
    first: When,
    last: When,
}

impl MachineRow {
    fn of(machine: &Machine, now: Millis) -> Self {
        let others: Vec<String> = machine.macs.iter().map(ToString::to_string).collect();
        Self {
            mac: machine.mac.to_string(),
            others: others.join(", "),
            model: machine.model.clone().unwrap_or_default(),
            serial: machine.serial.clone().unwrap_or_default(),
            uuid: machine
                .uuid
                .map(|uuid| uuid.to_string())
                .unwrap_or_default(),
            address: machine.address.clone().unwrap_or_default(),
            firmware: machine.firmware.map_or("", Firmware::as_str),
            relay: machine.relay.clone().unwrap_or_default(),
            first: When::of(machine.first_seen, now),
            last: When::of(machine.last_seen, now),
        }
    }
}

pub(super) async fn list(page: Page) -> Response {
    let now = page.ours.now();
    let machines: Vec<Machine> = page.ours.machines();
    show(&Machines {
        mark: page.ours.fleet_view().newest.to_string(),
        rows: machines.iter().map(|m| MachineRow::of(m, now)).collect(),
        top: page.top("/machines"),
    })
}
