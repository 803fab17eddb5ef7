// SPDX-License-Identifier: Apache-2.0
//! The repository on disk: which images it has, and their manifests.

use crate::error::RepoError;
use crate::objects::Behind;
use crate::store::{Kind, Store, children, sync_dir};
use crate::verified::Verified;
use groundstate_api::image::{ImageRef, Manifest};
use groundstate_api::{Digest, SCHEMA};
use image_core::limits::MANIFEST_MAX;
use image_core::manifest::{check_name, parse_as, reference};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A repository on disk.
#[derive(Debug)]
pub struct Repository {
    pub(crate) store: Arc<Store>,
    pub(crate) verified: Verified,
}

/// What `names/<name>/<version>` holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: u32,
    manifest: Digest,
    /// Rises with every import; clocks that are set back do not matter.
    sequence: u64,
}

/// An image's name.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) manifest: Digest,
    sequence: u64,
}

/// The images of a repository, and what lies among their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// By name and then by import, the newest last.
    pub images: Vec<ImageRef>,
    /// What is no image, by path.
    pub junk: Vec<Junk>,
}

/// What lies under `names/` and names no image that can be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Junk {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub said: String,
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
            verified: Verified::default(),
        })
    }

    /// The same, and what it has not of manifests, chunks and boot files comes out of a bucket. Reading waits for it: not for
    /// a server's own threads.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open_before(dir: &Path, behind: Behind) -> Result<Self, RepoError> {
        Ok(Self {
            store: Arc::new(Store::open_before(dir, behind)?),
            verified: Verified::default(),
        })
    }

    /// Whether a bucket stands behind it.
    #[must_use]
    pub fn is_before_bucket(&self) -> bool {
        self.store.behind().is_some()
    }

    /// Opens the repository in `dir` and makes nothing: for one who only looks.
    ///
    /// # Errors
    /// [`RepoError::NoRepository`]: there is none.
    pub fn open_existing(dir: &Path) -> Result<Self, RepoError> {
        Ok(Self {
            store: Arc::new(Store::open_existing(dir)?),
            verified: Verified::default(),
        })
    }

    /// Whether imports, exports or publications run now, for which gc and a healing fsck wait. It may be otherwise a moment
    /// later; it is for people.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.store.is_in_use()
    }

    /// Whether gc or a healing fsck runs now, for which all others wait. For people, too.
    #[must_use]
    pub fn is_being_cleared(&self) -> bool {
        self.store.is_being_cleared()
    }

    /// All images, by name and then by import, the newest last.
    ///
    /// # Errors
    /// An entry or a manifest cannot be read; [`Repository::listing`] goes on beside it.
    pub fn list(&self) -> Result<Vec<ImageRef>, RepoError> {
        let mut images = Vec::new();
        for entry in self.entries()? {
            images.push(reference(&self.manifest(&entry.manifest)?));
        }
        Ok(images)
    }

    /// All images that can be read, and what lies among their names and cannot.
    ///
    /// # Errors
    /// A folder cannot be listed, or the disk cannot be read.
    pub fn listing(&self) -> Result<Listing, RepoError> {
        let (entries, mut junk) = self.looked_through()?;
        let mut images = Vec::new();
        for entry in entries {
            match self.manifest(&entry.manifest) {
                Ok(manifest) => images.push(reference(&manifest)),
                Err(error @ (RepoError::NoSuchManifest { .. } | RepoError::Manifest(_))) => {
                    junk.push(Junk {
                        path: self.store.names().join(&entry.name).join(&entry.version),
                        said: error.to_string(),
                    });
                }
                Err(error) => return Err(error),
            }
        }
        junk.sort();
        Ok(Listing { images, junk })
    }

    /// The newest import of that name.
    ///
    /// # Errors
    /// The name is none, or an entry of that name or a manifest cannot be read.
    pub fn newest(&self, name: &str) -> Result<Option<ImageRef>, RepoError> {
        check_name("name", name)?;
        let mut newest: Option<Entry> = None;
        walk_name(&self.store.names().join(name), &mut |_, entry| {
            let entry = entry?;
            if newest
                .as_ref()
                .is_none_or(|other| other.sequence < entry.sequence)
            {
                newest = Some(entry);
            }
            Ok(())
        })?;
        newest
            .map(|entry| Ok(reference(&self.manifest(&entry.manifest)?)))
            .transpose()
    }

    /// The image of that name and version; without a version the newest.
    ///
    /// # Errors
    /// [`RepoError::NoSuchImage`], or an entry or a manifest that cannot be read.
    pub fn find(&self, name: &str, version: Option<&str>) -> Result<ImageRef, RepoError> {
        check_name("name", name)?;
        let found = match version {
            None => self.newest(name)?,
            Some(version) => {
                check_name("version", version)?;
                read_entry(&self.store.names().join(name).join(version))?
                    .map(|entry| Ok::<_, RepoError>(reference(&self.manifest(&entry.manifest)?)))
                    .transpose()?
            }
        };
        found.ok_or_else(|| RepoError::NoSuchImage {
            name: name.into(),
            version: version.unwrap_or_default().into(),
        })
    }

    /// Takes the name away from an image. Its bytes stay until [`Repository::gc`] finds them unused for a while, so that a
    /// node that is fetching it can finish.
    ///
    /// # Errors
    /// [`RepoError::NoSuchImage`], or files cannot be changed.
    pub fn remove(&self, name: &str, version: &str) -> Result<Digest, RepoError> {
        check_name("name", name)?;
        check_name("version", version)?;
        let _naming = self.store.naming()?;
        let path = self.store.names().join(name).join(version);
        let Some(entry) = read_entry(&path)? else {
            return Err(RepoError::NoSuchImage {
                name: name.into(),
                version: version.into(),
            });
        };
        self.unname(&path, &entry.manifest)?;
        Ok(entry.manifest)
    }

    /// Takes a name away; for one who holds [`Store::naming`]. From now on the manifest is unused.
    pub(crate) fn unname(&self, path: &Path, manifest: &Digest) -> Result<(), RepoError> {
        self.unused_from_now(manifest)?;
        self.store.remove(path)?;
        let dir = path.parent().unwrap_or(path);
        sync_dir(dir)?;
        if children(dir)?.is_empty() {
            fs::remove_dir(dir).map_err(RepoError::file("removed", dir))?;
            sync_dir(&self.store.names())?;
        }
        Ok(())
    }

    /// For [`Repository::gc`]: how long nobody names it counts from now on.
    fn unused_from_now(&self, manifest: &Digest) -> Result<(), RepoError> {
        let document = self.store.path(Kind::Manifest, manifest);
        match File::options().write(true).open(&document) {
            Ok(file) => file
                .set_modified(SystemTime::now())
                .map_err(RepoError::file("given its time", &document)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(RepoError::file("opened", &document)(error)),
        }
    }

    /// The manifest of that digest, checked.
    ///
    /// # Errors
    /// It is not there, or its bytes are not what the digest says.
    pub fn manifest(&self, digest: &Digest) -> Result<Manifest, RepoError> {
        let path = self.store.path(Kind::Manifest, digest);
        let Some(file) = self.store.file(Kind::Manifest, digest)? else {
            return Err(RepoError::NoSuchManifest {
                digest: *digest,
                path,
            });
        };
        let mut bytes = Vec::new();
        file.take(MANIFEST_MAX.0 + 1)
            .read_to_end(&mut bytes)
            .map_err(RepoError::file("read", &path))?;
        Ok(parse_as(&bytes, digest, MANIFEST_MAX)?)
    }

    /// Gives the manifest its name and version as the newest import; one that is another's only where it is replaced.
    pub(crate) fn name(&self, image: &ImageRef, replace: bool) -> Result<(), RepoError> {
        let _naming = self.store.naming()?;
        let path = self.store.names().join(&image.name).join(&image.version);
        if let Some(there) = read_entry(&path)?
            && there.manifest != image.manifest
        {
            if !replace {
                return Err(RepoError::Taken {
                    name: image.name.clone(),
                    version: image.version.clone(),
                    there: there.manifest,
                    found: image.manifest,
                });
            }
            self.unused_from_now(&there.manifest)?;
        }
        // What cannot be read is newer than nothing.
        let (entries, _) = self.looked_through()?;
        let newest = entries.into_iter().map(|entry| entry.sequence);
        let entry = Document {
            schema: SCHEMA,
            manifest: image.manifest,
            sequence: newest.max().unwrap_or(0).saturating_add(1),
        };
        let text = serde_json::to_vec(&entry).expect("an entry has string keys only");
        self.store.put(&path, &text)
    }

    /// Every entry, by name and then by import.
    ///
    /// # Errors
    /// What lies there and is none: for who has to know all of them.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, RepoError> {
        let mut entries = Vec::new();
        self.walk(&mut |_, entry| {
            entries.push(entry?);
            Ok(())
        })?;
        sort(&mut entries);
        Ok(entries)
    }

    /// Every entry, by name and then by import, and what lies there and is none.
    pub(crate) fn looked_through(&self) -> Result<(Vec<Entry>, Vec<Junk>), RepoError> {
        let (mut entries, mut junk) = (Vec::new(), Vec::new());
        self.walk(&mut |path, entry| {
            match entry {
                Ok(entry) => entries.push(entry),
                Err(RepoError::Entry { said, .. }) => junk.push(Junk {
                    path: path.to_path_buf(),
                    said,
                }),
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        sort(&mut entries);
        Ok((entries, junk))
    }

    /// Everything under `names/`: an entry, or [`RepoError::Entry`].
    pub(crate) fn walk(&self, each: &mut Each<'_>) -> Result<(), RepoError> {
        for dir in children(&self.store.names())? {
            walk_name(&dir, each)?;
        }
        Ok(())
    }
}

/// Hears of a path and what it is.
pub(crate) type Each<'a> = dyn FnMut(&Path, Result<Entry, RepoError>) -> Result<(), RepoError> + 'a;

/// Everything of one name.
fn walk_name(dir: &Path, each: &mut Each<'_>) -> Result<(), RepoError> {
    if fs::metadata(dir).is_ok_and(|about| !about.is_dir()) {
        let said = "a name is a folder with a file for each version".to_owned();
        let path = dir.to_path_buf();
        return each(dir, Err(RepoError::Entry { path, said }));
    }
    for path in children(dir)? {
        match read_entry(&path) {
            // One that is removed in this moment is none.
            Ok(None) => {}
            Ok(Some(entry)) => each(&path, Ok(entry))?,
            Err(error) => each(&path, Err(error))?,
        }
    }
    Ok(())
}

fn sort(entries: &mut [Entry]) {
    entries.sort_by(|a, b| (&a.name, a.sequence).cmp(&(&b.name, b.sequence)));
}

pub(crate) fn read_entry(path: &Path) -> Result<Option<Entry>, RepoError> {
    let odd = |said: &str| RepoError::Entry {
        path: path.to_path_buf(),
        said: said.into(),
    };
    // Neither a folder nor a pipe that nobody writes to is read.
    let is_file = fs::metadata(path).map(|about| about.is_file());
    let text = match is_file.and_then(|is_file| is_file.then(|| read(path, ENTRY_MAX)).transpose())
    {
        Ok(Some(text)) => text,
        Ok(None) => return Err(odd("it is no plain file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(RepoError::file("read", path)(error)),
    };
    let document: Document =
        serde_json::from_slice(&text).map_err(|error| odd(&error.to_string()))?;
    if document.schema != SCHEMA {
        return Err(odd(&format!("schema {} is not known", document.schema)));
    }
    let word = |path: Option<&Path>| {
        let word = path
            .and_then(Path::file_name)
            .and_then(|name| name.to_str());
        let word = word.filter(|word| check_name("name", word).is_ok());
        word.map(String::from)
            .ok_or_else(|| odd("its path is no name and version"))
    };
    Ok(Some(Entry {
        name: word(path.parent())?,
        version: word(Some(path))?,
        manifest: document.manifest,
        sequence: document.sequence,
    }))
}

/// At most `max` bytes of a file; one that is longer is cut off and fails where it is understood.
pub(crate) fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
