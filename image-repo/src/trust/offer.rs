// SPDX-License-Identifier: Apache-2.0
//! New documents: each waits under `pending` until enough signatures are beside it, and only then takes its place. So what
//! stands is always whole, however many people on however many machines sign.

use super::error::TrustFault;
use super::files::{Place, TrustFiles};
use super::pin::Pin;
use crate::repository::Repository;
use groundstate_api::Millis;
use groundstate_api::trust::{
    Catalogue, DocumentType, ImageSigned, KeyId, Revoked, RevokedPart, Signed, TrustRoot,
};
use image_core::manifest::reference;
use image_core::trust::minisign::{PublicKey, Signature};
use image_core::trust::{
    TrustError, advance, canonical, catalogue_of, may_install, moment, parse, signers, statement_of,
};
use std::path::PathBuf;

/// A document that is to take its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// The next trust root, or the pinned one.
    Root(TrustRoot),
    /// The next catalogue.
    Catalogue(Catalogue),
    /// What is signed of an image.
    Image(ImageSigned),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has taken its place.
    Placed {
        /// Where it is.
        path: PathBuf,
    },
    /// It waits for more signatures.
    Waits {
        /// Where it is.
        path: PathBuf,
        /// How many count so far.
        have: usize,
        /// How many are needed.
        needed: u32,
    },
}

impl Offer {
    /// The bytes that are signed.
    #[must_use]
    pub fn document(&self) -> String {
        match self {
            Self::Root(root) => canonical(root),
            Self::Catalogue(catalogue) => canonical(catalogue),
            Self::Image(image) => canonical(image),
        }
    }

    /// Which document it is.
    #[must_use]
    pub fn kind(&self) -> DocumentType {
        match self {
            Self::Root(_) => DocumentType::Root,
            Self::Catalogue(_) => DocumentType::Catalogue,
            Self::Image(_) => DocumentType::Image,
        }
    }

    /// The document of these bytes, whichever of the three it is.
    ///
    /// # Errors
    /// It is none of them.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        match parse(text) {
            Ok(root) => return Ok(Self::Root(root)),
            Err(TrustError::OtherType { .. }) => {}
            Err(error) => return Err(error),
        }
        match parse(text) {
            Ok(image) => return Ok(Self::Image(image)),
            Err(TrustError::OtherType { .. }) => {}
            Err(error) => return Err(error),
        }
        parse(text).map(Self::Catalogue)
    }

    fn place(&self) -> Place {
        match self {
            Self::Root(root) => Place::Root(root.version),
            Self::Catalogue(catalogue) => Place::Catalogue(catalogue.sequence),
            Self::Image(image) => Place::Image(image.manifest, image.signed_at.0),
        }
    }
}

impl TrustFiles {
    /// The documents that are here.
    ///
    /// # Errors
    /// A file cannot be read, or is none of the three.
    pub fn documents(&self) -> Result<Vec<(PathBuf, Offer, Signed)>, TrustFault> {
        let mut all = Vec::new();
        for place in self.places()? {
            if let Some(signed) = self.get(place)? {
                all.push((self.path(place), Offer::parse(&signed.document)?, signed));
            }
        }
        Ok(all)
    }

    /// What waits in the place of this one, if anything does.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn waits_instead(&self, offer: &Offer) -> Result<Option<(PathBuf, Offer)>, TrustFault> {
        let seat = |place: Place| match place {
            Place::Root(_) => (0, None),
            Place::Catalogue(_) => (1, None),
            Place::Image(manifest, _) => (2, Some(manifest)),
        };
        let all = self.pending().documents()?;
        let found = all
            .into_iter()
            .find(|(_, other, _)| seat(other.place()) == seat(offer.place()) && other != offer);
        Ok(found.map(|(path, other, _)| (path, other)))
    }
}

