// SPDX-License-Identifier: Apache-2.0
//! Where every partition begins and ends.

use super::{PlanRequest, XFS_MIN, disk_guid};
use crate::guid::{Guid, Purpose, volume_id};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::inventory::{Disk, FoundLayout, FoundPartition};
use groundstate_api::limits::ALIGNMENT;
use groundstate_api::plan::{EarlierDisks, PartitionContents, PartitionPlan, TablePlan, VolumeFs};
use groundstate_api::units::{GIB, MIB};
use groundstate_api::{Bytes, Digest, Part, Reason, ReasonCode};

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
/// The least disk that gets an ext4 data volume: a smaller one is mostly file system metadata.
const EXT4_DISK_MIN: Bytes = Bytes::mib(128);
/// What the root partition gets at most where the OS disk also holds a data volume and the site says nothing: a host with
/// its logs and updates needs no more.
const ROOT_SHARED_MAX: u64 = 32 * GIB;

/// The last MiB stays free for the backup table: 33 sectors, 132 KiB at most.
const TAIL: u64 = MIB;

const ESP_LABEL: &str = "GS-ESP";

/// The end of the last partition: aligned, and clear of the backup table.
const fn end(size: Bytes) -> u64 {
    let usable = size.0.saturating_sub(TAIL);
    usable - usable % ALIGNMENT.0
}

/// What a disk of this size has for one partition.
pub(super) const fn all_but_ends(size: Bytes) -> Bytes {
    Bytes(end(size).saturating_sub(ALIGNMENT.0))
}

/// What an OS disk of this size has for the root partition.
pub(super) const fn root_length(size: Bytes) -> Bytes {
    Bytes(end(size).saturating_sub(ALIGNMENT.0 + ESP_SIZE.0))
}

/// What the root partition of this image needs.
pub(super) const fn root_needed(image: Bytes) -> Bytes {
    Bytes(image.0.saturating_add(ROOT_SLACK.0))
}

/// The least disk that gets a data volume of this kind.
pub(super) const fn data_disk_min(fs: VolumeFs) -> Bytes {
    match fs {
        VolumeFs::Ext4 => EXT4_DISK_MIN,
        VolumeFs::Xfs => Bytes(XFS_MIN.0 + ALIGNMENT.0 + TAIL + MIB),
    }
}

/// The root partition's length where a data volume of this kind follows it; `None` where the disk has no room for both.
pub(super) fn root_shared(
    disk: &Disk,
    image: Bytes,
    root_size: Option<Bytes>,
    fs: VolumeFs,
) -> Result<Option<Bytes>, Reason> {
    let (room, needed) = (root_length(disk.size), root_needed(image));
    if let Some(said) = root_size.filter(|said| *said < needed) {
        return Err(Reason::new(
            ReasonCode::PlanRefused,
            format!("root_size is {said}, and the image needs {needed}."),
            "Make root_size larger in the site file and order the run again.",
        )
        .about(Part::Field {
            path: "policy.disks.root_size".to_string(),
        }));
    }
    let usual = needed.0.max(ROOT_SHARED_MAX.min(room.0 / 2));
    let root = root_size
        .map_or(usual, |said| said.0)
        .next_multiple_of(ALIGNMENT.0);
    let left = room.0.saturating_sub(root);
    Ok((left >= data_disk_min(fs).0).then_some(Bytes(root)))
}

/// A data volume to be made.
pub(super) struct NewVolume<'a> {
    pub(super) fs: VolumeFs,
    pub(super) label: &'a str,
}

