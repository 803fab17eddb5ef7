// SPDX-License-Identifier: Apache-2.0
//! Certificates of people and programs: issued with a role and a name, listed, revoked. A key is written into the folder of
//! who asked and is kept nowhere else.
//!
//! The list is `pki/access.json`. The provisioner looks at it again when it has changed, so a certificate that is revoked on
//! its machine opens nothing from the next request on.

use super::{
    PkiError, client_params, make_private_dir, new_key, read, write_private, write_public,
};
use groundstate_api::Digest;
use groundstate_api::site_parts::Role;
use prov_core::Peer;
use prov_core::access::FIRST_NAME;
use rcgen::{Issuer, KeyPair, PublicKeyData as _};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use time::{Duration, OffsetDateTime};

/// The longest life of a certificate, in days: that of the provisioner's own.
const DAYS_MAX: u32 = 730;

/// How long a certificate is told of to other provisioners after it expired: their clocks may be wrong.
const TOLD_AFTER_EXPIRY: Duration = Duration::days(7);

/// The list of one site.
pub struct Access {
    dir: PathBuf,
    seen: Mutex<Seen>,
}

/// What was read last, and of which file.
#[derive(Default)]
struct Seen {
    file: Option<(SystemTime, u64, u64)>,
    revoked: Arc<BTreeSet<String>>,
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// Its role.
    pub role: Role,
    /// Its name.
    pub name: String,
    /// SHA-256 of its public key, `sha256:…`.
    pub key: String,
    /// When it was issued, seconds since 1970.
    pub issued: i64,
    /// When it expires, seconds since 1970.
    pub expires: i64,
    /// When it was revoked, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<i64>,
}

