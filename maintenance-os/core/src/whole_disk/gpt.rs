// SPDX-License-Identifier: Apache-2.0
//! The table of an image of a whole disk, with every byte of it, so that only what must change is changed (UEFI 2.10,
//! sections 5.2 and 5.3).

use super::refusal::{LookError, Refusal};
use crate::guid::Guid;
use crate::random_access::ReadAt;
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::Bytes;

/// The MBR's partition entries and its mark.
const MBR_ENTRIES: core::ops::Range<usize> = 446..510;
const MBR_MARK: [u8; 2] = [0x55, 0xaa];
const MBR_LEN: usize = 512;
/// The type that protects a GUID table.
const PROTECTS: u8 = 0xee;
/// The header's fields, without what a later version may add.
const HEADER_LEN: u32 = 92;
/// The most bytes of entries that are read: 128 entries take 16 KiB.
const ENTRIES_MAX: u64 = 1 << 20;
/// The sector sizes that disks have.
const SECTORS: [u32; 2] = [512, 4_096];

/// What an image's first sectors are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Table {
    /// No table that a firmware would use: it is left as it is.
    None,
    /// A DOS table: it has no GUIDs and no backup, and is left as it is.
    Mbr,
    /// A GUID partition table.
    Gpt(Gpt),
}

/// A GUID partition table that is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpt {
    pub(super) sector: u32,
    /// The whole first sector.
    pub(super) mbr: Vec<u8>,
    /// The whole sector of the header.
    pub(super) header: Vec<u8>,
    /// All entries, used or not.
    pub(super) entries: Vec<u8>,
    pub(super) entries_at: u64,
    pub(super) entry_len: usize,
    pub(super) alternate: u64,
    pub(super) first_usable: u64,
    pub(super) last_usable: u64,
    pub(super) disk_guid: Guid,
    pub(super) partitions: Vec<Partition>,
}

/// A used entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from 1.
    pub number: u32,
    /// Its type.
    pub type_guid: Guid,
    /// Its own GUID.
    pub guid: Guid,
    /// Its first sector.
    pub first: u64,
    /// Its last sector.
    pub last: u64,
}

impl Gpt {
    /// The disk's GUID.
    #[must_use]
    pub const fn disk_guid(&self) -> Guid {
        self.disk_guid
    }
    /// The used entries.
    #[must_use]
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }
    /// Where a partition lies: its first byte and its length.
    #[must_use]
    pub fn place(&self, partition: &Partition) -> (Bytes, Bytes) {
        let sector = u64::from(self.sector);
        let count = partition.last - partition.first + 1;
        (Bytes(partition.first * sector), Bytes(count * sector))
    }
    /// All that the table has for partitions: from the first byte to the one after the last.
    #[must_use]
    pub fn usable(&self) -> (Bytes, Bytes) {
        let sector = u64::from(self.sector);
        (
            Bytes(self.first_usable * sector),
            Bytes((self.last_usable + 1) * sector),
        )
    }
    /// The sectors that the entries take.
    pub(super) const fn entry_sectors(&self) -> u64 {
        (self.entries.len() as u64).div_ceil(self.sector as u64)
    }
}

/// Looks at the table of an image, or of a disk that carries one.
///
/// # Errors
/// The table is damaged, hybrid or for another sector size, or the reader fails.
pub fn look<R: ReadAt>(image: &mut R, sector: u32) -> Result<Table, LookError<R::Error>> {
    let at = u64::from(sector);
    if image.len() < at.max(u64::from(HEADER_LEN)) {
        return Ok(Table::None);
    }
    let first = read(image, 0, at)?;
    let Some(kinds) = mbr_kinds(&first) else {
        return Ok(Table::None);
    };
    if !kinds.contains(&PROTECTS) {
        let is_used = kinds.iter().any(|kind| *kind != 0);
        return Ok(if is_used { Table::Mbr } else { Table::None });
    }
    if let Some(kind) = kinds.iter().find(|kind| !matches!(**kind, 0 | PROTECTS)) {
        return Err(Refusal::HybridMbr { kind: *kind }.into());
    }
    let header = if image.len() < 2 * at {
        Vec::new()
    } else {
        read(image, at, at)?
    };
    if !header.starts_with(b"EFI PART") {
        return Err(other_sector(image, sector)?.into());
    }
    let mut gpt = parse(&header, sector, image.len())?;
    gpt.mbr = first;
    let length = gpt.entries.len() as u64;
    gpt.entries = read(image, gpt.entries_at * at, length)?;
    if crc32fast::hash(&gpt.entries) != field32(&header, 88) {
        return Err(damaged("the checksum of its entries is wrong").into());
    }
    gpt.partitions = partitions(&gpt)?;
    Ok(Table::Gpt(gpt))
}

fn read<R: ReadAt>(image: &mut R, at: u64, length: u64) -> Result<Vec<u8>, LookError<R::Error>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    image.read_at(at, &mut bytes).map_err(LookError::Read)?;
    Ok(bytes)
}

