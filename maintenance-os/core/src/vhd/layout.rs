// SPDX-License-Identifier: Apache-2.0
//! How a new VHD looks, and writing it.
//!
//! The table begins at 4 KiB, so that no write to it ever touches the header, and the data of every block is aligned.
//! Preallocated blocks lie in the disk's order with nothing between them but a bitmap and what aligns it. That their
//! space is really there and reads as zero is the shell's to arrange before [`Layout::write`].

use super::bitmap;
use super::error::{Refusal, VhdError};
use super::footer::{FOOTER_LEN, Footer, HEADER_AT, Kind};
use super::header::{BLOCK_SIZE, Header};
use super::locator::{LOCATOR_BYTES_MAX, LOCATORS, Locator};
use super::table::FREE;
use super::write::next_block;
use super::{ALIGNMENT, SECTOR};
use crate::random_access::WriteAt;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::Bytes;

/// The table's place.
const TABLE_AT: u64 = ALIGNMENT;
/// Entries of the table that are written at once.
const PIECE: u32 = 16_384;

/// The parent of a new differencing VHD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its unique id.
    pub id: [u8; 16],
    /// When its file was last changed, in seconds since 2000-01-01 00:00 UTC.
    pub modified: u32,
    /// Its file name.
    pub name: String,
    /// Its paths, at most eight.
    pub paths: Vec<Locator>,
}

/// What a new VHD consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The disk's bytes and a footer; always allocated in full.
    Fixed,
    /// Blocks; all of them from the start, or as they are written.
    Dynamic {
        /// Whether every block exists from the start.
        preallocated: bool,
    },
    /// Blocks over a parent. A preallocated block reads from the parent until it is written.
    Differencing {
        /// The parent.
        parent: Parent,
        /// Whether every block exists from the start.
        preallocated: bool,
    },
}

/// A VHD to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct New {
    /// The size that a virtual machine will see.
    pub size: Bytes,
    /// Its unique id.
    pub id: [u8; 16],
    /// Seconds since 2000-01-01 00:00 UTC.
    pub timestamp: u32,
    /// What it consists of.
    pub shape: Shape,
}

/// Where everything of a new VHD lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    footer: Footer,
    header: Option<Header>,
    paths: Vec<Locator>,
    /// The bitmap of the first block.
    first: u64,
    /// From one bitmap to the next.
    stride: u64,
    /// How many blocks exist from the start.
    preallocated: u32,
    footer_at: u64,
}

impl Layout {
    /// Decides where everything lies.
    ///
    /// # Errors
    /// [`Refusal::Footer`] for a size that cannot be, [`Refusal::LongLocator`], or [`Refusal::FileFull`].
    pub fn of(new: &New) -> Result<Self, Refusal> {
        let (kind, parent, preallocated) = match &new.shape {
            Shape::Fixed => (Kind::Fixed, None, false),
            Shape::Dynamic { preallocated } => (Kind::Dynamic, None, *preallocated),
            Shape::Differencing {
                parent,
                preallocated,
            } => (Kind::Differencing, Some(parent), *preallocated),
        };
        let footer = Footer::of_kind(kind, new.size, new.id, new.timestamp)?;
        if kind == Kind::Fixed {
            return Ok(Self {
                footer,
                header: None,
                paths: Vec::new(),
                first: 0,
                stride: 0,
                preallocated: 0,
                footer_at: new.size.0,
            });
        }
        let count = u32::try_from(new.size.0.div_ceil(BLOCK_SIZE)).unwrap_or(u32::MAX);
        let mut header = Header::new(TABLE_AT, count, BLOCK_SIZE);
        let mut free = TABLE_AT + table_length(count);
        let mut paths = Vec::new();
        if let Some(parent) = parent {
            header.parent_id = parent.id;
            header.parent_timestamp = parent.modified;
            header.parent_name.clone_from(&parent.name);
            paths.clone_from(&parent.paths);
            paths.truncate(LOCATORS);
            for (slot, path) in header.locators.iter_mut().zip(&paths) {
                *slot = path.placed(free);
                if slot.length > LOCATOR_BYTES_MAX {
                    return Err(Refusal::LongLocator(slot.length));
                }
                free += u64::from(slot.length).next_multiple_of(SECTOR);
            }
        }
        let bitmap = bitmap::length(BLOCK_SIZE);
        let first = next_block(free, bitmap);
        let stride = (bitmap + BLOCK_SIZE).next_multiple_of(ALIGNMENT);
        let preallocated = if preallocated { count } else { 0 };
        let footer_at = first + stride * u64::from(preallocated);
        if u32::try_from(footer_at / SECTOR).is_err() {
            return Err(Refusal::FileFull);
        }
        Ok(Self {
            footer,
            header: Some(header),
            paths,
            first,
            stride,
            preallocated,
            footer_at,
        })
    }

