// SPDX-License-Identifier: Apache-2.0
//! Has the plan made: image verified first, then the planner of `mos-core`, which the node trusts too.

use crate::images::Images;
use groundstate_api::inventory::Inventory;
use groundstate_api::plan::{EarlierDisks, HandOver, Plan};
use groundstate_api::site::{Node, Policy};
use groundstate_api::{Digest, MacAddr, Part, Reason, ReasonCode, RunId};
use mos_core::plan::{PlanRequest, plan};

/// Everything that a plan is made of.
pub(crate) struct Job {
    pub(crate) run: RunId,
    pub(crate) node: Node,
    pub(crate) policy: Policy,
    pub(crate) hand_over: HandOver,
    pub(crate) inventory: Box<Inventory>,
    pub(crate) earlier: EarlierDisks,
    pub(crate) site: String,
}

impl Job {
    /// Blocks for as long as the image's bytes take to read.
    pub(crate) fn make(&self, images: &dyn Images) -> Result<Box<Plan>, Reason> {
        let name = &self.policy.image;
        let image = images.newest(name)?.ok_or_else(|| {
            Reason::new(
                ReasonCode::ImageMissing,
                format!("the repository has no image {name:?}"),
                "import it: groundstate image import --name NAME ..., then order again",
            )
            .about(Part::Image {
                image: name.clone(),
                digest: None,
            })
        })?;
        images.verify(&image)?;
        let request = PlanRequest {
            run: &self.run,
            node: &self.node,
            policy: &self.policy,
            hand_over: self.hand_over,
            inventory: &self.inventory,
            earlier: &self.earlier,
            image: &image,
            boot_mac: self.boot_mac(),
            seed: self.seed(),
        };
        plan(&request).map(Box::new)
    }

    fn boot_mac(&self) -> MacAddr {
        self.node.mac
    }

    /// The run's id is unique, so the seed is; and who replays the journal gets the same plan.
    fn seed(&self) -> Digest {
        Digest::of(
            format!(
                "groundstate plan\n{}\n{}\n{}",
                self.site, self.node.name, self.run
            )
            .as_bytes(),
        )
    }
}
