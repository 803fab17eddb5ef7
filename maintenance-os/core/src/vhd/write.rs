// SPDX-License-Identifier: Apache-2.0
//! Writes the disk in a VHD.
//!
//! The order survives a loss of power at any write: data first, then the bitmaps that make it count, then the table's
//! entries, with the file made durable between them. A new block lies behind everything that the file had, so what a
//! lost entry leaves is never referred to. The footer at the end moves with every new block; while it is torn, its
//! copy at byte 0 serves. Entries and bitmaps are gathered and reach the file on a flush.

use super::error::{Refusal, VhdError};
use super::footer::{FOOTER_LEN, Kind};
use super::open::Vhd;
use super::{ALIGNMENT, SECTOR};
use crate::random_access::{ReadAt as _, WriteAt};
use alloc::vec;

/// After this many new blocks they are flushed, so that a loss of power loses 2 GiB at most of common blocks.
const NEW_BLOCKS_MAX: usize = 1_024;
/// After this many bytes of changed bitmaps they are flushed.
const BITMAPS_MAX: usize = 8 << 20;

/// Where the bitmap of the next block begins, so that its data is aligned.
pub(super) const fn next_block(end: u64, bitmap: u64) -> u64 {
    (end + bitmap).next_multiple_of(ALIGNMENT) - bitmap
}

impl<S: WriteAt> WriteAt for Vhd<S> {
    fn write_at(&mut self, mut at: u64, from: &[u8]) -> Result<(), Self::Error> {
        self.within(at, from.len())?;
        let Some(blocks) = &self.blocks else {
            return self.source.write_at(at, from).map_err(VhdError::Io);
        };
        if !self.copy {
            return Err(Refusal::NoCopy.into());
        }
        let size = blocks.header.block_size;
        let mut rest = from;
        while !rest.is_empty() {
            let room = usize::try_from(size - at % size).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.write_in_block(at, now)?;
            at += now.len() as u64;
            rest = later;
            self.flush_when_much_waits()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        let Self { source, blocks, .. } = self;
        source.flush().map_err(VhdError::Io)?;
        let Some(blocks) = blocks else {
            return Ok(());
        };
        if blocks.bitmaps.unwritten() > 0 {
            blocks.bitmaps.write(source)?;
            source.flush().map_err(VhdError::Io)?;
        }
        if blocks.table.unwritten() > 0 {
            blocks.table.write(source)?;
            source.flush().map_err(VhdError::Io)?;
        }
        Ok(())
    }
}

impl<S: WriteAt> Vhd<S> {
    fn flush_when_much_waits(&mut self) -> Result<(), VhdError<S::Error>> {
        let much = self.blocks.as_ref().is_some_and(|blocks| {
            blocks.table.unwritten() >= NEW_BLOCKS_MAX || blocks.bitmaps.unwritten() >= BITMAPS_MAX
        });
        if much { self.flush() } else { Ok(()) }
    }

    /// Writes what lies in one block.
    fn write_in_block(&mut self, at: u64, from: &[u8]) -> Result<(), VhdError<S::Error>> {
        let Some(blocks) = &mut self.blocks else {
            return Ok(());
        };
        let size = blocks.header.block_size;
        let block = u32::try_from(at / size).unwrap_or(u32::MAX);
        let skip = at % size;
        let bitmap_at = match blocks.table.entry(&mut self.source, block)? {
            Some(sector) => u64::from(sector) * SECTOR,
            None => self.allocate(block)?,
        };
        let end = skip + from.len() as u64;
        let Some(blocks) = &mut self.blocks else {
            return Ok(());
        };
        let first = u32::try_from(skip / SECTOR).unwrap_or(u32::MAX);
        let count = u32::try_from(end.div_ceil(SECTOR)).unwrap_or(u32::MAX) - first;
        let bits = blocks.bitmaps.bits(&mut self.source, block, bitmap_at)?;
        let whole = bits.run(first, count) == (true, count);
        let data_at = bitmap_at + blocks.bitmaps.length();
        if whole || (skip.is_multiple_of(SECTOR) && end.is_multiple_of(SECTOR)) {
            self.source
                .write_at(data_at + skip, from)
                .map_err(VhdError::Io)?;
        } else {
            self.write_whole_sectors(at, from, data_at)?;
        }
        if let (false, Some(blocks)) = (whole, &mut self.blocks) {
            blocks.bitmaps.set(block, bitmap_at, first, count);
        }
        Ok(())
    }

    /// A sector whose bit is not set yet gets all of its bytes: the new ones, and what it reads as until now.
    fn write_whole_sectors(
        &mut self,
        at: u64,
        from: &[u8],
        data_at: u64,
    ) -> Result<(), VhdError<S::Error>> {
        let Some(blocks) = &self.blocks else {
            return Ok(());
        };
        let block_size = blocks.header.block_size;
        let begin = at - at % SECTOR;
        let end = (at + from.len() as u64).next_multiple_of(SECTOR);
        let mut sectors = vec![0u8; usize::try_from(end - begin).unwrap_or_default()];
        self.read_at(begin, &mut sectors)?;
        let skip = usize::try_from(at - begin).unwrap_or_default();
        for (to, byte) in sectors.iter_mut().skip(skip).zip(from) {
            *to = *byte;
        }
        self.source
            .write_at(data_at + begin % block_size, &sectors)
            .map_err(VhdError::Io)
    }

    /// Makes a block at the end of the file and returns where its bitmap is. The block's data is what the file reads
    /// as where it grows: zero.
    fn allocate(&mut self, block: u32) -> Result<u64, VhdError<S::Error>> {
        let Some(blocks) = &mut self.blocks else {
            return Err(Refusal::FileFull.into());
        };
        let bitmap = blocks.bitmaps.length();
        let at = next_block(blocks.end, bitmap);
        let end = at + bitmap + blocks.header.block_size;
        let sector = u32::try_from(at / SECTOR)
            .ok()
            .filter(|_| u32::try_from((end + bitmap) / SECTOR).is_ok_and(|s| s < u32::MAX))
            .ok_or(Refusal::FileFull)?;
        // The footer first: it makes the file as long as the block needs. Its old place becomes the bitmap.
        let footer_at = next_block(end, FOOTER_LEN as u64);
        self.source
            .write_at(footer_at, &self.footer_bytes)
            .map_err(VhdError::Io)?;
        // All of a dynamic VHD's new block is data, as QEMU does it: what was not written is zero in the file, too.
        let full = self.footer.kind == Kind::Dynamic;
        let bits = vec![if full { 0xff } else { 0 }; usize::try_from(bitmap).unwrap_or_default()];
        self.source.write_at(at, &bits).map_err(VhdError::Io)?;
        blocks.bitmaps.begin(block, full);
        blocks.table.set(&mut self.source, block, sector)?;
        blocks.existing += 1;
        blocks.in_order = false;
        blocks.end = footer_at;
        Ok(at)
    }
}
