// SPDX-License-Identifier: Apache-2.0
//! Where the object store is, and who we are there. The secret is read from a file, never from an argument or from the
//! environment, and is printed nowhere.

use groundstate_api::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The folder in which systemd puts a service's credentials (systemd.exec(5), `LoadCredential=`).
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
/// Bytes of a file with credentials: a few lines.
const FILE_MAX: u64 = 16 << 10;
/// What may be kept on disk where nobody says how much: some images.
const CACHE_SIZE: Bytes = Bytes::gib(20);

/// An object store, as a site's file has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketConfig {
    /// `https://host` or `https://host:port`; for Amazon's own it may be left out.
    pub endpoint: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// The region that requests are signed for; most stores outside of Amazon take any.
    #[serde(default = "region")]
    pub region: String,
    /// What stands before each object's name, with a slash at its end where one is wanted.
    #[serde(default)]
    pub prefix: String,
    /// Whether the bucket's name is part of the host's name instead of the path.
    #[serde(default)]
    pub virtual_hosted: bool,
    /// A file with `aws_access_key_id = ...` and `aws_secret_access_key = ...`, and `aws_session_token = ...` where there is
    /// one; other lines are not looked at. A name without a slash is a credential of the systemd service.
    pub credentials: PathBuf,
    /// The authorities (PEM) that may certify the store; the system's where left out.
    pub authority: Option<PathBuf>,
    /// How much of it may be kept on disk here: `"20GiB"`, or a number of bytes.
    #[serde(default = "cache_size", deserialize_with = "size")]
    pub cache_size: Bytes,
}

fn region() -> String {
    "us-east-1".to_owned()
}

const fn cache_size() -> Bytes {
    CACHE_SIZE
}

/// A size as a person writes it.
fn size<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected a number of bytes, or a text with KiB, MiB, GiB or TiB, for example \"20GiB\""
    )]
    enum Written {
        Number(u64),
        Text(String),
    }
    match Written::deserialize(from)? {
        Written::Number(bytes) => Ok(Bytes(bytes)),
        Written::Text(text) => Bytes::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} should be a number and KiB, MiB, GiB or TiB, for example 20GiB"
            ))
        }),
    }
}

/// Why an object store cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others could read the secret.
    #[error("{} can be read by others than its owner; chmod 600 it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// The file is too large to be one with credentials.
    #[error("{} has {bytes}; a file with credentials has a few lines", path.display())]
    Large {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: Bytes,
    },
    /// A line is missing.
    #[error("{} has no line {key} = ...", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What is missing.
        key: &'static str,
    },
    /// The service was given no credentials.
    #[error(
        "{name} is the name of a credential, but systemd gave none: no LoadCredential={name}:FILE in the unit; give a path instead"
    )]
    NoCredential {
        /// Its name.
        name: String,
    },
    /// The authorities' file is none.
    #[error("{} has no certificate of an authority: {why}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// What is configured makes no object store.
    #[error("the object store cannot be used: {why}")]
    Unusable {
        /// What its client said.
        why: String,
    },
}

/// Who we are to the object store.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(not shown)")
    }
}

impl Credentials {
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let given = path.components().count() == 1;
        let folder = std::env::var_os(CREDENTIALS_DIRECTORY).map(PathBuf::from);
        let full = match (given, folder) {
            (true, Some(folder)) => folder.join(path),
            (true, None) => {
                let name = path.display().to_string();
                return Err(ConfigError::NoCredential { name });
            }
            (false, _) => path.to_owned(),
        };
        Self::read_file(&full, given)
    }

    fn read_file(path: &Path, given: bool) -> Result<Self, ConfigError> {
        let path = path.to_owned();
        let read = |source| ConfigError::Read {
            path: path.clone(),
            source,
        };
        let about = std::fs::metadata(&path).map_err(read)?;
        if about.len() > FILE_MAX {
            let bytes = Bytes(about.len());
            return Err(ConfigError::Large { path, bytes });
        }
        // systemd's own folder is closed; its files' modes say nothing.
        if !given && about.permissions().mode() & 0o077 != 0 {
            return Err(ConfigError::Open { path });
        }
        let text = std::fs::read_to_string(&path).map_err(read)?;
        let line = |key: &str| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .find(|(name, _)| name.trim() == key)
                .map(|(_, value)| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let need = |key| {
            line(key).ok_or_else(|| ConfigError::Missing {
                path: path.clone(),
                key,
            })
        };
        Ok(Self {
            id: need("aws_access_key_id")?,
            secret: need("aws_secret_access_key")?,
            token: line("aws_session_token"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    #[test]
    fn credentials_are_read_from_a_closed_file_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let text = "[default]\naws_access_key_id = AKIA\naws_secret_access_key=se=cret/+\n";
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let open = Credentials::read(&path).unwrap_err();
        assert!(matches!(open, ConfigError::Open { .. }), "{open}");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let read = Credentials::read(&path).unwrap();
        assert_eq!(
            (read.id.as_str(), read.secret.as_str()),
            ("AKIA", "se=cret/+")
        );
        assert_eq!(read.token, None);
        assert!(!format!("{read:?}").contains("cret/"), "{read:?}");
        fs::write(&path, "aws_access_key_id = AKIA\naws_secret_access_key =\n").unwrap();
        let missing = Credentials::read(&path).unwrap_err().to_string();
        assert!(
            missing.contains("no line aws_secret_access_key"),
            "{missing}"
        );
        let absent = Credentials::read(&folder.path().join("absent")).unwrap_err();
        assert!(matches!(absent, ConfigError::Read { .. }), "{absent}");
        fs::write(&path, "x".repeat(20_000)).unwrap();
        let large = Credentials::read(&path).unwrap_err();
        assert!(matches!(large, ConfigError::Large { .. }), "{large}");
    }
}
