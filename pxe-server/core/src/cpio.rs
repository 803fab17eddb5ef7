// SPDX-License-Identifier: Apache-2.0
//! A writer of `newc` cpio archives, the form in which Linux takes an initramfs (kernel `Documentation/driver-api/
//! early-userspace/buffer-format.rst`).
//!
//! Same entries, same bytes: entries are sorted, times and owners are zero, inodes are counted. It refuses to read
//! archives and to compress them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Archives and the parts inside begin at multiples of this, in bytes.
const ALIGNMENT: usize = 4;
/// The longest path, in bytes; the kernel's `N_ALIGN(PATH_MAX)` bounds it at 4,096.
const PATH_MAX: usize = 1_024;
const DIRECTORY: u32 = 0o040_755;
const REGULAR: u32 = 0o100_000;
const CLOSING: &str = "TRAILER!!!";

/// Why something cannot stand in an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpioError {
    /// The path is empty, absolute, too long, or has an empty, `.` or `..` part or a NUL.
    #[error("{path:?} is not a relative path of plain parts with at most {PATH_MAX} bytes")]
    Path {
        /// The path.
        path: String,
    },
    /// A file of 4 GiB or more: the header has 32 bits.
    #[error("{path} has {bytes} bytes; newc holds less than 4 GiB")]
    TooLong {
        /// The path.
        path: String,
        /// Its length.
        bytes: usize,
    },
    /// The path, or a folder above it, is there already as another kind.
    #[error("{path} is in the archive already")]
    Twice {
        /// The path.
        path: String,
    },
}

/// An archive in the making.
#[derive(Clone, Debug, Default)]
pub struct Archive<'a> {
    entries: BTreeMap<String, Entry<'a>>,
}

#[derive(Clone, Debug)]
enum Entry<'a> {
    Directory,
    File { permissions: u32, bytes: &'a [u8] },
}

impl<'a> Archive<'a> {
    /// An empty archive.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
        }
    }

    /// Adds a file, and the folders above it (mode 0755) where they are not there yet. `permissions` are the low nine
    /// bits of its mode.
    ///
    /// # Errors
    /// A path that is not plain, a file that is too long, or a name that is taken.
    pub fn file(&mut self, path: &str, permissions: u16, bytes: &'a [u8]) -> Result<(), CpioError> {
        let plain =
            |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
        if path.len() > PATH_MAX || !path.split('/').all(plain) {
            return Err(CpioError::Path {
                path: path.to_string(),
            });
        }
        if u32::try_from(bytes.len()).is_err() {
            return Err(CpioError::TooLong {
                path: path.to_string(),
                bytes: bytes.len(),
            });
        }
        for (end, _) in path.match_indices('/') {
            let folder = path.get(..end).unwrap_or_default();
            match self.entries.get(folder) {
                None => drop(self.entries.insert(folder.to_string(), Entry::Directory)),
                Some(Entry::Directory) => {}
                Some(Entry::File { .. }) => {
                    return Err(CpioError::Twice {
                        path: folder.to_string(),
                    });
                }
            }
        }
        let entry = Entry::File {
            permissions: u32::from(permissions & 0o777),
            bytes,
        };
        match self.entries.insert(path.to_string(), entry) {
            None => Ok(()),
            Some(_) => Err(CpioError::Twice {
                path: path.to_string(),
            }),
        }
    }

    /// The archive's bytes; their number is a multiple of 4.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut inode = 0u32;
        // A folder sorts before what lies in it, because its name is a prefix.
        for (path, entry) in &self.entries {
            inode = inode.saturating_add(1);
            match entry {
                Entry::Directory => write_entry(&mut out, inode, DIRECTORY, 2, path, &[]),
                Entry::File { permissions, bytes } => {
                    write_entry(&mut out, inode, REGULAR | permissions, 1, path, bytes);
                }
            }
        }
        write_entry(&mut out, 0, 0, 1, CLOSING, &[]);
        out
    }
}

/// Appends zeros until `out` ends at a multiple of 4, so that another archive may follow.
pub fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}

fn write_entry(out: &mut Vec<u8>, inode: u32, mode: u32, links: u32, path: &str, bytes: &[u8]) {
    // Inode, mode, uid, gid, links, mtime, file size, device major and minor, rdev major and minor, name size, check.
    let fields = [
        inode,
        mode,
        0,
        0,
        links,
        0,
        clamp(bytes.len()),
        0,
        0,
        0,
        0,
        clamp(path.len() + 1),
        0,
    ];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(bytes);
    pad(out);
}

fn clamp(length: usize) -> u32 {
    u32::try_from(length).expect("Archive::file refuses names and files that 32 bits do not count")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    #[test]
    fn same_entries_same_bytes_in_any_order() {
        let mut one = Archive::new();
        one.file("etc/groundstate/boot.json", 0o644, b"{}").unwrap();
        one.file("init", 0o755, b"abc").unwrap();
        let mut two = Archive::new();
        two.file("init", 0o755, b"abc").unwrap();
        two.file("etc/groundstate/boot.json", 0o644, b"{}").unwrap();
        assert_eq!(one.write(), two.write());
        assert_eq!(one.write().len() % ALIGNMENT, 0);
    }

    #[test]
    fn what_cannot_stand_in_an_archive_is_refused() {
        let mut archive = Archive::new();
        for path in [
            "",
            "/etc",
            "a//b",
            "../a",
            "a/./b",
            "a\0b",
            &"x".repeat(2_000),
        ] {
            assert!(
                matches!(archive.file(path, 0o644, b""), Err(CpioError::Path { .. })),
                "{path:?}"
            );
        }
        archive.file("a/b", 0o644, b"").unwrap();
        assert!(matches!(
            archive.file("a/b", 0o644, b""),
            Err(CpioError::Twice { .. })
        ));
        assert!(matches!(
            archive.file("a/b/c", 0o644, b""),
            Err(CpioError::Twice { .. })
        ));
    }

    #[test]
    fn cpio_reads_what_we_write() {
        let mut archive = Archive::new();
        archive
            .file("etc/groundstate/boot.json", 0o644, b"{\"schema\":1}")
            .unwrap();
        archive.file("init", 0o755, b"#!/bin/sh\n").unwrap();
        let child = Command::new("cpio")
            .args(["-itv", "--numeric-uid-gid"])
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "cpio is not installed: {error}"
                );
                eprintln!("skipped: cpio is not installed");
                return;
            }
        };
        child
            .stdin
            .take()
            .unwrap()
            .write_all(&archive.write())
            .unwrap();
        let listing = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let lines: Vec<String> = listing
            .lines()
            .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        expect_test::expect![[r#"
            drwxr-xr-x 2 0 0 0 Jan 1 1970 etc
            drwxr-xr-x 2 0 0 0 Jan 1 1970 etc/groundstate
            -rw-r--r-- 1 0 0 12 Jan 1 1970 etc/groundstate/boot.json
            -rwxr-xr-x 1 0 0 10 Jan 1 1970 init"#]]
        .assert_eq(&lines.join("\n"));
    }
}
