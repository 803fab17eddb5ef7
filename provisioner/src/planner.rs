// SPDX-License-Identifier: Apache-2.0
//! Has the plan made: image verified first, then the planner of `mos-core`, which the node trusts too.

use crate::images::Images;
use crate::journal::JournalError;
use crate::provisioner::{Provisioner, blocking};
use groundstate_api::inventory::Inventory;
use groundstate_api::plan::{EarlierDisks, HandOver, Plan};
use groundstate_api::site::{Node, Policy};
use groundstate_api::view::Phase;
use groundstate_api::{Digest, MacAddr, NodeId, Part, Reason, ReasonCode, RunId};
use mos_core::plan::{PlanRequest, plan};
use prov_core::{Input, reasons};
use tokio::sync::mpsc::UnboundedReceiver;

impl Provisioner {
    /// Makes one plan after the other, until nobody can ask for another one. Whatever happens to a plan, its run hears
    /// of it: an image that cannot be read to its end must not leave a node that waits for ever.
    pub(crate) async fn make_plans(self, mut asked: UnboundedReceiver<(NodeId, RunId)>) {
        while let Some((node, run)) = asked.recv().await {
            let (ours, for_node, for_run) = (self.clone(), node.clone(), run.clone());
            let make = move || ours.make_plan(&for_node, for_run);
            let why = match tokio::task::spawn_blocking(make).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(error) => format!("the planner stopped: {error}"),
            };
            tracing::error!(%node, %run, why, "no plan was made or kept");
            let ours = self.clone();
            blocking(move || ours.no_plan(&node, run, &why)).await;
        }
    }

    fn make_plan(&self, node: &NodeId, run: RunId) -> Result<(), JournalError> {
        let job = self.with_node(node, |state| {
            let waits = |r: &&prov_core::Run| r.id == run && r.plan.is_none();
            let current = state.run.as_ref().filter(waits)?;
            (state.phase == Phase::Checking).then_some(())?;
            Some(Job {
                run: run.clone(),
                node: state.site.clone(),
                policy: self.site().policy.clone(),
                hand_over: current.hand_over,
                inventory: current.inventory.clone()?,
                earlier: state.earlier.clone(),
                site: self.site().name.clone(),
            })
        });
        // A run that has its plan, or is over, was asked for twice.
        let Some(job) = job.flatten() else {
            return Ok(());
        };
        let plan = job.make(self.images().as_ref());
        self.submit(node, Input::PlanMade { run, plan }).map(|_| ())
    }

    fn no_plan(&self, node: &NodeId, run: RunId, why: &str) {
        let plan = Err(reasons::planner_failed(why));
        if let Err(error) = self.submit(node, Input::PlanMade { run, plan }) {
            tracing::error!(%node, %error, "that is not in the journal either; the plan is asked for again");
        }
    }
}

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
