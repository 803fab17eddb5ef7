// SPDX-License-Identifier: Apache-2.0
//! What a boot file consists of: bytes in memory, or a file that is open already.
//!
//! Nothing here takes a name. A file that is replaced while it is being sent goes out as it was when it was opened; one
//! that is cut short while it is being sent is an error, and never bytes of something else.

use hyper::body::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// The bytes of one boot file; cheap to clone.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory.
    Memory(Bytes),
    /// A regular file, open for reading.
    Disk {
        /// It.
        file: Arc<File>,
        /// Its length when it was opened, in bytes.
        length: u64,
    },
}

impl Content {
    /// A regular file that was opened for reading.
    ///
    /// # Errors
    /// The system's, and `InvalidInput` where it is no regular file.
    pub fn of_file(file: File) -> io::Result<Self> {
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "this is no regular file",
            ));
        }
        Ok(Self::Disk {
            length: about.len(),
            file: Arc::new(file),
        })
    }

    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Disk { length, .. } => *length,
        }
    }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before the buffer does, and the system's.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let there = bytes
                    .get(from..from.saturating_add(buffer.len()))
                    .ok_or(io::ErrorKind::UnexpectedEof)?;
                buffer.copy_from_slice(there);
                Ok(())
            }
            Self::Disk { file, .. } => file.read_exact_at(buffer, offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn memory_and_disk_read_alike_and_neither_past_the_end() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        for content in [
            Content::of_file(file).unwrap(),
            Content::Memory(Bytes::from_static(b"0123456789")),
        ] {
            let mut four = [0; 4];
            content.read_at(6, &mut four).unwrap();
            assert_eq!((&four, content.length()), (b"6789", 10));
            let error = content.read_at(7, &mut four).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            assert!(content.read_at(u64::MAX, &mut four).is_err());
        }
    }

    #[test]
    fn a_folder_is_no_boot_file() {
        let folder = File::open("/").unwrap();
        assert!(Content::of_file(folder).is_err());
    }
}
