// SPDX-License-Identifier: Apache-2.0
//! A profile from a good machine. It says everything; a person takes out what should not be a rule.

use super::{Cpu, DimmGroup, DiskGroup, Machine, Memory, NicGroup, Profile, Size};
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::inventory::{Disk, Inventory};

/// The profile that this machine fits exactly.
#[must_use]
pub fn learn(name: &str, good: &Inventory) -> Profile {
    let system = &good.system;
    let said = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Profile {
        schema: groundstate_api::SCHEMA,
        name: name.into(),
        machine: Machine {
            manufacturer: said(&system.manufacturer),
            product: said(&system.product),
            firmware: said(&system.firmware_version).into_iter().collect(),
            uefi: Some(system.uefi),
        },
        cpu: Cpu {
            count: Some(system.cpus),
            model: said(&system.cpu_model),
        },
        memory: Memory {
            total: Some(good.memory.configured)
                .filter(|total| total.0 > 0)
                .map(Size),
        },
        dimms: dimms(good),
        disks: disks(good),
        nics: nics(good),
    }
}

/// Adds a thing to the group that is like it, or begins a group.
fn group<G: PartialEq>(groups: &mut Vec<(G, u32)>, like: G) {
    match groups.iter_mut().find(|(group, _)| *group == like) {
        Some((_, count)) => *count += 1,
        None => groups.push((like, 1)),
    }
}

fn dimms(good: &Inventory) -> Vec<DimmGroup> {
    let mut groups = Vec::new();
    for dimm in good.memory.dimms.iter().filter(|dimm| dimm.populated) {
        let said = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let like = DimmGroup {
            count: 0,
            size: dimm.size.map(Size),
            kind: said(&dimm.kind),
            speed_min: Some(dimm.speed).filter(|speed| *speed > 0),
            part_number: None,
        };
        group(&mut groups, like);
    }
    groups
        .into_iter()
        .map(|(group, count)| DimmGroup { count, ..group })
        .collect()
}

fn disks(good: &Inventory) -> Vec<DiskGroup> {
    let mut groups: Vec<(DiskGroup, u32)> = Vec::new();
    for disk in good.disks.iter().filter(|disk| !disk.removable) {
        let like = like(disk);
        let same = |group: &DiskGroup| {
            DiskGroup {
                firmware: Vec::new(),
                ..group.clone()
            } == like
        };
        if let Some((group, count)) = groups.iter_mut().find(|(group, _)| same(group)) {
            *count += 1;
            if !disk.revision.is_empty() && !group.firmware.contains(&disk.revision) {
                group.firmware.push(disk.revision.clone());
            }
        } else {
            let firmware = Some(disk.revision.clone()).filter(|revision| !revision.is_empty());
            let group = DiskGroup {
                firmware: firmware.into_iter().collect(),
                ..like
            };
            groups.push((group, 1));
        }
    }
    groups
        .into_iter()
        .map(|(group, count)| DiskGroup { count, ..group })
        .collect()
}

fn like(disk: &Disk) -> DiskGroup {
    DiskGroup {
        count: 0,
        model: Some(disk.model.clone()).filter(|model| !model.is_empty()),
        size: Some(Size(disk.size)),
        rotational: Some(disk.rotational),
        transport: Some(disk.transport),
        firmware: Vec::new(),
    }
}

fn nics(good: &Inventory) -> Vec<NicGroup> {
    let mut groups = Vec::new();
    for nic in &good.nics {
        let like = NicGroup {
            count: 0,
            driver: Some(nic.driver.clone()).filter(|driver| !driver.is_empty()),
            link: Some(true).filter(|_| nic.link),
            speed_min_mbps: nic.speed_mbps.filter(|_| nic.link),
        };
        group(&mut groups, like);
    }
    // Rules with a link stand first: they take the cabled ports.
    groups.sort_by_key(|(group, _)| core::cmp::Reverse((group.link, group.speed_min_mbps)));
    groups
        .into_iter()
        .map(|(group, count)| NicGroup { count, ..group })
        .collect()
}
