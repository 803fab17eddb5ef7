// SPDX-License-Identifier: Apache-2.0
//! Lets a run go on although data disks are missing or failing, as far as the site allows it: a failed data disk costs what
//! lay on it and not the node. The OS disk is never among them, and where nobody knows which disk that is, nothing is let
//! pass: another disk could become the OS disk.

use crate::node::Node;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::inventory::{Finding, Gravity, Inventory};
use groundstate_api::site::Policy;
use groundstate_api::{Part, ReasonCode};

/// The findings, where those on data disks that the site lets be missing stop the run no longer. An order to rebuild a disk
/// allows for one more: the disk that was taken out.
#[must_use]
pub fn allow(
    node: &Node,
    policy: &Policy,
    inventory: &Inventory,
    mut findings: Vec<Finding>,
) -> Vec<Finding> {
    if node
        .run
        .as_ref()
        .is_some_and(|run| run.terms.erase.is_some())
    {
        return for_an_erase(findings);
    }
    let by_site = node
        .site
        .disks
        .missing_data_disks
        .or(policy.disks.missing_data_disks)
        .unwrap_or_default();
    let rebuild = node.run.as_ref().and_then(|run| run.terms.rebuild.clone());
    let allowed = usize::from(by_site) + usize::from(rebuild.is_some());
    let os: BTreeSet<String> = match &node.site.os_disk {
        Some(serial) => BTreeSet::from([serial.clone()]),
        None => node.earlier.get().os,
    };
    let os_is_there = inventory.disks.iter().any(|disk| os.contains(&disk.serial));
    if allowed == 0 || !os_is_there {
        return findings;
    }
    let may_pass = |finding: &Finding| match (&finding.reason.part, finding.reason.code) {
        (Some(Part::Disk { serial, .. }), ReasonCode::DiskMissing | ReasonCode::DiskFailing) => {
            !os.contains(serial)
        }
        (Some(Part::Disk { serial, .. }), ReasonCode::WrongDisk) => {
            rebuild.as_ref() == Some(serial)
        }
        _ => false,
    };
    let stops = |finding: &Finding| finding.gravity == Gravity::Stop && may_pass(finding);
    let count = findings.iter().filter(|one| stops(one)).count();
    if count > allowed {
        return findings;
    }
    for finding in findings.iter_mut().filter(|one| stops(one)) {
        finding.gravity = Gravity::Warn;
        let why = match &rebuild {
            Some(serial) => format!("the run goes on: it is ordered to rebuild disk {serial}"),
            None => format!(
                "the run goes on: the site lets {by_site} data disk(s) be missing or failing"
            ),
        };
        finding.reason.evidence.push(why);
    }
    findings.sort_by_key(|finding| core::cmp::Reverse(finding.gravity));
    findings
}

/// A failing disk must be erased too, and an erase puts nothing into service: only a machine that is not the node stops it.
fn for_an_erase(mut findings: Vec<Finding>) -> Vec<Finding> {
    for finding in &mut findings {
        if finding.gravity == Gravity::Stop && finding.reason.code != ReasonCode::IdentityMismatch {
            finding.gravity = Gravity::Warn;
            let why = "the run goes on: it erases disks and does nothing else";
            finding.reason.evidence.push(String::from(why));
        }
    }
    findings.sort_by_key(|finding| core::cmp::Reverse(finding.gravity));
    findings
}
