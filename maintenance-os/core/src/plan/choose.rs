// SPDX-License-Identifier: Apache-2.0
//! Gives every disk its role.

use super::rules::{Rule, Terms};
use super::{GS_DATA, PlanRequest, comes_and_goes, layout, whole};
use crate::guard::{UNREADABLE, described, unusual};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::disk_policy::DataOnOs;
use groundstate_api::inventory::{Disk, FoundLayout, FoundPartition, Verdict};
use groundstate_api::plan::{EarlierDisks, Role, TablePlan};
use groundstate_api::site::Node;
use groundstate_api::{Part, Reason, ReasonCode};

/// Who holds the operating system, and who is kept.
pub(super) struct Choice<'a, 't> {
    os: &'a Disk,
    named: bool,
    node: &'a Node,
    earlier: &'a EarlierDisks,
    terms: &'t Terms<'a>,
    /// What the site's allowance of missing data disks let pass, a sentence each.
    pub(super) notes: Vec<String>,
}

/// Why a disk is not used.
enum Unfit {
    /// Whatever the site says.
    Always(String),
    /// Unless the site names it.
    UnlessNamed(&'static str),
}

impl<'a, 't> Choice<'a, 't> {
    pub(super) fn make(request: &PlanRequest<'a>, terms: &'t Terms<'a>) -> Result<Self, Reason> {
        let (node, disks) = (request.node, request.inventory.disks.as_slice());
        check_serials(disks, terms)?;
        check_named(request, terms)?;
        let (os, named) = match &node.os_disk {
            Some(serial) => (named_os_disk(request, serial, terms)?, true),
            None => (best_os_disk(request, terms)?, false),
        };
        let mut choice = Self {
            os,
            named,
            node,
            earlier: request.earlier,
            terms,
            notes: Vec::new(),
        };
        choice.check_kept(request)?;
        Ok(choice)
    }

    /// Every disk to be kept is there and sound, or the site allows as many to be missing.
    fn check_kept(&mut self, request: &PlanRequest<'a>) -> Result<(), Reason> {
        let disks = request.inventory.disks.as_slice();
        if self.named_to_keep(self.os) && beside_os(self.os).is_none() {
            self.check_lost(self.os)?;
        }
        let mut lost = Vec::new();
        for serial in &self.node.keep {
            if !disks.iter().any(|disk| disk.serial == *serial) {
                let note =
                    format!("disk {serial} is to be kept and is not there: what lay on it is not");
                lost.push((absent(request, serial, "is to be kept"), note));
            }
        }
        for disk in disks.iter().filter(|disk| self.is_to_keep(disk)) {
            if let Some(Unfit::Always(why)) = unfit(disk, self.terms) {
                let note = format!(
                    "disk {} is to be kept, but {why}: it is left alone",
                    disk.serial
                );
                lost.push((unusable(disk, &format!("is to be kept, but {why}")), note));
            } else {
                self.check_lost(disk)?;
            }
        }
        let allowed = self.terms.missing_data_disks;
        if lost.len() > usize::from(allowed) {
            let (reason, _) = lost.swap_remove(0);
            return Err(if allowed == 0 {
                reason
            } else {
                reason.seen(format!(
                    "the site lets {allowed} data disks be missing, {} are",
                    lost.len() + 1
                ))
            });
        }
        self.notes.extend(lost.into_iter().map(|(_, note)| note));
        Ok(())
    }

    fn named_to_keep(&self, disk: &Disk) -> bool {
        self.node.keep.contains(&disk.serial)
    }

    /// Whether the node's list or a rule keeps the disk.
    fn is_to_keep(&self, disk: &Disk) -> bool {
        let by_rule = || {
            self.terms
                .rule(disk)
                .is_some_and(|rule| rule.says.role == Role::Keep)
        };
        !core::ptr::eq(disk, self.os) && (self.named_to_keep(disk) || by_rule())
    }

