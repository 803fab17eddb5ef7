// SPDX-License-Identifier: Apache-2.0
//! A file that appears under its name only when it is whole.

use super::error::VirtualDiskError;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A temporary file beside the one that it will be. It is removed where it is dropped before it is finished.
pub(super) struct NewFile {
    temporary: PathBuf,
    path: PathBuf,
    force: bool,
    finished: bool,
}

impl NewFile {
    /// Begins the file.
    pub(super) fn begin(path: &Path, force: bool) -> Result<(Self, File), VirtualDiskError> {
        let name = path.file_name().ok_or_else(|| VirtualDiskError::NotAFile {
            path: path.to_path_buf(),
        })?;
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(VirtualDiskError::NotAFile {
                    path: path.to_path_buf(),
                });
            }
            Ok(_) if !force => {
                return Err(VirtualDiskError::Exists {
                    path: path.to_path_buf(),
                });
            }
            Ok(_) | Err(_) => {}
        }
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.partial", std::process::id()));
        let temporary = path.with_file_name(hidden);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(VirtualDiskError::io("making", &temporary))?;
        let new = Self {
            temporary,
            path: path.to_path_buf(),
            force,
            finished: false,
        };
        Ok((new, file))
    }

    pub(super) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Makes what was written durable and gives the file its name.
    pub(super) fn finish(mut self, file: &File) -> Result<(), VirtualDiskError> {
        file.sync_all()
            .map_err(VirtualDiskError::io("flushing", &self.temporary))?;
        let flags = if self.force {
            RenameFlags::empty()
        } else {
            RenameFlags::NOREPLACE
        };
        match renameat_with(CWD, &self.temporary, CWD, &self.path, flags) {
            Ok(()) => self.finished = true,
            Err(Errno::EXIST) => {
                return Err(VirtualDiskError::Exists {
                    path: self.path.clone(),
                });
            }
            Err(errno) => {
                return Err(VirtualDiskError::io("naming", &self.path)(errno.into()));
            }
        }
        let folder = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(VirtualDiskError::io("flushing", folder))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.finished {
            // What could not be made is not left behind; that it cannot be removed changes nothing for the caller.
            let _removed = fs::remove_file(&self.temporary);
        }
    }
}
