// SPDX-License-Identifier: Apache-2.0
//! The metadata region ([MS-VHDX] 2.6): block size, disk size, sector sizes, the disk's identity and its parent.

use alloc::vec;
use alloc::vec::Vec;

use crate::guid::Guid;

use super::error::VhdxError;
use super::field::{guid_at, offset, put, u16_at, u32_at, u64_at};
use super::limits::{ITEM_MAX, METADATA_MAX};
use super::locator::ParentLocator;
use super::shape::{Shape, sector_size};

/// Bytes of the metadata table; items come after it.
pub(super) const TABLE_LEN: usize = 64 * 1024;

const SIGNATURE: &[u8; 8] = b"metadata";
const HEAD_LEN: usize = 32;
const ENTRY_LEN: usize = 32;
const IS_USER: u32 = 1;
const IS_DISK: u32 = 2;
const IS_REQUIRED: u32 = 4;
const LEAVE_ALLOCATED: u32 = 1;
const HAS_PARENT: u32 = 2;

/// The items that the specification knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    FileParameters,
    DiskSize,
    DiskId,
    LogicalSector,
    PhysicalSector,
    Parent,
}

impl Known {
    const ALL: [Self; 6] = [
        Self::FileParameters,
        Self::DiskSize,
        Self::DiskId,
        Self::LogicalSector,
        Self::PhysicalSector,
        Self::Parent,
    ];

    const fn id(self) -> Guid {
        Guid(
            match self {
                // caa16737-fa36-4d43-b3b6-33f0aa44e76b
                Self::FileParameters => 0xcaa1_6737_fa36_4d43_b3b6_33f0_aa44_e76b_u128,
                // 2fa54224-cd1b-4876-b211-5dbed83bf4b8
                Self::DiskSize => 0x2fa5_4224_cd1b_4876_b211_5dbe_d83b_f4b8,
                // beca12ab-b2e6-4523-93ef-c309e000c746
                Self::DiskId => 0xbeca_12ab_b2e6_4523_93ef_c309_e000_c746,
                // 8141bf1d-a96f-4709-ba47-f233a8faab5f
                Self::LogicalSector => 0x8141_bf1d_a96f_4709_ba47_f233_a8fa_ab5f,
                // cda348c7-445d-4471-9cc9-e9885251c556
                Self::PhysicalSector => 0xcda3_48c7_445d_4471_9cc9_e988_5251_c556,
                // a8d35f2d-b30b-454d-abf7-d3d84834ab0c
                Self::Parent => 0xa8d3_5f2d_b30b_454d_abf7_d3d8_4834_ab0c,
            }
            .to_be_bytes(),
        )
    }

    const fn what(self) -> &'static str {
        match self {
            Self::FileParameters => "block size",
            Self::DiskSize => "disk size",
            Self::DiskId => "disk id",
            Self::LogicalSector => "logical sector size",
            Self::PhysicalSector => "physical sector size",
            Self::Parent => "parent locator",
        }
    }

    /// Bytes of the item, where the specification fixes them.
    const fn length(self) -> Option<u32> {
        match self {
            Self::FileParameters | Self::DiskSize => Some(8),
            Self::DiskId => Some(16),
            Self::LogicalSector | Self::PhysicalSector => Some(4),
            Self::Parent => None,
        }
    }

    /// The flags that writers give the item.
    const fn flags(self) -> u32 {
        match self {
            Self::FileParameters | Self::Parent => IS_REQUIRED,
            Self::DiskSize | Self::DiskId | Self::LogicalSector | Self::PhysicalSector => {
                IS_REQUIRED | IS_DISK
            }
        }
    }
}

/// Where the known items are within the region. Every table that cannot be right has been refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table(Vec<(Known, u32, u32)>);

struct Entry {
    id: Guid,
    offset: u32,
    len: u32,
    flags: u32,
}

impl Table {
    /// Reads the table of a region of `region_len` bytes.
    pub(super) fn decode(bytes: &[u8], region_len: u64) -> Result<Self, VhdxError> {
        let entries = entries(bytes)?;
        for entry in &entries {
            entry.admit(region_len)?;
        }
        alone(&entries)?;
        let mut known = Vec::new();
        for entry in &entries {
            let user = entry.flags & IS_USER != 0;
            let item = Known::ALL
                .into_iter()
                .find(|item| item.id() == entry.id && !user);
            match item {
                Some(item) => known.push((item, entry.offset, entry.len)),
                None if entry.flags & IS_REQUIRED != 0 => {
                    return Err(VhdxError::MetadataUnknown { id: entry.id });
                }
                None => {}
            }
        }
        Ok(Self(known))
    }

    /// Offset within the region and length of an item.
    pub(super) fn place(&self, item: Known) -> Result<(u64, u32), VhdxError> {
        let what = item.what();
        let found = self.0.iter().find(|(known, _, _)| *known == item);
        let (_, offset, len) = *found.ok_or(VhdxError::MetadataMissing { what })?;
        match item.length() {
            Some(wanted) if wanted != len => Err(VhdxError::MetadataLength { what, len, wanted }),
            Some(_) | None => Ok((u64::from(offset), len)),
        }
    }
}

