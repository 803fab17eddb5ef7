// SPDX-License-Identifier: Apache-2.0
//! Credentials that the site file names: a file of that name in the state directory's `credentials`, or what systemd hands over in
//! `$CREDENTIALS_DIRECTORY`. What is for hosts lies apart, in `host-credentials` and under `host.NAME`: whoever may change the site
//! can place those on a host and read them there, and never those of BMCs and webhooks.
//!
//! It reads a file anew at every use, so that a changed one counts at once. It refuses a file that others may read, a link, and
//! anything that is not one short text; and it never shows what it has read.

use groundstate_api::Reason;
use groundstate_api::customise::{HOST_SECRET_MAX, HOSTS_PREFIX};
use prov_core::reasons_power::{self, Opens};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The folder in the state directory: what BMCs and webhooks are spoken to with.
pub const FOLDER: &str = "credentials";
/// The folder with what is placed on hosts.
pub const HOSTS_FOLDER: &str = "host-credentials";
/// Where systemd says what it hands over (`LoadCredential=`).
const SYSTEMD: &str = "CREDENTIALS_DIRECTORY";
/// The longest credential in bytes: a key for signatures has at most a few hundred.
const SECRET_MAX: u64 = 4_096;
/// The longest name.
const NAME_MAX: usize = 64;
/// What others may not have of a file in the state directory: group and world.
const OTHERS: u32 = 0o077;
/// systemd shows an access list's mask as the group's rights; the world has none.
const WORLD: u32 = 0o007;

/// Where credentials lie.
#[derive(Clone, Debug)]
pub struct Credentials {
    own: PathBuf,
    hosts: PathBuf,
    systemd: Option<PathBuf>,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text, without the line's end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Bytes that are not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

/// Why a credential cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The name would leave the folder, or is none.
    #[error(
        "{0:?} is no name of a credential: 1 to 64 of A-Z, a-z, 0-9, '-', '_' and '.', not beginning with '.'"
    )]
    Name(String),
    /// It is for hosts, and nothing else is opened with it.
    #[error(
        "a name that begins with {HOSTS_PREFIX:?} is that of a host's secret, which opens no BMC and signs no webhook"
    )]
    OfHosts {
        /// The name.
        name: String,
    },
    /// It is there, and not for hosts.
    #[error("{} is what a BMC or a webhook is spoken to with, and goes to no host", .found.display())]
    NotForHosts {
        /// The name.
        name: String,
        /// Where it lies.
        found: PathBuf,
        /// Where it should, were it for hosts.
        path: PathBuf,
    },
    /// There is none.
    #[error("there is no file {}", .path.display())]
    Missing {
        /// The name.
        name: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// Others may read it.
    #[error("{} has mode {mode:04o}: others may read it", .path.display())]
    Open {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("{} belongs to user {owner}: only ours and root's are used", .path.display())]
    Owner {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// It is not one short text.
    #[error("{} is {what}", .path.display())]
    Form {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// It cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Io {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl CredentialError {
    /// The name that was asked for.
    fn name(&self) -> &str {
        match self {
            Self::Name(name)
            | Self::OfHosts { name }
            | Self::NotForHosts { name, .. }
            | Self::Missing { name, .. }
            | Self::Open { name, .. }
            | Self::Owner { name, .. }
            | Self::Form { name, .. }
            | Self::Io { name, .. } => name,
        }
    }

    /// What a person is told of one that a host was to get.
    #[must_use]
    pub fn reason_of_host(&self) -> Reason {
        if matches!(self, Self::NotForHosts { .. }) {
            return self.reason(Opens::Host);
        }
        reasons_power::host_secret_missing(self.name(), &self.to_string(), &self.place())
    }

    /// The file that it should be; where its name can be none, what is named so.
    fn place(&self) -> String {
        match self {
            Self::Name(_) | Self::OfHosts { .. } => {
                "a file of another name, which the site file names too".to_owned()
            }
            Self::NotForHosts { path, .. }
            | Self::Missing { path, .. }
            | Self::Open { path, .. }
            | Self::Owner { path, .. }
            | Self::Form { path, .. }
            | Self::Io { path, .. } => path.display().to_string(),
        }
    }

    /// What a person is told of one that is for this.
    #[must_use]
    pub fn reason(&self, opens: Opens) -> Reason {
        if let Self::NotForHosts { name, found, path } = self {
            let (found, path) = (found.display().to_string(), path.display().to_string());
            return reasons_power::not_for_hosts(name, &found, &path);
        }
        reasons_power::credential_missing(self.name(), &self.to_string(), opens, &self.place())
    }
}

impl Credentials {
    /// The credentials of a state directory, and systemd's.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        // What a person is told to write must be found from wherever that person is.
        let state_dir = std::path::absolute(state_dir).unwrap_or_else(|_| state_dir.to_owned());
        Self {
            own: state_dir.join(FOLDER),
            hosts: state_dir.join(HOSTS_FOLDER),
            systemd: std::env::var_os(SYSTEMD).map(PathBuf::from),
        }
    }

    /// Where one of this name is looked for, in this order.
    #[must_use]
    pub fn places(&self, name: &str) -> Vec<PathBuf> {
        let folders = self.systemd.iter().chain([&self.own]);
        folders.map(|folder| folder.join(name)).collect()
    }

    /// Where one for hosts is looked for, in this order.
    #[must_use]
    pub fn host_places(&self, name: &str) -> Vec<PathBuf> {
        let systemd = self.systemd.iter();
        let systemd = systemd.map(|folder| folder.join(format!("{HOSTS_PREFIX}{name}")));
        systemd.chain([self.hosts.join(name)]).collect()
    }

    /// Reads one for a BMC or a webhook. What systemd hands over comes first.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(&self, name: &str) -> Result<Secret, CredentialError> {
        if name.starts_with(HOSTS_PREFIX) {
            return Err(CredentialError::OfHosts {
                name: name.chars().take(NAME_MAX).collect(),
            });
        }
        let places = self.places(name);
        find(name, &places, |path, forbidden| read(name, path, forbidden))
    }

    /// Reads one that is for a host, as it is: bytes of any kind, not empty.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read_bytes(&self, name: &str) -> Result<SecretBytes, CredentialError> {
        let places = self.host_places(name);
        let found = find(name, &places, |path, forbidden| {
            let bytes = bytes_of(name, path, forbidden, HOST_SECRET_MAX.0)?;
            if bytes.is_empty() {
                return Err(CredentialError::Form {
                    name: name.to_owned(),
                    path: path.to_owned(),
                    what: "empty",
                });
            }
            Ok(SecretBytes(bytes))
        });
        let Err(CredentialError::Missing { name, path }) = found else {
            return found;
        };
        // Once there was one folder for all. What lies there is not read for a host, wherever it came from.
        let is_there = |path: &PathBuf| path.symlink_metadata().is_ok();
        Err(match self.places(&name).into_iter().find(is_there) {
            Some(found) => CredentialError::NotForHosts { name, found, path },
            None => CredentialError::Missing { name, path },
        })
    }
}

