// SPDX-License-Identifier: Apache-2.0
//! `leases.json`, as versions before the lease log kept it: read once, then set aside. Nothing writes it any more.

use groundstate_api::SCHEMA;
use pxe_core::dhcp::Lease;
use serde::Deserialize;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

const NAME: &str = "leases.json";
/// Its name after its leases are in the log.
const ASIDE: &str = "leases.json.taken-over";

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
    #[error("{} is no lease file that can be read: {what}; move it away to begin without leases", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: u32,
    leases: Vec<Lease>,
}

/// The leases of the folder's `leases.json`; `None` where there is no such file.
pub(crate) fn read(state_dir: &Path) -> Result<Option<Vec<Lease>>, LeaseFileError> {
    let path = state_dir.join(NAME);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let doing = "read";
            return Err(LeaseFileError::Io {
                doing,
                path,
                source,
            });
        }
    };
    match serde_json::from_slice::<Document>(&bytes) {
        Ok(document) if document.schema == SCHEMA => Ok(Some(document.leases)),
        Ok(document) => {
            let what = format!("its schema is {}, not {SCHEMA}", document.schema);
            Err(LeaseFileError::Content { path, what })
        }
        Err(error) => {
            let what = error.to_string();
            Err(LeaseFileError::Content { path, what })
        }
    }
}

/// Gives the file another name, so that an older version does not take old leases for new ones.
pub(crate) fn set_aside(state_dir: &Path) -> Result<(), LeaseFileError> {
    let path = state_dir.join(NAME);
    let rename = || {
        fs::rename(&path, state_dir.join(ASIDE))?;
        File::open(state_dir)?.sync_all()
    };
    rename().map_err(|source| LeaseFileError::Io {
        doing: "write",
        path: path.clone(),
        source,
    })
}
