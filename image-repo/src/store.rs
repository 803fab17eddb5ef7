// SPDX-License-Identifier: Apache-2.0
//! The files of a repository: each is written whole or not at all, and lies under the digest of its bytes.
//!
//! ```text
//! <dir>/chunks/ab/<64 hex digits>    zstd, named by the digest of the uncompressed bytes
//! <dir>/blobs/ab/<64 hex digits>     as they are
//! <dir>/manifests/<64 hex digits>    canonical JSON
//! <dir>/names/<name>/<version>       which manifest, and the how-many-eth import it was
//! <dir>/leases/<64 hex digits>       until when that manifest's files are in use
//! <dir>/damaged/<64 hex digits>      what fsck took out of the way, or an empty file for what was missing
//! <dir>/verified                     which images were read and found right, and when
//! <dir>/tmp/<import>/                what an import is writing
//! <dir>/tmp/put-*                    small files that are being written without the lock
//! <dir>/lock                         shared by those who import, alone for gc, fsck and remove
//! <dir>/lock-names, lock-heal        alone, for a moment
//! ```
//! No path is made from a text that came over the network: a digest is a value before it is a name.
//!
//! # After a crash
//! A file gets its name by rename when all of its bytes are written, so a process that is killed leaves no torn file under
//! a name, only drafts in `tmp`, which the next import that is alone clears. A power cut can do worse: chunks are not made
//! durable one by one, so one that has its name may have none of its bytes, or some. That is safe because
//! - a manifest gets its name only after one `syncfs` that came after every byte of its chunks and blobs was written, also
//!   of those that another import, still under way, had written: what a named manifest needs is durable;
//! - what is torn is named by no manifest, and no import takes a chunk that is already there on trust: it compares the
//!   bytes (`pack`), and replaces a chunk that differs. fsck names and removes the others.
//!
//! The file descriptor that `syncfs` is called with is opened before the first byte is written: the kernel then tells of
//! every write that failed since, whichever file it was for.

use crate::error::RepoError;
use crate::objects::Behind;
use groundstate_api::Digest;
use rustix::fs::{
    Advice, CWD, IFlags, RenameFlags, fadvise, ioctl_getflags, ioctl_setflags, renameat_with,
    syncfs,
};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
    behind: Option<Behind>,
}

/// Numbers drafts, over all repositories that this process has open.
static MADE: AtomicU64 = AtomicU64::new(0);
/// How drafts of [`Store::put`] begin, which is also called without the lock.
const SMALL: &str = "put-";
/// How old such a draft is when nobody is writing it any more.
const SMALL_AGE: Duration = Duration::from_secs(3600);

/// A new file that nobody sees until it is published; removed when it is not.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) file: File,
    path: PathBuf,
    published: bool,
}

/// Held by one who imports.
#[derive(Debug)]
pub(crate) struct Importing {
    _lock: File,
    dir: File,
    path: PathBuf,
    drafts: PathBuf,
}

impl Store {
    /// Makes what is not there.
    pub(crate) fn open(dir: &Path) -> Result<Self, RepoError> {
        for each in ["chunks", "blobs", "manifests", "names", "tmp"] {
            let path = dir.join(each);
            fs::create_dir_all(&path).map_err(RepoError::file("created", &path))?;
        }
        Ok(Self {
            dir: dir.to_path_buf(),
            behind: None,
        })
    }

    /// The same with a bucket behind it.
    pub(crate) fn open_before(dir: &Path, behind: Behind) -> Result<Self, RepoError> {
        let mut store = Self::open(dir)?;
        store.behind = Some(behind);
        Ok(store)
    }

