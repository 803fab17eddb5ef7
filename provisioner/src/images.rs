// SPDX-License-Identifier: Apache-2.0
//! What the provisioner asks of an image repository. The composing process implements it over the real one.

use groundstate_api::image::ImageRef;
use groundstate_api::trust::ImageChoice;
use groundstate_api::{Millis, Reason, ReasonCode};
use mos_core::customise::Volume;
use mos_core::guid::Guid;

/// An image repository, as far as plans need it. Calls may block: they are made outside the async threads.
pub trait Images: Send + Sync {
    /// The newest version of the image of this name; `None` where there is none.
    ///
    /// # Errors
    /// Why the repository cannot say.
    fn newest(&self, name: &str) -> Result<Option<ImageRef>, Reason>;
    /// The image that this channel stands for at `now` (by the wall clock), which those who may have signed. How far the
    /// catalogue has come is durable before this returns, so that nobody rolls it back afterwards.
    ///
    /// # Errors
    /// Why it is not deployed. A repository without channels refuses each of them.
    fn of_channel(&self, choice: &ImageChoice, now: Millis) -> Result<ImageRef, Reason> {
        let _ = now;
        Err(Reason::new(
            ReasonCode::ImageUntrusted,
            format!("{choice} is not deployed: this repository has no channels"),
            "use a repository that has, or name an image without a channel in policy.image",
        ))
    }
    /// Reads every stored byte of the image and compares digests, so that no disk is touched for a corrupt image.
    ///
    /// # Errors
    /// The reason with the image and the chunk or blob that is not what the manifest says.
    fn verify(&self, image: &ImageRef) -> Result<(), Reason>;
    /// The file systems of an image that files may be put into. Without looking into it: those of a root file system.
    ///
    /// # Errors
    /// The image is of a whole disk, and this repository does not look into images; or it cannot be read.
    fn volumes(&self, image: &ImageRef) -> Result<Vec<Volume>, Reason> {
        if image.kind.is_root_fs() {
            return Ok(vec![Volume::of_root_fs()]);
        }
        Err(Reason::new(
            ReasonCode::PlanRefused,
            format!(
                "{} {} is of a whole disk, and nobody looks into it here: its file systems are not known",
                image.name, image.version
            ),
            "leave files, NoCloud and credentials out for this node, or name an image of a root file system",
        ))
    }
    /// The GUIDs of the image's own partition table, of the disk and of its partitions, which a disk of a fleet does not get.
    /// None where it has no such table, or nobody looks into it.
    ///
    /// # Errors
    /// The image cannot be read.
    fn table_guids(&self, image: &ImageRef) -> Result<Vec<Guid>, Reason> {
        let _ = image;
        Ok(Vec::new())
    }
}
