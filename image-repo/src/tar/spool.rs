// SPDX-License-Identifier: Apache-2.0
//! Keeps the contents of an archive's files in numbered files of a private folder, with holes where there are zeros.

use crate::roots::RootsError;
use sha2::Digest as _;
use std::fs::{self, File};
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// What is a hole or not, in bytes: a block of the file system that is made.
const BLOCK: usize = 4096;
/// What is read at once, in bytes.
const PIECE: usize = 64 * BLOCK;

/// A content that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    pub(crate) size: u64,
    pub(crate) digest: [u8; 32],
}

/// The private folder.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    next: u64,
}

impl Spool {
    /// Makes the folder, which must not exist.
    pub(crate) fn new(folder: PathBuf) -> Result<Self, RootsError> {
        fs::create_dir(&folder).map_err(RootsError::file("made", &folder))?;
        Ok(Self { folder, next: 0 })
    }

    /// Where the content of that number is.
    pub(crate) fn path(&self, number: u64) -> PathBuf {
        self.folder.join(number.to_string())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps all that `from` gives. `progress` hears how many bytes there were at once, and how many of them are data.
    pub(crate) fn keep(
        &mut self,
        from: &mut dyn Read,
        failed: &dyn Fn(std::io::Error) -> RootsError,
        progress: &mut dyn FnMut(u64, u64) -> Result<(), RootsError>,
    ) -> Result<Kept, RootsError> {
        let number = self.next;
        self.next += 1;
        let path = self.path(number);
        let mut to = File::create_new(&path).map_err(RootsError::file("made", &path))?;
        let mut piece = vec![0; PIECE];
        let (mut size, mut hash) = (0u64, sha2::Sha256::new());
        loop {
            let count = fill(from, &mut piece).map_err(failed)?;
            if count == 0 {
                break;
            }
            let bytes = &piece[..count];
            hash.update(bytes);
            let data = write_sparse(&mut to, bytes).map_err(RootsError::file("written", &path))?;
            size += count as u64;
            progress(count as u64, data)?;
        }
        to.set_len(size)
            .map_err(RootsError::file("written", &path))?;
        Ok(Kept {
            number,
            size,
            digest: hash.finalize().into(),
        })
    }
}

/// Writes the blocks that are not zero and passes over the others; how many bytes were written.
fn write_sparse(to: &mut File, bytes: &[u8]) -> std::io::Result<u64> {
    let mut data = 0;
    for block in bytes.chunks(BLOCK) {
        if block.iter().all(|byte| *byte == 0) {
            to.seek(SeekFrom::Current(i64::try_from(block.len()).unwrap_or(0)))?;
        } else {
            to.write_all(block)?;
            data += block.len() as u64;
        }
    }
    Ok(data)
}

fn fill(from: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
