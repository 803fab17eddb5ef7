// SPDX-License-Identifier: Apache-2.0
//! Goes through an image: table, file systems, system, kernels, loaders. A part that is damaged becomes a note, and the
//! others are looked into all the same.

use super::boot;
use super::image_facts::{ImageFacts, KernelFacts, OsFacts, TableKind};
use super::machine::Machine;
use super::os_release::{self, OS_RELEASE_MAX};
use super::read::{Found, Halt, ReadError, Region, Source};
use super::table;
use super::tree::{Tree, printable};
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use groundstate_api::Bytes;

/// The most kernels that are told.
const KERNELS_MAX: usize = 32;
/// The longest kernel release that is kept, in characters.
const VERSION_MAX: usize = 96;
/// How the files of kernels begin.
const KERNEL_FILES: [&str; 4] = ["vmlinuz-", "vmlinux-", "Image-", "kernel-"];
/// Where a system's own programs say what it is for.
const PROGRAMS: [&str; 4] = [
    "/sbin/init",
    "/usr/lib/systemd/systemd",
    "/bin/sh",
    "/bin/busybox",
];

pub(super) fn survey(source: &mut Source<'_>) -> Result<ImageFacts, ReadError> {
    let mut facts = ImageFacts {
        size: Bytes(source.size()),
        ..ImageFacts::default()
    };
    let done = look(source, &mut facts);
    note(&mut facts, "the image", done)?;
    facts.kernels.sort_by(|one, other| {
        numbers(&one.version)
            .cmp(&numbers(&other.version))
            .then_with(|| one.version.cmp(&other.version))
    });
    settle_machine(&mut facts);
    Ok(facts)
}

fn look(source: &mut Source<'_>, facts: &mut ImageFacts) -> Found<()> {
    let table = table::read(source)?;
    facts.table = table.kind;
    facts.backup = table.backup;
    facts.is_hybrid = table.is_hybrid;
    facts.disk_id = table.disk_id;
    facts.sector_size = table.sector_size;
    facts.partitions = table.partitions;
    facts.notes = table.notes;
    facts.minimum_size = Bytes(table.minimum);
    let first = source.bytes(0, 512)?.unwrap_or_default();
    if let Some(code) = boot::code(&first) {
        if code.needs_active && !table.has_active {
            facts.notes.push(format!(
                "there is boot code ({}), but no partition is marked for it to start",
                code.name
            ));
        } else if facts.table != TableKind::None || !is_file_system(&first) {
            facts.boot_code = Some(code.name);
        }
    }
    if facts.table == TableKind::None {
        let all = Region {
            start: 0,
            length: source.size(),
        };
        let tree = Tree::open(source, all)?;
        facts.minimum_size = facts.size;
        if let Some(tree) = tree {
            facts.file_system = Some(tree.facts().clone());
            facts.minimum_size = tree.facts().size.unwrap_or(facts.size);
            if facts.minimum_size > facts.size {
                facts.notes.push(format!(
                    "the file system says it has {} bytes, the image has {}: it is cut off",
                    facts.minimum_size.0, facts.size.0
                ));
            }
            into(source, &tree, 0, facts)?;
        }
        return Ok(());
    }
    if matches!(facts.table, TableKind::DamagedGpt) {
        facts.minimum_size = facts.size;
    }
    for index in 0..facts.partitions.len() {
        let Some(partition) = facts.partitions.get(index) else {
            break;
        };
        let number = partition.number;
        let region = Region {
            start: partition.start.0,
            length: partition.length.0,
        };
        let done = partition_at(source, region, index, number, facts);
        if done == Err(Halt::Spent) {
            return done;
        }
        note(facts, &format!("partition {number}"), done)?;
    }
    Ok(())
}

fn partition_at(
    source: &mut Source<'_>,
    region: Region,
    index: usize,
    number: u32,
    facts: &mut ImageFacts,
) -> Found<()> {
    let Some(tree) = Tree::open(source, region)? else {
        return Ok(());
    };
    let file_system = tree.facts().clone();
    if file_system.size.is_some_and(|size| size.0 > region.length) {
        facts.notes.push(format!(
            "the file system of partition {number} is longer than the partition"
        ));
    }
    if let Some(partition) = facts.partitions.get_mut(index) {
        partition.file_system = Some(file_system);
    }
    into(source, &tree, number, facts)
}

