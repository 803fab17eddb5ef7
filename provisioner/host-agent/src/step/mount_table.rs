// SPDX-License-Identifier: Apache-2.0
//! What is mounted where: `/proc/self/mountinfo` (proc(5)).

use crate::error::AgentError;
use crate::root::Root;

const MOUNTINFO: &str = "proc/self/mountinfo";

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// `major:minor` of its device.
    pub(crate) device: String,
    /// Where it is mounted.
    pub(crate) at: String,
    /// Its kind.
    pub(crate) kind: String,
    /// What was mounted.
    pub(crate) source: String,
}

/// Everything that is mounted; a later entry covers an earlier one at the same place.
pub(crate) fn mounts(root: &Root) -> Result<Vec<Mount>, AgentError> {
    let text = root.read_text(MOUNTINFO)?.unwrap_or_default();
    Ok(text.lines().filter_map(parse).collect())
}

/// The file system at `place`.
pub(crate) fn mounted_at(root: &Root, place: &str) -> Result<Option<Mount>, AgentError> {
    Ok(mounts(root)?.into_iter().rfind(|mount| mount.at == place))
}

fn parse(line: &str) -> Option<Mount> {
    let (head, tail) = line.split_once(" - ")?;
    let mut head = head.split(' ').skip(2);
    let (device, at) = (head.next()?, head.nth(1)?);
    let mut tail = tail.split(' ');
    let (kind, source) = (tail.next()?, tail.next()?);
    Some(Mount {
        device: device.into(),
        at: unescape(at),
        kind: kind.into(),
        source: unescape(source),
    })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .into_iter()
    .fold(text.to_string(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_real_kernel_are_understood() {
        let line = "25 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro";
        let root = Mount {
            device: "259:2".into(),
            at: "/".into(),
            kind: "ext4".into(),
            source: "/dev/nvme0n1p2".into(),
        };
        assert_eq!(parse(line), Some(root));
        let spaced = parse("60 25 8:1 / /data/a\\040b rw - ext4 /dev/sda1 rw").unwrap();
        assert_eq!(spaced.at, "/data/a b");
        assert_eq!(parse("nonsense"), None);
    }
}
