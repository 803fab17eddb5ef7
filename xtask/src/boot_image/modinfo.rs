// SPDX-License-Identifier: Apache-2.0
//! What a kernel module says of itself: the `.modinfo` section of its ELF file.
//!
//! Reads ELF64 little-endian files only (x86-64 modules are nothing else) and checks every offset.

use anyhow::{Context as _, Result, bail};

/// The parts of `.modinfo` that decide about loading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModInfo {
    /// Modules that must be loaded before (`depends=`).
    pub(crate) depends: Vec<String>,
    /// Modules or aliases that should be loaded before (`softdep=pre:`).
    pub(crate) soft: Vec<String>,
    /// Patterns of devices that want it (`alias=`).
    pub(crate) aliases: Vec<String>,
}

impl ModInfo {
    /// Reads it from a module's bytes.
    pub(crate) fn read(elf: &[u8]) -> Result<Self> {
        Self::parse(section(elf, ".modinfo")?)
    }

    fn parse(section: &[u8]) -> Result<Self> {
        let mut info = Self::default();
        for entry in section.split(|byte| *byte == 0) {
            let entry = std::str::from_utf8(entry).context(".modinfo holds no UTF-8")?;
            let Some((key, value)) = entry.split_once('=') else {
                continue;
            };
            match key {
                "depends" => info.depends.extend(
                    value
                        .split(',')
                        .filter(|name| !name.is_empty())
                        .map(module_name),
                ),
                "softdep" => info.soft.extend(soft_before(value)),
                "alias" => info.aliases.push(value.to_owned()),
                _ => {}
            }
        }
        Ok(info)
    }
}

/// A module's name as the kernel writes it: underscores.
pub(crate) fn module_name(text: &str) -> String {
    text.replace('-', "_")
}

/// The names after `pre:` up to `post:`.
fn soft_before(text: &str) -> Vec<String> {
    let mut before = false;
    let mut names = Vec::new();
    for word in text.split_whitespace() {
        match word {
            "pre:" => before = true,
            "post:" => before = false,
            name if before => names.push(name.to_owned()),
            _ => {}
        }
    }
    names
}

/// Where an ELF64 header keeps things (System V ABI, ELF-64 object file format, figures 2 and 3).
const E_SHOFF: usize = 0x28;
const E_SHENTSIZE: usize = 0x3A;
const E_SHNUM: usize = 0x3C;
const E_SHSTRNDX: usize = 0x3E;
const SH_OFFSET: usize = 0x18;
const SH_SIZE: usize = 0x20;

/// The content of a named section.
fn section<'a>(elf: &'a [u8], wanted: &str) -> Result<&'a [u8]> {
    if elf.get(..6) != Some(b"\x7fELF\x02\x01") {
        bail!("not an ELF64 little-endian file");
    }
    let table = number(elf, E_SHOFF, 8)?;
    let size = number(elf, E_SHENTSIZE, 2)?;
    let header = |index: usize| {
        index
            .checked_mul(size)
            .and_then(|at| at.checked_add(table))
            .context("a section header lies outside the address space")
    };
    let content = |header: usize| -> Result<&'a [u8]> {
        let offset = number(elf, header + SH_OFFSET, 8)?;
        let length = number(elf, header + SH_SIZE, 8)?;
        offset
            .checked_add(length)
            .and_then(|end| elf.get(offset..end))
            .context("a section lies outside the file")
    };
    let names = content(header(number(elf, E_SHSTRNDX, 2)?)?)?;
    for index in 0..number(elf, E_SHNUM, 2)? {
        let header = header(index)?;
        let name = names.get(number(elf, header, 4)?..).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        if name == wanted.as_bytes() {
            return content(header);
        }
    }
    bail!("no section {wanted}")
}

/// A little-endian number of `width` bytes at `at`.
fn number(bytes: &[u8], at: usize, width: usize) -> Result<usize> {
    let field = at
        .checked_add(width)
        .and_then(|end| bytes.get(at..end))
        .context("a field lies outside the file")?;
    field.iter().rev().try_fold(0usize, |value, byte| {
        value
            .checked_mul(256)
            .and_then(|value| value.checked_add(usize::from(*byte)))
            .context("a number is too large")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest ELF with a `.modinfo`.
    fn elf(modinfo: &[u8]) -> Vec<u8> {
        let names = b"\0.modinfo\0.shstrtab\0";
        let mut file = vec![0u8; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let modinfo_at = file.len();
        file.extend_from_slice(modinfo);
        let names_at = file.len();
        file.extend_from_slice(names);
        let table = file.len();
        let mut header = |name: u32, at: usize, size: usize| {
            let mut header = [0u8; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[SH_OFFSET..SH_OFFSET + 8].copy_from_slice(&at.to_le_bytes());
            header[SH_SIZE..SH_SIZE + 8].copy_from_slice(&size.to_le_bytes());
            file.extend_from_slice(&header);
        };
        header(0, 0, 0);
        header(1, modinfo_at, modinfo.len());
        header(10, names_at, names.len());
        file[E_SHOFF..E_SHOFF + 8].copy_from_slice(&table.to_le_bytes());
        file[E_SHENTSIZE..E_SHENTSIZE + 2].copy_from_slice(&64u16.to_le_bytes());
        file[E_SHNUM..E_SHNUM + 2].copy_from_slice(&3u16.to_le_bytes());
        file[E_SHSTRNDX..E_SHSTRNDX + 2].copy_from_slice(&2u16.to_le_bytes());
        file
    }

    const EXT4: &[u8] = b"softdep=pre: crypto-crc32c post: x\0alias=fs-ext4\0license=GPL\0depends=mbcache,jbd2,nvme-core\0";

    #[test]
    fn a_module_says_what_it_needs() {
        assert_eq!(
            ModInfo::read(&elf(EXT4)).unwrap(),
            ModInfo {
                depends: vec!["mbcache".into(), "jbd2".into(), "nvme_core".into()],
                soft: vec!["crypto-crc32c".into()],
                aliases: vec!["fs-ext4".into()],
            }
        );
    }

    #[test]
    fn a_damaged_module_is_refused_not_read_past_its_end() {
        let whole = elf(EXT4);
        // The last section header's fields after its size are not read.
        let needed = whole.len() - (64 - SH_SIZE - 8);
        for length in 0..needed {
            assert!(ModInfo::read(&whole[..length]).is_err(), "cut at {length}");
        }
        let mut wild = whole.clone();
        wild[E_SHOFF..E_SHOFF + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(ModInfo::read(&wild).is_err());
        assert!(ModInfo::read(b"\x7fELF\x01\x01").is_err());
    }
}
