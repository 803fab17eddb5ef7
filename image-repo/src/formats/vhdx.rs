// SPDX-License-Identifier: Apache-2.0
//! A VHDX as a disk. A log that was left behind is replayed in memory; every entry of its tables is checked first.

use super::disk::{Disk, Stretch};
use super::error::FormatError;
use super::host_file::HostFile;
use super::note::{Note, Notes};
use mos_core::vhdx::{Failure, Fault, LogState, Place, Vhdx, VhdxError};
use std::io;
use std::path::{Path, PathBuf};

pub(super) struct VhdxDisk {
    path: PathBuf,
    vhdx: Vhdx<HostFile>,
    /// The file, to ask what of it was written; only where no log lies over it.
    file: Option<HostFile>,
}

impl VhdxDisk {
    pub(super) fn open(file: HostFile, notes: &Notes) -> Result<Self, FormatError> {
        let path = file.path().to_path_buf();
        let mut vhdx = Vhdx::open(file.clone()).map_err(failed(&path))?;
        if let Some(parent) = &vhdx.facts().parent {
            let named = parent.path("relative_path");
            let named = named.or_else(|| parent.path("absolute_win32_path"));
            let parent = named.unwrap_or_default().to_owned();
            return Err(FormatError::Differencing { path, parent });
        }
        for fault in vhdx.check().map_err(failed(&path))? {
            match fault {
                // Told below.
                Fault::LogNotEmpty { .. } => {}
                fault if fault.is_harmless() => notes.add(Note::Fault(fault.to_string())),
                fault => return Err(FormatError::VhdxFault { path, fault }),
            }
        }
        let file = match vhdx.facts().log {
            LogState::Empty => Some(file),
            LogState::Replayed { entries } => {
                notes.add(Note::LogReplayed { entries });
                None
            }
        };
        Ok(Self { path, vhdx, file })
    }
}

fn failed(path: &Path) -> impl FnOnce(Failure<io::Error>) -> FormatError {
    let path = path.to_path_buf();
    move |error| match error {
        Failure::Read { why, .. } | Failure::Write { why, .. } | Failure::Flush { why } => {
            FormatError::file("read", &path)(why)
        }
        Failure::Refused(why) => FormatError::Vhdx { path, why },
    }
}

impl Disk for VhdxDisk {
    fn size(&self) -> u64 {
        self.vhdx.facts().size.0
    }

    fn stretch(&mut self, at: u64) -> Result<Stretch, FormatError> {
        let refused = |why| FormatError::Vhdx {
            path: self.path.clone(),
            why,
        };
        let piece = self.vhdx.piece(at).map_err(failed(&self.path))?;
        let size = self.vhdx.facts().size.0;
        let beyond = VhdxError::BeyondDisk { at, len: 1, size };
        let piece = piece.ok_or_else(|| refused(beyond))?;
        let length = piece.len;
        match (piece.place, &self.file) {
            (Place::Zero | Place::Unmapped, _) => Ok(Stretch { length, zero: true }),
            (Place::File(at), Some(file)) => {
                let (zero, length) = file.hole(at, length)?;
                Ok(Stretch { length, zero })
            }
            (Place::File(_), None) => Ok(Stretch {
                length,
                zero: false,
            }),
            (Place::Parent, _) => Err(refused(VhdxError::ParentAbsent { at })),
        }
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), FormatError> {
        self.vhdx.read_at(at, into).map_err(failed(&self.path))
    }
}
