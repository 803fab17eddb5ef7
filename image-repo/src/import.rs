// SPDX-License-Identifier: Apache-2.0
//! Imports a raw ext4 file system with its kernel: read once, in chunks, holes skipped, compressed on two threads.

use crate::error::RepoError;
use crate::ext4;
use crate::pack::{Packer, chunk_size};
use crate::repository::Repository;
use crate::sparse::next_data;
use crate::store::Kind;
use groundstate_api::image::{Blob, Chunk, ImageKind, ImageRef, Manifest};
use groundstate_api::limits::CHUNK_SIZE;
use groundstate_api::{Bytes, Digest, SCHEMA};
use image_core::ManifestError;
use image_core::limits::BLOB_MAX;
use image_core::manifest::{canonical, check, check_cmdline, check_name, reference};
use sha2::Digest as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};

/// Threads that compress: what a small server has.
const PACKERS: usize = 2;
/// Chunks that are read ahead of them.
const AHEAD: usize = 2;

/// What to import. The paths are files of the one who imports; they are only read.
#[derive(Clone, Copy, Debug)]
pub struct ImportRequest<'a> {
    /// The image's name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// A raw ext4 file system.
    pub root_fs: &'a Path,
    /// The kernel.
    pub kernel: &'a Path,
    /// The initial RAM file system.
    pub initrd: &'a Path,
    /// The UEFI boot loader.
    pub boot_loader: &'a Path,
    /// The command line without `root=`.
    pub cmdline: &'a str,
    /// The smallest logical sector size that the image can live on: 512 or 4096.
    pub sector_size: u32,
}

/// A chunk's place and its bytes.
type Job = (u64, Vec<u8>);

impl Repository {
    /// Imports an image and makes it the newest of its name. `progress` hears how many bytes of the root file system
    /// are done, of how many. An import that fails or is killed leaves no image, only chunks that the next one uses.
    ///
    /// # Errors
    /// A field makes no manifest, the root file system is not ext4 or is cut off, or a file cannot be read or written.
    pub fn import(
        &self,
        request: &ImportRequest<'_>,
        progress: &mut dyn FnMut(Bytes, Bytes),
    ) -> Result<ImageRef, RepoError> {
        check_name("name", request.name)?;
        check_name("version", request.version)?;
        check_cmdline(request.cmdline)?;
        let path = request.root_fs;
        let file = File::open(path).map_err(RepoError::file("opened", path))?;
        let size = file.metadata().map_err(RepoError::file("measured", path))?;
        let size = Bytes(size.len());
        if !matches!(request.sector_size, 512 | 4096) {
            return Err(ManifestError::SectorSize {
                found: request.sector_size,
            }
            .into());
        }
        if !size.0.is_multiple_of(u64::from(request.sector_size)) {
            return Err(ManifestError::Size {
                size,
                sector_size: request.sector_size,
            }
            .into());
        }
        ext4::check(&file, path, size, request.sector_size)?;
        let _lock = self.store.lock()?;
        let kernel = self.import_blob(request.kernel)?;
        let initrd = self.import_blob(request.initrd)?;
        let boot_loader = self.import_blob(request.boot_loader)?;
        let chunks = self.import_chunks(&file, path, size, progress)?;
        let manifest = Manifest {
            schema: SCHEMA,
            name: request.name.into(),
            version: request.version.into(),
            kind: ImageKind::RootFsExt4,
            size,
            sector_size: request.sector_size,
            chunk_size: CHUNK_SIZE,
            chunks,
            kernel,
            initrd,
            boot_loader,
            cmdline: request.cmdline.into(),
        };
        check(&manifest)?;
        let image = reference(&manifest);
        let path = self.store.path(Kind::Manifest, &image.manifest);
        self.store.put(&path, &canonical(&manifest))?;
        // All that the manifest names, and itself, is durable before anybody can learn of it.
        let chunks = manifest
            .chunks
            .iter()
            .map(|chunk| (Kind::Chunk, chunk.digest));
        let blobs = [kernel, initrd, boot_loader].map(|blob| (Kind::Blob, blob.digest));
        let mut stored: Vec<_> = chunks
            .chain(blobs)
            .map(|(kind, digest)| self.store.path(kind, &digest))
            .collect();
        stored.push(path);
        self.store.settle(&stored)?;
        self.name(&image)?;
        Ok(image)
    }

