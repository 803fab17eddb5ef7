// SPDX-License-Identifier: Apache-2.0
//! SSH host keys of its own: the image's are removed and `ssh-keygen -A` makes new ones. An image without an SSH server
//! gets none. Only fingerprints are ever shown.

use crate::error::AgentError;
use crate::host::Host;
use crate::root::Root;
use std::fs;

const SSH: &str = "etc/ssh";
/// Says for which attempt the keys were made, so that a power cut cannot pass the image's keys off as ours.
const MADE: &str = "var/lib/groundstate/ssh-host-keys";

pub(super) fn observe<H: Host>(root: &Root, host: &H) -> Result<String, AgentError> {
    let mut prints = Vec::new();
    for name in key_files(root)?
        .iter()
        .filter(|name| name.ends_with(".pub"))
    {
        let path = root.at(&format!("{SSH}/{name}"));
        let line = host.command("ssh-keygen", &["-l", "-f", &path.to_string_lossy()])?;
        let words: Vec<&str> = line.split_whitespace().collect();
        // `256 SHA256:… comment (ED25519)`
        if let [_, print, .., kind] = words.as_slice() {
            prints.push(format!("{} {print}", kind.trim_matches(['(', ')'])));
        }
    }
    Ok(if prints.is_empty() {
        "none".into()
    } else {
        prints.join(", ")
    })
}

pub(super) fn is_reached(root: &Root, goal: Option<&str>) -> Result<bool, AgentError> {
    Ok(root.read_text(MADE)?.as_deref() == goal)
}

pub(super) fn act<H: Host>(root: &Root, host: &H, goal: Option<&str>) -> Result<(), AgentError> {
    if root.at(SSH).is_dir() {
        for name in key_files(root)? {
            root.remove(&format!("{SSH}/{name}"))?;
        }
        host.command("ssh-keygen", &["-A", "-f", &root.path().to_string_lossy()])?;
        if key_files(root)?.is_empty() {
            return Err(AgentError::NoSshKeys {
                directory: root.at(SSH),
            });
        }
        // ssh-keygen does not sync; without this a power cut could leave empty key files beside our note.
        for name in key_files(root)? {
            let path = root.at(&format!("{SSH}/{name}"));
            fs::File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(|error| AgentError::Write { path, error })?;
        }
        let path = root.at(SSH);
        fs::File::open(&path)
            .and_then(|dir| dir.sync_all())
            .map_err(|error| AgentError::Write { path, error })?;
    }
    root.write(MADE, goal.unwrap_or_default().as_bytes(), 0o600)
}

/// `ssh_host_*` in `/etc/ssh`, sorted.
fn key_files(root: &Root) -> Result<Vec<String>, AgentError> {
    let path = root.at(SSH);
    let list = match fs::read_dir(&path) {
        Ok(list) => list,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(AgentError::Read { path, error }),
    };
    let mut names = Vec::new();
    for entry in list {
        let entry = entry.map_err(|error| AgentError::Read {
            path: path.clone(),
            error,
        })?;
        names.extend(
            entry
                .file_name()
                .into_string()
                .ok()
                .filter(|name| name.starts_with("ssh_host_")),
        );
    }
    names.sort();
    Ok(names)
}
