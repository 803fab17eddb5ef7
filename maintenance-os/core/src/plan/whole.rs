// SPDX-License-Identifier: Apache-2.0
//! An image of a whole disk: which machine and which disk take it, and what the disk carries while it is written.
//!
//! It refuses by name what would not start: another firmware, another sector size, a disk that is too small, an image in
//! which nothing starts. Partitions of ours never stand beside such an image.

use super::rules::Terms;
use super::{PlanRequest, TYPE_DATA, disk_guid, layout};
use crate::guid::{Guid, Purpose};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::disk_policy::DataOnOs;
use groundstate_api::image::{BootEntry, ImageRef, ImageTable, RequiredFirmware, WholeDisk};
use groundstate_api::inventory::Disk;
use groundstate_api::limits::ALIGNMENT;
use groundstate_api::plan::{HandOver, PartitionContents, PartitionPlan, TablePlan};
use groundstate_api::{Part, Reason, ReasonCode};

/// Name of the partition that a disk has while the image of a whole disk is written to it.
pub const GS_IMAGE: &str = "gs-image";

/// Whether the image takes a whole disk.
pub(super) const fn is_whole(image: &ImageRef) -> bool {
    image.whole.is_some()
}

/// How the machine gets into its host: what stands on a disk of its own starts by its own boot loader.
pub(super) fn hand_over(request: &PlanRequest<'_>, notes: &mut Vec<String>) -> HandOver {
    if !is_whole(request.image) || request.rebuild.is_some() {
        return request.hand_over;
    }
    if request.hand_over == HandOver::Kexec {
        notes.push(
            "the image is of a whole disk and has its own boot loader: the machine restarts into it".to_string(),
        );
    }
    HandOver::Reboot
}

/// Whether the image can start on this machine at all.
pub(super) fn check(request: &PlanRequest<'_>) -> Result<(), Reason> {
    let image = request.image;
    let Some(whole) = &image.whole else {
        return if image.kind.is_root_fs() {
            Ok(())
        } else {
            Err(about_image(
                image,
                "is of a whole disk, and nothing more is known of it",
                "Import the image again, then order again.",
            ))
        };
    };
    if request.rebuild.is_some() {
        return Err(about_image(
            image,
            "is of a whole disk, and one data disk of its host is not made anew alone",
            "Name the data disks that stay in keep in the site file, and order: groundstate node reprovision NODE.",
        ));
    }
    if whole.boot == BootEntry::None {
        return Err(about_image(
            image,
            "holds nothing that a machine's firmware starts",
            "Import an image with a boot loader on an EFI system partition, or with boot code in its first sector.",
        ));
    }
    check_firmware(image, whole, request.inventory.system.uefi)
}

fn check_firmware(image: &ImageRef, whole: &WholeDisk, uefi: bool) -> Result<(), Reason> {
    let (needed, has) = match (whole.firmware, uefi) {
        (RequiredFirmware::Uefi, false) => ("UEFI", "legacy BIOS"),
        (RequiredFirmware::Bios, true) => ("legacy BIOS", "UEFI"),
        (RequiredFirmware::Any | RequiredFirmware::Bios, false)
        | (RequiredFirmware::Any | RequiredFirmware::Uefi, true) => return Ok(()),
    };
    let words = format!("needs {needed}, and this machine runs on {has}");
    Err(about_image(
        image,
        &words,
        "Switch the machine's firmware, or name an image for it in the site file.",
    )
    .seen(match &whole.boot {
        BootEntry::Loader(loader) => format!(
            "the image starts by {} on partition {}",
            loader.path, loader.partition
        ),
        BootEntry::BootCode => "the image starts by boot code in its first sector".to_string(),
        BootEntry::Files(_) | BootEntry::None => "the image says so".to_string(),
    }))
}

fn about_image(image: &ImageRef, what: &str, next: &str) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        format!("Image {} {} {what}.", image.name, image.version),
        next,
    )
    .about(Part::Field {
        path: "policy.image".to_string(),
    })
    .seen(format!("the image's manifest is {}", image.manifest))
}

