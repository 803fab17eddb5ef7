// SPDX-License-Identifier: Apache-2.0
//! The file that an export writes: without a name until it is whole and durable, so that nobody takes a half for the
//! whole, and whoever is killed in the middle leaves nothing behind.
//!
//! It refuses to take a name that something has got meanwhile, unless it may replace it, and to follow a link that lies
//! where it would write.

use crate::error::RepoError;
use crate::export::THERE_ALREADY;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, open, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the kernel has a name for what is open.
const OPEN_FILES: &str = "/proc/self/fd";

/// Numbers drafts of this process.
static MADE: AtomicU64 = AtomicU64::new(0);

/// A new file in the folder that it is for.
pub(crate) struct NewFile {
    pub(crate) file: File,
    /// Its name, where the file system has no files without one. It goes with this.
    draft: Option<Draft>,
}

/// A name that goes when this is dropped.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // It is no image, and nobody asked for it under this name.
        let _ = fs::remove_file(&self.0);
    }
}

impl NewFile {
    /// In the folder of `path`, which gets its name at the end.
    pub(crate) fn beside(path: &Path) -> Result<Self, RepoError> {
        let folder = folder_of(path);
        let failed = |error: io::Error| RepoError::output("created", path)(error);
        let has_names = Path::new(OPEN_FILES).is_dir();
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        match open(folder, flags | OFlags::TMPFILE, mode) {
            Ok(file) if has_names => {
                return Ok(Self {
                    file: file.into(),
                    draft: None,
                });
            }
            // NFS, some FUSE, and what has no /proc.
            Ok(_) | Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
        loop {
            let draft = draft_in(folder);
            match open(&draft, flags | OFlags::CREATE | OFlags::EXCL, mode) {
                Ok(file) => {
                    return Ok(Self {
                        file: file.into(),
                        draft: Some(Draft(draft)),
                    });
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno.into())),
            }
        }
    }

    /// Makes it durable and gives it its name.
    pub(crate) fn named(self, path: &Path, replace: bool) -> Result<(), RepoError> {
        self.file
            .sync_all()
            .map_err(RepoError::output("made durable", path))?;
        let named = match (&self.draft, replace) {
            (Some(draft), replace) => renamed(&draft.0, path, replace),
            (None, false) => self.link(path),
            (None, true) => self.link_over(path),
        };
        match named {
            Ok(()) => crate::store::sync_dir(folder_of(path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(RepoError::Output {
                path: path.to_path_buf(),
                why: THERE_ALREADY,
            }),
            Err(error) => Err(RepoError::output("named", path)(error)),
        }
    }

    fn link(&self, path: &Path) -> io::Result<()> {
        let open = format!("{OPEN_FILES}/{}", self.file.as_raw_fd());
        Ok(linkat(CWD, open, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }

    /// A link replaces nothing; a name beside it does.
    fn link_over(&self, path: &Path) -> io::Result<()> {
        loop {
            let draft = Draft(draft_in(folder_of(path)));
            match self.link(&draft.0) {
                Ok(()) => return renamed(&draft.0, path, true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    // Another's, which is not ours to remove.
                    std::mem::forget(draft);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn renamed(from: &Path, to: &Path, replace: bool) -> io::Result<()> {
    if replace {
        return fs::rename(from, to);
    }
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot do that, as NFS.
        Err(Errno::INVAL) => fs::hard_link(from, to),
        other => Ok(other?),
    }
}

fn draft_in(folder: &Path) -> PathBuf {
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    folder.join(format!(".export-{}-{number}.part", std::process::id()))
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// Both ways: a file without a name, and one with a draft's.
    fn made(path: &Path, with_draft: bool) -> NewFile {
        let mut new = NewFile::beside(path).unwrap();
        if with_draft {
            let draft = draft_in(folder_of(path));
            new = NewFile {
                file: File::create_new(&draft).unwrap(),
                draft: Some(Draft(draft)),
            };
        }
        new.file.write_all(b"new").unwrap();
        new
    }

    #[test]
    fn a_name_that_something_has_got_meanwhile_is_not_taken_and_nothing_else_is_left() {
        for with_draft in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("n".repeat(255));
            let there = || fs::read_dir(dir.path()).unwrap().count();
            drop(made(&path, with_draft));
            assert_eq!(there(), 0, "what is not named does not stay");
            made(&path, with_draft).named(&path, false).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new");
            fs::write(&path, b"mine").unwrap();
            let error = made(&path, with_draft).named(&path, false).unwrap_err();
            assert!(error.to_string().contains("is there already"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), b"mine");
            made(&path, with_draft).named(&path, true).unwrap();
            assert_eq!((fs::read(&path).unwrap(), there()), (b"new".to_vec(), 1));
        }
        let error = NewFile::beside(Path::new("/no-such-folder/x"))
            .err()
            .unwrap();
        assert!(error.to_string().contains("/no-such-folder/x"), "{error}");
    }
}
