// SPDX-License-Identifier: Apache-2.0
//! An image in two: its head, with boot sector and partition table, and all the rest. A disk that has the rest and not the
//! head starts nothing, so that the head waits until everything else is right.

use groundstate_api::Bytes;
use groundstate_api::image::{BootEntry, Manifest, RequiredFirmware};
use image_core::deploy::limits::HEAD;
use image_core::merkle;

/// How long the head is: whole chunks, and what a deploy holds for the head of its target.
#[must_use]
pub fn head_size(manifest: &Manifest) -> Bytes {
    HEAD.max(manifest.chunk_size).min(manifest.size)
}

/// The image with zeros in place of its head, as a manifest that can be written and read back.
#[must_use]
pub fn body_of(manifest: &Manifest) -> Manifest {
    let head = head_size(manifest);
    let mut body = manifest.clone();
    body.chunks.retain(|chunk| chunk.offset >= head);
    alone(body)
}

/// The head as an image of its own.
#[must_use]
pub fn head_of(manifest: &Manifest) -> Manifest {
    let size = head_size(manifest);
    let mut head = manifest.clone();
    head.chunks.retain(|chunk| chunk.offset < size);
    head.size = size;
    head.minimum_size = size;
    alone(head)
}

fn alone(mut part: Manifest) -> Manifest {
    part.boot = BootEntry::None;
    part.firmware = RequiredFirmware::Any;
    part.merkle_root = merkle::root(&part.chunks);
    part
}
