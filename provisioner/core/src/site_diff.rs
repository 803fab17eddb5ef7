// SPDX-License-Identifier: Apache-2.0
//! What putting another site in force would do: each change with what follows for machines, and what stands in the way.
//!
//! It changes nothing and guesses nothing: a node that gets another name is one that goes and one that comes, because nobody
//! but a person knows that it is the same machine.

use crate::fleet::Fleet;
use crate::node::Node;
use crate::reasons_site;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::site::{self, Network, Site};
use groundstate_api::site_plan::{ChangeKind, KeyChange, SiteChange, SitePlan};
use groundstate_api::view::Phase;
use groundstate_api::{MacAddr, NodeId};
use serde::Serialize;
use serde_json::Value;

/// The longest value that is shown, in characters: it stands in a table.
const SHOWN_MAX: usize = 160;

/// Flat keys with their values as texts.
type Flat = BTreeMap<String, String>;

/// What applying `after` would do, where `before` is in force and its nodes are as the fleet says. Changes come in the order of
/// the site file, resources of a kind by name.
///
/// # Errors
/// Where a site cannot be written as JSON, which no site is.
pub fn plan(
    before: Option<(u64, &Site)>,
    after: &Site,
    fleet: Option<&Fleet>,
) -> Result<SitePlan, serde_json::Error> {
    let mut changes = Vec::new();
    let old = before.map(|(_, site)| site);
    sections(old, after, &mut changes)?;
    macro_rules! list {
        ($kind:literal, $field:ident) => {
            let was = old.map_or(&[][..], |site| &site.$field);
            list($kind, was, &after.$field, &mut changes)?;
        };
    }
    let pools = |site: &Site| site.network.pools.clone();
    list(
        "pool",
        &old.map(pools).unwrap_or_default(),
        &after.network.pools,
        &mut changes,
    )?;
    list!("rack", racks);
    list!("switch", switches);
    list!("pdu", pdus);
    list!("profile", profiles);
    list!("access", access);
    list!("webhook", webhooks);
    nodes(old, after, fleet, &mut changes)?;
    let from = before.map_or(0, |(version, _)| version);
    Ok(SitePlan {
        from,
        changes,
        warnings: Vec::new(),
    })
}

/// The sections that are there once: a change for each of their keys.
fn sections(
    old: Option<&Site>,
    after: &Site,
    changes: &mut Vec<SiteChange>,
) -> Result<(), serde_json::Error> {
    let was = match old {
        Some(site) => serde_json::to_value(head(site))?,
        None => Value::Null,
    };
    let is = serde_json::to_value(head(after))?;
    for section in [
        "name", "network", "policy", "boot", "images", "healing", "rescue",
    ] {
        let (was, is) = (was.get(section), is.get(section));
        let keys = |value: Option<&Value>| -> BTreeSet<String> {
            let object = value.and_then(Value::as_object);
            object.map_or_else(BTreeSet::new, |object| object.keys().cloned().collect())
        };
        if section == "name" {
            let (was, is) = (flat("name", was), flat("name", is));
            changes.extend(change("name", &was, &is));
            continue;
        }
        for key in keys(was).union(&keys(is)) {
            let path = format!("{section}.{key}");
            let of = |value: Option<&Value>| flat(&path, value.and_then(|value| value.get(key)));
            changes.extend(change(&path, &of(was), &of(is)));
        }
    }
    Ok(())
}

/// The site without its lists: they are long and are compared one by one.
fn head(site: &Site) -> Site {
    let network = Network {
        pools: Vec::new(),
        ..site.network.clone()
    };
    Site {
        boot: site.boot.clone(),
        images: site.images.clone(),
        healing: site.healing.clone(),
        rescue: site.rescue.clone(),
        ..Site::new(&site.name, network, site.policy.clone())
    }
}

/// A change with its effect; `None` where nothing differs.
fn change(resource: &str, was: &Flat, is: &Flat) -> Option<SiteChange> {
    let keys = differences(was, is);
    let kind = match (was.is_empty(), is.is_empty()) {
        _ if keys.is_empty() => return None,
        (true, _) => ChangeKind::Added,
        (false, true) => ChangeKind::Removed,
        (false, false) => ChangeKind::Changed,
    };
    let (effect, restart) = reasons_site::effect(resource, kind, &keys);
    Some(SiteChange {
        resource: resource.to_string(),
        kind,
        keys,
        effect,
        restart,
        refused: None,
    })
}

/// Resources of one kind, known by their names.
fn list<T: Serialize + PartialEq>(
    kind: &str,
    was: &[T],
    is: &[T],
    changes: &mut Vec<SiteChange>,
) -> Result<(), serde_json::Error> {
    let by_name = |all: &[T]| -> Result<BTreeMap<String, Value>, serde_json::Error> {
        let mut map = BTreeMap::new();
        for one in all {
            let value = serde_json::to_value(one)?;
            let name = value.get("name").and_then(Value::as_str);
            map.insert(name.unwrap_or_default().to_string(), value);
        }
        Ok(map)
    };
    if was == is {
        return Ok(());
    }
    let (was, is) = (by_name(was)?, by_name(is)?);
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    for name in names {
        let of = |map: &BTreeMap<String, Value>| flat("", map.get(name));
        changes.extend(change(&format!("{kind} {name}"), &of(&was), &of(&is)));
    }
    Ok(())
}

