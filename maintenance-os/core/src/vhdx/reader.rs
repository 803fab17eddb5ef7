// SPDX-License-Identifier: Apache-2.0
//! Opens a VHDX and reads its disk.

use alloc::boxed::Box;
use alloc::string::String;
use core::ops::Range;

use groundstate_api::Bytes;

use crate::guid::Guid;
use crate::random_access::ReadAt;

use super::error::{CopyFault, Failure, VhdxError};
use super::field::{index, offset};
use super::file::File;
use super::header::{self, FILE_SIGNATURE, HEADERS_AT, Header, IDENTIFIER_LEN, NIL};
use super::limits::{CHAIN_MAX, FILE_MAX, LOG_MAX, SECTION};
use super::locator::ParentLocator;
use super::log;
use super::metadata::{self, Metadata};
use super::region::{self, Regions};
use super::shape::Shape;
use super::table::{Entry, State};

/// How a disk lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Every block stays in the file.
    Fixed,
    /// Blocks come as they are written.
    Dynamic,
    /// What was never written is the parent's.
    Differencing,
}

/// The log at opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogState {
    /// The file was closed in order.
    Empty,
    /// The file was not closed; its log was replayed in memory and the file was left as it is.
    Replayed {
        /// Entries of the log.
        entries: u32,
    },
}

/// What a VHDX says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The size that a virtual machine sees.
    pub size: Bytes,
    /// Bytes of a payload block.
    pub block_size: Bytes,
    /// Bytes of a logical sector: 512 or 4096.
    pub logical_sector: u32,
    /// Bytes of a physical sector: 512 or 4096.
    pub physical_sector: u32,
    /// How it lies in the file.
    pub kind: Kind,
    /// Who made the file, as it says.
    pub creator: String,
    /// The disk's identity, which a virtual machine sees (SCSI page 83).
    pub disk_id: Guid,
    /// Changes whenever the file is opened for writing.
    pub file_write: Guid,
    /// Changes whenever the disk's content does; children name their parent by it.
    pub data_write: Guid,
    /// The parent, of a differencing disk.
    pub parent: Option<ParentLocator>,
    /// The log at opening.
    pub log: LogState,
    /// Bytes of the file, after the log.
    pub file_len: u64,
}

/// Where a piece of the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file, at this offset.
    File(u64),
    /// Nowhere: it is zero.
    Zero,
    /// In the parent, at the same offset of its disk.
    Parent,
    /// Nowhere: it was never written or was discarded. It reads as zero here; the format does not promise that.
    Unmapped,
}

/// The second structure of each pair, where one of both does not count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Copies {
    pub(super) headers: [Option<CopyFault>; 2],
    pub(super) regions: [Option<CopyFault>; 2],
    pub(super) regions_differ: bool,
}

/// An open VHDX. It is only read: a log is replayed in memory.
#[derive(Debug)]
pub struct Vhdx<S> {
    pub(super) file: File<S>,
    pub(super) facts: Facts,
    pub(super) shape: Shape,
    pub(super) regions: Regions,
    pub(super) copies: Copies,
    parent: Option<Box<Vhdx<S>>>,
}

impl<S: ReadAt> Vhdx<S> {
    /// Opens a VHDX. The parent of a differencing one is attached afterwards ([`Vhdx::attach_parent`]).
    ///
    /// # Errors
    /// [`Failure::Read`] of the source; [`Failure::Refused`] with the cause where the bytes are no VHDX that can be
    /// read: each limit, and everything that must be understood and is not known.
    pub fn open(source: S) -> Result<Self, Failure<S::Error>> {
        let mut file = File::new(source);
        let len = file.len();
        if len > FILE_MAX {
            return Err(VhdxError::TooLong { len }.into());
        }
        let identifier = identifier(&mut file)?;
        let mut copies = Copies::default();
        let header = current_header(&mut file, &mut copies)?;
        let log = replay(&mut file, &header)?;
        let log_range = header.log_at..header.log_at + u64::from(header.log_len);
        let regions = regions(&mut file, log_range, &mut copies)?;
        let metadata = metadata(&mut file, &regions.metadata)?;
        let shape = metadata.shape;
        let (entries, len) = (shape.entries(), regions.table.end - regions.table.start);
        if entries * 8 > len {
            return Err(VhdxError::TableTooShort { entries, len }.into());
        }
        let facts = Facts {
            size: Bytes(shape.size),
            block_size: Bytes(shape.block),
            logical_sector: u32::try_from(shape.sector).unwrap_or(u32::MAX),
            physical_sector: metadata.physical_sector,
            kind: match (shape.parent, metadata.leave_allocated) {
                (true, _) => Kind::Differencing,
                (false, true) => Kind::Fixed,
                (false, false) => Kind::Dynamic,
            },
            creator: header::creator(&identifier),
            disk_id: metadata.disk_id,
            file_write: header.file_write,
            data_write: header.data_write,
            parent: metadata.parent,
            log,
            file_len: file.len(),
        };
        Ok(Self {
            file,
            facts,
            shape,
            regions,
            copies,
            parent: None,
        })
    }

