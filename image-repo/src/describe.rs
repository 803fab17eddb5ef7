// SPDX-License-Identifier: Apache-2.0
//! What the manifest says of an image beside its bytes: read out of the image, through its stored chunks.

use crate::error::RepoError;
use crate::import::{ImportOptions, ImportRequest};
use crate::pipeline::Made;
use crate::repository::Repository;
use groundstate_api::Bytes;
use groundstate_api::image::{Architecture, BootEntry, RequiredFirmware};
use image_core::facts::{ImageFacts, Stated, facts};

/// What was found.
pub(crate) struct Description {
    pub(crate) architecture: Option<Architecture>,
    pub(crate) firmware: RequiredFirmware,
    /// How a whole disk starts.
    pub(crate) boot: BootEntry,
    pub(crate) minimum_size: Bytes,
    pub(crate) facts: ImageFacts,
}

/// Looks into the image. What it tells must not contradict what was stated of it.
pub(crate) fn describe(
    repository: &Repository,
    options: &ImportOptions,
    request: &ImportRequest<'_>,
    made: &Made,
) -> Result<Description, RepoError> {
    let mut reader = repository.reader_of(made.size, made.chunks.as_slice().into())?;
    let facts = facts(&mut reader)?;
    let is_root_fs = request.kind.is_root_fs();
    facts.check(&Stated {
        // A root file system has no partition table that is for one sector size.
        sector_size: (!is_root_fs).then_some(request.sector_size),
        architecture: options.architecture,
    })?;
    let fields = facts.manifest_fields();
    let architecture = fields.architecture.or(options.architecture);
    if is_root_fs {
        // What boots it lies beside it, and it is grown to its partition.
        return Ok(Description {
            architecture,
            firmware: RequiredFirmware::Any,
            boot: BootEntry::None,
            minimum_size: made.size,
            facts,
        });
    }
    let sector = u64::from(request.sector_size);
    Ok(Description {
        architecture,
        firmware: fields.firmware,
        boot: fields.boot,
        minimum_size: Bytes(fields.minimum_size.0.next_multiple_of(sector)),
        facts,
    })
}
