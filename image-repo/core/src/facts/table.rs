// SPDX-License-Identifier: Apache-2.0
//! Reads the partition table: GPT from either end (UEFI 2.10, section 5.3), with right checksums only, or a DOS table
//! with its chain of logical partitions. The sector size is where the header is.

use super::image_facts::{BackupTable, PartitionFacts, TableKind};
use super::read::{Found, Source, array, le16, le32, le64};
use super::tree::{LABEL_MAX, printable};
use super::types;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::{Bytes, SystemUuid};

/// The sector sizes that disks have.
const SECTOR_SIZES: [u32; 2] = [512, 4096];
/// The most entries of a table that are read.
const ENTRIES_MAX: u32 = 1024;
/// The most partitions that are told and looked into.
const PARTITIONS_MAX: usize = 256;
/// The most links of a chain of logical partitions: it may be a loop.
const LOGICAL_MAX: u32 = 64;

/// A partition table.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) kind: TableKind,
    pub(super) backup: Option<BackupTable>,
    pub(super) is_hybrid: bool,
    pub(super) disk_id: Option<String>,
    pub(super) sector_size: Option<u32>,
    pub(super) partitions: Vec<PartitionFacts>,
    /// Whether a partition is marked as the one that boot code starts.
    pub(super) has_active: bool,
    /// The smallest disk by the table, in bytes.
    pub(super) minimum: u64,
    pub(super) notes: Vec<String>,
}

pub(super) fn read(source: &mut Source<'_>) -> Found<Table> {
    let Some(first) = source.bytes(0, 512)? else {
        return Ok(Table::default());
    };
    let mut table = gpt(source)?;
    if table.kind == TableKind::None {
        return mbr(source, &first);
    }
    let others = primaries(&first).unwrap_or_default();
    let others = others
        .iter()
        .filter(|entry| entry.kind != types::PROTECTIVE);
    table.is_hybrid = others.count() > 0;
    table.has_active |= first.get(510..512) == Some(&[0x55, 0xaa])
        && primaries(&first)
            .unwrap_or_default()
            .iter()
            .any(|entry| entry.is_active);
    if table.is_hybrid {
        let note = "a DOS table beside the GPT names partitions of its own (hybrid)";
        table.notes.push(note.to_string());
    }
    Ok(table)
}

struct Header {
    sector: u64,
    disk: [u8; 16],
    backup: u64,
    first_usable: u64,
    entries_at: u64,
    entries: u32,
    entry_length: u32,
    entries_sum: u32,
}

fn gpt(source: &mut Source<'_>) -> Found<Table> {
    let size = source.size();
    let mut is_claimed = false;
    for sector_size in SECTOR_SIZES {
        let sector = u64::from(sector_size);
        let at_end = size.checked_sub(sector);
        let primary = whole(source, sector, sector, &mut is_claimed)?;
        let (header, entries, backup) = match primary {
            Some((header, entries)) => {
                let place = header.backup.checked_mul(sector);
                let copy = match place {
                    Some(place) => whole(source, place, sector, &mut is_claimed)?,
                    None => None,
                };
                let backup = match copy {
                    Some(_) if place == at_end => BackupTable::Right,
                    Some(_) => BackupTable::NotAtEnd,
                    None => BackupTable::Missing,
                };
                (header, entries, backup)
            }
            None => {
                let Some(place) = at_end.filter(|at| at.is_multiple_of(sector)) else {
                    continue;
                };
                match whole(source, place, sector, &mut is_claimed)? {
                    Some((header, entries)) => (header, entries, BackupTable::Alone),
                    None => continue,
                }
            }
        };
        return Ok(of_gpt(&header, &entries, backup, sector_size, size));
    }
    let mut table = Table::default();
    if is_claimed {
        table.kind = TableKind::DamagedGpt;
        let note = "there is a GPT, but its checksums are wrong at both ends";
        table.notes.push(note.to_string());
    }
    Ok(table)
}

fn of_gpt(
    header: &Header,
    entries: &[u8],
    backup: BackupTable,
    sector_size: u32,
    size: u64,
) -> Table {
    let mut table = Table {
        kind: TableKind::Gpt,
        backup: Some(backup),
        disk_id: Some(guid(header.disk)),
        sector_size: Some(sector_size),
        ..Table::default()
    };
    let length = usize::try_from(header.entry_length).unwrap_or(usize::MAX);
    let mut last = header.first_usable;
    for (entry, number) in entries.chunks_exact(length).zip(1u32..) {
        let Some((partition, end, is_active)) = gpt_entry(entry, number, header.sector) else {
            continue;
        };
        last = last.max(end);
        table.has_active |= is_active;
        if table.partitions.len() < PARTITIONS_MAX {
            table.partitions.push(partition);
        }
    }
    let room = (u64::from(header.entries) * u64::from(header.entry_length)).div_ceil(header.sector);
    table.minimum = last
        .saturating_add(room)
        .saturating_add(1)
        .saturating_mul(header.sector);
    match backup {
        BackupTable::Right => {}
        BackupTable::NotAtEnd => table.notes.push("the backup GPT is not at the end".into()),
        BackupTable::Missing => table.notes.push("the backup GPT is missing".into()),
        BackupTable::Alone => table
            .notes
            .push("the primary GPT is damaged, the backup is right".into()),
    }
    complain(&mut table, size);
    table
}

