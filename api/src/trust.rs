// SPDX-License-Identifier: Apache-2.0
//! Who may say what an image is, what they said, and which image a channel stands for.
//!
//! Three documents, each in its one form of bytes (JSON without white space, fields in the order of the type) with the
//! signatures beside it, each in a file of its own in minisign's format. The first field of each says which document it
//! is, so that a signature made over one of them is never one over another.

use crate::digest::Digest;
use crate::image::ImageKind;
use crate::units::{Bytes, Millis};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The schema number of the three documents.
pub const TRUST_SCHEMA: u32 = 1;

/// Which document it is: the first field of each.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DocumentType {
    /// [`TrustRoot`].
    #[serde(rename = "groundstate-trust-root")]
    Root,
    /// [`ImageSigned`].
    #[serde(rename = "groundstate-image")]
    Image,
    /// [`Catalogue`].
    #[serde(rename = "groundstate-catalogue")]
    Catalogue,
}

impl DocumentType {
    /// The word in the document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "groundstate-trust-root",
            Self::Image => "groundstate-image",
            Self::Catalogue => "groundstate-catalogue",
        }
    }
}

/// As people name it.
impl fmt::Display for DocumentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Root => "trust root",
            Self::Image => "statement of the image",
            Self::Catalogue => "catalogue",
        })
    }
}

/// The eight bytes by which minisign tells keys apart, written as minisign writes them: hexadecimal, most significant first.
///
/// An id is a hint and proves nothing: whoever makes a key chooses its id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u64);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a key id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseKeyIdError;

impl fmt::Display for ParseKeyIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key id is 16 upper-case hexadecimal digits")
    }
}

impl core::error::Error for ParseKeyIdError {}

impl FromStr for KeyId {
    type Err = ParseKeyIdError;
    fn from_str(text: &str) -> Result<Self, ParseKeyIdError> {
        let digit = |c: char| matches!(c, '0'..='9' | 'A'..='F');
        if text.len() != 16 || !text.chars().all(digit) {
            return Err(ParseKeyIdError);
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| ParseKeyIdError)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A key that a trust root knows.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustKey {
    /// Its id, as it stands in the key.
    pub id: KeyId,
    /// The public key in minisign's form: `RW` and 54 more letters.
    pub key: String,
    /// Whose it is, for people.
    pub comment: String,
}

/// Whose signatures are needed for one kind of document, and how many.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The ids of the keys.
    pub keys: Vec<KeyId>,
    /// How many of them have to sign, at least 1.
    pub threshold: u32,
}

/// Who signs what.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// Who signs the next trust root.
    pub root: Role,
    /// Who signs images.
    pub images: Role,
    /// Who signs the catalogue: what channels stand for, and what is revoked.
    pub channels: Role,
}

/// Whom to believe. The first one is pinned by hand; each later one is signed by those of the one before and by its own.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustRoot {
    /// [`DocumentType::Root`].
    #[serde(rename = "type")]
    pub document: DocumentType,
    /// [`TRUST_SCHEMA`].
    pub schema: u32,
    /// 1 for the first; each next one is one more.
    pub version: u64,
    /// From when on it is not believed, in milliseconds since 1970.
    pub expires: Millis,
    /// The keys by id.
    pub keys: Vec<TrustKey>,
    /// Who signs what.
    pub roles: Roles,
}

impl TrustRoot {
    /// The key of that id.
    #[must_use]
    pub fn key(&self, id: KeyId) -> Option<&TrustKey> {
        self.keys.iter().find(|key| key.id == id)
    }
}

/// What signers of images say: this manifest is that image.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSigned {
    /// [`DocumentType::Image`].
    #[serde(rename = "type")]
    pub document: DocumentType,
    /// [`TRUST_SCHEMA`].
    pub schema: u32,
    /// As in the manifest.
    pub name: String,
    /// As in the manifest.
    pub version: String,
    /// SHA-256 of the manifest's canonical bytes.
    pub manifest: Digest,
    /// As in the manifest.
    pub size: Bytes,
    /// As in the manifest.
    pub kind: ImageKind,
    /// When it was signed first, in milliseconds since 1970, by the signer's clock.
    pub signed_at: Millis,
    /// From when on it is not believed; `None`: as long as its keys are.
    pub expires: Option<Millis>,
}

/// What a channel stands for.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// The image's name.
    pub image: String,
    /// The channel's name, for example `stable`.
    pub channel: String,
    /// The image's version.
    pub version: String,
    /// SHA-256 of the manifest's canonical bytes.
    pub manifest: Digest,
    /// The catalogue in which the channel was set to this image.
    pub since: u64,
    /// When, in milliseconds since 1970, by the signer's clock.
    pub promoted_at: Millis,
    /// Whether it is on purpose that the version is lower than one that the channel stood for before.
    pub step_back: bool,
}

/// What is no longer believed.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RevokedPart {
    /// The image with this manifest.
    Manifest(Digest),
    /// What this key signed, images and catalogues. A root key is taken out of the trust root instead.
    Key(KeyId),
}

impl fmt::Display for RevokedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(digest) => write!(f, "image {digest}"),
            Self::Key(id) => write!(f, "key {id}"),
        }
    }
}

/// A revocation.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// What.
    pub part: RevokedPart,
    /// Since when, in milliseconds since 1970. It holds for what was signed before, too.
    pub since: Millis,
    /// Why, for people.
    pub why: String,
}

