// SPDX-License-Identifier: Apache-2.0
//! What an image tells of itself, read through [`ReadAt`]: this crate opens nothing.

/// An image's plain bytes at any place: a file, a device, or the chunks of a repository.
pub trait ReadAt {
    /// Why bytes could not be read.
    type Error: core::error::Error + Send + Sync + 'static;

    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Fills the whole of `buffer` with the bytes from `at` on.
    ///
    /// # Errors
    /// They cannot be read, or some of them lie past the end.
    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), Self::Error>;
}
