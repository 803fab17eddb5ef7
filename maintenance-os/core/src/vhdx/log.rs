// SPDX-License-Identifier: Apache-2.0
//! The log ([MS-VHDX] 2.3): finds the newest whole sequence of entries and replays it into an overlay.
//!
//! The file itself is not written: a reader that has no right to change a disk still sees it as it was meant. An entry
//! that was torn by a power cut has a wrong checksum and is none; what came before it counts.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use crate::guid::Guid;

use super::crc32c::Crc32c;
use super::error::VhdxError;
use super::field::{field, guid_at, index, offset, put, u32_at, u64_at};
use super::limits::{FILE_MAX, LOG_DESCRIPTORS_MAX};
use super::overlay::{Overlay, SECTOR};
use super::region;

const HEAD: usize = 64;
const DESCRIPTOR: usize = 32;
/// Sectors whose checksum is computed, as a multiple of the log's own: entries that overlap would make it a square.
const EFFORT: usize = 4;

/// What replaying came to.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    pub(super) overlay: Overlay,
    /// Entries that were replayed.
    pub(super) entries: u32,
    /// Bytes that the file would have.
    pub(super) file_len: u64,
}

/// Where the log's bytes come from and go to.
pub(super) struct Place {
    /// The log's own range of the file.
    pub(super) log: Range<u64>,
    /// Bytes of the file.
    pub(super) file_len: u64,
}

/// Replays the log `bytes`, whose entries bear `id`.
pub(super) fn replay(bytes: &[u8], id: Guid, place: &Place) -> Result<Replay, VhdxError> {
    let (sectors, _) = bytes.as_chunks::<SECTOR>();
    let effort = sectors.len() * EFFORT;
    let mut log = Log {
        sectors,
        id,
        effort,
    };
    let sequence = log.newest()?.ok_or(VhdxError::LogBroken { id })?;
    let head = sequence.last().ok_or(VhdxError::LogBroken { id })?;
    if head.flushed > place.file_len {
        let (flushed, len) = (head.flushed, place.file_len);
        return Err(VhdxError::LogTruncated { flushed, len });
    }
    let file_len = head.last.max(place.file_len);
    if file_len > FILE_MAX {
        return Err(VhdxError::TooLong { len: file_len });
    }
    let mut overlay = Overlay::default();
    let mut descriptors = 0u32;
    for entry in &sequence {
        descriptors = descriptors.saturating_add(entry.descriptors);
        if descriptors > LOG_DESCRIPTORS_MAX {
            return Err(VhdxError::LogDescriptors);
        }
        for write in log.writes(entry) {
            admit(&write, place, file_len)?;
            match write.data {
                Some(data) => overlay.write(write.at, data),
                None => overlay.zero(write.at, write.len),
            }
        }
    }
    let entries = u32::try_from(sequence.len()).unwrap_or(u32::MAX);
    Ok(Replay {
        overlay,
        entries,
        file_len,
    })
}

/// A log writes region tables, metadata, block tables, bitmaps: never headers, never itself, never beyond the file.
fn admit(write: &Write, place: &Place, file_len: u64) -> Result<(), VhdxError> {
    let (at, len) = (write.at, write.len);
    let [tables, _] = region::TABLES_AT;
    let end = at.checked_add(len).filter(|end| *end <= file_len);
    match end {
        Some(end) if at >= tables && (end <= place.log.start || at >= place.log.end) => Ok(()),
        Some(_) | None => Err(VhdxError::LogTarget { at, len }),
    }
}

struct Log<'a> {
    sectors: &'a [[u8; SECTOR]],
    id: Guid,
    effort: usize,
}

/// One entry whose checksum is right.
struct Entry {
    /// Sectors from the log's start.
    at: usize,
    sectors: usize,
    /// The oldest entry that had to be replayed when this one was written, in sectors from the log's start.
    tail: usize,
    sequence: u64,
    descriptors: u32,
    flushed: u64,
    last: u64,
}

struct Write {
    at: u64,
    len: u64,
    data: Option<Box<[u8; SECTOR]>>,
}