/// Whether the site asks for partitions of ours on a disk that the image takes whole.
pub(super) fn check_terms(
    request: &PlanRequest<'_>,
    terms: &Terms<'_>,
    notes: &mut Vec<String>,
) -> Result<(), Reason> {
    if !is_whole(request.image) {
        return Ok(());
    }
    if terms.data_on_os_disk == DataOnOs::Always {
        return Err(Reason::new(
            ReasonCode::PlanRefused,
            "The site wants a data volume on the OS disk, and the image takes the whole disk.",
            "Set data_on_os_disk to never in the site file, or name an image of a root file system.",
        )
        .about(Part::Field {
            path: "policy.disks.data_on_os_disk".to_string(),
        }));
    }
    if terms.grow_image && !request.image.whole.as_ref().is_some_and(can_grow) {
        notes.push(
            "grow_image is not used: the image has a DOS table, which is left as it is".to_string(),
        );
    }
    if terms.root_size.is_some() {
        notes.push(
            "root_size is not used: the image of a whole disk has its own partitions".to_string(),
        );
    }
    Ok(())
}

/// Whether the image has a table in which a partition can grow. What is not known shows when it is written.
const fn can_grow(whole: &WholeDisk) -> bool {
    !matches!(whole.table, Some(ImageTable::Dos { .. }))
}

/// Whether the image fits this disk.
pub(super) fn check_disk(image: &ImageRef, whole: &WholeDisk, disk: &Disk) -> Result<(), Reason> {
    if disk.logical_sector != image.sector_size {
        return Err(Reason::new(
            ReasonCode::PlanRefused,
            format!(
                "Image {} {} does not fit the disk's sectors.",
                image.name, image.version
            ),
            "Choose an image for this sector size, or another disk for the OS.",
        )
        .about(disk.part())
        .seen(format!(
            "the image's partition table is for sectors of {} bytes, the disk's have {}",
            image.sector_size, disk.logical_sector
        )));
    }
    let needed = image.size.max(whole.minimum_size);
    if disk.size < needed {
        return Err(Reason::new(
            ReasonCode::DiskFull,
            format!(
                "The disk is too small for image {} {}.",
                image.name, image.version
            ),
            "Put in a larger disk, or name another with os_disk in the site file.",
        )
        .about(disk.part())
        .seen(format!(
            "the image needs a disk of {needed} ({} bytes), this one has {} ({} bytes)",
            needed.0, disk.size, disk.size.0
        )));
    }
    Ok(())
}

/// What the disk carries while the image is written to it: a table with a GUID of ours, and nothing that starts.
pub(super) fn table(
    request: &PlanRequest<'_>,
    terms: &Terms<'_>,
    whole: &WholeDisk,
    disk: &Disk,
) -> Result<TablePlan, Reason> {
    if request.node.keep.contains(&disk.serial) {
        return Err(Reason::new(
            ReasonCode::PlanRefused,
            format!(
                "Disk {} is to be kept, and the image takes the whole disk.",
                disk.serial
            ),
            "Remove the serial number from keep, or name another disk with os_disk in the site file.",
        )
        .about(Part::Field {
            path: format!("node.{}.keep", request.node.name),
        }));
    }
    let guid = Guid::derived(&request.seed, &disk.serial, Purpose::Partition(1)).upper();
    Ok(TablePlan {
        disk_guid: disk_guid(request, disk),
        partitions: Vec::from([PartitionPlan {
            name: String::from(GS_IMAGE),
            type_guid: TYPE_DATA.to_string(),
            guid,
            start: ALIGNMENT,
            length: layout::all_but_ends(disk.size),
            holds: PartitionContents::WholeDisk {
                seed: request.seed,
                image: whole.table.clone(),
                grow: terms.grow_image && can_grow(whole),
            },
        }]),
    })
}
