// SPDX-License-Identifier: Apache-2.0
//! Looks which file systems an image of a whole disk has, so that a plan says where a host's own files go. It reads the image
//! out of the repository and writes nothing.

use crate::image::volumes;
use groundstate_api::image::ImageRef;
use groundstate_api::{Part, Reason, ReasonCode};
use image_core::facts::facts;
use image_repo::Repository;
use mos_core::customise::Volume;

pub(super) fn of_whole_disk(
    repository: &Repository,
    image: &ImageRef,
) -> Result<Vec<Volume>, Reason> {
    let refused = |seen: String| {
        Reason::new(
            ReasonCode::ImageMissing,
            format!(
                "{} {} cannot be looked into, so nobody knows where its host's files go",
                image.name, image.version
            ),
            "check the repository (groundstate image fsck) or import the image again, then order again",
        )
        .about(Part::Image {
            image: image.name.clone(),
            digest: Some(image.manifest.to_string()),
        })
        .seen(seen)
    };
    let manifest = repository.manifest(&image.manifest);
    let manifest = manifest.map_err(|error| refused(error.to_string()))?;
    let reader = repository.reader(&manifest);
    let mut reader = reader.map_err(|error| refused(error.to_string()))?;
    let seen = facts(&mut reader).map_err(|error| refused(error.to_string()))?;
    Ok(volumes(&seen).0)
}
