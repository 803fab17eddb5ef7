// SPDX-License-Identifier: Apache-2.0
//! Writes the plan: which disk becomes what, and every byte range and identity on it.
//!
//! The planner sees an inventory, never a disk. The same request gives the same bytes. It refuses rather than
//! guesses: a disk without a serial number, two with the same, a policy that does not fit.

mod choose;
mod consent;
mod erase;
mod ext4;
mod identity;
mod layout;
mod picture;
mod preview;
mod previous;
mod rebuild;
mod render;
mod rules;
mod spread;
mod table;
mod vhds;
mod whole;
mod xfs;

pub use erase::plan_erase;
pub use ext4::{ext4_arguments, ext4_journal, ext4_usable};
pub use identity::{canonical_bytes, verify};
pub use layout::{ESP_SIZE, GS_DATA, GS_ESP, GS_ROOT, ROOT_SLACK, TYPE_DATA, TYPE_ESP, TYPE_ROOT};
pub use picture::{Look, picture, preview_page};
pub use preview::{carried_out, without_identities};
pub use rebuild::Rebuild;
pub use render::render;
pub use table::check_table;
pub use whole::GS_IMAGE;
pub use xfs::{XFS_MIN, xfs_arguments, xfs_usable};

use crate::guard::{described, unusual};
use crate::guid::{Guid, Purpose};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use choose::Choice;
use groundstate_api::customise::PlannedFile;
use groundstate_api::disk_policy::DataOnOs;
use groundstate_api::image::ImageRef;
use groundstate_api::inventory::{Disk, Inventory, Signature, Transport};
use groundstate_api::plan::{
    DiskAction, DiskPlan, EarlierDisks, HandOver, NeedsConfirm, Plan, PlanPreview, Role, TablePlan,
};
use groundstate_api::site::{Node, Policy};
use groundstate_api::{Bytes, Digest, MacAddr, Part, Reason, ReasonCode, RunId, SCHEMA};
use layout::NewVolume;
use rules::Terms;

/// Everything that a plan follows from.
#[derive(Clone, Copy, Debug)]
pub struct PlanRequest<'a> {
    /// The run.
    pub run: &'a RunId,
    /// The node as the site declares it.
    pub node: &'a Node,
    /// The site's policy.
    pub policy: &'a Policy,
    /// How to hand over.
    pub hand_over: HandOver,
    /// What the node's probes saw in this boot.
    pub inventory: &'a Inventory,
    /// What the node's earlier plans made of its disks.
    pub earlier: &'a EarlierDisks,
    /// The image.
    pub image: &'a ImageRef,
    /// The interface that booted.
    pub boot_mac: MacAddr,
    /// Where every GUID comes from; a new one for each run.
    pub seed: Digest,
    /// Files that the host gets of its own.
    pub files: &'a [PlannedFile],
    /// Serial numbers of disks that may be wiped although they hold something that is not ours.
    pub confirm: &'a [String],
    /// The one disk that is to be made anew, where the run is for that only.
    pub rebuild: Option<Rebuild<'a>>,
    /// The plan of the host that is on the disks, where there is one.
    pub host: Option<&'a Plan>,
}

/// Writes the plan.
///
/// # Errors
/// The reason why the node's disks and the policy do not fit together, with the disk or the field that it is about; or
/// the disks that hold something that is not ours, where nobody confirmed that it may go.
pub fn plan(request: &PlanRequest<'_>) -> Result<Plan, Reason> {
    let draft = draft(request)?;
    match consent::refusal(request, &draft.needs_confirm) {
        Some(reason) => Err(reason),
        None => Ok(draft.plan),
    }
}

/// The plan that this request would give, with the disks that must still be confirmed, and with
/// [`DECIDED_AT_THE_ORDER`](groundstate_api::plan::DECIDED_AT_THE_ORDER) in place of what follows from run and seed.
///
/// # Errors
/// As [`plan`], but not for disks that must be confirmed.
pub fn preview(request: &PlanRequest<'_>) -> Result<PlanPreview, Reason> {
    let draft = draft(request)?;
    Ok(PlanPreview {
        plan: without_identities(&draft.plan),
        needs_confirm: draft.needs_confirm,
        refused: None,
    })
}

/// A plan before anybody was asked whether disks may be wiped.
struct Draft {
    plan: Plan,
    needs_confirm: Vec<NeedsConfirm>,
}

