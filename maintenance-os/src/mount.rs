// SPDX-License-Identifier: Apache-2.0
//! A file system mounted for the length of one task, below `/run/groundstate`.
//!
//! Nothing on it can be run or act as a device, and looking at it changes nothing on it.

use groundstate_api::{Reason, ReasonCode};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::path::{Path, PathBuf};

/// Where everything is mounted.
const MOUNT_BASE: &str = "/run/groundstate";

/// A mounted file system. Dropping it unmounts lazily; [`Mounted::finish`] unmounts and says what went wrong.
#[derive(Debug)]
pub(crate) struct Mounted {
    at: PathBuf,
    mounted: bool,
}

/// How to mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing is written, not even a journal replay's result by us.
    ReadOnly,
    /// For writing.
    ReadWrite,
}

impl Mounted {
    /// Mounts `source` at `/run/groundstate/<name>`. What an earlier, interrupted task left there is unmounted first.
    pub(crate) fn new(
        source: &Path,
        name: &str,
        kind: &str,
        access: Access,
    ) -> Result<Self, Reason> {
        let at = Path::new(MOUNT_BASE).join(name);
        std::fs::create_dir_all(&at).map_err(|error| {
            Reason::new(
                ReasonCode::Internal,
                format!("the mount point {} cannot be made", at.display()),
                "restart the machine; if it happens again, report it with the node's log",
            )
            .seen(error.to_string())
        })?;
        while unmount(&at, UnmountFlags::empty()).is_ok() {}
        let mut flags =
            MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOATIME;
        if access == Access::ReadOnly {
            flags |= MountFlags::RDONLY;
        }
        mount(source, &at, kind, flags, None)
            .map_err(|errno| mount_refused(source, kind, errno))?;
        Ok(Self { at, mounted: true })
    }

    /// Its root.
    pub(crate) fn path(&self) -> &Path {
        &self.at
    }

    /// Writes everything out and unmounts.
    pub(crate) fn finish(mut self) -> Result<(), Reason> {
        let refused = |what: &str, errno: Errno| {
            Reason::new(
                ReasonCode::DiskError,
                format!("{} could not be {what}", self.at.display()),
                "look at the disk's health, then order the run again",
            )
            .seen(errno.to_string())
        };
        let root = std::fs::File::open(&self.at).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            refused("opened for writing out", errno)
        })?;
        rustix::fs::syncfs(&root).map_err(|errno| refused("written out", errno))?;
        drop(root);
        unmount(&self.at, UnmountFlags::empty()).map_err(|errno| refused("unmounted", errno))?;
        self.mounted = false;
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.mounted {
            // Only on the way out of a failure, whose reason is already on its way to a person.
            let _unmounted = unmount(&self.at, UnmountFlags::DETACH);
        }
    }
}

fn mount_refused(source: &Path, kind: &str, errno: Errno) -> Reason {
    let (code, next) = match errno {
        Errno::NODEV => (
            ReasonCode::Internal,
            "the boot image lacks this file system's driver: build the boot image again with it",
        ),
        Errno::NOENT => (
            ReasonCode::DiskMissing,
            "check that the disk is still plugged in, then order the run again",
        ),
        Errno::IO => (
            ReasonCode::DiskError,
            "replace the disk, then order the run again",
        ),
        _ => (
            ReasonCode::DiskError,
            "order the run again: the file system will be made anew; if it happens again, replace the disk",
        ),
    };
    Reason::new(
        code,
        format!("{} cannot be mounted as {kind}", source.display()),
        next,
    )
    .seen(errno.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_driver_and_a_bad_disk_are_told_apart() {
        let code = |errno| mount_refused(Path::new("/dev/sda1"), "vfat", errno).code;
        assert_eq!(code(Errno::NODEV), ReasonCode::Internal);
        assert_eq!(code(Errno::NOENT), ReasonCode::DiskMissing);
        assert_eq!(code(Errno::INVAL), ReasonCode::DiskError);
    }
}