/// Puts a document with these signatures, and those that it has already, into its place, or lets it wait. `anew`: in place of
/// another one that waits.
///
/// # Errors
/// It does not follow what is there, or a signature is not of it.
pub fn offer(
    repository: &Repository,
    pin: &Pin,
    now: Millis,
    offer: &Offer,
    signatures: Vec<String>,
    anew: bool,
) -> Result<Outcome, TrustFault> {
    let files = repository.trust();
    let _lock = files.lock()?;
    if let Some((path, other)) = files.waits_instead(offer)? {
        if !anew {
            return Err(TrustFault::OtherWaits { path });
        }
        files.pending().remove(other.place())?;
    }
    settle(repository, pin, now, offer, signatures)
}

/// Adds a signature that was made elsewhere to the document that it is over.
///
/// # Errors
/// It is of no key that may sign, or over no document here.
pub fn add_signature(
    repository: &Repository,
    pin: &Pin,
    now: Millis,
    text: &str,
) -> Result<(Offer, Outcome), TrustFault> {
    let signature = Signature::parse(text).map_err(|error| TrustFault::Signature {
        path: PathBuf::from("the signature"),
        error,
    })?;
    let files = repository.trust();
    let _lock = files.lock()?;
    let root = line(repository, pin)?;
    let id = signature.id;
    let mut all = files.pending().documents()?;
    all.extend(files.documents()?);
    for (_, waiting, signed) in all {
        let candidate = match &waiting {
            Offer::Root(next) => next.key(id),
            Offer::Catalogue(_) | Offer::Image(_) => None,
        };
        let key = root.key(id).or(candidate);
        let Some(key) = key.and_then(|key| PublicKey::parse(&key.key).ok()) else {
            continue;
        };
        if signature.is_of(&key, signed.document.as_bytes()) {
            let outcome = settle(repository, pin, now, &waiting, vec![text.to_string()])?;
            return Ok((waiting, outcome));
        }
    }
    Err(TrustFault::NothingWaits { id })
}

/// The newest root of the line, whether it has expired or not: a next one has to be possible.
fn line(repository: &Repository, pin: &Pin) -> Result<TrustRoot, TrustFault> {
    let pinned = pin.root()?;
    let roots = repository.trust().roots_after(pinned.version)?;
    Ok(advance(&pinned, &roots)?)
}

fn settle(
    repository: &Repository,
    pin: &Pin,
    now: Millis,
    offer: &Offer,
    signatures: Vec<String>,
) -> Result<Outcome, TrustFault> {
    let files = repository.trust();
    let place = offer.place();
    let document = offer.document();
    may_sign(repository, pin, offer, &signatures)?;
    let mut all = signatures;
    for there in [files.pending().get(place)?, files.get(place)?] {
        let there = there.filter(|there| there.document == document);
        all.extend(there.into_iter().flat_map(|there| there.signatures));
    }
    let signed = Signed {
        document,
        signatures: once_per_key(all),
    };
    match judge(repository, pin, now, offer, &signed) {
        Ok(()) => {
            let path = files.put(place, &signed)?;
            files.pending().remove(place)?;
            Ok(Outcome::Placed { path })
        }
        Err(TrustFault::Refused(error)) => {
            let (have, needed) = match error.cause() {
                TrustError::TooFew {
                    counted, needed, ..
                } => (counted.len(), *needed),
                TrustError::Unsigned { needed, .. } => (0, *needed),
                _ => return Err(error.into()),
            };
            let path = files.pending().put(place, &signed)?;
            Ok(Outcome::Waits { path, have, needed })
        }
        Err(fault) => Err(fault),
    }
}

/// Refuses a signature that would never count, rather than let it wait beside those that do.
fn may_sign(
    repository: &Repository,
    pin: &Pin,
    offer: &Offer,
    signatures: &[String],
) -> Result<(), TrustFault> {
    let root = line(repository, pin)?;
    let (keys, revoked) = match offer {
        Offer::Root(next) => {
            let both = [&root.roles.root.keys[..], &next.roles.root.keys].concat();
            (both, Vec::new())
        }
        Offer::Catalogue(_) => (root.roles.channels.keys.clone(), Vec::new()),
        Offer::Image(_) => (
            root.roles.images.keys.clone(),
            revoked(&root, &repository.trust())?,
        ),
    };
    for signature in signatures {
        // What is no signature is refused where it is judged.
        let Ok(Signature { id, .. }) = Signature::parse(signature) else {
            continue;
        };
        let since = revoked
            .iter()
            .find(|each| matches!(&each.part, RevokedPart::Key(key) if *key == id));
        let why = match since {
            Some(revoked) => format!("it was revoked {}: {}", moment(revoked.since), revoked.why),
            None if keys.contains(&id) => continue,
            None => {
                let may: Vec<String> = keys.iter().map(KeyId::to_string).collect();
                format!(
                    "trust root {} lets {} sign it",
                    root.version,
                    may.join(", ")
                )
            }
        };
        let subject = offer.kind();
        return Err(TrustFault::Stranger { id, subject, why });
    }
    Ok(())
}

