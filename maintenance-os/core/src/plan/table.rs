// SPDX-License-Identifier: Apache-2.0
//! Checks that a planned table can stand on its disk, whoever wrote it.

use crate::guid::Guid;
use alloc::format;
use alloc::string::String;
use groundstate_api::limits::ALIGNMENT;
use groundstate_api::plan::{DiskPlan, PartitionPlan, TablePlan};
use groundstate_api::{Reason, ReasonCode};

/// GPT names are 36 UTF-16 units (UEFI 2.10, table 5.6).
const NAME_UNITS_MAX: usize = 36;
/// The entries of a table as we write it.
const PARTITIONS_MAX: usize = 128;
/// The backup table's 33 sectors, at 4096 bytes.
const BACKUP: u64 = 33 * 4_096;

/// Whether a table to be written is aligned, in range, free of overlaps and has GUIDs that are GUIDs.
///
/// # Errors
/// [`ReasonCode::PlanRefused`] about the disk with what is wrong.
pub fn check_table(disk: &DiskPlan, table: &TablePlan) -> Result<(), Reason> {
    let wrong = |what: String| {
        Err(Reason::new(
            ReasonCode::PlanRefused,
            "The plan's partition table cannot be written to this disk.",
            "Order the run again; if it happens twice, report it with the plan.",
        )
        .about(disk.part())
        .seen(what))
    };
    if Guid::parse(&table.disk_guid).is_none() {
        return wrong(format!("`{}` is not a GUID", table.disk_guid));
    }
    if table.partitions.is_empty() || table.partitions.len() > PARTITIONS_MAX {
        return wrong(format!("{} partitions", table.partitions.len()));
    }
    let mut free_from = ALIGNMENT.0;
    for partition in &table.partitions {
        let end = partition.start.0.checked_add(partition.length.0);
        let Some(end) = end.filter(|_| is_well_formed(partition)) else {
            return wrong(format!(
                "partition `{}` is not aligned, named or identified",
                partition.name
            ));
        };
        if partition.start.0 < free_from || end.saturating_add(BACKUP) > disk.size.0 {
            return wrong(format!(
                "partition `{}` overlaps or leaves the disk",
                partition.name
            ));
        }
        free_from = end;
    }
    Ok(())
}

fn is_well_formed(partition: &PartitionPlan) -> bool {
    let (start, length) = (partition.start.0, partition.length.0);
    length > 0
        && start % ALIGNMENT.0 == 0
        && length % ALIGNMENT.0 == 0
        && partition.name.encode_utf16().count() <= NAME_UNITS_MAX
        && Guid::parse(&partition.guid).is_some()
        && Guid::parse(&partition.type_guid).is_some()
}
