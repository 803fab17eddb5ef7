// SPDX-License-Identifier: Apache-2.0
//! Boot Loader Specification type 1 entries (UAPI.1): the small text files that systemd-boot reads from the ESP.
//!
//! Only the keys that we write are understood by name; others are skipped, as the specification asks. A file that names
//! no kernel, or a path that leaves the ESP, is refused.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use thiserror::Error;

/// Our entry's file on the ESP.
pub const ENTRY_PATH: &str = "loader/entries/groundstate.conf";
/// The boot loader's own configuration on the ESP.
pub const LOADER_CONF_PATH: &str = "loader/loader.conf";
/// The boot loader's own configuration: no menu, our entry.
pub const LOADER_CONF: &str = "timeout 0\ndefault groundstate.conf\neditor no\n";
/// The largest entry that is read. Real ones are under 1 KiB.
pub const ENTRY_BYTES_MAX: usize = 16 * 1024;

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderEntry {
    /// What the menu shows.
    pub title: String,
    /// The kernel, relative to the ESP's root, without leading slash.
    pub linux: String,
    /// The initial RAM file systems, likewise, in order.
    pub initrd: Vec<String>,
    /// The kernel command line.
    pub options: String,
}

/// Why an entry was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoaderEntryError {
    /// It is too long to be an entry.
    #[error("the loader entry is {0} bytes long; at most {ENTRY_BYTES_MAX} are read")]
    TooLong(usize),
    /// It is not text.
    #[error("the loader entry is not UTF-8 text")]
    NotText,
    /// It names no kernel.
    #[error("the loader entry has no `linux` line")]
    NoKernel,
    /// A path is empty, absolute in the wrong way or leaves the ESP.
    #[error("the loader entry's `{key}` names {path:?}, which is not a plain path on the ESP")]
    Path {
        /// The key.
        key: &'static str,
        /// The path.
        path: String,
    },
    /// A value cannot stand on one line.
    #[error("the value for `{key}` holds a control character")]
    Control {
        /// The key.
        key: &'static str,
    },
}

impl LoaderEntry {
    /// The entry for a host whose root partition has `root_guid` (any case), with files below `groundstate/<plan>/`.
    #[must_use]
    pub fn for_host(plan_short: &str, root_guid: &str, cmdline: &str) -> Self {
        Self {
            title: format!("Groundstate host {plan_short}"),
            linux: format!("groundstate/{plan_short}/vmlinuz"),
            initrd: Vec::from([format!("groundstate/{plan_short}/initrd")]),
            options: host_options(root_guid, cmdline),
        }
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// It is too long, not text, names no kernel or a path that leaves the ESP.
    pub fn parse(bytes: &[u8]) -> Result<Self, LoaderEntryError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(LoaderEntryError::TooLong(bytes.len()));
        }
        let text = core::str::from_utf8(bytes).map_err(|_| LoaderEntryError::NotText)?;
        let (mut title, mut linux, mut initrd, mut options) =
            (String::new(), None, Vec::new(), Vec::new());
        for line in text.lines() {
            let line = line.trim();
            let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            match (key, value.trim()) {
                ("title", value) => title = value.to_string(),
                ("linux", value) => linux = Some(esp_path("linux", value)?),
                ("initrd", value) => initrd.push(esp_path("initrd", value)?),
                ("options", value) => options.push(value),
                _ => {}
            }
        }
        let linux = linux.ok_or(LoaderEntryError::NoKernel)?;
        Ok(Self {
            title,
            linux,
            initrd,
            options: options.join(" "),
        })
    }

    /// The file's text.
    ///
    /// # Errors
    /// A value holds a control character: it could begin a line of its own.
    pub fn render(&self) -> Result<String, LoaderEntryError> {
        for (key, value) in [
            ("title", &self.title),
            ("linux", &self.linux),
            ("options", &self.options),
        ]
        .into_iter()
        .chain(self.initrd.iter().map(|path| ("initrd", path)))
        {
            if value.chars().any(char::is_control) {
                return Err(LoaderEntryError::Control { key });
            }
        }
        Ok(self.to_string())
    }
}