impl Log<'_> {
    /// The sector at `at`, around the end to the start.
    fn sector(&self, at: usize) -> &[u8; SECTOR] {
        const NONE: &[u8; SECTOR] = &[0; SECTOR];
        let at = at.checked_rem(self.sectors.len()).unwrap_or(0);
        self.sectors.get(at).unwrap_or(NONE)
    }

    /// Of all whole sequences the one whose last entry is newest, from that entry's tail on ([MS-VHDX] 2.3.3).
    fn newest(&mut self) -> Result<Option<Vec<Entry>>, VhdxError> {
        let mut newest: Option<Vec<Entry>> = None;
        let mut at = 0;
        while at < self.sectors.len() {
            let mut entries = self.sequence(at)?;
            at += entries
                .iter()
                .map(|entry| entry.sectors)
                .sum::<usize>()
                .max(1);
            let Some(head) = entries.last() else {
                continue;
            };
            let (tail, sequence) = (head.tail, head.sequence);
            let Some(begin) = entries.iter().position(|entry| entry.at == tail) else {
                continue;
            };
            let best = newest.as_ref().and_then(|best| best.last());
            if best.is_none_or(|best| best.sequence < sequence) {
                newest = Some(entries.split_off(begin));
            }
        }
        Ok(newest)
    }

    /// Entries one after the other from `at`, each with the next sequence number.
    fn sequence(&mut self, at: usize) -> Result<Vec<Entry>, VhdxError> {
        let mut entries: Vec<Entry> = Vec::new();
        let (mut next, mut left) = (at, self.sectors.len());
        while let Some(entry) = self.entry(next % self.sectors.len())? {
            let follows = entries
                .last()
                .is_none_or(|last| last.sequence.checked_add(1) == Some(entry.sequence));
            if !follows || entry.sectors > left {
                break;
            }
            (next, left) = (next + entry.sectors, left - entry.sectors);
            entries.push(entry);
            if left == 0 {
                break;
            }
        }
        Ok(entries)
    }

    /// The entry at sector `at`, where there is a whole one.
    fn entry(&mut self, at: usize) -> Result<Option<Entry>, VhdxError> {
        let head = self.sector(at);
        let (len, tail) = (u64::from(u32_at(head, 8)), u64::from(u32_at(head, 12)));
        let (sequence, descriptors) = (u64_at(head, 16), u32_at(head, 24));
        let sector = offset(SECTOR);
        let all = offset(self.sectors.len()) * sector;
        let stepped = len.is_multiple_of(sector) && tail.is_multiple_of(sector);
        if !head.starts_with(b"loge") || guid_at(head, 32) != self.id || sequence == 0 {
            return Ok(None);
        }
        if !stepped || len == 0 || len > all || tail >= all {
            return Ok(None);
        }
        let entry = Entry {
            at,
            sectors: index(len / sector),
            tail: index(tail / sector),
            sequence,
            descriptors,
            flushed: u64_at(head, 48),
            last: u64_at(head, 56),
        };
        let said = u32_at(head, 4);
        if !self.whole(&entry) || self.checksum(&entry)? != said {
            return Ok(None);
        }
        Ok(Some(entry))
    }

    /// Whether descriptors and data sectors bear the entry's number. Looked at before the checksum, for it is cheap.
    fn whole(&self, entry: &Entry) -> bool {
        let first_data = descriptor_sectors(entry.descriptors);
        if first_data > entry.sectors {
            return false;
        }
        let mut data = 0;
        for number in 0..entry.descriptors {
            let descriptor = self.descriptor(entry, number);
            let stepped = u64_at(&descriptor, 16).is_multiple_of(offset(SECTOR));
            if u64_at(&descriptor, 24) != entry.sequence || !stepped {
                return false;
            }
            if descriptor.starts_with(b"zero") {
                if !u64_at(&descriptor, 8).is_multiple_of(offset(SECTOR)) {
                    return false;
                }
                continue;
            }
            if !descriptor.starts_with(b"desc") || first_data + data >= entry.sectors {
                return false;
            }
            let sector = self.sector(entry.at + first_data + data);
            let high = u64::from(u32_at(sector, 4)) << 32;
            let number = high | u64::from(u32_at(sector, SECTOR - 4));
            if !sector.starts_with(b"data") || number != entry.sequence {
                return false;
            }
            data += 1;
        }
        true
    }

    fn checksum(&mut self, entry: &Entry) -> Result<u32, VhdxError> {
        self.effort = self
            .effort
            .checked_sub(entry.sectors)
            .ok_or(VhdxError::LogTangled)?;
        let mut head = *self.sector(entry.at);
        put(&mut head, 4, &[0; 4]);
        let mut crc = Crc32c::new().update(&head);
        for number in 1..entry.sectors {
            crc = crc.update(self.sector(entry.at + number));
        }
        Ok(crc.finish())
    }

    fn descriptor(&self, entry: &Entry, number: u32) -> [u8; DESCRIPTOR] {
        let at = HEAD + DESCRIPTOR * index(u64::from(number));
        field(self.sector(entry.at + at / SECTOR), at % SECTOR)
    }

    /// What a whole entry writes, in its order.
    fn writes<'b>(&'b self, entry: &'b Entry) -> impl Iterator<Item = Write> + 'b {
        let mut next = entry.at + descriptor_sectors(entry.descriptors);
        (0..entry.descriptors).map(move |number| {
            let descriptor = self.descriptor(entry, number);
            let at = u64_at(&descriptor, 16);
            if descriptor.starts_with(b"zero") {
                let len = u64_at(&descriptor, 8);
                return Write {
                    at,
                    len,
                    data: None,
                };
            }
            // The sector's first eight and last four bytes made room for signature and number: the descriptor has them.
            let mut data = Box::new(*self.sector(next));
            next += 1;
            put(data.as_mut(), 0, &field::<8>(&descriptor, 8));
            put(data.as_mut(), SECTOR - 4, &field::<4>(&descriptor, 4));
            let len = offset(SECTOR);
            Write {
                at,
                len,
                data: Some(data),
            }
        })
    }
}

/// Sectors that the entry's header and its descriptors fill.
fn descriptor_sectors(count: u32) -> usize {
    (HEAD + DESCRIPTOR * index(u64::from(count))).div_ceil(SECTOR)
}
