// SPDX-License-Identifier: Apache-2.0
//! The last look before anything is written: are these the planned disks, and do they hold what the plan says may go?
//!
//! The guard decides from facts that were just read. It never chooses another disk and never shrinks a plan: one
//! difference, and nothing is written.

mod fit;

pub use fit::{fit_to_write, unusual};

use crate::plan::{check_table, verify};
use crate::signature::DAMAGED_GPT;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::inventory::{Disk, FoundLayout, FoundPartition, Signature};
use groundstate_api::plan::{DiskAction, DiskPlan, PartitionPlan, Plan, TablePlan};
use groundstate_api::{Part, Reason, ReasonCode, SCHEMA, SystemUuid};

/// What a wipe leaves behind for a moment: the remains of what the plan lets go.
pub const UNKNOWN_DATA: &str = "unknown data";

/// What a disk "holds" that could not be read: it is never planned for and never passes.
pub const UNREADABLE: &str = "unreadable";

/// Compares every disk with the plan.
///
/// # Errors
/// The first difference, with the disk that it is about.
pub fn guard(plan: &Plan, seen: &[Disk], machine: Option<SystemUuid>) -> Result<(), Reason> {
    if plan.schema != SCHEMA || !verify(plan) {
        return Err(Reason::new(
            ReasonCode::PlanRefused,
            "The plan's id is not that of its contents.",
            "Order the run again; if it happens twice, look at the provisioner.",
        )
        .seen(format!("schema {}, id {}", plan.schema, plan.id)));
    }
    if machine != Some(plan.machine) {
        let said = machine.map_or_else(|| "no UUID".to_string(), |uuid| uuid.to_string());
        return Err(Reason::new(
            ReasonCode::IdentityMismatch,
            "The plan is for another machine.",
            "Compare the node's UUID in the site file with the machine's.",
        )
        .about(Part::Machine { said: said.clone() })
        .seen(format!(
            "the plan names {}, this machine is {said}",
            plan.machine
        )));
    }
    for planned in &plan.disks {
        let found = guard_disk(planned, seen)?;
        guard_contents(planned, found)?;
    }
    match seen
        .iter()
        .find(|disk| !plan.disks.iter().any(|planned| is_same(planned, disk)))
    {
        Some(extra) => Err(unnamed(extra)),
        None => Ok(()),
    }
}

/// Finds a planned disk among those just seen. For the moment before each destructive effect: it looks at the disk's
/// identity only, because its contents are changing.
///
/// # Errors
/// [`ReasonCode::DiskMissing`] where no disk has the serial number, [`ReasonCode::WrongDisk`] where one has it but
/// is another, where two have it, where two paths lead to it, or where it is of a kind that must be named and is not;
/// [`ReasonCode::DiskInUse`] where something uses it; [`ReasonCode::DiskError`] where it cannot be written to.
pub fn guard_disk<'a>(planned: &DiskPlan, seen: &'a [Disk]) -> Result<&'a Disk, Reason> {
    let is_written = matches!(
        planned.action,
        DiskAction::Wipe { .. } | DiskAction::Renew { .. } | DiskAction::Erase { .. }
    );
    let same: Vec<&Disk> = seen.iter().filter(|disk| is_same(planned, disk)).collect();
    let named = seen
        .iter()
        .filter(|disk| disk.serial == planned.serial)
        .count();
    match same.as_slice() {
        [disk] if is_written && named > 1 => {
            Err(differs(planned, named_disks(planned, seen), disk))
        }
        [disk] if is_written => fit::guard_fit(planned, disk, seen).map(|()| *disk),
        [disk] => Ok(disk),
        [disk, ..] if !is_written => Ok(disk),
        [disk, ..] => Err(differs(planned, named_disks(planned, seen), disk)),
        [] => match named_disks(planned, seen).first() {
            Some(disk) => Err(differs(planned, named_disks(planned, seen), disk)),
            None => Err(missing(planned, seen)),
        },
    }
}

/// Whether a disk holds only what the plan lets go, or exactly the table that the plan keeps.
///
/// # Errors
/// [`ReasonCode::DiskInUse`] naming what is there; [`ReasonCode::PlanRefused`] where the table cannot stand there.
pub fn guard_contents(planned: &DiskPlan, found: &Disk) -> Result<(), Reason> {
    let held = Held {
        contents: &found.contents,
        layout: found.layout.as_ref(),
    };
    guard_held(planned, held).map_err(|reason| match reason.part {
        Some(_) => reason,
        None => reason.about(found.part()),
    })
}

