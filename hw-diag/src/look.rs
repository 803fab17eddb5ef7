// SPDX-License-Identifier: Apache-2.0
//! The whole look.

use crate::disk::DisksLook;
use crate::machine_facts::{self, MachineAsk};
use crate::sysfs::Tree;
use crate::{disk, machine, nic};
use groundstate_api::boot::Firmware;
use groundstate_api::ids::{BootId, SystemUuid};
use groundstate_api::inventory::{Disk, Inventory};
use groundstate_api::units::Millis;
use hw_core::disk::{DiskFacts, judge};
use hw_core::machine::MachineFacts;

/// What the caller knows of this boot.
#[derive(Clone, Debug)]
pub struct BootFacts {
    /// This boot.
    pub boot_id: BootId,
    /// How it came in, where that is known.
    pub firmware: Option<Firmware>,
}

/// Probes everything. Never fails as a whole: what could not be looked at is named in `could_not_look`. The timing fields
/// are 0 and each disk's `contents` and `layout` are empty: the caller fills them. Takes at most 20 s; a disk that hangs
/// longer has unknown health.
#[must_use]
pub fn look(boot: &BootFacts) -> Inventory {
    look_at(&Tree::machine(), boot)
}

/// The same of a machine whose `/sys`, `/proc` and `/dev` are below `root`.
#[must_use]
pub fn look_below(root: &std::path::Path, boot: &BootFacts) -> Inventory {
    look_at(&Tree::at(root), boot)
}

/// The disks alone, as a guard needs them right before something is written.
#[must_use]
pub fn look_at_disks() -> Vec<Disk> {
    // What could not be looked at is missing from the list, and a guard refuses a disk that is missing.
    let look = disk::disks(&Tree::machine());
    look.disks.into_iter().map(|(disk, _)| disk).collect()
}

/// The disks with everything that each said, also those behind RAID controllers. Takes at most 20 s.
#[must_use]
pub fn look_at_facts() -> DisksLook {
    disk::everything(&Tree::machine())
}

/// Who this machine is, without asking a disk: SMBIOS UUID and serial number.
#[must_use]
pub fn system_identity() -> (Option<SystemUuid>, String) {
    // What is wrong with the tables is told by the inventory; here only the identity counts.
    let smbios = machine::smbios(&Tree::machine(), &mut Vec::new());
    (smbios.uuid, smbios.serial)
}

/// An inventory with the facts that it was judged from.
#[derive(Clone, Debug)]
pub struct Everything {
    /// The inventory, as [`look`] gives it.
    pub inventory: Inventory,
    /// What each disk said: those of the inventory in its order, then those behind RAID controllers.
    pub disks: Vec<DiskFacts>,
    /// Everything else.
    pub machine: MachineFacts,
}

/// As [`look`], with the facts: for a capture that is judged again later.
#[must_use]
pub fn look_at_everything(boot: &BootFacts, ask: &MachineAsk) -> Everything {
    all(&Tree::machine(), boot, ask)
}

pub(crate) fn look_at(tree: &Tree, boot: &BootFacts) -> Inventory {
    all(tree, boot, &MachineAsk::default()).inventory
}

fn all(tree: &Tree, boot: &BootFacts, ask: &MachineAsk) -> Everything {
    // The BMC is asked while the disks answer.
    let looking = machine_facts::begin(tree, ask);
    let mut missed = Vec::new();
    let smbios = machine::smbios(tree, &mut missed);
    let system = machine::system(tree, &smbios, boot.firmware, &mut missed);
    let (memory, mut devices) = machine::memory(tree, &smbios, &mut missed);
    let nics = nic::nics(tree, &mut missed);
    let looked = disk::everything(tree);
    missed.extend(looked.could_not_look);
    // Disks behind a RAID controller have no block device: they are reported and never written to.
    let members = looked.members.iter().map(|facts| judge(facts, &[]));
    devices.extend(members);
    let machine = looking.finish(tree, &nics);
    devices.extend(hw_core::machine::judge(&machine));
    missed.extend(machine.missed.iter().cloned());
    let (disks, mut facts): (Vec<Disk>, Vec<DiskFacts>) = looked.disks.into_iter().unzip();
    facts.extend(looked.members);
    let inventory = Inventory {
        schema: groundstate_api::SCHEMA,
        boot_id: boot.boot_id.clone(),
        first_line_after: Millis(0),
        complete_after: Millis(0),
        system,
        memory,
        disks,
        nics,
        devices,
        could_not_look: missed,
    };
    Everything {
        inventory,
        disks: facts,
        machine,
    }
}
