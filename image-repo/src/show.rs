// SPDX-License-Identifier: Apache-2.0
//! Everything that is known of one image, for people. Signatures are not looked at here.

use crate::error::RepoError;
use crate::repository::Repository;
use groundstate_api::image::{
    Architecture, BootEntry, ImageFormat, ImageRef, Manifest, RequiredFirmware,
};
use groundstate_api::{Bytes, Digest};
use image_core::facts::{ImageFacts, facts};
use image_core::manifest::data;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageShow {
    /// Name, version, kind, manifest, size and sector size.
    pub image: ImageRef,
    /// What it was imported from.
    pub format: ImageFormat,
    /// What it is for.
    pub architecture: Option<Architecture>,
    /// Which firmware can boot it.
    pub firmware: RequiredFirmware,
    /// How it starts.
    pub boot: BootEntry,
    /// The smallest disk or partition that takes it.
    pub minimum_size: Bytes,
    /// The chunk size.
    pub chunk_size: Bytes,
    /// The root of the Merkle tree over the chunks.
    pub merkle_root: Digest,
    /// What is stored of it.
    pub chunks: ChunkStatistics,
    /// Other images that have chunks of it, those with most of them first.
    pub others: Vec<SharedWith>,
    /// What the image tells of itself.
    pub facts: ImageFacts,
}

/// What is stored of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChunkStatistics {
    /// How many chunks it has.
    pub count: u64,
    /// How many of them differ from one another.
    pub distinct: u64,
    /// The bytes in all of them.
    pub data: Bytes,
    /// What no chunk covers: zeros.
    pub zeros: Bytes,
    /// The stored bytes of the distinct ones.
    pub stored: Bytes,
    /// Stored bytes in a thousand bytes of distinct data.
    pub stored_per_mille: u64,
    /// How many distinct chunks another image has, too.
    pub shared: u64,
    /// Their stored bytes.
    pub shared_stored: Bytes,
    /// Stored bytes of chunks and boot files that only this image has: what its removal would free.
    pub own_stored: Bytes,
}

/// Another image with the same chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedWith {
    /// Name and version.
    pub image: String,
    /// How many distinct chunks.
    pub chunks: u64,
    /// Their stored bytes.
    pub stored: Bytes,
}

impl Repository {
    /// Everything that is known of an image.
    ///
    /// # Errors
    /// A manifest or a chunk cannot be read.
    pub fn show(&self, image: &ImageRef) -> Result<ImageShow, RepoError> {
        let manifest = self.manifest(&image.manifest)?;
        let (chunks, others) = self.statistics(&manifest, &image.manifest)?;
        Ok(ImageShow {
            image: image.clone(),
            format: manifest.format,
            architecture: manifest.architecture,
            firmware: manifest.firmware,
            boot: manifest.boot.clone(),
            minimum_size: manifest.minimum_size,
            chunk_size: manifest.chunk_size,
            merkle_root: manifest.merkle_root,
            chunks,
            others,
            facts: facts(&mut self.reader(&manifest)?)?,
        })
    }

    fn statistics(
        &self,
        manifest: &Manifest,
        digest: &Digest,
    ) -> Result<(ChunkStatistics, Vec<SharedWith>), RepoError> {
        // Each distinct chunk: length, stored length, and whether another image has it.
        let mut own: HashMap<Digest, (u64, u64, bool)> = HashMap::new();
        for chunk in &manifest.chunks {
            let row = (chunk.length.0, chunk.stored_length.0, false);
            own.insert(chunk.digest, row);
        }
        let mut blobs: BTreeMap<Digest, u64> = blobs(manifest).into_iter().collect();
        let mut others = Vec::new();
        let mut seen = BTreeSet::from([*digest]);
        // What lies among the names and is none shares nothing.
        for entry in self.looked_through()?.0 {
            if !seen.insert(entry.manifest) {
                continue;
            }
            let other = self.manifest(&entry.manifest)?;
            let theirs: BTreeSet<_> = other.chunks.iter().map(|chunk| chunk.digest).collect();
            let (mut count, mut stored) = (0, 0);
            for digest in theirs {
                if let Some((_, length, is_shared)) = own.get_mut(&digest) {
                    *is_shared = true;
                    count += 1;
                    stored += *length;
                }
            }
            for (digest, _) in self::blobs(&other) {
                blobs.remove(&digest);
            }
            if count > 0 {
                others.push(SharedWith {
                    image: format!("{} {}", entry.name, entry.version),
                    chunks: count,
                    stored: Bytes(stored),
                });
            }
        }
        others.sort_by(|a, b| (b.stored, &a.image).cmp(&(a.stored, &b.image)));
        let plain: u64 = own.values().map(|(plain, _, _)| plain).sum();
        let stored: u64 = own.values().map(|(_, stored, _)| stored).sum();
        let shared = || own.values().filter(|(_, _, is_shared)| *is_shared);
        let shared_stored: u64 = shared().map(|(_, stored, _)| stored).sum();
        let data = data(manifest);
        let statistics = ChunkStatistics {
            count: manifest.chunks.len() as u64,
            distinct: own.len() as u64,
            data,
            zeros: Bytes(manifest.size.0 - data.0),
            stored: Bytes(stored),
            stored_per_mille: (stored * 1000).checked_div(plain).unwrap_or(0),
            shared: shared().count() as u64,
            shared_stored: Bytes(shared_stored),
            own_stored: Bytes(stored - shared_stored + blobs.values().sum::<u64>()),
        };
        Ok((statistics, others))
    }
}

fn blobs(manifest: &Manifest) -> Vec<(Digest, u64)> {
    let files = manifest.boot_files();
    let files = files.map(|files| [files.kernel, files.initrd, files.boot_loader]);
    let blobs = files.iter().flatten();
    blobs.map(|blob| (blob.digest, blob.length.0)).collect()
}
