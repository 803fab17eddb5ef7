// SPDX-License-Identifier: Apache-2.0
//! Looks at every entry of the block table and says what is wrong with a VHDX that could be opened.
//!
//! It repairs nothing. Of a differencing disk it looks at the disk's own file; the parent is checked by itself.

use alloc::vec;
use alloc::vec::Vec;

use thiserror::Error;

use crate::random_access::ReadAt;

use super::error::{CopyFault, Failure};
use super::field::index;
use super::limits::{FAULTS_MAX, SECTION};
use super::reader::{Kind, LogState, Vhdx};
use super::table::{Entry, State};

/// Something that is not as it should be. Offsets are in bytes of the file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // The message of each variant says what its fields are.
pub enum Fault {
    #[error("header {copy} of 2 {fault}; the other one serves")]
    HeaderCopy { copy: u8, fault: CopyFault },
    #[error("region table {copy} of 2 {fault}; the other one serves")]
    RegionCopy { copy: u8, fault: CopyFault },
    #[error("the two region tables differ; the first one serves")]
    RegionTablesDiffer,
    #[error("the file was not closed; its log of {entries} entries has to be replayed")]
    LogNotEmpty { entries: u32 },
    #[error("the disk is fixed and {blocks} of its blocks are not in the file")]
    FixedNotAllocated { blocks: u64 },
    #[error("block {block} has state {state}, which the format does not have")]
    BlockState { block: u64, state: u8 },
    #[error("block {block} is said to be at {at}, outside the file or upon its structures")]
    BlockPlace { block: u64, at: u64 },
    #[error("block {block} at {at} lies upon another block or bitmap")]
    BlockOverlap { block: u64, at: u64 },
    #[error("block {block} is partly the parent's and the disk has none")]
    PartialWithoutParent { block: u64 },
    #[error("block {block} is partly the parent's and sector bitmap {chunk} is not present")]
    BitmapMissing { block: u64, chunk: u64 },
    #[error("sector bitmap {chunk} has state {state}, which the format does not have")]
    BitmapState { chunk: u64, state: u8 },
    #[error("sector bitmap {chunk} is said to be at {at}, outside the file or upon its structures")]
    BitmapPlace { chunk: u64, at: u64 },
    #[error("sector bitmap {chunk} at {at} lies upon another block or bitmap")]
    BitmapOverlap { chunk: u64, at: u64 },
    #[error("the disk has no parent and a sector bitmap {chunk}")]
    BitmapWithoutParent { chunk: u64 },
    #[error("entry {entry} of the block table has reserved bits {bits:#x} set")]
    ReservedBits { entry: u64, bits: u64 },
    #[error("there are more faults than are listed")]
    More,
}

impl Fault {
    /// Whether every byte of the disk can be read in spite of it.
    #[must_use]
    pub const fn is_harmless(&self) -> bool {
        match self {
            Self::HeaderCopy { .. }
            | Self::RegionCopy { .. }
            | Self::RegionTablesDiffer
            | Self::LogNotEmpty { .. }
            | Self::FixedNotAllocated { .. }
            | Self::BitmapWithoutParent { .. }
            | Self::ReservedBits { .. } => true,
            Self::BlockState { .. }
            | Self::BlockPlace { .. }
            | Self::BlockOverlap { .. }
            | Self::PartialWithoutParent { .. }
            | Self::BitmapMissing { .. }
            | Self::BitmapState { .. }
            | Self::BitmapPlace { .. }
            | Self::BitmapOverlap { .. }
            | Self::More => false,
        }
    }
}

/// What is known so far. One bit for each MiB of the file: at most 16 MiB for the longest one.
struct Findings {
    faults: Vec<Fault>,
    taken: Vec<u64>,
    absent: u64,
}

