// SPDX-License-Identifier: Apache-2.0
//! Newer signed documents out of the bucket behind a repository: each is judged as one that was signed here would be, and then
//! kept in the repository's own folder, so that what was believed once is still known when the bucket does not answer.

use super::error::TrustFault;
use super::files::{Place, TrustFiles};
use super::pin::Pin;
use super::subject::{Subject, beyond};
use crate::objects::{Behind, Bucket, BucketError, in_time};
use crate::repository::Repository;
use crate::store::Kind;
use groundstate_api::Millis;
use groundstate_api::trust::{Catalogue, ImageChoice, Signed, TrustRoot};
use image_core::manifest::reference;
use image_core::trust::limits::ROOTS_MAX;
use image_core::trust::{TrustError, advance, catalogue_of, may_install, statement_of};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// How long the bucket may take for all documents of one question.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Roots and catalogue of a bucket.
struct Papers {
    roots: Vec<Signed>,
    catalogue: Option<Signed>,
}

/// Takes over the trust roots and the catalogue that are newer than this repository's, and the signature of the image that the
/// channel stands for then. `bucket` is asked, which should not be patient: it is the one behind the repository. A repository
/// without one has nothing to follow. It waits: not for a server's own threads.
///
/// # Errors
/// The bucket does not answer, or what it has is not to be believed. What the repository has stays in its place then.
pub fn follow(
    repository: &Repository,
    bucket: &Bucket,
    pin: &Pin,
    choice: &ImageChoice,
    now: Millis,
) -> Result<(), BucketError> {
    let Some(behind) = repository.store.behind() else {
        return Ok(());
    };
    let files = repository.trust();
    let pinned = pin.root()?;
    let root = advanced(&pinned, &files)?;
    let asked = papers(bucket.clone(), root.version);
    let there = within(behind, "the signed documents", asked)?;
    let root = {
        let _lock = files.lock()?;
        let root = take_roots(&files, &pinned, &there.roots)?;
        if let Some(newer) = &there.catalogue {
            take_catalogue(&files, &root, newer)?;
        }
        root
    };
    let Some(catalogue) = repository.newest_catalogue()? else {
        return Ok(());
    };
    let wanted = |name: &str, channel: &str| {
        name == choice.name && choice.channel.as_deref() == Some(channel)
    };
    let mut rows = catalogue.channels.iter();
    let Some(row) = rows.find(|row| wanted(&row.image, &row.channel)) else {
        return Ok(());
    };
    let (subject, bucket) = (Subject::Statement(row.manifest), bucket.clone());
    let asked = async move { bucket.document(subject).await };
    let Some(signed) = within(behind, "the image's signature", asked)? else {
        return Ok(());
    };
    let at = subject.number(&signed.document).map_err(fault)?;
    if !is_news(subject, files.statement(&row.manifest)?.as_ref(), &signed)? {
        return Ok(());
    }
    // Fetched within the same time; then it is kept.
    let (cache, manifest) = (Arc::clone(behind.cache()), row.manifest);
    let fetched = async move { cache.file(Kind::Manifest, &manifest).await };
    within(behind, "the image's manifest", fetched)?;
    let image = reference(&repository.manifest(&row.manifest)?);
    statement_of(&root, &catalogue.revoked, &image, &signed, now).map_err(fault)?;
    let _lock = files.lock()?;
    files.put(Place::Image(row.manifest, at), &signed)?;
    Ok(())
}

/// The newest root of this repository's line.
fn advanced(pinned: &TrustRoot, files: &TrustFiles) -> Result<TrustRoot, BucketError> {
    advance(pinned, &files.roots_after(pinned.version)?).map_err(fault)
}

async fn papers(bucket: Bucket, version: u64) -> Result<Papers, BucketError> {
    let mut roots = Vec::new();
    for next in (version.saturating_add(1)..).take(ROOTS_MAX) {
        match bucket.document(Subject::Root(next)).await? {
            Some(root) => roots.push(root),
            None => break,
        }
    }
    let catalogue = bucket.document(Subject::Catalogue).await?;
    Ok(Papers { roots, catalogue })
}

/// The newest root after those that follow ours, each signed as the one before it asks.
fn take_roots(
    files: &TrustFiles,
    pinned: &TrustRoot,
    newer: &[Signed],
) -> Result<TrustRoot, BucketError> {
    // Somebody may have signed here meanwhile.
    let mut root = advanced(pinned, files)?;
    for signed in newer {
        let version = Subject::Root(0).number(&signed.document).map_err(fault)?;
        if version > root.version {
            root = may_install(&root, signed).map_err(fault)?;
            files.put(Place::Root(root.version), signed)?;
        }
    }
    Ok(root)
}

fn take_catalogue(files: &TrustFiles, root: &TrustRoot, newer: &Signed) -> Result<(), BucketError> {
    let subject = Subject::Catalogue;
    if !is_news(subject, files.catalogue()?.as_ref(), newer)? {
        return Ok(());
    }
    let (catalogue, _): (Catalogue, _) = catalogue_of(root, newer).map_err(fault)?;
    files.put(Place::Catalogue(catalogue.sequence), newer)?;
    Ok(())
}

/// Whether a document follows ours, or is ours with a signature that we have not. Ours counts as none where it cannot be read.
fn is_news(subject: Subject, ours: Option<&Signed>, there: &Signed) -> Result<bool, BucketError> {
    let there_number = subject.number(&there.document).map_err(fault)?;
    let Some(ours) = ours else {
        return Ok(true);
    };
    if ours.document == there.document {
        return Ok(beyond(there, ours).next().is_some());
    }
    let number = subject.number(&ours.document).ok();
    Ok(number.is_none_or(|number| there_number > number))
}

fn within<T: Send + 'static>(
    behind: &Behind,
    what: &'static str,
    asked: impl Future<Output = Result<T, BucketError>> + Send + 'static,
) -> Result<T, BucketError> {
    behind.wait(in_time(ANSWER_MAX, what.to_owned(), asked))
}

fn fault(error: TrustError) -> BucketError {
    TrustFault::from(error).into()
}
