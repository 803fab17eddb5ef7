// SPDX-License-Identifier: Apache-2.0
//! What is asked of signatures: which image a channel stands for, and what is known of an image.

use super::error::TrustFault;
use super::pin::Pin;
use crate::repository::Repository;
use groundstate_api::image::ImageRef;
use groundstate_api::trust::{Catalogue, ImageChoice, Signed, SignedStatus, TrustRoot};
use groundstate_api::{Digest, Millis};
use image_core::manifest::reference;
use image_core::trust::{
    TrustError, Trusted, Verified, advance, catalogue_of, newest_root, parse, statement_of,
    still_revoked, trusted, without_catalogue,
};

/// The newest trust root that this machine believes.
///
/// # Errors
/// None is pinned, or what follows it is not to be believed.
pub fn root(repository: &Repository, pin: &Pin, now: Millis) -> Result<TrustRoot, TrustFault> {
    let pinned = pin.root()?;
    let roots = repository.trust().roots_after(pinned.version)?;
    Ok(newest_root(&pinned, &roots, &pin.seen()?, now)?)
}

/// Root and catalogue that are believed now. Nothing is written down: who acts on it calls [`believed`].
///
/// # Errors
/// Why they are not.
pub fn peek(repository: &Repository, pin: &Pin, now: Millis) -> Result<Trusted, TrustFault> {
    let pinned = pin.root()?;
    let files = repository.trust();
    let roots = files.roots_after(pinned.version)?;
    let catalogue = files.catalogue()?;
    let seen = pin.seen()?;
    match trusted(&pinned, &roots, catalogue.as_ref(), &seen, now) {
        Err(TrustError::NoCatalogue { seen, .. }) => {
            let waits = files.pending().catalogue()?.is_some();
            Err(TrustError::NoCatalogue { seen, waits }.into())
        }
        other => Ok(other?),
    }
}

/// Root and catalogue that are believed now; how far this machine has come is durable before they are given out.
///
/// # Errors
/// Why they are not believed, or cannot be written down.
pub fn believed(repository: &Repository, pin: &Pin, now: Millis) -> Result<Trusted, TrustFault> {
    let trusted = peek(repository, pin, now)?;
    pin.keep(trusted.seen())?;
    Ok(trusted)
}

/// The catalogue that the next one is made from, and the next one's sequence. The one that is there counts if its signers
/// hold, or if this machine believed it before its root was rotated.
///
/// # Errors
/// The one that is there is not what its signers signed.
pub fn catalogue_to_change(
    repository: &Repository,
    pin: &Pin,
) -> Result<(Option<Catalogue>, u64), TrustFault> {
    let pinned = pin.root()?;
    let files = repository.trust();
    let root = advance(&pinned, &files.roots_after(pinned.version)?)?;
    let seen = pin.seen()?;
    let Some(signed) = files.catalogue()? else {
        return Ok((None, seen.sequence + 1));
    };
    let is_seen = seen.catalogue == Some(Digest::of(signed.document.as_bytes()));
    let catalogue: Catalogue = if is_seen {
        parse(&signed.document)?
    } else {
        catalogue_of(&root, &signed)?.0
    };
    // One that is behind what was seen is built upon all the same: its rows are refused until they are promoted anew.
    let next = catalogue.sequence.max(seen.sequence) + 1;
    Ok((Some(catalogue), next))
}

/// The image that `NAME@CHANNEL` stands for.
///
/// # Errors
/// Why it is not deployed. [`TrustFault::reason`] says it to people.
pub fn resolve(
    repository: &Repository,
    choice: &ImageChoice,
    pin: &Pin,
    now: Millis,
) -> Result<Verified, TrustFault> {
    let Some(channel) = &choice.channel else {
        return Err(TrustFault::NoChannelNamed {
            name: choice.name.clone(),
        });
    };
    let trusted = believed(repository, pin, now)?;
    let row = trusted.channel(&choice.name, channel)?;
    let image = reference(&repository.manifest(&row.manifest)?);
    let statement = repository.trust().statement(&row.manifest)?;
    Ok(trusted.image_of(row, &image, statement.as_ref())?)
}

/// Whether that image is signed by those who may, whatever channel. Needs a catalogue, because that is where revocations are.
///
/// # Errors
/// Why it is not.
pub fn verify(
    repository: &Repository,
    image: &ImageRef,
    pin: &Pin,
    now: Millis,
) -> Result<Verified, TrustFault> {
    let statement = repository.trust().statement(&image.manifest)?;
    match peek(repository, pin, now) {
        Ok(trusted) => Ok(trusted.image(image, statement.as_ref())?),
        Err(TrustFault::Refused(TrustError::NoCatalogue { seen: 0, waits })) => {
            let root = root(repository, pin, now)?;
            Err(without_catalogue(&root, image, statement.as_ref(), waits, now).into())
        }
        Err(fault) => Err(revocation(repository, pin, image, statement.as_ref())?.unwrap_or(fault)),
    }
}

/// What takes the image back, where the catalogue that says so has expired or is not believed for another reason.
fn revocation(
    repository: &Repository,
    pin: &Pin,
    image: &ImageRef,
    statement: Option<&Signed>,
) -> Result<Option<TrustFault>, TrustFault> {
    if !pin.is_there() {
        return Ok(None);
    }
    let pinned = pin.root()?;
    let files = repository.trust();
    let roots = files.roots_after(pinned.version)?;
    let catalogue = files.catalogue()?;
    let revoked = still_revoked(&pinned, &roots, catalogue.as_ref(), image, statement);
    Ok(revoked.map(TrustFault::from))
}

/// What is known of an image's signatures, for lists. It never fails: what cannot be read is a reason too.
#[must_use]
pub fn status(repository: &Repository, image: &ImageRef, pin: &Pin, now: Millis) -> SignedStatus {
    if !pin.is_there() {
        return SignedStatus::NoRoot;
    }
    let title = format!("{} {}", image.name, image.version);
    let refused = |fault: &TrustFault| SignedStatus::Refused {
        reason: fault.reason(&title),
    };
    let statement = match repository.trust().statement(&image.manifest) {
        Ok(None) => return SignedStatus::Unsigned,
        Ok(Some(statement)) => statement,
        Err(fault) => return refused(&fault),
    };
    let answer = match peek(repository, pin, now) {
        // Signed, and not promoted yet: that is no fault of it.
        Err(TrustFault::Refused(TrustError::NoCatalogue { seen: 0, .. })) => {
            root(repository, pin, now).and_then(|root| {
                let verified = statement_of(&root, &[], image, &statement, now)?;
                Ok((verified, Vec::new()))
            })
        }
        trusted => trusted.and_then(|trusted| {
            let verified = trusted.image(image, Some(&statement))?;
            let rows = trusted.catalogue().channels.iter();
            let of_image = rows.filter(|row| row.manifest == image.manifest);
            let channels = of_image.map(|row| row.channel.clone()).collect();
            Ok((verified, channels))
        }),
    };
    match answer {
        Ok((verified, channels)) => SignedStatus::Signed {
            signers: verified.signers,
            signed_at: verified.signed_at,
            expires: verified.expires,
            channels,
        },
        Err(fault) => refused(&fault),
    }
}