    /// What the file says of itself.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The file beneath.
    pub const fn source(&self) -> &S {
        self.file.source()
    }

    /// The parent that is attached.
    pub fn parent(&self) -> Option<&Self> {
        self.parent.as_deref()
    }

    /// Attaches the parent of a differencing disk, which has its own parent attached already where it needs one.
    ///
    /// # Errors
    /// [`VhdxError::ParentOther`] where it is not the disk that this one was made from or has changed since; another
    /// variant where there is no parent, its sectors differ or the chain is too long.
    pub fn attach_parent(&mut self, parent: Self) -> Result<(), VhdxError> {
        let locator = self
            .facts
            .parent
            .as_ref()
            .ok_or(VhdxError::ParentNotWanted)?;
        let (wanted, found) = (locator.linkage, parent.facts.data_write);
        if found != wanted && Some(found) != locator.linkage2 {
            return Err(VhdxError::ParentOther { wanted, found });
        }
        let (disk, other) = (self.facts.logical_sector, parent.facts.logical_sector);
        if disk != other {
            return Err(VhdxError::ParentSector {
                disk,
                parent: other,
            });
        }
        if parent.depth() >= CHAIN_MAX {
            return Err(VhdxError::ChainTooLong);
        }
        self.parent = Some(Box::new(parent));
        Ok(())
    }

    /// Disks in the chain from this one on.
    fn depth(&self) -> u32 {
        core::iter::successors(Some(self), |disk| disk.parent())
            .map(|_| 1)
            .sum()
    }

    /// Reads the disk's bytes at `at`. Where the disk is its parent's, they come from there; a parent that is shorter
    /// reads as zero beyond its end.
    ///
    /// # Errors
    /// [`VhdxError::BeyondDisk`], or the cause for which a block that is asked for cannot be read.
    pub fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), Failure<S::Error>> {
        let (len, size) = (offset(into.len()), self.shape.size);
        if at.checked_add(len).is_none_or(|end| end > size) {
            return Err(VhdxError::BeyondDisk { at, len, size }.into());
        }
        let (mut at, mut left) = (at, into);
        while !left.is_empty() {
            let (place, len) = self.place(at, offset(left.len()))?;
            let (now, rest) = left.split_at_mut(index(len));
            match place {
                Place::File(from) => self.file.read(from, now)?,
                Place::Zero | Place::Unmapped => now.fill(0),
                Place::Parent => self.read_parent(at, now)?,
            }
            (at, left) = (at + len, rest);
        }
        Ok(())
    }

    fn read_parent(&mut self, at: u64, into: &mut [u8]) -> Result<(), Failure<S::Error>> {
        let parent = self.parent.as_mut().ok_or(VhdxError::ParentAbsent { at })?;
        let there = index(parent.shape.size.saturating_sub(at)).min(into.len());
        let (head, tail) = into.split_at_mut(there);
        tail.fill(0);
        if head.is_empty() {
            return Ok(());
        }
        parent.read_at(at, head)
    }

    /// Where the disk's byte `at` is, and how many of at most `max` bytes lie there on end. `at` is within the disk.
    pub(super) fn place(&mut self, at: u64, max: u64) -> Result<(Place, u64), Failure<S::Error>> {
        let block = at / self.shape.block;
        let within = at % self.shape.block;
        let len = max.min(self.shape.used(block).saturating_sub(within));
        let entry = self.entry(self.shape.block_entry(block))?;
        let place = match entry.state() {
            State::NotPresent if self.shape.parent => Place::Parent,
            State::NotPresent | State::Undefined | State::Unmapped => Place::Unmapped,
            State::Zero => Place::Zero,
            State::Full => Place::File(self.payload(block, entry)? + within),
            State::Partial => return self.partial(block, within, len, entry),
            State::Other(state) => return Err(VhdxError::BlockState { block, state }.into()),
        };
        Ok((place, len))
    }

    /// A run of sectors that are all here or all the parent's.
    fn partial(
        &mut self,
        block: u64,
        within: u64,
        len: u64,
        entry: Entry,
    ) -> Result<(Place, u64), Failure<S::Error>> {
        if !self.shape.parent {
            return Err(VhdxError::PartialWithoutParent { block }.into());
        }
        let from = self.payload(block, entry)? + within;
        let (chunk, number) = (block / self.shape.ratio(), block % self.shape.ratio());
        let bitmap = self.entry(self.shape.chunk_entry(chunk))?;
        if bitmap.bitmap() != Ok(true) {
            return Err(VhdxError::BitmapMissing { block, chunk }.into());
        }
        let at = bitmap.at();
        if !self.free(at, SECTION) {
            return Err(VhdxError::BitmapPlace { chunk, at }.into());
        }
        let sector = self.shape.sector;
        let begin = within / sector;
        let end = (within + len).div_ceil(sector);
        let first = number * (self.shape.block / sector);
        let (here, run) = self.bits(at, first + begin, first + end)?;
        let len = ((begin + run) * sector - within).min(len);
        let place = if here {
            Place::File(from)
        } else {
            Place::Parent
        };
        Ok((place, len))
    }

    /// The bit `from` of the bitmap at `at`, and how many bits before `to` are like it on end.
    fn bits(&mut self, at: u64, from: u64, to: u64) -> Result<(bool, u64), Failure<S::Error>> {
        let mut value = None;
        let mut bit = from;
        while bit < to {
            for byte in self.file.window(at + bit / 8)? {
                // Bits like the first one are zero here, so that the first other one is what counts.
                let set = *value.get_or_insert(byte >> (bit % 8) & 1 == 1);
                let other = if set { !*byte } else { *byte };
                let other = other >> (bit % 8);
                let here = 8 - bit % 8;
                let run = u64::from(other.trailing_zeros()).min(here);
                bit += run;
                if run < here || bit >= to {
                    return Ok((set, bit.min(to) - from));
                }
            }
        }
        Ok((value.unwrap_or(false), bit.min(to) - from))
    }

    /// Where payload block `block` begins in the file, which it lies within and upon nothing else.
    fn payload(&self, block: u64, entry: Entry) -> Result<u64, VhdxError> {
        let at = entry.at();
        if self.free(at, self.shape.used(block)) {
            return Ok(at);
        }
        Err(VhdxError::BlockPlace { block, at })
    }

    /// Whether the range lies within the file and on no structure.
    pub(super) fn free(&self, at: u64, len: u64) -> bool {
        at.checked_add(len)
            .is_some_and(|end| end <= self.file.len() && !self.regions.hit(&(at..end)))
    }

    /// An entry of the block table.
    pub(super) fn entry(&mut self, number: u64) -> Result<Entry, Failure<S::Error>> {
        Ok(Entry(
            self.file.word(self.regions.table.start + number * 8)?,
        ))
    }
}