/// The header at `at` and its entries, where both checksums are right. `is_claimed` becomes true where there is a
/// header's magic.
fn whole(
    source: &mut Source<'_>,
    at: u64,
    sector: u64,
    is_claimed: &mut bool,
) -> Found<Option<(Header, Vec<u8>)>> {
    let Some(bytes) = source.bytes(at, 92)? else {
        return Ok(None);
    };
    *is_claimed |= bytes.starts_with(b"EFI PART");
    let Some(header) = header(&bytes, at, sector) else {
        return Ok(None);
    };
    let length = usize::try_from(header.entries * header.entry_length).unwrap_or(usize::MAX);
    let entries = match header.entries_at.checked_mul(sector) {
        Some(at) => source.bytes(at, length)?,
        None => None,
    };
    Ok(entries
        .filter(|entries| crc32fast::hash(entries) == header.entries_sum)
        .map(|entries| (header, entries)))
}

fn header(bytes: &[u8], at: u64, sector: u64) -> Option<Header> {
    if !bytes.starts_with(b"EFI PART") || le32(bytes, 12)? != 92 {
        return None;
    }
    let mut summed = bytes.to_vec();
    summed.get_mut(16..20)?.fill(0);
    let is_right =
        crc32fast::hash(&summed) == le32(bytes, 16)? && le64(bytes, 24)?.checked_mul(sector)? == at;
    let (entries, entry_length) = (le32(bytes, 80)?, le32(bytes, 84)?);
    let is_sane = (1..=ENTRIES_MAX).contains(&entries) && matches!(entry_length, 128 | 256 | 512);
    (is_right && is_sane).then_some(Header {
        sector,
        disk: array(bytes, 56)?,
        backup: le64(bytes, 32)?,
        first_usable: le64(bytes, 40)?,
        entries_at: le64(bytes, 72)?,
        entries,
        entry_length,
        entries_sum: le32(bytes, 88)?,
    })
}

/// The partition, the sector after its last, and whether its attribute says that BIOS boots it.
fn gpt_entry(entry: &[u8], number: u32, sector: u64) -> Option<(PartitionFacts, u64, bool)> {
    const LEGACY_BOOT: u64 = 1 << 2;
    let kind = array::<16>(entry, 0).filter(|kind| *kind != [0; 16])?;
    let (first, last) = (le64(entry, 32)?, le64(entry, 40)?);
    let end = last.checked_add(1)?;
    let length = end.checked_sub(first)?.checked_mul(sector)?;
    let units = entry.get(56..128)?.chunks_exact(2);
    let units = units.map(|pair| le16(pair, 0).unwrap_or(0));
    let name = char::decode_utf16(units.take_while(|unit| *unit != 0));
    let name: String = name.map(|unit| unit.unwrap_or('?')).collect();
    let type_id = guid(kind);
    let partition = PartitionFacts {
        number,
        start: Bytes(first.checked_mul(sector)?),
        length: Bytes(length),
        kind: types::of_guid(&type_id),
        type_id,
        name: printable(&name, LABEL_MAX),
        file_system: None,
    };
    Some((partition, end, le64(entry, 48)? & LEGACY_BOOT != 0))
}

