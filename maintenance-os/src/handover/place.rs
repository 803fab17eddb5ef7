// SPDX-License-Identifier: Apache-2.0
//! Places one file below a root so that a power cut leaves the old one or the new one, never half of one.
//!
//! It refuses to follow a symbolic link: a root file system must not lead a write out of itself.

use super::contents::Contents;
use groundstate_api::{Reason, ReasonCode};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

/// Writes a file's bytes.
pub(crate) type Fill<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<u64>;

/// A tree of directories on a volume; every path is relative to its root.
pub(crate) trait Tree {
    /// Whether a directory is there; `None` where nothing is. A symbolic link is no directory.
    fn is_dir(&self, path: &Path) -> io::Result<Option<bool>>;
    /// Makes a directory.
    fn make_dir(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Waits until the disk has the directory's entries.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a file that is not there, and waits until the disk has its bytes.
    fn create(&self, path: &Path, mode: u32, fill: Fill<'_>) -> io::Result<()>;
    /// Gives a file another name, in place of what has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
}

/// The tree below a directory.
pub(super) struct Below<'a>(pub(super) &'a Path);

impl Tree for Below<'_> {
    fn is_dir(&self, path: &Path) -> io::Result<Option<bool>> {
        match fs::symlink_metadata(self.0.join(path)) {
            Ok(found) => Ok(Some(found.is_dir())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn make_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        DirBuilder::new().mode(mode).create(self.0.join(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(self.0.join(path))?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.0.join(path))
    }

    fn create(&self, path: &Path, mode: u32, fill: Fill<'_>) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(self.0.join(path))?;
        fill(&mut file)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }
}

/// Writes `contents` to `root/relative` by way of a temporary name and a rename, and syncs file and directory.
/// Directories that are not there are made with `dir_mode`.
pub(super) fn place(
    root: &Path,
    relative: &str,
    contents: &Contents<'_>,
    mode: u32,
    dir_mode: u32,
) -> Result<(), Reason> {
    place_in(&Below(root), relative, contents, mode, dir_mode)
        .map_err(|error| write_refused(&root.join(relative), contents.length().ok(), &error))
}

/// The same in any tree.
pub(super) fn place_in(
    tree: &dyn Tree,
    relative: &str,
    contents: &Contents<'_>,
    mode: u32,
    dir_mode: u32,
) -> io::Result<()> {
    let mut dir = PathBuf::new();
    let parts: Vec<Component<'_>> = Path::new(relative).components().collect();
    let Some((Component::Normal(name), parents)) = parts.split_last() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a relative file name",
        ));
    };
    for part in parents {
        let Component::Normal(part) = part else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a plain relative path",
            ));
        };
        let parent = dir.clone();
        dir.push(part);
        match tree.is_dir(&dir)? {
            Some(true) => {}
            Some(false) => {
                return Err(io::Error::new(
                    io::ErrorKind::NotADirectory,
                    format!("{} is not a directory", dir.display()),
                ));
            }
            None => {
                tree.make_dir(&dir, dir_mode)?;
                tree.sync_dir(&parent)?;
            }
        }
    }
    let mut temporary = name.to_os_string();
    temporary.push(".new");
    let temporary = dir.join(temporary);
    match tree.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    tree.create(&temporary, mode, &|to| contents.copy_to(to))?;
    tree.rename(&temporary, &dir.join(name))?;
    tree.sync_dir(&dir)
}

/// The reason for a failed write.
fn write_refused(path: &Path, length: Option<u64>, error: &io::Error) -> Reason {
    let (code, next) = match error.kind() {
        io::ErrorKind::StorageFull => (
            ReasonCode::DiskFull,
            "make the partition larger in the policy, or the image's kernel and initrd smaller",
        ),
        io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => (
            ReasonCode::PlanRefused,
            "correct the image: this path must be a plain directory in it",
        ),
        _ => (
            ReasonCode::DiskError,
            "look at the disk's health, then order the run again",
        ),
    };
    let length = length.map_or_else(|| "some".to_string(), |length| length.to_string());
    Reason::new(
        code,
        format!("{length} bytes could not be written to {}", path.display()),
        next,
    )
    .seen(error.to_string())
}
