// SPDX-License-Identifier: Apache-2.0
//! Looks where machines differ from the site, a few at a time: a question about the fleet holds up nobody.

use crate::planner::image_of;
use crate::planner_files::Basis;
use crate::provisioner::Provisioner;
use groundstate_api::image::ImageRef;
use groundstate_api::site::Node;
use groundstate_api::site_plan::{Drift, Drifted};
use groundstate_api::{Digest, NodeId, Reason};
use mos_core::customise::Volume;
use prov_core::{KeptInventory, drift};
use std::collections::HashMap;

/// Nodes that are looked at in one go.
const AT_ONCE: usize = 64;

impl Provisioner {
    /// Where the machines of these nodes differ from the site. Blocks: the image repository is asked which image is wanted.
    pub(crate) fn drift(&self, sees: &dyn Fn(&NodeId) -> bool) -> Drift {
        let (site, version) = (self.site(), self.site_version());
        let image = image_of(
            &site.policy,
            self.images().as_ref(),
            self.wall(),
            self.pki().state_dir(),
        );
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
                            node.last_good.as_ref().map(KeptInventory::get).as_deref(),
                            &node.earlier.get(),
                            &inventory.get(),
                        )
                    });
                    drift::of_node(node, wanted, &findings.unwrap_or_default(), &mut drifts);
                }
            });
        }
        self.files_drift(&nodes, &mut drifts);
        drifts.sort_by(|a, b| a.node.cmp(&b.node));
        Drift { version, drifts }
    }

    /// Where hosts were made with other files than the site gives now. Each is compared under the run and the image that it was
    /// made with, so that only what the site says makes a difference.
    fn files_drift(&self, nodes: &[&NodeId], drifts: &mut Vec<Drifted>) {
        let site = self.site();
        let images = self.images().clone();
        let mut known: HashMap<Digest, Result<Vec<Volume>, Reason>> = HashMap::new();
        let mut volumes = |image: &ImageRef| {
            let of_image = known.entry(image.manifest);
            of_image.or_insert_with(|| images.volumes(image)).clone()
        };
        let by_name: HashMap<&NodeId, &Node> =
            site.nodes.iter().map(|node| (&node.name, node)).collect();
        for id in nodes {
            let Some(node) = by_name.get(id) else {
                continue;
            };
            let made = self.with_node(id, drift::made_with).flatten();
            let Some((run, image, files)) = made else {
                continue;
            };
            let basis = Basis {
                site: &site.name,
                network: &site.network,
                policy: &site.policy,
                node,
                run: &run,
                image: &image,
            };
            let wanted = basis.files(&mut volumes).map(|files| files.planned);
            drifts.extend(drift::of_files(id, wanted.as_deref(), &files));
        }
    }
}
