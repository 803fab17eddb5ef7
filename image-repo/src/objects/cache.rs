// SPDX-License-Identifier: Apache-2.0
//! A bucket read through a cache on disk: what is asked for is fetched once, proved, kept, and removed again when what is
//! kept is more than it may be; what was not used for the longest time goes first.
//!
//! Nothing is given out that was not proved by this process: what a former one left is proved when it is first asked for, and
//! what somebody changed since is proved again. One process at a time has the folder.

use super::bucket::{Bucket, BucketError};
use super::proof::{is_right, most};
use crate::error::RepoError;
use crate::store::Kind;
use groundstate_api::{Bytes, Digest};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const KINDS: [(Kind, &str); 3] = [
    (Kind::Manifest, "manifests"),
    (Kind::Chunk, "chunks"),
    (Kind::Blob, "blobs"),
];

/// How long a cause that was told is not told again, however many ask.
const TOLD_AGAIN: Duration = Duration::from_secs(60);
/// Causes that are remembered; with one more they are all forgotten, and are told again.
const CAUSES_MAX: usize = 256;

/// A bucket and the folder in which its objects are kept.
#[derive(Debug)]
pub struct ReadThrough {
    bucket: Bucket,
    dir: PathBuf,
    most: Bytes,
    kept: Mutex<Kept>,
    /// What is being fetched, so that many who want it wait for one who fetches it.
    flights: Mutex<HashMap<Name, Arc<Landing>>>,
    /// When each cause was told last.
    told: Mutex<BTreeMap<String, Instant>>,
    _alone: File,
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
    /// As what it was proved.
    proved: Option<Stamp>,
}

/// What the file system says of a file that nobody has changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: [(i64, i64); 2],
}

/// Where those wait who want what is being fetched; within, when it failed last, and why.
type Landing = tokio::sync::Mutex<Option<(Instant, String)>>;

/// One who wants what is being fetched. The last one to go takes the landing away.
struct Flight<'a> {
    all: &'a ReadThrough,
    name: Name,
    landing: Arc<Landing>,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.all.flights();
        // Two: the map's and ours. Whoever else waits has one more, and will see to it.
        if Arc::strong_count(&self.landing) <= 2 {
            flights.remove(&self.name);
        }
    }
}

impl ReadThrough {
    /// Takes over what is kept in `dir`, and keeps at most `most` there.
    ///
    /// # Errors
    /// The folder cannot be used, or another process uses it.
    pub fn open(bucket: Bucket, dir: &Path, most: Bytes) -> Result<Self, RepoError> {
        let mut kept = Kept::default();
        let tmp = dir.join("tmp");
        fs::create_dir_all(&tmp).map_err(RepoError::file("created", &tmp))?;
        let alone = alone(dir)?;
        for (path, _) in files_in(&tmp)? {
            fs::remove_file(&path).map_err(RepoError::file("removed", &path))?;
        }
        let mut found = Vec::new();
        for (kind, folder) in KINDS {
            let folder = dir.join(folder);
            fs::create_dir_all(&folder).map_err(RepoError::file("created", &folder))?;
            for (path, about) in files_in(&folder)? {
                let name = path.file_name().and_then(|name| name.to_str());
                let Some(digest) = name.and_then(|name| name.parse::<Digest>().ok()) else {
                    continue;
                };
                let when = about.modified().map_err(RepoError::file("read", &path))?;
                found.push((when, name_of(kind, &digest), about.len()));
            }
        }
        found.sort_unstable();
        for (_, name, length) in found {
            kept.add(name, length, None);
        }
        let ours = Self {
            bucket,
            dir: dir.to_path_buf(),
            most,
            kept: Mutex::new(kept),
            flights: Mutex::default(),
            told: Mutex::default(),
            _alone: alone,
            drafts: AtomicU64::new(0),
            fetched: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        // It may be less than it was.
        ours.remove(ours.lock().shrink(most.0, None));
        Ok(ours)
    }

    /// The bucket itself.
    pub(crate) const fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// What is kept now.
    pub fn kept(&self) -> Bytes {
        Bytes(self.lock().bytes)
    }

    /// Objects that came from there, and those that could not be read or were not what their digest says.
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
        if let Some(file) = self.proved(kind, digest) {
            return Ok(Some(file));
        }
        let came = Instant::now();
        let flight = self.flight(name_of(kind, digest));
        let mut failed = flight.landing.lock().await;
        if let Some(file) = self.proved(kind, digest) {
            return Ok(Some(file));
        }
        if let Some((at, why)) = failed.as_ref()
            && *at > came
        {
            // Who waited beside the one that failed does not wait once more.
            return Err(BucketError::NoAnswer {
                done: "read",
                key: self.bucket.key(kind, digest).to_string(),
                why: why.clone(),
            });
        }
        let found = self.prove_or_fetch(kind, digest).await;
        *failed = match &found {
            Err(error) if error.is_silence() => Some((Instant::now(), error.cause())),
            Ok(_) | Err(_) => None,
        };
        found
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Name, Arc<Landing>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flight(&self, name: Name) -> Flight<'_> {
        let landing = Arc::clone(self.flights().entry(name).or_default());
        Flight {
            all: self,
            name,
            landing,
        }
    }

