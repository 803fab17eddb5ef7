// SPDX-License-Identifier: Apache-2.0
//! The plan that makes one data disk anew and leaves every other as it is: for a disk that was replaced, or whose volume is
//! lost. It never touches the OS disk, and no disk that the site keeps.

use super::choose::{absent, check_fit, check_serials};
use super::layout::{self, NewVolume};
use super::rules::Terms;
use super::{PlanRequest, disk_plan, kept_labels, spread, vhds, wipe};
use crate::guid::{Guid, Purpose};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::inventory::Disk;
use groundstate_api::plan::{DiskAction, DiskPlan, Plan, Role, TablePlan, VhdPlan};
use groundstate_api::{Bytes, Part, Reason, ReasonCode};

/// What is to be made anew.
#[derive(Clone, Copy, Debug)]
pub struct Rebuild<'a> {
    /// The disk's serial number.
    pub serial: &'a str,
    /// The plan that made the node's host.
    pub host: &'a Plan,
}

pub(super) fn disks(
    request: &PlanRequest<'_>,
    terms: &Terms<'_>,
    rebuild: &Rebuild<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<DiskPlan>, Reason> {
    let seen = request.inventory.disks.as_slice();
    check_serials(seen, terms)?;
    let Some(disk) = seen.iter().find(|disk| disk.serial == rebuild.serial) else {
        return Err(absent(request, rebuild.serial, "is to be rebuilt"));
    };
    check_fit(disk, terms)?;
    check_allowed(request, terms, rebuild, disk)?;
    let mut disks = Vec::new();
    for other in seen {
        disks.push(if other.serial == rebuild.serial {
            new_disk(request, terms, rebuild, disk)
        } else {
            stays(rebuild.host, other)?
        });
    }
    disks.sort_by(|a, b| (&a.serial, &a.slot).cmp(&(&b.serial, &b.slot)));
    if !disks.iter().any(|disk| disk.role == Role::Os) {
        let serial = os_of(rebuild.host).unwrap_or("unknown");
        return Err(absent(request, serial, "holds the host"));
    }
    match replaced(rebuild, seen, disk) {
        Some(old) => {
            if old.serial != disk.serial {
                notes.push(format!(
                    "disk {} takes the place of {}, which is not there: its VHDs are made anew and empty",
                    disk.serial, old.serial
                ));
            }
            same_vhds(request, old, &mut disks)?;
        }
        None => {
            let sets = vhds::parse(request.node, request.policy)?;
            spread::fill(request, terms, &sets, &mut disks, notes)?;
        }
    }
    Ok(disks)
}

fn os_of(host: &Plan) -> Option<&str> {
    let os = host.disks.iter().find(|disk| disk.role == Role::Os);
    os.map(|disk| disk.serial.as_str())
}

/// Only a disk that may be a data disk is rebuilt.
fn check_allowed(
    request: &PlanRequest<'_>,
    terms: &Terms<'_>,
    rebuild: &Rebuild<'_>,
    disk: &Disk,
) -> Result<(), Reason> {
    let refused = |what: String, next: &str| {
        Err(Reason::new(ReasonCode::PlanRefused, what, next).about(disk.part()))
    };
    let serial = rebuild.serial;
    if os_of(rebuild.host) == Some(serial) || request.node.os_disk.as_deref() == Some(serial) {
        return refused(
            format!("Disk {serial} is the OS disk, and only data disks are rebuilt."),
            "To make the whole node anew: groundstate node reprovision NODE.",
        );
    }
    if request.node.keep.iter().any(|kept| kept == serial) {
        return Err(Reason::new(
            ReasonCode::PlanRefused,
            format!("Disk {serial} is to be kept, so it is not rebuilt."),
            "To give up what it holds, remove its serial number from keep in the site file.",
        )
        .about(Part::Field {
            path: format!("node.{}.keep", request.node.name),
        }));
    }
    let rule = terms.rule(disk).map(|rule| (rule.says.role, &rule.path));
    match rule {
        Some((Role::Keep | Role::Refuse | Role::Spare | Role::Os, path)) => refused(
            format!("Disk {serial} is no data disk: {path} gives it another role."),
            "Change the rule in the site file, or rebuild another disk.",
        ),
        Some((Role::Data | Role::Vhd, _)) | None => Ok(()),
    }
}

fn new_disk(
    request: &PlanRequest<'_>,
    terms: &Terms<'_>,
    rebuild: &Rebuild<'_>,
    disk: &Disk,
) -> DiskPlan {
    let others = request.inventory.disks.iter();
    let label = layout::free_label(&kept_labels(
        others.filter(|other| other.serial != disk.serial),
    ));
    let volume = NewVolume {
        fs: terms.fs,
        label: &label,
    };
    let by_rule = terms.rule(disk).map(|rule| rule.says.role);
    let before = replaced(rebuild, &request.inventory.disks, disk).map(|old| old.role);
    let role = by_rule
        .or(before)
        .filter(|role| role.is_data())
        .unwrap_or(Role::Data);
    let because = "the order names it to be rebuilt".to_string();
    disk_plan(
        disk,
        role,
        because,
        wipe(disk, layout::data(request, disk, &volume)),
    )
}

/// A disk that is not rebuilt: its table stays, where it is the host's; otherwise nobody looks at it.
fn stays(host: &Plan, disk: &Disk) -> Result<DiskPlan, Reason> {
    let planned = host.disks.iter().find(|one| one.serial == disk.serial);
    let table = planned.and_then(table_of);
    let found = disk.layout.as_ref().map(|layout| layout.disk_guid.as_str());
    let (role, because, action) = match (planned, table) {
        (Some(planned), Some(table)) if found == Some(table.disk_guid.as_str()) => (
            planned.role,
            "only one disk is rebuilt, and this is another".to_string(),
            DiskAction::Keep {
                table: table.clone(),
            },
        ),
        (Some(planned), Some(_)) if planned.role == Role::Os => {
            return Err(Reason::new(
                ReasonCode::DiskInUse,
                "The OS disk does not carry the host that the last plan put there.",
                "To make the whole node anew: groundstate node reprovision NODE.",
            )
            .about(disk.part())
            .seen(format!(
                "the disk's GUID is {}",
                found.unwrap_or("not readable")
            )));
        }
        (Some(_), Some(_)) => (
            Role::Spare,
            "it does not carry the volume that the host's plan put there: it is left alone"
                .to_string(),
            DiskAction::LeaveAlone,
        ),
        (Some(planned), None) => (
            planned.role,
            "the host's plan left it alone".to_string(),
            DiskAction::LeaveAlone,
        ),
        (None, _) => (
            Role::Spare,
            "the host's plan does not know it: it is left alone".to_string(),
            DiskAction::LeaveAlone,
        ),
    };
    Ok(disk_plan(disk, role, because, action))
}

pub(super) fn table_of(planned: &DiskPlan) -> Option<&TablePlan> {
    match &planned.action {
        DiskAction::Wipe { table, .. }
        | DiskAction::Renew { table, .. }
        | DiskAction::Keep { table } => Some(table),
        DiskAction::Erase { .. } | DiskAction::LeaveAlone => None,
    }
}

/// The data disk of the host's plan whose place the new one takes: itself, the one that is missing from its slot, or the
/// only one that is missing.
fn replaced<'a>(rebuild: &Rebuild<'a>, seen: &[Disk], disk: &Disk) -> Option<&'a DiskPlan> {
    let host = rebuild.host;
    let had_volume = |one: &&DiskPlan| one.role.is_data() && table_of(one).is_some();
    let same = host
        .disks
        .iter()
        .filter(had_volume)
        .find(|one| one.serial == disk.serial);
    let missing = |one: &&DiskPlan| !seen.iter().any(|there| there.serial == one.serial);
    let missing: Vec<&DiskPlan> = host
        .disks
        .iter()
        .filter(had_volume)
        .filter(missing)
        .collect();
    let in_slot = missing.iter().find(|one| one.slot == disk.slot);
    let only = match missing.as_slice() {
        [one] => Some(*one),
        _ => None,
    };
    same.or(in_slot.copied()).or(only)
}

