// SPDX-License-Identifier: Apache-2.0
//! Writes the plan: which disk becomes what, and every byte range and identity on it.
//!
//! The planner sees an inventory, never a disk. The same request gives the same bytes. It refuses rather than
//! guesses: a disk without a serial number, two with the same, a policy that does not fit.

mod choose;
mod ext4;
mod identity;
mod layout;
mod render;
mod table;
mod vhds;

pub use ext4::{ext4_arguments, ext4_journal, ext4_usable};
pub use identity::{canonical_bytes, verify};
pub use layout::{ESP_SIZE, GS_DATA, GS_ESP, GS_ROOT, ROOT_SLACK, TYPE_DATA, TYPE_ESP, TYPE_ROOT};
pub use render::render;
pub use table::check_table;

use crate::guard::described;
use crate::guid::{Guid, Purpose};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use choose::Choice;
use groundstate_api::image::ImageRef;
use groundstate_api::inventory::{Disk, Inventory};
use groundstate_api::plan::{DiskAction, DiskPlan, EarlierDisks, HandOver, Plan, Role, TablePlan};
use groundstate_api::site::{Node, Policy};
use groundstate_api::{Digest, MacAddr, Part, Reason, ReasonCode, RunId, SCHEMA};

/// Everything that a plan follows from.
#[derive(Clone, Copy, Debug)]
pub struct PlanRequest<'a> {
    /// The run.
    pub run: &'a RunId,
    /// The node as the site declares it.
    pub node: &'a Node,
    /// The site's policy.
    pub policy: &'a Policy,
    /// How to hand over.
    pub hand_over: HandOver,
    /// What the node's probes saw in this boot.
    pub inventory: &'a Inventory,
    /// What the node's earlier plans made of its disks.
    pub earlier: &'a EarlierDisks,
    /// The image.
    pub image: &'a ImageRef,
    /// The interface that booted.
    pub boot_mac: MacAddr,
    /// Where every GUID comes from; a new one for each run.
    pub seed: Digest,
}

/// Writes the plan.
///
/// # Errors
/// The reason why the node's disks and the policy do not fit together, with the disk or the field that it is about.
pub fn plan(request: &PlanRequest<'_>) -> Result<Plan, Reason> {
    check_machine(request)?;
    let choice = Choice::make(request)?;
    let vhds = vhds::parse(&request.policy.vhds)?;
    let mut taken = kept_labels(request.inventory, &choice);
    let mut disks: Vec<&Disk> = request.inventory.disks.iter().collect();
    disks.sort_by(|a, b| (&a.serial, &a.slot).cmp(&(&b.serial, &b.slot)));
    let disks = disks
        .into_iter()
        .map(|disk| plan_disk(request, &choice, &vhds, &mut taken, disk))
        .collect::<Result<Vec<_>, _>>()?;
    let mut plan = Plan {
        schema: SCHEMA,
        id: identity::blank(),
        run: request.run.clone(),
        node: request.node.name.clone(),
        machine: request.node.uuid,
        hand_over: request.hand_over,
        uefi: request.inventory.system.uefi,
        boot_mac: request.boot_mac,
        image: request.image.clone(),
        disks,
    };
    plan.id = identity::of(&plan);
    Ok(plan)
}

fn check_machine(request: &PlanRequest<'_>) -> Result<(), Reason> {
    let (node, system) = (request.node, &request.inventory.system);
    if system.uuid != Some(node.uuid) {
        let seen = system
            .uuid
            .map_or_else(|| "no UUID".to_string(), |uuid| uuid.to_string());
        return Err(Reason::new(
            ReasonCode::IdentityMismatch,
            format!("The inventory is not of node {}.", node.name),
            "Compare the site file with the UUID on the machine's label or in its firmware set-up.",
        )
        .about(Part::Machine { said: seen.clone() })
        .seen(format!(
            "the site says UUID {}, the machine says {seen}",
            node.uuid
        )));
    }
    if request.hand_over == HandOver::Reboot && !system.uefi {
        return Err(Reason::new(
            ReasonCode::PlanRefused,
            "Hand-over by reboot needs UEFI, and this machine runs on legacy BIOS.",
            "Set hand_over to kexec for this node, or switch its firmware to UEFI.",
        )
        .about(Part::Field {
            path: "hand_over".to_string(),
        })
        .seen("the maintenance OS found no UEFI on the machine"));
    }
    Ok(())
}

/// Labels that kept volumes have already, so that no new volume gets the same.
fn kept_labels(inventory: &Inventory, choice: &Choice<'_>) -> Vec<String> {
    let kept = inventory.disks.iter().filter(|disk| choice.keeps(disk));
    kept.filter_map(|disk| disk.layout.as_ref())
        .flat_map(|layout| &layout.partitions)
        .filter_map(|partition| partition.file_system.as_ref()?.label.clone())
        .collect()
}

fn plan_disk(
    request: &PlanRequest<'_>,
    choice: &Choice<'_>,
    vhds: &vhds::Volume,
    taken: &mut Vec<String>,
    disk: &Disk,
) -> Result<DiskPlan, Reason> {
    let (role, because) = choice.role(disk);
    let action = match role {
        Role::Spare => DiskAction::LeaveAlone,
        Role::Os => wipe(disk, layout::os(request, disk)),
        Role::Data => match choice.kept_table(disk)? {
            Some(table) => DiskAction::Keep { table },
            None => {
                let label = layout::free_label(taken);
                taken.push(label.clone());
                wipe(disk, layout::data(request, disk, &label, vhds)?)
            }
        },
    };
    Ok(DiskPlan {
        serial: disk.serial.clone(),
        wwn: disk.wwn.clone(),
        slot: disk.slot.clone(),
        model: disk.model.clone(),
        size: disk.size,
        logical_sector: disk.logical_sector,
        role,
        because,
        action,
    })
}

fn wipe(disk: &Disk, table: TablePlan) -> DiskAction {
    let mut goes: Vec<String> = disk.contents.iter().map(described).collect();
    if goes.is_empty() {
        goes.push("nothing".to_string());
    }
    DiskAction::Wipe { goes, table }
}

fn disk_guid(request: &PlanRequest<'_>, disk: &Disk) -> String {
    Guid::derived(&request.seed, &disk.serial, Purpose::Disk).upper()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
pub(crate) mod tests;
