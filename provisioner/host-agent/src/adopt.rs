// SPDX-License-Identifier: Apache-2.0
//! What an adoption leaves on a host: the agent's program, its unit, its credential and its seed. Nothing of the host's own is
//! touched: a file that is there already and is not ours is refused.

use crate::error::AgentError;
use crate::root::Root;
use crate::step::credential::{CA, CERTIFICATE, KEY};
use groundstate_api::host::{CREDENTIAL_DIR, HostSeed, SEED_PATH};
use std::path::PathBuf;

/// Where the agent's program is placed, below the root.
pub const AGENT_PATH: &str = "usr/local/sbin/host-agent";
/// Where its key is placed.
pub const KEY_PATH: &str = "etc/groundstate/credential/host.key";
/// Where its unit is placed.
pub const UNIT_PATH: &str = "etc/systemd/system/host-agent.service";
/// The link by which systemd starts it.
const WANTED_PATH: &str = "etc/systemd/system/multi-user.target.wants/host-agent.service";
/// How our unit is known.
const OURS: &str = "Description=Groundstate host agent";
/// The unit.
const UNIT: &str = include_str!("../host-agent-adopted.service");

/// What is placed.
#[derive(Clone, Debug)]
pub struct Placed<'a> {
    /// The agent's program, whole.
    pub agent: &'a [u8],
    /// Who the host is. Its credential is in it, and goes to its own files.
    pub seed: HostSeed,
}

/// Every path that an adoption writes, below the root, and what it is.
#[must_use]
pub fn written() -> Vec<(String, &'static str)> {
    vec![
        (AGENT_PATH.to_owned(), "the agent's program"),
        (UNIT_PATH.to_owned(), "its unit"),
        (
            WANTED_PATH.to_owned(),
            "a link, so that it starts with the host",
        ),
        (
            format!("{CREDENTIAL_DIR}/"),
            "its key and certificate, and the site CA, for root only",
        ),
        (
            "var/lib/groundstate/".to_owned(),
            "whom it calls, and what it remembers, for root only",
        ),
    ]
}

/// A file of somebody else where one of ours would go: a program without our unit, or a unit that is not ours.
///
/// # Errors
/// What is there cannot be read.
pub fn foreign(root: &Root) -> Result<Option<PathBuf>, AgentError> {
    let unit = root.read_text(UNIT_PATH)?;
    match unit {
        Some(unit) if unit.contains(OURS) => Ok(None),
        Some(_) => Ok(Some(root.at(UNIT_PATH))),
        None => {
            let program = root.at(AGENT_PATH);
            // Our own seed is looked for before; a program that was placed and no unit yet is what a cut leaves.
            let cut = root.read(KEY_PATH)?.is_some();
            Ok((program.exists() && !cut).then_some(program))
        }
    }
}

/// Places it: the seed last, because the unit starts where there is one.
///
/// # Errors
/// Something cannot be written.
pub fn place(root: &Root, placed: Placed<'_>) -> Result<(), AgentError> {
    let Placed { agent, mut seed } = placed;
    root.write(AGENT_PATH, agent, 0o755)?;
    root.write(UNIT_PATH, UNIT.as_bytes(), 0o644)?;
    for (name, text) in [
        (KEY, std::mem::take(&mut seed.key_pem)),
        (CERTIFICATE, std::mem::take(&mut seed.certificate_pem)),
        (CA, seed.ca_pem.clone()),
    ] {
        root.write(&format!("{CREDENTIAL_DIR}/{name}"), text.as_bytes(), 0o600)?;
    }
    root.link(WANTED_PATH, &format!("/{UNIT_PATH}"))?;
    root.write_json(SEED_PATH, &seed)
}

/// Removes what [`place`] placed and nothing else; what is not there is fine.
///
/// # Errors
/// Something cannot be removed.
pub fn remove(root: &Root) -> Result<(), AgentError> {
    root.remove(SEED_PATH)?;
    root.remove(WANTED_PATH)?;
    root.remove(UNIT_PATH)?;
    for name in [KEY, CERTIFICATE, CA] {
        root.remove(&format!("{CREDENTIAL_DIR}/{name}"))?;
    }
    root.remove(AGENT_PATH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    fn files(below: &Path, found: &mut Vec<String>, root: &Path) {
        for entry in std::fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                files(&path, found, root);
            } else {
                let name = path.strip_prefix(root).unwrap();
                found.push(name.to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn what_is_placed_is_what_was_said_and_goes_again_without_a_trace_of_the_hosts() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path().to_owned());
        root.write("etc/hostname", b"theirs\n", 0o644).unwrap();
        let text = r#"{"schema":1,"node":"n","run":"adopted","plan":"PLAN","provisioner":"https://a:1","ca_pem":"CA",
            "certificate_pem":"CRT","key_pem":"KEY","root_guid":"","volumes":[],"adopted":true,
            "network_boot":{"mac":"52:54:00:12:34:56","firmware":"uefi-pxe"}}"#;
        let seed: HostSeed = serde_json::from_str(&text.replace("PLAN", &"ab".repeat(32))).unwrap();
        for _ in 0..2 {
            let seed = seed.clone();
            let agent = b"program";
            place(&root, Placed { agent, seed }).unwrap();
        }
        let mut found = Vec::new();
        files(dir.path(), &mut found, dir.path());
        for file in &found {
            let said = |(path, _): &(String, &str)| file == path || file.starts_with(path.as_str());
            assert!(
                file == "etc/hostname" || written().iter().any(said),
                "{file}"
            );
        }
        assert_eq!(found.len(), 8, "{found:?}");
        let mode = |path: &str| {
            let data = std::fs::metadata(root.at(path)).unwrap();
            data.permissions().mode() & 0o777
        };
        assert_eq!(mode("etc/groundstate/credential/host.key"), 0o600);
        assert_eq!(mode("etc/groundstate/credential"), 0o700);
        assert_eq!(mode(AGENT_PATH), 0o755);
        let kept: HostSeed = root.read_json(SEED_PATH).unwrap().unwrap();
        assert_eq!((kept.key_pem.as_str(), kept.adopted), ("", true));
        assert!(
            !UNIT.contains("Before="),
            "nothing of the host waits for it"
        );
        remove(&root).unwrap();
        remove(&root).unwrap();
        let mut left = Vec::new();
        files(dir.path(), &mut left, dir.path());
        assert_eq!(left, ["etc/hostname"]);
    }
}
