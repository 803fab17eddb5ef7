// SPDX-License-Identifier: Apache-2.0
//! A bucket read through a cache on disk: what is asked for is fetched once, proved, kept, and removed again when what is
//! kept is more than it may be; what was not used for the longest time goes first.
//!
//! Nothing is given out that was not proved by this process: what a former one left is proved when it is first asked for.

use super::bucket::{Bucket, BucketError};
use super::proof::{is_right, most};
use crate::error::RepoError;
use crate::store::Kind;
use groundstate_api::{Bytes, Digest};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const KINDS: [(Kind, &str); 3] = [
    (Kind::Manifest, "manifests"),
    (Kind::Chunk, "chunks"),
    (Kind::Blob, "blobs"),
];

/// A bucket and the folder in which its objects are kept.
#[derive(Debug)]
pub struct ReadThrough {
    bucket: Bucket,
    dir: PathBuf,
    most: Bytes,
    kept: Mutex<Kept>,
    /// What is being fetched, so that many who want it wait for one who fetches it.
    flights: Mutex<HashMap<Name, Arc<tokio::sync::Mutex<()>>>>,
    drafts: AtomicU64,
    fetched: AtomicU64,
    failed: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Name(u8, [u8; 32]);

#[derive(Debug, Default)]
struct Kept {
    files: HashMap<Name, Entry>,
    /// By last use.
    order: BTreeMap<u64, Name>,
    bytes: u64,
    next: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    length: u64,
    used: u64,
    proved: bool,
}

impl ReadThrough {
    /// Takes over what is kept in `dir`, and keeps at most `most` there.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn open(bucket: Bucket, dir: &Path, most: Bytes) -> Result<Self, RepoError> {
        let mut kept = Kept::default();
        let tmp = dir.join("tmp");
        fs::create_dir_all(&tmp).map_err(RepoError::file("created", &tmp))?;
        for path in files_in(&tmp)? {
            fs::remove_file(&path).map_err(RepoError::file("removed", &path))?;
        }
        let mut found = Vec::new();
        for (kind, folder) in KINDS {
            let folder = dir.join(folder);
            fs::create_dir_all(&folder).map_err(RepoError::file("created", &folder))?;
            for path in files_in(&folder)? {
                let name = path.file_name().and_then(|name| name.to_str());
                let Some(digest) = name.and_then(|name| name.parse::<Digest>().ok()) else {
                    continue;
                };
                let about = path.metadata().map_err(RepoError::file("read", &path))?;
                let when = about.modified().map_err(RepoError::file("read", &path))?;
                found.push((when, name_of(kind, &digest), about.len()));
            }
        }
        found.sort_unstable();
        for (_, name, length) in found {
            kept.add(name, length, false);
        }
        Ok(Self {
            bucket,
            dir: dir.to_path_buf(),
            most,
            kept: Mutex::new(kept),
            flights: Mutex::default(),
            drafts: AtomicU64::new(0),
            fetched: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// The bucket itself.
    pub(crate) const fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// What is kept now.
    pub fn kept(&self) -> Bytes {
        Bytes(self.lock().bytes)
    }

    /// Objects that were asked for there, and those that could not be read or were not what their digest says.
    pub(crate) fn fetched(&self) -> (u64, u64) {
        let number = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (number(&self.fetched), number(&self.failed))
    }

    /// The file with these bytes, proved; none where the bucket has it not either.
    pub(crate) async fn file(
        &self,
        kind: Kind,
        digest: &Digest,
    ) -> Result<Option<File>, BucketError> {
        let name = name_of(kind, digest);
        if let Some(file) = self.proved(kind, digest) {
            return Ok(Some(file));
        }
        let flight = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(flights.entry(name).or_default())
        };
        let found = {
            let _first = flight.lock().await;
            match self.proved(kind, digest) {
                Some(file) => Ok(Some(file)),
                None => self.prove_or_fetch(kind, digest).await,
            }
        };
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // Two: the map's and ours. Whoever else waits has one more, and will see to it.
        if Arc::strong_count(&flight) <= 2 {
            flights.remove(&name);
        }
        found
    }

    /// What is kept and proved.
    fn proved(&self, kind: Kind, digest: &Digest) -> Option<File> {
        let name = name_of(kind, digest);
        let mut kept = self.lock();
        if !kept.files.get(&name)?.proved {
            return None;
        }
        let Ok(file) = File::open(self.path(kind, digest)) else {
            // Somebody has removed it; it is fetched again.
            kept.forget(name);
            return None;
        };
        kept.touch(name);
        Some(file)
    }

    async fn prove_or_fetch(
        &self,
        kind: Kind,
        digest: &Digest,
    ) -> Result<Option<File>, BucketError> {
        let (path, name) = (self.path(kind, digest), name_of(kind, digest));
        let left = self.lock().files.contains_key(&name);
        if left && let Ok(file) = File::open(&path) {
            let (file, right) = prove(kind, *digest, file, &path).await?;
            if right {
                self.lock().prove(name);
                return Ok(Some(file));
            }
            tracing::warn!(path = %path.display(), "what was kept is not what its digest says; fetched again");
            let _ = fs::remove_file(&path);
            self.lock().forget(name);
        }
        let fetched = self.fetch(kind, digest, &path).await;
        let count = match &fetched {
            Ok(_) => &self.fetched,
            Err(_) => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        let Some((file, length)) = fetched? else {
            return Ok(None);
        };
        let gone = {
            let mut kept = self.lock();
            kept.add(name, length, true);
            kept.shrink(self.most.0, name)
        };
        for name in gone {
            // Whoever reads it still has it open.
            let path = self.path_of(name);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot be removed from the cache");
            }
        }
        Ok(Some(file))
    }

    async fn fetch(
        &self,
        kind: Kind,
        digest: &Digest,
        path: &Path,
    ) -> Result<Option<(File, u64)>, BucketError> {
        let number = self.drafts.fetch_add(1, Ordering::Relaxed);
        let draft = Draft(self.dir.join("tmp").join(number.to_string()));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&draft.0)
            .map_err(RepoError::file("created", &draft.0))?;
        let mut length = 0u64;
        let found = self.bucket.get(kind, digest, most(kind), |piece| {
            length += piece.len() as u64;
            let written = file.write_all(piece);
            Ok(written.map_err(RepoError::file("written", &draft.0))?)
        });
        if !found.await? {
            return Ok(None);
        }
        let (file, right) = prove(kind, *digest, file, &draft.0).await?;
        if !right {
            let key = self.bucket.key(kind, digest).to_string();
            return Err(BucketError::Wrong { key });
        }
        let folder = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(folder).map_err(RepoError::file("created", folder))?;
        // Not made durable: what a power cut leaves of it is proved before it is given out.
        fs::rename(&draft.0, path).map_err(RepoError::file("named", path))?;
        Ok(Some((file, length)))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where these bytes are kept or would be.
    pub(super) fn path(&self, kind: Kind, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let folder = KINDS.iter().find(|(other, _)| *other == kind);
        let folder = folder.map_or("", |(_, folder)| folder);
        let two = hex.get(..2).unwrap_or_default();
        self.dir.join(folder).join(two).join(&hex)
    }

    fn path_of(&self, Name(kind, digest): Name) -> PathBuf {
        let kind = KINDS
            .get(usize::from(kind))
            .map_or(Kind::Chunk, |(kind, _)| *kind);
        self.path(kind, &Digest(digest))
    }
}

/// A file that goes when this is dropped, unless it was given its name.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

async fn prove(
    kind: Kind,
    digest: Digest,
    file: File,
    path: &Path,
) -> Result<(File, bool), RepoError> {
    let proved = tokio::task::spawn_blocking(move || {
        use std::io::Seek as _;
        (&file).rewind()?;
        let right = is_right(kind, &digest, &file)?;
        // Whoever gets it reads it from its beginning.
        (&file).rewind()?;
        Ok((file, right))
    });
    let proved: std::io::Result<_> = proved.await.map_err(std::io::Error::other).flatten();
    proved.map_err(RepoError::file("read", path))
}

fn name_of(kind: Kind, digest: &Digest) -> Name {
    let place = KINDS.iter().position(|(other, _)| *other == kind);
    Name(
        place.and_then(|at| u8::try_from(at).ok()).unwrap_or(0),
        digest.0,
    )
}

/// The files of a folder and of the folders in it.
fn files_in(dir: &Path) -> Result<Vec<PathBuf>, RepoError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(RepoError::file("listed", dir))? {
        let path = entry.map_err(RepoError::file("listed", dir))?.path();
        if path.is_dir() {
            files.extend(files_in(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

impl Kept {
    fn add(&mut self, name: Name, length: u64, proved: bool) {
        self.forget(name);
        self.next += 1;
        let used = self.next;
        let entry = Entry {
            length,
            used,
            proved,
        };
        self.files.insert(name, entry);
        self.order.insert(used, name);
        self.bytes += length;
    }

    fn forget(&mut self, name: Name) {
        if let Some(entry) = self.files.remove(&name) {
            self.order.remove(&entry.used);
            self.bytes -= entry.length;
        }
    }

    fn touch(&mut self, name: Name) {
        if let Some(entry) = self.files.get(&name).copied() {
            self.add(name, entry.length, entry.proved);
        }
    }

    fn prove(&mut self, name: Name) {
        if let Some(entry) = self.files.get(&name).copied() {
            self.add(name, entry.length, true);
        }
    }

    /// Forgets what was not used for the longest time until the rest is at most `most`; never `newest`.
    fn shrink(&mut self, most: u64, newest: Name) -> Vec<Name> {
        let mut gone = Vec::new();
        while self.bytes > most
            && let Some((_, name)) = self.order.first_key_value()
            && *name != newest
        {
            let name = *name;
            self.forget(name);
            gone.push(name);
        }
        gone
    }
}
