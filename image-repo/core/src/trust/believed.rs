// SPDX-License-Identifier: Apache-2.0
//! What is believed: first the root and the catalogue, then one image of it.

use super::channels::{self, check_goes_on, effective_now};
use super::count::signers;
use super::document::parse;
use super::refusal::TrustError;
use super::root::advance;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::image::ImageRef;
use groundstate_api::trust::{
    Catalogue, Channel, ImageSigned, KeyId, Revoked, RevokedPart, Seen, Signed, TrustRoot,
};
use groundstate_api::{Digest, Millis};

/// A root and a catalogue that are believed.
#[derive(Clone, Debug)]
pub struct Trusted {
    root: TrustRoot,
    catalogue: Catalogue,
    signers: Vec<KeyId>,
    seen: Seen,
    now: Millis,
}

/// An image that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The image, as its manifest says.
    pub image: ImageRef,
    /// Who signed it.
    pub signers: Vec<KeyId>,
    /// When it was signed.
    pub signed_at: Millis,
    /// Until when the signature holds.
    pub expires: Option<Millis>,
}

/// The newest root that follows from the pinned one, neither expired nor older than one that was seen.
///
/// # Errors
/// Why there is none.
pub fn newest_root(
    pinned: &TrustRoot,
    roots: &[Signed],
    seen: &Seen,
    now: Millis,
) -> Result<TrustRoot, TrustError> {
    let root = advance(pinned, roots)?;
    if root.version < seen.root {
        return Err(TrustError::RootRollback {
            found: root.version,
            seen: seen.root,
        });
    }
    if root.expires <= now {
        return Err(TrustError::RootExpired {
            version: root.version,
            expired: root.expires,
            now,
        });
    }
    Ok(root)
}

/// The catalogue of these bytes, if enough of the root's keys signed it, and of those that it does not revoke itself. Neither
/// the clock nor what was seen is asked: this is for who makes the next one.
///
/// # Errors
/// Why it is not the signers' catalogue.
pub fn catalogue_of(
    root: &TrustRoot,
    signed: &Signed,
) -> Result<(Catalogue, Vec<KeyId>), TrustError> {
    let role = &root.roles.channels;
    // Signed first, understood second.
    signers::<Catalogue>(root, role, &[], signed)?;
    let catalogue: Catalogue = parse(&signed.document)?;
    channels::check(&catalogue)?;
    let signers = signers::<Catalogue>(root, role, &catalogue.revoked, signed)?;
    Ok((catalogue, signers))
}

/// Root and catalogue, from the root that is pinned, the roots that follow it, the catalogue (`None`: there is none), how far
/// the reader had come, and the time.
///
/// # Errors
/// The attack that it looks like.
pub fn trusted(
    pinned: &TrustRoot,
    roots: &[Signed],
    catalogue: Option<&Signed>,
    seen: &Seen,
    now: Millis,
) -> Result<Trusted, TrustError> {
    let now = effective_now(now, seen)?;
    let root = newest_root(pinned, roots, seen, now)?;
    let signed = catalogue.ok_or(TrustError::NoCatalogue {
        seen: seen.sequence,
        waits: false,
    })?;
    let (catalogue, signers) = catalogue_of(&root, signed)?;
    let digest = Digest::of(signed.document.as_bytes());
    check_goes_on(&catalogue, &digest, seen, now)?;
    let seen = channels::now_seen(root.version, &catalogue, &digest, seen, now);
    Ok(Trusted {
        root,
        catalogue,
        signers,
        seen,
        now,
    })
}

impl Trusted {
    /// The root.
    #[must_use]
    pub fn root(&self) -> &TrustRoot {
        &self.root
    }

    /// The catalogue.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Who signed the catalogue.
    #[must_use]
    pub fn signers(&self) -> &[KeyId] {
        &self.signers
    }

    /// How far the reader has come now. To be kept before anything is done with what is believed.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// What a channel stands for.
    ///
    /// # Errors
    /// There is no such channel, or it stands for a revoked image.
    pub fn channel(&self, image: &str, channel: &str) -> Result<&Channel, TrustError> {
        let rows = &self.catalogue.channels;
        let row = rows
            .iter()
            .find(|row| row.image == image && row.channel == channel)
            .ok_or_else(|| TrustError::NoChannel {
                channel: format!("{image}@{channel}"),
                there: rows
                    .iter()
                    .map(|row| format!("{}@{}", row.image, row.channel))
                    .collect(),
            })?;
        self.check_not_revoked(&format!("{} {}", row.image, row.version), &row.manifest)?;
        Ok(row)
    }

