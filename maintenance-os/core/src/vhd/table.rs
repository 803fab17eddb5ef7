// SPDX-License-Identifier: Apache-2.0
//! The block allocation table, read in windows and kept.
//!
//! A window without a block costs nothing to keep, so memory follows what the file holds and never exceeds 4 bytes for
//! each of [`BLOCKS_MAX`] blocks.

use super::error::{Refusal, VhdError};
use crate::random_access::{ReadAt, WriteAt};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

/// The most blocks of a disk that is read: 2,040 GiB in blocks of 256 KiB. Its whole table has 32 MiB.
pub const BLOCKS_MAX: u64 = 8 << 20;
/// Entries that are read at once: 64 KiB of the table, 32 GiB of a disk with common blocks.
pub(super) const WINDOW: u32 = 16_384;
/// The entry of a block that does not exist.
pub(super) const FREE: u32 = u32::MAX;

/// Neighbouring entries, `None` where all of them are free, and how many they are.
type Entries<'a> = (Option<&'a [u32]>, u32);

/// The table of one file.
#[derive(Debug)]
pub(super) struct Table {
    at: u64,
    entries: u32,
    /// By first entry; `None` is a window without a block.
    windows: BTreeMap<u32, Option<Box<[u32]>>>,
    /// Entries that are here and not yet in the file.
    unwritten: BTreeSet<u32>,
}

impl Table {
    pub(super) fn new(at: u64, entries: u32) -> Self {
        Self {
            at,
            entries,
            windows: BTreeMap::new(),
            unwritten: BTreeSet::new(),
        }
    }

    fn window<S: ReadAt>(
        &mut self,
        source: &mut S,
        first: u32,
    ) -> Result<&mut Option<Box<[u32]>>, VhdError<S::Error>> {
        use alloc::collections::btree_map::Entry;
        let count = WINDOW.min(self.entries - first);
        match self.windows.entry(first) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let mut bytes = vec![0u8; count as usize * 4];
                source
                    .read_at(self.at + u64::from(first) * 4, &mut bytes)
                    .map_err(VhdError::Io)?;
                let words: Vec<u32> = bytes
                    .chunks_exact(4)
                    .filter_map(|word| word.try_into().ok())
                    .map(u32::from_be_bytes)
                    .collect();
                let any = words.iter().any(|entry| *entry != FREE);
                Ok(unknown.insert(any.then(|| words.into_boxed_slice())))
            }
        }
    }

    /// The entries from `first` on that one window holds.
    pub(super) fn entries_from<S: ReadAt>(
        &mut self,
        source: &mut S,
        first: u32,
    ) -> Result<Entries<'_>, VhdError<S::Error>> {
        let skip = first % WINDOW;
        let begin = first - skip;
        let count = WINDOW.min(self.entries - begin) - skip;
        let window = self.window(source, begin)?;
        let entries = window
            .as_deref()
            .map(|entries| entries.get(skip as usize..).unwrap_or_default());
        Ok((entries, count))
    }

    /// The sector at which `block` begins with its bitmap.
    pub(super) fn entry<S: ReadAt>(
        &mut self,
        source: &mut S,
        block: u32,
    ) -> Result<Option<u32>, VhdError<S::Error>> {
        let (entries, _) = self.entries_from(source, block)?;
        let entry = entries.and_then(|entries| entries.first().copied());
        Ok(entry.filter(|entry| *entry != FREE))
    }

    /// How many blocks from `block` on do not exist, at most `most`.
    pub(super) fn free_run<S: ReadAt>(
        &mut self,
        source: &mut S,
        block: u32,
        most: u32,
    ) -> Result<u32, VhdError<S::Error>> {
        let mut run = 0;
        let most = most.min(self.entries - block);
        while run < most {
            let (entries, count) = self.entries_from(source, block + run)?;
            let free = entries.map_or(count as usize, |entries| {
                entries.iter().take_while(|entry| **entry == FREE).count()
            });
            let free = u32::try_from(free).unwrap_or(count);
            run += free;
            if free < count {
                break;
            }
        }
        Ok(run.min(most))
    }

    /// Sets the entry here; [`Table::write`] brings it to the file.
    pub(super) fn set<S: ReadAt>(
        &mut self,
        source: &mut S,
        block: u32,
        sector: u32,
    ) -> Result<(), VhdError<S::Error>> {
        let skip = block % WINDOW;
        let count = WINDOW.min(self.entries - (block - skip)) as usize;
        let window = self.window(source, block - skip)?;
        let entries = window.get_or_insert_with(|| vec![FREE; count].into_boxed_slice());
        if let Some(entry) = entries.get_mut(skip as usize) {
            *entry = sector;
        }
        self.unwritten.insert(block);
        Ok(())
    }

    /// How many entries are not in the file yet.
    pub(super) fn unwritten(&self) -> usize {
        self.unwritten.len()
    }

    /// Writes the new entries, those that are neighbours with one call.
    pub(super) fn write<S: WriteAt>(&mut self, source: &mut S) -> Result<(), VhdError<S::Error>> {
        while let Some(first) = self.unwritten.first().copied() {
            let (entries, _) = self.entries_from(source, first)?;
            let entries = entries.ok_or(VhdError::Refused(Refusal::FileFull))?;
            let entries: Vec<u32> = entries.to_vec();
            let mut bytes = Vec::new();
            let mut written = Vec::new();
            for (block, entry) in (first..).zip(entries) {
                if !self.unwritten.contains(&block) {
                    break;
                }
                bytes.extend(entry.to_be_bytes());
                written.push(block);
            }
            source
                .write_at(self.at + u64::from(first) * 4, &bytes)
                .map_err(VhdError::Io)?;
            for block in written {
                self.unwritten.remove(&block);
            }
        }
        Ok(())
    }
}