    /// A disk to be kept had a volume of ours, holds something, and that is not recognised as ours: it may be that
    /// volume with a damaged table. On a first run there is nothing of ours to lose.
    fn check_lost(&self, disk: &Disk) -> Result<(), Reason> {
        let tables = self.earlier.tables.get(&disk.serial);
        let mut made = tables
            .into_iter()
            .flatten()
            .flat_map(|table| &table.partitions);
        let had_ours = self.earlier.data.contains(&disk.serial)
            || made.any(|partition| partition.holds.volume().is_some());
        if !had_ours || disk.contents.is_empty() || data_layout(disk).is_some() {
            return Ok(());
        }
        let mut reason = Reason::new(
            ReasonCode::DiskInUse,
            format!("Disk {} is to be kept and had a data volume of this node, but what it holds is not recognised as that volume.", disk.serial),
            "Look at the disk by hand; to give what it holds up, remove its serial number from keep in the site file, and order the run again.",
        )
        .about(disk.part());
        for one in &disk.contents {
            reason = reason.seen(format!("it holds {}", described(one)));
        }
        Err(reason)
    }

    /// Whether the disk's volume stays.
    pub(super) fn keeps(&self, disk: &Disk) -> bool {
        self.is_to_keep(disk) && data_layout(disk).is_some() && !is_always_unfit(disk, self.terms)
    }

    pub(super) fn role(&self, disk: &Disk) -> (Role, String) {
        if core::ptr::eq(disk, self.os) {
            return (Role::Os, self.because_os());
        }
        if self.named_to_keep(disk) {
            if let Some(Unfit::Always(why)) = unfit(disk, self.terms) {
                return (Role::Spare, format!("the site says to keep it, but {why}"));
            }
            let because = if data_layout(disk).is_some() {
                "the site says to keep it, and it holds a data volume of ours"
            } else {
                "the site says to keep it, but it holds no data volume of ours: a new one is made"
            };
            return (Role::Data, because.to_string());
        }
        if let Some(rule) = self.terms.rule(disk) {
            return self.role_by_rule(disk, rule);
        }
        match self.not_used(disk, false) {
            Some(why) => (Role::Spare, why),
            None => (
                Role::Data,
                "every disk that is not for the OS holds a data volume".to_string(),
            ),
        }
    }

    fn role_by_rule(&self, disk: &Disk, rule: &Rule<'_>) -> (Role, String) {
        let path = &rule.path;
        match rule.says.role {
            Role::Refuse => (Role::Refuse, format!("{path} refuses it")),
            Role::Spare => (Role::Spare, format!("{path} makes it a spare")),
            Role::Os => (
                Role::Spare,
                format!(
                    "{path} would have it for the OS, which is on {}",
                    self.os.serial
                ),
            ),
            Role::Keep if data_layout(disk).is_some() && !is_always_unfit(disk, self.terms) => (
                Role::Data,
                format!("{path} keeps it, and it holds a data volume of ours"),
            ),
            Role::Keep if !disk.contents.is_empty() || disk.layout.is_some() => (
                Role::Keep,
                format!("{path} keeps it, and what it holds is not ours"),
            ),
            Role::Keep => match self.not_used(disk, rule.names()) {
                Some(why) => (Role::Spare, why),
                None => (
                    Role::Data,
                    format!("{path} keeps it; it is blank, so a volume is made"),
                ),
            },
            role @ (Role::Data | Role::Vhd) => match self.not_used(disk, rule.names()) {
                Some(why) => (Role::Spare, why),
                None => (role, format!("{path} gives it this role")),
            },
        }
    }

    /// Why a disk that could hold a data volume is left alone.
    fn not_used(&self, disk: &Disk, named: bool) -> Option<String> {
        let unless_named = match unfit(disk, self.terms) {
            Some(Unfit::Always(why)) => return Some(why),
            Some(Unfit::UnlessNamed(why)) => Some(why),
            None => None,
        };
        if named {
            return None;
        }
        if let Some(why) = unless_named {
            return Some(format!("{why} and the site does not name it"));
        }
        let may_use = self.node.may_use(&disk.serial, self.earlier);
        (!may_use).then(|| self.because_unnamed())
    }

    fn because_unnamed(&self) -> String {
        let listed = self.node.hardware.as_ref().map_or(0, |h| h.disks.len());
        let text = if listed > 0 {
            "the site file lists this node's disks and does not name it: it is left alone"
        } else {
            "no earlier plan of this node used it and the site file does not name it: it is left alone"
        };
        text.to_string()
    }

    fn because_os(&self) -> String {
        let disk = self.os;
        if self.keeps_beside_os(disk) {
            return "the site says to keep it, and beside the OS it holds a data volume of ours"
                .to_string();
        }
        if self.named {
            return "the site names it for the OS".to_string();
        }
        if let Some(rule) = self.terms.rule(disk) {
            return format!("{} gives it to the OS", rule.path);
        }
        let text = if disk.rotational || disk.health.verdict != Verdict::Ok {
            "no healthy solid-state disk is large enough; it is the smallest that is"
        } else {
            "it is the smallest healthy solid-state disk that is large enough"
        };
        text.to_string()
    }