/// What was read of a disk, through whichever handle.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// What it holds.
    pub contents: &'a [Signature],
    /// Our own layout, if it has one.
    pub layout: Option<&'a FoundLayout>,
}

/// The same as [`guard_contents`] for what was read through the handle that will be written to: between the two no
/// other disk can take the name.
///
/// # Errors
/// As [`guard_contents`]; the part may be missing, the caller has the disk.
pub fn guard_held(planned: &DiskPlan, held: Held<'_>) -> Result<(), Reason> {
    // What cannot be read can still be erased, where the plan has seen that it cannot be read.
    let is_used = !matches!(
        planned.action,
        DiskAction::LeaveAlone | DiskAction::Erase { .. }
    );
    if is_used && held.contents.iter().any(|one| one.what == UNREADABLE) {
        return Err(Reason::new(
            ReasonCode::DiskError,
            "What the disk holds cannot be read.",
            "Check the disk's seat, cable and health, then order the run again.",
        ));
    }
    match &planned.action {
        DiskAction::LeaveAlone => Ok(()),
        DiskAction::Keep { table } => guard_kept(planned, table, held.layout),
        DiskAction::Renew { table, .. } => {
            check_table(planned, table)?;
            guard_kept(planned, table, held.layout)?;
            guard_volumes(planned, table, held.layout)
        }
        DiskAction::Wipe { goes, table } => {
            check_table(planned, table)?;
            if is_ours(table, held.layout) {
                return Ok(());
            }
            nothing_else(goes, held)
        }
        DiskAction::Erase { goes, .. } => {
            // An erase that power cut short has left its own marks, on a disk that held nothing too.
            let mut goes = goes.clone();
            goes.push(UNKNOWN_DATA.to_string());
            nothing_else(&goes, held)
        }
    }
}

/// Whether the disk holds only what the plan lets go.
fn nothing_else(goes: &[String], held: Held<'_>) -> Result<(), Reason> {
    let strange = held
        .contents
        .iter()
        .find(|signature| !may_go(goes, signature));
    match strange {
        Some(signature) => Err(Reason::new(
            ReasonCode::DiskInUse,
            "The disk holds something that was not there when the plan was written.",
            "Look at the disk; if its contents may go, order the run again.",
        )
        .seen(format!("found {}", described(signature)))
        .seen(format!("the plan lets go: {}", goes.join(", ")))),
        None => Ok(()),
    }
}

/// A signature as a plan names it: `ext4 "old"`, `xfs on partition 2`.
#[must_use]
pub fn described(signature: &Signature) -> String {
    let mut text = signature.what.clone();
    if let Some(label) = &signature.label {
        text.push_str(&format!(" \"{label}\""));
    }
    if signature.at != "disk" {
        text.push_str(&format!(" on {}", signature.at));
    }
    text
}

/// A half-done wipe leaves remains of what may go, be it half a table; where nothing was to go, they are somebody's.
fn may_go(goes: &[String], signature: &Signature) -> bool {
    let held_something = goes.iter().any(|text| text != "nothing");
    let is_remains = matches!(signature.what.as_str(), UNKNOWN_DATA | DAMAGED_GPT);
    goes.contains(&described(signature)) || (held_something && is_remains)
}

/// The disk carries this plan's own table already: the run was interrupted and goes on.
fn is_ours(table: &TablePlan, layout: Option<&FoundLayout>) -> bool {
    layout.is_some_and(|layout| layout.disk_guid == table.disk_guid)
}

fn guard_kept(
    planned: &DiskPlan,
    table: &TablePlan,
    found: Option<&FoundLayout>,
) -> Result<(), Reason> {
    let same = found.is_some_and(|layout| {
        layout.disk_guid == table.disk_guid
            && layout.partitions.len() == table.partitions.len()
            && layout
                .partitions
                .iter()
                .zip(&table.partitions)
                .all(|(is, should)| is_same_partition(is, should))
    });
    if same {
        return Ok(());
    }
    let mut reason = Reason::new(
        ReasonCode::DiskInUse,
        "The volume to be kept is not the one that the plan saw.",
        "Look at the disk; if it is right as it is, order the run again.",
    )
    .about(planned.part())
    .seen(format!("the plan keeps disk GUID {}", table.disk_guid));
    reason = match found {
        Some(layout) => reason.seen(format!("the disk says {}", layout.disk_guid)),
        None => reason.seen("the disk carries no table of ours"),
    };
    Err(reason)
}

