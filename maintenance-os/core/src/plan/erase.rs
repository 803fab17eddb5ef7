// SPDX-License-Identifier: Apache-2.0
//! The plan that erases disks and does nothing else. It names every disk that goes by its serial number; it never erases
//! what the site keeps, and never a disk that is left alone unless named and is not named in the site file.

use super::choose::{absent, check_serials};
use super::rules::Terms;
use super::{PlanRequest, check_machine, disk_plan, identity};
use crate::guard::{described, unusual};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::erase::EraseTerms;
use groundstate_api::inventory::Disk;
use groundstate_api::plan::{DiskAction, DiskPlan, Plan, Role};
use groundstate_api::{Part, Reason, ReasonCode, SCHEMA};

/// Writes the plan. The request's image and rebuild are not looked at.
///
/// # Errors
/// The reason why a disk cannot be erased, with the disk or the field that it is about; then no disk is.
pub fn plan_erase(request: &PlanRequest<'_>, erase: &EraseTerms) -> Result<Plan, Reason> {
    check_machine(request)?;
    let terms = Terms::read(request.node, request.policy)?;
    let seen = request.inventory.disks.as_slice();
    check_serials(seen, &terms)?;
    if erase.serials.is_empty() {
        return Err(Reason::new(
            ReasonCode::PlanRefused,
            "The order names no disk to erase.",
            format!(
                "Name each disk: groundstate node erase {} --confirm SERIAL.",
                request.node.name
            ),
        ));
    }
    for serial in &erase.serials {
        let named = seen.iter().filter(|disk| disk.serial == *serial);
        match named.collect::<Vec<_>>().as_slice() {
            [disk] => check_allowed(request, &terms, disk)?,
            [] => return Err(absent(request, serial, "is to be erased")),
            [disk, ..] => {
                return Err(Reason::new(
                    ReasonCode::WrongDisk,
                    format!("More than one disk says that it is {serial}."),
                    "Take all but one of them out, then order the erase again.",
                )
                .about(disk.part()));
            }
        }
    }
    let mut disks: Vec<DiskPlan> = seen.iter().map(|disk| planned(erase, disk)).collect();
    disks.sort_by(|a, b| (&a.serial, &a.slot).cmp(&(&b.serial, &b.slot)));
    let mut plan = Plan {
        schema: SCHEMA,
        id: identity::blank(),
        run: request.run.clone(),
        node: request.node.name.clone(),
        machine: request.node.uuid,
        hand_over: request.hand_over,
        uefi: request.inventory.system.uefi,
        boot_mac: request.boot_mac,
        image: request.image.clone(),
        disks,
        files: Vec::new(),
        rebuild: None,
        previous: None,
        notes: Vec::new(),
    };
    plan.id = identity::of(&plan);
    Ok(plan)
}

fn planned(erase: &EraseTerms, disk: &Disk) -> DiskPlan {
    if !erase.serials.contains(&disk.serial) {
        let because = "the order does not name it: it is left alone".to_string();
        return disk_plan(disk, Role::Spare, because, DiskAction::LeaveAlone);
    }
    let mut goes: Vec<String> = disk.contents.iter().map(described).collect();
    if goes.is_empty() {
        goes.push("nothing".to_string());
    }
    let action = DiskAction::Erase {
        goes,
        level: erase.level,
    };
    let because = format!("{} has ordered it to be erased", erase.ordered_by);
    disk_plan(disk, Role::Spare, because, action)
}

fn check_allowed(request: &PlanRequest<'_>, terms: &Terms<'_>, disk: &Disk) -> Result<(), Reason> {
    let serial = &disk.serial;
    if request.node.keep.contains(serial) {
        return Err(Reason::new(
            ReasonCode::PlanRefused,
            format!("Disk {serial} is to be kept, so it is not erased."),
            "To give up what it holds, remove its serial number from keep in the site file.",
        )
        .about(Part::Field {
            path: format!("node.{}.keep", request.node.name),
        }));
    }
    let rule = terms.rule(disk);
    if let Some(rule) = rule
        && matches!(rule.says.role, Role::Keep | Role::Refuse)
    {
        return Err(Reason::new(
            ReasonCode::PlanRefused,
            format!(
                "Disk {serial} is not erased: {} says {}.",
                rule.path,
                rule.says.role.as_str()
            ),
            "Change the rule in the site file, or leave the disk out of the order.",
        )
        .about(disk.part()));
    }
    let named = request.node.os_disk.as_ref() == Some(serial)
        || rule.is_some_and(super::rules::Rule::names);
    match unusual(disk) {
        Some(why) if !named => Err(Reason::new(
            ReasonCode::PlanRefused,
            format!("Disk {serial} is of a kind that is left alone unless the site file names it."),
            "Leave it out of the order, or name its serial number in a rule of the site file.",
        )
        .about(disk.part())
        .seen(why)),
        Some(_) | None => Ok(()),
    }
}
