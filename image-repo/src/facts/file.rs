// SPDX-License-Identifier: Apache-2.0
//! A file or a block device as plain bytes at any place.

use image_core::facts::{ReadAt, ReadError};
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// A file or a block device whose bytes are the image's.
#[derive(Debug)]
pub struct FileBytes {
    file: File,
    size: u64,
}

impl FileBytes {
    /// Opens it for reading.
    ///
    /// # Errors
    /// It cannot be opened or measured.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = (&file).seek(SeekFrom::End(0))?;
        Ok(Self { file, size })
    }
}

impl ReadAt for FileBytes {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.file
            .read_exact_at(buffer, at)
            .map_err(|error| ReadError {
                at,
                said: error.to_string(),
            })
    }
}
