// SPDX-License-Identifier: Apache-2.0
//! Makes stored chunks: hash, see whether it is there already, compress, store.

use crate::error::RepoError;
use crate::repository::Repository;
use crate::store::Kind;
use groundstate_api::image::Chunk;
use groundstate_api::{Bytes, Digest};
use image_core::limits::stored_max;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// zstd's level: an image is made once and sent many times; higher levels take twice as long for 2 % less.
const LEVEL: i32 = 12;

/// One thread's compressor and decompressor.
pub(crate) struct Packer<'a> {
    repository: &'a Repository,
    compress: zstd::bulk::Compressor<'static>,
    decompress: zstd::bulk::Decompressor<'static>,
    stored: Vec<u8>,
    again: Vec<u8>,
}

impl<'a> Packer<'a> {
    pub(crate) fn new(repository: &'a Repository) -> Result<Self, RepoError> {
        let failed = |source| RepoError::Compress {
            offset: Bytes(0),
            source,
        };
        Ok(Self {
            repository,
            compress: zstd::bulk::Compressor::new(LEVEL).map_err(failed)?,
            decompress: zstd::bulk::Decompressor::new().map_err(failed)?,
            stored: Vec::new(),
            again: Vec::new(),
        })
    }

    /// Stores the bytes that are at `offset` of the image; `None` where all of them are zero.
    pub(crate) fn pack(&mut self, offset: Bytes, bytes: &[u8]) -> Result<Option<Chunk>, RepoError> {
        if is_zero(bytes) {
            return Ok(None);
        }
        let digest = Digest::of(bytes);
        let path = self.repository.store.path(Kind::Chunk, &digest);
        if !self.is_there(&path, bytes)? {
            self.stored.clear();
            let max = stored_max(Bytes(bytes.len() as u64));
            self.stored.reserve(usize::try_from(max.0).unwrap_or(0));
            self.compress
                .compress_to_buffer(bytes, &mut self.stored)
                .map_err(|source| RepoError::Compress { offset, source })?;
            self.repository.store.put(&path, &self.stored)?;
        }
        Ok(Some(Chunk {
            offset,
            length: Bytes(bytes.len() as u64),
            digest,
            stored_length: Bytes(self.stored.len() as u64),
            stored_digest: Digest::of(&self.stored),
        }))
    }

    /// Whether the store has these bytes already, and then they are in `self.stored`. What lies there is not trusted: a
    /// damaged file is replaced. Another zstd may have made other stored bytes, so it is its digest that counts.
    fn is_there(&mut self, path: &Path, bytes: &[u8]) -> Result<bool, RepoError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(RepoError::file("opened", path)(error)),
        };
        self.stored.clear();
        let max = stored_max(Bytes(bytes.len() as u64)).0;
        file.take(max + 1)
            .read_to_end(&mut self.stored)
            .map_err(RepoError::file("read", path))?;
        if self.stored.len() as u64 > max {
            return Ok(false);
        }
        self.again.clear();
        self.again.reserve(bytes.len());
        // Whatever the decompressor does not like is damage, and damage is replaced.
        let length = self
            .decompress
            .decompress_to_buffer(&self.stored, &mut self.again);
        Ok(length.is_ok() && self.again == bytes)
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    let (wide, rest) = bytes.as_chunks::<16>();
    wide.iter().all(|each| u128::from_ne_bytes(*each) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_set_byte_is_not_zero() {
        for length in [0, 1, 15, 16, 17, 33] {
            let mut bytes = vec![0u8; length];
            assert!(is_zero(&bytes));
            for at in 0..length {
                bytes[at] = 1;
                assert!(!is_zero(&bytes), "{at} of {length}");
                bytes[at] = 0;
            }
        }
    }
}
