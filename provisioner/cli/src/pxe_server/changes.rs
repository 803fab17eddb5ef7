// SPDX-License-Identifier: Apache-2.0
//! What a reload changes, told part by part: what is, and what was.

use super::settings::Settings;
use pxe_core::dhcp::{Reservation, Route, SubnetConfig, Who};
use pxe_core::rules::{Asker, Rule};
use std::fmt::Display;
use std::net::Ipv4Addr;

/// When what changed takes effect.
pub(super) const IN_FORCE: &str = "in force now, for what each machine asks next; leases that were given stay as they are until they are renewed";

/// A line for each thing that is another one.
pub(super) fn differences(old: &Settings, new: &Settings) -> Vec<String> {
    let mut said = of_subnets(&old.dhcp.subnets, &new.dhcp.subnets);
    said.extend(of_reservations(
        &old.dhcp.reservations,
        &new.dhcp.reservations,
    ));
    said.extend(of_rules(&old.rules.rules, &new.rules.rules));
    said.extend(of_files(&old.rules.files, &new.rules.files));
    if old.rules.command_line != new.rules.command_line {
        said.push(format!("the command line is {:?}", new.rules.command_line));
    }
    let probe = |settings: &Settings| on(settings.dhcp.probe);
    said.extend(moved("the conflict probe", &probe(old), &probe(new)));
    let leases = |settings: &Settings| one(settings.bounds.leases);
    said.extend(moved("limits.leases", &leases(old), &leases(new)));
    if let (Some(was), Some(is)) = (&old.dhcp6, &new.dhcp6) {
        let parts = is.changes(was);
        if !parts.is_empty() {
            said.push(format!("DHCPv6 changed: {}", parts.join("; ")));
        }
    }
    said
}

/// `router is 10.0.0.254 (was nothing)`, where it is another one.
pub(super) fn moved(name: &str, was: &str, is: &str) -> Option<String> {
    (was != is).then(|| format!("{name} is {is} (was {was})"))
}

/// A value, or that there is none.
pub(super) fn one<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
}

/// Values in a row, or that there are none.
pub(super) fn all<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    match values.as_slice() {
        [] => "nothing".to_owned(),
        values => values.join(", "),
    }
}

/// A switch.
pub(super) fn on(is_on: bool) -> String {
    if is_on { "on" } else { "off" }.to_owned()
}

fn of_subnets(old: &[SubnetConfig], new: &[SubnetConfig]) -> Vec<String> {
    let name = |subnet: &SubnetConfig| format!("{}/{}", subnet.network, subnet.prefix);
    let find = |all: &'_ [SubnetConfig], one: &SubnetConfig| {
        all.iter().find(|other| name(other) == name(one)).cloned()
    };
    let mut said = Vec::new();
    for subnet in new {
        match find(old, subnet) {
            None => said.push(format!("subnet {} is new", name(subnet))),
            Some(other) if other != *subnet => {
                let parts = of_subnet(&other, subnet).join("; ");
                said.push(format!("subnet {} changed: {parts}", name(subnet)));
            }
            Some(_) => {}
        }
    }
    let gone = old.iter().filter(|subnet| find(new, subnet).is_none());
    said.extend(gone.map(|subnet| format!("subnet {} is gone; its leases run out", name(subnet))));
    said
}

fn of_subnet(was: &SubnetConfig, is: &SubnetConfig) -> Vec<String> {
    let pool = |pool: &(Ipv4Addr, Ipv4Addr)| format!("{}-{}", pool.0, pool.1);
    let route = |route: &Route| format!("{}/{} via {}", route.to, route.prefix, route.via);
    let pools = |subnet: &SubnetConfig| all(subnet.pools.iter().map(pool));
    let routes = |subnet: &SubnetConfig| all(subnet.routes.iter().map(route));
    let secs = |subnet: &SubnetConfig| subnet.lease_secs.to_string();
    let parts = [
        moved("pools", &pools(was), &pools(is)),
        moved("router", &one(was.router), &one(is.router)),
        moved("dns", &all(&was.dns), &all(&is.dns)),
        moved("ntp", &all(&was.ntp), &all(&is.ntp)),
        moved(
            "domain",
            &one(was.domain.as_ref()),
            &one(is.domain.as_ref()),
        ),
        moved("mtu", &one(was.mtu), &one(is.mtu)),
        moved("routes", &routes(was), &routes(is)),
        moved("lease_secs", &secs(was), &secs(is)),
    ];
    parts.into_iter().flatten().collect()
}

fn of_reservations(old: &[Reservation], new: &[Reservation]) -> Vec<String> {
    let came = new.iter().filter(|one| !old.contains(one));
    let came = came.map(|one| format!("{} is reserved for {}", one.address, whose(&one.who)));
    let went = old.iter().filter(|one| !new.contains(one));
    let went = went.map(|one| {
        let who = whose(&one.who);
        format!("{} is not reserved for {who} as it was", one.address)
    });
    came.chain(went).collect()
}

fn whose(who: &Who) -> String {
    match who {
        Who::Mac(mac) => mac.to_string(),
        Who::Uuid(uuid) => uuid.to_string(),
        Who::RelayPort { circuit, .. } => {
            let shown = String::from_utf8_lossy(circuit);
            format!("relay port {:?}", groundstate_api::text::inert(&shown))
        }
    }
}

/// Rules by their names. One without a name is called by its line, which says nothing of it.
fn of_rules(old: &[Rule], new: &[Rule]) -> Vec<String> {
    let is_named = |rule: &Rule| !rule.name.starts_with("line ");
    let same = |one: &Rule, other: &Rule| {
        let nameless = |rule: &Rule| Rule {
            name: String::new(),
            ..rule.clone()
        };
        nameless(one) == nameless(other)
            && (one.name == other.name || !is_named(one) && !is_named(other))
    };
    let named = |all: &[Rule], rule: &Rule| {
        is_named(rule) && all.iter().any(|other| other.name == rule.name)
    };
    let mut said = Vec::new();
    for rule in new
        .iter()
        .filter(|rule| !old.iter().any(|it| same(it, rule)))
    {
        let word = if named(old, rule) {
            "changed"
        } else {
            "is new"
        };
        said.push(format!("rule {:?} {word}", rule.name));
    }
    for rule in old
        .iter()
        .filter(|rule| !new.iter().any(|it| same(it, rule)))
    {
        if !named(new, rule) {
            said.push(format!("rule {:?} is gone", rule.name));
        }
    }
    let in_order =
        old.len() == new.len() && old.iter().zip(new).all(|(one, other)| same(one, other));
    if said.is_empty() && !in_order {
        said.push("the rules stand in another order, or one more or fewer times".to_owned());
    }
    if old.len() != new.len() {
        said.extend(moved(
            "the number of rules",
            &old.len().to_string(),
            &new.len().to_string(),
        ));
    }
    said
}

fn of_files(old: &[(Asker, String)], new: &[(Asker, String)]) -> Vec<String> {
    let named = |files: &[(Asker, String)], asker: Asker| {
        let named = files.iter().find(|(kind, _)| *kind == asker);
        named.map_or_else(|| "the usual one".to_owned(), |(_, name)| name.clone())
    };
    let each = Asker::ALL.into_iter().filter_map(|asker| {
        let what = format!("the boot file of {asker}");
        moved(&what, &named(old, asker), &named(new, asker))
    });
    each.collect()
}
