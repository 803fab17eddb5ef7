// SPDX-License-Identifier: Apache-2.0
//! What an image tells of itself, read through [`ReadAt`]: partitions, file systems, system, kernels, what boots it and
//! the smallest disk that takes it. This crate opens nothing.
//!
//! It never decides what format an image is of and repairs nothing. Bytes that contradict themselves become a note, bytes
//! that cannot be read an error, and neither makes it read more than a fixed amount.

mod boot;
mod ext;
mod fat;
mod image_facts;
mod machine;
mod os_release;
mod picture;
mod read;
mod refusal;
mod survey;
mod table;
#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests;
mod tree;
mod types;

pub use image_facts::{
    BackupTable, FileSystemFacts, ImageFacts, KernelFacts, LoaderFacts, ManifestFields, OsFacts,
    PartitionFacts, TableKind,
};
pub use machine::Machine;
pub use read::ReadError;
pub use refusal::{FactsError, Stated};

use read::Source;

/// An image's plain bytes at any place: a file, a device, or the chunks of a repository.
pub trait ReadAt {
    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Fills the whole of `buffer` with the bytes from `at` on.
    ///
    /// # Errors
    /// They cannot be read, or some of them lie past the end.
    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), ReadError>;
}

/// The facts of an image. At most 64 MiB of it are read, in at most 20,000 pieces, whatever it claims.
///
/// # Errors
/// The reader failed: that is no fact about the image.
pub fn facts(reader: &mut dyn ReadAt) -> Result<ImageFacts, ReadError> {
    survey::survey(&mut Source::new(reader))
}
