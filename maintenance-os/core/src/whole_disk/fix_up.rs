// SPDX-License-Identifier: Apache-2.0
//! Decides every byte that changes, and in which order.
//!
//! First nothing boots: MBR and header are cleared. Then names are changed, the backup table is written at the disk's end,
//! the entries, the header, and last of all the MBR, without which no firmware sees a table. A power cut in between leaves a
//! disk that does not boot.

use super::gpt::{Gpt, Partition, field32, protective, put};
use super::grow::Growth;
use super::references::{Form, Hit};
use super::refusal::Refusal;
use crate::guid::{Guid, Purpose};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::{Bytes, Digest};

/// What the table is fitted to.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The disk's size.
    pub disk: Bytes,
    /// The disk's logical sector in bytes.
    pub sector: u32,
    /// The image's size.
    pub image: Bytes,
    /// Where new GUIDs come from; `None`: all stay.
    pub identity: Option<Identity<'a>>,
    /// Whether the last partition is to reach to the disk's end.
    pub grow: bool,
    /// Every place of the image that names one of its GUIDs.
    pub hits: &'a [Hit],
    /// How many of them lie in the text of a boot loader's entries on an EFI system partition, where names are changed.
    pub in_loader_entries: &'a BTreeMap<Guid, usize>,
}

/// Where new GUIDs come from: the same give the same.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The seed.
    pub seed: &'a Digest,
    /// The disk's serial number, or what stands for it.
    pub serial: &'a str,
}

/// What a disk is to have of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes<'a> {
    /// Where new GUIDs come from; `None`: all stay.
    pub identity: Option<Identity<'a>>,
    /// Whether the last partition is to reach to the disk's end.
    pub grow: bool,
}

impl<'a> From<Option<Identity<'a>>> for Wishes<'a> {
    fn from(identity: Option<Identity<'a>>) -> Self {
        Self {
            identity,
            grow: false,
        }
    }
}

impl<'a> From<Identity<'a>> for Wishes<'a> {
    fn from(identity: Identity<'a>) -> Self {
        Some(identity).into()
    }
}

/// What is written, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixUp {
    /// The writes, each on the disk before the next begins.
    pub writes: Vec<Write>,
    /// What became of each GUID: the disk's first, then the partitions'.
    pub renamed: Vec<Renamed>,
    /// What became of the last partition, where it was to grow.
    pub growth: Option<Growth>,
    /// The new last byte for partitions, plus one.
    pub usable_end: Bytes,
}

/// Bytes at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The first byte.
    pub at: Bytes,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What it is, for people.
    pub what: &'static str,
}

/// What became of a GUID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// Whose it is: `None` for the disk's own, else the partition's number.
    pub partition: Option<u32>,
    /// What it was.
    pub old: Guid,
    /// What it is.
    pub new: Guid,
    /// Names of it that were changed.
    pub changed: usize,
    /// Why it stays.
    pub stays: Option<Stays>,
}

/// Why a GUID stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stays {
    /// All stay, because so it was asked.
    Asked,
    /// Something names it that cannot be changed safely.
    Named {
        /// Where the first of it is.
        first: Place,
        /// How often it is named.
        count: usize,
    },
}

/// A place on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The partition's number; `None` outside of all.
    pub partition: Option<u32>,
    /// The byte, from the disk's start.
    pub at: Bytes,
}

impl FixUp {
    /// For people, a sentence each.
    #[must_use]
    pub fn facts(&self) -> Vec<String> {
        let new = self.renamed.iter().filter(|one| one.new != one.old);
        let changed: usize = self.renamed.iter().map(|one| one.changed).sum();
        let mut facts = vec![format!(
            "the backup partition table stands at the disk's end; {} of {} GUIDs are new",
            new.count(),
            self.renamed.len()
        )];
        if changed > 0 {
            facts.push(format!(
                "{changed} names of old partition GUIDs in boot loader entries were changed to the new ones"
            ));
        }
        facts.extend(self.renamed.iter().filter_map(Renamed::stays_fact));
        facts.extend(self.growth.iter().map(Growth::fact));
        facts
    }
}

