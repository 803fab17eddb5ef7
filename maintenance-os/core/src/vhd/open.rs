// SPDX-License-Identifier: Apache-2.0
//! Opens a VHD: nothing of it is believed before it holds together.

use super::SECTOR;
use super::bitmap::{self, Bitmaps};
use super::error::{Refusal, VhdError};
use super::fault::{Fault, Structure};
use super::footer::{FOOTER_LEN, Footer, Kind};
use super::header::{HEADER_LEN, Header};
use super::locate::{Found, locate};
use super::locator::{LOCATOR_BYTES_MAX, Locator, Platform};
use super::scan::{Disk, Region, scan};
use super::table::{BLOCKS_MAX, Table};
use crate::random_access::ReadAt;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::Bytes;

/// An open VHD: the disk in it, as bytes at an offset. What is written is only sure to be there after a flush.
#[derive(Debug)]
pub struct Vhd<S> {
    pub(super) source: S,
    pub(super) footer: Footer,
    pub(super) footer_bytes: [u8; FOOTER_LEN],
    /// Whether the copy of the footer at byte 0 is sound, so that a torn footer at the end does no harm.
    pub(super) copy: bool,
    /// The table and what is kept of it; `None` in a fixed VHD.
    pub(super) blocks: Option<Blocks>,
    pub(super) parent: Option<Box<Vhd<S>>>,
    faults: Vec<Fault>,
}

/// What a dynamic or differencing VHD has beyond a fixed one.
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) header: Header,
    pub(super) count: u32,
    pub(super) table: Table,
    pub(super) bitmaps: Bitmaps,
    /// How many blocks exist.
    pub(super) existing: u32,
    /// Whether they lie in the disk's order.
    pub(super) in_order: bool,
    /// From here on, the file may grow.
    pub(super) end: u64,
}

impl<S: ReadAt> Vhd<S> {
    /// Opens the VHD in `source`. A differencing one is then [attached](Vhd::attach) to its parent.
    ///
    /// # Errors
    /// [`Refusal`] by name where the file is no VHD or does not hold together.
    pub fn open(source: S) -> Result<Self, VhdError<S::Error>> {
        let vhd = Self::examine(source)?;
        match vhd.faults.iter().find(|fault| fault.is_serious()) {
            Some(fault) => Err(Refusal::Damaged(fault.clone()).into()),
            None => Ok(vhd),
        }
    }

    /// Opens it even where its table is wrong, for `check` to say how.
    pub(super) fn examine(mut source: S) -> Result<Self, VhdError<S::Error>> {
        let found = locate(&mut source)?;
        let mut faults = found.faults.clone();
        let blocks = match found.footer.kind {
            Kind::Fixed => {
                let has = found.tail_at.unwrap_or_default();
                let needs = found.footer.size.0;
                if has < needs {
                    return Err(Refusal::Truncated { needs, has }.into());
                }
                if has > needs {
                    let bytes = has - needs;
                    faults.push(Fault::Surplus { bytes });
                }
                None
            }
            Kind::Dynamic | Kind::Differencing => {
                Some(blocks_of(&mut source, &found, &mut faults)?)
            }
        };
        Ok(Self {
            source,
            footer: found.footer,
            footer_bytes: found.bytes,
            copy: found.copy,
            blocks,
            parent: None,
            faults,
        })
    }

    /// What the footer says.
    #[must_use]
    pub const fn footer(&self) -> &Footer {
        &self.footer
    }

