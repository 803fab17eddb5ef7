// SPDX-License-Identifier: Apache-2.0
//! An inventory against a profile.

use super::{DimmGroup, DiskGroup, NicGroup, Profile};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::glob;
use groundstate_api::health::{Advice, DeviceKind, DeviceReport, HealthFinding, Sureness, Verdict};
use groundstate_api::inventory::{Dimm, Disk, Inventory, Nic};

/// Two disks of one size on the label differ by up to this share between vendors: one part in a hundred.
const SIZE_SHARE: u64 = 100;

/// What to do where the machine is another than the profile's.
const OTHER: &str = "check that this machine belongs to this profile, or correct the profile";
/// What to do where memory is missing or differs.
const RESEAT: &str =
    "power the machine off, and reseat or replace the DIMM of the empty or differing slot";

/// A rule of a profile that a machine does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Breach {
    /// The rule's place in the file: `disk[0].count`.
    pub(super) rule: String,
    pub(super) finding: HealthFinding,
}

/// The report on a machine: everything in which it differs from the profile.
#[must_use]
pub fn judge(profile: &Profile, seen: &Inventory) -> DeviceReport {
    let found = breaches(profile, seen);
    DeviceReport::new(
        format!("profile {}", profile.name),
        DeviceKind::Machine,
        "hardware profile",
        found.into_iter().map(|breach| breach.finding).collect(),
    )
}

pub(super) fn breaches(profile: &Profile, seen: &Inventory) -> Vec<Breach> {
    let mut found = Vec::new();
    machine(profile, seen, &mut found);
    memory(profile, seen, &mut found);
    disks(profile, seen, &mut found);
    nics(profile, seen, &mut found);
    found
}

fn breach(rule: String, code: &str, verdict: Verdict, what: String, next: &str) -> Breach {
    let advice = match verdict {
        Verdict::Fail => Advice::Reseat,
        Verdict::Ok | Verdict::Unknown | Verdict::Warn => Advice::Look,
    };
    Breach {
        finding: HealthFinding {
            code: code.into(),
            verdict,
            what,
            evidence: Vec::from([format!("rule of the profile: {rule}")]),
            sureness: Sureness::Certain,
            advice,
            next_step: next.into(),
        },
        rule,
    }
}

fn machine(profile: &Profile, seen: &Inventory, found: &mut Vec<Breach>) {
    let system = &seen.system;
    let named = [
        (
            "manufacturer",
            &profile.machine.manufacturer,
            &system.manufacturer,
        ),
        ("product", &profile.machine.product, &system.product),
    ];
    for (field, pattern, value) in named {
        if let Some(pattern) = pattern.as_ref().filter(|p| !glob::matches(p, value)) {
            let what = format!("the {field} is `{value}`, not `{pattern}`");
            found.push(breach(
                format!("machine.{field}"),
                "profile-machine",
                Verdict::Fail,
                what,
                OTHER,
            ));
        }
    }
    let right = &profile.machine.firmware;
    if !right.is_empty()
        && !right
            .iter()
            .any(|p| glob::matches(p, &system.firmware_version))
    {
        let what = format!(
            "the firmware is `{}`, not {}",
            system.firmware_version,
            any(right)
        );
        let next = "update the machine's firmware, or add this version to the profile";
        found.push(breach(
            "machine.firmware".into(),
            "profile-firmware",
            Verdict::Warn,
            what,
            next,
        ));
    }
    if let Some(uefi) = profile.machine.uefi.filter(|uefi| *uefi != system.uefi) {
        let mode = |uefi| if uefi { "UEFI" } else { "BIOS" };
        let what = format!(
            "the machine booted by {}, not {}",
            mode(system.uefi),
            mode(uefi)
        );
        let next = "set the boot mode in the firmware's set-up";
        found.push(breach(
            "machine.uefi".into(),
            "profile-machine",
            Verdict::Fail,
            what,
            next,
        ));
    }
    cpu(profile, seen, found);
}

fn cpu(profile: &Profile, seen: &Inventory, found: &mut Vec<Breach>) {
    let system = &seen.system;
    if let Some(count) = profile.cpu.count.filter(|count| *count != system.cpus) {
        let what = format!("the kernel uses {} processors, not {count}", system.cpus);
        let verdict = if system.cpus < count {
            Verdict::Fail
        } else {
            Verdict::Warn
        };
        let next = "look for a disabled core or socket in the firmware's set-up, and at the processor's seat";
        found.push(breach(
            "cpu.count".into(),
            "profile-cpu",
            verdict,
            what,
            next,
        ));
    }
    if let Some(pattern) = profile
        .cpu
        .model
        .as_ref()
        .filter(|p| !glob::matches(p, &system.cpu_model))
    {
        let what = format!("the processor is `{}`, not `{pattern}`", system.cpu_model);
        found.push(breach(
            "cpu.model".into(),
            "profile-cpu",
            Verdict::Fail,
            what,
            OTHER,
        ));
    }
}

fn any(right: &[String]) -> String {
    let quoted: Vec<String> = right.iter().map(|one| format!("`{one}`")).collect();
    quoted.join(" or ")
}

