// SPDX-License-Identifier: Apache-2.0
//! A qcow2 file as a disk.

use super::disk::{Disk, Stretch};
use super::error::FormatError;
use super::host_file::HostFile;
use super::note::{Note, Notes};
use super::unpack::{inflate, unzstd};
use image_core::qcow2::{Codec, Extent, Place, Qcow2};

pub(super) struct Qcow2Disk {
    file: HostFile,
    image: Qcow2,
    /// The compressed cluster that was unpacked last, by its first byte of the disk.
    held: Option<(u64, Vec<u8>)>,
    packed: Vec<u8>,
}

impl Qcow2Disk {
    pub(super) fn open(mut file: HostFile, notes: &Notes) -> Result<Self, FormatError> {
        let image = Qcow2::open(&mut file).map_err(FormatError::qcow2(file.path()))?;
        if image.header().dirty {
            notes.add(Note::Dirty);
        }
        let count = image.header().snapshots;
        if count > 0 {
            notes.add(Note::Snapshots { count });
        }
        Ok(Self {
            file,
            image,
            held: None,
            packed: Vec::new(),
        })
    }

    fn extent(&mut self, at: u64) -> Result<Extent, FormatError> {
        let extent = self.image.extent(&mut self.file, at);
        extent.map_err(FormatError::qcow2(self.file.path()))
    }

    /// The cluster's plain bytes.
    fn unpack(&mut self, guest: u64, at: u64, length: u64) -> Result<&[u8], FormatError> {
        if self.held.as_ref().is_none_or(|(held, _)| *held != guest) {
            let wanted = self.image.header().cluster();
            let mut plain = self.held.take().map_or_else(Vec::new, |(_, bytes)| bytes);
            plain.resize(usize::try_from(wanted).unwrap_or(0), 0);
            self.packed.resize(usize::try_from(length).unwrap_or(0), 0);
            self.file.read(at, &mut self.packed)?;
            let done = match self.image.header().codec {
                Codec::Deflate => inflate(&self.packed, false, plain.len(), &mut plain),
                Codec::Zstd => unzstd(&self.packed, &mut plain),
            };
            done.map_err(|said| FormatError::Cluster {
                path: self.file.path().to_path_buf(),
                what: "compressed cluster",
                at,
                wanted,
                said,
            })?;
            self.held = Some((guest, plain));
        }
        Ok(self.held.as_ref().map_or(&[], |(_, bytes)| bytes))
    }
}

impl Disk for Qcow2Disk {
    fn size(&self) -> u64 {
        self.image.header().size
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
                Place::Data { at } => self.file.read_padded(at, now)?,
                Place::Packed {
                    guest,
                    at: from,
                    length,
                } => {
                    let skip = usize::try_from(at - guest).unwrap_or(0);
                    let plain = self.unpack(guest, from, length)?;
                    now.copy_from_slice(&plain[skip..skip + count]);
                }
            }
            at += count as u64;
            rest = later;
        }
        Ok(())
    }
}
