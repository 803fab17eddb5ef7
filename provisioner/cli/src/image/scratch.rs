// SPDX-License-Identifier: Apache-2.0
//! Folders for disks that are being made. Each is locked while its import runs, so that what a killed one has left is known
//! and goes with the next import or gc. It refuses to remove what is locked, and what has another name.

use anyhow::{Context as _, Result};
use groundstate_api::Bytes;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// How the folders' names begin.
const BEGIN: &str = "import-";

/// A folder that goes when this is dropped.
pub(super) struct Scratch {
    path: PathBuf,
    /// The kernel lets go of it when the process ends, however it ends.
    _lock: File,
}

impl Scratch {
    /// Makes one in `folder`, and clears away what killed imports have left there.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let made = || -> io::Result<Self> {
            fs::create_dir_all(folder)?;
            // While this is held, nobody else looks at folders that have no lock yet.
            let all = File::open(folder)?;
            all.lock()?;
            clear_locked(folder, false)?;
            for number in 0u64.. {
                let path = folder.join(format!("{BEGIN}{}-{number}", std::process::id()));
                match fs::create_dir(&path) {
                    Ok(()) => {
                        let lock = File::open(&path)?;
                        lock.lock()?;
                        return Ok(Self { path, _lock: lock });
                    }
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            }
            Err(ErrorKind::AlreadyExists.into())
        };
        made().with_context(|| format!("no folder can be made in {}", folder.display()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Where this fails, the next import does it.
        let _removed = fs::remove_dir_all(&self.path);
    }
}

/// Removes what killed imports have left in `folder`, or only counts it: how many folders, and how much they take.
pub(super) fn clear(folder: &Path, dry_run: bool) -> Result<(u64, Bytes)> {
    let cleared = || -> io::Result<(u64, Bytes)> {
        let all = match File::open(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((0, Bytes(0))),
            other => other?,
        };
        all.lock()?;
        clear_locked(folder, dry_run)
    };
    cleared().with_context(|| format!("{} cannot be cleared", folder.display()))
}

fn clear_locked(folder: &Path, dry_run: bool) -> io::Result<(u64, Bytes)> {
    let (mut count, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_string_lossy().starts_with(BEGIN);
        if !is_ours || !entry.file_type()?.is_dir() {
            continue;
        }
        let path = entry.path();
        if File::open(&path)?.try_lock().is_err() {
            continue;
        }
        count += 1;
        bytes += size(&path)?;
        if !dry_run {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok((count, Bytes(bytes)))
}

/// What the folder's files take.
fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() {
            size(&entry.path())?
        } else {
            about.blocks() * 512
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_import_left_goes_and_what_one_works_in_stays() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("scratch");
        assert_eq!(clear(&folder, false).unwrap(), (0, Bytes(0)));
        let works = Scratch::new(&folder).unwrap();
        // As a process of the same number that was killed has left it, and something of another's.
        let left = folder.join(format!("{BEGIN}{}-1", std::process::id()));
        fs::create_dir_all(left.join("tree")).unwrap();
        fs::write(left.join("tree/disk"), [1; 8192]).unwrap();
        fs::create_dir(folder.join("mine")).unwrap();
        let (count, bytes) = clear(&folder, true).unwrap();
        assert!(
            count == 1 && bytes.0 >= 8192 && left.exists(),
            "{count} {bytes}"
        );
        let second = Scratch::new(&folder).unwrap();
        assert!(!left.join("tree").exists() && works.path().exists());
        drop((works, second));
        let names: Vec<_> = fs::read_dir(&folder).unwrap().flatten().collect();
        assert!(names.len() == 1 && folder.join("mine").exists());
    }
}
