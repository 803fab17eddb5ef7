// SPDX-License-Identifier: Apache-2.0
//! Where every partition begins and ends.

use super::{PlanRequest, disk_guid, vhds};
use crate::guid::{Guid, Purpose, volume_id};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::inventory::{Disk, FoundLayout, FoundPartition};
use groundstate_api::limits::ALIGNMENT;
use groundstate_api::plan::{PartitionContents, PartitionPlan, TablePlan};
use groundstate_api::units::MIB;
use groundstate_api::{Bytes, Digest, Reason, ReasonCode};

/// Type of an EFI System Partition (UEFI 2.10, table 5.7).
pub const TYPE_ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
/// Type of an x86-64 root partition (UAPI.2, Discoverable Partitions).
pub const TYPE_ROOT: &str = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709";
/// Type of a Linux file system.
pub const TYPE_DATA: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";
/// Name of the ESP.
pub const GS_ESP: &str = "gs-esp";
/// Name of the root partition.
pub const GS_ROOT: &str = "gs-root";
/// Name of a data partition.
pub const GS_DATA: &str = "gs-data";
/// The ESP holds two kernels with their initrds with room to spare, and FAT32 on 4096-byte sectors needs 257 MiB.
pub const ESP_SIZE: Bytes = Bytes::mib(512);
/// What the root partition has beyond the image, so that the host can write its first logs.
pub const ROOT_SLACK: Bytes = Bytes::mib(128);
/// The least disk that gets a data volume: a smaller one is mostly file system metadata.
pub(super) const DATA_DISK_MIN: Bytes = Bytes::mib(128);

/// The last MiB stays free for the backup table: 33 sectors, 132 KiB at most.
const TAIL: u64 = MIB;

const ESP_LABEL: &str = "GS-ESP";

/// The end of the last partition: aligned, and clear of the backup table.
const fn end(size: Bytes) -> u64 {
    let usable = size.0.saturating_sub(TAIL);
    usable - usable % ALIGNMENT.0
}

/// What an OS disk of this size has for the root partition.
pub(super) const fn root_length(size: Bytes) -> Bytes {
    Bytes(end(size).saturating_sub(ALIGNMENT.0 + ESP_SIZE.0))
}

/// What the root partition of this image needs.
pub(super) const fn root_needed(image: Bytes) -> Bytes {
    Bytes(image.0.saturating_add(ROOT_SLACK.0))
}

pub(super) fn os(request: &PlanRequest<'_>, disk: &Disk) -> TablePlan {
    let guid = |number| partition_guid(request, disk, number);
    let esp = PartitionPlan {
        name: GS_ESP.to_string(),
        type_guid: TYPE_ESP.to_string(),
        guid: guid(1),
        start: ALIGNMENT,
        length: ESP_SIZE,
        holds: PartitionContents::Esp {
            label: ESP_LABEL.to_string(),
            volume_id: volume_id(&request.seed, &disk.serial, Purpose::FileSystem(1)),
        },
    };
    let root = PartitionPlan {
        name: GS_ROOT.to_string(),
        type_guid: TYPE_ROOT.to_string(),
        guid: guid(2),
        start: Bytes(ALIGNMENT.0 + ESP_SIZE.0),
        length: root_length(disk.size),
        holds: PartitionContents::Root,
    };
    TablePlan {
        disk_guid: disk_guid(request, disk),
        partitions: Vec::from([esp, root]),
    }
}

pub(super) fn data(
    request: &PlanRequest<'_>,
    disk: &Disk,
    label: &str,
    volume: &vhds::Volume,
) -> Result<TablePlan, Reason> {
    let length = Bytes(end(disk.size).saturating_sub(ALIGNMENT.0));
    let holds = PartitionContents::Ext4 {
        label: label.to_string(),
        uuid: Guid::derived(&request.seed, &disk.serial, Purpose::FileSystem(1)).lower(),
        mount_point: mount_point(&disk.serial),
        vhds: volume.on(&request.seed, disk, length)?,
    };
    let partition = PartitionPlan {
        name: GS_DATA.to_string(),
        type_guid: TYPE_DATA.to_string(),
        guid: partition_guid(request, disk, 1),
        start: ALIGNMENT,
        length,
        holds,
    };
    Ok(TablePlan {
        disk_guid: disk_guid(request, disk),
        partitions: Vec::from([partition]),
    })
}

/// The table of a kept disk, as it was found.
pub(super) fn kept(disk: &Disk, found: &FoundLayout) -> Result<TablePlan, Reason> {
    let partitions = found
        .partitions
        .iter()
        .map(|partition| kept_partition(disk, partition))
        .collect::<Result<Vec<_>, _>>()?;
    if partitions.is_empty() {
        return Err(unclear(
            disk,
            "its partition table lists no partition".to_string(),
        ));
    }
    Ok(TablePlan {
        disk_guid: found.disk_guid.clone(),
        partitions,
    })
}

fn kept_partition(disk: &Disk, found: &FoundPartition) -> Result<PartitionPlan, Reason> {
    let file_system = found.file_system.as_ref().filter(|fs| fs.what == "ext4");
    let Some(uuid) = file_system.and_then(|fs| fs.uuid.clone()) else {
        let what = file_system_name(found);
        return Err(unclear(
            disk,
            format!("partition {} holds {what}, not our ext4", found.number),
        ));
    };
    Ok(PartitionPlan {
        name: found.name.clone(),
        type_guid: found.type_guid.clone(),
        guid: found.guid.clone(),
        start: found.start,
        length: found.length,
        holds: PartitionContents::Ext4 {
            label: file_system
                .and_then(|fs| fs.label.clone())
                .unwrap_or_default(),
            uuid,
            mount_point: mount_point(&disk.serial),
            vhds: Vec::new(),
        },
    })
}

fn file_system_name(found: &FoundPartition) -> &str {
    found
        .file_system
        .as_ref()
        .map_or("nothing that was recognised", |fs| fs.what.as_str())
}

/// A disk to be kept carries our partition but not our file system: neither keeping nor wiping is right.
fn unclear(disk: &Disk, seen: String) -> Reason {
    Reason::new(
        ReasonCode::DiskInUse,
        "A disk is to be kept and carries our partition, but its volume was not recognised.",
        "Look at the volume by hand; to give it up, remove its serial number from keep in the site file.",
    )
    .about(disk.part())
    .seen(seen)
}

/// The first of `gs-data-1`, `gs-data-2`, … that is not taken.
pub(super) fn free_label(taken: &[String]) -> String {
    (1u32..)
        .map(|number| format!("gs-data-{number}"))
        .find(|label| !taken.contains(label))
        .expect("there are more numbers than disks")
}

/// `/data/<serial>`; a serial number with anything but letters, digits, `-` and `_` is told apart by its digest.
fn mount_point(serial: &str) -> String {
    let safe: String = serial
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .collect();
    if safe == serial {
        format!("/data/{safe}")
    } else {
        let digest = Digest::of(serial.as_bytes()).short();
        format!("/data/{safe}-{digest}")
    }
}

fn partition_guid(request: &PlanRequest<'_>, disk: &Disk, number: u16) -> String {
    Guid::derived(&request.seed, &disk.serial, Purpose::Partition(number)).upper()
}
