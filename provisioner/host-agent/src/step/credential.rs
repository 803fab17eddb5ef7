// SPDX-License-Identifier: Apache-2.0
//! The credential moves from the seed to root-only storage, and its old bytes are overwritten.

use crate::error::AgentError;
use crate::root::Root;
use groundstate_api::Digest;
use groundstate_api::host::{CREDENTIAL_DIR, HostSeed, SEED_PATH};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;

/// The files' names in the credential directory.
pub(crate) const KEY: &str = "host.key";
pub(crate) const CERTIFICATE: &str = "host.crt";
pub(crate) const CA: &str = "ca.crt";

pub(super) fn observe(root: &Root, seed: &HostSeed) -> Result<String, AgentError> {
    if !seed.key_pem.is_empty() {
        return Ok(format!("in /{SEED_PATH}"));
    }
    let certificate = root.read(&file(CERTIFICATE))?.unwrap_or_default();
    Ok(format!(
        "in /{CREDENTIAL_DIR}, readable by root only, certificate file sha256 {}",
        Digest::of(&certificate).short()
    ))
}

pub(super) fn is_reached(root: &Root, seed: &HostSeed) -> Result<bool, AgentError> {
    if !seed.key_pem.is_empty() {
        return Ok(false);
    }
    for name in [KEY, CERTIFICATE, CA] {
        if root.read(&file(name))?.is_none_or(|bytes| bytes.is_empty()) {
            return Err(AgentError::CredentialMissing {
                directory: root.at(CREDENTIAL_DIR),
            });
        }
    }
    Ok(true)
}

pub(super) fn act(root: &Root, seed: &mut HostSeed) -> Result<(), AgentError> {
    for (name, text) in [
        (KEY, &seed.key_pem),
        (CERTIFICATE, &seed.certificate_pem),
        (CA, &seed.ca_pem),
    ] {
        root.write(&file(name), text.as_bytes(), 0o600)?;
    }
    let directory = root.at(CREDENTIAL_DIR);
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).map_err(|error| {
        AgentError::Write {
            path: directory,
            error,
        }
    })?;
    // The old file stays open across the rename, so that the seed is whole at every moment and the key's old bytes
    // can still be overwritten afterwards. On an SSD its spare area may keep them: the key is worth one host, one plan.
    let path = root.at(SEED_PATH);
    let old = OpenOptions::new().write(true).open(&path);
    let mut old = old.map_err(|error| AgentError::Read {
        path: path.clone(),
        error,
    })?;
    let emptied = HostSeed {
        key_pem: String::new(),
        certificate_pem: String::new(),
        ..seed.clone()
    };
    root.write_json(SEED_PATH, &emptied)?;
    let mut overwrite = || -> io::Result<()> {
        let length = usize::try_from(old.metadata()?.len()).map_err(io::Error::other)?;
        old.write_all(&vec![0; length])?;
        old.sync_all()
    };
    overwrite().map_err(|error| AgentError::Write { path, error })?;
    *seed = emptied;
    Ok(())
}

fn file(name: &str) -> String {
    format!("{CREDENTIAL_DIR}/{name}")
}
