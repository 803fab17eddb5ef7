// SPDX-License-Identifier: Apache-2.0
//! The manifest's one form of bytes, and the checks that make it safe to act on.
//!
//! A manifest that comes out of [`parse`] is meaningful: whoever holds it need not check it again.

use crate::limits::{BLOB_MAX, CHUNK_SIZE_MIN, CMDLINE_MAX, LOADER_PATH_MAX, NAME_MAX, stored_max};
use crate::merkle;
use crate::refusal::ManifestError;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::image::{
    Blob, BootEntry, ImageKind, ImageRef, MANIFEST_SCHEMA, Manifest, WholeDisk,
};
use groundstate_api::limits::{CHUNK_SIZE_MAX, CHUNKS_MAX};
use groundstate_api::{Bytes, Digest};

/// The canonical bytes: JSON without white space, fields in the order of the type. Their SHA-256 is the image's identity.
#[must_use]
pub fn canonical(manifest: &Manifest) -> Vec<u8> {
    serde_json::to_vec(manifest).expect("a manifest has string keys only and writes to memory")
}

/// The digest of the canonical bytes.
#[must_use]
pub fn digest(manifest: &Manifest) -> Digest {
    Digest::of(&canonical(manifest))
}

/// What a plan says of this manifest.
#[must_use]
pub fn reference(manifest: &Manifest) -> ImageRef {
    ImageRef {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        kind: manifest.kind,
        manifest: digest(manifest),
        size: manifest.size,
        sector_size: manifest.sector_size,
        whole: (!manifest.kind.is_root_fs()).then(|| WholeDisk {
            minimum_size: manifest.minimum_size,
            firmware: manifest.firmware,
            boot: manifest.boot.clone(),
            table: None,
        }),
    }
}

/// Name and version, as people see them.
#[must_use]
pub fn title(manifest: &Manifest) -> String {
    format!("{} {}", manifest.name, manifest.version)
}

/// The bytes that the chunks hold, without the zero runs.
#[must_use]
pub fn data(manifest: &Manifest) -> Bytes {
    Bytes(manifest.chunks.iter().map(|chunk| chunk.length.0).sum())
}

/// Reads canonical bytes of at most `max` bytes and checks all of it.
///
/// # Errors
/// The first thing that is wrong, by field.
pub fn parse(bytes: &[u8], max: Bytes) -> Result<Manifest, ManifestError> {
    let length = Bytes(bytes.len() as u64);
    if length > max {
        return Err(ManifestError::TooLong { length, max });
    }
    let manifest: Manifest =
        serde_json::from_slice(bytes).map_err(|error| ManifestError::Json {
            message: error.to_string(),
        })?;
    check(&manifest)?;
    if canonical(&manifest) != bytes {
        return Err(ManifestError::NotCanonical);
    }
    Ok(manifest)
}

/// Reads bytes that were asked for under `expected`.
///
/// # Errors
/// As [`parse`], or [`ManifestError::OtherDigest`].
pub fn parse_as(bytes: &[u8], expected: &Digest, max: Bytes) -> Result<Manifest, ManifestError> {
    let length = Bytes(bytes.len() as u64);
    if length > max {
        return Err(ManifestError::TooLong { length, max });
    }
    let found = Digest::of(bytes);
    if found != *expected {
        return Err(ManifestError::OtherDigest {
            expected: *expected,
            found,
        });
    }
    parse(bytes, max)
}

/// Checks what the types do not hold.
///
/// # Errors
/// The first thing that is wrong, by field.
pub fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    if manifest.schema != MANIFEST_SCHEMA {
        return Err(ManifestError::Schema {
            found: manifest.schema,
        });
    }
    check_name("name", &manifest.name)?;
    check_name("version", &manifest.version)?;
    if !matches!(manifest.sector_size, 512 | 4096) {
        return Err(ManifestError::SectorSize {
            found: manifest.sector_size,
        });
    }
    let size = manifest.size;
    if size.0 == 0 || !size.0.is_multiple_of(u64::from(manifest.sector_size)) {
        return Err(ManifestError::Size {
            size,
            sector_size: manifest.sector_size,
        });
    }
    let least = manifest.minimum_size;
    if least < size || !least.0.is_multiple_of(u64::from(manifest.sector_size)) {
        return Err(ManifestError::MinimumSize { found: least, size });
    }
    check_boot(manifest)?;
    check_chunks(manifest)?;
    let found = merkle::root(&manifest.chunks);
    if found != manifest.merkle_root {
        return Err(ManifestError::MerkleRoot {
            stated: manifest.merkle_root,
            found,
        });
    }
    Ok(())
}

