// SPDX-License-Identifier: Apache-2.0
//! An image whose chunks come from memory: the real writer and the real reading back, without a server.

use super::pull::Job;
use super::read_back::read_back_within;
use super::target::{REQUEST_MAX, Target};
use super::write::{Message, write_to};
use groundstate_api::image::{Blob, Chunk, ImageKind, Manifest};
use groundstate_api::{Bytes, Digest, Reason};
use image_core::Event;
use std::path::Path;
use std::time::Duration;

/// An image and its chunks as they are stored.
pub(crate) struct Made {
    manifest: Manifest,
    stored: Vec<Vec<u8>>,
}

/// Makes one of these bytes; pieces of zeros are holes.
pub(crate) fn made(bytes: &[u8], chunk_size: usize) -> Made {
    let (mut chunks, mut all) = (Vec::new(), Vec::new());
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
        all.push(stored);
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
        stored: all,
    }
}

impl Made {
    pub(crate) fn write(&self, target: &Path) -> Result<Vec<String>, Reason> {
        self.write_within(REQUEST_MAX, target)
    }

    /// The same to a disk none of whose requests may take longer than `patience`.
    pub(crate) fn write_within(
        &self,
        patience: Duration,
        target: &Path,
    ) -> Result<Vec<String>, Reason> {
        let target = Target::open(target, &self.manifest, true, patience)?;
        write_to(
            target,
            &self.manifest,
            &mut |_| (),
            |_, wanted, jobs, tell| {
                for index in wanted {
                    let fetched = Message::Event(Event::Fetched { chunk: index });
                    let job = Job {
                        index,
                        chunk: self.manifest.chunks[index],
                        stored: self.stored[index].clone(),
                    };
                    if tell.send(fetched).is_err() || jobs.send(job).is_err() {
                        return;
                    }
                }
            },
        )
    }

    pub(crate) fn read_back(&self, target: &Path) -> Result<Vec<String>, Reason> {
        self.read_back_within(REQUEST_MAX, target)
    }

    pub(crate) fn read_back_within(
        &self,
        patience: Duration,
        target: &Path,
    ) -> Result<Vec<String>, Reason> {
        read_back_within(patience, &self.manifest, target, &mut |_| ())
    }
}
