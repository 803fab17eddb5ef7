// SPDX-License-Identifier: Apache-2.0
//! What a plan must know of an image of a whole disk and its manifest does not say: by what its own table is known again.
//! An image whose table cannot be fitted to any disk is refused here, before there is a plan.

use groundstate_api::image::{ImageRef, ImageTable, Manifest};
use groundstate_api::{Digest, Part, Reason, ReasonCode};
use image_repo::{ImageReader, Repository};
use mos_core::random_access::ReadAt;
use mos_core::whole_disk::{LookError, Table, look};
use std::io;

/// The same reference, with what its first sectors tell. A root file system has nothing to tell.
pub(super) fn looked_into(
    repository: &Repository,
    mut image: ImageRef,
) -> Result<ImageRef, Reason> {
    let title = format!("{} {}", image.name, image.version);
    let Some(whole) = &mut image.whole else {
        return Ok(image);
    };
    let unread = |error: String| {
        Reason::new(
            ReasonCode::ImageMissing,
            format!("the first sectors of image {title} cannot be read"),
            "repair the repository or import the image again, then order again",
        )
        .about(Part::Image {
            image: title.clone(),
            digest: None,
        })
        .seen(error)
    };
    let manifest = repository
        .manifest(&image.manifest)
        .map_err(|error| unread(error.to_string()))?;
    let reader = repository
        .reader(&manifest)
        .map_err(|error| unread(error.to_string()))?;
    match table(reader, &manifest) {
        Ok(table) => whole.table = Some(table),
        Err(LookError::Read(error)) => return Err(unread(error.to_string())),
        Err(LookError::Refused(refusal)) => return Err(refusal.reason(&title)),
    }
    Ok(image)
}

fn table(reader: ImageReader, manifest: &Manifest) -> Result<ImageTable, LookError<io::Error>> {
    let mut plain = Plain {
        reader,
        size: manifest.size.0,
    };
    if let Table::Gpt(gpt) = look(&mut plain, manifest.sector_size)? {
        return Ok(ImageTable::Gpt {
            disk_guid: gpt.disk_guid().upper(),
        });
    }
    let mut first = vec![0; usize::try_from(manifest.sector_size).unwrap_or(0)];
    plain.read_at(0, &mut first).map_err(LookError::Read)?;
    Ok(ImageTable::Dos {
        first_sector: Digest::of(&first),
    })
}

/// The image's plain bytes.
struct Plain {
    reader: ImageReader,
    size: u64,
}

impl ReadAt for Plain {
    type Error = io::Error;
    fn len(&self) -> u64 {
        self.size
    }
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), io::Error> {
        self.reader.fill(at, into).map_err(io::Error::other)
    }
}