/// Gives each group the things that fit it, in the file's order and up to its count; returns them with what is left.
fn claim<'a, T, G>(
    things: &'a [T],
    groups: &[G],
    count: fn(&G) -> u32,
    fits: fn(&G, &T) -> bool,
) -> (Vec<Vec<&'a T>>, Vec<&'a T>) {
    let mut free: Vec<&T> = things.iter().collect();
    let mut claimed = Vec::new();
    for group in groups {
        let most = usize::try_from(count(group)).unwrap_or(usize::MAX);
        let mut mine = Vec::new();
        free.retain(|thing| {
            let take = mine.len() < most && fits(group, thing);
            if take {
                mine.push(*thing);
            }
            !take
        });
        claimed.push(mine);
    }
    (claimed, free)
}

fn memory(profile: &Profile, seen: &Inventory, found: &mut Vec<Breach>) {
    let wrong = |total: &super::Size| total.0 != seen.memory.configured;
    if let Some(total) = profile.memory.total.filter(wrong) {
        let what = format!(
            "the DIMMs add up to {}, not {}",
            seen.memory.configured, total.0
        );
        let verdict = if seen.memory.configured < total.0 {
            Verdict::Fail
        } else {
            Verdict::Warn
        };
        found.push(breach(
            "memory.total".into(),
            "profile-memory",
            verdict,
            what,
            RESEAT,
        ));
    }
    if profile.dimms.is_empty() {
        return;
    }
    let populated = seen.memory.dimms.iter().filter(|d| d.populated);
    let populated: Vec<Dimm> = populated.cloned().collect();
    let count = |g: &DimmGroup| g.count;
    let (claimed, left) = claim(&populated, &profile.dimms, count, fits_dimm);
    for (index, (group, mine)) in profile.dimms.iter().zip(&claimed).enumerate() {
        dimm_group(index, group, mine, seen, found);
    }
    for dimm in left {
        let size = dimm
            .size
            .map_or_else(|| "unknown size".into(), |s| s.to_string());
        let Dimm { slot, kind, .. } = dimm;
        let what =
            format!("the DIMM in slot {slot} ({size}, {kind}) is in no group of the profile");
        let next = "take it out, or write it into the profile";
        found.push(breach(
            "dimm".into(),
            "profile-dimm-other",
            Verdict::Warn,
            what,
            next,
        ));
    }
}

fn dimm_group(
    index: usize,
    group: &DimmGroup,
    mine: &[&Dimm],
    seen: &Inventory,
    found: &mut Vec<Breach>,
) {
    if let Some(what) = short("DIMMs", &words_dimm(group), group.count, mine.len()) {
        let rule = format!("dimm[{index}].count");
        let mut one = breach(rule, "profile-dimm-count", Verdict::Fail, what, RESEAT);
        let empty = seen.memory.dimms.iter().filter(|d| !d.populated);
        let empty: Vec<&str> = empty.map(|d| d.slot.as_str()).collect();
        if !empty.is_empty() {
            one.finding
                .evidence
                .push(format!("empty slots: {}", empty.join(", ")));
        }
        found.push(one);
    }
    for dimm in mine {
        let slow = |least: &u32| dimm.speed > 0 && dimm.speed < *least;
        if let Some(least) = group.speed_min.filter(slow) {
            let what = format!(
                "the DIMM in slot {} runs at {} MT/s, below {least}",
                dimm.slot, dimm.speed
            );
            let next =
                "look at the memory speed in the firmware's set-up and for a slower DIMM beside it";
            let rule = format!("dimm[{index}].speed_min");
            found.push(breach(
                rule,
                "profile-dimm-speed",
                Verdict::Warn,
                what,
                next,
            ));
        }
    }
}

/// What is missing of a group; `None` when nothing is.
fn short(kind: &str, group: &str, wanted: u32, there: usize) -> Option<String> {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    (there < wanted).then(|| format!("{there} of {wanted} {kind} are there{group}"))
}

fn words(parts: &[Option<String>]) -> String {
    let said: Vec<String> = parts.iter().flatten().cloned().collect();
    if said.is_empty() {
        String::new()
    } else {
        format!(" ({})", said.join(", "))
    }
}

fn fits_dimm(group: &DimmGroup, dimm: &Dimm) -> bool {
    group.size.is_none_or(|size| dimm.size == Some(size.0))
        && group.kind.as_ref().is_none_or(|kind| dimm.kind == *kind)
        && group
            .part_number
            .as_ref()
            .is_none_or(|p| glob::matches(p, &dimm.part_number))
}

fn words_dimm(group: &DimmGroup) -> String {
    words(&[
        group.size.map(|size| size.0.to_string()),
        group.kind.clone(),
        group.part_number.clone(),
    ])
}

