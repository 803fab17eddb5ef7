// SPDX-License-Identifier: Apache-2.0
//! Why a disk's table cannot be fitted to it.

use alloc::string::String;
use groundstate_api::{Bytes, Part, Reason, ReasonCode};

/// Why a disk's table cannot be fitted to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The table is for another sector size.
    #[error(
        "the image's partition table is for sectors of {table} bytes, the disk has sectors of {disk}"
    )]
    SectorSize {
        /// The table's.
        table: u32,
        /// The disk's.
        disk: u32,
    },
    /// The first sector lists partitions beside the one that protects the GUID table.
    #[error(
        "the image has a hybrid MBR: beside the GUID partition table, its first sector lists a partition of type {kind:#04x}"
    )]
    HybridMbr {
        /// The type of the other partition.
        kind: u8,
    },
    /// The first sector protects a GUID table that is not right.
    #[error("the image's GUID partition table is damaged: {why}")]
    Damaged {
        /// What is wrong.
        why: &'static str,
    },
    /// A partition lies where the table does not let it.
    #[error("partition {number} of the image lies outside the space that its table has for it")]
    Outside {
        /// Its number.
        number: u32,
    },
    /// The disk ends before the table does.
    #[error("the image's partitions need {needed} bytes, the disk has {disk}", needed = .needed.0, disk = .disk.0)]
    TooSmall {
        /// What table and partitions need.
        needed: Bytes,
        /// The disk's size.
        disk: Bytes,
    },
}

impl Refusal {
    /// For people: what is wrong with `title`, and what to do.
    #[must_use]
    pub fn reason(&self, title: &str) -> Reason {
        let (code, next) = match self {
            Self::SectorSize { .. } => (
                ReasonCode::PlanRefused,
                "import an image that was made for this disk's sector size, or choose another disk",
            ),
            Self::HybridMbr { .. } => (
                ReasonCode::PlanRefused,
                "make the image with a protective MBR (gdisk: expert menu, command n), and import it again",
            ),
            Self::Damaged { .. } | Self::Outside { .. } => (
                ReasonCode::PlanRefused,
                "repair the image's partition table (sgdisk -v tells more), and import it again",
            ),
            Self::TooSmall { .. } => (ReasonCode::DiskFull, "choose a larger disk"),
        };
        Reason::new(code, alloc::format!("{self}"), next).about(Part::Image {
            image: String::from(title),
            digest: None,
        })
    }
}

/// Why a table could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError<E> {
    /// The reader's.
    #[error("{0}")]
    Read(E),
    /// What was read is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}
