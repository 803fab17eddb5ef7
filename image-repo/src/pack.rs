// SPDX-License-Identifier: Apache-2.0
//! Makes stored chunks: hash, see whether it is there already, compress, store.

use crate::error::RepoError;
use crate::heal::Wanted;
use crate::repository::Repository;
use crate::store::{Importing, Kind};
use groundstate_api::image::Chunk;
use groundstate_api::{Bytes, Digest};
use image_core::limits::{LEVEL, LEVEL_MAX, LEVEL_MIN, stored_max};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// A chunk's stored form: its length and its digest.
pub(crate) type Form = (Bytes, Digest);

/// What is known of the newest image of the same name.
#[derive(Default)]
pub(crate) struct Known {
    /// The stored forms of its chunks.
    pub(crate) forms: HashMap<Digest, Form>,
    /// Whether all of them were read and found right not long ago, and are unchanged since.
    pub(crate) is_proven: bool,
}

/// What all packers of one import know.
pub(crate) struct Packing<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) importing: &'a Importing,
    pub(crate) level: i32,
    pub(crate) known: Known,
    /// Which stored forms are asked for by manifests whose chunks are damaged or missing.
    pub(crate) wanted: Wanted,
}

/// A chunk of the image, and whether its bytes were stored for it.
pub(crate) struct Packed {
    pub(crate) chunk: Chunk,
    pub(crate) is_new: bool,
}

/// One thread's compressor and decompressor.
pub(crate) struct Packer<'a> {
    shared: &'a Packing<'a>,
    compress: zstd::bulk::Compressor<'static>,
    decompress: zstd::bulk::Decompressor<'static>,
    stored: Vec<u8>,
    again: Vec<u8>,
}

/// What lies where a chunk would be.
enum There {
    Nothing,
    Damaged,
    Good(Form),
}

impl<'a> Packer<'a> {
    pub(crate) fn new(shared: &'a Packing<'a>) -> Result<Self, RepoError> {
        let failed = |source| RepoError::Compress {
            offset: Bytes(0),
            source,
        };
        Ok(Self {
            shared,
            compress: zstd::bulk::Compressor::new(shared.level).map_err(failed)?,
            decompress: zstd::bulk::Decompressor::new().map_err(failed)?,
            stored: Vec::new(),
            again: Vec::new(),
        })
    }

    /// Stores the bytes that are at `offset` of the image; `None` where all of them are zero.
    pub(crate) fn pack(
        &mut self,
        offset: Bytes,
        bytes: &[u8],
    ) -> Result<Option<Packed>, RepoError> {
        if is_zero(bytes) {
            return Ok(None);
        }
        let digest = Digest::of(bytes);
        let path = self.shared.repository.store.path(Kind::Chunk, &digest);
        let (is_new, (stored_length, stored_digest)) =
            match self.what_is_there(&path, &digest, bytes)? {
                There::Good(form) => (false, form),
                There::Damaged => (true, self.heal(&path, &digest, offset, bytes)?),
                There::Nothing if self.shared.wanted.is_marked(&digest) => {
                    (true, self.heal(&path, &digest, offset, bytes)?)
                }
                There::Nothing => self.store(&path, &digest, offset, bytes)?,
            };
        let chunk = Chunk {
            offset,
            length: Bytes(bytes.len() as u64),
            digest,
            stored_length,
            stored_digest,
        };
        Ok(Some(Packed { chunk, is_new }))
    }

    /// Stores a chunk that was not there. If another import was faster, it is its form that counts.
    fn store(
        &mut self,
        path: &Path,
        digest: &Digest,
        offset: Bytes,
        bytes: &[u8],
    ) -> Result<(bool, Form), RepoError> {
        self.squeeze(offset, bytes)?;
        let mut draft = self.shared.importing.draft()?;
        draft.write(&self.stored)?;
        draft.begin_writeback();
        let form = self.form();
        if draft.publish(path)? {
            return Ok((true, form));
        }
        match self.what_is_there(path, digest, bytes)? {
            There::Good(form) => Ok((false, form)),
            There::Damaged | There::Nothing => Ok((true, self.heal(path, digest, offset, bytes)?)),
        }
    }