fn disks(profile: &Profile, seen: &Inventory, found: &mut Vec<Breach>) {
    if profile.disks.is_empty() {
        return;
    }
    let fixed: Vec<Disk> = seen
        .disks
        .iter()
        .filter(|d| !d.removable)
        .cloned()
        .collect();
    let count = |g: &DiskGroup| g.count;
    let (claimed, left) = claim(&fixed, &profile.disks, count, fits_disk);
    for (index, (group, mine)) in profile.disks.iter().zip(&claimed).enumerate() {
        disk_group(index, group, mine, found);
    }
    for disk in left {
        let Disk {
            serial,
            slot,
            size,
            model,
            ..
        } = disk;
        let what =
            format!("disk {serial} in {slot} ({size}, {model}) is in no group of the profile");
        let next = "take it out, or write it into the profile";
        found.push(breach(
            "disk".into(),
            "profile-disk-other",
            Verdict::Warn,
            what,
            next,
        ));
    }
}

fn disk_group(index: usize, group: &DiskGroup, mine: &[&Disk], found: &mut Vec<Breach>) {
    if let Some(what) = short("disks", &words_disk(group), group.count, mine.len()) {
        let next =
            "look which bay is empty or dark, reseat that disk and its cable, and check again";
        let rule = format!("disk[{index}].count");
        let mut one = breach(rule, "profile-disk-count", Verdict::Fail, what, next);
        let there = mine.iter().map(|d| format!("{} in {}", d.serial, d.slot));
        let there: Vec<String> = there.collect();
        let there = if there.is_empty() {
            "none".into()
        } else {
            there.join(", ")
        };
        one.finding.evidence.push(format!("there: {there}"));
        found.push(one);
    }
    for disk in mine {
        let right = &group.firmware;
        if !right.is_empty() && !right.iter().any(|p| glob::matches(p, &disk.revision)) {
            let Disk {
                serial,
                slot,
                revision,
                ..
            } = disk;
            let what = format!(
                "disk {serial} in {slot} has firmware `{revision}`, not {}",
                any(right)
            );
            let next = "update the disk's firmware, or add this version to the profile";
            let rule = format!("disk[{index}].firmware");
            found.push(breach(
                rule,
                "profile-disk-firmware",
                Verdict::Warn,
                what,
                next,
            ));
        }
    }
}

fn fits_disk(group: &DiskGroup, disk: &Disk) -> bool {
    let near = |size: u64| disk.size.0.abs_diff(size) <= size / SIZE_SHARE;
    group
        .model
        .as_ref()
        .is_none_or(|p| glob::matches(p, &disk.model))
        && group.size.is_none_or(|size| near(size.0.0))
        && group
            .rotational
            .is_none_or(|rotates| rotates == disk.rotational)
        && group
            .transport
            .is_none_or(|transport| transport == disk.transport)
}

fn words_disk(group: &DiskGroup) -> String {
    words(&[
        group.size.map(|size| size.0.to_string()),
        group.model.clone(),
        group.rotational.map(|rotates| {
            if rotates {
                "rotating".into()
            } else {
                "solid state".into()
            }
        }),
    ])
}

fn nics(profile: &Profile, seen: &Inventory, found: &mut Vec<Breach>) {
    if profile.nics.is_empty() {
        return;
    }
    // Those with a link first: a port that is not cabled must not take the place of one that is.
    let mut sorted: Vec<Nic> = seen.nics.clone();
    sorted.sort_by_key(|nic| {
        (
            core::cmp::Reverse(nic.link),
            core::cmp::Reverse(nic.speed_mbps),
        )
    });
    let fits = |group: &NicGroup, nic: &Nic| {
        group
            .driver
            .as_ref()
            .is_none_or(|p| glob::matches(p, &nic.driver))
    };
    let (claimed, _) = claim(&sorted, &profile.nics, |g: &NicGroup| g.count, fits);
    for (index, (group, mine)) in profile.nics.iter().zip(&claimed).enumerate() {
        let what = short(
            "network interfaces",
            &words(core::slice::from_ref(&group.driver)),
            group.count,
            mine.len(),
        );
        if let Some(what) = what {
            let next = "look at the network card's seat and for its driver";
            found.push(breach(
                format!("nic[{index}].count"),
                "profile-nic-count",
                Verdict::Fail,
                what,
                next,
            ));
        }
        for nic in mine {
            if group.link == Some(true) && !nic.link {
                let what = format!("{} ({}) has no link", nic.name, nic.mac);
                let next = "look at the cable, the transceiver and the switch port";
                found.push(breach(
                    format!("nic[{index}].link"),
                    "profile-nic-link",
                    Verdict::Fail,
                    what,
                    next,
                ));
            } else if let Some((least, speed)) = group
                .speed_min_mbps
                .zip(nic.speed_mbps)
                .filter(|(least, speed)| nic.link && speed < least)
            {
                let what = format!(
                    "{} ({}) runs at {speed} Mb/s, below {least}",
                    nic.name, nic.mac
                );
                let next = "look at the cable, the transceiver and the switch port's speed";
                found.push(breach(
                    format!("nic[{index}].speed_min_mbps"),
                    "profile-nic-speed",
                    Verdict::Fail,
                    what,
                    next,
                ));
            }
        }
    }
}