impl Access {
    /// The list in this `pki` directory.
    pub(super) fn of(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            seen: Mutex::default(),
        }
    }

    /// The list of a site whose provisioner need not run.
    ///
    /// # Errors
    /// Where the directory has no certificate authority, or we may not look.
    pub fn open(state_dir: &Path) -> Result<Self, AccessError> {
        let dir = state_dir.join("pki");
        let key = dir.join("ca.key");
        match fs::File::open(&key) {
            Ok(_) => Ok(Self::of(&dir)),
            Err(source) if source.kind() == ErrorKind::PermissionDenied => {
                Err(AccessError::NotAllowed(key))
            }
            Err(_) => Err(AccessError::NoSite(dir)),
        }
    }

    /// Issues a certificate and writes `ca.crt`, `operator.crt` and `operator.key` into a new folder, which every command takes
    /// with `--credential`.
    ///
    /// # Errors
    /// Where the name cannot be given, or a file cannot be read or written.
    pub fn issue(
        &self,
        role: Role,
        name: &str,
        days: u32,
        out: &Path,
    ) -> Result<Issued, AccessError> {
        if name == FIRST_NAME {
            return Err(AccessError::Taken);
        }
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(AccessError::Days(days));
        }
        let peer =
            Peer::client(role, name, "").ok_or_else(|| AccessError::Name(name.to_owned()))?;
        if out.exists() {
            return Err(AccessError::Exists(out.to_owned()));
        }
        let ca_pem = read(&self.dir.join("ca.crt"))?;
        let ca_key = KeyPair::from_pem(&read(&self.dir.join("ca.key"))?).map_err(PkiError::Make)?;
        let issuer = Issuer::from_ca_cert_pem(&ca_pem, ca_key).map_err(PkiError::Make)?;
        let life = Duration::days(i64::from(days));
        let (key, now) = (new_key()?, OffsetDateTime::now_utc());
        let signed = client_params(&peer, life).signed_by(&key, &issuer);
        let signed = signed.map_err(PkiError::Make)?;
        let issued = Issued {
            role,
            name: name.to_owned(),
            key: Digest::of(&key.subject_public_key_info()).to_string(),
            issued: now.unix_timestamp(),
            expires: (now + life).unix_timestamp(),
            revoked: None,
        };
        // In the list first: a certificate that nobody knows of could not be revoked.
        self.change(|list| list.push(issued.clone()))?;
        make_private_dir(out)?;
        write_public(&out.join("ca.crt"), &ca_pem)?;
        write_private(&out.join("operator.key"), &key.serialize_pem())?;
        write_public(&out.join("operator.crt"), &signed.pem())?;
        Ok(issued)
    }

    /// Revokes every certificate of this name, or those of one role; answers with them.
    ///
    /// # Errors
    /// Where there is none, or the list cannot be read or written.
    pub fn revoke(&self, name: &str, role: Option<Role>) -> Result<Vec<Issued>, AccessError> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let meant = |issued: &Issued| {
            issued.name == name
                && issued.revoked.is_none()
                && role.is_none_or(|role| issued.role == role)
        };
        let mut revoked = Vec::new();
        self.change(|list| {
            for issued in list.iter_mut().filter(|issued| meant(issued)) {
                issued.revoked = Some(now);
                revoked.push(issued.clone());
            }
        })?;
        if revoked.is_empty() {
            return Err(AccessError::None(name.to_owned()));
        }
        Ok(revoked)
    }

    /// Every certificate that was issued, oldest first.
    ///
    /// # Errors
    /// Where the list cannot be read.
    pub fn list(&self) -> Result<Vec<Issued>, AccessError> {
        let path = self.path();
        if !path.try_exists().unwrap_or(true) {
            return Ok(Vec::new());
        }
        serde_json::from_str(&read(&path)?).map_err(|source| AccessError::List { path, source })
    }

    /// Takes in the list of another provisioner, and answers with both together, for the others: `None` where there is none. A
    /// certificate that one of them revoked is revoked; what expired long ago is left out of what is told.
    ///
    /// # Errors
    /// Where a list cannot be read, or ours not be written.
    pub(crate) fn merge(&self, theirs: Option<&[u8]>) -> Result<Option<Vec<u8>>, AccessError> {
        let wrong = |source| AccessError::List {
            path: PathBuf::from("the journal's list"),
            source,
        };
        let theirs: Vec<Issued> = match theirs {
            None => Vec::new(),
            Some(bytes) => serde_json::from_slice(bytes).map_err(wrong)?,
        };
        let mut list = self.list()?;
        if take_in(&mut list, &theirs) {
            // Read again under the lock: somebody may issue one in this moment.
            self.change(|ours| {
                take_in(ours, &theirs);
                list.clone_from(ours);
            })?;
        }
        let long_ago = OffsetDateTime::now_utc() - TOLD_AFTER_EXPIRY;
        list.retain(|one| one.expires >= long_ago.unix_timestamp());
        list.sort_by(|a, b| (a.issued, &a.key).cmp(&(b.issued, &b.key)));
        if list.is_empty() {
            return Ok(None);
        }
        serde_json::to_vec(&list).map(Some).map_err(wrong)
    }

    /// Whether this caller's certificate was revoked. Where the list cannot be read, what was read before holds; where nothing
    /// ever was, callers of the list are refused: whoever took the list away must not give rights back by that.
    #[must_use]
    pub fn is_revoked(&self, peer: &Peer) -> bool {
        let Peer::Client { key, name, .. } = peer else {
            return false;
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let file = stamp(&self.path());
        if file.is_some() && file != seen.file {
            match self.list() {
                Ok(list) => {
                    let revoked = list.into_iter().filter(|issued| issued.revoked.is_some());
                    seen.revoked = Arc::new(revoked.map(|issued| issued.key).collect());
                    seen.file = file;
                }
                Err(error) => {
                    tracing::error!(%error, "the list of certificates cannot be read");
                    return name != FIRST_NAME && seen.file.is_none();
                }
            }
        }
        seen.revoked.contains(key)
    }

    fn path(&self) -> PathBuf {
        self.dir.join("access.json")
    }

    /// Changes the list with nobody else changing it, in this process or another.
    fn change(&self, change: impl FnOnce(&mut Vec<Issued>)) -> Result<(), AccessError> {
        let lock = self.dir.join("access.lock");
        let failed = |source| PkiError::File {
            path: lock.clone(),
            source,
        };
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(failed)?;
        file.lock().map_err(failed)?;
        let mut list = self.list()?;
        change(&mut list);
        let text = serde_json::to_string_pretty(&list).map_err(|source| AccessError::List {
            path: self.path(),
            source,
        })?;
        write_private(&self.path(), &text)?;
        Ok(())
    }
}

