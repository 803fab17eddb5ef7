// SPDX-License-Identifier: Apache-2.0
//! Imports a content: read once, in chunks, holes skipped, compressed on two threads.

use crate::content::{Chunks, Content};
use crate::error::RepoError;
use crate::ext4;
use crate::pack::Packer;
use crate::repository::Repository;
use crate::store::Kind;
use groundstate_api::image::{
    Blob, BootEntry, BootFiles, Chunk, ImageFormat, ImageKind, ImageRef, MANIFEST_SCHEMA, Manifest,
    RequiredFirmware,
};
use groundstate_api::limits::CHUNK_SIZE_MAX;
use groundstate_api::{Bytes, Digest};
use image_core::limits::{BLOB_MAX, chunk_size_of};
use image_core::manifest::{canonical, check, check_cmdline, check_name, reference};
use image_core::{ManifestError, merkle};
use sha2::Digest as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
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
    /// What the content is: a root file system or a whole disk.
    pub kind: ImageKind,
    /// What the content was read from.
    pub format: ImageFormat,
    /// As [`Manifest::sector_size`]: 512 or 4096.
    pub sector_size: u32,
    /// The chunk size, a power of two from 64 KiB to 16 MiB; `None`: as [`image_core::limits::chunk_size_of`] says.
    pub chunk_size: Option<Bytes>,
    /// What boots a root file system; `None` for a whole disk.
    pub boot: Option<BootPaths<'a>>,
}

/// What boots a root file system.
#[derive(Clone, Copy, Debug)]
pub struct BootPaths<'a> {
    /// The kernel.
    pub kernel: &'a Path,
    /// The initial RAM file system.
    pub initrd: &'a Path,
    /// The UEFI boot loader.
    pub boot_loader: &'a Path,
    /// The command line without `root=`.
    pub cmdline: &'a str,
}

/// A chunk's place and its bytes.
type Job = (u64, Vec<u8>);

impl Repository {
    /// Imports an image and makes it the newest of its name. `progress` hears how many bytes are done, of how many where
    /// that is known. An import that fails or is killed leaves no image, only chunks that the next one uses.
    ///
    /// # Errors
    /// A field makes no manifest, the content is not what it was said to be, or a file cannot be read or written.
    pub fn import(
        &self,
        request: &ImportRequest<'_>,
        content: &mut dyn Content,
        progress: &mut dyn FnMut(Bytes, Option<Bytes>),
    ) -> Result<ImageRef, RepoError> {
        check_name("name", request.name)?;
        check_name("version", request.version)?;
        if let Some(boot) = &request.boot {
            check_cmdline(boot.cmdline)?;
        }
        if !matches!(request.sector_size, 512 | 4096) {
            return Err(ManifestError::SectorSize {
                found: request.sector_size,
            }
            .into());
        }
        let chunk_size = request
            .chunk_size
            .unwrap_or_else(|| chunk_size_of(content.size()));
        let _lock = self.store.lock()?;
        let boot = match &request.boot {
            Some(boot) => BootEntry::Files(BootFiles {
                kernel: self.import_blob(boot.kernel)?,
                initrd: self.import_blob(boot.initrd)?,
                boot_loader: self.import_blob(boot.boot_loader)?,
                cmdline: boot.cmdline.into(),
            }),
            None => BootEntry::None,
        };
        let (size, head, chunks) = self.import_chunks(content, chunk_size, progress)?;
        if request.kind.is_root_fs() {
            ext4::check(&head, size, request.sector_size)?;
        }
        let manifest = Manifest {
            schema: MANIFEST_SCHEMA,
            name: request.name.into(),
            version: request.version.into(),
            kind: request.kind,
            format: request.format,
            architecture: None,
            firmware: RequiredFirmware::Any,
            boot,
            size,
            sector_size: request.sector_size,
            minimum_size: size,
            chunk_size,
            merkle_root: merkle::root(&chunks),
            chunks,
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
        let files = manifest.boot_files();
        let blobs = files.map(|files| [files.kernel, files.initrd, files.boot_loader]);
        let blobs = blobs.into_iter().flatten();
        let mut stored: Vec<_> = chunks
            .chain(blobs.map(|blob| (Kind::Blob, blob.digest)))
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
        content: &mut dyn Content,
        chunk_size: Bytes,
        progress: &mut dyn FnMut(Bytes, Option<Bytes>),
    ) -> Result<(Bytes, Vec<u8>, Vec<Chunk>), RepoError> {
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
            let read = read_chunks(content, chunk_size, &jobs, &spare, progress);
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
            let (size, head) = failed.map_or(read, Err)?;
            chunks.sort_by_key(|chunk| chunk.offset);
            progress(size, Some(size));
            Ok((size, head, chunks))
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

/// Gives all chunks out and returns how many bytes there were, and the first of them.
fn read_chunks(
    content: &mut dyn Content,
    chunk_size: Bytes,
    jobs: &SyncSender<Job>,
    spare: &Receiver<Vec<u8>>,
    progress: &mut dyn FnMut(Bytes, Option<Bytes>),
) -> Result<(Bytes, Vec<u8>), RepoError> {
    let total = content.size();
    let size = usize::try_from(chunk_size.0.min(CHUNK_SIZE_MAX.0)).unwrap_or(0);
    let mut chunks = Chunks::new(content, size);
    let mut head = Vec::new();
    loop {
        let mut bytes = spare.try_recv().unwrap_or_default();
        let Some(offset) = chunks.next(&mut bytes)? else {
            return Ok((Bytes(chunks.position()), head));
        };
        if offset == 0 {
            head.extend_from_slice(&bytes[..bytes.len().min(ext4::HEAD)]);
        }
        jobs.send((offset, bytes))
            .expect("the packers listen until the channel closes");
        progress(Bytes(chunks.position()), total);
    }
}
