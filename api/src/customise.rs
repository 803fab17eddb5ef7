// SPDX-License-Identifier: Apache-2.0
//! What a host gets of its own beside its image: as the site declares it, as a plan has it, and as its bytes travel.
//!
//! A secret stands in none of the three but the last: the site and the plan have its name.

use crate::digest::Digest;
use crate::units::Bytes;
use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding as _};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest file that a site has beside its document; what is larger belongs into the image.
pub const SITE_FILE_MAX: Bytes = Bytes::mib(1);
/// The longest text of a file that stands in the site itself: a person wrote it there.
pub const SITE_TEXT_MAX: usize = 16 * 1024;
/// The most files and credentials of one node, its policy's included.
pub const FILES_MAX: usize = 64;
/// The largest secret: a chain of certificates with its key.
pub const HOST_SECRET_MAX: Bytes = Bytes(64 * 1024);
/// The longest file that stands in a plan itself, in bytes. Plans are kept in memory, one for each node.
pub const INLINE_MAX: usize = 1024;
/// The most that stands in one plan of all its files, in bytes.
pub const INLINE_ALL_MAX: usize = 4 * 1024;
/// The longest path in bytes (`PATH_MAX` of Linux, with room for a temporary name).
pub const PATH_MAX: usize = 4_000;
/// The longest part of one (`NAME_MAX` of Linux, with room for a temporary name).
const PART_MAX: usize = 240;
/// What is empty on the disk and something else when the host runs.
const ELSEWHERE: [&str; 4] = ["proc", "sys", "dev", "run"];

/// A file of the host, `[[policy.file]]` and `[[node.file]]`. One of `content`, `template` and `from` says its bytes.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRule {
    /// Where, in the host's root file system: `/etc/motd`.
    pub path: String,
    /// Its permissions, octal; `0644` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Its owner's number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub owner: u32,
    /// Its group's number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub group: u32,
    /// The partition of a whole-disk image that it goes to; the root file system where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// The text as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The text with fields that are filled in for each node ([`crate::template::Field`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// A file beside the site file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// That file's digest; `groundstate apply` writes it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// That file's length; `groundstate apply` writes it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Bytes>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A text for the host: one of `content`, `template` and `from`, as in [`FileRule`].
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSource {
    /// The text as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The text with fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// A file beside the site file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// That file's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// That file's length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Bytes>,
}

/// What cloud-init is told (NoCloud), `[policy.nocloud]` and `[node.nocloud]`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoCloud {
    /// `user-data`; empty where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<TextSource>,
    /// `meta-data`; an `instance-id` of the run and the node's name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta_data: Option<TextSource>,
    /// `network-config`; none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_config: Option<TextSource>,
}

/// A systemd credential of the host, `[[policy.credential]]` and `[[node.credential]]`. The secret stands nowhere in the site.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialRule {
    /// Its name on the host, as units name it: `/etc/credstore/NAME`.
    pub name: String,
    /// The file in the provisioner's directory of what goes to hosts: `host-credentials`, never `credentials`, where the secrets of
    /// BMCs and webhooks lie.
    pub from: String,
}

/// What the name of a host's secret begins with where systemd hands it to the provisioner: `LoadCredential=host.NAME:PATH`. The
/// credential of a BMC or a webhook never begins so.
pub const HOSTS_PREFIX: &str = "host.";

/// A list of things for hosts: those of the site's policy or those of one node.
#[derive(Clone, Copy, Debug)]
pub struct Custom<'a> {
    /// Files.
    pub files: &'a [FileRule],
    /// NoCloud.
    pub nocloud: Option<&'a NoCloud>,
    /// Credentials.
    pub credentials: &'a [CredentialRule],
    /// Answer file of Windows.
    pub unattend: Option<&'a TextSource>,
}

