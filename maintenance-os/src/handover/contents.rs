// SPDX-License-Identifier: Apache-2.0
//! What a file is to hold. A kernel or an initrd stays in its file and is read in pieces: PID 1 is small.

use groundstate_api::Digest;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;

/// What a file is to hold.
#[derive(Clone, Debug)]
pub(super) enum Contents<'a> {
    /// A few lines.
    Bytes(Cow<'a, [u8]>),
    /// All of this file, wherever it stands.
    File(&'a File),
}

impl Contents<'_> {
    /// How long it is.
    pub(super) fn length(&self) -> io::Result<u64> {
        match self {
            Self::Bytes(bytes) => Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Self::File(file) => file.metadata().map(|found| found.len()),
        }
    }

    /// Writes all of it, and tells how much that was.
    pub(super) fn copy_to(&self, to: &mut dyn Write) -> io::Result<u64> {
        match self {
            Self::Bytes(bytes) => copy(&mut bytes.as_ref(), to),
            Self::File(file) => copy(&mut FromStart { file, at: 0 }, to),
        }
    }

    /// Its digest.
    pub(super) fn digest(&self) -> io::Result<Digest> {
        let mut hash = Hashed::default();
        self.copy_to(&mut hash)?;
        Ok(hash.digest())
    }
}

/// What is read and written at once, in bytes.
const PIECE: usize = 256 * 1024;

/// Copies to the end, a piece at a time.
pub(super) fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<u64> {
    let mut piece = vec![0; PIECE];
    let mut done = 0;
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(done),
            Ok(count) => {
                to.write_all(piece.get(..count).unwrap_or_default())?;
                done += u64::try_from(count).unwrap_or(u64::MAX);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads a file from its start without moving where it stands.
struct FromStart<'a> {
    file: &'a File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += u64::try_from(count).unwrap_or(u64::MAX);
        Ok(count)
    }
}

/// Takes bytes and keeps their digest only.
#[derive(Default)]
pub(super) struct Hashed(sha2::Sha256);

impl Hashed {
    pub(super) fn digest(self) -> Digest {
        use sha2::Digest as _;
        Digest(self.0.finalize().into())
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use sha2::Digest as _;
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