    /// The image that a channel stands for, from what the manifest of the row's digest says and what was signed of it.
    ///
    /// # Errors
    /// Manifest, statement and catalogue do not agree, or the statement is not to be believed.
    pub fn image_of(
        &self,
        row: &Channel,
        image: &ImageRef,
        statement: Option<&Signed>,
    ) -> Result<Verified, TrustError> {
        let title = format!("{} {}", row.image, row.version);
        let differs = |field: &'static str, stated: String, found: String| {
            Err(TrustError::Mixed {
                image: title.clone(),
                by: "catalogue",
                field,
                stated,
                found,
            })
        };
        if row.manifest != image.manifest {
            return differs(
                "manifest",
                row.manifest.to_string(),
                image.manifest.to_string(),
            );
        }
        if row.image != image.name {
            return differs("name", row.image.clone(), image.name.clone());
        }
        if row.version != image.version {
            return differs("version", row.version.clone(), image.version.clone());
        }
        self.image(image, statement)
    }

    /// An image, whatever channel, from what its manifest says and what was signed of it.
    ///
    /// # Errors
    /// It is revoked, or the statement is not to be believed.
    pub fn image(
        &self,
        image: &ImageRef,
        statement: Option<&Signed>,
    ) -> Result<Verified, TrustError> {
        let title = format!("{} {}", image.name, image.version);
        self.check_not_revoked(&title, &image.manifest)?;
        let empty = Signed::default();
        let signed = statement.unwrap_or(&empty);
        statement_of(&self.root, &self.catalogue.revoked, image, signed, self.now)
    }

    fn check_not_revoked(&self, title: &str, manifest: &Digest) -> Result<(), TrustError> {
        not_revoked(&self.catalogue.revoked, title, manifest)
    }
}

/// Sees that the image with that manifest is not revoked.
pub(super) fn not_revoked(
    revoked: &[Revoked],
    title: &str,
    manifest: &Digest,
) -> Result<(), TrustError> {
    let revoked = revoked
        .iter()
        .find(|each| each.part == RevokedPart::Manifest(*manifest));
    match revoked {
        None => Ok(()),
        Some(revoked) => Err(TrustError::RevokedImage {
            image: title.to_string(),
            since: revoked.since,
            why: revoked.why.clone(),
        }),
    }
}

/// What was signed of an image, apart from whether the image itself is revoked.
///
/// # Errors
/// Why the statement is not to be believed.
pub fn statement_of(
    root: &TrustRoot,
    revoked: &[Revoked],
    image: &ImageRef,
    signed: &Signed,
    now: Millis,
) -> Result<Verified, TrustError> {
    let title = format!("{} {}", image.name, image.version);
    let signers = signers::<ImageSigned>(root, &root.roles.images, revoked, signed)
        .map_err(|error| error.of(&title))?;
    let stated: ImageSigned = parse(&signed.document).map_err(|error| error.of(&title))?;
    check_same(&title, &stated, image)?;
    if let Some(expired) = stated.expires.filter(|expires| *expires <= now) {
        return Err(TrustError::StatementExpired {
            image: title,
            expired,
            now,
        });
    }
    Ok(Verified {
        image: image.clone(),
        signers,
        signed_at: stated.signed_at,
        expires: stated.expires,
    })
}

/// What is said of an image where nothing was promoted yet: that it is signed and what is missing, or why its signature does not
/// hold. It is not believed either way: without a catalogue nobody can tell what was revoked. `waits`: there is one that has
/// not enough signatures yet.
#[must_use]
pub fn without_catalogue(
    root: &TrustRoot,
    image: &ImageRef,
    statement: Option<&Signed>,
    waits: bool,
    now: Millis,
) -> TrustError {
    let empty = Signed::default();
    match statement_of(root, &[], image, statement.unwrap_or(&empty), now) {
        Ok(verified) => TrustError::NotPromoted {
            name: image.name.clone(),
            version: image.version.clone(),
            signers: verified.signers,
            waits,
        },
        Err(error) => error,
    }
}

/// Whether the statement is about this very image.
fn check_same(title: &str, stated: &ImageSigned, image: &ImageRef) -> Result<(), TrustError> {
    let kind = |kind| serde_json::to_string(&kind).unwrap_or_default();
    let pairs = [
        (
            "manifest",
            stated.manifest.to_string(),
            image.manifest.to_string(),
        ),
        ("name", stated.name.clone(), image.name.clone()),
        ("version", stated.version.clone(), image.version.clone()),
        ("size", stated.size.0.to_string(), image.size.0.to_string()),
        ("kind", kind(stated.kind), kind(image.kind)),
    ];
    for (field, stated, found) in pairs {
        if stated != found {
            return Err(TrustError::Mixed {
                image: title.to_string(),
                by: "signed statement",
                field,
                stated,
                found,
            });
        }
    }
    Ok(())
}
