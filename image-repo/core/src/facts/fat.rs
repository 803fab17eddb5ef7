// SPDX-License-Identifier: Apache-2.0
//! Reads folders and the first bytes of files of FAT12, FAT16 and FAT32 (Microsoft, "FAT: General Overview", 1.03), with
//! long names. A chain of clusters that leads in a circle is read no further than the file may be long.

use super::image_facts::FileSystemFacts;
use super::read::{Found, Halt, Region, Source, le16, le32};
use super::tree::{FOLDER_MAX, Name, label, printable};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::Bytes;

const ATTRIBUTE_LABEL: u8 = 0x08;
const ATTRIBUTE_FOLDER: u8 = 0x10;
const ATTRIBUTE_LONG: u8 = 0x0f;
/// The longest name, in characters.
const NAME_MAX: usize = 255;

pub(super) struct Fat {
    pub(super) facts: FileSystemFacts,
    region: Region,
    cluster: u64,
    clusters: u64,
    table_at: u64,
    bits: u64,
    root: Root,
    data_at: u64,
}

#[derive(Clone, Copy)]
enum Root {
    Fixed { at: u64, length: usize },
    Cluster(u32),
}

struct Entry {
    name: String,
    short: String,
    is_folder: bool,
    first: u32,
    size: u32,
}

impl Fat {
    pub(super) fn open(source: &mut Source<'_>, region: Region) -> Found<Option<Self>> {
        let Some(bytes) = region.bytes(source, 0, 512)? else {
            return Ok(None);
        };
        let Some(mut fat) = boot_sector(&bytes, region) else {
            return Ok(None);
        };
        if let Ok(folder) = fat.folder(source, fat.root)
            && let Some(found) = folder
                .chunks_exact(32)
                .take_while(|entry| entry.first() != Some(&0))
                .filter(|entry| entry.first() != Some(&0xe5))
                .find(|entry| {
                    entry.get(11).is_some_and(|attributes| {
                        attributes & 0x18 == ATTRIBUTE_LABEL && *attributes != ATTRIBUTE_LONG
                    })
                })
        {
            fat.facts.label = label(found.get(..11).unwrap_or(&[]));
        }
        Ok(Some(fat))
    }

    pub(super) fn list(&self, source: &mut Source<'_>, path: &str) -> Found<Option<Vec<Name>>> {
        let folder = match self.find(source, path)? {
            Some(None) => self.root,
            Some(Some(entry)) if entry.is_folder => Root::Cluster(entry.first),
            Some(Some(_)) | None => return Ok(None),
        };
        let entries = self.entries(source, folder)?.into_iter();
        let names = entries.map(|entry| Name {
            name: entry.name,
            is_folder: entry.is_folder,
        });
        Ok(Some(names.collect()))
    }

    pub(super) fn head(
        &self,
        source: &mut Source<'_>,
        path: &str,
        max: usize,
    ) -> Found<Option<Vec<u8>>> {
        match self.find(source, path)? {
            Some(Some(entry)) if !entry.is_folder => {
                let length = usize::try_from(entry.size).unwrap_or(max).min(max);
                self.chain(source, entry.first, length).map(Some)
            }
            Some(_) | None => Ok(None),
        }
    }

