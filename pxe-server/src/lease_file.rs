// SPDX-License-Identifier: Apache-2.0
//! `leases.json`: written whole, beside the old one, made durable, then renamed over it.

use groundstate_api::SCHEMA;
use pxe_core::dhcp::Lease;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const NAME: &str = "leases.json";

/// Why leases cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LeaseFileError {
    /// The system refuses.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not what was written; move it away to begin without leases: machines keep their addresses by asking
    /// for them again.
    #[error("{} is not a lease file of schema {SCHEMA}: {what}; move it away to begin without leases", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: u32,
    leases: Vec<Lease>,
}

/// The file.
#[derive(Debug)]
pub(crate) struct LeaseFile {
    path: PathBuf,
}

impl LeaseFile {
    /// Opens the folder, and reads what was kept.
    pub(crate) fn open(state_dir: &Path) -> Result<(Self, Vec<Lease>), LeaseFileError> {
        let path = state_dir.join(NAME);
        let io = |doing, source| LeaseFileError::Io {
            doing,
            path: path.clone(),
            source,
        };
        fs::create_dir_all(state_dir).map_err(|e| io("write", e))?;
        let leases = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(io("read", error)),
            Ok(bytes) => {
                let content = |what| LeaseFileError::Content {
                    path: path.clone(),
                    what,
                };
                let document: Document =
                    serde_json::from_slice(&bytes).map_err(|e| content(e.to_string()))?;
                if document.schema != SCHEMA {
                    return Err(content(format!("its schema is {}", document.schema)));
                }
                document.leases
            }
        };
        Ok((Self { path }, leases))
    }

    /// Replaces what is kept; when it returns, it is durable.
    pub(crate) fn write(&self, leases: &[Lease]) -> Result<(), LeaseFileError> {
        let document = Document {
            schema: SCHEMA,
            leases: leases.to_vec(),
        };
        let bytes = serde_json::to_vec(&document).map_err(io::Error::other);
        bytes
            .and_then(|bytes| self.replace(&bytes))
            .map_err(|source| LeaseFileError::Io {
                doing: "write",
                path: self.path.clone(),
                source,
            })
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let fresh = self.path.with_extension("json.new");
        let mut file = File::create(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        match self.path.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::{MacAddr, Millis};
    use pxe_core::dhcp::LeaseState;

    #[test]
    fn leases_outlive_a_restart_and_a_broken_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (file, kept) = LeaseFile::open(dir.path()).unwrap();
        assert!(kept.is_empty());
        let lease = Lease {
            address: [10, 77, 0, 100].into(),
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            state: LeaseState::Bound,
            since: Millis(1),
            until: Millis(7),
            uuid: None,
            firmware: None,
        };
        file.write(std::slice::from_ref(&lease)).unwrap();
        assert_eq!(LeaseFile::open(dir.path()).unwrap().1, [lease]);
        fs::write(dir.path().join(NAME), b"{\"schema\":2,\"leases\":[]}").unwrap();
        let error = LeaseFile::open(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("leases.json") && error.contains("schema is 2"),
            "{error}"
        );
        fs::write(dir.path().join(NAME), b"{\"schema\":1,").unwrap();
        assert!(matches!(
            LeaseFile::open(dir.path()),
            Err(LeaseFileError::Content { .. })
        ));
    }
}
