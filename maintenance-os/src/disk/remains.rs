// SPDX-License-Identifier: Apache-2.0
//! Tells half of the plan's own table from somebody else's data.
//!
//! Power can go while a table is being written or wiped. On a disk that was blank, what then stands there is known only by
//! its bytes. Here a sector counts as ours only where the plan itself writes it and only where it holds exactly what the
//! plan writes; every such sector carries the plan's own GUIDs. The first sector, which every GPT has alike, never counts:
//! it is written last and goes first. An image of a whole disk brings GUIDs that every copy of it has: they count only where
//! this run has said that it began with the image. A disk of ones is blank as well, and a wipe that was cut leaves ones beside zeros: a
//! piece of nothing but ones is blank here. What is beside is judged as on any disk, so that one byte of somebody's is
//! still somebody's.

use super::contents::contents_read;
use super::device::Device;
use super::partition::{Ends, table_bytes};
use groundstate_api::Digest;
use groundstate_api::image::ImageTable;
use groundstate_api::inventory::Signature;
use groundstate_api::plan::{DiskAction, DiskPlan};
use mos_core::signature::{Window, read_gpt_header};
use std::io;

/// A disk writes this much or nothing of it, whatever its sectors.
const PIECE: u64 = 512;
/// A piece of a disk that reads as ones where nothing was written.
const ONES: [u8; 512] = [0xff; 512];

/// What the disk holds beside pieces of the table that the plan writes to it, and beside blank ones; `None` where the plan
/// writes no table to it.
///
/// # Errors
/// The disk cannot be read.
pub(super) fn beside_own_table(
    disk: &Device,
    plan: &DiskPlan,
    image_begun: bool,
) -> io::Result<Option<Vec<Signature>>> {
    let DiskAction::Wipe { table, .. } = &plan.action else {
        return Ok(None);
    };
    if let Some((table, _, image)) = plan.whole_disk()
        && is_own_image(disk, &table.disk_guid, image.filter(|_| image_begun))?
    {
        return Ok(Some(Vec::new()));
    }
    // A table that cannot be made is refused where it is to be written.
    let Ok(ends) = table_bytes(disk.size(), disk.sector(), table) else {
        return Ok(None);
    };
    let own = own_pieces(disk, &ends)?;
    let reader = |offset: u64, length: usize| read_beside(disk, &own, offset, length);
    let (contents, _) = contents_read(disk, &reader)?;
    Ok(Some(contents))
}

/// Whether the plan's image of a whole disk stands on the disk, or is being written to it. A header of a GUID table is one
/// sector, which a disk writes whole or not at all: one at either end tells, whatever became of the entries beside it. It
/// has the plan's GUID, or the one that the image was made with, until the table is fitted to the disk. Where this run did
/// not begin with the image, `image` is none: somebody else put it there.
fn is_own_image(disk: &Device, planned: &str, image: Option<&ImageTable>) -> io::Result<bool> {
    let sector = u64::from(disk.sector());
    if disk.size() < 2 * sector {
        return Ok(false);
    }
    if let Some(ImageTable::Dos { first_sector }) = image {
        let length = usize::try_from(sector).unwrap_or(usize::MAX);
        if Digest::of(&disk.read(0, length)?) == *first_sector {
            return Ok(true);
        }
    }
    for at in [sector, (disk.size() / sector - 1) * sector] {
        let mut read = |offset: u64, length: usize| disk.read(offset, length);
        let mut window = Window::new(disk.size(), disk.sector(), &mut read);
        let found = read_gpt_header(&mut window, at)?.map(|guid| guid.upper());
        let is_image = |guid: &String| match image {
            Some(ImageTable::Gpt { disk_guid }) => guid == disk_guid,
            Some(ImageTable::Dos { .. }) | None => false,
        };
        if found.is_some_and(|guid| guid == planned || is_image(&guid)) {
            return Ok(true);
        }
    }
    Ok(false)
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

/// Reads with every piece of our own and every piece of ones as zeros.
fn read_beside(disk: &Device, own: &[u64], offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let outside = || io::Error::other("outside the disk");
    let end = offset.checked_add(length as u64).ok_or_else(outside)?;
    let from = offset / PIECE * PIECE;
    let to = end.next_multiple_of(PIECE).min(disk.size()).max(end);
    let whole = usize::try_from(to - from).map_err(|_| outside())?;
    let mut bytes = disk.read(from, whole)?;
    let step = usize::try_from(PIECE).unwrap_or(usize::MAX);
    for (at, piece) in (from..).step_by(step).zip(bytes.chunks_mut(step)) {
        if ONES.get(..piece.len()) == Some(piece) || own.contains(&at) {
            piece.fill(0);
        }
    }
    let skip = usize::try_from(offset - from).map_err(|_| outside())?;
    bytes.drain(..skip);
    bytes.truncate(length);
    Ok(bytes)
}
