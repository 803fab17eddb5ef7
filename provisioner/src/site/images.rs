// SPDX-License-Identifier: Apache-2.0
//! The image that a site names: whether a run would get it, before one is ordered.

use crate::images::Images;
use crate::planner::image_of;
use crate::provisioner::Provisioner;
use groundstate_api::site::Site;
use groundstate_api::{Millis, Reason};

/// Why runs would be held for the image that the site's policy names: the repository has none, or its channel cannot be followed
/// at `now` (by the wall clock). `None` where a run would get it. The bytes of the image are not verified.
#[must_use]
pub fn unusable(images: &dyn Images, site: &Site, now: Millis) -> Option<Reason> {
    let reason = image_of(&site.policy, images, now).err()?;
    Some(reason.seen("policy.image: runs are held for it"))
}

impl Provisioner {
    /// What of the image of a site will be missed. Blocks for the repository.
    pub(crate) fn image_missed(&self, site: &Site) -> Option<Reason> {
        unusable(self.images().as_ref(), site, self.wall())
    }
}
