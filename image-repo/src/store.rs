// SPDX-License-Identifier: Apache-2.0
//! The files of a repository: each is written whole or not at all, and lies under the digest of its bytes.
//!
//! ```text
//! <dir>/chunks/ab/<64 hex digits>    zstd, named by the digest of the uncompressed bytes
//! <dir>/blobs/ab/<64 hex digits>     as they are
//! <dir>/manifests/<64 hex digits>    canonical JSON
//! <dir>/names/<name>/<version>       which manifest, and the how-many-eth import it was
//! <dir>/tmp/                         what is being written
//! <dir>/lock                         held by the one who imports
//! ```
//! No path is made from a text that came over the network: a digest is a value before it is a name.

use crate::error::RepoError;
use groundstate_api::Digest;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What lies under a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Manifest,
    Chunk,
    Blob,
}

/// The directory and the ways into it.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    made: AtomicU64,
}

impl Store {
    pub(crate) fn open(dir: &Path) -> Result<Self, RepoError> {
        for each in ["chunks", "blobs", "manifests", "names", "tmp"] {
            let path = dir.join(each);
            fs::create_dir_all(&path).map_err(RepoError::file("created", &path))?;
        }
        Ok(Self {
            dir: dir.to_path_buf(),
            made: AtomicU64::new(0),
        })
    }

    /// Where the bytes of that digest lie or would lie.
    pub(crate) fn path(&self, kind: Kind, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        match kind {
            Kind::Manifest => self.dir.join("manifests").join(hex),
            Kind::Chunk => self.dir.join("chunks").join(&hex[..2]).join(hex),
            Kind::Blob => self.dir.join("blobs").join(&hex[..2]).join(hex),
        }
    }

    pub(crate) fn names(&self) -> PathBuf {
        self.dir.join("names")
    }

    /// One import at a time, over all processes. What an import that was killed has left is cleared away.
    pub(crate) fn lock(&self) -> Result<File, RepoError> {
        let path = self.dir.join("lock");
        let file = File::create(&path).map_err(RepoError::file("created", &path))?;
        file.lock().map_err(RepoError::file("locked", &path))?;
        let tmp = self.dir.join("tmp");
        for entry in fs::read_dir(&tmp).map_err(RepoError::file("listed", &tmp))? {
            let path = entry.map_err(RepoError::file("listed", &tmp))?.path();
            fs::remove_file(&path).map_err(RepoError::file("removed", &path))?;
        }
        Ok(file)
    }

    /// A new file that nobody sees until [`Store::publish`].
    pub(crate) fn draft(&self) -> Result<(File, PathBuf), RepoError> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let path = self
            .dir
            .join("tmp")
            .join(format!("{}-{number}", std::process::id()));
        let file = File::create_new(&path).map_err(RepoError::file("created", &path))?;
        Ok((file, path))
    }

    /// Makes a draft's bytes durable and gives it its name; [`Store::settle`] makes the name durable.
    pub(crate) fn publish(&self, file: &File, draft: &Path, path: &Path) -> Result<(), RepoError> {
        file.sync_all()
            .map_err(RepoError::file("made durable", draft))?;
        let parent = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(parent).map_err(RepoError::file("created", parent))?;
        fs::rename(draft, path).map_err(RepoError::file("named", path))
    }

    /// Makes the names of published files durable. A name is durable only when its directory is, and a new directory
    /// only when the one above it is; each of them is asked once, however many files it has.
    pub(crate) fn settle(&self, paths: &[PathBuf]) -> Result<(), RepoError> {
        let parents = paths.iter().filter_map(|path| path.parent());
        let dirs: BTreeSet<&Path> = parents
            .flat_map(|dir| [Some(dir), dir.parent()])
            .flatten()
            .collect();
        for dir in dirs {
            File::open(dir)
                .and_then(|dir| dir.sync_all())
                .map_err(RepoError::file("made durable", dir))?;
        }
        Ok(())
    }

    /// Puts `bytes` at `path`, whole or not at all.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), RepoError> {
        let (mut file, draft) = self.draft()?;
        file.write_all(bytes)
            .map_err(RepoError::file("written", &draft))?;
        self.publish(&file, &draft, path)
    }
}