/// The kernel command line of a host: its root partition, then what the image asks for.
#[must_use]
pub fn host_options(root_guid: &str, cmdline: &str) -> String {
    let root = format!(
        "root=PARTUUID={} rw {cmdline}",
        root_guid.to_ascii_lowercase()
    );
    root.trim_end().to_string()
}

/// Whether a kernel command line starts from the root partition with `root_guid` (any case), and from no other.
#[must_use]
pub fn starts_from(options: &str, root_guid: &str) -> bool {
    let wanted = format!("root=PARTUUID={root_guid}");
    let mut roots = options
        .split_ascii_whitespace()
        .filter(|word| word.starts_with("root="));
    roots
        .next()
        .is_some_and(|root| root.eq_ignore_ascii_case(&wanted))
        && roots.next().is_none()
}

impl fmt::Display for LoaderEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "title {}", self.title)?;
        writeln!(f, "linux /{}", self.linux)?;
        for path in &self.initrd {
            writeln!(f, "initrd /{path}")?;
        }
        writeln!(f, "options {}", self.options)
    }
}

fn esp_path(key: &'static str, value: &str) -> Result<String, LoaderEntryError> {
    let path = value.trim_start_matches('/');
    let plain =
        |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', ':']);
    if path.split('/').all(plain) && !path.chars().any(char::is_control) {
        Ok(path.to_string())
    } else {
        Err(LoaderEntryError::Path {
            key,
            path: value.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn our_entry_reads_back_and_its_root_is_lower_case() {
        let entry = LoaderEntry::for_host(
            "abc123",
            "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
            "console=ttyS0 quiet",
        );
        expect_test::expect![[r"
            title Groundstate host abc123
            linux /groundstate/abc123/vmlinuz
            initrd /groundstate/abc123/initrd
            options root=PARTUUID=4f68bce3-e8cd-4db1-96e7-fbcaf984b709 rw console=ttyS0 quiet
        "]]
        .assert_eq(&entry.render().unwrap());
        assert_eq!(LoaderEntry::parse(entry.to_string().as_bytes()), Ok(entry));
    }

    #[test]
    fn options_start_from_the_root_that_they_name() {
        let guid = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709";
        let options = host_options(guid, "console=ttyS0 quiet");
        assert!(starts_from(&options, guid));
        assert!(starts_from(&options, &guid.to_lowercase()));
        assert!(!starts_from(
            &options,
            "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B70A"
        ));
        assert!(!starts_from("console=ttyS0", guid));
        assert!(!starts_from(&host_options(guid, "root=/dev/sda1"), guid));
    }

    #[test]
    fn entries_of_others_are_read_with_comments_tabs_and_several_options() {
        let text = "# made by hand\ntitle\tDebian\nversion 6.1\nlinux /vmlinuz\ninitrd /a\ninitrd b/c\noptions rw\noptions quiet\n";
        let entry = LoaderEntry::parse(text.as_bytes()).unwrap();
        assert_eq!(entry.initrd, ["a", "b/c"]);
        assert_eq!(entry.options, "rw quiet");
    }

    #[test]
    fn what_leaves_the_esp_is_refused() {
        for bad in [
            "linux ../vmlinuz",
            "linux",
            "linux /a//b",
            "linux a\\b",
            "linux /./a",
        ] {
            assert!(
                matches!(
                    LoaderEntry::parse(bad.as_bytes()),
                    Err(LoaderEntryError::Path { .. })
                ),
                "{bad}"
            );
        }
        assert_eq!(
            LoaderEntry::parse(b"title x"),
            Err(LoaderEntryError::NoKernel)
        );
        assert_eq!(LoaderEntry::parse(&[0xff]), Err(LoaderEntryError::NotText));
        let long = vec![b' '; ENTRY_BYTES_MAX + 1];
        assert_eq!(
            LoaderEntry::parse(&long),
            Err(LoaderEntryError::TooLong(ENTRY_BYTES_MAX + 1))
        );
        let injected = LoaderEntry::for_host("abc", "AA", "quiet\nlinux /evil");
        assert_eq!(
            injected.render(),
            Err(LoaderEntryError::Control { key: "options" })
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _outcome = LoaderEntry::parse(&bytes);
        }
    }
}