    /// Puts a good chunk in the place of a damaged or missing one: in the form that a manifest asks for, if zstd still
    /// makes it, so that older images are whole again too.
    fn heal(
        &mut self,
        path: &Path,
        digest: &Digest,
        offset: Bytes,
        bytes: &[u8],
    ) -> Result<Form, RepoError> {
        let shared = self.shared;
        let _alone = shared.repository.store.healing()?;
        if let There::Good(form) = self.what_is_there(path, digest, bytes)? {
            return Ok(form);
        }
        self.squeeze(offset, bytes)?;
        if let Some(wanted) = shared.wanted.form_of(shared.repository, digest)? {
            let others = (LEVEL_MIN..=LEVEL_MAX).filter(|level| *level != LEVEL);
            for level in std::iter::once(LEVEL).chain(others) {
                if self.form() == wanted {
                    break;
                }
                self.set_level(level, offset)?;
                self.squeeze(offset, bytes)?;
            }
            self.set_level(shared.level, offset)?;
            if self.form() != wanted {
                self.squeeze(offset, bytes)?;
            }
        }
        let mut draft = shared.importing.draft()?;
        draft.write(&self.stored)?;
        draft.replace(path)?;
        shared.wanted.healed(digest);
        Ok(self.form())
    }

    fn form(&self) -> Form {
        (Bytes(self.stored.len() as u64), Digest::of(&self.stored))
    }

    fn set_level(&mut self, level: i32, offset: Bytes) -> Result<(), RepoError> {
        self.compress
            .set_compression_level(level)
            .map_err(|source| RepoError::Compress { offset, source })
    }

    /// Compresses into `self.stored`.
    fn squeeze(&mut self, offset: Bytes, bytes: &[u8]) -> Result<(), RepoError> {
        self.stored.clear();
        let max = stored_max(Bytes(bytes.len() as u64));
        self.stored.reserve(usize::try_from(max.0).unwrap_or(0));
        self.compress
            .compress_to_buffer(bytes, &mut self.stored)
            .map_err(|source| RepoError::Compress { offset, source })?;
        Ok(())
    }

    /// Whether the store has these bytes already. What lies there is not trusted unless it was read not long ago: after
    /// a power cut a chunk may have its name and not its bytes. Another zstd may have made other stored bytes, so it is
    /// their digest that counts.
    fn what_is_there(
        &mut self,
        path: &Path,
        digest: &Digest,
        bytes: &[u8],
    ) -> Result<There, RepoError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(There::Nothing);
            }
            Err(error) => return Err(RepoError::file("opened", path)(error)),
        };
        let known = self.shared.known.forms.get(digest).copied();
        if let Some(form) = known.filter(|_| self.shared.known.is_proven) {
            return Ok(There::Good(form));
        }
        self.stored.clear();
        let max = stored_max(Bytes(bytes.len() as u64)).0;
        file.take(max + 1)
            .read_to_end(&mut self.stored)
            .map_err(RepoError::file("read", path))?;
        let form = self.form();
        // The same stored bytes as when the plain ones were compared.
        if known == Some(form) {
            return Ok(There::Good(form));
        }
        if self.stored.len() as u64 > max {
            return Ok(There::Damaged);
        }
        self.again.clear();
        self.again.reserve(bytes.len());
        // Whatever the decompressor does not like is damage, and damage is replaced.
        let length = self
            .decompress
            .decompress_to_buffer(&self.stored, &mut self.again);
        Ok(if length.is_ok() && self.again == bytes {
            There::Good(form)
        } else {
            There::Damaged
        })
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    let (wide, rest) = bytes.as_chunks::<64>();
    wide.iter().all(|each| {
        let (words, _) = each.as_chunks::<16>();
        words
            .iter()
            .fold(0, |all, word| all | u128::from_ne_bytes(*word))
            == 0
    }) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_set_byte_is_not_zero() {
        for length in [0, 1, 15, 16, 17, 33, 64, 65, 200] {
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