/// The types of the four entries, where the sector is an MBR.
fn mbr_kinds(first: &[u8]) -> Option<[u8; 4]> {
    if first.get(MBR_LEN - 2..MBR_LEN)? != MBR_MARK {
        return None;
    }
    let entries = first.get(MBR_ENTRIES)?;
    let mut kinds = [0; 4];
    for (kind, entry) in kinds.iter_mut().zip(entries.chunks_exact(16)) {
        *kind = *entry.get(4)?;
    }
    Some(kinds)
}

/// Why no header is where this sector size puts it.
fn other_sector<R: ReadAt>(image: &mut R, sector: u32) -> Result<Refusal, LookError<R::Error>> {
    for other in SECTORS.into_iter().filter(|other| *other != sector) {
        if image.len() >= u64::from(other) + 8 && read(image, other.into(), 8)? == b"EFI PART" {
            return Ok(Refusal::SectorSize {
                table: other,
                disk: sector,
            });
        }
    }
    Ok(damaged(
        "its first sector protects a table whose header is not there",
    ))
}

const fn damaged(why: &'static str) -> Refusal {
    Refusal::Damaged { why }
}

/// The header alone; the entries are as many zeros as are to be read.
fn parse(header: &[u8], sector: u32, size: u64) -> Result<Gpt, Refusal> {
    let length = field32(header, 12);
    if length < HEADER_LEN || length > sector {
        return Err(damaged("its header has a length that no header has"));
    }
    let mut summed = header
        .get(..usize::try_from(length).unwrap_or(0))
        .unwrap_or_default()
        .to_vec();
    put(&mut summed, 16, &[0; 4]);
    if crc32fast::hash(&summed) != field32(header, 16) {
        return Err(damaged("the checksum of its header is wrong"));
    }
    if field64(header, 24) != 1 {
        return Err(damaged("its header says that it stands elsewhere"));
    }
    let (count, entry_len) = (field32(header, 80), field32(header, 84));
    let bytes = u64::from(count) * u64::from(entry_len);
    if entry_len < 128 || !entry_len.is_power_of_two() || bytes == 0 || bytes > ENTRIES_MAX {
        return Err(damaged("its entries have a size or number that none have"));
    }
    let sectors = size / u64::from(sector);
    let entries_at = field64(header, 72);
    let (first_usable, last_usable) = (field64(header, 40), field64(header, 48));
    let entries_end = entries_at.saturating_add(bytes.div_ceil(u64::from(sector)));
    if entries_at < 2
        || entries_end > first_usable
        || first_usable > last_usable
        || last_usable >= sectors
    {
        return Err(damaged(
            "its header puts entries or partitions where none can be",
        ));
    }
    Ok(Gpt {
        sector,
        mbr: Vec::new(),
        header: header.to_vec(),
        entries: vec![0; usize::try_from(bytes).unwrap_or(0)],
        entries_at,
        entry_len: usize::try_from(entry_len).unwrap_or(usize::MAX),
        alternate: field64(header, 32),
        first_usable,
        last_usable,
        disk_guid: guid(header, 56),
        partitions: Vec::new(),
    })
}

fn partitions(gpt: &Gpt) -> Result<Vec<Partition>, Refusal> {
    let mut found: Vec<Partition> = Vec::new();
    for (entry, number) in gpt.entries.chunks_exact(gpt.entry_len).zip(1u32..) {
        let type_guid = guid(entry, 0);
        if type_guid.0 == [0; 16] {
            continue;
        }
        let (first, last) = (field64(entry, 32), field64(entry, 40));
        if first > last || first < gpt.first_usable || last > gpt.last_usable {
            return Err(Refusal::Outside { number });
        }
        found.push(Partition {
            number,
            type_guid,
            guid: guid(entry, 16),
            first,
            last,
        });
    }
    let mut by_place = found.clone();
    by_place.sort_by_key(|one| one.first);
    let overlap = by_place
        .iter()
        .zip(by_place.iter().skip(1))
        .any(|(one, next)| next.first <= one.last);
    if overlap {
        return Err(damaged("two of its partitions overlap"));
    }
    Ok(found)
}

pub(super) fn field32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(super) fn field64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

fn guid(bytes: &[u8], at: usize) -> Guid {
    Guid::from_gpt(array(bytes, at))
}

/// The bytes at `at`; zeros beyond the end, which no checked header has.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .unwrap_or([0; N])
}

/// Puts `from` at `at`, as far as there is room.
pub(super) fn put(bytes: &mut [u8], at: usize, from: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(from) {
        *to = *from;
    }
}

/// Puts size and place of the disk into the entry that protects the table; the boot code stays.
pub(super) fn protective(first: &[u8], sectors: u64) -> Vec<u8> {
    let mut mbr = first.to_vec();
    let size = u32::try_from(sectors.saturating_sub(1)).unwrap_or(u32::MAX);
    for entry in MBR_ENTRIES.step_by(16) {
        // One that is right already stays as it was made: tools differ in what they say of cylinders.
        let is_right = field32(&mbr, entry + 8) == 1 && field32(&mbr, entry + 12) == size;
        if mbr.get(entry + 4) == Some(&PROTECTS) && !is_right {
            put(&mut mbr, entry + 5, &[0xff; 3]);
            put(&mut mbr, entry + 8, &1u32.to_le_bytes());
            put(&mut mbr, entry + 12, &size.to_le_bytes());
        }
    }
    mbr
}
