// SPDX-License-Identifier: Apache-2.0
//! Which findings on disks stop a run no longer, and which always do.

use crate::world::*;
use groundstate_api::inventory::{Finding, Gravity, Inventory};
use groundstate_api::plan::EarlierDisks;
use groundstate_api::plan::OrderTerms;
use groundstate_api::site::Policy;
use prov_core::allowance::allow;

fn finding(code: ReasonCode, serial: &str) -> Finding {
    let part = groundstate_api::Part::Disk {
        slot: "bay".into(),
        serial: serial.into(),
        size: None,
        model: None,
    };
    Finding {
        gravity: Gravity::Stop,
        reason: Reason::new(code, "w", "n").about(part),
    }
}

fn stops(node: &prov_core::Node, policy: &Policy, seen: &Inventory, findings: &[Finding]) -> usize {
    let left = allow(node, policy, seen, findings.to_vec());
    assert_eq!(left.len(), findings.len(), "nothing is hidden");
    left.iter()
        .filter(|one| one.gravity == Gravity::Stop)
        .count()
}

#[test]
fn data_disks_may_be_missing_as_far_as_the_site_says_and_the_os_disk_never() {
    let world = World::checking();
    let mut node = world.node().clone();
    let mut policy = site().policy;
    let mut seen = inventory();
    let findings = [
        finding(ReasonCode::DiskMissing, "D-1"),
        finding(ReasonCode::DiskFailing, "D-2"),
    ];
    let dimm = [finding(ReasonCode::DimmMissing, "D-1")];
    assert_eq!(stops(&node, &policy, &seen, &findings), 2);
    policy.disks.missing_data_disks = Some(2);
    // Nobody knows which disk is the OS disk.
    assert_eq!(stops(&node, &policy, &seen, &findings), 2);
    let os = ["OS-1".to_string()].into();
    node.earlier = prov_core::Earlier::of(&EarlierDisks {
        os,
        ..EarlierDisks::default()
    });
    assert_eq!(
        stops(&node, &policy, &seen, &findings),
        2,
        "it is not there"
    );
    seen.disks.push(disk("OS-1"));
    assert_eq!(stops(&node, &policy, &seen, &findings), 0);
    assert_eq!(stops(&node, &policy, &seen, &dimm), 1);
    let os = [finding(ReasonCode::DiskFailing, "OS-1")];
    assert_eq!(stops(&node, &policy, &seen, &os), 1);
    node.site.disks.missing_data_disks = Some(1);
    assert_eq!(
        stops(&node, &policy, &seen, &findings),
        2,
        "more than allowed: all of them stop"
    );
    assert_eq!(stops(&node, &policy, &seen, &findings[..1]), 0);
    // A rebuild allows for the disk that was taken out, and for the one that came in its place.
    node.site.disks.missing_data_disks = None;
    policy.disks.missing_data_disks = None;
    let wrong = [finding(ReasonCode::WrongDisk, "NEW-1")];
    assert_eq!(stops(&node, &policy, &seen, &wrong), 1);
    node.run.as_mut().unwrap().terms = OrderTerms {
        rebuild: Some("NEW-1".into()),
        ..OrderTerms::default()
    };
    assert_eq!(stops(&node, &policy, &seen, &wrong), 0);
    assert_eq!(stops(&node, &policy, &seen, &findings[..1]), 0);
    assert_eq!(
        stops(
            &node,
            &policy,
            &seen,
            &[finding(ReasonCode::WrongDisk, "NEW-2")]
        ),
        1
    );
}

/// A sound disk as a report has it.
fn disk(serial: &str) -> groundstate_api::inventory::Disk {
    let text = format!(
        r#"
        kernel_name = "sda"
        slot = "bay"
        serial = "{serial}"
        model = "m"
        revision = "1"
        size = 1000000
        logical_sector = 512
        physical_sector = 512
        transport = "ata"
        rotational = false
        removable = false
        read_only = false
        contents = []
        health = {{ verdict = "ok", source = "none", evidence = [] }}
        "#
    );
    toml::from_str(&text).unwrap()
}
