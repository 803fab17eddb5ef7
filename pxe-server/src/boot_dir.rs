// SPDX-License-Identifier: Apache-2.0
//! A folder of boot files: the names of its regular files are the only names that there are.
//!
//! A client's name is compared with the names that a look into the folder found, and nothing of it reaches the file
//! system. What a found name stands for is opened beneath the folder: the kernel refuses to leave it, by link or by
//! `..`, however the folder has changed since it was looked at.

use crate::content::Content;
use pxe_core::names::{NAME_MAX, is_no_file, plain, taken};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, openat, openat2, statat};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Folders within folders.
pub const DEPTH_MAX: usize = 16;
/// Files that are served: a mirror of an installer has fewer.
pub const FILES_MAX: usize = 65_536;
/// Files that are kept open, whether or not they are being sent.
const OPEN_MAX: usize = 256;
/// How long a file that is open is taken for the one in the folder, and how often the folder is looked at for a name that
/// it did not have.
const FRESH: Duration = Duration::from_secs(1);

/// Why a folder cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BootDirError {
    /// It, or a folder in it, cannot be read.
    #[error("cannot read the boot folder {}: {source}", path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Too many files.
    #[error("the boot folder {} has more than {FILES_MAX} files; serve a smaller one", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
}

/// What lies in the folder and is not served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Links that lead out of the folder, or nowhere, or to a folder.
    pub links: usize,
    /// Devices, pipes and sockets.
    pub special: usize,
    /// Names that are not UTF-8, too long, or hold control characters.
    pub names: usize,
    /// Folders below [`DEPTH_MAX`], or that may not be read.
    pub folders: usize,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.links, "links that lead out of it or nowhere"),
            (self.special, "devices, pipes or sockets"),
            (self.names, "names that no client could ask for"),
            (self.folders, "folders too deep or not readable"),
        ];
        let said = parts.iter().filter(|(count, _)| *count > 0);
        let said: Vec<_> = said
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        f.write_str(&said.join(", "))
    }
}

/// What a look found new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names that were not there.
    pub came: Vec<String>,
    /// Names that are not there any more.
    pub went: Vec<String>,
}

/// The folder.
#[derive(Debug)]
pub struct BootDir {
    path: PathBuf,
    found: RwLock<Arc<Found>>,
    looked: Mutex<Instant>,
    open: Mutex<BTreeMap<String, Opened>>,
}

#[derive(Debug, Default)]
struct Found {
    names: BTreeSet<String>,
    /// Files whose name must stand for no file.
    never: BTreeSet<String>,
    left_out: LeftOut,
}

#[derive(Debug)]
struct Opened {
    content: Content,
    identity: Identity,
    checked: Instant,
}

/// Device, inode, length, and when it was changed: one version of a file.
type Identity = (u64, u64, u64, (i64, i64), (i64, i64));

impl BootDir {
    /// Looks into the folder.
    ///
    /// # Errors
    /// A folder that cannot be read, or has too many files.
    pub fn open(path: &Path) -> Result<Self, BootDirError> {
        let found = look(path)?;
        Ok(Self {
            path: path.to_owned(),
            found: RwLock::new(Arc::new(found)),
            looked: Mutex::new(Instant::now()),
            open: Mutex::default(),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names that are served, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.found().names.iter().cloned().collect()
    }

    /// Whether there is a file of exactly this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.found().names.contains(name)
    }

    /// What is not served.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        self.found().left_out.clone()
    }

    /// What is not had where one would look for it, because its name means something else besides; in words, each with
    /// what to do, and what is never served first.
    #[must_use]
    pub fn hidden(&self) -> Vec<String> {
        self.hidden_among(&|_| false)
    }

    /// The same, with files of these names beside the folder's.
    pub(crate) fn hidden_among(&self, others: &dyn Fn(&str) -> bool) -> Vec<String> {
        let found = self.found();
        let there = |name: &str| found.names.contains(name) || others(name);
        let all = found.never.iter().chain(&found.names);
        all.filter_map(|name| Some(taken(name, &there)?.words(name)))
            .collect()
    }

