// SPDX-License-Identifier: Apache-2.0
//! Makes a data volume with mkfs.xfs.

use super::device::Device;
use super::error::DiskError;
use super::ext4::run_tool;
use groundstate_api::Bytes;
use mos_core::plan::{XFS_MIN, xfs_arguments};
use std::path::Path;

const MKFS_XFS: &str = "/sbin/mkfs.xfs";
/// The longest label that XFS has, in bytes.
const LABEL_MAX: usize = 12;

/// Makes an XFS file system and tells what was made.
///
/// # Errors
/// [`DiskError::Tool`] with the end of what mkfs.xfs said; [`DiskError::Unusable`] for a label or a partition that XFS
/// cannot have.
pub fn make_xfs(partition: &Path, label: &str, uuid: &str) -> Result<Vec<String>, DiskError> {
    let unusable = |what: String| DiskError::Unusable {
        what,
        path: partition.to_path_buf(),
    };
    if label.is_empty() || label.len() > LABEL_MAX {
        return Err(unusable(format!("XFS label `{label}`")));
    }
    let size = Device::open_to_read(partition, None)
        .map_err(DiskError::io("sizing", partition))?
        .size();
    if Bytes(size) < XFS_MIN {
        return Err(unusable(format!("size of {} for XFS", Bytes(size))));
    }
    run_tool("mkfs.xfs", MKFS_XFS, &xfs_arguments(label, uuid), partition)?;
    Ok(vec![format!("xfs \"{label}\" {uuid}, {}", Bytes(size))])
}