    /// The dynamic header; `None` in a fixed VHD.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.blocks.as_ref().map(|blocks| &blocks.header)
    }

    /// The size that a virtual machine sees.
    #[must_use]
    pub const fn size(&self) -> Bytes {
        self.footer.size
    }

    /// How many blocks the disk has and how many of them exist in the file; `None` in a fixed VHD.
    #[must_use]
    pub fn block_count(&self) -> Option<(u32, u32)> {
        let blocks = self.blocks.as_ref()?;
        Some((blocks.count, blocks.existing))
    }

    /// Whether the blocks that exist lie in the file in the disk's order. True in a fixed VHD.
    #[must_use]
    pub fn in_order(&self) -> bool {
        self.blocks.as_ref().is_none_or(|blocks| blocks.in_order)
    }

    /// What was found wrong when it was opened, but did not keep it from being opened.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The file beneath.
    pub const fn source(&mut self) -> &mut S {
        &mut self.source
    }

    /// Gives the file beneath back. What was written and not flushed is lost.
    #[must_use]
    pub fn into_source(self) -> S {
        self.source
    }

    /// The paths to the parent that stand in the file, in the header's order.
    ///
    /// # Errors
    /// [`Refusal::LongLocator`] and [`Refusal::Misplaced`], or the source's.
    pub fn locators(&mut self) -> Result<Vec<Locator>, VhdError<S::Error>> {
        let Some(blocks) = &self.blocks else {
            return Ok(Vec::new());
        };
        let mut locators = Vec::new();
        for located in &blocks.header.locators {
            if !matches!(located.platform, Platform::W2ru | Platform::W2ku) {
                continue;
            }
            if located.length > LOCATOR_BYTES_MAX {
                return Err(Refusal::LongLocator(located.length).into());
            }
            let length = u64::from(located.length);
            let file = self.source.len();
            if located.at.checked_add(length).is_none_or(|end| end > file) {
                return Err(Refusal::Misplaced {
                    what: "path of the parent",
                    at: located.at,
                    length,
                    file,
                }
                .into());
            }
            let mut bytes = vec![0u8; located.length as usize];
            self.source
                .read_at(located.at, &mut bytes)
                .map_err(VhdError::Io)?;
            locators.push(Locator::decode(located.platform, &bytes));
        }
        Ok(locators)
    }
}

/// Reads the header and checks where the structures lie, and lists them.
fn structures<S: ReadAt>(
    source: &mut S,
    found: &Found,
) -> Result<(Header, u32, Vec<Region>), VhdError<S::Error>> {
    let file = source.len();
    let data_end = found.tail_at.unwrap_or(file);
    let misplaced = |what, at, length| Refusal::Misplaced {
        what,
        at,
        length,
        file,
    };
    let outside = |at: u64, length: u64| {
        let end = at.checked_add(length);
        at < FOOTER_LEN as u64 || end.is_none_or(|end| end > data_end)
    };
    let (header_at, header_len) = (found.footer.next, HEADER_LEN as u64);
    if outside(header_at, header_len) {
        return Err(misplaced("dynamic header", header_at, header_len).into());
    }
    let mut bytes = [0u8; HEADER_LEN];
    source
        .read_at(header_at, &mut bytes)
        .map_err(VhdError::Io)?;
    let header = Header::decode(&bytes).map_err(Refusal::Header)?;
    let needed = found.footer.size.0.div_ceil(header.block_size);
    if needed > BLOCKS_MAX {
        return Err(Refusal::TooManyBlocks(needed).into());
    }
    let count = u32::try_from(needed).unwrap_or(u32::MAX);
    let entries = header.entries;
    if entries < count {
        return Err(Refusal::TableTooSmall { entries, needed }.into());
    }
    let table_len = u64::from(entries) * 4;
    let table = Region::new(header.table_at, table_len, Structure::Table);
    let head = Region::new(header_at, header_len, Structure::Header);
    if outside(header.table_at, table_len) || table.overlaps(&head) {
        return Err(misplaced("block allocation table", header.table_at, table_len).into());
    }
    let copy = Region::new(0, SECTOR, Structure::FooterCopy);
    let mut regions = vec![copy, head, table];
    let tail = found.tail_at.into_iter();
    regions.extend(tail.map(|at| Region::new(at, SECTOR, Structure::Footer)));
    let paths = header.locators.iter();
    regions.extend(
        paths
            .filter(|path| path.platform != Platform::None)
            .map(|path| Region::new(path.at, u64::from(path.length), Structure::Locator)),
    );
    Ok((header, count, regions))
}

/// Reads the structures and scans the table.
fn blocks_of<S: ReadAt>(
    source: &mut S,
    found: &Found,
    faults: &mut Vec<Fault>,
) -> Result<Blocks, VhdError<S::Error>> {
    let (header, count, regions) = structures(source, found)?;
    let file = source.len();
    let mut table = Table::new(header.table_at, count);
    let disk = Disk {
        size: found.footer.size.0,
        block_size: header.block_size,
        bitmap: bitmap::length(header.block_size),
        count,
        file,
        regions: &regions,
    };
    let scanned = scan(source, &mut table, &disk, faults)?;
    Ok(Blocks {
        bitmaps: Bitmaps::new(header.block_size),
        header,
        count,
        table,
        existing: scanned.existing,
        in_order: scanned.in_order,
        end: found.tail_at.unwrap_or(file).max(scanned.end),
    })
}
