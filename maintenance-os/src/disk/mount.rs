// SPDX-License-Identifier: Apache-2.0
//! A volume mounted while it is worked on.

use super::error::DiskError;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::path::{Path, PathBuf};

/// A mounted volume. [`Mounted::finish`] unmounts it and tells of failure; dropping it unmounts it as well as it can.
#[derive(Debug)]
pub struct Mounted {
    at: PathBuf,
    is_mounted: bool,
}

impl Mounted {
    /// Mounts an ext4 volume at a folder, which is made. Nothing on it can be run or act as a device.
    ///
    /// # Errors
    /// [`DiskError::Io`] naming the partition.
    pub fn ext4(partition: &Path, at: &Path) -> Result<Self, DiskError> {
        std::fs::create_dir_all(at).map_err(DiskError::io("making", at))?;
        let flags =
            MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NOATIME;
        mount(partition, at, "ext4", flags, None)
            .map_err(|errno| DiskError::io("mounting", partition)(errno.into()))?;
        Ok(Self {
            at: at.to_path_buf(),
            is_mounted: true,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Unmounts it; everything written is then on the disk.
    ///
    /// # Errors
    /// [`DiskError::Io`] naming the folder.
    pub fn finish(mut self) -> Result<(), DiskError> {
        self.is_mounted = false;
        unmount(&self.at, UnmountFlags::NOFOLLOW)
            .map_err(|errno| DiskError::io("unmounting", &self.at)(errno.into()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_mounted {
            // The step failed already and says why; a detached mount goes when its last user does.
            let _gone = unmount(&self.at, UnmountFlags::DETACH);
        }
    }
}