/// Reads the first that is there: the last place is our own, those before it systemd's.
fn find<T>(
    name: &str,
    places: &[PathBuf],
    read: impl Fn(&Path, u32) -> Result<T, CredentialError>,
) -> Result<T, CredentialError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name =
        (1..=NAME_MAX).contains(&name.len()) && !name.starts_with('.') && name.chars().all(fits);
    let refused = || CredentialError::Name(name.chars().take(NAME_MAX).collect());
    let (own, before) = places
        .split_last()
        .filter(|_| is_name)
        .ok_or_else(refused)?;
    for place in before {
        match read(place, WORLD) {
            Err(CredentialError::Missing { .. }) => {}
            other => return other,
        }
    }
    read(own, OTHERS)
}

fn read(name: &str, path: &Path, forbidden: u32) -> Result<Secret, CredentialError> {
    let bytes = bytes_of(name, path, forbidden, SECRET_MAX)?;
    let form = |what| CredentialError::Form {
        name: name.to_owned(),
        path: path.to_owned(),
        what,
    };
    let text = String::from_utf8(bytes).map_err(|_| form("no text in UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(form("empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(form("more than one line, or holds control characters"));
    }
    Ok(Secret(text.to_owned()))
}

/// The bytes of a file that nobody else may read.
fn bytes_of(
    name: &str,
    path: &Path,
    forbidden: u32,
    most: u64,
) -> Result<Vec<u8>, CredentialError> {
    let (name, path) = (name.to_owned(), path.to_owned());
    let file = match open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(CredentialError::Missing { name, path });
        }
        Err(source) => return Err(CredentialError::Io { name, path, source }),
    };
    let seen = match file.metadata() {
        Ok(seen) => seen,
        Err(source) => return Err(CredentialError::Io { name, path, source }),
    };
    let form = |what| CredentialError::Form {
        name: name.clone(),
        path: path.clone(),
        what,
    };
    if !seen.is_file() {
        return Err(form("no regular file"));
    }
    let mode = seen.mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(CredentialError::Open { name, path, mode });
    }
    let (owner, ours) = (seen.uid(), rustix::process::geteuid().as_raw());
    if owner != ours && owner != 0 {
        return Err(CredentialError::Owner { name, path, owner });
    }
    let mut bytes = Vec::new();
    if let Err(source) = file.take(most + 1).read_to_end(&mut bytes) {
        return Err(CredentialError::Io { name, path, source });
    }
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(form(if most == SECRET_MAX {
            "longer than 4,096 bytes"
        } else {
            "longer than 64 KiB"
        }));
    }
    Ok(bytes)
}

