// SPDX-License-Identifier: Apache-2.0
//! Where a machine differs from what the site says of it. It looks at what the machine said last and orders nothing.

use crate::kept::KeptInventory;
use crate::node::{Host, Node};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::customise::PlannedFile;
use groundstate_api::image::ImageRef;
use groundstate_api::inventory::Finding;
use groundstate_api::site_plan::Drifted;
use groundstate_api::view::Phase;
use groundstate_api::{NodeId, Part, Reason, ReasonCode, RunId};

/// The node's newest report.
#[must_use]
pub fn newest(node: &Node) -> Option<&KeptInventory> {
    let of_run = node.run.as_ref().and_then(|run| run.inventory.as_ref());
    of_run.or(node.last_good.as_ref())
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

/// The run, the image and the files that a node's host was made with; `None` where there is no such host, or another one is
/// being made.
#[must_use]
pub fn made_with(node: &Node) -> Option<(RunId, ImageRef, Vec<PlannedFile>)> {
    if node.phase == Phase::Retired || node.run_is_open() {
        return None;
    }
    let plan = node.host.as_ref()?.plan.as_ref()?;
    Some((plan.run.clone(), plan.image.clone(), plan.get().files))
}

/// The difference between the files that a host was made with and those that it would get now.
#[must_use]
pub fn of_files(
    id: &NodeId,
    wanted: Result<&[PlannedFile], &Reason>,
    seen: &[PlannedFile],
) -> Option<Drifted> {
    let next = format!("provision it anew when its work allows: groundstate node reprovision {id}");
    let drifted = |wanted: String, seen: String, next_step: String| Drifted {
        node: id.clone(),
        what: "files".to_string(),
        wanted,
        seen,
        next_step,
    };
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(reason) => {
            let seen = format!("cannot be told: {}", reason.what);
            return Some(drifted(String::new(), seen, reason.next_step.clone()));
        }
    };
    let place = |file: &PlannedFile| (file.partition, file.path.clone());
    let words = |files: &[PlannedFile], other: &[PlannedFile]| {
        let differs = |file: &&PlannedFile| !other.contains(file);
        let all: Vec<String> = files
            .iter()
            .filter(differs)
            .map(PlannedFile::words)
            .collect();
        match all.as_slice() {
            [] => "nothing there".to_string(),
            some => some.join(", "),
        }
    };
    let (mut a, mut b) = (wanted.to_vec(), seen.to_vec());
    a.sort_by_key(place);
    b.sort_by_key(place);
    (a != b).then(|| drifted(words(&a, &b), words(&b, &a), next))
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
