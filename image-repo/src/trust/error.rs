// SPDX-License-Identifier: Apache-2.0
//! What can go wrong with signatures, a variant per cause.

use super::secret_key::SecretKeyError;
use crate::error::RepoError;
use groundstate_api::trust::KeyId;
use groundstate_api::{Bytes, Digest, Part, Reason, ReasonCode};
use image_core::trust::TrustError;
use image_core::trust::minisign::{KeyError, SignatureError};
use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong with signatures.
#[derive(Debug, thiserror::Error)]
pub enum TrustFault {
    /// A file could not be used.
    #[error("{path} could not be {done}: {source}", path = .path.display())]
    File {
        /// What was tried, as a participle.
        done: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that cannot be one of these.
    #[error("{path} {why}", path = .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: &'static str,
    },
    /// A file that is longer than a reader takes.
    #[error("{path} is longer than {max} bytes", path = .path.display(), max = .max.0)]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most.
        max: Bytes,
    },
    /// No trust root is pinned.
    #[error("no trust root is pinned on this machine: {path} is not there", path = .path.display())]
    NoRoot {
        /// Where it would be.
        path: PathBuf,
    },
    /// What this machine remembers cannot be read.
    #[error("{path} is not what this machine wrote down: {said}", path = .path.display())]
    Seen {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        said: String,
    },
    /// Not believed.
    #[error(transparent)]
    Refused(#[from] TrustError),
    /// The repository.
    #[error(transparent)]
    Repository(#[from] RepoError),
    /// The secret key.
    #[error(transparent)]
    SecretKey(#[from] SecretKeyError),
    /// The public key.
    #[error(transparent)]
    PublicKey(#[from] KeyError),
    /// A signature file.
    #[error("{path} is no signature file: {error}", path = .path.display())]
    Signature {
        /// The file.
        path: PathBuf,
        /// Why.
        error: SignatureError,
    },
    /// A signature of nothing that waits.
    #[error("no document waits for the signature of key {id}, or it is not over the one that does")]
    NothingWaits {
        /// The key.
        id: KeyId,
    },
    /// A signature of a key that may not sign that.
    #[error("key {id} may not sign the {subject}: {why}")]
    Stranger {
        /// The key.
        id: KeyId,
        /// Which document.
        subject: groundstate_api::trust::DocumentType,
        /// Who may, or since when it may not.
        why: String,
    },
    /// Another document of the same place waits.
    #[error("{path} waits for signatures already, and says something else", path = .path.display())]
    OtherWaits {
        /// It.
        path: PathBuf,
    },
    /// A document that does not follow what is there.
    #[error(
        "{subject} {found} was made, but {expected} is the next one: it was made from an old state"
    )]
    NotNext {
        /// What.
        subject: &'static str,
        /// Its number.
        found: u64,
        /// What should come.
        expected: u64,
    },
    /// A name of an image and its channel that is none.
    #[error("{said}")]
    Choice {
        /// Why.
        said: String,
    },
    /// A name without a channel where a channel is needed.
    #[error("{name:?} names no channel: NAME@CHANNEL is needed")]
    NoChannelNamed {
        /// What was said.
        name: String,
    },
}

impl TrustFault {
    /// For `map_err`: what was tried with which file.
    pub(super) fn file(done: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { done, path, source }
    }

    /// The same for people: why `image` is not believed, and so not deployed, and what to do.
    #[must_use]
    pub fn reason(&self, image: &str) -> Reason {
        let about = |digest: Option<&Digest>| Part::Image {
            image: image.to_string(),
            digest: digest.map(Digest::to_string),
        };
        let untrusted = |next: &str| {
            Reason::new(
                ReasonCode::ImageUntrusted,
                format!("{image} is not believed: {self}"),
                next,
            )
            .about(about(None))
            .then("nothing: no disk is touched")
        };
        match self {
            Self::Refused(error) => error.reason(image),
            Self::NoRoot { .. } => untrusted(
                "where the site has a trust root, pin it: groundstate image trust pin FILE, or [policy] trust_root in the site file; where it has none, make it: groundstate image trust init --key PUB",
            ),
            Self::Repository(RepoError::NoSuchManifest { digest, .. }) => Reason::new(
                ReasonCode::ImageMissing,
                format!("the repository does not hold the image that {image} stands for"),
                "import it here, byte for byte as it was signed, or copy it from the repository that has it",
            )
            .about(about(Some(digest))),
            Self::Repository(RepoError::Behind(error)) => error.reason(image),
            Self::Choice { .. } | Self::NoChannelNamed { .. } => Reason::new(
                ReasonCode::BadRequest,
                self.to_string(),
                "name an image as NAME@CHANNEL, for example debian-host@stable",
            ),
            Self::File { .. } | Self::Repository(_) => {
                untrusted("check the disk and the rights on that file, then try again")
            }
            Self::NotText { .. } | Self::TooLong { .. } | Self::Signature { .. } => {
                untrusted("take that file away, or bring back what its signers signed")
            }
            Self::Seen { .. } => untrusted(
                "bring it back from a backup; where there is none, pin the trust root again: groundstate image trust pin FILE --forget",
            ),
            Self::SecretKey(_) | Self::PublicKey(_) => untrusted("use the right key file"),
            Self::Stranger { .. } => untrusted(
                "sign with a key that may: groundstate image trust show names them; groundstate image trust rotate adds one",
            ),
            Self::OtherWaits { .. } => untrusted(
                "groundstate image trust show says what waits for whom; --anew puts this one in its place",
            ),
            Self::NothingWaits { .. } | Self::NotNext { .. } => {
                untrusted("groundstate image trust show says what waits for whom")
            }
        }
    }
}
