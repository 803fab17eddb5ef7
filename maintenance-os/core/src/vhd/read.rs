// SPDX-License-Identifier: Apache-2.0
//! Reads the disk in a VHD, and tells where its bytes lie.

use super::SECTOR;
use super::error::{Refusal, VhdError};
use super::footer::Kind;
use super::open::Vhd;
use crate::random_access::ReadAt;

/// Where a stretch of the disk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file, from this byte on.
    Data {
        /// Offset in the file.
        at: u64,
    },
    /// Nowhere: it reads as zero.
    Zero,
    /// In the parent, at the same place of its disk.
    Parent,
}

/// A stretch of the disk that lies in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Length in bytes, at least 1.
    pub length: u64,
    /// Where.
    pub place: Place,
}

impl<S: ReadAt> Vhd<S> {
    /// Where the bytes from `at` on lie, and how many of them lie there; the next stretch may lie in the same place.
    ///
    /// # Errors
    /// [`Refusal::BeyondEnd`], or the source's.
    pub fn extent(&mut self, at: u64) -> Result<Extent, VhdError<S::Error>> {
        self.within(at, 1)?;
        let rest = self.size().0 - at;
        self.extent_of(at, rest)
    }

    /// As [`Vhd::extent`], with what lies in a parent followed to where it really lies. The number says how many
    /// parents up that is: 0 is this file.
    ///
    /// # Errors
    /// [`Refusal::NoParent`] where the chain is not attached; as [`Vhd::extent`].
    pub fn resolved(&mut self, at: u64) -> Result<(Extent, usize), VhdError<S::Error>> {
        let mut extent = self.extent(at)?;
        let mut depth = 0;
        let mut vhd = self;
        while extent.place == Place::Parent {
            vhd = vhd.parent.as_deref_mut().ok_or(Refusal::NoParent)?;
            depth += 1;
            extent = vhd.extent_of(at, extent.length)?;
        }
        Ok((extent, depth))
    }

    pub(super) fn within(&self, at: u64, length: usize) -> Result<(), Refusal> {
        let (length, size) = (length as u64, self.size().0);
        if at.checked_add(length).is_none_or(|end| end > size) {
            return Err(Refusal::BeyondEnd { at, length, size });
        }
        Ok(())
    }

    /// The stretch at `at`, of `most` bytes at most; `at + most` lies on the disk.
    fn extent_of(&mut self, at: u64, most: u64) -> Result<Extent, VhdError<S::Error>> {
        let Some(blocks) = &mut self.blocks else {
            return Ok(Extent {
                length: most,
                place: Place::Data { at },
            });
        };
        let absent = match self.footer.kind {
            Kind::Differencing => Place::Parent,
            Kind::Fixed | Kind::Dynamic => Place::Zero,
        };
        let size = blocks.header.block_size;
        let block = u32::try_from(at / size).unwrap_or(u32::MAX);
        let skip = at % size;
        let Some(sector) = blocks.table.entry(&mut self.source, block)? else {
            let last = u32::try_from((at + most - 1) / size).unwrap_or(u32::MAX);
            let free = blocks
                .table
                .free_run(&mut self.source, block, last - block + 1)?;
            return Ok(Extent {
                length: (u64::from(free) * size - skip).min(most),
                place: absent,
            });
        };
        let bitmap_at = u64::from(sector) * SECTOR;
        let most = most.min(size - skip);
        let bits = blocks.bitmaps.bits(&mut self.source, block, bitmap_at)?;
        let first = u32::try_from(skip / SECTOR).unwrap_or(u32::MAX);
        let sectors = (skip % SECTOR + most).div_ceil(SECTOR);
        let (set, run) = bits.run(first, u32::try_from(sectors).unwrap_or(u32::MAX));
        let length = (u64::from(run) * SECTOR - skip % SECTOR).min(most);
        let place = if set {
            let at = bitmap_at + blocks.bitmaps.length() + skip;
            Place::Data { at }
        } else {
            absent
        };
        Ok(Extent { length, place })
    }
}

impl<S: ReadAt> ReadAt for Vhd<S> {
    type Error = VhdError<S::Error>;

    fn len(&self) -> u64 {
        self.size().0
    }

    fn read_at(&mut self, mut at: u64, into: &mut [u8]) -> Result<(), Self::Error> {
        self.within(at, into.len())?;
        let mut rest = into;
        while !rest.is_empty() {
            let extent = self.extent_of(at, rest.len() as u64)?;
            let length = usize::try_from(extent.length).unwrap_or(usize::MAX);
            let count = length.min(rest.len());
            let (now, later) = core::mem::take(&mut rest).split_at_mut(count);
            match extent.place {
                Place::Data { at } => self.source.read_at(at, now).map_err(VhdError::Io)?,
                Place::Zero => now.fill(0),
                Place::Parent => {
                    let parent = self.parent.as_deref_mut().ok_or(Refusal::NoParent)?;
                    parent.read_at(at, now)?;
                }
            }
            at += extent.length;
            rest = later;
        }
        Ok(())
    }
}