/// Where bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// A text.
    Content(&'a str),
    /// A text with fields.
    Template(&'a str),
    /// A file beside the site file, with digest and length once they are known.
    File {
        /// Its name.
        name: &'a str,
        /// Its digest and length.
        stored: Option<(Digest, Bytes)>,
    },
}

impl FileRule {
    /// Where its bytes come from; `None` where none or several are named.
    #[must_use]
    pub fn source(&self) -> Option<Source<'_>> {
        source(
            [&self.content, &self.template, &self.from],
            self.sha256,
            self.size,
        )
    }

    /// Its permissions; `None` where the text is none.
    #[must_use]
    pub fn mode_bits(&self) -> Option<u32> {
        let Some(text) = &self.mode else {
            return Some(0o644);
        };
        let digits = (3..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits
            .then(|| u32::from_str_radix(text, 8).ok())
            .flatten()
            .filter(|mode| *mode <= 0o7777)
    }
}

impl TextSource {
    /// Where its bytes come from; `None` where none or several are named.
    #[must_use]
    pub fn source(&self) -> Option<Source<'_>> {
        source(
            [&self.content, &self.template, &self.from],
            self.sha256,
            self.size,
        )
    }
}

fn source<'a>(
    texts: [&'a Option<String>; 3],
    digest: Option<Digest>,
    size: Option<Bytes>,
) -> Option<Source<'a>> {
    match texts.map(Option::as_deref) {
        [Some(text), None, None] => Some(Source::Content(text)),
        [None, Some(text), None] => Some(Source::Template(text)),
        [None, None, Some(name)] => Some(Source::File {
            name,
            stored: digest.zip(size),
        }),
        _ => None,
    }
}

impl NoCloud {
    /// Its documents, each with its key.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &TextSource)> {
        [
            ("user_data", &self.user_data),
            ("meta_data", &self.meta_data),
            ("network_config", &self.network_config),
        ]
        .into_iter()
        .filter_map(|(key, text)| Some((key, text.as_ref()?)))
    }
}

impl<'a> Custom<'a> {
    /// Every place that says bytes, each with its path below this list and its source.
    pub fn sources(self) -> impl Iterator<Item = (String, Option<Source<'a>>)> {
        let files = self.files.iter().enumerate();
        let files = files.map(|(at, file)| (alloc::format!("file[{at}]"), file.source()));
        let texts = self.nocloud.into_iter().flat_map(NoCloud::texts);
        let texts = texts.map(|(key, text)| (alloc::format!("nocloud.{key}"), text.source()));
        let unattend = self.unattend.into_iter();
        let unattend = unattend.map(|text| (String::from("unattend"), text.source()));
        files.chain(texts).chain(unattend)
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
            && self.nocloud.is_none()
            && self.credentials.is_empty()
            && self.unattend.is_none()
    }
}

/// What is wrong with a path of a host's file; `None` where it is one.
#[must_use]
pub fn path_fault(text: &str) -> Option<&'static str> {
    let Some(relative) = text.strip_prefix('/') else {
        return Some("it does not begin with /");
    };
    if text.len() > PATH_MAX {
        return Some("it is too long");
    }
    if text.chars().any(char::is_control) {
        return Some("it has control characters");
    }
    for part in relative.split('/') {
        if part.is_empty() {
            return Some("a part of it is empty, or it ends with /");
        }
        if matches!(part, "." | "..") {
            return Some("`.` and `..` are not taken");
        }
        if part.len() > PART_MAX {
            return Some("a part of it is too long");
        }
    }
    let first = relative.split('/').next().unwrap_or_default();
    ELSEWHERE
        .contains(&first)
        .then_some("another file system is there when the host runs")
}

/// Whether a text is the name of a credential, as systemd takes them.
#[must_use]
pub fn is_credential_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ':');
    !name.is_empty()
        && name.len() <= PART_MAX
        && !matches!(name, "." | "..")
        && name.chars().all(plain)
}

/// A file system that files are put into.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileFs {
    /// ext2, ext3 or ext4.
    Ext4,
    /// FAT: without owners and permissions.
    Vfat,
}

