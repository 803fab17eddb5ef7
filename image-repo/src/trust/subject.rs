// SPDX-License-Identifier: Apache-2.0
//! Which document a reader asks for, where it is asked for, and which of two is the newer one.

use super::error::TrustFault;
use super::files::TrustFiles;
use groundstate_api::trust::{Catalogue, ImageSigned, Signed, TrustRoot};
use groundstate_api::{Digest, paths};
use image_core::trust::{TrustError, parse};

/// A document that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The trust root of that version.
    Root(u64),
    /// The newest catalogue.
    Catalogue,
    /// The newest statement about the image with that manifest.
    Statement(Digest),
}

impl Subject {
    /// Its path on a server, and in a bucket.
    pub(crate) fn path(self) -> String {
        match self {
            Self::Root(version) => paths::TRUST_ROOT.replace("{version}", &version.to_string()),
            Self::Catalogue => paths::TRUST_CATALOGUE.to_owned(),
            Self::Statement(manifest) => paths::TRUST_IMAGE.replace("{digest}", &manifest.hex()),
        }
    }

    /// For people.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Root(_) => "trust root",
            Self::Catalogue => "signed catalogue",
            Self::Statement(_) => "signature of that image",
        }
    }

    /// Whether what lies under its path is never followed by something else.
    pub(crate) const fn is_for_ever(self) -> bool {
        matches!(self, Self::Root(_))
    }

    /// The one of this folder.
    pub(crate) fn of(self, files: &TrustFiles) -> Result<Option<Signed>, TrustFault> {
        match self {
            Self::Root(version) => files.root(version),
            Self::Catalogue => files.catalogue(),
            Self::Statement(manifest) => files.statement(&manifest),
        }
    }

    /// The number by which a document of this subject follows another: a root's version, a catalogue's sequence, when an image
    /// was signed.
    ///
    /// # Errors
    /// It is no such document. Its signatures are not looked at.
    pub(crate) fn number(self, document: &str) -> Result<u64, TrustError> {
        match self {
            Self::Root(_) => parse(document).map(|root: TrustRoot| root.version),
            Self::Catalogue => parse(document).map(|catalogue: Catalogue| catalogue.sequence),
            Self::Statement(_) => parse(document).map(|image: ImageSigned| image.signed_at.0),
        }
    }

    /// The newer one of ours and another's, ours where it cannot be told; of one document the signatures of both.
    pub(super) fn newer(self, ours: Option<Signed>, other: Option<Signed>) -> Option<Signed> {
        let number = |signed: &Signed| self.number(&signed.document).ok();
        match (ours, other) {
            (Some(mut ours), Some(other)) if ours.document == other.document => {
                // Signed by several, each elsewhere.
                let more: Vec<_> = beyond(&other, &ours).cloned().collect();
                ours.signatures.extend(more);
                Some(ours)
            }
            (Some(ours), Some(other)) if number(&other) > number(&ours) => Some(other),
            (Some(ours), _) => Some(ours),
            (None, other) => other,
        }
    }
}

/// The signatures of one that another has not.
pub(crate) fn beyond<'a>(one: &'a Signed, other: &Signed) -> impl Iterator<Item = &'a String> {
    let all = one.signatures.iter();
    all.filter(|each| !other.signatures.contains(each))
}
