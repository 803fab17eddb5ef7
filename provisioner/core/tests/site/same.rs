// SPDX-License-Identifier: Apache-2.0
//! What two nodes may not share: whatever a machine is known by, and where it stands.

use super::{faults, site, with};

/// What is replaced of the second or third node, by what the first has; and which field is named.
const ROWS: &[(&str, &str, &str)] = &[
    (
        "name = \"r1-02\"",
        "name = \"r1-01\"",
        "node[1].name: r1-01 is taken by node[0]",
    ),
    (
        "52:54:00:00:01:02",
        "52:54:00:00:01:01",
        "node[1].mac: 52:54:00:00:01:01 is taken by node[0]",
    ),
    (
        "000000000102",
        "000000000101",
        "node[1].uuid: 564d1234-5678-9abc-def0-000000000101 is taken by node[0]",
    ),
    (
        "\"S102\"",
        "\"S101\"",
        "node[1].serial: \"S101\" is taken by node[0]",
    ),
    (
        "\"S201\"",
        "\"  S101 \"",
        "node[2].serial: \"  S101 \" is taken by node[0]",
    ),
    (
        "unit = 3\nheight = 2\nbay = 1",
        "unit = 1\nheight = 2",
        "node[1].slot.unit: units 1 to 2 of rack r1 are taken by node[0].slot",
    ),
    (
        "10.21.1.2",
        "10.21.1.1",
        "node[1].bmc.address: 10.21.1.1 is taken by node[0].bmc",
    ),
    (
        "10.21.1.2",
        "10.21.1.1:443",
        "node[1].bmc.address: 10.21.1.1:443 is taken by node[0].bmc",
    ),
];

#[test]
fn no_two_nodes_are_known_by_the_same_or_stand_in_one_place() {
    for (from, to, wants) in ROWS {
        let said = faults(&with(from, to));
        assert!(
            said.iter().any(|fault| fault.starts_with(wants)),
            "{from} -> {to}: {said:#?}"
        );
    }
}

#[test]
fn an_address_is_the_same_in_whatever_case_and_form_it_is_written() {
    for (from, to) in [
        ("52:54:00:00:01:02", "52:54:00:00:01:01"),
        ("52:54:00:00:01:02", "52-54-00-00-01-01"),
        (
            "564d1234-5678-9abc-def0-000000000102",
            "564D1234-5678-9ABC-DEF0-000000000101",
        ),
    ] {
        let text = super::TWO_RACKS.replacen(from, to, 1);
        // Another form is refused when it is read, or is the same address.
        if let Ok(site) = toml::from_str(&text) {
            assert_eq!(faults(&site).len(), 1, "{to}");
        }
    }
    let mut site = site();
    for node in site.nodes.iter_mut().take(2) {
        let bmc = node.bmc.as_mut().unwrap();
        bmc.address = format!("BMC-1.{}", "example.net");
    }
    site.nodes[1].bmc.as_mut().unwrap().address = "bmc-1.EXAMPLE.net".into();
    let said = faults(&site);
    assert!(
        said.len() == 1 && said[0].starts_with("node[1].bmc.address: "),
        "{said:?}"
    );
}

#[test]
fn what_firmware_says_of_every_machine_is_nobodys_serial_number() {
    for filler in [
        "To Be Filled By O.E.M.",
        "Default string",
        "0123456789",
        "00000000",
        "FFFFFFFF",
    ] {
        let mut site = site();
        for node in &mut site.nodes {
            node.serial = filler.into();
        }
        assert_eq!(faults(&site), Vec::<String>::new(), "{filler}");
    }
    // One that only looks like one is one.
    let mut site = site();
    for node in &mut site.nodes {
        node.serial = "00000001".into();
    }
    assert_eq!(faults(&site).len(), 2);
}

#[test]
fn nodes_of_one_chassis_may_share_its_serial_number() {
    let mut site = site();
    site.nodes[0].slot.as_mut().unwrap().unit = 3;
    site.nodes[0].slot.as_mut().unwrap().bay = Some(2);
    site.nodes[0].serial = site.nodes[1].serial.clone();
    assert_eq!(faults(&site), Vec::<String>::new());
    // The same units of another rack are another chassis.
    let slot = site.nodes[0].slot.as_mut().unwrap();
    slot.rack = "r2".into();
    slot.unit = 5;
    slot.power.clear();
    slot.port = None;
    let said = faults(&site);
    assert!(
        said.len() == 1 && said[0].starts_with("node[1].serial"),
        "{said:?}"
    );
}

#[test]
fn of_many_that_share_one_thing_each_but_the_first_is_named() {
    let mut site = site();
    let first = site.nodes[0].clone();
    for node in &mut site.nodes {
        node.mac = first.mac;
        node.uuid = first.uuid;
    }
    let said = faults(&site);
    for wants in ["node[1].mac", "node[1].uuid", "node[2].mac", "node[2].uuid"] {
        assert!(said.iter().any(|fault| fault.starts_with(wants)), "{wants}");
    }
    assert_eq!(said.len(), 4, "{said:#?}");
}
