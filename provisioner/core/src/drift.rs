// SPDX-License-Identifier: Apache-2.0
//! Where a machine differs from what the site says of it. It looks at what the machine said last and orders nothing.

use crate::node::{Host, Node};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::image::ImageRef;
use groundstate_api::inventory::{Finding, Inventory};
use groundstate_api::site_plan::Drifted;
use groundstate_api::view::Phase;
use groundstate_api::{Part, ReasonCode};

/// The node's newest report.
#[must_use]
pub fn newest(node: &Node) -> Option<&Inventory> {
    let of_run = node.run.as_ref().and_then(|run| run.inventory.as_deref());
    of_run.or(node.last_good.as_deref())
}

/// Adds each difference of one node. `wanted` is the image that the policy gives now; `findings` is the judgement on its newest
/// report.
pub fn of_node(
    node: &Node,
    wanted: Option<&ImageRef>,
    findings: &[Finding],
    out: &mut Vec<Drifted>,
) {
    if node.phase == Phase::Retired {
        return;
    }
    let id = node.id();
    let mut add = |what: String, wanted: String, seen: String, next_step: String| {
        out.push(Drifted {
            node: id.clone(),
            what,
            wanted,
            seen,
            next_step,
        });
    };
    let is = |image: &ImageRef, wanted: &ImageRef| image.manifest == wanted.manifest;
    let of_host = |host: &Host| host.plan.as_ref().map(|plan| plan.image.clone());
    if let (Some(host), Some(wanted)) = (&node.host, wanted)
        && !of_host(host).is_some_and(|image| is(&image, wanted))
        && !node.run_is_open()
    {
        let words = |image: &ImageRef| format!("{} {}", image.name, image.version);
        let next =
            format!("provision it anew when its work allows: groundstate node reprovision {id}");
        add(
            "image".to_string(),
            words(wanted),
            of_host(host).map_or_else(
                || "unknown: the host was adopted".to_string(),
                |image| words(&image),
            ),
            next,
        );
    }
    if let Some(inventory) = newest(node) {
        let system = &inventory.system;
        let differs =
            |seen: &str, wanted: &str| !seen.trim().is_empty() && seen.trim() != wanted.trim();
        if differs(&system.serial, &node.site.serial) {
            let next =
                format!("if its board was replaced, correct the serial number of {id} in the site");
            add(
                "serial".to_string(),
                node.site.serial.clone(),
                system.serial.clone(),
                next,
            );
        }
    }
    for finding in findings.iter().filter(|finding| is_of_hardware(finding)) {
        let reason = &finding.reason;
        let what = reason
            .part
            .as_ref()
            .map_or_else(|| reason.code.to_string(), in_words);
        let wanted = reason.evidence.first().cloned().unwrap_or_default();
        add(what, wanted, reason.what.clone(), reason.next_step.clone());
    }
}

/// Whether it says that something is not what it should be, and not that it is ill.
fn is_of_hardware(finding: &Finding) -> bool {
    matches!(
        finding.reason.code,
        ReasonCode::DimmMissing
            | ReasonCode::MemoryShort
            | ReasonCode::DiskMissing
            | ReasonCode::WrongDisk
    )
}

fn in_words(part: &Part) -> String {
    match part {
        Part::Dimm { slot, .. } => format!("dimm {slot}"),
        Part::Disk { serial, .. } => format!("disk {serial}"),
        Part::Image { .. } | Part::Machine { .. } | Part::Field { .. } => part.to_string(),
    }
}