    fn import_blob(&self, path: &Path) -> Result<Blob, RepoError> {
        let mut from = File::open(path).map_err(RepoError::file("opened", path))?;
        let (mut to, draft) = self.store.draft()?;
        let mut hash = sha2::Sha256::new();
        let mut piece = vec![0; 1 << 20];
        let mut length = 0u64;
        loop {
            let count = from
                .read(&mut piece)
                .map_err(RepoError::file("read", path))?;
            if count == 0 {
                break;
            }
            length += count as u64;
            if length > BLOB_MAX.0 {
                return Err(RepoError::BlobTooLarge {
                    path: path.to_path_buf(),
                    max: BLOB_MAX,
                });
            }
            hash.update(&piece[..count]);
            to.write_all(&piece[..count])
                .map_err(RepoError::file("written", &draft))?;
        }
        let digest = Digest(hash.finalize().into());
        let place = self.store.path(Kind::Blob, &digest);
        self.store.publish(&to, &draft, &place)?;
        Ok(Blob {
            length: Bytes(length),
            digest,
        })
    }

    fn import_chunks(
        &self,
        file: &File,
        path: &Path,
        size: Bytes,
        progress: &mut dyn FnMut(Bytes, Bytes),
    ) -> Result<Vec<Chunk>, RepoError> {
        let (jobs, job) = mpsc::sync_channel::<Job>(AHEAD);
        let (spares, spare) = mpsc::sync_channel::<Vec<u8>>(AHEAD + PACKERS + 1);
        let job = Mutex::new(job);
        std::thread::scope(|scope| {
            let packers: Vec<_> = (0..PACKERS)
                .map(|_| {
                    let (job, spares) = (&job, spares.clone());
                    scope.spawn(move || self.pack_all(job, &spares))
                })
                .collect();
            let read = read_chunks(file, path, size, &jobs, &spare, progress);
            drop(jobs);
            let mut chunks = Vec::new();
            let mut failed = None;
            for packer in packers {
                match packer.join().expect("a packer does not panic") {
                    Ok(some) => chunks.extend(some),
                    Err(error) => failed = Some(error),
                }
            }
            // A packer's failure comes before the reader's, which may be its consequence.
            failed.map_or(read, Err)?;
            chunks.sort_by_key(|chunk| chunk.offset);
            progress(size, size);
            Ok(chunks)
        })
    }

    fn pack_all(
        &self,
        jobs: &Mutex<Receiver<Job>>,
        spares: &SyncSender<Vec<u8>>,
    ) -> Result<Vec<Chunk>, RepoError> {
        let mut packer = Packer::new(self);
        let mut chunks = Vec::new();
        let mut failed = None;
        loop {
            let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((offset, bytes)) = next else {
                return failed.map_or(Ok(chunks), Err);
            };
            // After a failure the jobs are still taken, so that the reader does not wait for ever.
            if failed.is_none() {
                match &mut packer {
                    Ok(packer) => match packer.pack(Bytes(offset), &bytes) {
                        Ok(chunk) => chunks.extend(chunk),
                        Err(error) => failed = Some(error),
                    },
                    Err(_) => failed = Packer::new(self).err(),
                }
            }
            // The reader has gone when it has read everything; then no buffer is needed any more.
            let _ = spares.try_send(bytes);
        }
    }
}

fn read_chunks(
    file: &File,
    path: &Path,
    size: Bytes,
    jobs: &SyncSender<Job>,
    spare: &Receiver<Vec<u8>>,
    progress: &mut dyn FnMut(Bytes, Bytes),
) -> Result<(), RepoError> {
    let mut at = 0;
    while let Some(offset) =
        next_data(file, at, size.0, CHUNK_SIZE.0).map_err(RepoError::file("read", path))?
    {
        progress(Bytes(offset), size);
        let length = CHUNK_SIZE.0.min(size.0 - offset);
        let mut bytes = spare.try_recv().unwrap_or_default();
        bytes.resize(usize::try_from(length).unwrap_or(chunk_size()), 0);
        file.read_exact_at(&mut bytes, offset)
            .map_err(RepoError::file("read", path))?;
        jobs.send((offset, bytes))
            .expect("the packers listen until the channel closes");
        at = offset + length;
    }
    Ok(())
}