impl Renamed {
    fn stays_fact(&self) -> Option<String> {
        let whose = self
            .partition
            .map_or_else(|| "the disk".to_string(), |one| format!("partition {one}"));
        match &self.stays {
            Some(Stays::Named { first, count }) => {
                let within = first
                    .partition
                    .map_or_else(String::new, |one| format!(" in partition {one}"));
                Some(format!(
                    "the GUID {} of {whose} stays, because the image names it {count} times outside of boot loader entries \
                     that can be changed, first at byte {}{within}",
                    self.old.upper(),
                    first.at.0
                ))
            }
            Some(Stays::Asked) | None => None,
        }
    }
}

/// Decides what is written.
///
/// # Errors
/// The disk is too small for the table, or has another sector size.
pub fn fix_up(gpt: &Gpt, request: &Request<'_>) -> Result<FixUp, Refusal> {
    if request.sector != gpt.sector {
        return Err(Refusal::SectorSize {
            table: gpt.sector,
            disk: request.sector,
        });
    }
    let sector = u64::from(gpt.sector);
    let sectors = request.disk.0 / sector;
    let behind = gpt.entry_sectors() + 1;
    let last_used = gpt.partitions.iter().map(|one| one.last).max();
    let needed = last_used.unwrap_or(gpt.first_usable) + 1 + behind;
    if sectors < needed || request.disk < request.image {
        return Err(Refusal::TooSmall {
            needed: Bytes((needed * sector).max(request.image.0)),
            disk: request.disk,
        });
    }
    let alternate = sectors - 1;
    let last_usable = alternate - behind;
    let renamed = rename(gpt, request);
    let growth = request.grow.then(|| Growth::of(gpt, last_usable));
    let entries = new_entries(gpt, &renamed, growth.as_ref());
    let places = Places {
        gpt,
        alternate,
        last_usable,
        disk_guid: renamed.first().map_or(gpt.disk_guid, |one| one.new),
        entries_crc: crc32fast::hash(&entries),
    };
    let mut writes = vec![
        write(0, vec![0; gpt.mbr.len()], "the first sector is cleared"),
        write(sector, vec![0; gpt.header.len()], "the header is cleared"),
    ];
    writes.extend(old_backup(gpt, request.image.0 / sector, &places));
    writes.extend(growth.as_ref().and_then(|one| one.cleared(request)));
    writes.extend(names(request.hits, &renamed));
    writes.extend([
        write(
            (last_usable + 1) * sector,
            entries.clone(),
            "the backup's entries",
        ),
        write(
            alternate * sector,
            places.header(true),
            "the backup's header",
        ),
        write(gpt.entries_at * sector, entries, "the entries"),
        write(sector, places.header(false), "the header"),
        write(0, protective(&gpt.mbr, sectors), "the first sector"),
    ]);
    Ok(FixUp {
        writes,
        renamed,
        growth,
        usable_end: Bytes((last_usable + 1) * sector),
    })
}

const fn write(at: u64, bytes: Vec<u8>, what: &'static str) -> Write {
    Write {
        at: Bytes(at),
        bytes,
        what,
    }
}

/// The two headers' fields.
struct Places<'a> {
    gpt: &'a Gpt,
    alternate: u64,
    last_usable: u64,
    disk_guid: Guid,
    entries_crc: u32,
}

impl Places<'_> {
    /// A whole sector with the header in it.
    fn header(&self, is_backup: bool) -> Vec<u8> {
        let mut bytes = self.gpt.header.clone();
        let (at, other, entries_at) = if is_backup {
            (self.alternate, 1, self.last_usable + 1)
        } else {
            (1, self.alternate, self.gpt.entries_at)
        };
        put(&mut bytes, 24, &at.to_le_bytes());
        put(&mut bytes, 32, &other.to_le_bytes());
        put(&mut bytes, 48, &self.last_usable.to_le_bytes());
        put(&mut bytes, 56, &self.disk_guid.to_gpt());
        put(&mut bytes, 72, &entries_at.to_le_bytes());
        put(&mut bytes, 88, &self.entries_crc.to_le_bytes());
        put(&mut bytes, 16, &[0; 4]);
        let length = usize::try_from(field32(&bytes, 12)).unwrap_or(0);
        let crc = crc32fast::hash(bytes.get(..length).unwrap_or_default());
        put(&mut bytes, 16, &crc.to_le_bytes());
        bytes
    }
}