/// GPT stores the first three fields least significant byte first (UEFI 2.10, appendix A).
fn guid(bytes: [u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    let [i, j, k, l, m, n, o, p] = rest;
    let text = SystemUuid([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]).to_string();
    text.to_ascii_uppercase()
}

struct Primary {
    number: u32,
    kind: u8,
    first: u64,
    sectors: u64,
    is_active: bool,
}

impl Primary {
    const fn is_extended(&self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }
}

/// The used entries of a DOS table; `None` where the sector is none.
fn primaries(sector: &[u8]) -> Option<Vec<Primary>> {
    if sector.get(510..512)? != [0x55, 0xaa] {
        return None;
    }
    let mut found = Vec::new();
    for (entry, number) in sector.get(446..510)?.chunks_exact(16).zip(1u32..) {
        let (flag, kind) = (*entry.first()?, *entry.get(4)?);
        if !matches!(flag, 0 | 0x80) {
            return None;
        }
        let sectors = u64::from(le32(entry, 12)?);
        if kind != 0 && sectors != 0 {
            found.push(Primary {
                number,
                kind,
                first: u64::from(le32(entry, 8)?),
                sectors,
                is_active: flag == 0x80,
            });
        }
    }
    Some(found)
}

fn mbr(source: &mut Source<'_>, first: &[u8]) -> Found<Table> {
    // A file system's boot sector ends like a table.
    let is_file_system = first.get(3..11) == Some(b"NTFS    ")
        || first.get(3..11) == Some(b"EXFAT   ")
        || first.get(54..57) == Some(b"FAT")
        || first.get(82..87) == Some(b"FAT32");
    let Some(found) = primaries(first).filter(|found| !found.is_empty() && !is_file_system) else {
        return Ok(Table::default());
    };
    if found.iter().all(|entry| entry.kind == types::PROTECTIVE) {
        return Ok(Table {
            kind: TableKind::DamagedGpt,
            notes: vec!["a DOS table protects a GPT, and there is none at either end".into()],
            ..Table::default()
        });
    }
    let sector_size = dos_sector_size(source, &found)?;
    let sector = u64::from(sector_size.unwrap_or(512));
    let mut table = Table {
        kind: TableKind::Mbr,
        disk_id: le32(first, 440)
            .filter(|id| *id != 0)
            .map(|id| format!("{id:08x}")),
        sector_size,
        has_active: found.iter().any(|entry| entry.is_active),
        ..Table::default()
    };
    for entry in &found {
        table.partitions.push(dos_partition(
            entry.number,
            entry.kind,
            entry.first,
            entry.sectors,
            sector,
        ));
    }
    if let Some(extended) = found.iter().find(|entry| entry.is_extended()) {
        logical(source, extended.first, sector, &mut table.partitions)?;
    }
    let ends = table.partitions.iter().map(end_of);
    table.minimum = ends.max().unwrap_or(0);
    complain(&mut table, source.size());
    Ok(table)
}

/// A DOS table does not say how long its sectors are: the file systems at its partitions' starts do.
fn dos_sector_size(source: &mut Source<'_>, found: &[Primary]) -> Found<Option<u32>> {
    for sector_size in SECTOR_SIZES {
        for entry in found {
            let start = entry.first.saturating_mul(u64::from(sector_size));
            let head = source.bytes(start, 2048)?.unwrap_or_default();
            let is_fat = head.get(510..512) == Some(&[0x55, 0xaa])
                && le16(&head, 11).map(u32::from) == Some(sector_size);
            let is_ext = le16(&head, 1024 + 56) == Some(0xef53);
            let is_other = head.starts_with(b"XFSB") || head.get(3..7) == Some(b"NTFS");
            if is_fat || is_ext || is_other {
                return Ok(Some(sector_size));
            }
        }
    }
    Ok(None)
}

fn logical(
    source: &mut Source<'_>,
    base: u64,
    sector: u64,
    partitions: &mut Vec<PartitionFacts>,
) -> Found<()> {
    let mut at = base;
    for number in 5..5 + LOGICAL_MAX {
        let bytes = source.bytes(at.saturating_mul(sector), 512)?;
        let Some(entries) = bytes.and_then(|bytes| primaries(&bytes)) else {
            return Ok(());
        };
        if let Some(entry) = entries.iter().find(|entry| !entry.is_extended()) {
            let first = at.saturating_add(entry.first);
            partitions.push(dos_partition(
                number,
                entry.kind,
                first,
                entry.sectors,
                sector,
            ));
        }
        // A link counts from the start of the extended partition, not from its own table.
        let link = entries.iter().find(|entry| entry.is_extended());
        match link.map(|link| base.saturating_add(link.first)) {
            Some(next) if next > at => at = next,
            Some(_) | None => return Ok(()),
        }
    }
    Ok(())
}

fn dos_partition(number: u32, kind: u8, first: u64, sectors: u64, sector: u64) -> PartitionFacts {
    PartitionFacts {
        number,
        start: Bytes(first.saturating_mul(sector)),
        length: Bytes(sectors.saturating_mul(sector)),
        kind: types::of_byte(kind),
        type_id: format!("{kind:#04x}"),
        name: String::new(),
        file_system: None,
    }
}

fn end_of(partition: &PartitionFacts) -> u64 {
    partition.start.0.saturating_add(partition.length.0)
}

/// What contradicts itself: partitions past the end, and such that overlap.
fn complain(table: &mut Table, size: u64) {
    for partition in &table.partitions {
        if end_of(partition) > size {
            table.notes.push(format!(
                "partition {} ends at byte {}, past the image's end at {size}: the image is cut off",
                partition.number,
                end_of(partition),
            ));
        }
    }
    let mut places: Vec<_> = table
        .partitions
        .iter()
        .filter(|one| !one.kind.ends_with("extended"))
        .map(|one| (one.start.0, end_of(one), one.number))
        .collect();
    places.sort_unstable();
    for pair in places.windows(2) {
        if let [(_, end, one), (start, _, other)] = pair
            && start < end
        {
            table
                .notes
                .push(format!("partitions {one} and {other} overlap"));
        }
    }
}
