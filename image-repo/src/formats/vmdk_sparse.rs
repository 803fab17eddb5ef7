// SPDX-License-Identifier: Apache-2.0
//! A sparse extent of a VMDK as a disk.

use super::disk::{Disk, Stretch};
use super::error::FormatError;
use super::host_file::HostFile;
use super::note::{Note, Notes};
use super::unpack::inflate;
use image_core::vmdk::{Extent, Place, Sparse};

/// Bytes of the marker before a compressed grain.
const MARKER_LEN: u64 = 12;

pub(super) struct SparseDisk {
    file: HostFile,
    image: Sparse,
    /// The compressed grain that was unpacked last, by its first byte of the disk.
    held: Option<(u64, Vec<u8>)>,
    packed: Vec<u8>,
}

impl SparseDisk {
    pub(super) fn open(mut file: HostFile, notes: &Notes) -> Result<Self, FormatError> {
        let image = Sparse::open(&mut file).map_err(FormatError::vmdk(file.path()))?;
        if image.header().unclean {
            notes.add(Note::Unclean);
        }
        Ok(Self {
            file,
            image,
            held: None,
            packed: Vec::new(),
        })
    }

    /// Refuses an extent whose descriptor, which is in the file itself, names others.
    pub(super) fn alone(mut self) -> Result<Self, FormatError> {
        let sectors = self.image.header().capacity;
        let descriptor = self.image.descriptor(&mut self.file);
        descriptor
            .and_then(|descriptor| descriptor.in_one_file(sectors))
            .map_err(FormatError::vmdk(self.file.path()))?;
        Ok(self)
    }

    fn extent(&mut self, at: u64) -> Result<Extent, FormatError> {
        let extent = self.image.extent(&mut self.file, at);
        extent.map_err(FormatError::vmdk(self.file.path()))
    }

    /// The grain's plain bytes.
    fn unpack(&mut self, guest: u64, at: u64) -> Result<&[u8], FormatError> {
        if self.held.as_ref().is_none_or(|(held, _)| *held != guest) {
            let length = self.image.packed_len(&mut self.file, at, guest);
            let length = length.map_err(FormatError::vmdk(self.file.path()))?;
            let header = self.image.header();
            let wanted = header.grain_len();
            // The last grain may be as short as the disk leaves it.
            let least = wanted.min(header.size() - guest);
            let mut plain = self.held.take().map_or_else(Vec::new, |(_, bytes)| bytes);
            plain.resize(usize::try_from(wanted).unwrap_or(0), 0);
            self.packed.resize(usize::try_from(length).unwrap_or(0), 0);
            self.file.read(at + MARKER_LEN, &mut self.packed)?;
            let least = usize::try_from(least).unwrap_or(usize::MAX);
            let done = inflate(&self.packed, true, least, &mut plain);
            done.map_err(|said| FormatError::Cluster {
                path: self.file.path().to_path_buf(),
                what: "compressed grain",
                at,
                wanted,
                said,
            })?;
            self.held = Some((guest, plain));
        }
        Ok(self.held.as_ref().map_or(&[], |(_, bytes)| bytes))
    }
}

impl Disk for SparseDisk {
    fn size(&self) -> u64 {
        self.image.header().size()
    }

    fn stretch(&mut self, at: u64) -> Result<Stretch, FormatError> {
        let Extent { length, place } = self.extent(at)?;
        Ok(match place {
            Place::Zero => Stretch { length, zero: true },
            Place::Data { at } => {
                let (zero, length) = self.file.hole(at, length)?;
                Stretch { length, zero }
            }
            Place::Packed { .. } => Stretch {
                length,
                zero: false,
            },
        })
    }

    fn read(&mut self, mut at: u64, into: &mut [u8]) -> Result<(), FormatError> {
        let mut rest = into;
        while !rest.is_empty() {
            let Extent { length, place } = self.extent(at)?;
            let count = usize::try_from(length).map_or(rest.len(), |one| one.min(rest.len()));
            let (now, later) = rest.split_at_mut(count);
            match place {
                Place::Zero => now.fill(0),
                Place::Data { at } => self.file.read(at, now)?,
                Place::Packed { guest, at: from } => {
                    let skip = usize::try_from(at - guest).unwrap_or(0);
                    let plain = self.unpack(guest, from)?;
                    now.copy_from_slice(&plain[skip..skip + count]);
                }
            }
            at += count as u64;
            rest = later;
        }
        Ok(())
    }
}
