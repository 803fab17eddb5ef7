// SPDX-License-Identifier: Apache-2.0
//! Looks at the hardware with hw-diag's probes, and at what the disks hold.

use crate::disk;
use crate::pid1::clock;
use groundstate_api::Millis;
use groundstate_api::boot::Firmware;
use groundstate_api::ids::BootId;
use groundstate_api::inventory::{Disk, Inventory, Signature};
use hw_diag::BootFacts;
use std::path::Path;

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
    let problems = fill_contents(&mut inventory.disks);
    inventory.could_not_look.extend(problems);
    inventory.first_line_after = first_line;
    inventory.complete_after = clock::now();
    inventory
}

/// The disks alone, as the guard needs them.
pub(super) fn disks() -> Vec<Disk> {
    let mut disks = hw_diag::look_at_disks();
    // What cannot be read stands in the disk's contents as unreadable, and the guard refuses it.
    let _told_there = fill_contents(&mut disks);
    disks
}

fn fill_contents(disks: &mut [Disk]) -> Vec<String> {
    let mut problems = Vec::new();
    for each in disks {
        match disk::contents(&Path::new("/dev").join(&each.kernel_name)) {
            Ok((contents, layout)) => {
                each.contents = contents;
                each.layout = layout;
            }
            Err(error) => {
                // Unreadable is not empty: planner and guard must see that something may be there.
                let what = mos_core::guard::UNREADABLE.to_owned();
                each.contents = vec![Signature {
                    at: "disk".to_owned(),
                    what,
                    label: None,
                }];
                problems.push(format!(
                    "what disk {} holds cannot be read: {error}",
                    each.serial
                ));
            }
        }
    }
    problems
}