/// All channels and all revocations: one document, so that no two states can be mixed.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// [`DocumentType::Catalogue`].
    #[serde(rename = "type")]
    pub document: DocumentType,
    /// [`TRUST_SCHEMA`].
    pub schema: u32,
    /// 1 for the first; each next one is one more.
    pub sequence: u64,
    /// When it was made, in milliseconds since 1970, by the signer's clock.
    pub issued: Millis,
    /// From when on it is not believed: until then an old one can be passed off as the newest.
    pub expires: Millis,
    /// The channels by image and name.
    pub channels: Vec<Channel>,
    /// What is no longer believed.
    pub revoked: Vec<Revoked>,
}

/// A document and its signatures: what a repository answers for the three documents.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The document's bytes.
    pub document: String,
    /// The signature files, each as minisign writes one.
    pub signatures: Vec<String>,
}

/// How far a reader has come: what it never goes back behind. It is kept where a restored repository does not reach.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The newest trust root's version; 0: none.
    pub root: u64,
    /// The newest catalogue's sequence; 0: none.
    pub sequence: u64,
    /// SHA-256 of that catalogue's bytes.
    pub catalogue: Option<Digest>,
    /// When it was last believed, in milliseconds since 1970.
    pub at: Millis,
    /// The channels as they stood.
    pub channels: Vec<SeenChannel>,
}

/// How a channel stood.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenChannel {
    /// The image's name.
    pub image: String,
    /// The channel's name.
    pub channel: String,
    /// As [`Channel::since`].
    pub since: u64,
    /// What it stood for.
    pub manifest: Digest,
    /// The version of what it stood for.
    pub version: String,
}

/// How a policy or a person names an image: `NAME`, the newest import, or `NAME@CHANNEL`, what the channel stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageChoice {
    /// The image's name.
    pub name: String,
    /// The channel.
    pub channel: Option<String>,
}

/// The longest name of an image or a channel in bytes: a word on a screen of 80 columns.
pub const CHOICE_NAME_MAX: usize = 64;

/// Why a text names no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseChoiceError;

impl fmt::Display for ParseChoiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an image is named NAME or NAME@CHANNEL, each 1 to 64 of a-z, 0-9, `-`, `.`, `_`, beginning with a letter or a digit",
        )
    }
}

impl core::error::Error for ParseChoiceError {}

impl FromStr for ImageChoice {
    type Err = ParseChoiceError;
    fn from_str(text: &str) -> Result<Self, ParseChoiceError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_name = |name: &str| {
            name.len() <= CHOICE_NAME_MAX
                && name.starts_with(plain)
                && name
                    .chars()
                    .all(|c| plain(c) || matches!(c, '-' | '.' | '_'))
        };
        let (name, channel) = match text.split_once('@') {
            None => (text, None),
            Some((name, channel)) => (name, Some(channel)),
        };
        if !is_name(name) || !channel.is_none_or(is_name) {
            return Err(ParseChoiceError);
        }
        Ok(Self {
            name: name.into(),
            channel: channel.map(Into::into),
        })
    }
}

impl fmt::Display for ImageChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.channel {
            None => f.write_str(&self.name),
            Some(channel) => write!(f, "{}@{channel}", self.name),
        }
    }
}

/// What is known of an image's signatures.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SignedStatus {
    /// No trust root is pinned on this machine, so nothing can be said.
    NoRoot,
    /// Nobody signed it.
    Unsigned,
    /// Signed by enough of the right keys.
    Signed {
        /// The keys.
        signers: Vec<KeyId>,
        /// When, in milliseconds since 1970.
        signed_at: Millis,
        /// Until when it holds; `None`: as long as the keys do.
        expires: Option<Millis>,
        /// The channels that stand for it.
        channels: Vec<String>,
    },
    /// There are signatures, and they do not make it believable.
    Refused {
        /// Why.
        reason: crate::Reason,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn a_key_id_has_one_spelling() {
        let id = KeyId(0x0208_0044_B1E7_7DC9);
        assert_eq!(id.to_string(), "02080044B1E77DC9");
        assert_eq!("02080044B1E77DC9".parse(), Ok(id));
        for wrong in [
            "2080044B1E77DC9",
            "02080044b1e77dc9",
            "+2080044B1E77DC9",
            "",
        ] {
            assert_eq!(wrong.parse::<KeyId>(), Err(ParseKeyIdError), "{wrong}");
        }
    }

    #[test]
    fn an_image_is_chosen_by_name_or_by_channel() {
        for text in ["debian-host", "debian-host@stable", "a@1"] {
            let choice: ImageChoice = text.parse().unwrap();
            assert_eq!(choice.to_string(), text);
            assert_eq!(choice.channel.is_some(), text.contains('@'));
        }
        for wrong in ["", "@", "a@", "@b", "a@b@c", "A", "a b", "../x", "a@../x"] {
            assert_eq!(
                wrong.parse::<ImageChoice>(),
                Err(ParseChoiceError),
                "{wrong}"
            );
        }
    }

    #[test]
    fn the_word_of_a_type_is_the_one_in_json() {
        for document in [
            DocumentType::Root,
            DocumentType::Image,
            DocumentType::Catalogue,
        ] {
            let text = serde_json::to_string(&document).unwrap();
            assert_eq!(text, alloc::format!("\"{}\"", document.as_str()));
        }
    }
}
