// SPDX-License-Identifier: Apache-2.0
//! The file of a virtual disk as bytes at an offset: what the readers of block formats are handed in.

use alloc::string::String;

/// A file whose length nobody else changes.
pub trait DiskFile {
    /// Its length in bytes.
    fn size(&self) -> u64;
    /// Fills `into` with the bytes from `at` on, which lie within the file.
    ///
    /// # Errors
    /// The file cannot be read.
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), ReadError>;
}

/// Bytes that could not be read: the fault of the medium, never of what the bytes say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file cannot be read at byte {at}: {said}")]
pub struct ReadError {
    /// The first byte that was asked for.
    pub at: u64,
    /// What the system said.
    pub said: String,
}