/// The image's own backup table, where it would stay behind within the new table's space. A header may name any sector.
fn old_backup(gpt: &Gpt, image_sectors: u64, new: &Places<'_>) -> Option<Write> {
    let (from, to) = (gpt.last_usable.checked_add(1)?, gpt.alternate);
    let length = to.checked_sub(from)?.checked_add(1)?;
    let stays = to == new.alternate || to >= image_sectors || length > 2 * gpt.entry_sectors() + 2;
    if stays {
        return None;
    }
    let sector = u64::from(gpt.sector);
    let bytes = usize::try_from(length.checked_mul(sector)?).ok()?;
    Some(write(
        from.checked_mul(sector)?,
        vec![0; bytes],
        "the image's backup table is cleared",
    ))
}

fn rename(gpt: &Gpt, request: &Request<'_>) -> Vec<Renamed> {
    let disk = (None, gpt.disk_guid, Purpose::Disk);
    let partitions = gpt.partitions.iter().map(|one| {
        let number = u16::try_from(one.number).unwrap_or(u16::MAX);
        (Some(one.number), one.guid, Purpose::Partition(number))
    });
    core::iter::once(disk)
        .chain(partitions)
        .map(|(partition, old, purpose)| {
            let hits: Vec<&Hit> = request.hits.iter().filter(|hit| hit.guid == old).collect();
            let stays = stays(gpt, request, old, &hits);
            let new = match (&stays, request.identity) {
                (None, Some(identity)) => Guid::derived(identity.seed, identity.serial, purpose),
                (Some(_), _) | (None, None) => old,
            };
            Renamed {
                partition,
                old,
                new,
                changed: if new == old { 0 } else { hits.len() },
                stays,
            }
        })
        .collect()
}

fn stays(gpt: &Gpt, request: &Request<'_>, old: Guid, hits: &[&Hit]) -> Option<Stays> {
    if request.identity.is_none() {
        return Some(Stays::Asked);
    }
    let in_entries = request.in_loader_entries.get(&old).copied().unwrap_or(0);
    let is_text = hits.iter().all(|hit| hit.form != Form::Binary);
    if is_text && hits.len() == in_entries {
        return None;
    }
    let first = hits.iter().min_by_key(|hit| hit.at)?;
    Some(Stays::Named {
        first: Place {
            partition: partition_at(gpt, first.at).map(|one| one.number),
            at: Bytes(first.at),
        },
        count: hits.len(),
    })
}

fn partition_at(gpt: &Gpt, at: u64) -> Option<&Partition> {
    let sector = at / u64::from(gpt.sector);
    gpt.partitions
        .iter()
        .find(|one| (one.first..=one.last).contains(&sector))
}

fn new_entries(gpt: &Gpt, renamed: &[Renamed], growth: Option<&Growth>) -> Vec<u8> {
    let mut entries = gpt.entries.clone();
    for one in renamed {
        let index = one.partition.and_then(|number| number.checked_sub(1));
        let Some(index) = index.and_then(|index| usize::try_from(index).ok()) else {
            continue;
        };
        put(&mut entries, index * gpt.entry_len + 16, &one.new.to_gpt());
    }
    for partition in &gpt.partitions {
        let last = growth.and_then(|growth| growth.last_of(partition, gpt.sector));
        let index = usize::try_from(partition.number - 1).ok();
        if let (Some(last), Some(index)) = (last, index) {
            put(
                &mut entries,
                index * gpt.entry_len + 40,
                &last.to_le_bytes(),
            );
        }
    }
    entries
}

/// The names in loader entries, each in the case that it had.
fn names<'a>(hits: &'a [Hit], renamed: &'a [Renamed]) -> impl Iterator<Item = Write> + 'a {
    hits.iter().filter_map(|hit| {
        let one = renamed.iter().find(|one| one.old == hit.guid)?;
        if one.new == one.old {
            return None;
        }
        let text = match hit.form {
            Form::Text => one.new.lower(),
            Form::UpperText => one.new.upper(),
            Form::Binary => return None,
        };
        Some(write(
            hit.at,
            text.into_bytes(),
            "a name in a boot loader's entry",
        ))
    })
}