/// The volumes that stay beside what is made anew are those that the plan saw, by their own UUIDs.
fn guard_volumes(
    planned: &DiskPlan,
    table: &TablePlan,
    found: Option<&FoundLayout>,
) -> Result<(), Reason> {
    let found = found.map_or(&[][..], |layout| layout.partitions.as_slice());
    for (is, should) in found.iter().zip(&table.partitions) {
        let Some(volume) = should.holds.volume() else {
            continue;
        };
        let file_system = is.file_system.as_ref();
        let is_it = file_system.is_some_and(|on| {
            on.what == volume.fs.as_str() && on.uuid.as_deref() == Some(volume.uuid)
        });
        if !is_it {
            return Err(Reason::new(
                ReasonCode::DiskInUse,
                "The volume to be kept is not the one that the plan saw.",
                "Look at the disk; if it is right as it is, order the run again.",
            )
            .about(planned.part())
            .seen(format!(
                "the plan keeps {} {} in partition {}",
                volume.fs.as_str(),
                volume.uuid,
                is.number
            ))
            .seen(file_system.map_or_else(
                || "the partition holds nothing that was recognised".to_string(),
                |on| {
                    let uuid = on.uuid.as_deref().unwrap_or("without a UUID");
                    format!("the partition holds {} {uuid}", on.what)
                },
            )));
        }
    }
    Ok(())
}

fn is_same_partition(is: &FoundPartition, should: &PartitionPlan) -> bool {
    is.guid == should.guid
        && is.type_guid == should.type_guid
        && is.name == should.name
        && is.start == should.start
        && is.length == should.length
}

fn is_same(planned: &DiskPlan, disk: &Disk) -> bool {
    disk.serial == planned.serial
        && disk.wwn == planned.wwn
        && disk.size == planned.size
        && disk.logical_sector == planned.logical_sector
}

fn named_disks<'a>(planned: &DiskPlan, seen: &'a [Disk]) -> Vec<&'a Disk> {
    seen.iter()
        .filter(|disk| disk.serial == planned.serial)
        .collect()
}

fn missing(planned: &DiskPlan, seen: &[Disk]) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::DiskMissing,
        format!("Disk {} of the plan is not there.", planned.serial),
        "Check the disk's seat and cable, or order the run again without it.",
    )
    .about(planned.part());
    for disk in seen.iter().filter(|disk| disk.slot == planned.slot) {
        reason = reason.seen(format!("in its slot is now {}", identity(disk)));
    }
    reason.seen(format!("{} disks are there", seen.len()))
}

fn differs(planned: &DiskPlan, named: Vec<&Disk>, one: &Disk) -> Reason {
    let what = if named.len() > 1 {
        format!(
            "{} disks say that they are {}.",
            named.len(),
            planned.serial
        )
    } else {
        format!(
            "Disk {} is not the one that the plan names.",
            planned.serial
        )
    };
    let mut reason = Reason::new(
        ReasonCode::WrongDisk,
        what,
        "Compare the disk's label with the plan; to use this disk, order the run again.",
    )
    .about(one.part())
    .seen(format!(
        "planned: serial {}, WWN {}, {} bytes in sectors of {}",
        planned.serial,
        planned.wwn.as_deref().unwrap_or("none"),
        planned.size.0,
        planned.logical_sector
    ));
    for disk in named {
        reason = reason.seen(format!("found: {}", identity(disk)));
    }
    reason
}

fn identity(disk: &Disk) -> String {
    format!(
        "serial {}, WWN {}, {} bytes in sectors of {}, at {}",
        disk.serial,
        disk.wwn.as_deref().unwrap_or("none"),
        disk.size.0,
        disk.logical_sector,
        disk.slot
    )
}

