// SPDX-License-Identifier: Apache-2.0
//! What a node should have: its own hardware, else its profile's.

use groundstate_api::site::Node;
use groundstate_api::site_parts::Profile;

/// The node with the hardware that is expected of it. A profile that is not there is refused when the site is read.
#[must_use]
pub fn effective(node: &Node, profiles: &[Profile]) -> Node {
    let mut node = node.clone();
    if node.hardware.is_none() {
        let named = |profile: &&Profile| Some(&profile.name) == node.profile.as_ref();
        node.hardware = profiles
            .iter()
            .find(named)
            .map(|profile| profile.hardware.clone());
    }
    node
}
