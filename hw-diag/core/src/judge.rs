// SPDX-License-Identifier: Apache-2.0
//! Judges an inventory against what the node should have.
//!
//! Expected hardware comes from the site file; where that says nothing of DIMMs or of disks, from the last good report.
//! A finding that stops names the part so that a technician finds it: slot, serial number, size. Refuses to judge by
//! looks: an odd number of DIMMs or mixed sizes are no fault when they are what the node should have.

mod disks;
mod health;
mod memory;

pub(crate) use memory::labels;
pub use memory::reports as memory_reports;

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use groundstate_api::inventory::{Disk, Finding, Gravity, Inventory};
use groundstate_api::plan::EarlierDisks;
use groundstate_api::reason::{Part, Reason, ReasonCode};
use groundstate_api::site::{Hardware, Node};

/// Where an expectation comes from, in words.
const SITE_FILE: &str = "the site file";
const LAST_GOOD: &str = "the node's last good report";
/// What a warning leads to.
const GOES_ON: &str = "the run goes on; the report says it";

/// The findings on `seen`, gravest first; among equals memory before disks, in the inventory's order.
#[must_use]
pub fn judge(
    expected: Option<&Hardware>,
    last_good: Option<&Inventory>,
    seen: &Inventory,
) -> Vec<Finding> {
    // Where disks are expected by name, any other is one that nobody named.
    let lists_disks = expected.is_some_and(|hardware| !hardware.disks.is_empty());
    judged(expected, last_good, seen, &|_| !lists_disks)
}

/// As [`judge`], for a node of the site: disks may be named for the OS, to be kept, or by what earlier plans used.
#[must_use]
pub fn judge_node(
    node: &Node,
    last_good: Option<&Inventory>,
    earlier: &EarlierDisks,
    seen: &Inventory,
) -> Vec<Finding> {
    judged(node.hardware.as_ref(), last_good, seen, &|disk| {
        node.may_use(&disk.serial, earlier)
    })
}

/// `may_use` says whether a run may write to a disk beyond those that are expected.
fn judged(
    expected: Option<&Hardware>,
    last_good: Option<&Inventory>,
    seen: &Inventory,
    may_use: &dyn Fn(&Disk) -> bool,
) -> Vec<Finding> {
    let mut findings = memory::judge(expected, last_good, seen);
    findings.extend(health::judge(seen));
    findings.extend(disks::judge(expected, last_good, seen, may_use));
    findings.sort_by_key(|finding| Reverse(finding.gravity));
    findings
}

fn stop(reason: Reason) -> Finding {
    Finding {
        gravity: Gravity::Stop,
        reason,
    }
}

fn warn(reason: Reason) -> Finding {
    Finding {
        gravity: Gravity::Warn,
        reason: reason.then(GOES_ON),
    }
}

/// An expectation that cannot be read. The site file's reader should have refused it; here it must not pass for "fits".
fn unreadable(path: String, value: &str) -> Finding {
    let what = alloc::format!("the site file's size `{value}` is not a size");
    let next = "write it as 960197124096, 512MiB or 32GiB in the site file and read it again";
    stop(Reason::new(ReasonCode::PlanRefused, what, next).about(Part::Field { path }))
}

#[cfg(test)]
mod tests;
