// SPDX-License-Identifier: Apache-2.0
//! What is revoked though the catalogue that says it is not believed any more: it has expired, or this machine's clock is
//! wrong. A catalogue that nobody renews takes no revocation back.

use super::believed::{catalogue_of, not_revoked};
use super::count::signers;
use super::refusal::TrustError;
use super::root::advance;
use alloc::format;
use groundstate_api::Digest;
use groundstate_api::image::ImageRef;
use groundstate_api::trust::{Catalogue, ImageSigned, RevokedPart, Signed, TrustRoot};

/// Whether that catalogue says itself that the image with this manifest is revoked. Its signers are not asked for.
#[must_use]
pub fn revokes(catalogue: &Catalogue, manifest: &Digest) -> bool {
    let mut parts = catalogue.revoked.iter().map(|each| &each.part);
    parts.any(|part| *part == RevokedPart::Manifest(*manifest))
}

/// Whether that catalogue revokes the image, or a key that its signature needs: neither the clock nor what was seen is asked.
/// `None` where it does not, or where its signers did not sign it.
#[must_use]
pub fn still_revoked(
    pinned: &TrustRoot,
    roots: &[Signed],
    catalogue: Option<&Signed>,
    image: &ImageRef,
    statement: Option<&Signed>,
) -> Option<TrustError> {
    let root = advance(pinned, roots).ok()?;
    let (catalogue, _) = catalogue_of(&root, catalogue?).ok()?;
    let title = format!("{} {}", image.name, image.version);
    if let Err(revoked) = not_revoked(&catalogue.revoked, &title, &image.manifest) {
        return Some(revoked);
    }
    let counted = signers::<ImageSigned>(&root, &root.roles.images, &catalogue.revoked, statement?);
    counted
        .err()
        .filter(|error| matches!(error, TrustError::RevokedKey { .. }))
        .map(|error| error.of(&title))
}
