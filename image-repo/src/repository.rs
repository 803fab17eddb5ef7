// SPDX-License-Identifier: Apache-2.0
//! The repository on disk: which images it has, and their manifests.

use crate::error::RepoError;
use crate::store::{Kind, Store};
use groundstate_api::image::{ImageRef, Manifest};
use groundstate_api::{Digest, SCHEMA};
use image_core::limits::MANIFEST_MAX;
use image_core::manifest::{check_name, parse_as, reference};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A repository on disk.
#[derive(Debug)]
pub struct Repository {
    pub(crate) store: Arc<Store>,
}

/// What `names/<name>/<version>` holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    schema: u32,
    manifest: Digest,
    /// Rises with every import; clocks that are set back do not matter.
    sequence: u64,
}

/// The longest entry in bytes: three fields.
const ENTRY_MAX: u64 = 4096;

impl Repository {
    /// Opens the repository in `dir`; an empty one is made where there is none.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(dir: &Path) -> Result<Self, RepoError> {
        Ok(Self {
            store: Arc::new(Store::open(dir)?),
        })
    }

    /// All images, by name and then by import, the newest last.
    ///
    /// # Errors
    /// An entry or a manifest cannot be read.
    pub fn list(&self) -> Result<Vec<ImageRef>, RepoError> {
        let mut images = Vec::new();
        for (_, entry) in self.entries()? {
            images.push(reference(&self.manifest(&entry.manifest)?));
        }
        Ok(images)
    }

    /// The newest import of that name.
    ///
    /// # Errors
    /// The name is none, or an entry or a manifest cannot be read.
    pub fn newest(&self, name: &str) -> Result<Option<ImageRef>, RepoError> {
        check_name("name", name)?;
        self.entries()?
            .into_iter()
            .rfind(|(of, _)| of == name)
            .map(|(_, entry)| Ok(reference(&self.manifest(&entry.manifest)?)))
            .transpose()
    }

    /// The manifest of that digest, checked.
    ///
    /// # Errors
    /// It is not there, or its bytes are not what the digest says.
    pub fn manifest(&self, digest: &Digest) -> Result<Manifest, RepoError> {
        let path = self.store.path(Kind::Manifest, digest);
        let bytes = read(&path, MANIFEST_MAX.0 + 1).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                RepoError::NoSuchManifest {
                    digest: *digest,
                    path: path.clone(),
                }
            } else {
                RepoError::file("read", &path)(error)
            }
        })?;
        Ok(parse_as(&bytes, digest, MANIFEST_MAX)?)
    }

    /// Gives the manifest its name and version as the newest import.
    pub(crate) fn name(&self, image: &ImageRef) -> Result<(), RepoError> {
        let newest = self.entries()?.into_iter().map(|(_, entry)| entry.sequence);
        let entry = Entry {
            schema: SCHEMA,
            manifest: image.manifest,
            sequence: newest.max().unwrap_or(0).saturating_add(1),
        };
        let path = self.store.names().join(&image.name).join(&image.version);
        let text = serde_json::to_vec(&entry).expect("an entry has string keys only");
        self.store.put(&path, &text)?;
        self.store.settle(&[path])
    }

    /// Every entry with its name, by name and then by import.
    fn entries(&self) -> Result<Vec<(String, Entry)>, RepoError> {
        let mut entries = Vec::new();
        for dir in children(&self.store.names())? {
            let Some(name) = dir.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            for path in children(&dir)? {
                let text = read(&path, ENTRY_MAX).map_err(RepoError::file("read", &path))?;
                let odd = |said: String| RepoError::Entry {
                    path: path.clone(),
                    said,
                };
                let entry: Entry =
                    serde_json::from_slice(&text).map_err(|error| odd(error.to_string()))?;
                if entry.schema != SCHEMA {
                    return Err(odd(format!("schema {} is not known", entry.schema)));
                }
                entries.push((name.to_string(), entry));
            }
        }
        entries.sort_by(|(a, left), (b, right)| (a, left.sequence).cmp(&(b, right.sequence)));
        Ok(entries)
    }
}

fn children(dir: &Path) -> Result<Vec<PathBuf>, RepoError> {
    fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(RepoError::file("listed", dir))
}

/// At most `max` bytes of a file; one that is longer is cut off and fails where it is understood.
fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
