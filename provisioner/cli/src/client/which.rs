// SPDX-License-Identifier: Apache-2.0
//! Which nodes an order is for: by name, by rack, by phase.

use super::nodes::{self, Filter, Listed, natural};
use super::{Client, names};
use anyhow::{Result, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use groundstate_api::NodeId;
use groundstate_api::view::Phase;

/// Which nodes.
#[derive(Args, Clone)]
pub(crate) struct Which {
    /// The nodes' names.
    #[arg(value_name = "NODE", required_unless_present_any = ["rack", "phase"], add = ArgValueCompleter::new(names::complete))]
    nodes: Vec<NodeId>,
    /// Every node of this rack. May be given several times; with --phase: those of them that are in it.
    #[arg(long, value_name = "RACK", conflicts_with = "nodes")]
    rack: Vec<String>,
    /// Every node in this phase. May be given several times.
    #[arg(long, value_name = "PHASE", value_parser = super::list::phase, conflicts_with = "nodes")]
    phase: Vec<Phase>,
}

impl Which {
    /// Those nodes, by name. A name that is no node's is refused before anything is sent.
    pub(crate) fn of(&self, client: &Client) -> Result<Vec<Listed>> {
        if self.nodes.is_empty() {
            let filter = Filter {
                phases: self.phase.clone(),
                racks: self.rack.clone(),
            };
            let (mut taken, _) = nodes::filtered(client, &filter)?;
            taken.sort_by(|a, b| natural(a.view.node.as_str(), b.view.node.as_str()));
            if taken.is_empty() {
                bail!("no node is of that rack and in that phase; groundstate node list shows all");
            }
            return Ok(taken);
        }
        let (mut all, _) = nodes::all(client)?;
        let mut wanted = Vec::new();
        for name in &self.nodes {
            let at = all.iter().position(|node| node.view.node == *name);
            let twice = || wanted.iter().any(|node: &Listed| node.view.node == *name);
            match at {
                Some(at) => wanted.push(all.swap_remove(at)),
                None if twice() => {}
                None => {
                    nodes::must_be(client, name)?;
                    bail!(
                        "{name} came into the site at this moment, and nothing was sent; run it again"
                    );
                }
            }
        }
        Ok(wanted)
    }
}
