// SPDX-License-Identifier: Apache-2.0
//! Each fault of the new parts names its field and what it should be.

use super::{faults, site, with};

#[test]
fn the_whole_example_is_in_order() {
    assert_eq!(faults(&site()), Vec::<String>::new());
}

/// What is replaced, by what, and what is said then.
const ROWS: &[(&str, &str, &str)] = &[
    (
        "units = 42",
        "units = 61",
        "rack[0].units: 61 should be 1 to 60",
    ),
    (
        "name = \"r2\"",
        "name = \"r1\"",
        "rack[1].name: r1 is taken by rack[0]",
    ),
    (
        "name = \"r2\"",
        "name = \"R 2\"",
        "rack[1].name: \"R 2\" should be 1 to 63 of",
    ),
    (
        "\"row-b\"",
        "\"row b\"",
        "rack[1].fault_domain: \"row b\" should be",
    ),
    (
        "rack = \"r2\"\nunit = 48",
        "rack = \"r9\"\nunit = 48",
        "switch[1].rack: there is no rack \"r9\"; there are: r1, r2",
    ),
    (
        "unit = 48",
        "unit = 49",
        "switch[1].unit: 49 should be 1 to 48, the units of rack r2",
    ),
    (
        "unit = 1\nheight = 2\n\n",
        "unit = 48\nheight = 2\n\n",
        "pdu[1].height: 2 should be 1 to 1: rack r2 has 48 units",
    ),
    (
        "unit = 3\nheight = 2\nbay = 1",
        "unit = 2\nheight = 2\nbay = 1",
        "node[1].slot.unit: units 2 to 3 of rack r1 are taken by node[0].slot",
    ),
    (
        "unit = 3\nheight = 2\nbay = 1",
        "unit = 41\nheight = 2\nbay = 1",
        "node[1].slot.unit: units 41 to 42 of rack r1 are taken by switch[0]",
    ),
    (
        "unit = 1\nheight = 2\npower",
        "unit = 1\nheight = 0\npower",
        "node[0].slot.height: 0 should be 1 to 42",
    ),
    (
        "\"pdu-a/1\"",
        "\"pdu-c/1\"",
        "node[0].slot.power[0]: there is no pdu \"pdu-c\"; there are: pdu-a, pdu-b",
    ),
    (
        "\"pdu-a/1\"",
        "\"pdu-a\"",
        "node[0].slot.power[0]: \"pdu-a\" should be the name of a pdu, a slash",
    ),
    (
        "\"pdu-a/1\"",
        "\"pdu-a/1\", \"pdu-a/1\"",
        "node[0].slot.power[1]: pdu-a/1 is taken by node[0].slot.power[0]",
    ),
    (
        "\"sw-1/Ethernet1\"",
        "\"sw-7/Ethernet1\"",
        "node[0].slot.port: there is no switch \"sw-7\"",
    ),
    (
        "profile = \"r640\"",
        "profile = \"r740\"",
        "node[0].profile: there is no profile \"r740\"; there are: r640",
    ),
    (
        "slot = \"A2\"",
        "slot = \"A1\"",
        "profile[0].hardware.dimm[1].slot: \"A1\" should name a slot, and each slot once",
    ),
    (
        "size = \"32GiB\"",
        "size = \"32GB\"",
        "profile[0].hardware.dimm[0].size: \"32GB\" should be",
    ),
    (
        "slot = \"A2\"",
        "slot = \"A2\"\nserial = \"X\"",
        "profile[0].hardware.dimm[1].serial: a serial number is of one machine",
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
    (
        "10.21.1.2",
        "10.20.100.7",
        "node[1].bmc.address: 10.20.100.7 should not be in the pool",
    ),
    (
        "10.21.1.2",
        "10.21.1.999",
        "node[1].bmc.address: \"10.21.1.999\" should be an address or a host name",
    ),
    (
        "10.21.1.2",
        "https://10.21.1.2/",
        "node[1].bmc.address: \"https://10.21.1.2/\" should be",
    ),
    (
        "10.21.1.2",
        "10.21.1.2:0",
        "node[1].bmc.address: \"10.21.1.2:0\" should have a port",
    ),
    (
        "\"bmc-r1\"",
        "\"../etc/shadow\"",
        "node[0].bmc.credential: \"../etc/shadow\" should be the name of a credential",
    ),
    ("\"bmc-r1\"", "\"root:calvin\"", "never the secret itself"),
    (
        "\"bmc-r1\"",
        "\"bmc-r1\"\ncertificate = \"sha1:00\"",
        "node[0].bmc.certificate: should be sha256:",
    ),
    (
        "\"bmc-r1\"",
        "\"bmc-r1\"\nsystem = \"../1\"",
        "node[0].bmc.system: \"../1\" should be",
    ),
    (
        "https://pager",
        "http://pager",
        "webhook[0].url: \"http://pager.example.net/hook?team=dc\" should begin with https://",
    ),
    (
        "https://pager",
        "https://u:p@pager",
        "webhook[0].url: a URL should not hold a user or a password",
    ),
    ("https://pager", "ftp://pager", "should begin with https://"),
    ("dc\"", "dc#x\"", "webhook[0].url"),
    (
        "\"braked\"",
        "\"broke\"",
        "webhook[0].events[1]: there is no kind of event \"broke\"; there are: ",
    ),
    (
        "\"braked\"",
        "\"brake\"",
        "(docs/api.md, section Events, has all) (is braked meant?)",
    ),
    (
        "\"braked\"",
        "\"phase-changed\"",
        "webhook[0].events[1]: phase-changed stands there already",
    ),
    (
        "[\"r2\"]",
        "[\"r3\"]",
        "access[1].racks[0]: there is no rack \"r3\"",
    ),
    (
        "[\"r1-01\"]",
        "[\"r1-99\"]",
        "access[1].nodes[0]: there is no node \"r1-99\"",
    ),
    (
        "\"contractor\"",
        "\"ana\"",
        "access[1].name: ana is taken by access[0]",
    ),
    (
        "\"contractor\"",
        "\"operator:x\"",
        "access[1].name: \"operator:x\" should be the name in a certificate",
    ),
    (
        "nodes_at_once = 2",
        "nodes_at_once = 0",
        "healing.nodes_at_once: 0 should be 1 at least",
    ),
    (
        "nodes_at_once = 2",
        "brake_secs = 0",
        "healing.brake_secs: 0 should be 1 to 604800",
    ),
    (
        "times = 3",
        "times = 101",
        "healing.rule[0].step[0].times: 101 should be 1 to 100",
    ),
    (
        "trouble = \"service\"",
        "trouble = \"silent\"",
        "restart-services is done by the host's agent",
    ),
    (
        "measure = \"reboot\"",
        "measure = \"quarantine\"",
        "healing.rule[0].step[2].measure: nothing comes after quarantine",
    ),
    (
        "measure = \"reboot\"",
        "measure = \"restart-services\"",
        "restart-services comes twice in a row",
    ),
    (
        "AAAAC3Nz",
        "AAAAC3N!",
        "rescue.keys[0]: the text of the key is not base64",
    ),
    (
        "ssh-ed25519",
        "ssh-rsa",
        "rescue.keys[0]: the text of the key is of another kind than ssh-rsa",
    ),
    (
        "ssh-ed25519",
        "from=\\\"*\\\" ssh-ed25519",
        "rescue.keys[0]: should be a public key in one line",
    ),
    ("serial = \"S101\"", "serial = \"\"", "node[0].serial"),
];

#[test]
fn every_fault_of_the_parts_is_named() {
    for (from, to, wants) in ROWS {
        let said = faults(&with(from, to));
        assert!(
            said.iter().any(|fault| fault.contains(wants)),
            "{from} -> {to}: {said:#?}"
        );
    }
}

#[test]
fn nodes_of_one_chassis_share_units_by_bay() {
    let mut site = site();
    let slot = site.nodes[1].slot.clone().unwrap();
    let mut beside = site.nodes[1].clone();
    beside.name = "r1-03".parse().unwrap();
    beside.mac = "52:54:00:00:01:03".parse().unwrap();
    beside.uuid = "564d1234-5678-9abc-def0-000000000103".parse().unwrap();
    beside.bmc.as_mut().unwrap().system = Some("Node2".to_owned());
    beside.slot.as_mut().unwrap().bay = Some(2);
    site.nodes.push(beside);
    assert_eq!(faults(&site), Vec::<String>::new());
    site.nodes[3].slot = Some(slot);
    assert_eq!(faults(&site).len(), 1, "the same bay twice");
}

#[test]
fn all_faults_come_at_once() {
    let mut site = with("units = 42", "units = 0");
    site.nodes[0].serial.clear();
    site.webhooks[0].url = "gopher://x".to_owned();
    site.healing.nodes_at_once = 0;
    let said = faults(&site).join("\n");
    for wants in [
        "rack[0].units",
        "node[0].serial",
        "webhook[0].url",
        "healing.nodes_at_once",
    ] {
        assert!(said.contains(wants), "{said}");
    }
}

#[test]
fn lists_have_limits_that_are_named() {
    let mut site = site();
    let node = site.nodes[0].clone();
    site.nodes = (0..10_001u32)
        .map(|number| {
            let mut node = node.clone();
            let [_, _, b, c] = number.to_be_bytes();
            node.name = format!("n{number}").parse().unwrap();
            node.mac.0 = [0x52, 0x54, 1, 1, b, c];
            node.uuid.0[0] = b;
            node.uuid.0[1] = c;
            node.serial = format!("S{number}");
            node.slot = None;
            node.bmc = None;
            node
        })
        .collect();
    site.access.clear();
    assert_eq!(faults(&site), ["node: 10001 nodes; 10000 is the most"]);
    site.nodes.pop();
    assert_eq!(faults(&site), Vec::<String>::new());
}
