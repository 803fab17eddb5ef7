// SPDX-License-Identifier: Apache-2.0
//! A VMDK as a disk: one sparse file, or a descriptor and the files beside it. Nothing outside the descriptor's own folder
//! is opened, no symbolic link is followed, and nothing but a file is opened.

use super::disk::{Disk, Stretch};
use super::error::FormatError;
use super::host_file::HostFile;
use super::note::Notes;
use super::vmdk_sparse::SparseDisk;
use image_core::vmdk::limits::DESCRIPTOR_MAX;
use image_core::vmdk::{DESCRIPTOR_MARK, Descriptor, ExtentFile, ExtentKind, VmdkError};
use std::path::{Path, PathBuf};

/// Opens it. `alone`: it came out of a pipe, and there is nothing beside it.
pub(super) fn open(
    file: HostFile,
    alone: bool,
    notes: &Notes,
) -> Result<Box<dyn Disk>, FormatError> {
    let head = file.head(DESCRIPTOR_MARK.len())?;
    if !head.eq_ignore_ascii_case(DESCRIPTOR_MARK) {
        return Ok(Box::new(SparseDisk::open(file, notes)?.alone()?));
    }
    let path = file.path().to_path_buf();
    let len = file.length();
    if len > DESCRIPTOR_MAX {
        let (at, length) = (0, len);
        let why = VmdkError::DescriptorPlace { at, length, len };
        return Err(FormatError::Vmdk { path, why });
    }
    let text = file.head(usize::try_from(len).unwrap_or(0))?;
    let descriptor = Descriptor::parse(&text).map_err(FormatError::vmdk(&path))?;
    let files = descriptor.files().map_err(FormatError::vmdk(&path))?;
    if alone {
        return Err(FormatError::SeveralFiles { path });
    }
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    Ok(Box::new(Extents::open(&path, folder, files, notes)?))
}

/// A part of the disk.
struct Part {
    begin: u64,
    length: u64,
    file: Option<(PathBuf, ExtentKind, u64)>,
}

/// An extent that is open. Only one is at a time, because there may be thousands.
enum Opened {
    Flat(HostFile, u64),
    Sparse(Box<SparseDisk>),
}

struct Extents {
    descriptor: PathBuf,
    parts: Vec<Part>,
    size: u64,
    opened: Option<(usize, Opened)>,
}

impl Extents {
    /// Opens each file once, so that what is wrong with any of them is known before the disk is read.
    fn open(
        descriptor: &Path,
        folder: &Path,
        files: Vec<ExtentFile>,
        notes: &Notes,
    ) -> Result<Self, FormatError> {
        let mut parts = Vec::with_capacity(files.len());
        let mut size: u64 = 0;
        for ExtentFile { length, file } in files {
            let begin = size;
            size = size
                .checked_add(length)
                .ok_or(VmdkError::ExtentSum)
                .map_err(FormatError::vmdk(descriptor))?;
            let file = file.map(|(name, kind, offset)| (folder.join(name), kind, offset));
            let part = Part {
                begin,
                length,
                file,
            };
            let _sound = open_part(&part, notes)?;
            parts.push(part);
        }
        Ok(Self {
            descriptor: descriptor.to_path_buf(),
            parts,
            size,
            opened: None,
        })
    }

    /// The part that `at` is in, open if it has a file, and the place in it.
    fn at(&mut self, at: u64) -> Result<(u64, u64, Option<&mut Opened>), FormatError> {
        let index = self
            .parts
            .partition_point(|part| part.begin + part.length <= at);
        let beyond = || FormatError::Vmdk {
            path: self.descriptor.clone(),
            why: VmdkError::BeyondEnd {
                at,
                size: self.size,
            },
        };
        let part = self.parts.get(index).ok_or_else(beyond)?;
        let (within, rest) = (at - part.begin, part.begin + part.length - at);
        if self.opened.as_ref().is_none_or(|(held, _)| *held != index) {
            // What there is to note was noted when the disk was opened.
            self.opened = open_part(part, &Notes::default())?.map(|opened| (index, opened));
        }
        let opened = self.opened.as_mut().filter(|(held, _)| *held == index);
        Ok((within, rest, opened.map(|(_, opened)| opened)))
    }
}

fn open_part(part: &Part, notes: &Notes) -> Result<Option<Opened>, FormatError> {
    let Some((path, kind, offset)) = &part.file else {
        return Ok(None);
    };
    let file = HostFile::open_beside(path)?;
    match kind {
        ExtentKind::Zero => Ok(None),
        ExtentKind::Flat => {
            let (said, found) = (offset.saturating_add(part.length), file.length());
            if said != found {
                let path = path.clone();
                return Err(FormatError::ExtentLength { path, said, found });
            }
            Ok(Some(Opened::Flat(file, *offset)))
        }
        ExtentKind::Sparse => {
            let disk = SparseDisk::open(file, notes)?;
            if disk.size() != part.length {
                let (said, found) = (part.length / 512, disk.size() / 512);
                let why = VmdkError::ExtentSize { said, found };
                let path = path.clone();
                return Err(FormatError::Vmdk { path, why });
            }
            Ok(Some(Opened::Sparse(Box::new(disk))))
        }
    }
}

impl Disk for Extents {
    fn size(&self) -> u64 {
        self.size
    }

    fn stretch(&mut self, at: u64) -> Result<Stretch, FormatError> {
        let (within, rest, opened) = self.at(at)?;
        match opened {
            None => Ok(Stretch {
                length: rest,
                zero: true,
            }),
            Some(Opened::Flat(file, offset)) => {
                let (zero, length) = file.hole(*offset + within, rest)?;
                Ok(Stretch { length, zero })
            }
            Some(Opened::Sparse(disk)) => disk.stretch(within),
        }
    }

    fn read(&mut self, mut at: u64, into: &mut [u8]) -> Result<(), FormatError> {
        let mut left = into;
        while !left.is_empty() {
            let (within, rest, opened) = self.at(at)?;
            let count = usize::try_from(rest).map_or(left.len(), |rest| rest.min(left.len()));
            let (now, later) = left.split_at_mut(count);
            match opened {
                None => now.fill(0),
                Some(Opened::Flat(file, offset)) => file.read(*offset + within, now)?,
                Some(Opened::Sparse(disk)) => disk.read(within, now)?,
            }
            at += count as u64;
            left = later;
        }
        Ok(())
    }
}
