// SPDX-License-Identifier: Apache-2.0
//! Writes the image from one server, as PID 1 does it.

use super::Moved;
use super::deploy::{Options, deploy};
use super::source::{Fixed, Source};
use groundstate_api::Reason;
use groundstate_api::image::Manifest;
use std::path::Path;

/// Brings the image from `source` onto `target`; see [`deploy`]. Returns what is true of it now, a line each.
///
/// # Errors
/// As [`deploy`].
pub fn write(
    source: &Source,
    manifest: &Manifest,
    target: &Path,
    on: &mut dyn FnMut(Moved),
) -> Result<Vec<String>, Reason> {
    let sources = Fixed::one(source.clone());
    let deployed = deploy(manifest, target, &sources, &Options::default(), on)?;
    Ok(deployed.facts)
}
