// SPDX-License-Identifier: Apache-2.0
//! Imports a content: read once, in chunks, holes skipped; what the repository has already is not stored again.

mod boot_files;

use crate::content::Content;
use crate::describe::{Description, describe};
use crate::error::RepoError;
use crate::ext4;
use crate::heal::Wanted;
use crate::pack::{Known, Packing};
use crate::pipeline::{Made, make};
use crate::repository::Repository;
use crate::store::{Importing, Kind};
use groundstate_api::Bytes;
use groundstate_api::image::{
    Architecture, BootEntry, BootFiles, Chunk, ImageFormat, ImageKind, ImageRef, MANIFEST_SCHEMA,
    Manifest,
};
use image_core::facts::ImageFacts;
use image_core::limits::{LEVEL, LEVEL_MAX, LEVEL_MIN, chunk_size_of};
use image_core::manifest::{
    canonical, check, check_chunk_size, check_cmdline, check_name, reference,
};
use image_core::{ManifestError, merkle};
use serde::Serialize;
use std::path::Path;

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

/// What may be said beside the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportOptions {
    /// zstd's level, [`LEVEL_MIN`] to [`LEVEL_MAX`].
    pub level: i32,
    /// What the image is for; `None`: as it tells itself. One that tells another is refused.
    pub architecture: Option<Architecture>,
    /// Lets a name and version that stand for an image stand for another one from now on.
    pub replace: bool,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            level: LEVEL,
            architecture: None,
            replace: false,
        }
    }
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The image.
    pub image: ImageRef,
    /// Its chunk size.
    pub chunk_size: Bytes,
    /// How many chunks it has; zero runs are none.
    pub chunks: u64,
    /// The bytes in them.
    pub data: Bytes,
    /// How many chunks were stored for it; the others were there already.
    pub new_chunks: u64,
    /// How many bytes these take.
    pub new_bytes: Bytes,
    /// How many zeros were put behind the content, because a disk is a whole number of 512-byte sectors.
    pub padding: Bytes,
    /// How many chunks were damaged or missing and are whole again.
    pub healed: u64,
    /// What the image tells of itself.
    pub facts: ImageFacts,
}

impl Repository {
    /// Imports an image; as [`Repository::import_with`] with the options' defaults.
    ///
    /// # Errors
    /// As [`Repository::import_with`].
    pub fn import(
        &self,
        request: &ImportRequest<'_>,
        content: &mut dyn Content,
        progress: &mut dyn FnMut(Bytes, Option<Bytes>),
    ) -> Result<ImageRef, RepoError> {
        let options = ImportOptions::default();
        let imported = self.import_with(&options, request, content, progress)?;
        Ok(imported.image)
    }

    /// Imports an image and makes it the newest of its name. `progress` hears how many bytes are done, of how many where
    /// that is known. An import that fails or is killed leaves no image, only chunks that the next one uses. Imports may
    /// run beside one another. A name and version that stand for another image are not taken from it, unless that is asked
    /// for; the chunks stay until gc, so that the next import finds them.
    ///
    /// # Errors
    /// A field makes no manifest, the content is not what it was said to be, or a file cannot be read or written.
    pub fn import_with(
        &self,
        options: &ImportOptions,
        request: &ImportRequest<'_>,
        content: &mut dyn Content,
        progress: &mut dyn FnMut(Bytes, Option<Bytes>),
    ) -> Result<Imported, RepoError> {
        check_request(options.level, request)?;
        let chunk_size = request
            .chunk_size
            .unwrap_or_else(|| chunk_size_of(content.size()));
        let importing = self.store.importing()?;
        let boot = request
            .boot
            .map(|boot| self.import_boot(&importing, &boot, options.architecture))
            .transpose()?;
        let packing = Packing {
            repository: self,
            importing: &importing,
            level: options.level,
            known: self.known(request.name)?,
            wanted: Wanted::of(self)?,
        };
        let made = make(&packing, content, chunk_size, progress)?;
        if request.kind.is_root_fs() {
            ext4::check(&made.head, made.size, request.sector_size)?;
        }
        let found = describe(self, options, request, &made)?;
        let facts = found.facts.clone();
        let manifest = manifest_of(request, chunk_size, boot, &made, found);
        check(&manifest)?;
        let image = self.publish(&importing, &manifest, options.replace)?;
        Ok(Imported {
            image,
            chunk_size,
            chunks: manifest.chunks.len() as u64,
            data: image_core::manifest::data(&manifest),
            new_chunks: made.new_chunks,
            new_bytes: made.new_bytes,
            padding: made.padding,
            healed: packing.wanted.forget(self)?,
            facts,
        })
    }

    /// All that the manifest names, and itself, is durable before anybody can learn of it.
    fn publish(
        &self,
        importing: &Importing,
        manifest: &Manifest,
        replace: bool,
    ) -> Result<ImageRef, RepoError> {
        let image = reference(manifest);
        let mut draft = importing.draft()?;
        draft.write(&canonical(manifest))?;
        draft.replace(&self.store.path(Kind::Manifest, &image.manifest))?;
        importing.settle()?;
        self.name(&image, replace)?;
        Ok(image)
    }

    /// An image that cannot be read is none.
    fn known(&self, name: &str) -> Result<Known, RepoError> {
        let Ok(Some(image)) = self.newest(name) else {
            return Ok(Known::default());
        };
        let manifest = self.manifest(&image.manifest)?;
        let form = |chunk: &Chunk| (chunk.digest, (chunk.stored_length, chunk.stored_digest));
        Ok(Known {
            forms: manifest.chunks.iter().map(form).collect(),
            is_proven: self.is_proven(&image.manifest, &manifest),
        })
    }
}

fn manifest_of(
    request: &ImportRequest<'_>,
    chunk_size: Bytes,
    boot: Option<BootFiles>,
    made: &Made,
    found: Description,
) -> Manifest {
    Manifest {
        schema: MANIFEST_SCHEMA,
        name: request.name.into(),
        version: request.version.into(),
        kind: request.kind,
        format: request.format,
        architecture: found.architecture,
        firmware: found.firmware,
        boot: boot.map_or(found.boot, BootEntry::Files),
        size: made.size,
        sector_size: request.sector_size,
        minimum_size: found.minimum_size,
        chunk_size,
        merkle_root: merkle::root(&made.chunks),
        chunks: made.chunks.clone(),
    }
}

fn check_request(level: i32, request: &ImportRequest<'_>) -> Result<(), RepoError> {
    check_name("name", request.name)?;
    check_name("version", request.version)?;
    if let Some(boot) = &request.boot {
        check_cmdline(boot.cmdline)?;
    }
    if !(LEVEL_MIN..=LEVEL_MAX).contains(&level) {
        return Err(RepoError::Level { found: level });
    }
    // Before the content is read, which may take an hour.
    if let Some(size) = request.chunk_size {
        check_chunk_size(size)?;
    }
    if !matches!(request.sector_size, 512 | 4096) {
        return Err(ManifestError::SectorSize {
            found: request.sector_size,
        }
        .into());
    }
    Ok(())
}