/// Looks into a file system.
fn into(source: &mut Source<'_>, tree: &Tree, number: u32, facts: &mut ImageFacts) -> Found<()> {
    if let Tree::Fat(_) = tree {
        facts.loaders.extend(boot::loaders(source, tree, number)?);
        facts.loader_entries.extend(boot::entries(source, tree)?);
    }
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        if facts.os.is_none()
            && let Some(bytes) = tree.head(source, path, OS_RELEASE_MAX)?
            && let Some(found) = os_release::parse(&bytes)
        {
            facts.os = Some(OsFacts {
                partition: number,
                id: found.id,
                version: found.version,
                name: found.name,
            });
            facts.machine = facts.machine.or(program(source, tree)?);
        }
    }
    kernels(source, tree, number, facts)
}

fn program(source: &mut Source<'_>, tree: &Tree) -> Found<Option<Machine>> {
    for path in PROGRAMS {
        if let Some(head) = tree.head(source, path, 64)?
            && let Some(machine) = Machine::of(&head)
        {
            return Ok(Some(machine));
        }
    }
    Ok(None)
}

/// Kernels by their files in /boot, or at the top of a file system that is /boot, and by their modules.
fn kernels(source: &mut Source<'_>, tree: &Tree, number: u32, facts: &mut ImageFacts) -> Found<()> {
    for folder in ["/boot", ""] {
        for name in tree.list(source, folder)?.unwrap_or_default() {
            let version = KERNEL_FILES
                .iter()
                .find_map(|start| name.name.strip_prefix(start));
            let Some(version) = version.filter(|_| !name.is_folder) else {
                continue;
            };
            let path = format!("{folder}/{}", name.name);
            if facts.kernels.len() < KERNELS_MAX
                && let Some(head) = tree.head(source, &path, boot::PROGRAM_HEAD)?
            {
                facts.kernels.push(KernelFacts {
                    partition: number,
                    version: printable(version, VERSION_MAX),
                    path: Some(path),
                    machine: Machine::of(&head),
                });
            }
        }
    }
    for name in tree.list(source, "/lib/modules")?.unwrap_or_default() {
        let is_known = facts.kernels.iter().any(|known| known.version == name.name);
        if name.is_folder && !is_known && facts.kernels.len() < KERNELS_MAX {
            facts.kernels.push(KernelFacts {
                partition: number,
                version: printable(&name.name, VERSION_MAX),
                path: None,
                machine: None,
            });
        }
    }
    Ok(())
}

/// The system's own programs tell what the image is for, else its kernels, else its loaders where they agree.
fn settle_machine(facts: &mut ImageFacts) {
    let kernels = facts.kernels.iter().rev().find_map(|kernel| kernel.machine);
    let mut loaders = facts.loaders.iter().filter_map(|loader| loader.machine);
    let first = loaders.next();
    let agreed = first.filter(|first| loaders.all(|other| other == *first));
    facts.machine = facts.machine.or(kernels).or(agreed);
    let Some(machine) = facts.machine else {
        return;
    };
    // The loader for this machine is the one that the manifest names.
    let is_own = |loader: &super::LoaderFacts| loader.machine == Some(machine);
    facts.loaders.sort_by_key(|loader| !is_own(loader));
    if !facts.loaders.is_empty() && !facts.loaders.iter().any(is_own) {
        facts.notes.push(format!(
            "the system is for {machine}, but no boot loader is"
        ));
    }
}

fn note(facts: &mut ImageFacts, what: &str, done: Found<()>) -> Result<(), ReadError> {
    match done {
        Ok(()) => {}
        Err(Halt::Read(error)) => return Err(error),
        Err(Halt::Spent) => facts
            .notes
            .push("the image is so winding that not all of it was looked into".to_string()),
        Err(Halt::Damaged(why)) => facts.notes.push(format!("{what}: {why}")),
    }
    Ok(())
}

/// Whether a first sector is a file system's own: what BIOS would start in it belongs to the file system.
fn is_file_system(first: &[u8]) -> bool {
    first.get(3..11) == Some(b"NTFS    ") || first.get(3..11) == Some(b"EXFAT   ")
}

/// A release as the numbers in it, so that 6.10 is newer than 6.9.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap_or(u64::MAX))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn releases_are_ordered_by_their_numbers() {
        let mut all = ["6.9.0-1", "6.10.0-2", "6.1.0-44-amd64", "rescue"].map(String::from);
        all.sort_by_key(|version| numbers(version));
        assert_eq!(all, ["rescue", "6.1.0-44-amd64", "6.9.0-1", "6.10.0-2"]);
    }
}