/// The OS disk's table; with `shared`, the root partition has that length and a data volume follows it.
pub(super) fn os(
    request: &PlanRequest<'_>,
    disk: &Disk,
    shared: Option<(Bytes, NewVolume<'_>)>,
) -> TablePlan {
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
    let room = root_length(disk.size);
    let length = shared.as_ref().map_or(room, |(length, _)| *length);
    let root = PartitionPlan {
        name: GS_ROOT.to_string(),
        type_guid: TYPE_ROOT.to_string(),
        guid: guid(2),
        start: Bytes(ALIGNMENT.0 + ESP_SIZE.0),
        length,
        holds: PartitionContents::Root,
    };
    let mut partitions = Vec::from([esp, root]);
    if let Some((length, volume)) = shared {
        let start = Bytes(ALIGNMENT.0 + ESP_SIZE.0 + length.0);
        let extent = (start, Bytes(room.0.saturating_sub(length.0)));
        partitions.push(data_partition(request, disk, 3, extent, &volume));
    }
    TablePlan {
        disk_guid: disk_guid(request, disk),
        partitions,
    }
}

/// The table of a disk with one data volume.
pub(super) fn data(request: &PlanRequest<'_>, disk: &Disk, volume: &NewVolume<'_>) -> TablePlan {
    let length = Bytes(end(disk.size).saturating_sub(ALIGNMENT.0));
    TablePlan {
        disk_guid: disk_guid(request, disk),
        partitions: Vec::from([data_partition(
            request,
            disk,
            1,
            (ALIGNMENT, length),
            volume,
        )]),
    }
}

/// A data partition without its VHDs.
fn data_partition(
    request: &PlanRequest<'_>,
    disk: &Disk,
    number: u16,
    (start, length): (Bytes, Bytes),
    volume: &NewVolume<'_>,
) -> PartitionPlan {
    let uuid = Guid::derived(&request.seed, &disk.serial, Purpose::FileSystem(number)).lower();
    PartitionPlan {
        name: GS_DATA.to_string(),
        type_guid: TYPE_DATA.to_string(),
        guid: partition_guid(request, disk, number),
        start,
        length,
        holds: PartitionContents::of_volume(
            volume.fs,
            volume.label.to_string(),
            uuid,
            mount_point(&disk.serial),
            Vec::new(),
        ),
    }
}

/// The table of a kept disk, as it was found. Its VHDs are those that the plan which made the volume put there: what the
/// host did to them since is not looked at.
pub(super) fn kept(
    disk: &Disk,
    found: &FoundLayout,
    earlier: &EarlierDisks,
) -> Result<TablePlan, Reason> {
    let made = earlier.table(&disk.serial, &found.disk_guid);
    let partitions = found.partitions.iter();
    let partitions = partitions.map(|partition| kept_with_vhds(disk, partition, made));
    let partitions = partitions.collect::<Result<Vec<_>, Reason>>()?;
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

/// The table of an OS disk whose data volume stays, as it was found; boot and root partition get new contents.
pub(super) fn renewed(
    request: &PlanRequest<'_>,
    disk: &Disk,
    found: &FoundLayout,
) -> Result<TablePlan, Reason> {
    let ours = [
        (GS_ESP, TYPE_ESP),
        (GS_ROOT, TYPE_ROOT),
        (GS_DATA, TYPE_DATA),
    ];
    let is_ours = |(one, (at, (name, kind))): (&FoundPartition, (u32, (&str, &str)))| {
        one.number == at && one.name == name && one.type_guid == kind
    };
    let [esp, root, data] = found.partitions.as_slice() else {
        let count = found.partitions.len();
        return Err(unclear(
            disk,
            format!("its table has {count} partitions instead of 3"),
        ));
    };
    if !found.partitions.iter().zip((1..).zip(ours)).all(is_ours) {
        return Err(unclear(
            disk,
            "its partitions are not boot, root and data partition by number and type".to_string(),
        ));
    }
    let needed = root_needed(request.image.size);
    if root.length < needed {
        return Err(Reason::new(
            ReasonCode::DiskFull,
            format!(
                "Beside the data volume to be kept there is too little room for image {} {}.",
                request.image.name, request.image.version
            ),
            "Choose a smaller image; or save the volume's data elsewhere and remove the disk's serial number from keep in the site file.",
        )
        .about(disk.part())
        .seen(format!(
            "the root partition needs {needed}, before the volume are {}",
            root.length
        )));
    }
    let anew = |found: &FoundPartition, holds| PartitionPlan {
        name: found.name.clone(),
        type_guid: found.type_guid.clone(),
        guid: found.guid.clone(),
        start: found.start,
        length: found.length,
        holds,
    };
    let boot = PartitionContents::Esp {
        label: ESP_LABEL.to_string(),
        volume_id: volume_id(&request.seed, &disk.serial, Purpose::FileSystem(1)),
    };
    let made = request.earlier.table(&disk.serial, &found.disk_guid);
    let partitions = Vec::from([
        anew(esp, boot),
        anew(root, PartitionContents::Root),
        kept_with_vhds(disk, data, made)?,
    ]);
    Ok(TablePlan {
        disk_guid: found.disk_guid.clone(),
        partitions,
    })
}

/// A kept partition with the VHDs that the plan which made its volume put there.
fn kept_with_vhds(
    disk: &Disk,
    found: &FoundPartition,
    made: Option<&TablePlan>,
) -> Result<PartitionPlan, Reason> {
    let mut kept = kept_partition(disk, found)?;
    let made = made.into_iter().flat_map(|table| &table.partitions);
    let made = made.filter(|made| made.guid == kept.guid);
    let vhds = made
        .filter_map(|made| made.holds.volume())
        .flat_map(|on| on.vhds);
    let vhds: Vec<_> = vhds.cloned().collect();
    if let Some(list) = kept.holds.vhds_mut() {
        *list = vhds;
    }
    Ok(kept)
}

fn kept_partition(disk: &Disk, found: &FoundPartition) -> Result<PartitionPlan, Reason> {
    let known = [VolumeFs::Ext4, VolumeFs::Xfs];
    let file_system = found.file_system.as_ref().and_then(|on| {
        let fs = known.into_iter().find(|fs| on.what == fs.as_str())?;
        Some((fs, on.uuid.clone()?, on.label.clone().unwrap_or_default()))
    });
    let Some((fs, uuid, label)) = file_system else {
        let what = file_system_name(found);
        return Err(unclear(
            disk,
            format!(
                "partition {} holds {what}, not our ext4 or XFS",
                found.number
            ),
        ));
    };
    Ok(PartitionPlan {
        name: found.name.clone(),
        type_guid: found.type_guid.clone(),
        guid: found.guid.clone(),
        start: found.start,
        length: found.length,
        holds: PartitionContents::of_volume(fs, label, uuid, mount_point(&disk.serial), Vec::new()),
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

/// A key that sorts `bay-2` before `bay-10`: texts by their characters, numbers by their value.
pub(super) fn natural(slot: &str) -> Vec<(String, u64)> {
    let (mut key, mut rest) = (Vec::new(), slot);
    while !rest.is_empty() {
        let text_len = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (text, after) = rest.split_at(text_len);
        let digits = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        let (number, next) = after.split_at(digits);
        key.push((text.to_string(), number.parse().unwrap_or(u64::MAX)));
        rest = next;
    }
    key
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