    /// Makes nothing.
    pub(crate) fn open_existing(dir: &Path) -> Result<Self, RepoError> {
        let all = ["chunks", "manifests", "names"];
        if !all.iter().all(|each| dir.join(each).is_dir()) {
            return Err(RepoError::NoRepository {
                path: dir.to_path_buf(),
            });
        }
        Ok(Self {
            dir: dir.to_path_buf(),
            behind: None,
        })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
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

    /// The bucket behind it.
    pub(crate) const fn behind(&self) -> Option<&Behind> {
        self.behind.as_ref()
    }

    /// Where the bytes of that digest lie: here, or among what came out of the bucket behind.
    pub(crate) fn place(&self, kind: Kind, digest: &Digest) -> PathBuf {
        let path = self.path(kind, digest);
        match &self.behind {
            Some(behind) if !path.exists() => behind.path(kind, digest),
            _ => path,
        }
    }

    /// The file with the bytes of that digest; none where they are neither here nor in the bucket behind. Those of the bucket
    /// are proved, and are waited for.
    pub(crate) fn file(&self, kind: Kind, digest: &Digest) -> Result<Option<File>, RepoError> {
        let path = self.path(kind, digest);
        match (File::open(&path), &self.behind) {
            (Ok(file), _) => Ok(Some(file)),
            (Err(error), behind) if error.kind() == io::ErrorKind::NotFound => {
                let found = behind.as_ref().map(|behind| behind.file(kind, digest));
                let found = found.transpose().map_err(Box::new)?;
                Ok(found.flatten())
            }
            (Err(error), _) => Err(RepoError::file("opened", &path)(error)),
        }
    }

    /// The same fetched anew, where it came out of the bucket and is not what it should be; none where it is our own.
    pub(crate) fn file_anew(&self, kind: Kind, digest: &Digest) -> Result<Option<File>, RepoError> {
        match &self.behind {
            Some(behind) if !self.path(kind, digest).exists() => {
                let found = behind.file_anew(kind, digest);
                Ok(found.map_err(Box::new)?)
            }
            _ => Ok(None),
        }
    }

    pub(crate) fn names(&self) -> PathBuf {
        self.dir.join("names")
    }

    /// Imports may run beside one another, over all processes, but not beside [`Store::alone`]. The first of them clears
    /// away what killed ones have left.
    pub(crate) fn importing(&self) -> Result<Importing, RepoError> {
        let (lock, path) = self.lock_file("lock")?;
        match lock.try_lock() {
            Ok(()) => {
                self.clear_drafts()?;
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(RepoError::file("locked", &path)(error)),
        }
        lock.lock_shared()
            .map_err(RepoError::file("locked", &path))?;
        let dir = File::open(&self.dir).map_err(RepoError::file("opened", &self.dir))?;
        Ok(Importing {
            _lock: lock,
            dir,
            path: self.dir.clone(),
            drafts: self.drafts_folder()?,
        })
    }

    /// A folder for the drafts of one import. A file system puts a file near the folder that it is made in: so an image's
    /// chunks lie together, imports do not wait for one another's folder, and ext4, which without a journal walks past
    /// every file that was removed there a minute ago for each new one, finds room at once.
    fn drafts_folder(&self) -> Result<PathBuf, RepoError> {
        let tmp = self.dir.join("tmp");
        // Advice, and for ext4 only: folders in it have nothing to do with one another. Others refuse it.
        let _ = File::open(&tmp).map(|tmp| {
            ioctl_getflags(&tmp).and_then(|flags| ioctl_setflags(&tmp, flags | IFlags::TOPDIR))
        });
        loop {
            let path = tmp.join(draft_name());
            match fs::create_dir(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(RepoError::file("created", &path)(error)),
            }
        }
    }

    /// Waits until nobody imports, and keeps others from it while what it gives is held.
    pub(crate) fn alone(&self) -> Result<File, RepoError> {
        self.lock_alone("lock")
    }

    /// Whether somebody imports, exports or publishes now: what [`Store::alone`] would wait for.
    pub(crate) fn is_in_use(&self) -> bool {
        let file = File::open(self.dir.join("lock"));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Whether gc or a healing fsck runs now: what [`Store::importing`] and [`Store::looking`] would wait for.
    pub(crate) fn is_being_cleared(&self) -> bool {
        let file = File::open(self.dir.join("lock"));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Keeps gc away from one who only reads; nothing is made for it.
    pub(crate) fn looking(&self) -> Result<Option<File>, RepoError> {
        let path = self.dir.join("lock");
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(RepoError::file("opened", &path))?,
        };
        file.lock_shared()
            .map_err(RepoError::file("locked", &path))?;
        Ok(Some(file))
    }

    /// Keeps others from giving and taking names.
    pub(crate) fn naming(&self) -> Result<File, RepoError> {
        self.lock_alone("lock-names")
    }

    /// Keeps others from replacing damaged chunks.
    pub(crate) fn healing(&self) -> Result<File, RepoError> {
        self.lock_alone("lock-heal")
    }

    fn lock_alone(&self, name: &str) -> Result<File, RepoError> {
        let (file, path) = self.lock_file(name)?;
        file.lock().map_err(RepoError::file("locked", &path))?;
        Ok(file)
    }

    fn lock_file(&self, name: &str) -> Result<(File, PathBuf), RepoError> {
        let path = self.dir.join(name);
        let file = File::create(&path).map_err(RepoError::file("created", &path))?;
        Ok((file, path))
    }

    /// Removes the drafts of processes that are gone; only for one who holds the lock alone.
    pub(crate) fn clear_drafts(&self) -> Result<u64, RepoError> {
        let tmp = self.dir.join("tmp");
        let mut cleared = 0;
        for entry in fs::read_dir(&tmp).map_err(RepoError::file("listed", &tmp))? {
            let entry = entry.map_err(RepoError::file("listed", &tmp))?;
            let path = entry.path();
            let is_small = entry.file_name().to_string_lossy().starts_with(SMALL);
            if is_small && !is_older(&path, SMALL_AGE) {
                continue;
            }
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder {
                for path in children(&path)? {
                    cleared += u64::from(self.remove(&path)?);
                }
                fs::remove_dir(&path).map_err(RepoError::file("removed", &path))?;
            } else {
                cleared += u64::from(self.remove(&path)?);
            }
        }
        Ok(cleared)
    }

    /// Puts `bytes` at `path`, durable, whole or not at all. It needs no lock.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), RepoError> {
        let mut draft = Draft::new(&self.dir.join("tmp"), SMALL)?;
        draft.write(bytes)?;
        draft
            .file
            .sync_all()
            .map_err(RepoError::file("made durable", &draft.path))?;
        draft.replace(path)?;
        let dirs = path.ancestors().skip(1).take_while(|dir| *dir != self.dir);
        for dir in dirs {
            sync_dir(dir)?;
        }
        Ok(())
    }

    /// Removes a file that may be gone already; whether it was there.
    pub(crate) fn remove(&self, path: &Path) -> Result<bool, RepoError> {
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(RepoError::file("removed", path)(error)),
        }
    }

    /// Every file of that kind, one call each, in the order of their folders.
    pub(crate) fn each(
        &self,
        kind: Kind,
        seen: &mut dyn FnMut(&Path) -> Result<(), RepoError>,
    ) -> Result<(), RepoError> {
        let (top, deep) = match kind {
            Kind::Manifest => ("manifests", false),
            Kind::Chunk => ("chunks", true),
            Kind::Blob => ("blobs", true),
        };
        for path in children(&self.dir.join(top))? {
            if deep && path.is_dir() {
                for path in children(&path)? {
                    seen(&path)?;
                }
            } else {
                seen(&path)?;
            }
        }
        Ok(())
    }
}

impl Importing {
    /// A new file.
    pub(crate) fn draft(&self) -> Result<Draft, RepoError> {
        Draft::new(&self.drafts, "")
    }

