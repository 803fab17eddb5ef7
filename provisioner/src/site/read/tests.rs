// SPDX-License-Identifier: Apache-2.0
//! Faults of types and of meaning come together, each once.

use super::{Kinds, read};
use serde_json::{Value, json};

fn good() -> Value {
    json!({
        "name": "lab",
        "network": {"address": "10.0.0.1", "prefix": 24, "pool_first": "10.0.0.100", "pool_last": "10.0.0.200"},
        "policy": {"image": "debian", "hand_over": "kexec"},
        "rack": [{"name": "r1"}],
        "node": [
            {"name": "a", "mac": "52:54:00:00:00:01", "uuid": "564d1234-5678-9abc-def0-000000000001", "serial": "1",
             "slot": {"rack": "r1", "unit": 1}},
            {"name": "b", "mac": "52:54:00:00:00:02", "uuid": "564d1234-5678-9abc-def0-000000000002", "serial": "2"},
        ],
    })
}

fn faults(document: Value) -> Vec<String> {
    read(document, Kinds::Strict)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// The good site with a value at a place.
fn with(changes: &[(&str, Value)]) -> Value {
    let mut site = good();
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match site.pointer_mut(parent).unwrap() {
            Value::Object(fields) => {
                fields.insert(key.to_owned(), value.clone());
            }
            Value::Array(values) => values[key.parse::<usize>().unwrap()] = value.clone(),
            other => panic!("{other}"),
        }
    }
    site
}

#[test]
fn a_good_document_is_a_site() {
    assert_eq!(read(good(), Kinds::Strict).unwrap().nodes.len(), 2);
}

#[test]
fn every_fault_is_told_once_and_none_hides_another() {
    let said = faults(with(&[
        ("/name", json!(7)),
        ("/network/prefix", json!("24")),
        ("/network/colour", json!("red")),
        ("/policy/hand_over", json!("carry")),
        ("/rack/0/units", json!(99)),
        ("/node/0/mac", json!("52:54")),
        ("/node/0/uuid", json!("?")),
        ("/node/0/slot/unit", json!(-1)),
        ("/node/1/name", json!("Not A Name")),
        ("/node/1/serail", json!("x")),
        ("/node/1/serial", json!("")),
        ("/hosts", json!([])),
    ]));
    let wants = [
        "hosts: there is no such key",
        "name: 7 should be a text",
        "network.prefix: \"24\" should be a number of 0 to 255",
        "network.colour: there is no such key; there are: address, prefix",
        "policy.hand_over: \"carry\" is not known; there are: kexec, reboot",
        "rack[0].units: 99 should be 1 to 60",
        "node[0].mac: a MAC address is six pairs",
        "node[0].uuid: a UUID is",
        "node[0].slot.unit: -1 should be a number of 0 to 65535",
        "node[1].name: ",
        "node[1].serail: there is no such key (is serial meant?)",
        "node[1].serial: the machine's serial number",
    ];
    for want in wants {
        assert_eq!(
            said.iter().filter(|fault| fault.starts_with(want)).count(),
            1,
            "{want}: {said:#?}"
        );
    }
    assert_eq!(said.len(), wants.len(), "{said:#?}");
}

/// What one fault used to hide: the other values of its list, names that nothing has, and the rest of the network.
#[test]
fn a_fault_of_a_type_hides_nothing_of_the_same_thing() {
    let said = faults(with(&[
        ("/network/router", json!("nowhere")),
        ("/network/dns", json!(["x", "10.0.0.53", 7, "y"])),
        ("/network/lease_secs", json!(1)),
        ("/node/0/keep", json!([1, "K", 2])),
        ("/node/0/slot", json!({"rack": "r9", "unit": "one"})),
        ("/node/0/profile", json!("none")),
        (
            "/node/1/slot",
            json!({"rack": "r1", "unit": 0, "height": 99}),
        ),
    ]));
    let wants = [
        "network.router: should be an IPv4 address",
        "network.dns[0]: should be an IPv4 address",
        "network.dns[2]: ",
        "network.dns[3]: should be an IPv4 address",
        "network.lease_secs: 1 should be 300",
        "node[0].keep[0]: 1 should be a text",
        "node[0].keep[2]: 2 should be a text",
        "node[0].slot.rack: there is no rack",
        "node[0].slot.unit: \"one\" should be a number",
        "node[0].profile: there is no profile",
        "node[1].slot.unit: 0 should be 1 to 42",
        "node[1].slot.height: 99 should be 1 to 42",
    ];
    for want in wants {
        let told = said.iter().filter(|fault| fault.starts_with(want));
        assert_eq!(told.count(), 1, "{want}: {said:#?}");
    }
    assert_eq!(said.len(), wants.len(), "{said:#?}");
}

