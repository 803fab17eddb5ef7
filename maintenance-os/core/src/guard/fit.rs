// SPDX-License-Identifier: Apache-2.0
//! Whether a disk is one that may be written to at all: of this machine alone, in nobody's use, and of a usual kind or
//! named.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::inventory::{Disk, Transport};
use groundstate_api::plan::DiskPlan;
use groundstate_api::{Reason, ReasonCode};

/// How a probe says that a file system of the disk is mounted, and that it is swapped to.
const MOUNTED: &str = " is mounted at ";
const SWAP: &str = " is used as swap";

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
    fit(disk, seen, "write again")
}

/// The same, with what is done once the cause is away.
fn fit(disk: &Disk, seen: &[Disk], then: &str) -> Result<(), Reason> {
    let refused = |code, what: &str, next: &str| {
        Reason::new(code, what, format!("{next}, then {then}.")).about(disk.part())
    };
    if disk.size.0 == 0 {
        return Err(refused(
            ReasonCode::DiskError,
            "The disk has no size: it has no medium or does not answer.",
            "Put a medium in or replace the disk",
        ));
    }
    if disk.read_only {
        return Err(refused(
            ReasonCode::DiskError,
            "The disk is read-only.",
            "Look for a write-protect switch, or replace a disk that is worn out",
        ));
    }
    if !disk.attachment.used_by.is_empty() {
        let mut reason = refused(
            ReasonCode::DiskInUse,
            "Something on this machine uses the disk.",
            &release(&disk.attachment.used_by),
        );
        reason.evidence.clone_from(&disk.attachment.used_by);
        return Err(reason);
    }
    guard_one_path(disk, seen)
}

/// What takes its users away, by the words that the probe has for each.
fn release(used_by: &[String]) -> String {
    let has = |words: &str| used_by.iter().any(|user| user.contains(words));
    let is_held = |user: &String| ![MOUNTED, SWAP].iter().any(|words| user.contains(words));
    let steps = [
        (has(MOUNTED), "unmount it"),
        (has(SWAP), "turn off the swap on it"),
        (
            used_by.iter().any(is_held),
            "take it out of the array, pool or map that holds it",
        ),
    ];
    let needed = steps.into_iter().filter(|(is_needed, _)| *is_needed);
    let steps: Vec<&str> = needed.map(|(_, step)| step).collect();
    let mut text = steps.join(", and ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// Refuses a disk that is not fit to be written to.
pub(super) fn guard_fit(planned: &DiskPlan, disk: &Disk, seen: &[Disk]) -> Result<(), Reason> {
    fit(disk, seen, "order the run again")?;
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

#[cfg(test)]
mod tests {
    use super::release;
    use alloc::string::String;
    use alloc::vec::Vec;

    #[test]
    fn the_next_step_is_of_what_uses_the_disk() {
        let said = |users: &[&str]| {
            let users: Vec<String> = users.iter().map(ToString::to_string).collect();
            release(&users)
        };
        assert_eq!(said(&["sdb1 is mounted at /mnt"]), "Unmount it");
        assert_eq!(said(&["sdb2 is used as swap"]), "Turn off the swap on it");
        assert_eq!(
            said(&["md0 holds sdb1"]),
            "Take it out of the array, pool or map that holds it"
        );
        assert_eq!(
            said(&["sdb1 is mounted at /mnt", "dm-0 holds sdb2"]),
            "Unmount it, and take it out of the array, pool or map that holds it"
        );
    }
}