    /// The entry at the path, `Some(None)` for the root; `None` where it leads nowhere.
    fn find(&self, source: &mut Source<'_>, path: &str) -> Found<Option<Option<Entry>>> {
        let mut here: Option<Entry> = None;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let folder = match &here {
                None => self.root,
                Some(entry) if entry.is_folder => Root::Cluster(entry.first),
                Some(_) => return Ok(None),
            };
            let next = self.entries(source, folder)?.into_iter().find(|entry| {
                entry.name.eq_ignore_ascii_case(part) || entry.short.eq_ignore_ascii_case(part)
            });
            match next {
                Some(entry) => here = Some(entry),
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    fn folder(&self, source: &mut Source<'_>, folder: Root) -> Found<Vec<u8>> {
        match folder {
            Root::Fixed { at, length } => {
                let past = Halt::Damaged("the FAT root folder lies past the end");
                self.region.bytes(source, at, length)?.ok_or(past)
            }
            Root::Cluster(first) => self.chain(source, first, FOLDER_MAX),
        }
    }

    fn entries(&self, source: &mut Source<'_>, folder: Root) -> Found<Vec<Entry>> {
        let bytes = self.folder(source, folder)?;
        let mut entries = Vec::new();
        let mut long = LongName::default();
        for bytes in bytes.chunks_exact(32) {
            let (Some(first), Some(attributes)) = (bytes.first(), bytes.get(11)) else {
                break;
            };
            match (*first, *attributes) {
                (0, _) => break,
                (0xe5, _) => long = LongName::default(),
                (order, ATTRIBUTE_LONG) => long.add(order, bytes),
                (_, attributes) if attributes & ATTRIBUTE_LABEL != 0 => long = LongName::default(),
                (b'.', _) => long = LongName::default(),
                (_, attributes) => {
                    let short = short_name(bytes);
                    let name = core::mem::take(&mut long).name(bytes);
                    let high = u32::from(le16(bytes, 20).unwrap_or(0));
                    let low = u32::from(le16(bytes, 26).unwrap_or(0));
                    entries.push(Entry {
                        name: name.unwrap_or_else(|| short.clone()),
                        short,
                        is_folder: attributes & ATTRIBUTE_FOLDER != 0,
                        first: if self.bits == 32 {
                            high << 16 | low
                        } else {
                            low
                        },
                        size: le32(bytes, 28).unwrap_or(0),
                    });
                }
            }
        }
        Ok(entries)
    }

    /// The first `max` bytes of a chain, or all of it where it is shorter.
    fn chain(&self, source: &mut Source<'_>, first: u32, max: usize) -> Found<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut at = u64::from(first);
        while bytes.len() < max {
            let Some(index) = at.checked_sub(2).filter(|index| *index < self.clusters) else {
                break;
            };
            let left = max - bytes.len();
            let count = usize::try_from(self.cluster).unwrap_or(left).min(left);
            let place = self.data_at + index * self.cluster;
            let past = Halt::Damaged("a FAT cluster lies past the end");
            bytes.extend_from_slice(&self.region.bytes(source, place, count)?.ok_or(past)?);
            at = self.next(source, at)?;
        }
        Ok(bytes)
    }

    fn next(&self, source: &mut Source<'_>, at: u64) -> Found<u64> {
        let bits = at * self.bits;
        let length = if self.bits == 32 { 4 } else { 2 };
        let past = Halt::Damaged("the FAT lies past the end");
        let bytes = self
            .region
            .bytes(source, self.table_at + bits / 8, length)?;
        let bytes = bytes.ok_or(past)?;
        let low = u64::from(le16(&bytes, 0).unwrap_or(0));
        Ok(match self.bits {
            12 if bits.is_multiple_of(8) => low & 0x0fff,
            12 => low >> 4,
            16 => low,
            _ => u64::from(le32(&bytes, 0).unwrap_or(0) & 0x0fff_ffff),
        })
    }
}

/// The pieces of a long name stand before the entry, the last first.
#[derive(Default)]
struct LongName {
    units: Vec<u16>,
    sum: u8,
}

impl LongName {
    fn add(&mut self, order: u8, entry: &[u8]) {
        const LAST: u8 = 0x40;
        let sum = entry.get(13).copied().unwrap_or(0);
        if order & LAST != 0 || sum != self.sum || self.units.len() > NAME_MAX {
            self.units.clear();
            self.sum = sum;
        }
        let places = [1..11, 14..26, 28..32];
        let pairs = places
            .into_iter()
            .filter_map(|place| entry.get(place))
            .flat_map(|bytes| bytes.chunks_exact(2).filter_map(|pair| le16(pair, 0)));
        let mut units: Vec<u16> = pairs
            .take_while(|unit| !matches!(unit, 0 | 0xffff))
            .collect();
        units.append(&mut self.units);
        self.units = units;
    }

    /// The name, where it belongs to this entry.
    fn name(self, entry: &[u8]) -> Option<String> {
        let short = entry.get(..11)?;
        let sum = short
            .iter()
            .fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        if self.units.is_empty() || sum != self.sum {
            return None;
        }
        let text = char::decode_utf16(self.units).map(|unit| unit.unwrap_or('?'));
        Some(printable(&text.collect::<String>(), NAME_MAX))
    }
}

/// The name of eight and three letters. Two bits say which part is shown in small letters: Windows NT and mtools set
/// them, Linux obeys them.
fn short_name(entry: &[u8]) -> String {
    const SMALL_NAME: u8 = 0x08;
    const SMALL_EXTENSION: u8 = 0x10;
    let cases = entry.get(12).copied().unwrap_or(0);
    let text = |range: core::ops::Range<usize>, small: u8| {
        let bytes = entry.get(range).unwrap_or(&[]);
        let text = printable(&String::from_utf8_lossy(bytes), NAME_MAX);
        if cases & small == 0 {
            text
        } else {
            text.to_ascii_lowercase()
        }
    };
    let (name, extension) = (text(0..8, SMALL_NAME), text(8..11, SMALL_EXTENSION));
    if extension.is_empty() {
        name
    } else {
        format!("{name}.{extension}")
    }
}

/// The boot sector, by the sense of its fields and the words of a format program.
fn boot_sector(bytes: &[u8], region: Region) -> Option<Fat> {
    let sector = u64::from(le16(bytes, 11)?);
    let per_cluster = u64::from(*bytes.get(13)?);
    let reserved = u64::from(le16(bytes, 14)?);
    let fats = u64::from(*bytes.get(16)?);
    let root_entries = u64::from(le16(bytes, 17)?);
    let media = *bytes.get(21)?;
    let is_named = bytes.get(54..57)? == b"FAT" || bytes.get(82..87)? == b"FAT32";
    let is_sane = matches!(sector, 512 | 1024 | 2048 | 4096)
        && per_cluster.is_power_of_two()
        && reserved > 0
        && matches!(fats, 1 | 2)
        && (media == 0xf0 || media >= 0xf8)
        && is_named
        && bytes.get(510..512)? == [0x55, 0xaa];
    if !is_sane {
        return None;
    }
    let small_table = u64::from(le16(bytes, 22)?);
    let is_32 = small_table == 0;
    let table = if is_32 {
        u64::from(le32(bytes, 36)?)
    } else {
        small_table
    };
    let small_total = u64::from(le16(bytes, 19)?);
    let total = if small_total == 0 {
        u64::from(le32(bytes, 32)?)
    } else {
        small_total
    };
    let root_sectors = (root_entries * 32).div_ceil(sector);
    let root_at = reserved + fats * table;
    let data_at = root_at + root_sectors;
    let clusters = total.checked_sub(data_at)? / per_cluster;
    let bits = match clusters {
        _ if is_32 => 32,
        0..4085 => 12,
        _ => 16,
    };
    let root = if is_32 {
        Root::Cluster(le32(bytes, 44)?)
    } else {
        Root::Fixed {
            at: root_at * sector,
            length: usize::try_from(root_sectors * sector).ok()?,
        }
    };
    let (id_at, label_at) = if is_32 { (67, 71) } else { (39, 43) };
    let id = le32(bytes, id_at)?;
    let name = label(bytes.get(label_at..label_at + 11)?).filter(|name| name != "NO NAME");
    Some(Fat {
        facts: FileSystemFacts {
            kind: "vfat".to_string(),
            label: name,
            uuid: Some(format!("{:04X}-{:04X}", id >> 16, id & 0xffff)),
            size: Some(Bytes(total * sector)),
        },
        region,
        cluster: sector * per_cluster,
        clusters,
        table_at: reserved * sector,
        bits,
        root,
        data_at: data_at * sector,
    })
}