/// The new volume gets the VHDs that the old one had.
fn same_vhds(
    request: &PlanRequest<'_>,
    old: &DiskPlan,
    disks: &mut [DiskPlan],
) -> Result<(), Reason> {
    let tables = table_of(old)
        .into_iter()
        .flat_map(|table| &table.partitions);
    let had: Vec<VhdPlan> = tables
        .filter_map(|partition| partition.holds.volume())
        .flat_map(|volume| volume.vhds.iter().cloned())
        .collect();
    let Some(new) = disks
        .iter_mut()
        .find(|disk| matches!(disk.action, DiskAction::Wipe { .. }))
    else {
        return Ok(());
    };
    let part = new.part();
    let serial = new.serial.clone();
    let DiskAction::Wipe { table, .. } = &mut new.action else {
        return Ok(());
    };
    for partition in &mut table.partitions {
        let fs = partition.holds.volume().map(|on| on.fs);
        let room = fs.map_or(Bytes(0), |fs| spread::usable(fs, partition.length));
        let needed: u64 = had.iter().map(vhds::cost_of).sum();
        if needed > room.0 {
            return Err(Reason::new(
                ReasonCode::DiskFull,
                format!("Disk {serial} is too small for the VHDs of the disk that it replaces."),
                "Put in a disk that is at least as large as the old one.",
            )
            .about(part)
            .seen(format!(
                "{} VHDs of {} need {}, the volume has {room} for files",
                had.len(),
                old.serial,
                Bytes(needed)
            )));
        }
        let numbered = had.iter().zip(0u16..);
        let new: Vec<VhdPlan> = numbered
            .map(|(vhd, index)| VhdPlan {
                id: Guid::derived(&request.seed, &serial, Purpose::Vhd(index)).lower(),
                ..vhd.clone()
            })
            .collect();
        if let Some(list) = partition.holds.vhds_mut() {
            *list = new;
        }
    }
    Ok(())
}
