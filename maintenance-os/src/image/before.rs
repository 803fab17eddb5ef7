// SPDX-License-Identifier: Apache-2.0
//! What lay on the target before, by the plan's word: where its chunks were is worth a manifest. Nothing depends on it, so it
//! refuses nothing: an image that is gone, damaged or another than the plan says is told, and the disk is looked at without it.

use super::Moved;
use super::source::Source;
use super::whole::fetch_former;
use groundstate_api::image::{ImageRef, Manifest};
use image_core::deploy::Former;

/// The image before, as far as anything is known of it.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// Where it had its chunks.
    pub former: Option<Former>,
    /// What to say of it.
    pub fact: Option<String>,
}

impl Before {
    /// Finds out about `previous`, over which `manifest`, the manifest of `image`, is to be written. A server that is away is
    /// asked a few times, within seconds.
    pub fn find(
        source: &Source,
        previous: &ImageRef,
        (image, manifest): (&ImageRef, &Manifest),
        on: &mut dyn FnMut(Moved),
    ) -> Self {
        let title = format!("{} {}", previous.name, previous.version);
        let found = if previous.manifest == image.manifest {
            Ok(Former::of(manifest))
        } else {
            fetch_former(source, previous, on).map(|manifest| Former::of(&manifest))
        };
        match found {
            Ok(former) => Self {
                former: Some(former),
                fact: Some(format!(
                    "{title} lay there before: its chunks were looked for on the disk"
                )),
            },
            Err(reason) => Self {
                former: None,
                fact: Some(format!(
                    "{title} lay there before, and could not be asked about: {}",
                    reason.what
                )),
            },
        }
    }
}