    /// How long the file is.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.footer_at + FOOTER_LEN as u64
    }

    /// The footer that it will have.
    #[must_use]
    pub const fn footer(&self) -> &Footer {
        &self.footer
    }

    /// Writes everything but the disk's bytes, which are what `target` reads as where nothing was written: zero.
    /// The footers come last.
    ///
    /// # Errors
    /// The target's.
    pub fn write<T: WriteAt>(&self, target: &mut T) -> Result<(), VhdError<T::Error>> {
        self.write_body(target)?;
        let footer = self.footer.encode();
        for at in self.marks() {
            target.write_at(at, &footer).map_err(VhdError::Io)?;
        }
        Ok(())
    }

    /// Where the footer stands, in the order in which it is written: at the end, then at the start of a VHD that has
    /// blocks. Before the first of them is there, the file is no VHD; who makes the body durable before it and each
    /// before the next never leaves half a VHD that looks whole.
    pub fn marks(&self) -> impl Iterator<Item = u64> + use<> {
        let copy = self.header.is_some().then_some(0);
        [self.footer_at].into_iter().chain(copy)
    }

    /// Writes what [`Layout::write`] does, without the footers. Nothing in a fixed VHD.
    ///
    /// # Errors
    /// The target's.
    pub fn write_body<T: WriteAt>(&self, target: &mut T) -> Result<(), VhdError<T::Error>> {
        let Some(header) = &self.header else {
            return Ok(());
        };
        let mut put = |at, bytes: &[u8]| target.write_at(at, bytes).map_err(VhdError::Io);
        put(HEADER_AT, &header.encode())?;
        for (located, path) in header.locators.iter().zip(&self.paths) {
            put(located.at, &path.encode())?;
        }
        self.write_table(header, &mut put)?;
        if self.footer.kind == Kind::Dynamic {
            let bits = vec![0xff; usize::try_from(bitmap::length(BLOCK_SIZE)).unwrap_or(0)];
            for block in 0..self.preallocated {
                put(self.first + self.stride * u64::from(block), &bits)?;
            }
        }
        Ok(())
    }

    fn write_table<E>(
        &self,
        header: &Header,
        put: &mut impl FnMut(u64, &[u8]) -> Result<(), VhdError<E>>,
    ) -> Result<(), VhdError<E>> {
        let room = u32::try_from(table_length(header.entries) / 4).unwrap_or(u32::MAX);
        let mut first = 0;
        while first < room {
            let last = room.min(first + PIECE);
            let bytes: Vec<u8> = (first..last)
                .flat_map(|block| self.entry(block).to_be_bytes())
                .collect();
            put(header.table_at + u64::from(first) * 4, &bytes)?;
            first = last;
        }
        Ok(())
    }

    fn entry(&self, block: u32) -> u32 {
        if block >= self.preallocated {
            return FREE;
        }
        let at = self.first + self.stride * u64::from(block);
        u32::try_from(at / SECTOR).unwrap_or(FREE)
    }
}

/// A table fills whole sectors; what is beyond its entries is as free blocks are.
fn table_length(entries: u32) -> u64 {
    (u64::from(entries) * 4).next_multiple_of(SECTOR)
}