fn draft(request: &PlanRequest<'_>) -> Result<Draft, Reason> {
    check_machine(request)?;
    whole::check(request)?;
    let terms = Terms::read(request.node, request.policy)?;
    let mut notes = Vec::new();
    whole::check_terms(request, &terms, &mut notes)?;
    let hand_over = whole::hand_over(request, &mut notes);
    let disks = match &request.rebuild {
        Some(rebuild) => rebuild::disks(request, &terms, rebuild, &mut notes)?,
        None => all_disks(request, &terms, &mut notes)?,
    };
    let wiped = disks.iter().filter(|disk| {
        matches!(
            disk.action,
            DiskAction::Wipe { .. } | DiskAction::Renew { .. }
        )
    });
    let needs_confirm = wiped.filter_map(|planned| {
        let mut seen = request.inventory.disks.iter();
        let disk = seen.find(|disk| disk.serial == planned.serial)?;
        consent::unconfirmed(request, &terms, disk)
    });
    let needs_confirm = needs_confirm.collect();
    let previous = previous::image(request, &disks);
    let mut plan = Plan {
        schema: SCHEMA,
        id: identity::blank(),
        run: request.run.clone(),
        node: request.node.name.clone(),
        machine: request.node.uuid,
        hand_over,
        uefi: request.inventory.system.uefi,
        boot_mac: request.boot_mac,
        image: request.image.clone(),
        disks,
        // The host that stays has its own already.
        files: match request.rebuild {
            Some(_) => Vec::new(),
            None => request.files.to_vec(),
        },
        rebuild: request
            .rebuild
            .as_ref()
            .map(|rebuild| rebuild.serial.to_string()),
        previous,
        notes,
    };
    plan.id = identity::of(&plan);
    Ok(Draft {
        plan,
        needs_confirm,
    })
}

/// What happens to every disk when the node is provisioned.
fn all_disks(
    request: &PlanRequest<'_>,
    terms: &Terms<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<DiskPlan>, Reason> {
    let choice = Choice::make(request, terms)?;
    notes.extend(choice.notes.iter().cloned());
    let sets = vhds::parse(request.node, request.policy)?;
    let root = shared_root(request, terms, &choice)?;
    let laid = lay_out(request, terms, &choice, &sets, root);
    let (disks, said) = match laid {
        Err(reason) if root.is_some() && terms.data_on_os_disk == DataOnOs::IfAlone => {
            let (disks, mut said) = lay_out(request, terms, &choice, &sets, None)?;
            said.push(format!(
                "the only disk holds no data volume beside the OS: {} {}",
                reason.what,
                reason.evidence.join("; ")
            ));
            (disks, said)
        }
        laid => laid?,
    };
    notes.extend(said);
    Ok(disks)
}

/// Every disk with its partitions and VHDs, and what is to be said of them.
fn lay_out(
    request: &PlanRequest<'_>,
    terms: &Terms<'_>,
    choice: &Choice<'_, '_>,
    sets: &[vhds::Set],
    root: Option<Bytes>,
) -> Result<(Vec<DiskPlan>, Vec<String>), Reason> {
    let labels = labels(request, choice, root.is_some());
    let mut disks = request
        .inventory
        .disks
        .iter()
        .map(|disk| plan_disk(request, terms, choice, &labels, root, disk))
        .collect::<Result<Vec<_>, _>>()?;
    disks.sort_by(|a, b| (&a.serial, &a.slot).cmp(&(&b.serial, &b.slot)));
    let mut said = Vec::new();
    spread::fill(request, terms, sets, &mut disks, &mut said)?;
    Ok((disks, said))
}

fn check_machine(request: &PlanRequest<'_>) -> Result<(), Reason> {
    let (node, system) = (request.node, &request.inventory.system);
    if system.uuid != Some(node.uuid) {
        let seen = system
            .uuid
            .map_or_else(|| "no UUID".to_string(), |uuid| uuid.to_string());
        return Err(Reason::new(
            ReasonCode::IdentityMismatch,
            format!("The inventory is not of node {}.", node.name),
            "Compare the site file with the UUID on the machine's label or in its firmware set-up.",
        )
        .about(Part::Machine { said: seen.clone() })
        .seen(format!(
            "the site says UUID {}, the machine says {seen}",
            node.uuid
        )));
    }
    let own_loader = whole::is_whole(request.image);
    if request.hand_over == HandOver::Reboot && !system.uefi && !own_loader {
        return Err(Reason::new(
            ReasonCode::PlanRefused,
            "Hand-over by reboot needs UEFI, and this machine runs on legacy BIOS.",
            "Set hand_over to kexec for this node, or switch its firmware to UEFI.",
        )
        .about(Part::Field {
            path: "hand_over".to_string(),
        })
        .seen("the maintenance OS found no UEFI on the machine"));
    }
    Ok(())
}

/// The root partition's length, where the OS disk is also to hold a data volume and has the room.
fn shared_root(
    request: &PlanRequest<'_>,
    terms: &Terms<'_>,
    choice: &Choice<'_, '_>,
) -> Result<Option<Bytes>, Reason> {
    if whole::is_whole(request.image) {
        return Ok(None);
    }
    let disks = request.inventory.disks.as_slice();
    let is_os = |disk: &Disk| choice.role(disk).0 == Role::Os;
    let wanted = match terms.data_on_os_disk {
        DataOnOs::Never => false,
        DataOnOs::Always => true,
        DataOnOs::IfAlone => disks.iter().all(|disk| is_os(disk) || comes_and_goes(disk)),
    };
    let os = disks.iter().find(|disk| is_os(disk));
    let Some(os) = os.filter(|os| wanted && !choice.keeps_beside_os(os)) else {
        return Ok(None);
    };
    let root = layout::root_shared(os, request.image.size, terms.root_size, terms.fs)?;
    if root.is_none() && terms.data_on_os_disk == DataOnOs::Always {
        return Err(Reason::new(
            ReasonCode::DiskFull,
            "The OS disk has no room for a data volume beside the root partition.",
            "Make root_size smaller, or set data_on_os_disk to never in the site file.",
        )
        .about(os.part()));
    }
    Ok(root)
}

/// Whether this is no disk of the machine: a stick, or a drive without a medium. A failed disk is one of the machine, and
/// what lay on it does not move to the OS disk.
fn comes_and_goes(disk: &Disk) -> bool {
    let by_cable = matches!(disk.transport, Transport::Usb | Transport::Other);
    by_cable || disk.removable || disk.size.0 == 0
}

/// The labels of new volumes, by the disks' place in the inventory: `gs-data-1`, `gs-data-2`, … in the order of the
/// slots, without those that kept volumes have already.
fn labels(
    request: &PlanRequest<'_>,
    choice: &Choice<'_, '_>,
    on_os: bool,
) -> Vec<(String, String)> {
    let disks = request.inventory.disks.as_slice();
    let stays = |disk: &&Disk| choice.keeps(disk) || choice.keeps_beside_os(disk);
    let mut taken = kept_labels(disks.iter().filter(stays));
    let new = |disk: &&Disk| {
        let role = choice.role(disk).0;
        !stays(disk) && (role.is_data() || (role == Role::Os && on_os))
    };
    let mut new: Vec<&Disk> = disks.iter().filter(new).collect();
    new.sort_by_key(|disk| (layout::natural(&disk.slot), disk.serial.clone()));
    let labels = new.into_iter().map(|disk| {
        let label = layout::free_label(&taken);
        taken.push(label.clone());
        (disk.serial.clone(), label)
    });
    labels.collect()
}

/// Labels that volumes which stay have already, so that no new volume gets the same.
fn kept_labels<'a>(kept: impl Iterator<Item = &'a Disk>) -> Vec<String> {
    kept.filter_map(|disk| disk.layout.as_ref())
        .flat_map(|layout| &layout.partitions)
        .filter_map(|partition| partition.file_system.as_ref()?.label.clone())
        .collect()
}

