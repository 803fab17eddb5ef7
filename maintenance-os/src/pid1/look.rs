// SPDX-License-Identifier: Apache-2.0
//! Looks at the hardware with hw-diag's probes, and at what the disks hold.

use crate::disk::{Look, fill_contents};
use crate::pid1::clock;
use groundstate_api::Millis;
use groundstate_api::boot::Firmware;
use groundstate_api::ids::BootId;
use groundstate_api::inventory::{Disk, Inventory};
use hw_diag::BootFacts;

/// This boot's id, as the kernel made it.
pub(super) fn boot_id() -> Option<BootId> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// The whole inventory.
pub(super) fn inventory(
    boot_id: BootId,
    firmware: Option<Firmware>,
    first_line: Millis,
) -> Inventory {
    let mut inventory = hw_diag::look(&BootFacts { boot_id, firmware });
    let problems = fill_contents(&mut inventory.disks, &Look::Contents);
    inventory.could_not_look.extend(problems);
    inventory.first_line_after = first_line;
    inventory.complete_after = clock::now();
    inventory
}

/// The disks alone, as the guard needs them.
pub(super) fn disks(wanted: Look) -> Vec<Disk> {
    let mut disks = hw_diag::look_at_disks();
    // What cannot be read stands in the disk's contents as unreadable, and the guard refuses it.
    let _told_there = fill_contents(&mut disks, &wanted);
    disks
}
