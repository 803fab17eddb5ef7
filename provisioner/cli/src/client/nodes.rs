// SPDX-License-Identifier: Apache-2.0
//! The nodes of the site with where they stand: the list, joined with the racks.

use super::said::tell;
use super::{Client, Refused, names, node_path};
use anyhow::{Result, bail};
use groundstate_api::fleet::{Eta, FleetView};
use groundstate_api::view::{NodeView, Phase};
use groundstate_api::{NodeId, Part, Reason, ReasonCode, paths};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::cmp::Ordering;
use std::collections::HashMap;

/// What stands for no rack.
const NO_RACK: &str = "-";

/// The list as it travels: each node untouched, so that what this program does not know gets through.
#[derive(Deserialize)]
struct RawList {
    nodes: Vec<Box<RawValue>>,
}

/// A node's place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) rack: String,
    /// Its lowest unit; 0 where it has none.
    pub(crate) unit: u16,
}

/// A node with where it stands.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) view: NodeView,
    pub(crate) place: Option<Place>,
    pub(crate) eta: Option<Eta>,
    raw: Box<RawValue>,
}

/// Which nodes of the list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) phases: Vec<Phase>,
    pub(crate) racks: Vec<String>,
}

impl Filter {
    pub(crate) fn is_empty(&self) -> bool {
        self.phases.is_empty() && self.racks.is_empty()
    }

    /// Refuses a rack that the site does not have.
    fn check(&self, fleet: &FleetView) -> Result<()> {
        let is_there =
            |name: &str| name == NO_RACK || fleet.racks.iter().any(|rack| rack.name == name);
        let Some(missing) = self.racks.iter().find(|name| !is_there(name)) else {
            return Ok(());
        };
        let mut names: Vec<&str> = fleet.racks.iter().map(|rack| rack.name.as_str()).collect();
        names.sort_by(|a, b| natural(a, b));
        let seen = match names.as_slice() {
            [] => "the site has no racks".to_owned(),
            names => format!("racks: {}", names.join(", ")),
        };
        let reason = Reason::new(
            ReasonCode::BadRequest,
            format!("the site has no rack {missing:?}"),
            "name one of the site's racks; groundstate fleet shows them",
        )
        .about(Part::Field {
            path: "rack".to_owned(),
        })
        .seen(seen)
        .then("nothing: nothing was sent");
        Err(Refused { reason }.into())
    }

    pub(crate) fn takes(&self, node: &Listed) -> bool {
        let phase = self.phases.is_empty() || self.phases.contains(&node.view.phase);
        let rack = node.place.as_ref().map_or(NO_RACK, |place| &place.rack);
        phase && (self.racks.is_empty() || self.racks.iter().any(|name| name == rack))
    }
}

/// Refuses a name that is no node's, in the provisioner's own words: whatever is asked of a node, one that is not there is told
/// in this way and ends with the same status.
///
/// # Errors
/// [`Refused`], or nobody answers.
pub(crate) fn must_be(client: &Client, node: &NodeId) -> Result<()> {
    client.text(&node_path(paths::NODE, node)).map(drop)
}

/// The nodes that the filter takes, and how many there are in all. A rack that is not there is refused.
pub(crate) fn filtered(client: &Client, filter: &Filter) -> Result<(Vec<Listed>, usize)> {
    let (mut nodes, fleet) = all(client)?;
    if let Some(fleet) = &fleet {
        filter.check(fleet)?;
    } else if let Some(rack) = filter.racks.first() {
        bail!("--rack {rack}: the racks are not shown to this certificate; name the nodes");
    }
    let count = nodes.len();
    nodes.retain(|node| filter.takes(node));
    Ok((nodes, count))
}

/// Every node; and the site at a glance, unless the provisioner refuses that.
pub(crate) fn all(client: &Client) -> Result<(Vec<Listed>, Option<FleetView>)> {
    // Without a limit the list is whole. It is asked for first: who may not see it hears that alone.
    let list: RawList = client.get(paths::NODES)?;
    let seen = fleet_or_none(client)?;
    let fleet = seen.clone().unwrap_or_default();
    let mut places = places(&fleet);
    let mut etas: HashMap<_, _> = fleet
        .etas
        .into_iter()
        .map(|eta| (eta.node.clone(), eta))
        .collect();
    let mut nodes = Vec::new();
    for raw in list.nodes {
        let view: NodeView = client.parse(paths::NODES, raw.get())?;
        nodes.push(Listed {
            place: places.remove(view.node.as_str()),
            eta: etas.remove(&view.node),
            view,
            raw,
        });
    }
    let views: Vec<NodeView> = nodes.iter().map(|node| node.view.clone()).collect();
    names::keep(&views);
    Ok((nodes, seen))
}

/// Every node, without where it stands.
pub(crate) fn views(client: &Client) -> Result<Vec<NodeView>> {
    let list: groundstate_api::view::NodeList = client.get(paths::NODES)?;
    Ok(list.nodes)
}

/// The site at a glance. Where the provisioner refuses it that is said, and what it would tell is left out.
pub(crate) fn fleet(client: &Client) -> Result<FleetView> {
    Ok(fleet_or_none(client)?.unwrap_or_default())
}

fn fleet_or_none(client: &Client) -> Result<Option<FleetView>> {
    match client.get(paths::FLEET) {
        Err(error) if error.is::<Refused>() => {
            tell(&format!("Racks and expected times are left out: {error}"));
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// Where each node stands.
pub(crate) fn places(fleet: &FleetView) -> HashMap<String, Place> {
    let slots = fleet.racks.iter().flat_map(|rack| {
        let nodes = rack.slots.iter().filter(|slot| slot.kind == "node");
        nodes.map(|slot| {
            let place = Place {
                rack: rack.name.clone(),
                unit: slot.unit,
            };
            (slot.name.clone(), place)
        })
    });
    slots.collect()
}

/// The document of a list: the API's, with only these nodes in it.
pub(crate) fn document(nodes: &[&Listed]) -> String {
    let nodes: Vec<&str> = nodes.iter().map(|node| node.raw.get()).collect();
    format!(r#"{{"nodes":[{}]}}"#, nodes.join(","))
}

/// The order of names as people count: `r1-2` before `r1-10`.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    natural_key(a).cmp(&natural_key(b))
}

/// A text that sorts by its bytes as people sort the name: each number has its length before it.
pub(crate) fn natural_key(name: &str) -> String {
    let mut key = String::with_capacity(name.len() + 4);
    let mut rest = name;
    while let Some(first) = rest.find(|c: char| c.is_ascii_digit()) {
        let (text, digits) = rest.split_at(first);
        let end = digits.find(|c: char| !c.is_ascii_digit());
        let (number, after) = digits.split_at(end.unwrap_or(digits.len()));
        let number = number.trim_start_matches('0');
        key.push_str(text);
        // A length sorts as the character of that number; names have at most 63 characters.
        key.push(char::from(
            b'0' + u8::try_from(number.len().min(70)).unwrap_or(70),
        ));
        key.push_str(number);
        rest = after;
    }
    key.push_str(rest);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_as_people_count() {
        let mut names = ["r10-1", "r2-10", "r2-9", "a", "r2", "r02-9b", "b1"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a", "b1", "r2", "r2-9", "r02-9b", "r2-10", "r10-1"]);
    }
}
