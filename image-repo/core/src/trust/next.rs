// SPDX-License-Identifier: Apache-2.0
//! What is to be signed next: a statement about an image, and the catalogue that follows another.

use super::limits::CATALOGUE_LIFE;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::Millis;
use groundstate_api::image::ImageRef;
use groundstate_api::trust::{
    Catalogue, Channel, DocumentType, ImageSigned, Revoked, RevokedPart, TRUST_SCHEMA,
};

/// What is signed of that image.
#[must_use]
pub fn statement(image: &ImageRef, now: Millis, expires: Option<Millis>) -> ImageSigned {
    ImageSigned {
        document: DocumentType::Image,
        schema: TRUST_SCHEMA,
        name: image.name.clone(),
        version: image.version.clone(),
        manifest: image.manifest,
        size: image.size,
        kind: image.kind,
        signed_at: now,
        expires,
    }
}

/// The catalogue after `before` that says the same until `expires`; nothing before the first.
#[must_use]
pub fn renewed(
    before: Option<&Catalogue>,
    sequence: u64,
    now: Millis,
    expires: Option<Millis>,
) -> Catalogue {
    Catalogue {
        document: DocumentType::Catalogue,
        schema: TRUST_SCHEMA,
        sequence,
        issued: now,
        expires: expires.unwrap_or(now.plus(CATALOGUE_LIFE)),
        channels: before.map_or_else(Vec::new, |before| before.channels.clone()),
        revoked: before.map_or_else(Vec::new, |before| before.revoked.clone()),
    }
}

/// `next` with the channel set to that image. `step_back`: although it stood for a newer version.
#[must_use]
pub fn promoted(
    mut next: Catalogue,
    image: &ImageRef,
    channel: &str,
    step_back: bool,
) -> Catalogue {
    let is_it = |row: &Channel| row.image == image.name && row.channel == channel;
    next.channels.retain(|row| !is_it(row));
    next.channels.push(Channel {
        image: image.name.clone(),
        channel: channel.to_string(),
        version: image.version.clone(),
        manifest: image.manifest,
        since: next.sequence,
        promoted_at: next.issued,
        step_back,
    });
    next.channels
        .sort_by(|a, b| (&a.image, &a.channel).cmp(&(&b.image, &b.channel)));
    next
}

/// `next` with one more thing that is no longer believed. What is revoked already stays as it is.
#[must_use]
pub fn revoked(mut next: Catalogue, part: RevokedPart, why: String) -> Catalogue {
    if !next.revoked.iter().any(|each| each.part == part) {
        next.revoked.push(Revoked {
            part,
            since: next.issued,
            why,
        });
    }
    next
}
