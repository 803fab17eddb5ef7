// SPDX-License-Identifier: Apache-2.0
//! What a person should know of an image that is taken all the same.

use groundstate_api::text::counted;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// Zeros were added at the end, to whole sectors.
    Padded {
        /// Bytes of the disk as it came.
        from: u64,
        /// Bytes with the zeros.
        to: u64,
    },
    /// The stream was written to a temporary file without a name first.
    Spooled {
        /// How long it is.
        bytes: u64,
    },
    /// A qcow2 that was not closed in order.
    Dirty,
    /// A VMDK that was not closed in order.
    Unclean,
    /// Internal snapshots, which are left out.
    Snapshots {
        /// How many.
        count: u32,
    },
    /// A VHDX that was not closed in order; its log was replayed in memory.
    LogReplayed {
        /// Entries of the log.
        entries: u32,
    },
    /// A virtual machine is suspended on the disk: what it holds in memory is missing.
    Suspended,
    /// QEMU would show another size.
    SizeInQemu {
        /// The size field.
        size: u64,
        /// By the geometry.
        in_qemu: u64,
    },
    /// A harmless fault.
    Fault(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Padded { from, to } => write!(
                f,
                "its {from} bytes are no whole number of sectors; zeros were added up to {to} bytes"
            ),
            Self::Spooled { bytes } => write!(
                f,
                "its {bytes} bytes were written to a temporary file first, because the format has to be read at any place"
            ),
            Self::Dirty => f.write_str(
                "it was not closed in order (dirty); its reference counts are stale, which readers do not need",
            ),
            Self::Unclean => f.write_str("the program that wrote it did not close it in order"),
            Self::Snapshots { count } => {
                let snapshots = counted(u64::from(*count), "internal snapshot");
                write!(f, "it has {snapshots}, which are left out")
            }
            Self::LogReplayed { entries } => write!(
                f,
                "it was not closed in order; {entries} entries of its log were replayed in memory, and the file was left as it is"
            ),
            Self::Suspended => f.write_str(
                "a virtual machine is suspended on it: what it held in memory is missing",
            ),
            Self::SizeInQemu { size, in_qemu } => write!(
                f,
                "it has {size} bytes by its size field, which is taken; QEMU counts by its geometry and shows {in_qemu}"
            ),
            Self::Fault(fault) => f.write_str(fault),
        }
    }
}

/// What is to be told; some of it is only known when the image has been read.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<Vec<Note>>>);

impl Notes {
    /// What has been noted since the last time this was asked.
    #[must_use]
    pub fn take(&self) -> Vec<Note> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn add(&self, note: Note) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(note);
    }
}
