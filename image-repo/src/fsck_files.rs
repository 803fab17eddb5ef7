// SPDX-License-Identifier: Apache-2.0
//! Reads stored files on as many threads as the machine has processors and tells what each of them is.

use crate::error::RepoError;
use crate::fsck::{Asked, Fault};
use crate::repository::{Repository, read};
use crate::store::{Kind, digest_of};
use crate::verify::hash;
use groundstate_api::limits::CHUNK_SIZE_MAX;
use groundstate_api::{Bytes, Digest};
use image_core::limits::{BLOB_MAX, stored_max};
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file that ends in so many zeros was being written when the power went: zstd's frames do not.
const TORN_TAIL: usize = 512;

/// What a file is.
pub(crate) struct Seen {
    pub(crate) length: u64,
    pub(crate) fault: Option<Fault>,
}

/// Looks at files of one kind.
pub(crate) struct Look<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) kind: Kind,
    pub(crate) asked: &'a Asked,
}

impl Look<'_> {
    /// Looks at all of these; one that is gone meanwhile is left out.
    pub(crate) fn all(&self, mut files: Vec<PathBuf>) -> Result<Vec<(PathBuf, Seen)>, RepoError> {
        files.sort();
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let next = AtomicUsize::new(0);
        let work = || -> Result<Vec<(usize, Seen)>, RepoError> {
            let mut seen = Vec::new();
            let mut plain = Vec::new();
            let failed = |source| RepoError::Decompressor { source };
            let mut decompress = zstd::bulk::Decompressor::new().map_err(failed)?;
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(path) = files.get(index) else {
                    return Ok(seen);
                };
                match self.one(path, &mut decompress, &mut plain) {
                    Ok(found) => seen.push((index, found)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(RepoError::file("read", path)(error)),
                }
            }
        };
        let parts: Result<Vec<_>, RepoError> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let joined = threads.into_iter();
            joined
                .map(|thread| thread.join().expect("a reader does not panic"))
                .collect()
        });
        let mut seen: Vec<_> = parts?.into_iter().flatten().collect();
        seen.sort_by_key(|(index, _)| *index);
        Ok(seen
            .into_iter()
            .filter_map(|(index, seen)| Some((files.get(index)?.clone(), seen)))
            .collect())
    }

    fn one(
        &self,
        path: &Path,
        decompress: &mut zstd::bulk::Decompressor<'_>,
        plain: &mut Vec<u8>,
    ) -> io::Result<Seen> {
        let length = std::fs::symlink_metadata(path)?.len();
        let seen = |fault| Ok(Seen { length, fault });
        let Some(digest) = digest_of(path) else {
            return seen(Some(Fault::Misnamed));
        };
        if self.repository.store.path(self.kind, &digest) != path {
            return seen(Some(Fault::Misnamed));
        }
        if self.kind == Kind::Blob {
            let found = hash(path, BLOB_MAX)?;
            let stated = self.asked.blobs.get(&digest).map(|stated| stated.length);
            let is_short = length == 0 || stated.is_some_and(|stated| length < stated);
            let fault = if is_short {
                Fault::Torn
            } else {
                Fault::Damaged
            };
            return seen((found.1 != digest).then_some(fault));
        }
        let stored = read(path, stored_max(CHUNK_SIZE_MAX).0 + 1)?;
        let stated = self.asked.chunks.get(&digest);
        let is_stated = stated.map(|stated| {
            stated.length == stored.len() as u64 && stated.digest == Digest::of(&stored)
        });
        if is_stated == Some(true) {
            return seen(None);
        }
        plain.clear();
        plain.reserve(usize::try_from(CHUNK_SIZE_MAX.0).unwrap_or(0));
        let is_right =
            decompress.decompress_to_buffer(&stored, plain).is_ok() && Digest::of(plain) == digest;
        seen(match (is_right, is_stated) {
            (true, None) => None,
            (true, Some(_)) => Some(Fault::OtherForm),
            (false, _) => {
                let tail = stored.last_chunk::<TORN_TAIL>();
                let is_torn = stored.is_empty()
                    || stated.is_some_and(|stated| Bytes(stated.length) > Bytes(length))
                    || tail.is_some_and(|tail| tail.iter().all(|byte| *byte == 0));
                Some(if is_torn { Fault::Torn } else { Fault::Damaged })
            }
        })
    }
}
