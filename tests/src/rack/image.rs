// SPDX-License-Identifier: Apache-2.0
//! One disk of a node: a sparse raw file.

use super::{DiskSpec, Fingerprint, Parts, RackError, content, fingerprint};
use rustix::fs::OFlags;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A disk file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskImage {
    path: PathBuf,
    serial: String,
}

impl DiskImage {
    /// The disk's file in `folder`, made with its old content when it is not there yet, and otherwise left as it is.
    ///
    /// # Errors
    /// The file, and what went wrong; [`RackError::DiskSize`] when a file of another size is there.
    pub fn create(folder: &Path, spec: &DiskSpec, parts: &Parts) -> Result<Self, RackError> {
        let image = Self::named(folder, spec);
        let path = image.path.clone();
        if let Ok(found) = fs::metadata(&path) {
            if found.len() == spec.size.0 {
                return Ok(image);
            }
            let (serial, found, wanted) = (image.serial, found.len(), spec.size.0);
            return Err(RackError::DiskSize {
                path,
                serial,
                found,
                wanted,
            });
        }
        // Filled under another name, so that a half-filled disk is never taken for a whole one.
        let draft = folder.join(format!("disk-{}.draft", spec.serial));
        let file = File::create(&draft).map_err(RackError::file(&draft))?;
        file.set_len(spec.size.0).map_err(RackError::file(&draft))?;
        content::fill(&draft, spec, parts)?;
        fs::rename(&draft, &path).map_err(RackError::file(&path))?;
        Ok(image)
    }

    /// The disk's file, whether it is there or not.
    pub(super) fn named(folder: &Path, spec: &DiskSpec) -> Self {
        let path = folder.join(format!("disk-{}.raw", spec.serial));
        Self {
            path,
            serial: spec.serial.clone(),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The disk's serial number.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// What the disk holds now. Bytes that a running node still has in flight are not in it: power the node off, or
    /// let it flush, first.
    ///
    /// # Errors
    /// The file, when it cannot be read.
    pub fn fingerprint(&self) -> Result<Fingerprint, RackError> {
        fingerprint::of_file(&self.path)
    }
}

/// QEMU's cache mode for disks in `folder`: past the page cache where the file system can, else through it. In both
/// a completed flush survives a power cut.
pub(super) fn cache_mode(folder: &Path) -> &'static str {
    let probe = folder.join("direct-io.probe");
    let flags = OFlags::DIRECT.bits();
    let open = i32::try_from(flags).map(|flags| {
        File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(flags)
            .open(&probe)
    });
    let direct = matches!(open, Ok(Ok(_)));
    // A probe that is left behind does no harm, and the next one opens it again.
    drop(fs::remove_file(&probe));
    if direct { "none" } else { "writethrough" }
}