    /// Whether this is the OS disk, and a data volume on it stays.
    pub(super) fn keeps_beside_os(&self, disk: &Disk) -> bool {
        core::ptr::eq(disk, self.os) && self.named_to_keep(disk) && beside_os(disk).is_some()
    }

    /// The table of the OS disk, where a data volume on it stays.
    pub(super) fn beside_os(
        &self,
        request: &PlanRequest<'_>,
        disk: &Disk,
    ) -> Result<Option<TablePlan>, Reason> {
        match beside_os(disk).filter(|_| self.keeps_beside_os(disk)) {
            Some(found) => layout::renewed(request, disk, found).map(Some),
            None => Ok(None),
        }
    }

    /// The table to keep, where the disk is kept.
    pub(super) fn kept_table(&self, disk: &Disk) -> Result<Option<TablePlan>, Reason> {
        match data_layout(disk).filter(|_| self.keeps(disk)) {
            Some(found) => layout::kept(disk, found, self.earlier).map(Some),
            None => Ok(None),
        }
    }
}

/// A disk that the node names is no disk that a rule refuses, and none is named for two things.
fn check_named(request: &PlanRequest<'_>, terms: &Terms<'_>) -> Result<(), Reason> {
    let node = request.node;
    let os = node.os_disk.iter().map(|serial| (serial, "os_disk"));
    let keep = node.keep.iter().map(|serial| (serial, "keep"));
    for (serial, key) in os.chain(keep) {
        let disk = request
            .inventory
            .disks
            .iter()
            .find(|disk| disk.serial == *serial);
        let is_both = key == "keep" && node.os_disk.as_ref() == Some(serial);
        if is_both && disk.is_some_and(|disk| !may_hold_both(request, terms, disk)) {
            return Err(Reason::new(
                ReasonCode::PlanRefused,
                format!("Disk {serial} is named both for the OS and to be kept."),
                "Remove the serial number from os_disk or from keep in the site file.",
            )
            .about(Part::Field {
                path: format!("node.{}.keep", node.name),
            }));
        }
        let rule = disk.and_then(|disk| terms.rule(disk));
        if let Some(rule) = rule.filter(|rule| rule.says.role == Role::Refuse) {
            return Err(Reason::new(
                ReasonCode::PlanRefused,
                format!(
                    "Disk {serial} is named in {key}, and {} refuses it.",
                    rule.path
                ),
                "Remove the serial number, or narrow the rule in the site file.",
            )
            .about(Part::Field {
                path: format!("node.{}.{key}", node.name),
            }));
        }
    }
    Ok(())
}

/// Whether a disk that is to be kept may be the OS disk all the same: it is one already, beside a data volume of ours, or a
/// volume would be made on it. A disk that is a data volume of ours is none.
fn may_hold_both(request: &PlanRequest<'_>, terms: &Terms<'_>, disk: &Disk) -> bool {
    let others = || request.inventory.disks.iter();
    let alone = || others().all(|one| core::ptr::eq(one, disk) || comes_and_goes(one));
    let gets_volume = match terms.data_on_os_disk {
        DataOnOs::Never => false,
        DataOnOs::Always => true,
        DataOnOs::IfAlone => alone(),
    };
    beside_os(disk).is_some() || (gets_volume && data_layout(disk).is_none())
}

/// Refuses a disk that is to be made anew alone, where nothing could make it fit.
pub(super) fn check_fit(disk: &Disk, terms: &Terms<'_>) -> Result<(), Reason> {
    match unfit(disk, terms) {
        Some(Unfit::Always(why)) => Err(unusable(disk, &format!("is to be rebuilt, but {why}"))),
        Some(Unfit::UnlessNamed(_)) | None => Ok(()),
    }
}

fn is_always_unfit(disk: &Disk, terms: &Terms<'_>) -> bool {
    matches!(unfit(disk, terms), Some(Unfit::Always(_)))
}

/// The layout of a disk that holds the OS and, beside it, a data volume.
fn beside_os(disk: &Disk) -> Option<&FoundLayout> {
    let is_data = |partition: &FoundPartition| partition.name == GS_DATA;
    let layout = disk.layout.as_ref();
    layout.filter(|layout| layout.role == Role::Os && layout.partitions.iter().any(is_data))
}

fn data_layout(disk: &Disk) -> Option<&FoundLayout> {
    disk.layout
        .as_ref()
        .filter(|layout| layout.role == Role::Data)
}

fn unfit(disk: &Disk, terms: &Terms<'_>) -> Option<Unfit> {
    if disk.size.0 == 0 {
        return Some(Unfit::Always("it has no medium".to_string()));
    }
    if disk.read_only {
        return Some(Unfit::Always("it is read-only".to_string()));
    }
    if disk.health.verdict == Verdict::Fail {
        return Some(Unfit::Always("it reports that it is failing".to_string()));
    }
    if disk.contents.iter().any(|one| one.what == UNREADABLE) {
        return Some(Unfit::Always("what it holds cannot be read".to_string()));
    }
    if !matches!(disk.logical_sector, 512 | 4096) {
        return Some(Unfit::Always(format!(
            "its sectors of {} bytes are neither 512 nor 4096",
            disk.logical_sector
        )));
    }
    let least = layout::data_disk_min(terms.fs);
    if disk.size < least {
        return Some(Unfit::Always(format!(
            "it is smaller than {least}, the least for a data volume"
        )));
    }
    if !disk.attachment.used_by.is_empty() {
        return Some(Unfit::Always(
            "something on this machine uses it".to_string(),
        ));
    }
    unusual(disk).map(Unfit::UnlessNamed)
}

/// A disk that could be written to must be nameable: it has a serial number and shares it with no other.
pub(super) fn check_serials(disks: &[Disk], terms: &Terms<'_>) -> Result<(), Reason> {
    for (index, disk) in disks.iter().enumerate() {
        if unfit(disk, terms).is_some() {
            continue;
        }
        if disk.serial.trim().is_empty() {
            return Err(Reason::new(
                ReasonCode::PlanRefused,
                "A disk has no serial number, so no plan can name it.",
                "Take the disk out, or give it a serial number in its controller.",
            )
            .about(disk.part()));
        }
        let twin = disks
            .iter()
            .enumerate()
            .find(|(other, twin)| *other != index && twin.serial == disk.serial);
        if let Some((_, twin)) = twin {
            return Err(Reason::new(
                ReasonCode::PlanRefused,
                format!("Two disks have the serial number {}.", disk.serial),
                "Take one of the two paths or disks out: a plan cannot tell them apart.",
            )
            .about(disk.part())
            .seen(found_line(disk))
            .seen(found_line(twin)));
        }
    }
    Ok(())
}

fn named_os_disk<'a>(
    request: &PlanRequest<'a>,
    serial: &str,
    terms: &Terms<'_>,
) -> Result<&'a Disk, Reason> {
    let disks = &request.inventory.disks;
    let Some(disk) = disks.iter().find(|disk| disk.serial == serial) else {
        return Err(absent(request, serial, "is named for the OS"));
    };
    if let Some(Unfit::Always(why)) = unfit(disk, terms) {
        return Err(unusable(disk, &format!("is named for the OS, but {why}")));
    }
    check_os_disk(request, disk)?;
    Ok(disk)
}

