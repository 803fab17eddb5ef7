// SPDX-License-Identifier: Apache-2.0
//! The last partition of an image reaches to the end of a larger disk. Only its entry changes: the file system is grown by
//! what runs on the disk, which has the tools for it.
//!
//! It grows nothing whose end has a meaning of its own, and nothing that has no use for more room: such a partition stays, and
//! that is said.

use super::fix_up::{Request, Write};
use super::gpt::{Gpt, Partition};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use groundstate_api::Bytes;
use groundstate_api::limits::ALIGNMENT;
use groundstate_api::units::MIB;

/// What is cleared at the new end: a member of a set of disks describes itself within the last MiB, and a description that
/// another table left there would be taken for one.
const CLEARED: u64 = MIB;

/// Types of partitions that stay, and why (UEFI 2.10, section 5.3.3; the Discoverable Partitions Specification).
const STAY: [(&str, &str); 8] = [
    (
        "A19D880F-05FC-4D3B-A006-743F0F84911E",
        "it is a member of a RAID, which may describe itself at its end",
    ),
    (
        "6A898CC3-1DD2-11B2-99A6-080020736631",
        "it is ZFS, which describes itself at its end too",
    ),
    (
        "516E7CBA-6ECF-11D6-8FF8-00022D09712B",
        "it is ZFS, which describes itself at its end too",
    ),
    ("0657FD6D-A4AB-43C4-84E5-0933C84B4F4F", "it is swap space"),
    (
        "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        "it is the EFI system partition",
    ),
    ("21686148-6449-6E6F-744E-656564454649", "it is boot code"),
    (
        "E3C9E316-0B5C-4DB8-817D-F92DF00215AE",
        "it is reserved by Windows",
    ),
    (
        "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC",
        "it is Windows' recovery environment",
    ),
];

/// What became of the last partition, where it was to grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Growth {
    /// It is longer.
    Grown {
        /// Its number.
        partition: u32,
        /// Its length in the image.
        before: Bytes,
        /// Its length on the disk.
        now: Bytes,
        /// The first byte of the disk after it: a multiple of 1 MiB.
        end: Bytes,
    },
    /// It is as long as in the image.
    Stays {
        /// Its number.
        partition: u32,
        /// Why.
        why: &'static str,
    },
    /// The table has no partition.
    NoPartition,
}

impl Growth {
    /// Decides where the last sector for partitions is `last_usable`.
    pub(super) fn of(gpt: &Gpt, last_usable: u64) -> Self {
        let Some(last) = gpt.partitions.iter().max_by_key(|one| one.last) else {
            return Self::NoPartition;
        };
        let stays = |why| Self::Stays {
            partition: last.number,
            why,
        };
        let kind = last.type_guid.upper();
        if let Some((_, why)) = STAY.iter().find(|(guid, _)| *guid == kind) {
            return stays(*why);
        }
        let sector = u64::from(gpt.sector);
        let end = (last_usable + 1) * sector / ALIGNMENT.0 * ALIGNMENT.0;
        let (start, before) = gpt.place(last);
        if end <= start.0 + before.0 {
            return stays("it reaches the end of the disk already");
        }
        Self::Grown {
            partition: last.number,
            before,
            now: Bytes(end - start.0),
            end: Bytes(end),
        }
    }

    /// The new last sector of a partition, where it is the one that grows.
    pub(super) fn last_of(&self, partition: &Partition, sector: u32) -> Option<u64> {
        match self {
            Self::Grown {
                partition: number,
                end,
                ..
            } if *number == partition.number => Some(end.0 / u64::from(sector) - 1),
            Self::Grown { .. } | Self::Stays { .. } | Self::NoPartition => None,
        }
    }

    /// What is cleared at the new end; nothing of the image is.
    pub(super) fn cleared(&self, request: &Request<'_>) -> Option<Write> {
        let Self::Grown {
            before, now, end, ..
        } = self
        else {
            return None;
        };
        let was = end.0 - (now.0 - before.0);
        let from = end.0.saturating_sub(CLEARED).max(request.image.0).max(was);
        let length = usize::try_from(end.0.checked_sub(from)?).ok()?;
        (length > 0).then(|| Write {
            at: Bytes(from),
            bytes: vec![0; length],
            what: "the end of the partition that grows is cleared",
        })
    }

    /// For people.
    pub(super) fn fact(&self) -> String {
        match self {
            Self::Grown {
                partition,
                before,
                now,
                ..
            } => format!(
                "partition {partition} is grown from {before} to {now}; its file system is for the host to grow"
            ),
            Self::Stays { partition, why } => {
                format!("partition {partition}, the last one, is not grown: {why}")
            }
            Self::NoPartition => "nothing is grown: the image has no partition".into(),
        }
    }
}
