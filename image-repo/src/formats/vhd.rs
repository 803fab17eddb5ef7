// SPDX-License-Identifier: Apache-2.0
//! A VHD as a disk. Stricter than the maintenance OS, which opens what a user has: a torn footer, bytes that readers
//! differ on, or anything between a fixed disk and its footer is refused here.

use super::disk::{Disk, Stretch};
use super::error::FormatError;
use super::host_file::HostFile;
use super::note::{Note, Notes};
use mos_core::random_access::ReadAt as _;
use mos_core::vhd::{Fault, Kind, Place, Refusal, Vhd, VhdError, check};
use std::io;
use std::path::{Path, PathBuf};

pub(super) struct VhdDisk {
    path: PathBuf,
    vhd: Vhd<HostFile>,
}

impl VhdDisk {
    pub(super) fn open(file: HostFile, notes: &Notes) -> Result<Self, FormatError> {
        let path = file.path().to_path_buf();
        let mut vhd = Vhd::open(file.clone()).map_err(failed(&path))?;
        let footer = *vhd.footer();
        if footer.kind == Kind::Differencing {
            let located = vhd.locators().map_err(failed(&path))?;
            let named = vhd.header().map(|header| header.parent_name.clone());
            let named = named.filter(|name| !name.is_empty());
            let parent = named
                .or_else(|| located.into_iter().next().map(|one| one.path))
                .unwrap_or_default();
            return Err(FormatError::Differencing { path, parent });
        }
        for fault in check(file).map_err(failed(&path))? {
            match fault {
                // Two footers that agree on the disk.
                Fault::CopiesDiffer { .. } => notes.add(Note::Fault(fault.to_string())),
                Fault::TrailingFooter { .. }
                | Fault::FooterCopy { .. }
                | Fault::Surplus { .. }
                | Fault::BlockOutside { .. }
                | Fault::BlockOver { .. }
                | Fault::BlocksOverlap { .. }
                | Fault::MoreBlocksThanRoom { .. }
                | Fault::HiddenData { .. } => return Err(FormatError::VhdFault { path, fault }),
            }
        }
        if footer.saved_state != 0 {
            notes.add(Note::Suspended);
        }
        let (size, in_qemu) = (footer.size.0, footer.qemu_size().0);
        if size != in_qemu {
            notes.add(Note::SizeInQemu { size, in_qemu });
        }
        Ok(Self { path, vhd })
    }
}

fn failed(path: &Path) -> impl FnOnce(VhdError<io::Error>) -> FormatError {
    let path = path.to_path_buf();
    move |error| match error {
        VhdError::Io(source) => FormatError::file("read", &path)(source),
        VhdError::Refused(Refusal::Damaged(fault)) => FormatError::VhdFault { path, fault },
        VhdError::Refused(why) => FormatError::Vhd { path, why },
    }
}

impl Disk for VhdDisk {
    fn size(&self) -> u64 {
        self.vhd.size().0
    }

    fn stretch(&mut self, at: u64) -> Result<Stretch, FormatError> {
        let extent = self.vhd.extent(at).map_err(failed(&self.path))?;
        match extent.place {
            Place::Zero => Ok(Stretch {
                length: extent.length,
                zero: true,
            }),
            Place::Data { at } => {
                let (zero, length) = self.vhd.source().hole(at, extent.length)?;
                Ok(Stretch { length, zero })
            }
            Place::Parent => Err(FormatError::Vhd {
                path: self.path.clone(),
                why: Refusal::NoParent,
            }),
        }
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), FormatError> {
        self.vhd.read_at(at, into).map_err(failed(&self.path))
    }
}
