// SPDX-License-Identifier: Apache-2.0
//! A machine-id of its own (machine-id(5)): all hosts of one image begin with the same one, or systemd made one at this
//! boot that we cannot tell from the image's; so a fresh one is always written.
//!
//! The systemd, journald and networkd that already run read theirs at start and keep it until the next boot. Nothing is
//! restarted for it: the report says so instead.

use crate::error::AgentError;
use crate::root::Root;
use std::fs::symlink_metadata;

const MACHINE_ID: &str = "etc/machine-id";
/// D-Bus's own copy; usually a link to the first.
const DBUS_MACHINE_ID: &str = "var/lib/dbus/machine-id";

pub(super) fn observe(root: &Root) -> Result<String, AgentError> {
    let text = root.read_text(MACHINE_ID)?.unwrap_or_default();
    let id = text.trim();
    Ok(if id.is_empty() {
        "none".into()
    } else {
        id.into()
    })
}

pub(super) fn is_reached(root: &Root, goal: Option<&str>) -> Result<bool, AgentError> {
    let wanted = goal.unwrap_or_default();
    Ok(observe(root)? == wanted && dbus_copy(root)?.is_none_or(|copy| copy.trim() == wanted))
}

pub(super) fn act(root: &Root, goal: Option<&str>) -> Result<(), AgentError> {
    let line = format!("{}\n", goal.unwrap_or_default());
    if dbus_copy(root)?.is_some() {
        root.write(DBUS_MACHINE_ID, line.as_bytes(), 0o444)?;
    }
    root.write(MACHINE_ID, line.as_bytes(), 0o444)
}

/// 32 random hexadecimal digits, a version 4 UUID as machine-id(5) asks.
pub(super) fn fresh() -> Result<String, AgentError> {
    let mut bytes = [0u8; 16];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| AgentError::Entropy(errno.into()))?;
    if got != bytes.len() {
        return Err(AgentError::Entropy(
            std::io::ErrorKind::UnexpectedEof.into(),
        ));
    }
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// D-Bus's copy where it is a file of its own.
fn dbus_copy(root: &Root) -> Result<Option<String>, AgentError> {
    let own = symlink_metadata(root.at(DBUS_MACHINE_ID)).is_ok_and(|found| found.is_file());
    if own {
        root.read_text(DBUS_MACHINE_ID)
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ids_are_version_4_and_differ() {
        let id = fresh().unwrap();
        assert_eq!(id.len(), 32);
        assert_eq!(&id[12..13], "4");
        assert_ne!(fresh().unwrap(), id);
    }

    #[test]
    fn a_copy_of_dbus_follows_and_a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path().into());
        root.write(MACHINE_ID, b"uninitialized\n", 0o444).unwrap();
        root.write(DBUS_MACHINE_ID, b"old\n", 0o444).unwrap();
        act(&root, Some("new")).unwrap();
        assert!(is_reached(&root, Some("new")).unwrap());
        assert_eq!(
            root.read_text(DBUS_MACHINE_ID).unwrap().as_deref(),
            Some("new\n")
        );
        root.remove(DBUS_MACHINE_ID).unwrap();
        std::os::unix::fs::symlink("/etc/machine-id", root.at(DBUS_MACHINE_ID)).unwrap();
        act(&root, Some("newer")).unwrap();
        assert!(
            symlink_metadata(root.at(DBUS_MACHINE_ID))
                .unwrap()
                .is_symlink()
        );
    }
}
