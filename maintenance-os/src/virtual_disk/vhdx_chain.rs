// SPDX-License-Identifier: Apache-2.0
//! Opens a VHDX with all of its parents, which it names by path and knows by an identity that changes with their content.

use super::chain::{Parents, is_spared};
use super::error::VirtualDiskError;
use super::file::DiskFile;
use mos_core::vhdx::limits::CHAIN_MAX;
use mos_core::vhdx::{ParentLocator, Vhdx, VhdxError};
use std::path::{Path, PathBuf};

/// Opens one VHDX without its parents.
pub(super) fn open_alone(path: &Path) -> Result<Vhdx<DiskFile>, VirtualDiskError> {
    let file = DiskFile::open(path, false)
        .map_err(VirtualDiskError::io("opening", path))?
        .ok_or_else(|| VirtualDiskError::NotAFile {
            path: path.to_path_buf(),
        })?;
    Vhdx::open(file).map_err(VirtualDiskError::vhdx(path))
}

/// Refuses a new file that would replace a disk of the chain that it stands on.
pub(super) fn spares(opened: &Vhdx<DiskFile>, path: &Path) -> Result<(), VirtualDiskError> {
    let mut next = Some(opened);
    while let Some(one) = next {
        is_spared(one.source(), path)?;
        next = one.parent();
    }
    Ok(())
}

/// Opens the VHDX and attaches its chain of parents.
pub(super) fn open_chain(
    path: &Path,
    parents: &Parents,
) -> Result<Vhdx<DiskFile>, VirtualDiskError> {
    climb(path, parents.first.as_deref(), 0)
}

fn climb(
    path: &Path,
    stated: Option<&Path>,
    depth: u32,
) -> Result<Vhdx<DiskFile>, VirtualDiskError> {
    let mut disk = open_alone(path)?;
    let Some(locator) = &disk.facts().parent else {
        return Ok(disk);
    };
    let refused = |why| VirtualDiskError::Vhdx {
        path: path.to_path_buf(),
        why,
    };
    // A chain that returns to itself ends here, too.
    if depth >= CHAIN_MAX {
        return Err(refused(VhdxError::ChainTooLong));
    }
    let candidates = match stated {
        Some(stated) => vec![stated.to_path_buf()],
        None => candidates(path, locator),
    };
    for candidate in &candidates {
        if stated.is_some() || candidate.exists() {
            let parent = climb(candidate, None, depth + 1)?;
            disk.attach_parent(parent).map_err(refused)?;
            return Ok(disk);
        }
    }
    let name = locator.path("relative_path").unwrap_or_default().to_owned();
    Err(VirtualDiskError::NoParent {
        path: path.to_path_buf(),
        name,
        tried: candidates,
    })
}

fn candidates(path: &Path, locator: &ParentLocator) -> Vec<PathBuf> {
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let text = |key| locator.path(key).map(|text| text.replace('\\', "/"));
    let mut found = Vec::new();
    if let Some(relative) = text("relative_path")
        && !relative.starts_with('/')
    {
        found.push(folder.join(relative.trim_start_matches("./")));
    }
    if let Some(absolute) = text("absolute_win32_path") {
        found.extend(
            Path::new(&absolute)
                .file_name()
                .map(|name| folder.join(name)),
        );
        // `C:/...` is no path of this machine.
        found.extend(absolute.starts_with('/').then(|| PathBuf::from(&absolute)));
    }
    found.dedup();
    found
}
