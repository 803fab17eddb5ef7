// SPDX-License-Identifier: Apache-2.0
//! Looks where machines differ from the site, a few at a time: a question about the fleet holds up nobody.

use crate::planner::image_of;
use crate::provisioner::Provisioner;
use groundstate_api::NodeId;
use groundstate_api::image::ImageRef;
use groundstate_api::site_plan::Drift;
use prov_core::drift;

/// Nodes that are looked at in one go.
const AT_ONCE: usize = 64;

impl Provisioner {
    /// Where the machines of these nodes differ from the site. Blocks: the image repository is asked which image is wanted.
    pub(crate) fn drift(&self, sees: &dyn Fn(&NodeId) -> bool) -> Drift {
        let (site, version) = (self.site(), self.site_version());
        let image = image_of(&site.policy, self.images().as_ref(), self.wall());
        let wanted: Option<&ImageRef> = image.as_ref().ok();
        let nodes: Vec<&NodeId> = site
            .nodes
            .iter()
            .map(|node| &node.name)
            .filter(|id| sees(id))
            .collect();
        let mut drifts = Vec::new();
        for some in nodes.chunks(AT_ONCE) {
            self.with_fleet(|fleet| {
                for node in some.iter().filter_map(|id| fleet.node(id)) {
                    let findings = drift::newest(node).map(|inventory| {
                        hw_core::judge_node(
                            &node.site,
                            node.last_good.as_deref(),
                            &node.earlier,
                            inventory,
                        )
                    });
                    drift::of_node(node, wanted, &findings.unwrap_or_default(), &mut drifts);
                }
            });
        }
        drifts.sort_by(|a, b| a.node.cmp(&b.node));
        Drift { version, drifts }
    }
}