/// The best of the disks that a rule gives to the OS; where no rule does, of those that no rule is about.
fn best_os_disk<'a>(request: &PlanRequest<'a>, terms: &Terms<'_>) -> Result<&'a Disk, Reason> {
    let keep = &request.node.keep;
    let by_rule = terms.rules().iter().any(|rule| rule.says.role == Role::Os);
    let candidate = |disk: &&Disk| {
        let rule = terms.rule(disk);
        let wanted = match rule {
            Some(rule) => rule.says.role == Role::Os,
            None => !by_rule,
        };
        let named = wanted && rule.is_some_and(Rule::names);
        let fit = match unfit(disk, terms) {
            Some(Unfit::Always(_)) => false,
            Some(Unfit::UnlessNamed(_)) => named,
            None => true,
        };
        wanted && fit && (named || request.node.may_use(&disk.serial, request.earlier))
    };
    let mut fit: Vec<&Disk> = request
        .inventory
        .disks
        .iter()
        .filter(|disk| {
            let is_free = !keep.contains(&disk.serial) || may_hold_both(request, terms, disk);
            candidate(disk) && is_free
        })
        .collect();
    // The grave question first: is it solid-state and known to be healthy? Then size, then the name.
    fit.sort_by_key(|disk| {
        let second = disk.rotational || disk.health.verdict != Verdict::Ok;
        (second, disk.size, disk.serial.clone())
    });
    let mut refused = None;
    for disk in fit {
        match check_os_disk(request, disk) {
            Ok(()) => return Ok(disk),
            Err(reason) => refused = Some(reason),
        }
    }
    // The last that was asked is the largest of its kind: its reason says what is missing.
    Err(refused.unwrap_or_else(|| {
        let (what, next) = if by_rule {
            (
                "No disk that the site's rules give to the OS is there and can hold it.",
                "Put such a disk in, or change the rule with role os in the site file.",
            )
        } else {
            (
                "No disk of this machine can hold the OS.",
                "Put in a disk, or name one with os_disk in the site file.",
            )
        };
        let reason = Reason::new(ReasonCode::DiskMissing, what, next);
        found(reason, &request.inventory.disks)
    }))
}