fn entries(bytes: &[u8]) -> Result<Vec<Entry>, VhdxError> {
    if !bytes.starts_with(SIGNATURE) {
        return Err(VhdxError::NoMetadata);
    }
    let count = u16_at(bytes, 10);
    if count > METADATA_MAX {
        return Err(VhdxError::MetadataCount { count });
    }
    let (_, rest) = bytes.split_at(HEAD_LEN.min(bytes.len()));
    let (entries, _) = rest.as_chunks::<ENTRY_LEN>();
    let entries = entries.iter().zip(0..count).map(|(entry, _)| Entry {
        id: guid_at(entry, 0),
        offset: u32_at(entry, 16),
        len: u32_at(entry, 20),
        flags: u32_at(entry, 24),
    });
    Ok(entries.collect())
}

impl Entry {
    fn admit(&self, region_len: u64) -> Result<(), VhdxError> {
        let (offset, len) = (u64::from(self.offset), u64::from(self.len));
        let empty = len == 0 && offset == 0;
        let after = offset >= u64::try_from(TABLE_LEN).unwrap_or(u64::MAX);
        if empty || (after && len <= ITEM_MAX && offset + len <= region_len) {
            return Ok(());
        }
        Err(VhdxError::MetadataPlace {
            id: self.id,
            offset: self.offset,
            len: self.len,
        })
    }
}

/// Refuses items that are listed twice or overlap.
fn alone(entries: &[Entry]) -> Result<(), VhdxError> {
    let mut ids: Vec<(Guid, u32)> = entries.iter().map(|e| (e.id, e.flags & IS_USER)).collect();
    ids.sort_unstable();
    for pair in ids.windows(2) {
        if let [one, other] = pair
            && one == other
        {
            return Err(VhdxError::MetadataTwice { id: one.0 });
        }
    }
    let mut places: Vec<(u32, u32)> = entries.iter().map(|e| (e.offset, e.len)).collect();
    places.retain(|(_, len)| *len > 0);
    places.sort_unstable();
    for pair in places.windows(2) {
        if let [(one, len), (other, _)] = pair
            && one + len > *other
        {
            return Err(VhdxError::MetadataOverlap { offset: *other });
        }
    }
    Ok(())
}

/// What the metadata say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) shape: Shape,
    pub(super) leave_allocated: bool,
    pub(super) physical_sector: u32,
    pub(super) disk_id: Guid,
    pub(super) parent: Option<ParentLocator>,
}

impl Metadata {
    /// Puts the items together; `item` gives the bytes of one.
    pub(super) fn read<E: From<VhdxError>>(
        table: &Table,
        mut item: impl FnMut(u64, u32) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let mut fetch = |known: Known| -> Result<Vec<u8>, E> {
            let (offset, len) = table.place(known)?;
            item(offset, len)
        };
        let parameters = fetch(Known::FileParameters)?;
        let size = u64_at(&fetch(Known::DiskSize)?, 0);
        let sector = u32_at(&fetch(Known::LogicalSector)?, 0);
        let physical_sector = u32_at(&fetch(Known::PhysicalSector)?, 0);
        sector_size(physical_sector)?;
        let (block, flags) = (u32_at(&parameters, 0), u32_at(&parameters, 4));
        let has_parent = flags & HAS_PARENT != 0;
        let shape = Shape::new(size, u64::from(block), sector, has_parent)?;
        let disk_id = guid_at(&fetch(Known::DiskId)?, 0);
        let parent = if has_parent {
            Some(ParentLocator::decode(&fetch(Known::Parent)?)?)
        } else {
            None
        };
        Ok(Self {
            shape,
            leave_allocated: flags & LEAVE_ALLOCATED != 0,
            physical_sector,
            disk_id,
            parent,
        })
    }

    /// The table and the items, from the region's start.
    pub(super) fn encode(&self) -> Result<Vec<u8>, VhdxError> {
        let flags = if self.leave_allocated {
            LEAVE_ALLOCATED
        } else {
            0
        } | if self.parent.is_some() { HAS_PARENT } else { 0 };
        let block = u32::try_from(self.shape.block).unwrap_or(u32::MAX);
        let sector = u32::try_from(self.shape.sector).unwrap_or(u32::MAX);
        let mut items = vec![
            (
                Known::FileParameters,
                [block.to_le_bytes(), flags.to_le_bytes()].concat(),
            ),
            (Known::DiskSize, self.shape.size.to_le_bytes().to_vec()),
            (Known::DiskId, self.disk_id.to_gpt().to_vec()),
            (Known::LogicalSector, sector.to_le_bytes().to_vec()),
            (
                Known::PhysicalSector,
                self.physical_sector.to_le_bytes().to_vec(),
            ),
        ];
        if let Some(parent) = &self.parent {
            items.push((Known::Parent, parent.encode()?));
        }
        let mut out = vec![0; TABLE_LEN];
        put(&mut out, 0, SIGNATURE);
        put(
            &mut out,
            10,
            &u16::try_from(items.len()).unwrap_or(u16::MAX).to_le_bytes(),
        );
        for (index, (item, bytes)) in items.iter().enumerate() {
            let at = HEAD_LEN + index * ENTRY_LEN;
            let [begin, len] =
                [out.len(), bytes.len()].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
            put(&mut out, at, &item.id().to_gpt());
            put(&mut out, at + 16, &begin.to_le_bytes());
            put(&mut out, at + 20, &len.to_le_bytes());
            put(&mut out, at + 24, &item.flags().to_le_bytes());
            out.extend_from_slice(bytes);
        }
        if offset(out.len()) > ITEM_MAX {
            return Err(VhdxError::LocatorTooLong);
        }
        Ok(out)
    }
}
