// SPDX-License-Identifier: Apache-2.0
//! What the provisioner asks of an image repository. The composing process implements it over the real one.

use groundstate_api::Reason;
use groundstate_api::image::ImageRef;

/// An image repository, as far as plans need it. Calls may block: they are made outside the async threads.
pub trait Images: Send + Sync {
    /// The newest version of the image of this name; `None` where there is none.
    ///
    /// # Errors
    /// Why the repository cannot say.
    fn newest(&self, name: &str) -> Result<Option<ImageRef>, Reason>;
    /// Reads every stored byte of the image and compares digests, so that no disk is touched for a corrupt image.
    ///
    /// # Errors
    /// The reason with the image and the chunk or blob that is not what the manifest says.
    fn verify(&self, image: &ImageRef) -> Result<(), Reason>;
}
