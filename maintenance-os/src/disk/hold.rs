// SPDX-License-Identifier: Apache-2.0
//! Holds a disk under the name that it was found by, from the last look at it until the effect is done.
//!
//! As long as a disk is open the kernel gives its name and number to no other. What was looked at and what is held are
//! proved the same by the kernel's number of this appearance. Holding never writes and never keeps others out: the effect
//! itself opens alone.

use super::device::Device;
use super::error::DiskError;
use super::partition::table_bytes;
use super::wipe::guard_open;
use groundstate_api::inventory::Disk;
use groundstate_api::plan::{DiskPlan, TablePlan};
use std::path::Path;

/// A disk that keeps its name until this is dropped.
#[derive(Debug)]
pub struct Hold {
    device: Device,
}

impl Hold {
    /// Holds the disk at `path`, which was `seen` as the planned one a moment ago.
    ///
    /// # Errors
    /// [`DiskError::Replaced`] where another disk has taken the name since; [`DiskError::NotAsPlanned`] where its size or
    /// sectors are not the planned ones.
    pub fn new(path: &Path, planned: &DiskPlan, seen: &Disk) -> Result<Self, DiskError> {
        let device = Device::open_to_read(path, Some(planned.logical_sector))
            .map_err(DiskError::io("opening", path))?;
        device.check_size(planned)?;
        let found = device
            .sequence()
            .map_err(DiskError::io("identifying", path))?;
        match (seen.attachment.sequence, found) {
            (Some(seen), Some(found)) if seen != found => Err(DiskError::Replaced {
                path: path.to_path_buf(),
                seen,
                found,
            }),
            // A kernel before 5.15 counts no appearances, and a file that stands in for a disk has none.
            (Some(_) | None, Some(_) | None) => Ok(Self { device }),
        }
    }

    /// Whether the disk holds what the plan keeps.
    ///
    /// # Errors
    /// The guard's word; it cannot be read.
    pub(super) fn still_holds(&self, planned: &DiskPlan) -> Result<(), DiskError> {
        guard_open(&self.device, planned).map(drop)
    }

    /// Whether the disk carries exactly this table.
    ///
    /// # Errors
    /// [`DiskError::OtherTable`] where it does not; it cannot be read, or the table cannot stand on it.
    pub(super) fn carries(&self, table: &TablePlan) -> Result<(), DiskError> {
        let (device, path) = (&self.device, self.device.path());
        let ends = table_bytes(device.size(), device.sector(), table);
        let ends = ends.map_err(|what| DiskError::Table {
            path: path.to_path_buf(),
            what,
        })?;
        let planned = ends.primary(device.sector());
        let found = device
            .read(0, planned.len())
            .map_err(DiskError::io("reading", path))?;
        if found == planned {
            return Ok(());
        }
        Err(DiskError::OtherTable {
            path: path.to_path_buf(),
        })
    }
}
