// SPDX-License-Identifier: Apache-2.0
//! The host's root directory: every file that the agent reads or writes is named relative to it.

use crate::error::AgentError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The largest file that the agent reads: seeds, tables and key files are all far below it.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The host's root directory.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    /// The root at `path`; `/` on a real host.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of `relative` below it.
    #[must_use]
    pub fn at(&self, relative: &str) -> PathBuf {
        self.0.join(relative.trim_start_matches('/'))
    }

    /// Reads a file; `None` where there is none.
    ///
    /// # Errors
    /// It is there and cannot be read, or is larger than 4 MiB.
    pub fn read(&self, relative: &str) -> Result<Option<Vec<u8>>, AgentError> {
        let path = self.at(relative);
        let mut bytes = Vec::new();
        match File::open(&path)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        {
            Ok(_) if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX => {
                Err(AgentError::Read {
                    path,
                    error: io::ErrorKind::FileTooLarge.into(),
                })
            }
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(AgentError::Read { path, error }),
        }
    }

    /// Reads a file as text; `None` where there is none.
    ///
    /// # Errors
    /// It is there and cannot be read, or is not UTF-8.
    pub fn read_text(&self, relative: &str) -> Result<Option<String>, AgentError> {
        let text = self.read(relative)?.map(String::from_utf8).transpose();
        text.map_err(|error| AgentError::Document {
            path: self.at(relative),
            what: error.to_string(),
        })
    }

    /// Reads a JSON document; `None` where there is none.
    ///
    /// # Errors
    /// It is there and cannot be read or understood.
    pub fn read_json<T: DeserializeOwned>(&self, relative: &str) -> Result<Option<T>, AgentError> {
        let document = self
            .read(relative)?
            .map(|bytes| serde_json::from_slice(&bytes))
            .transpose();
        document.map_err(|error| AgentError::Document {
            path: self.at(relative),
            what: error.to_string(),
        })
    }

    /// Writes a file so that a power cut leaves the old or the new one, never half of one. Directories that are not
    /// there are made: private ones (0700) for a private file, else 0755.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, relative: &str, bytes: &[u8], mode: u32) -> Result<(), AgentError> {
        let path = self.at(relative);
        write_atomically(&path, bytes, mode).map_err(|error| AgentError::Write { path, error })
    }

    /// Writes a JSON document for root only.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_json<T: Serialize>(&self, relative: &str, document: &T) -> Result<(), AgentError> {
        let bytes = serde_json::to_vec_pretty(document).map_err(|error| AgentError::Document {
            path: self.at(relative),
            what: error.to_string(),
        })?;
        self.write(relative, &bytes, 0o600)
    }

    /// Makes a symbolic link; one that leads there already is fine.
    ///
    /// # Errors
    /// It cannot be made, or something else is there.
    pub fn link(&self, relative: &str, to: &str) -> Result<(), AgentError> {
        let path = self.at(relative);
        let failed = |error| AgentError::Write {
            path: path.clone(),
            error,
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        match std::os::unix::fs::symlink(to, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let there = fs::read_link(&path).is_ok_and(|there| there == Path::new(to));
                if there { Ok(()) } else { Err(failed(error)) }
            }
            made => made.map_err(failed),
        }
    }

    /// Removes a file; one that is not there is fine.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, relative: &str) -> Result<(), AgentError> {
        let path = self.at(relative);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(AgentError::Write { path, error })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let dir_mode = if mode & 0o077 == 0 { 0o700 } else { 0o755 };
    DirBuilder::new()
        .recursive(true)
        .mode(dir_mode)
        .create(dir)?;
    let mut temporary = name.to_os_string();
    temporary.push(".groundstate-new");
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
    // The mode is asked for again because the umask of a service takes bits away.
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, path)?;
    File::open(dir)?.sync_all()
}
