// SPDX-License-Identifier: Apache-2.0
//! Opens a sparse extent: every entry of every table is looked at once, before a byte of the disk is given out.

use super::SECTOR;
use super::claims::Claims;
use super::descriptor::Descriptor;
use super::error::VmdkError;
use super::field::{index, u32_at, u64_at};
use super::header::Header;
use super::limits::DESCRIPTOR_MAX;
use crate::disk_file::DiskFile;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes of the marker before a compressed grain.
pub(super) const MARKER_LEN: u64 = 12;

/// An open sparse extent. Its file is handed in again with each question.
#[derive(Debug)]
pub struct Sparse {
    header: Header,
    len: u64,
    /// The directory: where each table begins, in sectors.
    directory: Vec<u32>,
    /// The table that was read last, by its entry in the directory.
    table: Option<(u64, Vec<u32>)>,
    grains: u64,
}

impl Sparse {
    /// Opens the file and checks all of its tables.
    ///
    /// # Errors
    /// By name, what is wrong, and with which field or at which offset.
    pub fn open(file: &mut dyn DiskFile) -> Result<Self, VmdkError> {
        let header = Header::read(file)?;
        let len = file.size();
        let length = header.directory_entries() * 4;
        let directory = table(file, "grain directory", header.directory_at, length)?;
        let mut image = Self {
            header,
            len,
            directory,
            table: None,
            grains: 0,
        };
        image.scan(file)?;
        Ok(image)
    }

    /// What the header says.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// How many grains are in the file.
    #[must_use]
    pub const fn grains(&self) -> u64 {
        self.grains
    }

    /// The descriptor in the file.
    ///
    /// # Errors
    /// There is none, or it is refused.
    pub fn descriptor(&self, file: &mut dyn DiskFile) -> Result<Descriptor, VmdkError> {
        let Header {
            descriptor_at,
            descriptor_len,
            ..
        } = self.header;
        if descriptor_at == 0 || descriptor_len == 0 {
            return Err(VmdkError::NoDescriptor);
        }
        let (at, length) = (
            descriptor_at.saturating_mul(SECTOR),
            descriptor_len.saturating_mul(SECTOR),
        );
        let len = self.len;
        if length > DESCRIPTOR_MAX || at.checked_add(length).is_none_or(|end| end > len) {
            return Err(VmdkError::DescriptorPlace { at, length, len });
        }
        let mut bytes = vec![0; index(length)];
        file.read_at(at, &mut bytes)?;
        Descriptor::parse(&bytes)
    }

    /// Looks at every entry and claims what it names.
    fn scan(&mut self, file: &mut dyn DiskFile) -> Result<(), VmdkError> {
        let header = self.header;
        let mut claims = Claims::default();
        claims.structure(0, SECTOR);
        if header.descriptor_at != 0 {
            let length = header.descriptor_len.saturating_mul(SECTOR);
            claims.structure(header.descriptor_at, length);
        }
        let length = header.directory_entries() * 4;
        claims.structure(header.directory_at, length);
        for at in self.directory.iter().filter(|at| **at != 0) {
            claims.structure(u64::from(*at), u64::from(header.table_entries) * 4);
        }
        claims.tables_apart()?;
        let grain_len = header.grain_len();
        for entry in 0..header.directory_entries() {
            if self.directory.get(index(entry)) == Some(&0) {
                continue;
            }
            let first = entry * header.table_covers();
            for number in 0..u64::from(header.table_entries) {
                let guest = first + number * grain_len;
                if guest >= header.size() {
                    break;
                }
                if let Some(sector) = self.grain(file, entry, number)? {
                    self.within(sector, guest)?;
                    claims.grain(sector)?;
                    self.grains += 1;
                }
            }
        }
        // A compressed grain has a sector at least; its marker says which grain it is when it is read.
        claims.grains_apart(if header.compressed { 1 } else { header.grain })
    }

    /// Whether the grain of byte `guest` of the disk lies within the file.
    fn within(&self, sector: u32, guest: u64) -> Result<(), VmdkError> {
        let (header, len) = (self.header, self.len);
        let at = u64::from(sector) * SECTOR;
        let length = if header.compressed {
            MARKER_LEN
        } else {
            header.grain_len().min(header.size() - guest)
        };
        if at + length > len {
            let what = "grain";
            return Err(VmdkError::Outside {
                what,
                at,
                length,
                len,
            });
        }
        Ok(())
    }

    /// Whether there is a table for this entry of the directory.
    pub(super) fn has_table(&self, entry: u64) -> bool {
        self.directory.get(index(entry)).is_some_and(|at| *at != 0)
    }

    /// The sector at which a grain lies; `None` where it is zero.
    pub(super) fn grain(
        &mut self,
        file: &mut dyn DiskFile,
        entry: u64,
        number: u64,
    ) -> Result<Option<u32>, VmdkError> {
        if self.table.as_ref().is_none_or(|(held, _)| *held != entry) {
            let at = self.directory.get(index(entry)).copied().unwrap_or(0);
            let length = u64::from(self.header.table_entries) * 4;
            let entries = table(file, "grain table", u64::from(at), length)?;
            self.table = Some((entry, entries));
        }
        let table = self.table.as_ref().map_or(&[][..], |(_, table)| table);
        let sector = table.get(index(number)).copied().unwrap_or(0);
        let zero = sector == 0 || (sector == 1 && self.header.zero_grains);
        Ok((!zero).then_some(sector))
    }

    /// How many compressed bytes follow the marker of the grain at `at`, which is to be the one of byte `guest` of the disk.
    ///
    /// # Errors
    /// The marker is another grain's, or says more bytes than a grain can have.
    pub fn packed_len(
        &self,
        file: &mut dyn DiskFile,
        at: u64,
        guest: u64,
    ) -> Result<u64, VmdkError> {
        let mut marker = [0; 12];
        file.read_at(at, &mut marker)?;
        let (found, wanted) = (u64_at(&marker, 0), guest / SECTOR);
        if found != wanted {
            return Err(VmdkError::GrainMarker { at, found, wanted });
        }
        let length = u64::from(u32_at(&marker, 8));
        let grain = self.header.grain_len();
        // deflate adds 5 bytes to each 16 KiB of what cannot be compressed, and zlib 6.
        let most = grain + grain / 1024 + 64;
        if length > most || at + MARKER_LEN + length > self.len {
            return Err(VmdkError::GrainLength { at, length, most });
        }
        Ok(length)
    }
}

/// Numbers of 32 bits at a sector.
fn table(
    file: &mut dyn DiskFile,
    what: &'static str,
    sector: u64,
    length: u64,
) -> Result<Vec<u32>, VmdkError> {
    let (at, len) = (sector.saturating_mul(SECTOR), file.size());
    if sector == 0 && length > 0 || at.checked_add(length).is_none_or(|end| end > len) {
        return Err(VmdkError::Outside {
            what,
            at,
            length,
            len,
        });
    }
    let mut bytes = vec![0; index(length)];
    file.read_at(at, &mut bytes)?;
    Ok((0..bytes.len() / 4)
        .map(|n| u32_at(&bytes, n * 4))
        .collect())
}
