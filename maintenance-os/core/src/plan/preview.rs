// SPDX-License-Identifier: Apache-2.0
//! A plan without what follows from its run: the same for a preview and for the order that comes after it; and what a node
//! will report once a plan was carried out.

use super::identity;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::Digest;
use groundstate_api::inventory::{
    Disk, FoundFileSystem, FoundLayout, FoundPartition, Inventory, Signature,
};
use groundstate_api::plan::{
    DECIDED_AT_THE_ORDER, DiskAction, PartitionContents, Plan, Role, TablePlan,
};

/// The plan with [`DECIDED_AT_THE_ORDER`] in place of the run's id and every new GUID, and zeros in place of the plan's id
/// and new FAT volume ids. What is kept has its identities already, and keeps them.
///
/// # Panics
/// Never: the constant is a run id.
#[must_use]
pub fn without_identities(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    let decided = || DECIDED_AT_THE_ORDER.to_string();
    plan.id = identity::blank();
    plan.run = DECIDED_AT_THE_ORDER
        .parse()
        .expect("letters and hyphens are a run id");
    for disk in &mut plan.disks {
        let table = match &mut disk.action {
            DiskAction::Wipe { table, .. } => table,
            DiskAction::Renew { table, .. } => {
                for partition in &mut table.partitions {
                    if let PartitionContents::Esp { volume_id, .. } = &mut partition.holds {
                        *volume_id = 0;
                    }
                }
                continue;
            }
            DiskAction::Keep { .. } | DiskAction::Erase { .. } | DiskAction::LeaveAlone => continue,
        };
        table.disk_guid = decided();
        for partition in &mut table.partitions {
            partition.guid = decided();
            match &mut partition.holds {
                PartitionContents::Esp { volume_id, .. } => *volume_id = 0,
                PartitionContents::WholeDisk { seed, .. } => *seed = Digest([0; 32]),
                PartitionContents::Root => {}
                PartitionContents::Ext4 { uuid, vhds, .. }
                | PartitionContents::Xfs { uuid, vhds, .. } => {
                    *uuid = decided();
                    vhds.iter_mut().for_each(|vhd| vhd.id = decided());
                }
            }
        }
    }
    plan
}

/// The inventory with what the plan wrote since it was taken: the last report of a node that has a host is older than its
/// disks. The label of the host's root file system is the image's and not known here.
#[must_use]
pub fn carried_out(inventory: &Inventory, plan: &Plan) -> Inventory {
    let mut inventory = inventory.clone();
    for planned in &plan.disks {
        if let DiskAction::Wipe { table, .. } | DiskAction::Renew { table, .. } = &planned.action {
            let mut disks = inventory.disks.iter_mut();
            if let Some(disk) = disks.find(|disk| disk.serial == planned.serial) {
                lay_out(disk, planned.role, table);
            }
        }
    }
    inventory
}

fn lay_out(disk: &mut Disk, role: Role, table: &TablePlan) {
    let signature = |at: String, what: &str, label: Option<&str>| Signature {
        at,
        what: what.to_string(),
        label: label.map(String::from),
    };
    let mut contents = Vec::from([signature("disk".to_string(), "gpt", None)]);
    let mut partitions = Vec::new();
    for (partition, number) in table.partitions.iter().zip(1u32..) {
        // What the image of a whole disk brings is known when the node tells.
        if matches!(partition.holds, PartitionContents::WholeDisk { .. }) {
            continue;
        }
        let volume = partition.holds.volume();
        let (what, label) = match (&partition.holds, volume) {
            (_, Some(volume)) => (volume.fs.as_str(), Some(volume.label)),
            (PartitionContents::Esp { label, .. }, None) => ("vfat", Some(label.as_str())),
            (_, None) => ("ext4", None),
        };
        contents.push(signature(format!("partition {number}"), what, label));
        partitions.push(FoundPartition {
            number,
            name: partition.name.clone(),
            type_guid: partition.type_guid.clone(),
            guid: partition.guid.clone(),
            start: partition.start,
            length: partition.length,
            file_system: Some(FoundFileSystem {
                what: what.to_string(),
                uuid: volume.map(|volume| volume.uuid.to_string()),
                label: label.map(String::from),
            }),
        });
    }
    disk.contents = contents;
    disk.layout = Some(FoundLayout {
        role: if role.is_data() { Role::Data } else { role },
        disk_guid: table.disk_guid.clone(),
        partition_guids: table
            .partitions
            .iter()
            .map(|one| one.guid.clone())
            .collect(),
        partitions,
    });
}
