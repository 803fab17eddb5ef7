// SPDX-License-Identifier: Apache-2.0
//! A plan without what follows from its run: the same for a preview and for the order that comes after it.

use super::identity;
use alloc::string::ToString as _;
use groundstate_api::plan::{DECIDED_AT_THE_ORDER, DiskAction, PartitionContents, Plan};

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
        let DiskAction::Wipe { table, .. } = &mut disk.action else {
            continue;
        };
        table.disk_guid = decided();
        for partition in &mut table.partitions {
            partition.guid = decided();
            match &mut partition.holds {
                PartitionContents::Esp { volume_id, .. } => *volume_id = 0,
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
