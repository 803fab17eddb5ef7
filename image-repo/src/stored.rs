// SPDX-License-Identifier: Apache-2.0
//! A chunk as it is stored, for who deploys from this machine's own repository and proves the bytes himself.

use crate::repository::Repository;
use crate::store::Kind;
use groundstate_api::image::Chunk;
use std::fs::File;
use std::io::{self, Read as _};

impl Repository {
    /// Appends the chunk's stored bytes to `into`: at most as many as the manifest says, proved by nobody yet.
    ///
    /// # Errors
    /// `NotFound` where the repository does not have the chunk; what reading gives.
    pub fn read_stored(&self, chunk: &Chunk, into: &mut Vec<u8>) -> io::Result<()> {
        let path = self.store.path(Kind::Chunk, &chunk.digest);
        let file = File::open(path)?;
        file.take(chunk.stored_length.0).read_to_end(into).map(drop)
    }
}
