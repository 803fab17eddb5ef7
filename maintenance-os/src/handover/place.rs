// SPDX-License-Identifier: Apache-2.0
//! Places one file below a root so that a power cut leaves the old one or the new one, never half of one.
//!
//! It refuses to follow a symbolic link: a root file system must not lead a write out of itself.

use super::contents::Contents;
use groundstate_api::{Reason, ReasonCode};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

/// Writes `contents` to `root/relative` by way of a temporary name and a rename, and syncs file and directory.
/// Directories that are not there are made with `dir_mode`.
pub(super) fn place(
    root: &Path,
    relative: &str,
    contents: &Contents<'_>,
    mode: u32,
    dir_mode: u32,
) -> Result<(), Reason> {
    let path = root.join(relative);
    place_io(root, relative, contents, mode, dir_mode)
        .map_err(|error| write_refused(&path, contents.length().ok(), &error))
}

fn place_io(
    root: &Path,
    relative: &str,
    contents: &Contents<'_>,
    mode: u32,
    dir_mode: u32,
) -> io::Result<()> {
    let mut dir = PathBuf::from(root);
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
        match fs::symlink_metadata(&dir) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::NotADirectory,
                    format!("{} is not a directory", dir.display()),
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().mode(dir_mode).create(&dir)?;
                File::open(&parent)?.sync_all()?;
            }
            Err(error) => return Err(error),
        }
    }
    let mut temporary = name.to_os_string();
    temporary.push(".new");
    let temporary = dir.join(temporary);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    contents.copy_to(&mut file)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, dir.join(name))?;
    File::open(&dir)?.sync_all()
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