fn nodes(
    old: Option<&Site>,
    after: &Site,
    fleet: Option<&Fleet>,
    changes: &mut Vec<SiteChange>,
) -> Result<(), serde_json::Error> {
    fn by_name(site: &Site) -> BTreeMap<&NodeId, &site::Node> {
        site.nodes.iter().map(|node| (&node.name, node)).collect()
    }
    let was = old.map(by_name).unwrap_or_default();
    let is = by_name(after);
    let macs: BTreeMap<MacAddr, &NodeId> = was.iter().map(|(id, node)| (node.mac, *id)).collect();
    let names: BTreeSet<&NodeId> = was.keys().chain(is.keys()).copied().collect();
    for id in names {
        let (before, now) = (was.get(id).copied(), is.get(id).copied());
        if before == now {
            continue;
        }
        let value = |node: Option<&site::Node>| node.map(serde_json::to_value).transpose();
        let (flat_was, flat_is) = (
            flat("", value(before)?.as_ref()),
            flat("", value(now)?.as_ref()),
        );
        let Some(mut change) = change(&format!("node {id}"), &flat_was, &flat_is) else {
            continue;
        };
        let state = fleet.and_then(|fleet| fleet.node(id));
        match (before, now) {
            (None, Some(new)) => {
                if let Some(owner) = macs.get(&new.mac).filter(|owner| !is.contains_key(**owner)) {
                    change.effect = reasons_site::same_machine(owner);
                }
            }
            (Some(_), None) => change.refused = state.and_then(in_the_way_of_removal),
            (Some(before), Some(now)) => {
                change.refused = state.and_then(|state| in_the_way_of_change(state, before, now));
            }
            (None, None) => {}
        }
        changes.push(change);
    }
    Ok(())
}

/// Why a node cannot leave the site now: a run would go on, or a host would call, that nobody knows any more.
fn in_the_way_of_removal(node: &Node) -> Option<String> {
    if node.phase == Phase::Retired {
        return None;
    }
    if node.run_is_open() {
        return Some(reasons_site::run_is_open(node.id(), node.phase));
    }
    let is_away = match node.phase {
        Phase::HandedOver
        | Phase::Ready
        | Phase::Suspect
        | Phase::Draining
        | Phase::Quarantined
        | Phase::InRepair
        | Phase::Rescue => false,
        Phase::Enrolled | Phase::Held => node.host.is_none(),
        // Said above.
        Phase::Ordered
        | Phase::Booting
        | Phase::Checking
        | Phase::Planned
        | Phase::Provisioning
        | Phase::Erasing
        | Phase::Retired => true,
    };
    if !node.quarantine.is_empty() {
        let disks: Vec<&str> = node.quarantine.keys().map(String::as_str).collect();
        return Some(reasons_site::disks_in_quarantine(
            node.id(),
            &disks.join(", "),
        ));
    }
    (!is_away).then(|| reasons_site::host_may_run(node.id(), node.phase))
}

/// Why what a node is known by cannot change now.
fn in_the_way_of_change(node: &Node, before: &site::Node, now: &site::Node) -> Option<String> {
    let mut keys = Vec::new();
    if before.mac != now.mac {
        keys.push("mac");
    }
    if before.uuid != now.uuid {
        keys.push("uuid");
    }
    if before.serial != now.serial {
        keys.push("serial");
    }
    let under_way = node.run_is_open() || matches!(node.phase, Phase::HandedOver | Phase::Rescue);
    if keys.is_empty() || !under_way {
        return None;
    }
    Some(reasons_site::identity_under_way(
        node.id(),
        &keys.join(", "),
        node.phase,
    ))
}

/// Keys whose values differ.
fn differences(was: &Flat, is: &Flat) -> Vec<KeyChange> {
    let keys: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let changed = keys.into_iter().filter(|key| was.get(*key) != is.get(*key));
    changed
        .map(|key| {
            let of = |flat: &Flat| flat.get(key).cloned().unwrap_or_default();
            KeyChange {
                key: key.clone(),
                before: of(was),
                after: of(is),
            }
        })
        .collect()
}

/// A value by its leaves. Lists of texts and numbers are one leaf, things in lists are known by their name, serial number, slot
/// or MAC address, and by their place where they have none or it is not theirs alone.
fn flat(path: &str, value: Option<&Value>) -> Flat {
    let mut out = Flat::new();
    if let Some(value) = value {
        walk(path, value, &mut out);
    }
    out
}

fn walk(path: &str, value: &Value, out: &mut Flat) {
    match value {
        Value::Null => {}
        // A host's file by its length and digest: nobody reads a script in a table.
        Value::String(text) if path.ends_with(".content") || path.ends_with(".template") => {
            let digest = groundstate_api::Digest::of(text.as_bytes());
            let says = format!("{} bytes, {}", text.len(), digest.short());
            out.insert(path.to_string(), says);
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.insert(path.to_string(), shown(&text(value)));
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                walk(&path, value, out);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            let mut taken = BTreeSet::new();
            for (index, value) in values.iter().enumerate() {
                let known = ["name", "path", "serial", "slot", "mac", "trouble"].iter();
                let known = known
                    .filter_map(|key| value.get(key)?.as_str())
                    .find(|name| !name.is_empty() && taken.insert(name.to_string()));
                let name = known.map_or_else(|| index.to_string(), ToString::to_string);
                walk(&format!("{path}[{name}]"), value, out);
            }
        }
        Value::Array(values) => {
            let texts: Vec<String> = values.iter().map(text).collect();
            if !texts.is_empty() {
                out.insert(path.to_string(), shown(&texts.join(", ")));
            }
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

/// A long value by its beginning, with enough of a digest that two of them differ.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        None => text.to_string(),
        Some((cut, _)) => {
            let (begin, _) = text.split_at(cut);
            let digest = groundstate_api::Digest::of(text.as_bytes());
            format!("{begin}… ({} bytes, {})", text.len(), digest.short())
        }
    }
}
