// SPDX-License-Identifier: Apache-2.0
//! Removes what a disk held: both ends of the disk, of every old and of every new partition, and proves it gone.

use super::contents::{contents_of, slices};
use super::device::Device;
use super::error::DiskError;
use super::remains::beside_own_table;
use groundstate_api::Bytes;
use groundstate_api::inventory::Signature;
use groundstate_api::plan::{DiskAction, DiskPlan};
use groundstate_api::units::MIB;
use mos_core::guard::{Held, described, guard_held};
use mos_core::signature::far_places;
use std::path::Path;

/// Zeroed from each start. The furthest signature is LUKS2's second header at 4 MiB.
pub(super) const HEAD: u64 = 5 * MIB;
/// Zeroed before each end: backup GPT, md 0.90 and 1.0, ZFS and DRBD stand in the last MiB, Promise's RAID 1.5 MiB before
/// the end.
pub(super) const TAIL: u64 = 2 * MIB;

/// Wipes the disk and tells what was done. Running it again finds nothing and does the same. Where this run has begun with an
/// image of a whole disk before (`image_begun`), what stands there of it goes too.
///
/// # Errors
/// [`DiskError`] naming the device and the byte where it failed.
pub fn wipe(device: &Path, plan: &DiskPlan, image_begun: bool) -> Result<Vec<String>, DiskError> {
    let DiskAction::Wipe { table, .. } = &plan.action else {
        return Err(DiskError::NotToBeWiped {
            path: device.to_path_buf(),
        });
    };
    let disk = Device::open_to_write(device, plan)?;
    let read = DiskError::io("reading", device);
    let before = guard_before(&disk, plan, image_begun)?;
    let mut ranges = Vec::new();
    far(0, disk.size(), disk.size(), &mut ranges);
    for slice in slices(&disk).map_err(&read)? {
        both_ends(slice.start, slice.length, disk.size(), &mut ranges);
    }
    for partition in &table.partitions {
        both_ends(
            partition.start.0,
            partition.length.0,
            disk.size(),
            &mut ranges,
        );
    }
    // The table goes last: an interrupted wipe still finds the old partitions' ends. Of the table the first sector goes
    // first: what is left of a GPT then never looks like a table of another kind.
    let (size, tail, first) = (disk.size(), TAIL.min(disk.size()), u64::from(disk.sector()));
    let mut zeroed = zero(&disk, &merged(ranges))?;
    zeroed += zero(&disk, &[(0, first.min(size))])?;
    zeroed += zero(&disk, &[(size - tail, size)])?;
    // A header tells whose the disk was for as long as anything of a table is there.
    let second = (2 * first).min(size);
    zeroed += zero(&disk, &[(second, HEAD.min(size).max(second))])?;
    zeroed += zero(&disk, &[(first.min(size), second)])?;
    disk.reread_partitions()?;
    let (after, _) = contents_of(&disk).map_err(&read)?;
    if let Some(left) = after.first() {
        return Err(DiskError::NotErased {
            path: device.to_path_buf(),
            what: described(left),
        });
    }
    let gone: Vec<String> = before.iter().map(described).collect();
    let gone = if gone.is_empty() {
        "nothing".to_owned()
    } else {
        gone.join(", ")
    };
    Ok(vec![
        format!("removed {gone}"),
        format!("{} zeroed and read back as zeros", Bytes(zeroed)),
    ])
}