/// Adds what is new in `theirs`; false where nothing is.
fn take_in(list: &mut Vec<Issued>, theirs: &[Issued]) -> bool {
    let long_ago = (OffsetDateTime::now_utc() - TOLD_AFTER_EXPIRY).unix_timestamp();
    let mut is_new = false;
    for one in theirs.iter().filter(|one| one.expires >= long_ago) {
        match list.iter_mut().find(|ours| ours.key == one.key) {
            None => {
                list.push(one.clone());
                is_new = true;
            }
            Some(ours) => {
                let first = match (ours.revoked, one.revoked) {
                    (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
                    (ours, theirs) => ours.or(theirs),
                };
                is_new |= first != ours.revoked;
                ours.revoked = first;
            }
        }
    }
    is_new
}

/// What tells one state of a file from another. It is replaced by renaming, so its inode changes with each.
fn stamp(path: &Path) -> Option<(SystemTime, u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}

/// Why a certificate cannot be issued or revoked.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is no certificate authority.
    #[error(
        "{0} holds no certificate authority: --state-dir names the directory of groundstate up"
    )]
    NoSite(PathBuf),
    /// It is not ours to read.
    #[error(
        "{0} may not be read: permission denied; run it as root, or as the user that groundstate up runs as"
    )]
    NotAllowed(PathBuf),
    /// The name is none.
    #[error("{0:?} is no name for a certificate: 1 to 63 of a-z, 0-9, '-', '.', '_'")]
    Name(String),
    /// The provisioner's own name.
    #[error("the name {FIRST_NAME:?} is the provisioner's own; choose another")]
    Taken,
    /// The life.
    #[error("{0} days: a certificate is valid for 1 to {DAYS_MAX}")]
    Days(u32),
    /// The folder is there.
    #[error("{0} is there already; a new folder is made for each credential")]
    Exists(PathBuf),
    /// Nobody of that name.
    #[error("there is no valid certificate of the name {0:?}: groundstate access list shows all")]
    None(String),
    /// The list.
    #[error("{path} is not a list of ours: {source}")]
    List {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A file or a certificate.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(key: &str, revoked: Option<i64>) -> Issued {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        Issued {
            role: Role::Viewer,
            name: "anna".into(),
            key: key.into(),
            issued: 1_000,
            expires: now + 1_000,
            revoked,
        }
    }

    #[test]
    fn a_state_directory_without_a_site_has_no_list() {
        let dir = tempfile::tempdir().unwrap();
        let said = |dir: &Path| Access::open(dir).err().map(|error| error.to_string());
        let none = "holds no certificate authority";
        assert!(said(dir.path()).unwrap().contains(none));
        assert!(said(&dir.path().join("x")).unwrap().contains(none));
        let pki = dir.path().join("pki");
        std::fs::create_dir(&pki).unwrap();
        std::fs::write(pki.join("access.json"), "[]").unwrap();
        assert!(said(dir.path()).unwrap().contains(none));
        std::fs::write(pki.join("ca.key"), "x").unwrap();
        assert_eq!(said(dir.path()), None);
    }

    #[test]
    fn two_lists_become_one_and_who_was_revoked_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            Access::of(&path)
        };
        let (a, b) = (folder("a"), folder("b"));
        assert_eq!(a.merge(None).unwrap(), None, "nothing was issued");
        a.change(|list| list.push(issued("one", None))).unwrap();
        b.change(|list| list.push(issued("two", Some(5)))).unwrap();
        let of_a = a.merge(None).unwrap().unwrap();
        let both = b.merge(Some(&of_a)).unwrap().unwrap();
        assert_eq!(a.merge(Some(&both)).unwrap().unwrap(), both);
        assert_eq!(a.list().unwrap().len(), 2);
        let client = |key: &str| Peer::Client {
            role: Role::Viewer,
            name: "anna".into(),
            key: key.into(),
        };
        assert!(a.is_revoked(&client("two")) && !a.is_revoked(&client("one")));
        // Revoked at one, it is revoked at the other; the earlier moment stays.
        b.revoke("anna", None).unwrap();
        let after = b.merge(Some(&both)).unwrap().unwrap();
        a.merge(Some(&after)).unwrap();
        assert!(a.is_revoked(&client("one")));
        let two = a.list().unwrap().into_iter().find(|one| one.key == "two");
        assert_eq!(two.unwrap().revoked, Some(5));
        // An older list gives nothing back.
        a.merge(Some(&both)).unwrap();
        assert!(a.is_revoked(&client("one")));
        // What expired long ago is not told, and not taken in again.
        let old = Issued {
            expires: 1_000,
            ..issued("old", None)
        };
        let with_old = serde_json::to_vec(&[old]).unwrap();
        let told = a.merge(Some(&with_old)).unwrap().unwrap();
        assert!(!String::from_utf8(told).unwrap().contains("\"old\""));
        assert_eq!(a.list().unwrap().len(), 2);
        assert!(
            a.merge(Some(b"{"))
                .unwrap_err()
                .to_string()
                .contains("journal")
        );
    }
}
