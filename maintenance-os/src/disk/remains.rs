// SPDX-License-Identifier: Apache-2.0
//! Tells half of the plan's own table from somebody else's data.
//!
//! Power can go while a table is being written or wiped. On a disk that was blank, what then stands there is known only by
//! its bytes. Here a sector counts as ours only where the plan itself writes it and only where it holds exactly what the
//! plan writes; every such sector carries the plan's own GUIDs. The first sector, which every GPT has alike, never counts:
//! it is written last and goes first. What is beside those sectors is judged as on any disk, so that one byte of
//! somebody's is still somebody's.

use super::contents::contents_read;
use super::device::Device;
use super::partition::{Ends, table_bytes};
use groundstate_api::inventory::Signature;
use groundstate_api::plan::{DiskAction, DiskPlan};
use std::io;

/// A disk writes this much or nothing of it, whatever its sectors.
const PIECE: u64 = 512;

/// What the disk holds beside pieces of the table that the plan writes to it; `None` where it holds none of them.
///
/// # Errors
/// The disk cannot be read.
pub(super) fn beside_own_table(
    disk: &Device,
    plan: &DiskPlan,
) -> io::Result<Option<Vec<Signature>>> {
    let DiskAction::Wipe { table, .. } = &plan.action else {
        return Ok(None);
    };
    // A table that cannot be made is refused where it is to be written.
    let Ok(ends) = table_bytes(disk.size(), disk.sector(), table) else {
        return Ok(None);
    };
    let own = own_pieces(disk, &ends)?;
    if own.is_empty() {
        return Ok(None);
    }
    let reader = |offset: u64, length: usize| {
        let mut bytes = disk.read(offset, length)?;
        for piece in &own {
            veil(&mut bytes, offset, *piece);
        }
        Ok(bytes)
    };
    let (contents, _) = contents_read(disk, &reader)?;
    Ok(Some(contents))
}

/// Where pieces stand that are the plan's and are not blank.
fn own_pieces(disk: &Device, ends: &Ends) -> io::Result<Vec<u64>> {
    let sector = u64::from(disk.sector());
    let first = usize::try_from(sector).unwrap_or(usize::MAX);
    let head = ends.head.get(first..).unwrap_or_default();
    let mut own = Vec::new();
    for (from, planned) in [(sector, head), (ends.tail_at, ends.tail.as_slice())] {
        let found = disk.read(from, planned.len())?;
        let step = usize::try_from(PIECE).unwrap_or(usize::MAX);
        let pairs = found.chunks(step).zip(planned.chunks(step));
        for (at, (is, should)) in (from..).step_by(step).zip(pairs) {
            if is == should && is.iter().any(|byte| *byte != 0) {
                own.push(at);
            }
        }
    }
    Ok(own)
}

/// Blanks the piece at `piece` in what was read from `offset`.
fn veil(bytes: &mut [u8], offset: u64, piece: u64) {
    let end = offset + bytes.len() as u64;
    let (from, to) = (piece.max(offset), (piece + PIECE).min(end));
    if from >= to {
        return;
    }
    let within = |at: u64| usize::try_from(at - offset).unwrap_or(usize::MAX);
    if let Some(own) = bytes.get_mut(within(from)..within(to)) {
        own.fill(0);
    }
}