/// Clears the partitions without a volume on a disk whose table and data volume stay, and tells what was done. Not a byte
/// outside those partitions is written. Running it again does the same.
///
/// # Errors
/// [`DiskError`] naming the device and the byte where it failed.
pub(super) fn clear_beside(device: &Path, plan: &DiskPlan) -> Result<Vec<String>, DiskError> {
    let DiskAction::Renew { table, .. } = &plan.action else {
        return Err(DiskError::NotToBeWiped {
            path: device.to_path_buf(),
        });
    };
    let disk = Device::open_to_write(device, plan)?;
    let before = guard_open(&disk, plan)?;
    let mut ranges = Vec::new();
    let numbered = table.partitions.iter().zip(1u32..);
    let anew: Vec<_> = numbered
        .filter(|(partition, _)| partition.holds.volume().is_none())
        .collect();
    for (partition, _) in &anew {
        let (start, length) = (partition.start.0, partition.length.0);
        both_ends(start, length, disk.size(), &mut ranges);
    }
    let within = |(from, to): &(u64, u64)| {
        anew.iter().any(|(partition, _)| {
            let end = partition.start.0.saturating_add(partition.length.0);
            *from >= partition.start.0 && *to <= end
        })
    };
    let ranges: Vec<(u64, u64)> = ranges.into_iter().filter(within).collect();
    let zeroed = zero(&disk, &merged(ranges))?;
    let after = guard_open(&disk, plan)?;
    let at: Vec<String> = anew
        .iter()
        .map(|(_, number)| format!("partition {number}"))
        .collect();
    let there = |found: &&Signature| at.contains(&found.at);
    if let Some(left) = after.iter().find(there) {
        return Err(DiskError::NotErased {
            path: device.to_path_buf(),
            what: described(left),
        });
    }
    let gone: Vec<String> = before.iter().filter(there).map(described).collect();
    let gone = if gone.is_empty() {
        "nothing".to_owned()
    } else {
        gone.join(", ")
    };
    Ok(vec![
        format!("removed {gone}; the table and the data volume stay"),
        format!("{} zeroed and read back as zeros", Bytes(zeroed)),
    ])
}

/// The guard's word on what is read through the handle that will be written to: what it saw before was read through a
/// name. Gives what the disk holds.
pub(super) fn guard_open(disk: &Device, plan: &DiskPlan) -> Result<Vec<Signature>, DiskError> {
    guard_before(disk, plan, false)
}

fn guard_before(
    disk: &Device,
    plan: &DiskPlan,
    image_begun: bool,
) -> Result<Vec<Signature>, DiskError> {
    let read = DiskError::io("reading", disk.path());
    let (contents, layout) = contents_of(disk).map_err(&read)?;
    let held = Held {
        contents: &contents,
        layout: layout.as_ref(),
    };
    let Err(reason) = guard_held(plan, held) else {
        return Ok(contents);
    };
    // Half of this plan's own table is no stranger.
    if let Some(beside) = beside_own_table(disk, plan, image_begun).map_err(&read)? {
        let held = Held {
            contents: &beside,
            layout: None,
        };
        if guard_held(plan, held).is_ok() {
            return Ok(contents);
        }
    }
    Err(DiskError::Refused {
        path: disk.path().to_path_buf(),
        reason: Box::new(reason),
    })
}

/// Adds the first [`HEAD`] and the last [`TAIL`] bytes of a range, as far as they are on the disk.
fn both_ends(start: u64, length: u64, size: u64, ranges: &mut Vec<(u64, u64)>) {
    let end = start.saturating_add(length).min(size);
    if start >= end {
        return;
    }
    ranges.push((start, end.min(start + HEAD)));
    ranges.push((end.saturating_sub(TAIL).max(start), end));
    far(start, end - start, size, ranges);
}

/// Adds the places of a range that are looked at and lie far from its ends.
fn far(start: u64, length: u64, size: u64, ranges: &mut Vec<(u64, u64)>) {
    let places = far_places(length.min(size - start));
    ranges.extend(places.map(|(at, length)| (start + at, start + at + length)));
}

/// The ranges in order, without overlaps.
fn merged(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut out: Vec<(u64, u64)> = Vec::new();
    for (start, end) in ranges {
        match out.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            Some(_) | None => out.push((start, end)),
        }
    }
    out
}

fn zero(disk: &Device, ranges: &[(u64, u64)]) -> Result<u64, DiskError> {
    for (start, end) in ranges {
        disk.zero_proved(*start, *end)?;
    }
    Ok(ranges.iter().map(|(start, end)| end - start).sum())
}
