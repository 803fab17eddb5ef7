// SPDX-License-Identifier: Apache-2.0
//! A path below the root of a file system, checked before anything is opened.

use super::refusal::CustomiseRefusal;
use alloc::string::{String, ToString as _};
use core::fmt;
use groundstate_api::customise::path_fault;

/// What is shown of a path that is none, in characters.
const SHOWN_MAX: usize = 240;

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
        match path_fault(text) {
            None => Ok(Self(text.to_string())),
            Some(why) => Err(CustomiseRefusal::Path {
                path: text.chars().take(SHOWN_MAX).collect(),
                why,
            }),
        }
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
    use groundstate_api::customise::PATH_MAX;

    #[test]
    fn only_plain_absolute_paths_are_taken() {
        for fine in ["/a", "/etc/motd", "/a/.b/..c/d e", "/runs/x", "/ü"] {
            assert_eq!(RootPath::parse(fine).unwrap().as_str(), fine);
        }
        let long = alloc::format!("/{}", "a".repeat(241));
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
