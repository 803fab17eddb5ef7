// SPDX-License-Identifier: Apache-2.0
//! Writes a `newc` cpio archive, the format of an initramfs (Linux, Documentation/driver-api/early-userspace/buffer-format).
//!
//! Deterministic: entries by name, time 0, owner 0, inode numbers counted. The same content gives the same bytes.

use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;

/// What stands under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Folder,
    File { mode: u32, bytes: Vec<u8> },
    Link(String),
    Device { major: u32, minor: u32 },
}

/// An archive in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Archive(BTreeMap<String, Entry>);

const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFCHR: u32 = 0o020_000;

impl Archive {
    /// A folder, mode 0755, with the folders above it.
    pub(crate) fn folder(&mut self, path: &str) {
        let mut end = 0;
        while let Some(next) = path.get(end..).and_then(|rest| rest.find('/')) {
            end += next;
            self.0.insert(
                path.get(..end).unwrap_or_default().to_owned(),
                Entry::Folder,
            );
            end += 1;
        }
        self.0.insert(path.to_owned(), Entry::Folder);
    }

    /// A file with its mode's permission bits; the folders above it appear.
    pub(crate) fn file(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        self.place(path, Entry::File { mode, bytes });
    }

    /// A symbolic link.
    pub(crate) fn link(&mut self, path: &str, to: &str) {
        self.place(path, Entry::Link(to.to_owned()));
    }

    /// A character device, mode 0600.
    pub(crate) fn device(&mut self, path: &str, major: u32, minor: u32) {
        self.place(path, Entry::Device { major, minor });
    }

    fn place(&mut self, path: &str, entry: Entry) {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder);
        }
        self.0.insert(path.to_owned(), entry);
    }

    /// The archive's bytes.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut number = 0u32;
        for (path, entry) in &self.0 {
            number += 1;
            let link;
            let (mode, content, device): (u32, &[u8], (u32, u32)) = match entry {
                Entry::Folder => (S_IFDIR | 0o755, &[], (0, 0)),
                Entry::File { mode, bytes } => (S_IFREG | mode, bytes, (0, 0)),
                Entry::Link(to) => {
                    link = to.as_bytes();
                    (S_IFLNK | 0o777, link, (0, 0))
                }
                Entry::Device { major, minor } => (S_IFCHR | 0o600, &[], (*major, *minor)),
            };
            if path.starts_with('/') || path.is_empty() {
                bail!("{path:?} is no name inside an archive");
            }
            header(&mut out, number, mode, content, device, path)?;
        }
        header(&mut out, 0, 0, &[], (0, 0), "TRAILER!!!")?;
        // The kernel looks for the next archive at a multiple of 4; 512 is what every tool pads to.
        out.resize(out.len().next_multiple_of(512), 0);
        Ok(out)
    }
}

fn header(
    out: &mut Vec<u8>,
    inode: u32,
    mode: u32,
    content: &[u8],
    device: (u32, u32),
    name: &str,
) -> Result<()> {
    let size = u32::try_from(content.len())
        .with_context(|| format!("{name} is larger than an archive can say"))?;
    let name_size = u32::try_from(name.len() + 1)?;
    let links = if mode & S_IFDIR == 0 { 1 } else { 2 };
    out.extend_from_slice(b"070701");
    for field in [
        inode, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0,
    ] {
        out.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(content);
    pad(out);
    Ok(())
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    fn archive() -> Archive {
        let mut archive = Archive::default();
        archive.file("sbin/tool", 0o755, b"abc".to_vec());
        archive.link("sbin/other", "tool");
        archive.folder("proc");
        archive
    }

    #[test]
    fn the_same_content_gives_the_same_bytes_in_any_order() {
        let mut other = Archive::default();
        other.folder("proc");
        other.link("sbin/other", "tool");
        other.file("sbin/tool", 0o755, b"abc".to_vec());
        let bytes = archive().bytes().unwrap();
        assert_eq!(bytes, other.bytes().unwrap());
        assert!(bytes.starts_with(b"070701"));
        assert_eq!(bytes.len() % 512, 0);
    }

    #[test]
    fn cpio_reads_it() {
        let Ok(mut cpio) = Command::new("cpio")
            .args(["--list", "--verbose", "--numeric-uid-gid", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
        else {
            assert!(std::env::var_os("CI").is_none(), "cpio is not installed");
            eprintln!("skipped: cpio is not installed");
            return;
        };
        let mut input = cpio.stdin.take().unwrap();
        input.write_all(&archive().bytes().unwrap()).unwrap();
        drop(input);
        let output = cpio.wait_with_output().unwrap();
        assert!(output.status.success());
        let list = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = list
            .lines()
            .map(|line| {
                let words: Vec<_> = line.split_whitespace().collect();
                format!("{} {}", words[0], words[8..].join(" "))
            })
            .collect();
        assert_eq!(
            lines,
            [
                "drwxr-xr-x proc",
                "drwxr-xr-x sbin",
                "lrwxrwxrwx sbin/other -> tool",
                "-rwxr-xr-x sbin/tool"
            ]
        );
    }

    #[test]
    fn an_absolute_name_is_refused() {
        let mut archive = Archive::default();
        archive.file("/etc/passwd", 0o600, Vec::new());
        assert!(archive.bytes().is_err());
    }
}
