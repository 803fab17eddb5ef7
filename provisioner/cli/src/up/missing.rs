// SPDX-License-Identifier: Apache-2.0
//! What a machine would be held for later is told at the start: an image that is not there, credentials that cannot be used.
//! Nothing of it keeps the servers from starting: both may come at any time.

use super::glue::Images;
use super::{image_dir, say};
use groundstate_api::site::Site;
use provisioner::credential::Credentials;
use provisioner::site::{unusable_credentials, unusable_image};
use std::path::Path;

/// Tells all of it.
pub(super) fn tell(site: &Site, images: &Images, state_dir: &Path) {
    if let Some(reason) = unusable_image(images, site, provisioner::clock::now(), state_dir) {
        let folder = image_dir(state_dir);
        let place = format!(
            "the repository is {}, of --state-dir {}",
            folder.display(),
            state_dir.display()
        );
        warn(&reason.seen(place).to_string());
    }
    for reason in unusable_credentials(&Credentials::new(state_dir), site) {
        warn(&reason.to_string());
    }
}

/// A line that stands out in the greeting.
pub(super) fn warn(text: &str) {
    say(&format!("WARNING     {text}"));
}
