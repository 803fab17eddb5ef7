// SPDX-License-Identifier: Apache-2.0
//! An image's plain bytes before they are written: out of this machine's repository at any place, or the first chunks from a
//! server, which is where a partition table is.

use super::onto::tell;
use super::source::Given;
use crate::image::progress::Progress;
use anyhow::{Context as _, Result};
use groundstate_api::Bytes;
use groundstate_api::image::{BootEntry, Manifest};
use image_core::merkle;
use image_repo::ImageReader;
use maintenance_os::image::{Options, deploy};
use mos_core::random_access::ReadAt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// What is fetched from a server to see the table: the entries of a table have a MiB at most.
const HEAD: u64 = 2 << 20;

/// The image's bytes, as far as they can be had.
pub(super) enum Head {
    Local(Box<ImageReader>),
    /// The first bytes, and how long the image is.
    Fetched(File, u64),
}

impl Head {
    pub(super) fn open(given: &Given) -> Result<Self> {
        if let Some(repository) = &given.repository {
            return Ok(Self::Local(Box::new(repository.reader(&given.manifest)?)));
        }
        let manifest = first_of(&given.manifest);
        let folder = std::env::temp_dir();
        let path = folder.join(format!("groundstate-head-{}", std::process::id()));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .with_context(|| format!("{} cannot be made", path.display()))?;
        // It may take as long as the server likes: who waits is told for what.
        let mut progress = Progress::new("fetching the image's first bytes")?;
        let fetched = file.set_len(manifest.size.0).map_err(anyhow::Error::from);
        let fetched = fetched.and_then(|()| {
            deploy(
                &manifest,
                &path,
                &given.sources,
                &Options::default(),
                &mut |moved| tell(&mut progress, moved),
            )
            .map_err(super::refused)
        });
        progress.clear();
        std::fs::remove_file(&path).with_context(|| format!("{} stays", path.display()))?;
        fetched?;
        Ok(Self::Fetched(file, given.manifest.size.0))
    }
}

/// The same image, of which only the first chunks are there.
fn first_of(manifest: &Manifest) -> Manifest {
    let size = Bytes(HEAD.max(manifest.chunk_size.0).min(manifest.size.0));
    let mut first = manifest.clone();
    first
        .chunks
        .retain(|chunk| chunk.offset.0 + chunk.length.0 <= size.0);
    first.size = size;
    first.minimum_size = size;
    first.boot = BootEntry::None;
    first.merkle_root = merkle::root(&first.chunks);
    first
}

impl ReadAt for Head {
    type Error = io::Error;
    fn len(&self) -> u64 {
        match self {
            Self::Local(reader) => image_core::facts::ReadAt::size(reader.as_ref()),
            Self::Fetched(_, size) => *size,
        }
    }
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), io::Error> {
        match self {
            Self::Local(reader) => reader.fill(at, into).map_err(io::Error::other),
            Self::Fetched(file, _) => file.read_exact_at(into, at),
        }
    }
}