    /// Removes what is kept of it, so that it is fetched again.
    pub(crate) fn forget(&self, kind: Kind, digest: &Digest) {
        let name = name_of(kind, digest);
        self.lock().forget(name);
        self.remove(vec![name]);
    }

    /// Whether this cause was not told for a minute.
    pub(crate) fn is_news(&self, cause: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |at: &Instant| at.elapsed() >= TOLD_AGAIN;
        if !told.get(cause).is_none_or(is_old) {
            return false;
        }
        if told.len() >= CAUSES_MAX {
            told.clear();
        }
        told.insert(cause.to_owned(), Instant::now());
        true
    }

    /// What is kept and proved.
    fn proved(&self, kind: Kind, digest: &Digest) -> Option<File> {
        let name = name_of(kind, digest);
        let mut kept = self.lock();
        let proved = kept.files.get(&name)?.proved?;
        let Ok(file) = File::open(self.path(kind, digest)) else {
            // Somebody has removed it; it is fetched again.
            kept.forget(name);
            return None;
        };
        // Somebody may have changed it: then it is proved again.
        let is_same = stamp(&file).is_ok_and(|stamp| stamp == proved);
        is_same.then(|| {
            kept.touch(name);
            file
        })
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
                let stamp = stamp(&file).map_err(RepoError::file("read", &path))?;
                self.lock().add(name, stamp.size, Some(stamp));
                return Ok(Some(file));
            }
            tracing::warn!(path = %path.display(), "what was kept is not what its digest says; fetched again");
            let _ = fs::remove_file(&path);
            self.lock().forget(name);
        }
        let fetched = self.fetch(kind, digest, &path).await;
        let count = match &fetched {
            Ok(Some(_)) => Some(&self.fetched),
            Ok(None) => None,
            Err(_) => Some(&self.failed),
        };
        count.map(|count| count.fetch_add(1, Ordering::Relaxed));
        let Some(file) = fetched? else {
            return Ok(None);
        };
        let stamp = stamp(&file).map_err(RepoError::file("read", &path))?;
        let gone = {
            let mut kept = self.lock();
            kept.add(name, stamp.size, Some(stamp));
            kept.shrink(self.most.0, Some(name))
        };
        self.remove(gone);
        Ok(Some(file))
    }

    fn remove(&self, gone: Vec<Name>) {
        for name in gone {
            // Whoever reads it still has it open.
            let path = self.path_of(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "cannot be removed from the cache");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    async fn fetch(
        &self,
        kind: Kind,
        digest: &Digest,
        path: &Path,
    ) -> Result<Option<File>, BucketError> {
        let number = self.drafts.fetch_add(1, Ordering::Relaxed);
        let draft = Draft(self.dir.join("tmp").join(number.to_string()));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&draft.0)
            .map_err(RepoError::file("created", &draft.0))?;
        let found = self.bucket.get(kind, digest, most(kind), |piece| {
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
        Ok(Some(file))
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

/// The plain files of a folder and of the folders in it. No link is followed.
fn files_in(dir: &Path) -> Result<Vec<(PathBuf, Metadata)>, RepoError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(RepoError::file("listed", dir))? {
        let entry = entry.map_err(RepoError::file("listed", dir))?;
        let path = entry.path();
        // It may be gone by now.
        let Ok(about) = entry.metadata() else {
            continue;
        };
        if about.is_dir() {
            files.extend(files_in(&path)?);
        } else if about.is_file() {
            files.push((path, about));
        }
    }
    Ok(files)
}

/// Keeps other processes from the folder.
fn alone(dir: &Path) -> Result<File, RepoError> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(RepoError::file("created", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RepoError::CacheInUse {
            path: dir.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(RepoError::file("locked", &path)(error)),
    }
}

fn stamp(file: &File) -> io::Result<Stamp> {
    let about = file.metadata()?;
    Ok(Stamp {
        inode: about.ino(),
        size: about.len(),
        changed: [
            (about.mtime(), about.mtime_nsec()),
            (about.ctime(), about.ctime_nsec()),
        ],
    })
}

impl Kept {
    fn add(&mut self, name: Name, length: u64, proved: Option<Stamp>) {
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

    /// Forgets what was not used for the longest time until the rest is at most `most`; never `newest`.
    fn shrink(&mut self, most: u64, newest: Option<Name>) -> Vec<Name> {
        let mut gone = Vec::new();
        while self.bytes > most
            && let Some((_, name)) = self.order.first_key_value()
            && Some(*name) != newest
        {
            let name = *name;
            self.forget(name);
            gone.push(name);
        }
        gone
    }
}
