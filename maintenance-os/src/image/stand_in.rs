// SPDX-License-Identifier: Apache-2.0
//! An image whose chunks come from memory: the real writer and the real reading back, without a server.

use super::Seed;
use super::deploy::{Deployed, Options, deploy_within};
use super::read_back::{Proven, read_back_within};
use super::source::{ChunkSource, Fixed};
use super::target::REQUEST_MAX;
use groundstate_api::image::{Blob, Chunk, ImageKind, Manifest};
use groundstate_api::{Bytes, Digest, Reason};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// An image and its chunks as they are stored.
pub(crate) struct Made {
    manifest: Manifest,
    stored: Arc<Stored>,
}

struct Stored(BTreeMap<Digest, Vec<u8>>);

impl ChunkSource for Stored {
    fn stored(&self, chunk: &Chunk, into: &mut Vec<u8>) -> io::Result<()> {
        let bytes = self.0.get(&chunk.digest).ok_or(io::ErrorKind::NotFound)?;
        into.extend_from_slice(bytes);
        Ok(())
    }
}

/// Makes one of these bytes; pieces of zeros are holes.
pub(crate) fn made(bytes: &[u8], chunk_size: usize) -> Made {
    let (mut chunks, mut all) = (Vec::new(), BTreeMap::new());
    for (piece, number) in bytes.chunks(chunk_size).zip(0u64..) {
        if piece.iter().all(|byte| *byte == 0) {
            continue;
        }
        let stored = zstd::bulk::compress(piece, 1).unwrap();
        chunks.push(Chunk {
            offset: Bytes(number * chunk_size as u64),
            length: Bytes(piece.len() as u64),
            digest: Digest::of(piece),
            stored_length: Bytes(stored.len() as u64),
            stored_digest: Digest::of(&stored),
        });
        all.insert(Digest::of(piece), stored);
    }
    let blob = Blob {
        length: Bytes(1),
        digest: Digest::of(b"x"),
    };
    let manifest = Manifest {
        schema: groundstate_api::image::MANIFEST_SCHEMA,
        name: "debian-host".to_owned(),
        version: "1".to_owned(),
        kind: ImageKind::RootFsExt4,
        format: groundstate_api::image::ImageFormat::Raw,
        architecture: None,
        firmware: groundstate_api::image::RequiredFirmware::Any,
        boot: groundstate_api::image::BootEntry::Files(groundstate_api::image::BootFiles {
            kernel: blob,
            initrd: blob,
            boot_loader: blob,
            cmdline: "quiet".to_owned(),
        }),
        minimum_size: Bytes(bytes.len() as u64),
        merkle_root: image_core::merkle::root(&chunks),
        size: Bytes(bytes.len() as u64),
        sector_size: 512,
        chunk_size: Bytes(chunk_size as u64),
        chunks,
    };
    image_core::manifest::check(&manifest).unwrap();
    Made {
        manifest,
        stored: Arc::new(Stored(all)),
    }
}

impl Made {
    /// The same as an image of a whole disk.
    pub(crate) fn whole(mut self) -> Self {
        self.manifest.kind = ImageKind::WholeDisk;
        self.manifest.boot = groundstate_api::image::BootEntry::BootCode;
        image_core::manifest::check(&self.manifest).unwrap();
        self
    }

    pub(crate) const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Without its head.
    pub(crate) fn body(&self) -> Self {
        let manifest = crate::whole_disk::body_of(&self.manifest);
        image_core::manifest::check(&manifest).unwrap();
        Self {
            manifest,
            stored: Arc::clone(&self.stored),
        }
    }

    pub(crate) fn write(&self, target: &Path) -> Result<Vec<String>, Reason> {
        self.write_within(REQUEST_MAX, target)
    }

    /// The same to a disk none of whose requests may take longer than `patience`.
    pub(crate) fn write_within(
        &self,
        patience: Duration,
        target: &Path,
    ) -> Result<Vec<String>, Reason> {
        self.deploy(patience, target, None)
            .map(|deployed| deployed.facts)
    }

    fn deploy(
        &self,
        patience: Duration,
        target: &Path,
        read_behind: Option<Bytes>,
    ) -> Result<Deployed, Reason> {
        let sources = Fixed::local(self.stored.clone());
        let options = Options {
            tail_stays: true,
            // Where somebody reads back on the way, nothing else is to be read.
            seed: match read_behind {
                Some(_) => Seed::Never,
                None => Seed::Auto,
            },
            read_behind,
            ..Options::default()
        };
        deploy_within(
            patience,
            &self.manifest,
            target,
            &sources,
            &options,
            &mut |_| (),
        )
    }

    /// Writes it, reading back on the way what `behind` more bytes were written after, and then the rest. Tells how many bytes
    /// were read back on the way.
    pub(crate) fn write_and_read_back(
        &self,
        patience: Duration,
        target: &Path,
        behind: Bytes,
    ) -> Result<Bytes, Reason> {
        let deployed = self.deploy(patience, target, Some(behind))?;
        let proven = &deployed.proven;
        read_back_within(patience, &self.manifest, target, proven, &mut |_| ())?;
        Ok(proven.bytes(&self.manifest))
    }

    pub(crate) fn read_back(&self, target: &Path) -> Result<Vec<String>, Reason> {
        self.read_back_within(REQUEST_MAX, target)
    }

    pub(crate) fn read_back_within(
        &self,
        patience: Duration,
        target: &Path,
    ) -> Result<Vec<String>, Reason> {
        let nothing = Proven::default();
        read_back_within(patience, &self.manifest, target, &nothing, &mut |_| ())
    }
}
