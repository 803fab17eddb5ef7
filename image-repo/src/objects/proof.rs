// SPDX-License-Identifier: Apache-2.0
//! Whether a file is what its digest says: a manifest or a blob by its bytes, a chunk by what it decompresses to.

use crate::store::Kind;
use groundstate_api::{Bytes, Digest};
use image_core::limits::{BLOB_MAX, MANIFEST_MAX};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};

/// The most that a chunk decompresses to: twice what the largest image's chunks have.
const PLAIN_MAX: u64 = 32 << 20;
/// Bytes hashed at a time.
const PIECE: usize = 64 << 10;

/// The most bytes that anything of this kind has as it is stored.
pub(super) const fn most(kind: Kind) -> Bytes {
    match kind {
        Kind::Manifest => MANIFEST_MAX,
        Kind::Blob => BLOB_MAX,
        Kind::Chunk => Bytes(PLAIN_MAX),
    }
}

/// Reads all of it. What cannot be decompressed is not what its digest says either.
pub(super) fn is_right(kind: Kind, digest: &Digest, file: &File) -> io::Result<bool> {
    match kind {
        Kind::Manifest | Kind::Blob => Ok(hash(file, most(kind).0)? == Some(*digest)),
        Kind::Chunk => {
            let plain = zstd::stream::read::Decoder::new(file)?;
            Ok(hash(plain, PLAIN_MAX).ok().flatten() == Some(*digest))
        }
    }
}

/// None where it has more than `most`.
fn hash(mut from: impl Read, most: u64) -> io::Result<Option<Digest>> {
    let (mut hash, mut done) = (Sha256::new(), 0u64);
    let mut buffer = vec![0; PIECE];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => {
                let hash: [u8; 32] = hash.finalize().into();
                return Ok(Some(Digest(hash)));
            }
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        done += length as u64;
        if done > most {
            return Ok(None);
        }
        hash.update(buffer.get(..length).unwrap_or_default());
    }
}