fn unnamed(disk: &Disk) -> Reason {
    Reason::new(
        ReasonCode::WrongDisk,
        "The machine has a disk that the plan does not name.",
        "Take the disk out, or order the run again so that the plan sees it.",
    )
    .about(disk.part())
    .seen(format!("found: {}", identity(disk)))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;
    use crate::plan::tests::{Case, carried_out, rack};
    use expect_test::expect;

    fn case() -> (Plan, Vec<Disk>) {
        let case = Case::new(rack());
        (case.plan().unwrap(), case.inventory.disks)
    }

    fn strange(at: &str, what: &str) -> Signature {
        Signature {
            at: at.to_string(),
            what: what.to_string(),
            label: None,
        }
    }

    #[test]
    fn contents_that_the_plan_does_not_name_are_in_use() {
        let (plan, mut seen) = case();
        seen[1].contents.push(strange("partition 3", "LUKS2"));
        let reason = guard(&plan, &seen, Some(plan.machine)).unwrap_err();
        expect![[r#"
            The disk holds something that was not there when the plan was written. [disk-in-use]
              part:      disk bay-DATA-1, serial DATA-1, 4 GiB, GS Disk
              seen:      found LUKS2 on partition 3
              seen:      the plan lets go: gpt, ext4 "old" on partition 1, unknown data on partition 2
              by itself: nothing: it waits for a person
              do now:    Look at the disk; if its contents may go, order the run again.
        "#]].assert_eq(&format!("{reason}\n"));
    }

    #[test]
    fn an_interrupted_wipe_goes_on_and_an_empty_disk_that_is_not_empty_does_not() {
        let (plan, mut seen) = case();
        seen[1].contents = vec![strange("disk", UNKNOWN_DATA)];
        assert_eq!(guard(&plan, &seen, Some(plan.machine)), Ok(()));
        seen[0].contents = vec![strange("disk", UNKNOWN_DATA)];
        let reason = guard(&plan, &seen, Some(plan.machine)).unwrap_err();
        assert_eq!(reason.code, ReasonCode::DiskInUse);
    }

    #[test]
    fn an_erase_that_was_cut_short_goes_on_over_its_own_marks_and_over_nothing_else() {
        let (mut plan, mut seen) = case();
        let goes = vec!["nothing".to_string()];
        let level = groundstate_api::erase::EraseClass::Clear;
        plan.disks[0].action = DiskAction::Erase { goes, level };
        let planned = plan.disks[0].clone();
        let disk = seen.iter_mut().find(|disk| disk.serial == planned.serial);
        let disk = disk.unwrap();
        disk.contents = vec![strange("disk", UNKNOWN_DATA)];
        assert_eq!(guard_contents(&planned, disk), Ok(()));
        disk.contents.push(strange("partition 1", "LUKS2"));
        let reason = guard_contents(&planned, disk).unwrap_err();
        assert_eq!(reason.code, ReasonCode::DiskInUse);
    }

    #[test]
    fn a_disk_that_cannot_be_read_is_refused_whatever_may_go() {
        let (plan, mut seen) = case();
        seen[1].contents = vec![strange("disk", UNREADABLE)];
        let reason = guard(&plan, &seen, Some(plan.machine)).unwrap_err();
        assert_eq!(reason.code, ReasonCode::DiskError);
        let mut case = Case::new(rack());
        case.inventory.disks = seen;
        let plan = case.plan().unwrap();
        assert_eq!(plan.disks[0].serial, "DATA-1");
        assert_eq!(plan.disks[0].action, DiskAction::LeaveAlone);
        assert_eq!(plan.disks[0].because, "what it holds cannot be read");
    }

    #[test]
    fn a_disk_that_carries_this_plan_already_goes_on() {
        let (plan, mut seen) = case();
        let planned = plan
            .disks
            .iter()
            .find(|disk| disk.serial == "DATA-1")
            .unwrap();
        let DiskAction::Wipe { table, .. } = &planned.action else {
            panic!("{planned:?}")
        };
        carried_out(&mut seen[1], table, planned.role);
        seen[1].contents.push(strange("partition 1", "ext4"));
        assert_eq!(guard(&plan, &seen, Some(plan.machine)), Ok(()));
    }

    #[test]
    fn another_machine_or_a_changed_plan_is_refused() {
        let (mut plan, seen) = case();
        let reason = guard(&plan, &seen, None).unwrap_err();
        expect![[r#"
            The plan is for another machine. [identity-mismatch]
              part:      machine no UUID
              seen:      the plan names 11111111-2222-3333-4444-555555555555, this machine is no UUID
              by itself: nothing: it waits for a person
              do now:    Compare the node's UUID in the site file with the machine's.
        "#]].assert_eq(&format!("{reason}\n"));
        plan.disks[0].because.push('.');
        let reason = guard(&plan, &seen, Some(plan.machine)).unwrap_err();
        assert_eq!(reason.code, ReasonCode::PlanRefused);
    }

    #[test]
    fn a_missing_and_a_swapped_disk_are_named() {
        let (plan, mut seen) = case();
        seen[0].serial = "SWAPPED".to_string();
        let reason = guard(&plan, &seen, Some(plan.machine)).unwrap_err();
        expect![[r#"
            Disk OS-1 of the plan is not there. [disk-missing]
              part:      disk bay-OS-1, serial OS-1, 5 GiB, GS Disk
              seen:      in its slot is now serial SWAPPED, WWN naa.5000OS-1, 5368709120 bytes in sectors of 512, at bay-OS-1
              seen:      4 disks are there
              by itself: nothing: it waits for a person
              do now:    Check the disk's seat and cable, or order the run again without it.
        "#]].assert_eq(&format!("{reason}\n"));
        let (plan, mut seen) = case();
        seen[0].size.0 -= 512;
        let reason = guard(&plan, &seen, Some(plan.machine)).unwrap_err();
        expect![[r#"
            Disk OS-1 is not the one that the plan names. [wrong-disk]
              part:      disk bay-OS-1, serial OS-1, 4.9 GiB, GS Disk
              seen:      planned: serial OS-1, WWN naa.5000OS-1, 5368709120 bytes in sectors of 512
              seen:      found: serial OS-1, WWN naa.5000OS-1, 5368708608 bytes in sectors of 512, at bay-OS-1
              by itself: nothing: it waits for a person
              do now:    Compare the disk's label with the plan; to use this disk, order the run again.
        "#]].assert_eq(&format!("{reason}\n"));
    }

    /// What the guard says of the first data disk after a change to it, and with which code.
    fn refused(change: impl Fn(&mut Disk)) -> (ReasonCode, Vec<String>) {
        let (plan, mut seen) = case();
        change(&mut seen[1]);
        let reason = guard(&plan, &seen, Some(plan.machine)).unwrap_err();
        assert_eq!(reason.part.as_ref().unwrap().token(), "disk:DATA-1");
        assert!(!reason.next_step.is_empty());
        (reason.code, reason.evidence)
    }

    #[test]
    fn a_disk_that_became_unusual_since_it_was_planned_is_refused() {
        use groundstate_api::inventory::Transport;
        let (code, seen) = refused(|disk| disk.removable = true);
        assert_eq!(
            (code, seen[0].as_str()),
            (ReasonCode::WrongDisk, "its medium can be taken out")
        );
        let (code, seen) = refused(|disk| disk.transport = Transport::Usb);
        assert_eq!(
            (code, seen[0].as_str()),
            (ReasonCode::WrongDisk, "it is connected by USB")
        );
        let (code, _) = refused(|disk| disk.transport = Transport::Other);
        assert_eq!(code, ReasonCode::WrongDisk);
        let (code, seen) = refused(|disk| disk.attachment.network = Some("iscsi".to_string()));
        assert_eq!(code, ReasonCode::WrongDisk);
        assert!(seen[0].contains("network"), "{seen:?}");
        let (code, _) = refused(|disk| disk.read_only = true);
        assert_eq!(code, ReasonCode::DiskError);
    }

    #[test]
    fn a_disk_in_use_is_refused_with_its_user() {
        let used = vec![
            "sda2 is mounted at /srv".to_string(),
            "md0 holds sda1".to_string(),
        ];
        let (code, seen) = refused(|disk| disk.attachment.used_by.clone_from(&used));
        assert_eq!((code, seen), (ReasonCode::DiskInUse, used.clone()));
        // A run is ordered again on a node; who writes by hand has none.
        let (plan, mut seen) = case();
        seen[1].attachment.used_by.clone_from(&used);
        let on_node = guard(&plan, &seen, Some(plan.machine)).unwrap_err();
        let by_hand = fit_to_write(&seen[1], &seen).unwrap_err();
        assert!(on_node.next_step.ends_with("then order the run again."));
        assert!(
            by_hand.next_step.starts_with("Unmount it")
                && by_hand.next_step.ends_with("then write again."),
            "{by_hand}"
        );
    }

    #[test]
    fn two_paths_to_one_disk_are_refused() {
        let paths = vec!["nvme0".to_string(), "nvme1".to_string()];
        let (code, seen) = refused(|disk| disk.attachment.paths.clone_from(&paths));
        assert_eq!((code, seen), (ReasonCode::WrongDisk, paths));
        let (plan, mut seen) = case();
        let mut twin = seen[1].clone();
        twin.kernel_name = "other".to_string();
        twin.serial = "AS-AN-ARRAY-SAYS-IT".to_string();
        seen.push(twin);
        let reason = guard(&plan, &seen, Some(plan.machine)).unwrap_err();
        assert_eq!(reason.code, ReasonCode::WrongDisk);
        assert!(
            reason.evidence[0].starts_with("WWN naa.5000DATA-1 is at "),
            "{reason}"
        );
    }

    #[test]
    fn a_named_disk_of_an_unusual_kind_passes() {
        let (mut plan, mut seen) = case();
        seen[1].removable = true;
        let planned = plan.disks.iter_mut().find(|disk| disk.serial == "DATA-1");
        planned.unwrap().named = true;
        plan.id = groundstate_api::Digest::of(&crate::plan::canonical_bytes(&plan))
            .hex()
            .parse()
            .unwrap();
        assert_eq!(guard(&plan, &seen, Some(plan.machine)), Ok(()));
    }
}
