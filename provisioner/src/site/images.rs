// SPDX-License-Identifier: Apache-2.0
//! The image that a site names: whether a run would get it, before one is ordered.

use crate::images::Images;
use crate::planner::{THEN_AGAIN, image_of};
use crate::provisioner::Provisioner;
use groundstate_api::site::Site;
use groundstate_api::view::NodeView;
use groundstate_api::{Millis, Reason};
use std::path::Path;

/// Why runs would be held for the image that the site's policy names: the repository has none, or its channel cannot be followed
/// at `now` (by the wall clock). `None` where a run would get it. The bytes of the image are not verified. What is to be done about
/// it names the state directory.
#[must_use]
pub fn unusable(images: &dyn Images, site: &Site, now: Millis, state_dir: &Path) -> Option<Reason> {
    let reason = image_of(&site.policy, images, now, state_dir).err()?;
    Some(reason.seen("policy.image: runs are held for it"))
}

impl Provisioner {
    /// What of the image of a site will be missed. Blocks for the repository.
    pub(crate) fn image_missed(&self, site: &Site) -> Option<Reason> {
        let state_dir = self.pki().state_dir();
        unusable(self.images().as_ref(), site, self.wall(), state_dir)
    }

    /// What a run that is ordered now waits for, with the image that it would be held for where that is missing. Blocks for the
    /// repository.
    pub(crate) fn warned_of_image(&self, mut view: NodeView) -> NodeView {
        let missed = self.image_missed(&self.site());
        if let (Some(reason), Some(missed)) = (&mut view.reason, missed) {
            let (what, next) = (&missed.what, &missed.next_step);
            let next = next.strip_suffix(THEN_AGAIN).unwrap_or(next);
            reason.what = format!("{}; the run will be held: {what}", reason.what);
            reason.next_step = format!("{next}; then {}", reason.next_step);
            reason.evidence.push(what.clone());
        }
        view
    }
}