/// A file that a plan puts into the host.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFile {
    /// The partition of the image that it goes to; 0 where the image is one file system.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub partition: u32,
    /// That partition's file system.
    pub fs: FileFs,
    /// Where.
    pub path: String,
    /// Its permissions.
    pub mode: u32,
    /// Its owner's number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub owner: u32,
    /// Its group's number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub group: u32,
    /// The permissions of folders that are made for it.
    pub folder_mode: u32,
    /// Its bytes.
    pub content: PlannedContent,
}

impl PlannedFile {
    /// What a person reads of it: path, permissions and length; of a secret only that it is one.
    #[must_use]
    pub fn words(&self) -> String {
        let whose = match self.partition {
            0 => String::new(),
            number => alloc::format!("partition {number}: "),
        };
        let owner = match (self.owner, self.group) {
            (0, 0) => String::new(),
            (owner, group) => alloc::format!(", {owner}:{group}"),
        };
        let mode = match self.fs {
            FileFs::Ext4 => alloc::format!("mode {:04o}{owner}", self.mode),
            FileFs::Vfat => String::from("FAT"),
        };
        let what = match &self.content {
            PlannedContent::Inline { text } => {
                let digest = Digest::of(text.as_bytes());
                alloc::format!("{} bytes, {}", text.len(), digest.short())
            }
            PlannedContent::Stored { digest, size } => {
                alloc::format!("{} bytes, {}", size.0, digest.short())
            }
            PlannedContent::Credential { from } => {
                alloc::format!("the secret {from:?}, fetched when it is put there")
            }
        };
        alloc::format!("{whose}{} ({what}, {mode})", self.path)
    }

    /// Whether its bytes are a secret.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self.content, PlannedContent::Credential { .. })
    }
}

/// Where the bytes of a planned file are.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PlannedContent {
    /// Here.
    Inline {
        /// The text.
        text: String,
    },
    /// The provisioner has them: [`crate::paths::RUN_FILE`].
    Stored {
        /// Their SHA-256.
        digest: Digest,
        /// Their length.
        size: Bytes,
    },
    /// A secret; the plan has neither its bytes nor their digest: [`crate::paths::RUN_CREDENTIAL`].
    Credential {
        /// The file in the provisioner's credentials directory.
        from: String,
    },
}

/// A file's bytes on their way.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileBytes {
    /// The bytes, base64 (RFC 4648, with padding).
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub base64: Encoded,
}

/// Bytes that are written as base64 and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded(pub Vec<u8>);

impl fmt::Debug for Encoded {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Encoded(..)")
    }
}

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Base64::encode_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = Base64::decode_vec(&text)
            .map_err(|_| serde::de::Error::custom("should be base64 with padding"))?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn one_source_is_one_and_permissions_are_octal() {
        let mut file = FileRule::default();
        assert_eq!(file.source(), None);
        file.content = Some("a".to_string());
        assert_eq!(file.source(), Some(Source::Content("a")));
        file.from = Some("b".to_string());
        assert_eq!(file.source(), None, "two");
        assert_eq!(file.mode_bits(), Some(0o644));
        for (text, bits) in [
            ("0600", Some(0o600)),
            ("755", Some(0o755)),
            ("4755", Some(0o4755)),
            ("", None),
            ("+60", None),
            ("0888", None),
            ("00644", None),
            ("rw", None),
        ] {
            file.mode = Some(text.to_string());
            assert_eq!(file.mode_bits(), bits, "{text}");
        }
    }

    #[test]
    fn bytes_travel_as_base64_and_are_not_shown() {
        let bytes = FileBytes {
            base64: Encoded(b"geheim\xff\n".to_vec()),
        };
        let json = serde_json::to_string(&bytes).unwrap();
        assert_eq!(json, r#"{"base64":"Z2VoZWlt/wo="}"#);
        assert_eq!(serde_json::from_str::<FileBytes>(&json).unwrap(), bytes);
        assert!(serde_json::from_str::<FileBytes>(r#"{"base64":"Z2Vo ZWlt"}"#).is_err());
        assert!(!alloc::format!("{bytes:?}").contains("eheim"));
    }
}
