// SPDX-License-Identifier: Apache-2.0
//! What firmware can start: UEFI applications at the places where firmware and installers look, and boot code in the
//! first sector.

use super::image_facts::LoaderFacts;
use super::machine::Machine;
use super::read::{Found, Source};
use super::tree::Tree;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

/// How much of a program is read for its header, in bytes.
pub(super) const PROGRAM_HEAD: usize = 4096;
/// The most loaders that are told.
const LOADERS_MAX: usize = 32;
/// The most entries of a boot loader that are told.
const ENTRIES_MAX: usize = 64;
/// The longest vendor's folder name: with a file name it stays under a manifest's limit.
const VENDOR_MAX: usize = 64;

/// Firmware starts these where nothing else is set (UEFI 2.10, table 3.4), the 64-bit ones first.
const FALLBACKS: [&str; 4] = [
    "BOOTX64.EFI",
    "BOOTAA64.EFI",
    "BOOTIA32.EFI",
    "BOOTRISCV64.EFI",
];
/// What vendors put into folders of their own, what is started first before what it starts.
const VENDORS: [&str; 8] = [
    "shimx64.efi",
    "shimaa64.efi",
    "systemd-bootx64.efi",
    "systemd-bootaa64.efi",
    "grubx64.efi",
    "grubaa64.efi",
    "refind_x64.efi",
    "bootmgfw.efi",
];

/// The loaders on a FAT file system.
pub(super) fn loaders(
    source: &mut Source<'_>,
    tree: &Tree,
    partition: u32,
) -> Found<Vec<LoaderFacts>> {
    let mut found = Vec::new();
    let Some(vendors) = tree.list(source, "/EFI")? else {
        return Ok(found);
    };
    for file in FALLBACKS {
        look(source, tree, partition, &["EFI", "BOOT", file], &mut found)?;
    }
    for vendor in vendors.iter().filter(|vendor| vendor.is_folder) {
        let name = vendor.name.as_str();
        let is_plain = name.len() <= VENDOR_MAX
            && name
                .chars()
                .all(|c| matches!(c, ' '..='~') && c != '\\' && c != '/');
        if !is_plain || name.eq_ignore_ascii_case("BOOT") || name == ".." {
            continue;
        }
        let inner = if name.eq_ignore_ascii_case("Microsoft") {
            tree.list(source, "/EFI/Microsoft/Boot")?
        } else {
            tree.list(source, &format!("/EFI/{name}"))?
        };
        for known in VENDORS {
            let names = inner.iter().flatten();
            let Some(file) = names
                .map(|one| &one.name)
                .find(|one| one.eq_ignore_ascii_case(known))
            else {
                continue;
            };
            if name.eq_ignore_ascii_case("Microsoft") {
                look(
                    source,
                    tree,
                    partition,
                    &["EFI", name, "Boot", file],
                    &mut found,
                )?;
            } else {
                look(source, tree, partition, &["EFI", name, file], &mut found)?;
            }
        }
    }
    Ok(found)
}

fn look(
    source: &mut Source<'_>,
    tree: &Tree,
    partition: u32,
    path: &[&str],
    found: &mut Vec<LoaderFacts>,
) -> Found<()> {
    if found.len() < LOADERS_MAX
        && let Some(head) = tree.head(source, &path.join("/"), PROGRAM_HEAD)?
        && head.starts_with(b"MZ")
    {
        found.push(LoaderFacts {
            partition,
            path: format!("\\{}", path.join("\\")),
            machine: Machine::of(&head),
        });
    }
    Ok(())
}

/// What a boot loader on a FAT file system offers: its entries and unified kernels.
pub(super) fn entries(source: &mut Source<'_>, tree: &Tree) -> Found<Vec<String>> {
    let mut found = Vec::new();
    for (folder, ending) in [("/loader/entries", ".conf"), ("/EFI/Linux", ".efi")] {
        let names = tree.list(source, folder)?.unwrap_or_default();
        let names = names.into_iter().filter(|name| !name.is_folder);
        let mut names: Vec<_> = names
            .map(|name| format!("{folder}/{}", name.name))
            .filter(|name| name.to_ascii_lowercase().ends_with(ending))
            .collect();
        names.sort();
        found.append(&mut names);
    }
    found.truncate(ENTRIES_MAX);
    Ok(found)
}

/// What the boot code in the first sector is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BootCode {
    pub(super) name: String,
    /// Whether all it does is to start the active partition.
    pub(super) needs_active: bool,
}

/// The boot code, where the first sector has some that BIOS starts.
pub(super) fn code(sector: &[u8]) -> Option<BootCode> {
    const CODE: usize = 440;
    let code = sector.get(..CODE)?;
    if sector.get(510..512)? != [0x55, 0xaa] || code.first() == Some(&0) {
        return None;
    }
    let has = |words: &[u8]| code.windows(words.len()).any(|part| part == words);
    if has(b"This is not a bootable disk") {
        return None;
    }
    let (name, needs_active) = if has(b"GRUB") {
        ("GRUB", false)
    } else if has(b"LILO") {
        ("LILO", false)
    } else if has(b"isolinux") || has(b"ISOLINUX") {
        ("isolinux", false)
    } else if has(b"Missing OS") || has(b"Operating system load error") {
        ("syslinux", true)
    } else if has(b"Invalid partition table") {
        ("Windows", true)
    } else if code.starts_with(&[0xfa, 0xb8, 0x00, 0x10]) {
        ("parted's", true)
    } else if has(b"Missing operating system") {
        ("code that starts the active partition", true)
    } else {
        ("of an unknown kind", false)
    };
    Some(BootCode {
        name: name.to_string(),
        needs_active,
    })
}
