// SPDX-License-Identifier: Apache-2.0
//! What can go wrong with a disk, and what a technician then does.

use groundstate_api::plan::{DiskPlan, Plan, Role};
use groundstate_api::{Bytes, Reason, ReasonCode};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Why an executor did not do what the plan says.
#[derive(Debug, Error)]
pub enum DiskError {
    /// The kernel refused or the disk failed.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// Somebody has it open or mounted.
    #[error("{path} is in use")]
    Busy {
        /// The device.
        path: PathBuf,
    },
    /// The device behind the name is not the planned one.
    #[error(
        "{path} has {found} bytes in sectors of {sector}, the plan says {planned} in sectors of {planned_sector}"
    )]
    NotAsPlanned {
        /// The device.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// Its logical sector size.
        sector: u32,
        /// The planned size in bytes.
        planned: u64,
        /// The planned logical sector size.
        planned_sector: u32,
    },
    /// Another disk has taken the name since the last look.
    #[error(
        "{path} is another disk than a moment ago: the kernel counts it as number {found}, and looked at was {seen}"
    )]
    Replaced {
        /// The device.
        path: PathBuf,
        /// The number of the disk that was looked at.
        seen: u64,
        /// The number of the disk that is there.
        found: u64,
    },
    /// The guard refuses what the open disk holds.
    #[error("{path}: {}", reason.what)]
    Refused {
        /// The device.
        path: PathBuf,
        /// Why.
        reason: Box<Reason>,
    },
    /// The plan does not let this disk be written to.
    #[error("the plan does not wipe {path}")]
    NotToBeWiped {
        /// The device.
        path: PathBuf,
    },
    /// What was written does not read back.
    #[error("{path} does not read back what was written at byte {offset}")]
    ReadBack {
        /// The device.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
    /// The disk carries another table than a step before has written.
    #[error("{path} does not carry the table that the plan gives it")]
    OtherTable {
        /// The device.
        path: PathBuf,
    },
    /// Something is still recognised after the wipe.
    #[error("{path} still holds {what} after it was wiped")]
    NotErased {
        /// The device.
        path: PathBuf,
        /// What.
        what: String,
    },
    /// The table cannot be made.
    #[error("partition table of {path}: {what}")]
    Table {
        /// The device.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The kernel did not make the partition's device node.
    #[error("{path} did not appear within {waited_ms} ms")]
    NoNode {
        /// The partition.
        path: PathBuf,
        /// How long it was waited for.
        waited_ms: u64,
    },
    /// A tool failed.
    #[error("{program} on {path} ended with {status}: {output}")]
    Tool {
        /// The tool.
        program: &'static str,
        /// The partition.
        path: PathBuf,
        /// How it ended.
        status: String,
        /// The end of what it said.
        output: String,
    },
    /// The volume cannot hold the file.
    #[error("{path} needs {needed} bytes, the volume has {available}")]
    Full {
        /// The file.
        path: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes available.
        available: u64,
    },
    /// The file system gave fewer blocks than the file is long.
    #[error("{path} is {length} bytes long and only {allocated} are allocated")]
    NotAllocated {
        /// The file.
        path: PathBuf,
        /// Its length.
        length: u64,
        /// What is allocated.
        allocated: u64,
    },
    /// A planned virtual disk's name is taken.
    #[error("{path} is {found}, and the plan wants it to be {planned}")]
    AnothersDisk {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What it is to be.
        planned: String,
    },
    /// A planned value cannot be written.
    #[error("the plan's {what} for {path} cannot be used")]
    Unusable {
        /// Which value.
        what: String,
        /// For what.
        path: PathBuf,
    },
}

impl DiskError {
    /// For `map_err`: the same error with what was being done.
    pub(super) fn io<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Self + 'a {
        move |source| Self::Io {
            doing,
            path: path.to_path_buf(),
            source,
        }
    }

    /// What a technician reads, about the planned disk.
    #[must_use]
    pub fn reason(&self, disk: &DiskPlan) -> Reason {
        let (code, what, next) = match self {
            Self::Refused { reason, .. } => return Reason::clone(reason).about(disk.part()),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => full(),
            Self::Full { .. } => full(),
            Self::Io { .. }
            | Self::ReadBack { .. }
            | Self::NotAllocated { .. }
            | Self::Tool { .. } => (
                ReasonCode::DiskError,
                "A disk did not do what it was asked.",
                "Check the disk's seat, cable and health; replace it if it fails again, then order the run again.",
            ),
            Self::NoNode { .. } => (
                ReasonCode::DiskError,
                "The kernel does not show the partitions that were written.",
                "Order the run again; if it happens again, check the disk and its controller.",
            ),
            Self::NotErased { .. } => (
                ReasonCode::DiskError,
                "The disk still holds what was to be removed.",
                "Look for a write-protect switch, and replace the disk if it has none.",
            ),
            Self::Busy { .. } => (
                ReasonCode::DiskInUse,
                "Something on this machine uses the disk.",
                "Restart the machine and order the run again.",
            ),
            Self::NotAsPlanned { .. } | Self::Replaced { .. } | Self::OtherTable { .. } => (
                ReasonCode::WrongDisk,
                "The disk is not the one that the plan names.",
                "Order the run again, so that the plan sees the disk as it is.",
            ),
            Self::AnothersDisk { .. } => (
                ReasonCode::DiskInUse,
                "A volume holds another virtual disk under a planned name.",
                "Move that file away, or give the VHD set another name in the site file; then order the run again.",
            ),
            Self::NotToBeWiped { .. } | Self::Table { .. } | Self::Unusable { .. } => (
                ReasonCode::PlanRefused,
                "The plan cannot be carried out on this disk.",
                "Order the run again; if it happens twice, report it with the plan.",
            ),
        };
        Reason::new(code, what, next)
            .about(disk.part())
            .seen(self.to_string())
    }
}

/// A reason about a disk that names none is about the OS disk, where it comes from a step that touches no other.
#[must_use]
pub fn about_os_disk(plan: &Plan, reason: Reason) -> Reason {
    let is_a_disks = matches!(
        reason.code,
        ReasonCode::DiskError
            | ReasonCode::DiskFull
            | ReasonCode::DiskInUse
            | ReasonCode::DiskMissing
    );
    let os = plan.disks.iter().find(|disk| disk.role == Role::Os);
    match os {
        Some(os) if is_a_disks && reason.part.is_none() => reason.about(os.part()),
        Some(_) | None => reason,
    }
}

/// What is said of a disk that was given up after `limit`.
pub(crate) fn no_answer(limit: Duration) -> Reason {
    Reason::new(
        ReasonCode::DiskError,
        "A disk does not answer.",
        "Check the disk's seat and cable, power the machine off and on, then order the run again; replace the disk if it happens again.",
    )
    .seen(format!("{} s without an answer", limit.as_secs()))
}

const fn full() -> (ReasonCode, &'static str, &'static str) {
    (
        ReasonCode::DiskFull,
        "A volume is full.",
        "Make the VHDs smaller or fewer in the site file, or put in a larger disk, then order the run again.",
    )
}

/// Whether what was found is what the plan says.
pub(super) fn same_size(
    path: &Path,
    found: u64,
    sector: u32,
    plan: &DiskPlan,
) -> Result<(), DiskError> {
    if Bytes(found) == plan.size && sector == plan.logical_sector {
        return Ok(());
    }
    Err(DiskError::NotAsPlanned {
        path: path.to_path_buf(),
        found,
        sector,
        planned: plan.size.0,
        planned_sector: plan.logical_sector,
    })
}
