// SPDX-License-Identifier: Apache-2.0
//! Whether a disk is one that may be written to at all: of this machine alone, in nobody's use, and of a usual kind or
//! named.

use alloc::format;
use groundstate_api::inventory::{Disk, Transport};
use groundstate_api::plan::DiskPlan;
use groundstate_api::{Reason, ReasonCode};

/// Why a disk is left alone unless the site names it; none for a usual disk.
#[must_use]
pub fn unusual(disk: &Disk) -> Option<&'static str> {
    if disk.transport == Transport::Usb {
        Some("it is connected by USB")
    } else if disk.removable {
        Some("its medium can be taken out")
    } else if disk.attachment.network.is_some() {
        Some("it is reached over a network, where others may reach it too")
    } else if disk.transport == Transport::Other {
        Some("its kind of connection is not known")
    } else {
        None
    }
}

/// Whether a disk that a person names may be written to, whatever its kind. `seen` are all disks of the machine.
///
/// # Errors
/// It has no size, is read-only, is in use, or more than one path leads to it.
pub fn fit_to_write(disk: &Disk, seen: &[Disk]) -> Result<(), Reason> {
    let refused = |code, what: &str, next: &str| Reason::new(code, what, next).about(disk.part());
    if disk.size.0 == 0 {
        return Err(refused(
            ReasonCode::DiskError,
            "The disk has no size: it has no medium or does not answer.",
            "Put a medium in or replace the disk, then order the run again.",
        ));
    }
    if disk.read_only {
        return Err(refused(
            ReasonCode::DiskError,
            "The disk is read-only.",
            "Look for a write-protect switch or a worn-out disk, and replace it.",
        ));
    }
    if !disk.attachment.used_by.is_empty() {
        let mut reason = refused(
            ReasonCode::DiskInUse,
            "Something on this machine uses the disk.",
            "Take the disk out of the array, pool or multipath map that holds it, then order the run again.",
        );
        reason.evidence.clone_from(&disk.attachment.used_by);
        return Err(reason);
    }
    guard_one_path(disk, seen)
}

/// Refuses a disk that is not fit to be written to.
pub(super) fn guard_fit(planned: &DiskPlan, disk: &Disk, seen: &[Disk]) -> Result<(), Reason> {
    fit_to_write(disk, seen)?;
    match unusual(disk) {
        Some(why) if !planned.named => Err(Reason::new(
            ReasonCode::WrongDisk,
            "The disk is of a kind that is left alone unless it is named, and the plan does not say that it is.",
            "Take the disk out, or name its serial number in the site file, then order the run again.",
        )
        .about(disk.part())
        .seen(why)),
        Some(_) | None => Ok(()),
    }
}

/// Two names with one WWN are one disk that two paths lead to, and so is what the kernel says has several.
fn guard_one_path(disk: &Disk, seen: &[Disk]) -> Result<(), Reason> {
    let is_twin = |other: &&Disk| {
        disk.wwn.is_some() && other.wwn == disk.wwn && other.kernel_name != disk.kernel_name
    };
    let twin = seen.iter().find(is_twin);
    if disk.attachment.paths.is_empty() && twin.is_none() {
        return Ok(());
    }
    let mut reason = Reason::new(
        ReasonCode::WrongDisk,
        "More than one path leads to the disk, so it may be another machine's as well.",
        "Leave one path to the disk, or leave it to the machine that it belongs to by taking both away.",
    )
    .about(disk.part());
    reason.evidence.clone_from(&disk.attachment.paths);
    if let Some(twin) = twin {
        reason = reason.seen(format!(
            "WWN {} is at {} ({}) and at {} ({})",
            disk.wwn.as_deref().unwrap_or("none"),
            disk.slot,
            disk.kernel_name,
            twin.slot,
            twin.kernel_name
        ));
    }
    Err(reason)
}