fn plan_disk(
    request: &PlanRequest<'_>,
    terms: &Terms<'_>,
    choice: &Choice<'_, '_>,
    labels: &[(String, String)],
    root: Option<Bytes>,
    disk: &Disk,
) -> Result<DiskPlan, Reason> {
    let (role, because) = choice.role(disk);
    let label = labels.iter().find(|(serial, _)| *serial == disk.serial);
    let new = label.map(|(_, label)| NewVolume {
        fs: terms.fs,
        label,
    });
    let action = match role {
        Role::Spare | Role::Keep | Role::Refuse => DiskAction::LeaveAlone,
        Role::Os if let Some(whole) = &request.image.whole => {
            wipe(disk, whole::table(request, terms, whole, disk)?)
        }
        Role::Os => match choice.beside_os(request, disk)? {
            Some(table) => renew(disk, table),
            None => wipe(disk, layout::os(request, disk, root.zip(new))),
        },
        Role::Data | Role::Vhd => match (choice.kept_table(disk)?, new) {
            (Some(table), _) => DiskAction::Keep { table },
            (None, Some(new)) => wipe(disk, layout::data(request, disk, &new)),
            (None, None) => DiskAction::LeaveAlone,
        },
    };
    Ok(disk_plan(disk, role, because, action))
}

fn disk_plan(disk: &Disk, role: Role, because: String, action: DiskAction) -> DiskPlan {
    DiskPlan {
        serial: disk.serial.clone(),
        wwn: disk.wwn.clone(),
        slot: disk.slot.clone(),
        model: disk.model.clone(),
        size: disk.size,
        logical_sector: disk.logical_sector,
        role,
        because,
        // A disk that is left alone unless named got here because it is named.
        named: !matches!(action, DiskAction::Keep { .. } | DiskAction::LeaveAlone)
            && unusual(disk).is_some(),
        action,
    }
}

fn wipe(disk: &Disk, table: TablePlan) -> DiskAction {
    let goes = described_all(disk.contents.iter());
    DiskAction::Wipe { goes, table }
}

/// The same table, of which only the partitions without a volume are made anew.
fn renew(disk: &Disk, table: TablePlan) -> DiskAction {
    let numbered = table.partitions.iter().zip(1u32..);
    let anew = numbered.filter(|(partition, _)| partition.holds.volume().is_none());
    let anew: Vec<String> = anew
        .map(|(_, number)| format!("partition {number}"))
        .collect();
    let goes = described_all(disk.contents.iter().filter(|one| anew.contains(&one.at)));
    DiskAction::Renew { goes, table }
}

fn described_all<'a>(contents: impl Iterator<Item = &'a Signature>) -> Vec<String> {
    let mut goes: Vec<String> = contents.map(described).collect();
    if goes.is_empty() {
        goes.push("nothing".to_string());
    }
    goes
}

fn disk_guid(request: &PlanRequest<'_>, disk: &Disk) -> String {
    Guid::derived(&request.seed, &disk.serial, Purpose::Disk).upper()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
pub(crate) mod tests;
