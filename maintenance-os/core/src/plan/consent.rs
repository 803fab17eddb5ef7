// SPDX-License-Identifier: Apache-2.0
//! What may be wiped: a blank disk, what a plan of this node wrote, and what a person confirmed by its serial number or the
//! site's standing rule lets go. Everything else stops the plan.

use super::PlanRequest;
use super::rules::Terms;
use crate::guard::described;
use crate::guid::Guid;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::disk_policy::WipeRule;
use groundstate_api::inventory::{Disk, FoundLayout, Signature};
use groundstate_api::plan::{NeedsConfirm, PartitionContents, TablePlan};
use groundstate_api::{Reason, ReasonCode};

/// What a disk that is to be wiped holds and nobody has let go; `None` where it may go.
pub(super) fn unconfirmed(
    request: &PlanRequest<'_>,
    terms: &Terms<'_>,
    disk: &Disk,
) -> Option<NeedsConfirm> {
    let confirmed = request.confirm.contains(&disk.serial);
    if confirmed || terms.wipe(disk) == WipeRule::Any {
        return None;
    }
    let ours = disk.layout.as_ref().and_then(|layout| {
        let table = request.earlier.table(&disk.serial, &layout.disk_guid)?;
        Some((layout, table))
    });
    let mut holds: Vec<String> = Vec::new();
    match ours {
        Some((layout, table)) => {
            let ours = |one: &&Signature| is_ours(table, layout, one);
            let strange = disk.contents.iter().filter(|one| !ours(one));
            holds.extend(strange.map(described));
        }
        None => {
            if disk.layout.is_some() {
                holds.push("a Groundstate layout that no plan of this node wrote".to_string());
            }
            holds.extend(disk.contents.iter().map(described));
        }
    }
    (!holds.is_empty()).then(|| NeedsConfirm {
        serial: disk.serial.clone(),
        slot: disk.slot.clone(),
        holds,
    })
}

/// Whether a signature is what a plan of ours put there. The host writes into its boot and root partitions; a data
/// partition that holds another file system than ours was somebody's.
fn is_ours(table: &TablePlan, layout: &FoundLayout, found: &Signature) -> bool {
    let number = found.at.strip_prefix("partition ");
    let is_image = |holds: &PartitionContents| matches!(holds, PartitionContents::WholeDisk { .. });
    if table.partitions.iter().any(|one| is_image(&one.holds)) {
        // The disk's GUID is the plan's, and so are those of the partitions that the image brought. One with another GUID
        // was made later, by somebody, or its GUID could not be renewed: then a person is asked.
        return number.is_none_or(|number| {
            let mut partitions = layout.partitions.iter();
            let partition = partitions.find(|one| number.parse() == Ok(one.number));
            let guid = partition.and_then(|one| Guid::parse(&one.guid));
            guid.is_some_and(Guid::is_derived)
        });
    }
    let Some(number) = number else {
        return found.what == "gpt";
    };
    let index = number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_sub(1));
    let partition = index.and_then(|index| table.partitions.get(index));
    partition.is_some_and(|partition| match partition.holds.volume() {
        Some(volume) => found.what == volume.fs.as_str(),
        None => true,
    })
}

/// Why the plan stops, where disks need a confirmation.
pub(super) fn refusal(request: &PlanRequest<'_>, needs: &[NeedsConfirm]) -> Option<Reason> {
    let first = needs.first()?;
    let node = &request.node.name;
    let what = match needs.len() {
        1 => "A disk would be wiped, and it holds something that is not this node's.".to_string(),
        many => {
            format!("{many} disks would be wiped, and they hold something that is not this node's.")
        }
    };
    let flags: String = needs
        .iter()
        .map(|one| format!(" --confirm {}", one.serial))
        .collect();
    let order = match &request.rebuild {
        Some(rebuild) => format!(
            "groundstate node rebuild-disk {node} {} --confirm",
            rebuild.serial
        ),
        None => format!("groundstate node provision {node}{flags} (or reprovision)"),
    };
    let next = format!(
        "Look at what they hold. If it may go, order again and say so: {order}; or let a rule of the site file say it: wipe = \"any\"."
    );
    let disks = &request.inventory.disks;
    let mut reason = Reason::new(ReasonCode::DiskInUse, what, next);
    if let Some(disk) = disks.iter().find(|disk| disk.serial == first.serial) {
        reason = reason.about(disk.part());
    }
    for one in needs {
        reason = reason.seen(format!(
            "{} in {} holds {}",
            one.serial,
            one.slot,
            one.holds.join(", ")
        ));
    }
    Some(reason)
}
