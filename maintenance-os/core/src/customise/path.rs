// SPDX-License-Identifier: Apache-2.0
//! A path below the root of a file system, checked before anything is opened.

use super::refusal::CustomiseRefusal;
use alloc::string::{String, ToString as _};
use core::fmt;

/// The longest path in bytes (`PATH_MAX` of Linux, with room for a temporary name).
pub const PATH_MAX: usize = 4_000;
/// The longest part of one (`NAME_MAX` of Linux, with room for a temporary name).
const PART_MAX: usize = 240;
/// What is empty on the disk and something else when the host runs.
const ELSEWHERE: [&str; 4] = ["proc", "sys", "dev", "run"];

/// An absolute path of plain parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootPath(String);

impl RootPath {
    /// Takes a path of a file.
    ///
    /// # Errors
    /// It is not absolute, has empty parts, `.` or `..`, control characters, is too long, or is where another file system
    /// is when the host runs.
    pub fn parse(text: &str) -> Result<Self, CustomiseRefusal> {
        let refused = |why| {
            Err(CustomiseRefusal::Path {
                path: text.chars().take(PART_MAX).collect(),
                why,
            })
        };
        let Some(relative) = text.strip_prefix('/') else {
            return refused("it does not begin with /");
        };
        if text.len() > PATH_MAX {
            return refused("it is too long");
        }
        if text.chars().any(char::is_control) {
            return refused("it has control characters");
        }
        for part in relative.split('/') {
            if part.is_empty() {
                return refused("a part of it is empty, or it ends with /");
            }
            if matches!(part, "." | "..") {
                return refused("`.` and `..` are not taken");
            }
            if part.len() > PART_MAX {
                return refused("a part of it is too long");
            }
        }
        let first = relative.split('/').next().unwrap_or_default();
        if ELSEWHERE.contains(&first) {
            return refused("another file system is there when the host runs");
        }
        Ok(Self(text.to_string()))
    }

    /// Without the `/` at its start.
    #[must_use]
    pub fn relative(&self) -> &str {
        self.0.strip_prefix('/').unwrap_or(&self.0)
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RootPath {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_absolute_paths_are_taken() {
        for fine in ["/a", "/etc/motd", "/a/.b/..c/d e", "/runs/x", "/ü"] {
            assert_eq!(RootPath::parse(fine).unwrap().as_str(), fine);
        }
        let long = alloc::format!("/{}", "a".repeat(PART_MAX + 1));
        let longer = "/a".repeat(PATH_MAX);
        for wrong in [
            "", "/", "a", "a/b", "//a", "/a//b", "/a/", "/..", "/a/../b", "/a/.", "./a", "/a\0b",
            "/a\nb", "/proc/x", "/run/x", "/dev", &long, &longer,
        ] {
            assert!(RootPath::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_taken_never_leads_up(text in "\\PC{0,40}") {
            if let Ok(path) = RootPath::parse(&text) {
                proptest::prop_assert!(path.relative().split('/').all(|part| !matches!(part, "" | "." | "..")));
            }
        }
    }
}
