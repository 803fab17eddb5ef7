// SPDX-License-Identifier: Apache-2.0
//! Where the object store is, and who we are there. The secret is read from a file, never from an argument or from the
//! environment, and is printed nowhere.

use groundstate_api::Bytes;
use hyper::Uri;
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

impl BucketConfig {
    /// Refuses what the store's client could make no request of. Nobody is asked, and no file is read.
    ///
    /// # Errors
    /// [`ConfigError::Odd`], naming the key.
    pub fn check(&self) -> Result<(), ConfigError> {
        let odd = |key, found: &str, wants| {
            Err(ConfigError::Odd {
                key,
                found: found.to_owned(),
                wants,
            })
        };
        if let Some(endpoint) = &self.endpoint
            && !is_endpoint(endpoint)
        {
            let wants = "it should be https://HOST or http://HOST, with :PORT where it is another than 443 or 80";
            return odd("endpoint", endpoint, wants);
        }
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let bucket = &self.bucket;
        if bucket.is_empty() || bucket.starts_with('.') || !bucket.bytes().all(of_name) {
            let wants = "a bucket's name has letters, digits, dots, hyphens and underscores, and begins with no dot";
            return odd("bucket", bucket, wants);
        }
        if self.region.is_empty() || !self.region.bytes().all(of_name) {
            return odd(
                "region",
                &self.region,
                "it should be a word, for example us-east-1",
            );
        }
        let mut parts = self.prefix.split('/');
        let is_plain = !self.prefix.starts_with('/')
            && !self.prefix.chars().any(char::is_control)
            && !parts.any(|part| part == "." || part == "..");
        if !is_plain {
            let wants = "it should begin with no slash, and have no part . or ..";
            return odd("prefix", &self.prefix, wants);
        }
        Ok(())
    }
}

/// A URL of a host, with a port where it has one, and nothing else.
fn is_endpoint(text: &str) -> bool {
    let Ok(url) = text.trim_end_matches('/').parse::<Uri>() else {
        return false;
    };
    let has_host = url.host().is_some_and(|host| !host.is_empty());
    let port = url.authority().and_then(|at| at.as_str().rsplit_once(':'));
    // A colon without a number after it, or with too large a one; those of an IPv6 address stand in brackets.
    let is_port = port.is_none_or(|(_, port)| port.ends_with(']') || url.port_u16().is_some());
    matches!(url.scheme_str(), Some("http" | "https"))
        && has_host
        && is_port
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
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
    /// A value that there cannot be.
    #[error("{key} = {found:?}: {wants}")]
    Odd {
        /// The key.
        key: &'static str,
        /// What stands there; a secret is not shown.
        found: String,
        /// What should.
        wants: &'static str,
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
        let plain = |key, value: String| {
            // It goes into a header's line.
            if value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Ok(value);
            }
            Err(ConfigError::Odd {
                key,
                found: format!("{} bytes", value.len()),
                wants: "it should be ASCII without blanks",
            })
        };
        let need = |key| {
            let missing = || ConfigError::Missing {
                path: path.clone(),
                key,
            };
            plain(key, line(key).ok_or_else(missing)?)
        };
        Ok(Self {
            id: need("aws_access_key_id")?,
            secret: need("aws_secret_access_key")?,
            token: line("aws_session_token")
                .map(|token| plain("aws_session_token", token))
                .transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    #[test]
    fn settings_of_which_no_request_can_be_made_are_refused_by_name() {
        let good = serde_json::json!({
            "endpoint": "https://s3.example.net:9000/", "bucket": "images", "credentials": "./key", "prefix": "site/",
        });
        let check = |key: &str, value: &str| {
            let mut settings = good.clone();
            settings[key] = value.into();
            let config: BucketConfig = serde_json::from_value(settings).unwrap();
            config.check()
        };
        for (key, value) in [
            ("endpoint", "http://127.0.0.1:9000"),
            ("endpoint", "http://[::1]:9000"),
            ("endpoint", "https://[::1]"),
            ("bucket", "my.images_2-b"),
            ("region", "eu-central-1"),
            ("prefix", ""),
        ] {
            check(key, value).unwrap();
        }
        for (key, value) in [
            ("endpoint", "127.0.0.1:15443"),
            ("endpoint", "http://"),
            ("endpoint", ""),
            ("endpoint", "http://a b"),
            ("endpoint", "http://127.0.0.1:99999"),
            ("endpoint", "http://127.0.0.1:"),
            ("endpoint", "ftp://a"),
            ("endpoint", "https://a/b"),
            ("endpoint", "https://a?b"),
            ("bucket", ""),
            ("bucket", "a b"),
            ("bucket", "../x"),
            ("bucket", "images/site"),
            ("region", ""),
            ("region", "a\nb"),
            ("prefix", "../"),
            ("prefix", "/a"),
            ("prefix", "a\n"),
        ] {
            let said = check(key, value).unwrap_err().to_string();
            assert!(said.starts_with(&format!("{key} = ")), "{said}");
        }
    }

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
        fs::write(
            &path,
            "aws_access_key_id = A\u{1}\naws_secret_access_key = b\n",
        )
        .unwrap();
        let odd = Credentials::read(&path).unwrap_err().to_string();
        assert!(odd.starts_with("aws_access_key_id = \"2 bytes\""), "{odd}");
        fs::write(&path, "x".repeat(20_000)).unwrap();
        let large = Credentials::read(&path).unwrap_err();
        assert!(matches!(large, ConfigError::Large { .. }), "{large}");
    }
}
