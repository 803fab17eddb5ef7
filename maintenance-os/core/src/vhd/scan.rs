// SPDX-License-Identifier: Apache-2.0
//! Goes once through the table: every block must lie in the file, on no structure, and on no other block.

use super::SECTOR;
use super::error::VhdError;
use super::fault::{FAULTS_MAX, Fault, Structure};
use super::table::{FREE, Table};
use crate::random_access::ReadAt;
use alloc::vec::Vec;

/// A place in the file that no block may touch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    begin: u64,
    end: u64,
    structure: Structure,
}

impl Region {
    pub(super) const fn new(at: u64, length: u64, structure: Structure) -> Self {
        Self {
            begin: at,
            end: at.saturating_add(length),
            structure,
        }
    }

    pub(super) const fn overlaps(&self, other: &Self) -> bool {
        self.touches(other.begin, other.end)
    }

    const fn touches(&self, begin: u64, end: u64) -> bool {
        begin < self.end && self.begin < end
    }
}

/// What the scan must know of the disk and its file.
pub(super) struct Disk<'a> {
    pub(super) size: u64,
    pub(super) block_size: u64,
    /// Bytes of a bitmap in the file.
    pub(super) bitmap: u64,
    pub(super) count: u32,
    pub(super) file: u64,
    pub(super) regions: &'a [Region],
}

impl Disk<'_> {
    /// Where a block ends in the file. Of the last block of a disk only what the disk has must be there.
    fn end_of(&self, block: u32, at: u64) -> u64 {
        let begin = u64::from(block) * self.block_size;
        at + self.bitmap + self.block_size.min(self.size.saturating_sub(begin))
    }
}

/// What the scan found.
pub(super) struct Scanned {
    pub(super) existing: u32,
    pub(super) in_order: bool,
    /// Where the last block ends.
    pub(super) end: u64,
}

/// A block in the file; sorted by where it begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    sector: u32,
    block: u32,
}

pub(super) fn scan<S: ReadAt>(
    source: &mut S,
    table: &mut Table,
    disk: &Disk<'_>,
    faults: &mut Vec<Fault>,
) -> Result<Scanned, VhdError<S::Error>> {
    // No more blocks than the file has room for are ever kept: memory follows the file's length. One may be cut short.
    let room = disk.file / (disk.bitmap + disk.block_size) + 1;
    let mut placed: Vec<Placed> = Vec::new();
    let mut block = 0;
    while block < disk.count && faults.len() < FAULTS_MAX {
        let (entries, count) = table.entries_from(source, block)?;
        for (block, sector) in (block..).zip(entries.unwrap_or_default()) {
            if *sector == FREE {
                continue;
            }
            let sector = *sector;
            let at = u64::from(sector) * SECTOR;
            let end = disk.end_of(block, at);
            if let Some(fault) = misplaced(disk, block, at, end) {
                faults.push(fault);
                if faults.len() >= FAULTS_MAX {
                    break;
                }
                continue;
            }
            if placed.len() as u64 >= room {
                faults.push(Fault::MoreBlocksThanRoom { room });
                return Ok(summary(disk, placed, faults));
            }
            placed.push(Placed { sector, block });
        }
        block += count;
    }
    Ok(summary(disk, placed, faults))
}

fn misplaced(disk: &Disk<'_>, block: u32, at: u64, end: u64) -> Option<Fault> {
    if end > disk.file {
        return Some(Fault::BlockOutside {
            block,
            at,
            end,
            file: disk.file,
        });
    }
    let region = disk.regions.iter().find(|region| region.touches(at, end))?;
    Some(Fault::BlockOver {
        block,
        at,
        structure: region.structure,
    })
}

fn summary(disk: &Disk<'_>, mut placed: Vec<Placed>, faults: &mut Vec<Fault>) -> Scanned {
    let existing = u32::try_from(placed.len()).unwrap_or(u32::MAX);
    let in_order = placed.is_sorted();
    placed.sort_unstable();
    for (one, next) in placed.iter().zip(placed.iter().skip(1)) {
        let at = u64::from(next.sector) * SECTOR;
        let end = disk.end_of(one.block, u64::from(one.sector) * SECTOR);
        if end > at && faults.len() < FAULTS_MAX {
            faults.push(Fault::BlocksOverlap {
                first: one.block,
                second: next.block,
                at,
            });
        }
    }
    // The whole of the last block is kept free, also where the file has only the disk's part of it.
    let end = placed.last().map_or(0, |last| {
        u64::from(last.sector) * SECTOR + disk.bitmap + disk.block_size
    });
    Scanned {
        existing,
        in_order,
        end,
    }
}
