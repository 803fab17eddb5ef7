// SPDX-License-Identifier: Apache-2.0
//! What a technician who stands at the machine gets: the hardware's page on the serial consoles, and light at the part
//! that holds the node.
//!
//! It decides nothing: the verdicts are hw-core's, and which part holds the node is the reason's.

use crate::pid1::log::Log;
use groundstate_api::health::{Verdict, page};
use groundstate_api::inventory::Inventory;
use groundstate_api::{Part, Reason};
use hw_diag::led::{self, Light, Target};

/// Writes what is wrong with the hardware, worst first, and one line on what is well: a server has some hundred PCI
/// functions that are, and the provisioner's page lists them.
pub(super) fn tell(log: &Log, inventory: &Inventory) {
    let reports = hw_core::reports(inventory, None, None, &[]);
    let (well, ill): (Vec<_>, Vec<_>) = reports
        .into_iter()
        .partition(|report| report.verdict == Verdict::Ok);
    if !ill.is_empty() {
        for line in page(&ill).iter().filter(|line| !line.is_empty()) {
            log.line(&format!("hardware: {line}"));
        }
    }
    log.line(&format!("hardware: {} devices are ok", well.len()));
    for line in &inventory.could_not_look {
        log.line(&format!("hardware: could not look: {line}"));
    }
}

/// Lights the LED of the disk's bay that the reason names, or else the chassis'. Most machines have neither.
pub(super) fn light(log: &Log, reason: &Reason) {
    let bay = match &reason.part {
        Some(Part::Disk { serial, .. }) => led::find(Target::Serial(serial)).ok(),
        Some(
            Part::Dimm { .. } | Part::Image { .. } | Part::Machine { .. } | Part::Field { .. },
        )
        | None => None,
    };
    let Some(found) = bay.or_else(|| led::find(Target::Chassis).ok()) else {
        return;
    };
    match led::set(&found, Light::On) {
        Ok(()) => log.line(&format!("the locate LED of {found} is on")),
        Err(error) => log.line(&format!("no locate LED is on: {error}")),
    }
}

/// Switches off what an earlier hold of this node may have lit, quietly: the machine is well.
pub(super) fn dim(inventory: &Inventory) {
    let bays = inventory
        .disks
        .iter()
        .filter_map(|disk| led::find(Target::Serial(&disk.serial)).ok());
    for found in bays.chain(led::find(Target::Chassis).ok()) {
        // What cannot be switched was not switched on by us.
        drop(led::set(&found, Light::Off));
    }
}
