// SPDX-License-Identifier: Apache-2.0
//! A disk that loses ground between two inventories is trouble of its node, until it goes or a person has looked at it.

use crate::world::{Key, World, inventory, site};
use groundstate_api::inventory::Inventory;
use serde_json::{Value, json};

/// The inventory of a machine whose data disk has counted so many pending sectors.
fn counted(pending: i64) -> Inventory {
    let mut seen = inventory();
    let figures = &mut seen.disks[0].health.figures;
    figures.insert("pending_sectors".to_owned(), pending);
    figures.insert("crc_errors".to_owned(), pending * 100);
    seen
}

/// A run that is held after its inventory, because the site wants a disk more.
fn held_after(world: &World, seen: &Inventory) -> Value {
    let operator = world.operator();
    let phase = operator.get("/v1/nodes/node-1").ok()["view"]["phase"].clone();
    let order = if phase == "held" {
        "reprovision"
    } else {
        "provision"
    };
    let path = format!("/v1/nodes/node-1/{order}");
    operator.post(&path, &json!({})).ok();
    let (node, run) = world.enrol(&Key::new());
    let report = json!({"run": run, "inventory": seen});
    node.post("/v1/run/inventory", &report).ok();
    while node.get("/v1/run/instruction").ok()["do"] != "hold" {
        std::thread::yield_now();
    }
    operator.get("/v1/nodes/node-1").ok()["troubles"].clone()
}

#[test]
fn a_disk_that_gains_pending_sectors_is_trouble_until_a_person_has_looked() {
    let mut site = site();
    let hardware = json!({"disk": [{"serial": "Z9"}]});
    site.nodes[0].hardware = serde_json::from_value(hardware).unwrap();
    let world = World::with_site(site.clone());
    assert_eq!(
        held_after(&world, &counted(2)),
        Value::Null,
        "no inventory before"
    );
    assert_eq!(held_after(&world, &counted(2)), Value::Null, "nothing grew");
    let troubles = held_after(&world, &counted(42));
    let [trouble] = &troubles.as_array().unwrap()[..] else {
        panic!("{troubles}");
    };
    assert_eq!(
        (&trouble["by"], &trouble["trouble"]["kind"]),
        (&json!("hw-diag"), &json!("disk"))
    );
    let what = trouble["trouble"]["what"].as_str().unwrap();
    assert!(
        what.starts_with("disk DATA-1: This drive gained 40 pending sectors since"),
        "{what}"
    );
    // A cable is no reason to replace a disk, and a later inventory without growth does not make it well.
    assert!(!troubles.to_string().contains("crc_errors"), "{troubles}");
    assert_eq!(held_after(&world, &counted(42)), troubles);
    let world = world.restart_as(site);
    let report = world.operator().get("/v1/nodes/node-1").ok();
    assert_eq!(report["troubles"], troubles, "folded from the journal");
    // A person looked and left it in: it is told of again only when it goes on.
    let because = json!({"why": "surface scan was clean"});
    let operator = world.operator();
    operator.post("/v1/nodes/node-1/repair", &because).ok();
    assert_eq!(
        operator.get("/v1/nodes/node-1").ok()["troubles"],
        Value::Null
    );
    operator.post("/v1/nodes/node-1/release", &because).ok();
    assert_eq!(held_after(&world, &counted(42)), Value::Null);
    let again = held_after(&world, &counted(43));
    assert!(
        again.to_string().contains("gained 41 pending sectors"),
        "{again}"
    );
    // Another disk is in the bay.
    let mut other = counted(0);
    other.disks[0].serial = "DATA-2".into();
    assert_eq!(held_after(&world, &other), Value::Null);
}