    /// Looks again.
    ///
    /// # Errors
    /// As [`BootDir::open`]; what was found before is served on.
    pub fn look_again(&self) -> Result<Changes, BootDirError> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.look_now();
        *looked = Instant::now();
        changes
    }

    /// Looks again on a thread of its own, at most once a second; nobody waits for it.
    pub fn look_behind(self: &Arc<Self>) {
        let Ok(mut looked) = self.looked.try_lock() else {
            return;
        };
        if looked.elapsed() < FRESH {
            return;
        }
        *looked = Instant::now();
        drop(looked);
        let here = Arc::clone(self);
        let look = move || {
            if let Err(error) = here.look_now() {
                tracing::warn!(%error, "what was found before is served on");
            }
        };
        let spawned = std::thread::Builder::new()
            .name("boot-folder".to_owned())
            .spawn(look);
        if let Err(error) = spawned {
            tracing::warn!(%error, "the boot folder was not looked at");
        }
    }

    /// A file by its name, as a client may write it.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<Content> {
        let name = plain(name)?;
        // Every machine that boots its own disk asks for it; there is never such a file.
        if is_no_file(&name) {
            return None;
        }
        if !self.has(&name) {
            self.look_if_due();
            if !self.has(&name) {
                return None;
            }
        }
        self.opened(name)
    }

    fn found(&self) -> Arc<Found> {
        Arc::clone(&self.found.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn look_if_due(&self) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.elapsed() < FRESH {
            return;
        }
        if let Err(error) = self.look_now() {
            tracing::warn!(%error, "what was found before is served on");
        }
        *looked = Instant::now();
    }

    fn look_now(&self) -> Result<Changes, BootDirError> {
        let new = look(&self.path)?;
        let old = self.found();
        let only = |here: &Found, there: &Found| {
            let names = here.names.difference(&there.names);
            names.cloned().collect::<Vec<_>>()
        };
        let changes = Changes {
            came: only(&new, &old),
            went: only(&old, &new),
        };
        *self.found.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(changes)
    }

    /// The file that has this name now. While it stays the same, everybody reads the same open file.
    fn opened(&self, name: String) -> Option<Content> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = open.get(&name)
            && there.checked.elapsed() < FRESH
        {
            return Some(there.content.clone());
        }
        let fresh = match open_beneath(&self.path, &name) {
            Ok(fresh) => fresh,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, name, folder = %self.path.display(), "a boot file cannot be opened");
                }
                open.remove(&name);
                return None;
            }
        };
        let checked = Instant::now();
        let (content, identity) = fresh;
        if let Some(there) = open.get_mut(&name)
            && there.identity == identity
        {
            there.checked = checked;
            return Some(there.content.clone());
        }
        if open.len() >= OPEN_MAX {
            let oldest = open.iter().min_by_key(|(_, opened)| opened.checked);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                open.remove(&oldest);
            }
        }
        let opened = Opened {
            content: content.clone(),
            identity,
            checked,
        };
        open.insert(name, opened);
        Some(content)
    }
}

fn open_beneath(root: &Path, name: &str) -> io::Result<(Content, Identity)> {
    let root = open_root(root)?;
    // Without waiting for somebody to open the other end, should it have become a pipe.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(beneath(&root, name, flags)?);
    let about = file.metadata()?;
    let identity = (
        about.dev(),
        about.ino(),
        about.len(),
        (about.mtime(), about.mtime_nsec()),
        (about.ctime(), about.ctime_nsec()),
    );
    Ok((Content::of_file(file)?, identity))
}

fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Links within the folder are followed, links out of it are not.
fn beneath(root: &OwnedFd, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, name, flags, Mode::empty(), resolve) {
        // A kernel before 5.6, or a container that forbids the call: no links at all, part by part.
        Err(Errno::NOSYS | Errno::PERM) => {
            let flags = flags | OFlags::NOFOLLOW;
            let Some((folders, last)) = name.rsplit_once('/') else {
                return openat(root, name, flags, Mode::empty());
            };
            let mut at = None;
            for part in folders.split('/') {
                let from = at.as_ref().map_or(root.as_fd(), AsFd::as_fd);
                let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                at = Some(openat(from, part, folder, Mode::empty())?);
            }
            let from = at.as_ref().map_or(root.as_fd(), AsFd::as_fd);
            openat(from, last, flags, Mode::empty())
        }
        opened => opened,
    }
}

fn look(path: &Path) -> Result<Found, BootDirError> {
    let refuse = |source| BootDirError::Read {
        path: path.to_owned(),
        source,
    };
    let root = open_root(path).map_err(refuse)?;
    let mut found = Found::default();
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let read = if folder.is_empty() {
            Dir::read_from(&root)
        } else {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            beneath(&root, &folder, flags).and_then(Dir::new)
        };
        let entries = match read {
            Ok(entries) => entries,
            Err(error) if folder.is_empty() => return Err(refuse(error.into())),
            Err(_) => {
                found.left_out.folders += 1;
                continue;
            }
        };
        for entry in entries {
            let entry = entry.map_err(|error| refuse(error.into()))?;
            let name = match entry.file_name().to_bytes() {
                b"." | b".." => continue,
                bytes => std::str::from_utf8(bytes).ok(),
            };
            let name = name.map(|name| match folder.as_str() {
                "" => name.to_owned(),
                folder => format!("{folder}/{name}"),
            });
            let Some(name) = name.filter(|name| plain(name).as_ref() == Some(name)) else {
                found.left_out.names += 1;
                continue;
            };
            match kind(&root, &name, entry.file_type()) {
                FileType::Directory if depth + 1 < DEPTH_MAX => folders.push((name, depth + 1)),
                FileType::Directory => found.left_out.folders += 1,
                FileType::Symlink => found.left_out.links += 1,
                FileType::RegularFile if is_no_file(&name) => {
                    found.never.insert(name);
                }
                FileType::RegularFile => {
                    found.names.insert(name);
                }
                _ => found.left_out.special += 1,
            }
            if found.names.len() > FILES_MAX {
                let path = path.to_owned();
                return Err(BootDirError::TooMany { path });
            }
        }
    }
    Ok(found)
}

/// What a name stands for; a link to a regular file within the folder is one. Names are bounded by [`NAME_MAX`].
fn kind(root: &OwnedFd, name: &str, said: FileType) -> FileType {
    debug_assert!(name.len() <= NAME_MAX);
    let said = match said {
        FileType::Unknown => statat(root, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_or(FileType::Unknown, |about| {
                FileType::from_raw_mode(about.st_mode)
            }),
        said => said,
    };
    if said != FileType::Symlink {
        return said;
    }
    let end = beneath(root, name, OFlags::PATH | OFlags::CLOEXEC).and_then(rustix::fs::fstat);
    match end.map(|about| FileType::from_raw_mode(about.st_mode)) {
        Ok(FileType::RegularFile) => FileType::RegularFile,
        _ => FileType::Symlink,
    }
}

#[cfg(test)]
mod tests;
