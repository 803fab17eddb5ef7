// SPDX-License-Identifier: Apache-2.0
//! What plans made of a node's disks, remembered from their events: which disks are the node's, and which tables on them
//! are ours.

use alloc::vec::Vec;
use groundstate_api::plan::{DiskAction, EarlierDisks, Plan, Role, Step, TablePlan};

/// A plan was written: its disks are the node's, and each may carry its table from now on.
pub(crate) fn planned(earlier: &mut EarlierDisks, plan: &Plan) {
    for disk in &plan.disks {
        match &disk.action {
            DiskAction::Wipe { table, .. } => {
                earlier.used.insert(disk.serial.clone());
                let tables = earlier.tables.entry(disk.serial.clone()).or_default();
                tables.push(table.clone());
            }
            DiskAction::Renew { table, .. } => {
                earlier.used.insert(disk.serial.clone());
                let tables = earlier.tables.entry(disk.serial.clone()).or_default();
                // The table is the same; what its partitions hold is as this plan says.
                tables.retain(|one| one.disk_guid != table.disk_guid);
                tables.push(table.clone());
            }
            DiskAction::Keep { .. } => {
                earlier.used.insert(disk.serial.clone());
            }
            DiskAction::Erase { .. } | DiskAction::LeaveAlone => continue,
        }
        if disk.role == Role::Os {
            earlier.os.insert(disk.serial.clone());
        }
    }
}

/// A step of a plan is done on every disk.
pub(crate) fn done(earlier: &mut EarlierDisks, plan: &Plan, step: Step) {
    if step == Step::Partition {
        for (serial, table) in written(plan) {
            // The disk carries this one now and no older one.
            let tables = earlier.tables.entry(serial.clone()).or_default();
            tables.retain(|one| one.disk_guid == table.disk_guid);
        }
    }
    if step == Step::Volumes {
        let data = plan.disks.iter().filter(|disk| disk.role.is_data());
        earlier.data.extend(data.map(|disk| disk.serial.clone()));
    }
}

fn written(plan: &Plan) -> Vec<(&alloc::string::String, &TablePlan)> {
    let tables = plan.disks.iter().filter_map(|disk| match &disk.action {
        DiskAction::Wipe { table, .. } | DiskAction::Renew { table, .. } => {
            Some((&disk.serial, table))
        }
        DiskAction::Keep { .. } | DiskAction::Erase { .. } | DiskAction::LeaveAlone => None,
    });
    tables.collect()
}