/// The disk as bytes: what converts or compares disks of any format takes it so.
impl<S: ReadAt> ReadAt for Vhdx<S> {
    type Error = Failure<S::Error>;

    fn len(&self) -> u64 {
        self.shape.size
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), Self::Error> {
        Self::read_at(self, at, into)
    }
}

fn identifier<S: ReadAt>(file: &mut File<S>) -> Result<[u8; IDENTIFIER_LEN], Failure<S::Error>> {
    let len = file.len();
    let mut identifier = [0; IDENTIFIER_LEN];
    if len >= offset(FILE_SIGNATURE.len()) {
        let there = index(len).min(IDENTIFIER_LEN);
        file.read(0, identifier.split_at_mut(there).0)?;
    }
    if !identifier.starts_with(FILE_SIGNATURE) {
        return Err(VhdxError::NotVhdx.into());
    }
    if len < SECTION {
        return Err(VhdxError::TooShort { len }.into());
    }
    Ok(identifier)
}

fn current_header<S: ReadAt>(
    file: &mut File<S>,
    copies: &mut Copies,
) -> Result<Header, Failure<S::Error>> {
    let [first, second] = HEADERS_AT;
    let first = Header::decode(&file.array(first)?);
    let second = Header::decode(&file.array(second)?);
    copies.headers = [first.err(), second.err()];
    let header = Header::current(first, second)?;
    header.admit(file.len())?;
    Ok(header)
}

fn replay<S: ReadAt>(file: &mut File<S>, header: &Header) -> Result<LogState, Failure<S::Error>> {
    if header.log == NIL {
        return Ok(LogState::Empty);
    }
    let (at, len) = (header.log_at, u64::from(header.log_len));
    if len > LOG_MAX {
        return Err(VhdxError::LogTooLong { len }.into());
    }
    let bytes = file.bytes(at, index(len))?;
    let place = log::Place {
        log: at..at + len,
        file_len: file.len(),
    };
    let replay = log::replay(&bytes, header.log, &place)?;
    file.lay(replay.overlay, replay.file_len);
    let entries = replay.entries;
    Ok(LogState::Replayed { entries })
}

fn regions<S: ReadAt>(
    file: &mut File<S>,
    log: Range<u64>,
    copies: &mut Copies,
) -> Result<Regions, Failure<S::Error>> {
    let [first, second] = region::TABLES_AT;
    let first = file.bytes(first, region::TABLE_LEN)?;
    let second = file.bytes(second, region::TABLE_LEN)?;
    let differ = first != second;
    let fault = region::sound(&first).err();
    // The second one is nearly always the same: then so is what is wrong with it.
    let faults = [
        fault,
        if differ {
            region::sound(&second).err()
        } else {
            fault
        },
    ];
    copies.regions = faults;
    copies.regions_differ = differ;
    let table = match faults {
        [None, _] => first,
        [Some(_), None] => second,
        [Some(first), Some(second)] => {
            return Err(VhdxError::NoRegionTable { first, second }.into());
        }
    };
    Ok(Regions::decode(&table, log, file.len())?)
}

fn metadata<S: ReadAt>(
    file: &mut File<S>,
    region: &Range<u64>,
) -> Result<Metadata, Failure<S::Error>> {
    let table = file.bytes(region.start, metadata::TABLE_LEN)?;
    let table = metadata::Table::decode(&table, region.end - region.start)?;
    Metadata::read(&table, |offset, len| {
        file.bytes(region.start + offset, index(u64::from(len)))
    })
}