/// A root file system comes with what boots it, a whole disk has that inside.
fn check_boot(manifest: &Manifest) -> Result<(), ManifestError> {
    match (manifest.kind, &manifest.boot) {
        (ImageKind::RootFsExt4, BootEntry::Files(files)) => {
            check_blob("boot.kernel", &files.kernel)?;
            check_blob("boot.initrd", &files.initrd)?;
            check_blob("boot.boot_loader", &files.boot_loader)?;
            check_cmdline(&files.cmdline)
        }
        (ImageKind::WholeDisk, BootEntry::Loader(loader)) => {
            let path = &loader.path;
            let fine = path.len() <= LOADER_PATH_MAX
                && path.starts_with('\\')
                && path.chars().all(|c| matches!(c, ' '..='~'))
                && !path.split('\\').any(|part| part == "..");
            if fine && loader.partition > 0 {
                Ok(())
            } else {
                Err(ManifestError::Loader {
                    partition: loader.partition,
                    path: path.chars().take(LOADER_PATH_MAX).collect(),
                })
            }
        }
        (ImageKind::WholeDisk, BootEntry::BootCode | BootEntry::None) => Ok(()),
        (ImageKind::RootFsExt4, BootEntry::Loader(_) | BootEntry::BootCode | BootEntry::None)
        | (ImageKind::WholeDisk, BootEntry::Files(_)) => Err(ManifestError::BootOfKind),
    }
}

/// Checks a name or a version: it becomes a file name, so it can be neither hidden, nor a path, nor another's.
///
/// # Errors
/// [`ManifestError::Name`].
pub fn check_name(field: &'static str, text: &str) -> Result<(), ManifestError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fine = text.len() <= NAME_MAX
        && text.starts_with(plain)
        && text
            .chars()
            .all(|c| plain(c) || matches!(c, '-' | '.' | '_'));
    if fine {
        Ok(())
    } else {
        let mut found: String = text.chars().take(NAME_MAX).collect();
        if found.len() < text.len() {
            found.push('…');
        }
        Err(ManifestError::Name { field, found })
    }
}

/// Checks how much a chunk is to hold.
///
/// # Errors
/// [`ManifestError::ChunkSize`].
pub fn check_chunk_size(size: Bytes) -> Result<(), ManifestError> {
    if size.0.is_power_of_two() && size >= CHUNK_SIZE_MIN && size <= CHUNK_SIZE_MAX {
        Ok(())
    } else {
        Err(ManifestError::ChunkSize { found: size })
    }
}

fn check_chunks(manifest: &Manifest) -> Result<(), ManifestError> {
    let (size, chunk_size) = (manifest.size, manifest.chunk_size);
    check_chunk_size(chunk_size)?;
    if manifest.chunks.len() > CHUNKS_MAX {
        return Err(ManifestError::TooManyChunks {
            found: manifest.chunks.len(),
        });
    }
    let mut end = Bytes(0);
    for (index, chunk) in manifest.chunks.iter().enumerate() {
        let offset = chunk.offset;
        if !offset.0.is_multiple_of(chunk_size.0) {
            return Err(ManifestError::ChunkOffset { index, offset });
        }
        if offset < end {
            return Err(ManifestError::ChunkOrder { index, offset, end });
        }
        if offset >= size {
            return Err(ManifestError::ChunkPastEnd {
                index,
                offset,
                size,
            });
        }
        let expected = Bytes(chunk_size.0.min(size.0 - offset.0));
        if chunk.length != expected {
            return Err(ManifestError::ChunkLength {
                index,
                found: chunk.length,
                expected,
            });
        }
        let max = stored_max(chunk.length);
        if chunk.stored_length.0 == 0 || chunk.stored_length > max {
            return Err(ManifestError::ChunkStored {
                index,
                found: chunk.stored_length,
                max,
            });
        }
        end = Bytes(offset.0 + chunk.length.0);
    }
    Ok(())
}

fn check_blob(field: &'static str, blob: &Blob) -> Result<(), ManifestError> {
    if blob.length.0 == 0 || blob.length > BLOB_MAX {
        return Err(ManifestError::BlobLength {
            field,
            found: blob.length,
        });
    }
    Ok(())
}

/// Checks a kernel command line without `root=`.
///
/// # Errors
/// The `Cmdline` variants of [`ManifestError`].
pub fn check_cmdline(text: &str) -> Result<(), ManifestError> {
    if text.len() > CMDLINE_MAX {
        return Err(ManifestError::CmdlineLong { found: text.len() });
    }
    if let Some((at, found)) = text.char_indices().find(|(_, c)| !matches!(c, ' '..='~')) {
        return Err(ManifestError::CmdlineChar { at, found });
    }
    if let Some(option) = text.split(' ').find(|option| option.starts_with("root=")) {
        return Err(ManifestError::CmdlineRoot {
            found: option.into(),
        });
    }
    Ok(())
}
