// SPDX-License-Identifier: Apache-2.0
//! Checks `[images]` of a site file: racks, and how much nodes may send to each other.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use groundstate_api::Bytes;
use groundstate_api::fan_out::Rack;
use groundstate_api::site::Site;

/// Below this a piece would take longer than another node waits for it.
const RATE_MIN: Bytes = Bytes::mib(1);
/// The longest name of a rack in bytes.
const NAME_MAX: usize = 64;

/// Names every fault through `add`.
pub(crate) fn check(site: &Site, add: &mut dyn FnMut(String, String)) {
    let rules = &site.images;
    for (key, rate) in [
        ("peer_rate", &rules.peer_rate),
        ("total_rate", &rules.total_rate),
        ("node_rate", &rules.node_rate),
    ] {
        let Some(rate) = rate else { continue };
        if Bytes::parse(rate).is_none_or(|rate| rate < RATE_MIN) {
            add(
                format!("images.{key}"),
                format!(
                    "{rate} should be the bytes of a second, {RATE_MIN} at least, for example 100MiB"
                ),
            );
        }
    }
    let known: BTreeSet<_> = site.nodes.iter().map(|node| &node.name).collect();
    let mut names = BTreeMap::new();
    let mut places = BTreeMap::new();
    for (index, rack) in rules.racks.iter().enumerate() {
        let path = format!("images.rack[{index}]");
        name(&path, rack, add);
        if let Some(other) = names.insert(&rack.name, index) {
            add(
                format!("{path}.name"),
                format!("{} is the name of images.rack[{other}] too", rack.name),
            );
        }
        if rack.network.is_some() && rack.prefix().is_none() {
            add(
                format!("{path}.network"),
                "should be an IPv4 network, for example 10.4.0.0/24".to_string(),
            );
        }
        for (at, node) in rack.nodes.iter().enumerate() {
            let path = format!("{path}.nodes[{at}]");
            if !known.contains(node) {
                add(path.clone(), format!("the site has no node {node}"));
            }
            if let Some(other) = places.insert(node, index) {
                add(path, format!("{node} stands in images.rack[{other}] too"));
            }
        }
    }
}

fn name(path: &str, rack: &Rack, add: &mut dyn FnMut(String, String)) {
    let length = rack.name.len();
    if length == 0 || length > NAME_MAX || rack.name.chars().any(char::is_control) {
        add(
            format!("{path}.name"),
            format!("should be 1 to {NAME_MAX} bytes without control characters"),
        );
    }
    if rack.nodes.is_empty() && rack.network.is_none() {
        add(
            path.to_string(),
            "should name its nodes, or its network".to_string(),
        );
    }
}