/// A rack whose name cannot be read may be the one that a node names.
#[test]
fn a_name_that_could_not_be_read_is_not_missed() {
    let said = faults(with(&[
        ("/rack/0/name", json!(7)),
        ("/node/0/mac", json!("?")),
    ]));
    assert_eq!(said.len(), 2, "{said:#?}");
}

#[test]
fn what_is_missing_is_named() {
    for (pointer, key, want) in [
        ("/node/0", "mac", "node[0].mac: should be there"),
        ("/node/1", "serial", "node[1].serial: should be there"),
        (
            "/network",
            "pool_last",
            "network.pool_last: should be there",
        ),
        ("/policy", "image", "policy.image: should be there"),
        ("", "network", "network: should be there"),
        ("", "name", "name: should be there"),
        ("/node/0/slot", "unit", "node[0].slot.unit: should be there"),
    ] {
        let mut site = good();
        site.pointer_mut(pointer)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(key);
        assert_eq!(faults(site), [want]);
    }
}

#[test]
fn what_is_no_site_at_all_is_refused() {
    for (document, want) in [
        (json!([]), ".: a site should be a table"),
        (json!("site"), ".: a site should be a table"),
        (
            with(&[("/node", json!({"a": 1}))]),
            "node: should be a list of tables, [[node]]",
        ),
        (
            with(&[("/node/0", json!(3))]),
            "node[0]: 3 should be a table",
        ),
        (
            with(&[("/network", json!("10.0.0.0/24"))]),
            "network: \"10.0.0.0/24\" should be a table",
        ),
        (
            with(&[("/healing", json!({"rule": [{"trouble": "x", "step": []}]}))]),
            "healing.rule[0].trouble: \"x\" is not known; there are: ",
        ),
        (
            with(&[("/policy/disks", json!({"rule": [{"role": "sofa"}]}))]),
            "policy.disks.rule[0].role",
        ),
    ] {
        let said = faults(document);
        assert!(
            said.iter().any(|fault| fault.starts_with(want)),
            "{want}: {said:#?}"
        );
    }
}

#[test]
fn texts_stand_for_what_is_asked_for() {
    let site = json!({
        "name": "lab",
        "network": {"address": "10.0.0.1", "prefix": "24", "pool_first": "10.0.0.100", "pool_last": "10.0.0.200",
                    "dns": "10.0.0.53"},
        "policy": {"image": "debian", "hand_over": "kexec", "closed": "false",
                   "vhd": {"name": "vm", "size": "1GiB", "count": "2"}},
        "rack": {"name": "r1", "units": "48"},
        "node": {"name": "a", "mac": "52:54:00:00:00:01", "uuid": "564d1234-5678-9abc-def0-000000000001", "serial": "1",
                 "slot": {"rack": "r1", "unit": "47"}, "keep": ["A", "B"], "hardware": ""},
    });
    let read_one = read(site.clone(), Kinds::Texts).unwrap();
    assert_eq!(read_one.racks[0].units, 48);
    assert_eq!(
        (read_one.policy.closed, read_one.policy.vhds[0].count),
        (false, 2)
    );
    assert_eq!(
        (read_one.network.dns.len(), read_one.nodes[0].keep.len()),
        (1, 2)
    );
    let mut wrong = site;
    wrong["rack"]["units"] = json!("many");
    wrong["policy"]["closed"] = json!("perhaps");
    wrong["node"]["slot"]["unit"] = json!("70000");
    let said: Vec<String> = read(wrong, Kinds::Texts)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        [
            "policy.closed: \"perhaps\" should be true or false",
            "rack[0].units: \"many\" should be a number of 0 to 65535",
            "node[0].slot.unit: \"70000\" should be a number of 0 to 65535",
        ]
    );
}

#[test]
fn a_thousand_faults_are_told_and_more_are_counted() {
    let mut site = good();
    let node = site["node"][1].clone();
    let nodes = (0..1_500).map(|_| {
        let mut node = node.clone();
        node["mac"] = json!("?");
        node
    });
    site["node"] = nodes.collect();
    let said = faults(site);
    assert_eq!(said.len(), super::FAULTS_MAX + 1);
    assert!(
        said.last().unwrap().contains("more faults"),
        "{:?}",
        said.last()
    );
}
