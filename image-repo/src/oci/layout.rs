// SPDX-License-Identifier: Apache-2.0
//! The layout's files: `oci-layout`, `index.json` and blobs under their digests. A digest becomes a path only after it was
//! seen to be 64 hexadecimal digits, and no symbolic link is followed.

use super::descriptor::{DOCUMENT_MAX, Descriptor};
use super::named;
use crate::roots::{Progress, RootsError};
use crate::tar::{Allowance, files};
use serde::Deserialize;
use sha2::Digest as _;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// What is read at once, in bytes.
const PIECE: usize = 1 << 20;

/// A layout in a folder.
#[derive(Debug)]
pub(super) struct Layout {
    folder: PathBuf,
    /// Whether nobody else can change it.
    is_private: bool,
}

#[derive(Deserialize)]
struct Marker {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

impl Layout {
    pub(super) fn folder(path: &Path) -> Result<Self, RootsError> {
        let layout = Self {
            folder: path.to_path_buf(),
            is_private: false,
        };
        let bytes = layout.small("oci-layout")?;
        let marker: Marker =
            serde_json::from_slice(&bytes).map_err(|error| layout.not(&error.to_string()))?;
        if !marker.version.starts_with("1.") {
            let version = crate::roots::shown(marker.version.as_bytes());
            return Err(layout.not(&format!("its version is {version}, and 1.0.0 is known")));
        }
        Ok(layout)
    }

    /// From a tar archive of a layout: only the layout's own names are kept, in a folder of `scratch`.
    pub(super) fn archive(
        input: &mut dyn Read,
        path: &Path,
        scratch: &Path,
        allowance: &mut Allowance,
        progress: Progress<'_>,
    ) -> Result<Self, RootsError> {
        let folder = scratch.join("layout");
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(RootsError::file("made", &blobs))?;
        let place = |name: &str| match name {
            "oci-layout" | "index.json" => Some(folder.join(name)),
            other => {
                let digits = other.strip_prefix("blobs/sha256/")?;
                is_digits(digits).then(|| blobs.join(digits))
            }
        };
        files(input, allowance, progress, &place)?;
        match Self::folder(&folder) {
            Ok(layout) => Ok(Self {
                is_private: true,
                ..layout
            }),
            // The folder is ours; the archive is what the reader knows.
            Err(RootsError::NotOci { why, .. }) => Err(RootsError::NotOci {
                path: path.to_path_buf(),
                why,
            }),
            Err(error) => Err(error),
        }
    }

    pub(super) fn index(&self) -> Result<Vec<u8>, RootsError> {
        self.small("index.json")
    }

    /// The bytes of a manifest or an index.
    pub(super) fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, RootsError> {
        if descriptor.size > DOCUMENT_MAX {
            return Err(blob(descriptor, "is longer than a document may be"));
        }
        let path = self.path(descriptor)?;
        let bytes = read(&path, DOCUMENT_MAX)?;
        let digest: [u8; 32] = sha2::Sha256::digest(&bytes).into();
        same(descriptor, bytes.len() as u64, digest)?;
        Ok(bytes)
    }

    /// The file of a layer, compared with its descriptor.
    pub(super) fn blob(&self, descriptor: &Descriptor) -> Result<PathBuf, RootsError> {
        let path = self.path(descriptor)?;
        self.compare(descriptor, &path)?;
        Ok(path)
    }

    /// The file of a layer that nobody else can change, compared with its descriptor: the layout's own, or a copy.
    pub(super) fn own_blob(
        &self,
        descriptor: &Descriptor,
        copy: PathBuf,
    ) -> Result<PathBuf, RootsError> {
        if self.is_private {
            return self.blob(descriptor);
        }
        let path = self.path(descriptor)?;
        fs::copy(&path, &copy).map_err(RootsError::file("copied", &path))?;
        self.compare(descriptor, &copy)?;
        Ok(copy)
    }

    /// Compares a file with a descriptor.
    fn compare(&self, descriptor: &Descriptor, path: &Path) -> Result<(), RootsError> {
        let mut file = open(path)?;
        let (mut hash, mut length) = (sha2::Sha256::new(), 0u64);
        let mut piece = vec![0; PIECE];
        loop {
            let count = file
                .read(&mut piece)
                .map_err(RootsError::file("read", path))?;
            if count == 0 {
                break;
            }
            length += count as u64;
            if length > descriptor.size {
                return Err(blob(descriptor, "is longer than its descriptor says"));
            }
            hash.update(&piece[..count]);
        }
        same(descriptor, length, hash.finalize().into())
    }

    fn path(&self, descriptor: &Descriptor) -> Result<PathBuf, RootsError> {
        let digits = descriptor.digest.strip_prefix("sha256:");
        let digits = digits.filter(|digits| is_digits(digits)).ok_or_else(|| {
            blob(
                descriptor,
                "is not named by a SHA-256 of 64 lower-case hexadecimal digits",
            )
        })?;
        let path = self.folder.join("blobs/sha256").join(digits);
        let found = fs::symlink_metadata(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => blob(descriptor, "is not in the layout; copy the layout whole"),
            _ => RootsError::file("found", &path)(error),
        })?;
        if found.is_file() {
            Ok(path)
        } else {
            Err(blob(descriptor, "is no plain file"))
        }
    }

    fn small(&self, name: &str) -> Result<Vec<u8>, RootsError> {
        let path = self.folder.join(name);
        let found = fs::symlink_metadata(&path)
            .map_err(|error| self.not(&format!("{name} could not be found: {error}")))?;
        if !found.is_file() {
            return Err(self.not(&format!("{name} is no plain file")));
        }
        if found.len() > DOCUMENT_MAX {
            let why = format!(
                "{name} has {} bytes, and {DOCUMENT_MAX} are read",
                found.len()
            );
            return Err(self.not(&why));
        }
        read(&path, DOCUMENT_MAX)
    }

    fn not(&self, why: &str) -> RootsError {
        RootsError::NotOci {
            path: self.folder.clone(),
            why: why.into(),
        }
    }
}

fn open(path: &Path) -> Result<File, RootsError> {
    File::open(path).map_err(RootsError::file("opened", path))
}

/// A file of at most `max` bytes; one that is longer is cut off and differs from its descriptor.
fn read(path: &Path, max: u64) -> Result<Vec<u8>, RootsError> {
    let mut bytes = Vec::new();
    open(path)?
        .take(max)
        .read_to_end(&mut bytes)
        .map_err(RootsError::file("read", path))?;
    Ok(bytes)
}

fn same(descriptor: &Descriptor, length: u64, digest: [u8; 32]) -> Result<(), RootsError> {
    if length != descriptor.size {
        let why = format!(
            "has {length} bytes, its descriptor says {}",
            descriptor.size
        );
        return Err(blob(descriptor, &why));
    }
    let found = groundstate_api::Digest(digest).to_string();
    let found = found.strip_prefix("sha256:").unwrap_or(&found);
    if descriptor.digest.strip_prefix("sha256:") == Some(found) {
        Ok(())
    } else {
        Err(blob(
            descriptor,
            &format!("has bytes of the digest {found}"),
        ))
    }
}

fn blob(descriptor: &Descriptor, why: &str) -> RootsError {
    RootsError::OciBlob {
        digest: named(descriptor),
        why: why.into(),
    }
}

fn is_digits(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}