    /// Makes everything that was written so far durable, with its names: one call, however many files there are.
    pub(crate) fn settle(&self) -> Result<(), RepoError> {
        syncfs(&self.dir)
            .map_err(io::Error::from)
            .map_err(RepoError::file("made durable", &self.path))
    }
}

impl Drop for Importing {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next import that is alone.
        let _ = fs::remove_dir(&self.drafts);
    }
}

impl Draft {
    fn new(folder: &Path, begin: &str) -> Result<Self, RepoError> {
        loop {
            let path = folder.join(format!("{begin}{}", draft_name()));
            match File::create_new(&path) {
                Ok(file) => {
                    return Ok(Self {
                        file,
                        path,
                        published: false,
                    });
                }
                // A process of the same number, in another container or before this one.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(RepoError::file("created", &path)(error)),
            }
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), RepoError> {
        self.file
            .write_all(bytes)
            .map_err(RepoError::file("written", &self.path))
    }

    /// Asks the kernel to begin writing it to the disk, so that the one `syncfs` at the end finds little to do.
    pub(crate) fn begin_writeback(&self) {
        // Advice: what it does not do now, `syncfs` does.
        let _ = fadvise(&self.file, 0, None, Advice::DontNeed);
    }

    /// Gives it the name, whatever had it. The name is durable when the store is settled.
    pub(crate) fn replace(mut self, path: &Path) -> Result<(), RepoError> {
        self.named(path, |from, to| fs::rename(from, to))?;
        self.published = true;
        Ok(())
    }

    /// Gives it the name if nothing has it; whether it has it now.
    pub(crate) fn publish(mut self, path: &Path) -> Result<bool, RepoError> {
        let done = self.named(path, |from, to| {
            match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
                // A file system that cannot do that, as NFS.
                Err(rustix::io::Errno::INVAL) => {
                    fs::hard_link(from, to)?;
                    fs::remove_file(from)
                }
                other => Ok(other?),
            }
        });
        match done {
            Ok(()) => {
                self.published = true;
                Ok(true)
            }
            Err(RepoError::File { source, .. })
                if source.kind() == io::ErrorKind::AlreadyExists =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn named(
        &self,
        path: &Path,
        rename: impl Fn(&Path, &Path) -> io::Result<()>,
    ) -> Result<(), RepoError> {
        match rename(&self.path, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().unwrap_or(path);
                fs::create_dir_all(parent).map_err(RepoError::file("created", parent))?;
                rename(&self.path, path).map_err(RepoError::file("named", path))
            }
            other => other.map_err(RepoError::file("named", path)),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed now is removed by the next import that is alone.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Another one each time.
fn draft_name() -> String {
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    format!("{}-{number}", std::process::id())
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), RepoError> {
    File::open(dir)
        .and_then(|file| file.sync_all())
        .map_err(RepoError::file("made durable", dir))
}

/// What is in a directory; nothing where it is not there.
pub(crate) fn children(dir: &Path) -> Result<Vec<PathBuf>, RepoError> {
    let listed =
        fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    match listed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(RepoError::file("listed", dir)),
    }
}

/// Whether the file was last changed so long ago. One whose time cannot be told, or lies ahead, is young.
pub(crate) fn is_older(path: &Path, age: Duration) -> bool {
    fs::metadata(path)
        .and_then(|data| data.modified())
        .is_ok_and(|at| at.elapsed().is_ok_and(|elapsed| elapsed >= age))
}

/// The digest that a file's name says.
pub(crate) fn digest_of(path: &Path) -> Option<Digest> {
    let name = path.file_name()?.to_str()?;
    let digest: Digest = name.parse().ok()?;
    (digest.hex() == name).then_some(digest)
}