/// The first signature of each key, and those that are none, so that they are refused by name.
fn once_per_key(all: Vec<String>) -> Vec<String> {
    let mut ids: Vec<KeyId> = Vec::new();
    all.into_iter()
        .filter(|text| match Signature::parse(text) {
            Ok(signature) if ids.contains(&signature.id) => false,
            Ok(signature) => {
                ids.push(signature.id);
                true
            }
            Err(_) => true,
        })
        .collect()
}

/// Whether it may take its place.
fn judge(
    repository: &Repository,
    pin: &Pin,
    now: Millis,
    offer: &Offer,
    signed: &Signed,
) -> Result<(), TrustFault> {
    let root = line(repository, pin)?;
    let files = repository.trust();
    match offer {
        Offer::Root(next) if *next == pin.root()? => {
            signers::<TrustRoot>(next, &next.roles.root, &[], signed)?;
        }
        Offer::Root(next) => judge_next_root(&root, next, signed)?,
        Offer::Catalogue(catalogue) => {
            let newest = match files.catalogue()? {
                Some(newest) if newest.document != signed.document => {
                    parse::<Catalogue>(&newest.document)?.sequence
                }
                Some(_) => catalogue.sequence.saturating_sub(1),
                None => 0,
            };
            let seen = pin.seen()?.sequence;
            let is_there = seen == catalogue.sequence;
            let before = if is_there { seen - 1 } else { seen };
            // What stands there is not judged yet: its number may be any.
            let expected = newest.max(before).saturating_add(1);
            if catalogue.sequence != expected {
                return Err(TrustFault::NotNext {
                    subject: "catalogue",
                    found: catalogue.sequence,
                    expected,
                });
            }
            catalogue_of(&root, signed)?;
        }
        Offer::Image(image) => {
            let image = reference(&repository.manifest(&image.manifest)?);
            let revoked = revoked(&root, &files)?;
            statement_of(&root, &revoked, &image, signed, now)?;
        }
    }
    Ok(())
}

/// A root that only its own keys have signed waits for those of the one before.
fn judge_next_root(root: &TrustRoot, next: &TrustRoot, signed: &Signed) -> Result<(), TrustFault> {
    let expected = root.version + 1;
    if next.version != expected {
        return Err(TrustFault::NotNext {
            subject: "trust root",
            found: next.version,
            expected,
        });
    }
    image_core::trust::check_root(next)?;
    let error = match may_install(root, signed) {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let is_of_next = signers::<TrustRoot>(next, &next.roles.root, &[], signed);
    match (error, is_of_next) {
        (TrustError::OtherKey { subject, .. }, Ok(_) | Err(TrustError::TooFew { .. })) => {
            Err(TrustError::TooFew {
                subject,
                needed: root.roles.root.threshold,
                counted: Vec::new(),
                ignored: Vec::new(),
            }
            .into())
        }
        (TrustError::OtherKey { subject, .. }, Err(TrustError::OtherKey { ignored, .. })) => {
            Err(TrustError::OtherKey { subject, ignored }.into())
        }
        // The old keys have signed; some of the new ones are missing, all of them perhaps.
        (error, _) => Err(error.into()),
    }
}

/// What the newest catalogue revokes, where its signers signed it.
fn revoked(root: &TrustRoot, files: &TrustFiles) -> Result<Vec<Revoked>, TrustFault> {
    match files.catalogue()? {
        None => Ok(Vec::new()),
        Some(signed) => Ok(catalogue_of(root, &signed)?.0.revoked),
    }
}