/// A link is not followed, and a pipe is not waited for.
fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    struct Shelf {
        folder: tempfile::TempDir,
        credentials: Credentials,
    }

    impl Shelf {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join(FOLDER)).unwrap();
            fs::create_dir(folder.path().join("systemd")).unwrap();
            fs::create_dir(folder.path().join(HOSTS_FOLDER)).unwrap();
            let credentials = Credentials {
                own: folder.path().join(FOLDER),
                hosts: folder.path().join(HOSTS_FOLDER),
                systemd: Some(folder.path().join("systemd")),
            };
            Self {
                folder,
                credentials,
            }
        }

        fn put(&self, place: &str, bytes: &[u8], mode: u32) {
            let path = self.folder.path().join(place);
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        }

        fn refused(&self, name: &str) -> String {
            let error = self.credentials.read(name).unwrap_err();
            let reason = error.reason(Opens::Bmc);
            assert_eq!(reason.code, groundstate_api::ReasonCode::CredentialMissing);
            assert!(!reason.next_step.is_empty());
            error.to_string()
        }
    }

    #[test]
    fn a_credential_is_read_anew_and_never_shown() {
        let shelf = Shelf::new();
        shelf.put("credentials/bmc-1", b"admin:geheim\n", 0o600);
        let first = shelf.credentials.read("bmc-1").unwrap();
        assert_eq!(first.text(), "admin:geheim");
        assert!(!format!("{first:?} {:?}", shelf.credentials).contains("geheim"));
        shelf.put("credentials/bmc-1", b"admin:anders", 0o600);
        assert_eq!(
            shelf.credentials.read("bmc-1").unwrap().text(),
            "admin:anders"
        );
        // What systemd hands over has an access list, which shows as the group's rights.
        shelf.put("systemd/bmc-1", b"admin:systemd", 0o440);
        assert_eq!(
            shelf.credentials.read("bmc-1").unwrap().text(),
            "admin:systemd"
        );
    }

    #[test]
    fn what_opens_bmcs_goes_to_no_host_and_what_goes_to_hosts_opens_nothing() {
        let shelf = Shelf::new();
        let of_host = |name: &str| {
            shelf
                .credentials
                .read_bytes(name)
                .map(SecretBytes::into_bytes)
        };
        shelf.put("credentials/bmc-1", b"admin:geheim", 0o600);
        shelf.put("systemd/bmc-2", b"admin:geheim", 0o400);
        for (name, place) in [("bmc-1", "credentials/bmc-1"), ("bmc-2", "systemd/bmc-2")] {
            let error = of_host(name).unwrap_err();
            let said = error.reason(Opens::Bmc).to_string();
            assert!(
                matches!(error, CredentialError::NotForHosts { .. }),
                "{said}"
            );
            let should = format!("host-credentials/{name}");
            assert!(said.contains(place) && said.contains(&should), "{said}");
            assert!(!said.contains("geheim"), "{said}");
        }
        assert!(matches!(
            of_host("none"),
            Err(CredentialError::Missing { .. })
        ));
        // Both may have one of a name; each gets its own.
        shelf.put("host-credentials/bmc-1", b"\0\xffown", 0o600);
        assert_eq!(of_host("bmc-1").unwrap(), b"\0\xffown");
        assert_eq!(
            shelf.credentials.read("bmc-1").unwrap().text(),
            "admin:geheim"
        );
        shelf.put("systemd/host.bmc-1", b"of systemd", 0o440);
        assert_eq!(of_host("bmc-1").unwrap(), b"of systemd");
        shelf.put("host-credentials/only", b"root:word", 0o600);
        assert!(shelf.refused("only").contains("there is no file"));
        assert!(shelf.refused("host.bmc-1").contains("opens no BMC"));
        shelf.put("host-credentials/open", b"x", 0o640);
        assert!(matches!(of_host("open"), Err(CredentialError::Open { .. })));
        for name in ["", "../credentials/bmc-1", "a/b", ".x"] {
            assert!(
                matches!(of_host(name), Err(CredentialError::Name(_))),
                "{name}"
            );
        }
    }

    #[test]
    fn what_others_may_read_and_what_is_no_text_is_refused_without_being_shown() {
        let shelf = Shelf::new();
        for mode in [0o644, 0o640, 0o604] {
            shelf.put("credentials/open", b"admin:geheim", mode);
            let said = shelf.refused("open");
            assert!(
                said.contains("others may read it") && !said.contains("geheim"),
                "{said}"
            );
        }
        shelf.put("systemd/open", b"a:b", 0o444);
        assert!(shelf.refused("open").contains("others may read it"));
        shelf.put("credentials/lines", b"a:b\nc:d\n", 0o600);
        assert!(shelf.refused("lines").contains("more than one line"));
        shelf.put("credentials/nul", b"a:\0b", 0o600);
        assert!(shelf.refused("nul").contains("control characters"));
        shelf.put("credentials/bytes", b"a:\xff", 0o600);
        assert!(shelf.refused("bytes").contains("UTF-8"));
        shelf.put("credentials/long", &vec![b'a'; 5_000], 0o600);
        assert!(shelf.refused("long").contains("4,096"));
        shelf.put("credentials/none", b"\n", 0o600);
        assert!(shelf.refused("none").contains("empty"));
        assert!(shelf.refused("absent").contains("there is no file"));
        symlink("long", shelf.folder.path().join("credentials/link")).unwrap();
        assert!(shelf.refused("link").contains("cannot be read"));
        for name in [
            "",
            "../journal.db",
            ".hidden",
            "a/b",
            "a\u{202e}b",
            &"x".repeat(65),
        ] {
            assert!(shelf.refused(name).contains("no name"), "{name}");
        }
    }
}
