// SPDX-License-Identifier: Apache-2.0
//! The repair ticket of a node, from what is known of it now.

use crate::provisioner::Provisioner;
use groundstate_api::NodeId;
use groundstate_api::ticket::Ticket;

impl Provisioner {
    /// The ticket; `None` where nothing is to be repaired, or where there is no such node.
    #[must_use]
    pub fn ticket(&self, node: &NodeId) -> Option<Ticket> {
        let (site, now) = (self.site(), self.now());
        self.with_node(node, |node| {
            let mut report = node.report();
            report.hardware = crate::hardware::of(node, &report);
            prov_core::ticket::ticket(node, &site, &report.hardware, now)
        })
        .flatten()
    }
}