impl<S: ReadAt> Vhdx<S> {
    /// Everything that is wrong, up to [`FAULTS_MAX`] and then [`Fault::More`]. Nothing where nothing is.
    ///
    /// # Errors
    /// The source's.
    pub fn check(&mut self) -> Result<Vec<Fault>, Failure<S::Error>> {
        let bits = self.file.len().div_ceil(SECTION);
        let mut findings = Findings {
            faults: self.known_faults(),
            taken: vec![0; index(bits.div_ceil(64))],
            absent: 0,
        };
        for chunk in 0..self.shape.chunks() {
            let bitmap = self.check_bitmap(chunk, &mut findings)?;
            let first = chunk * self.shape.ratio();
            let end = (first + self.shape.ratio()).min(self.shape.blocks());
            for block in first..end {
                let number = self.shape.block_entry(block);
                let entry = self.entry(number)?;
                findings.reserved(number, entry);
                self.check_block(block, entry, bitmap, &mut findings);
            }
            if findings.faults.len() > FAULTS_MAX {
                break;
            }
        }
        if self.facts.kind == Kind::Fixed && findings.absent > 0 {
            let blocks = findings.absent;
            findings.add(Fault::FixedNotAllocated { blocks });
        }
        if findings.faults.len() > FAULTS_MAX {
            findings.faults.truncate(FAULTS_MAX);
            findings.faults.push(Fault::More);
        }
        Ok(findings.faults)
    }

    /// What opening has found.
    fn known_faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (copy, fault) in (1..).zip(self.copies.headers) {
            faults.extend(fault.map(|fault| Fault::HeaderCopy { copy, fault }));
        }
        for (copy, fault) in (1..).zip(self.copies.regions) {
            faults.extend(fault.map(|fault| Fault::RegionCopy { copy, fault }));
        }
        if self.copies.regions == [None; 2] && self.copies.regions_differ {
            faults.push(Fault::RegionTablesDiffer);
        }
        match self.facts.log {
            LogState::Empty => {}
            LogState::Replayed { entries } => faults.push(Fault::LogNotEmpty { entries }),
        }
        faults
    }

    /// Whether the bitmap of `chunk` is there. A disk without a parent has no entry for its last one.
    fn check_bitmap(
        &mut self,
        chunk: u64,
        findings: &mut Findings,
    ) -> Result<bool, Failure<S::Error>> {
        let number = self.shape.chunk_entry(chunk);
        if number >= self.shape.entries() {
            return Ok(false);
        }
        let entry = self.entry(number)?;
        findings.reserved(number, entry);
        let at = entry.at();
        match entry.bitmap() {
            Ok(false) => return Ok(false),
            // QEMU once wrote there what it meant for the entry before; nobody reads it.
            Ok(true) | Err(_) if !self.shape.parent => {
                findings.add(Fault::BitmapWithoutParent { chunk });
            }
            Ok(true) if !self.free(at, SECTION) => findings.add(Fault::BitmapPlace { chunk, at }),
            Ok(true) if findings.take(at, SECTION) => {
                findings.add(Fault::BitmapOverlap { chunk, at });
            }
            Ok(true) => {}
            Err(state) => findings.add(Fault::BitmapState { chunk, state }),
        }
        Ok(true)
    }

    fn check_block(&self, block: u64, entry: Entry, bitmap: bool, findings: &mut Findings) {
        let at = entry.at();
        match entry.state() {
            State::NotPresent | State::Undefined | State::Zero | State::Unmapped => {
                findings.absent += 1;
                return;
            }
            State::Other(state) => return findings.add(Fault::BlockState { block, state }),
            State::Partial if !self.shape.parent => {
                return findings.add(Fault::PartialWithoutParent { block });
            }
            State::Partial if !bitmap => {
                let chunk = block / self.shape.ratio();
                findings.add(Fault::BitmapMissing { block, chunk });
            }
            State::Partial | State::Full => {}
        }
        let used = self.shape.used(block);
        if !self.free(at, used) {
            findings.add(Fault::BlockPlace { block, at });
        } else if findings.take(at, used) {
            findings.add(Fault::BlockOverlap { block, at });
        }
    }
}

impl Findings {
    fn add(&mut self, fault: Fault) {
        if self.faults.len() <= FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    fn reserved(&mut self, entry: u64, value: Entry) {
        let bits = value.reserved();
        if bits != 0 {
            self.add(Fault::ReservedBits { entry, bits });
        }
    }

    /// Takes the MiB of a range within the file; whether one was taken already.
    fn take(&mut self, at: u64, len: u64) -> bool {
        let mut already = false;
        for bit in at / SECTION..(at + len).div_ceil(SECTION) {
            if let Some(word) = self.taken.get_mut(index(bit / 64)) {
                already |= *word >> (bit % 64) & 1 == 1;
                *word |= 1 << (bit % 64);
            }
        }
        already
    }
}