fn check_os_disk(request: &PlanRequest<'_>, disk: &Disk) -> Result<(), Reason> {
    let image = request.image;
    if let Some(whole) = &image.whole {
        return whole::check_disk(image, whole, disk);
    }
    let sector = u64::from(disk.logical_sector);
    if disk.logical_sector < image.sector_size || !image.size.0.is_multiple_of(sector) {
        return Err(Reason::new(
            ReasonCode::PlanRefused,
            format!(
                "Image {} {} does not fit the disk's sectors.",
                image.name, image.version
            ),
            "Choose an image for this sector size, or another disk for the OS.",
        )
        .about(disk.part())
        .seen(format!(
            "the image of {} bytes is for sectors of {} bytes or more, the disk's have {sector}",
            image.size.0, image.sector_size
        )));
    }
    let (available, needed) = (
        layout::root_length(disk.size),
        layout::root_needed(image.size),
    );
    if available < needed {
        return Err(Reason::new(
            ReasonCode::DiskFull,
            format!(
                "The disk is too small for image {} {}.",
                image.name, image.version
            ),
            "Put in a larger disk, or name another with os_disk in the site file.",
        )
        .about(disk.part())
        .seen(format!(
            "the root partition needs {needed}, the disk has {available} for it"
        )));
    }
    Ok(())
}

fn unusable(disk: &Disk, why: &str) -> Reason {
    let code = if disk.health.verdict == Verdict::Fail {
        ReasonCode::DiskFailing
    } else {
        ReasonCode::PlanRefused
    };
    Reason::new(
        code,
        format!("Disk {} {why}.", disk.serial),
        "Replace the disk, or name another in the site file.",
    )
    .about(disk.part())
}

/// A disk that the site names is not there: says what is there instead.
pub(super) fn absent(request: &PlanRequest<'_>, serial: &str, named: &str) -> Reason {
    let disks = &request.inventory.disks;
    let slot = request
        .node
        .hardware
        .iter()
        .flat_map(|hardware| &hardware.disks)
        .find(|disk| disk.serial == serial)
        .and_then(|disk| disk.slot.clone());
    let instead = slot
        .as_ref()
        .and_then(|slot| disks.iter().find(|disk| disk.slot == *slot));
    let part = Part::Disk {
        slot: slot.unwrap_or_else(|| "not found in any slot".to_string()),
        serial: serial.to_string(),
        size: None,
        model: None,
    };
    let code = if disks.is_empty() {
        ReasonCode::DiskMissing
    } else {
        ReasonCode::WrongDisk
    };
    let mut reason = Reason::new(
        code,
        format!("Disk {serial} {named}, but this machine does not have it."),
        "Put the disk in, or correct the serial number in the site file.",
    )
    .about(part);
    if let Some(instead) = instead {
        reason = reason.seen(format!("in its slot instead: {}", found_line(instead)));
    }
    found(reason, disks)
}

fn found(mut reason: Reason, disks: &[Disk]) -> Reason {
    for disk in disks {
        reason = reason.seen(format!("found {}", found_line(disk)));
    }
    if disks.is_empty() {
        reason = reason.seen("found no disk at all");
    }
    reason
}

fn found_line(disk: &Disk) -> String {
    format!(
        "{} serial {}, {}, {}",
        disk.slot, disk.serial, disk.size, disk.model
    )
}
