// SPDX-License-Identifier: Apache-2.0
//! What a machine would be held for later is told at the start: an image that is not there, credentials that cannot be used.
//! Nothing of it keeps the servers from starting: both may come at any time.

use super::glue::Images;
use super::say;
use groundstate_api::site::Site;
use groundstate_api::trust::ImageChoice;
use provisioner::Images as _;
use provisioner::credential::Credentials;
use provisioner::site::unusable_credentials;
use std::path::Path;

/// Tells all of it.
pub(super) fn tell(site: &Site, images: &Images, state_dir: &Path) {
    image(images, &site.policy.image, state_dir);
    for reason in unusable_credentials(&Credentials::new(state_dir), site) {
        warn(&reason.to_string());
    }
}

/// A line that stands out in the greeting.
pub(super) fn warn(text: &str) {
    say(&format!("WARNING     {text}"));
}

fn image(images: &Images, image: &str, state_dir: &Path) {
    let refused = match image.parse::<ImageChoice>() {
        Ok(choice) if choice.channel.is_some() => {
            images.of_channel(&choice, provisioner::clock::now()).err()
        }
        Ok(_) | Err(_) => match images.newest(image) {
            Ok(Some(_)) => None,
            Err(reason) => Some(reason),
            Ok(None) => {
                warn(&format!(
                    "image \"{image}\" (policy.image) is not in the repository yet: nodes will be held. Bring it in with\n            groundstate image import --state-dir {} --name {image} ...",
                    state_dir.display()
                ));
                None
            }
        },
    };
    if let Some(reason) = refused {
        warn(&format!("policy.image: nodes will be held.\n{reason}"));
    }
}
