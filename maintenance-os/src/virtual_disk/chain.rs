// SPDX-License-Identifier: Apache-2.0
//! Opens a VHD with all of its parents.
//!
//! A parent is looked for where a person says; else at the child's relative path, beside the child, and at its absolute
//! path. What is found there is only taken where identity, size and time agree, so a path in a foreign file opens
//! nothing but the parent.

use super::error::VirtualDiskError;
use super::file::{DiskFile, Identity};
use super::identity::since_2000;
use mos_core::vhd::{CHAIN_MAX, Kind, Locator, ParentTime, Platform, Refusal, Vhd};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// How parents are found and judged.
#[derive(Clone, Debug, Default)]
pub struct Parents {
    /// The parent of the named file, wherever its header says it is.
    pub first: Option<PathBuf>,
    /// Takes parents whose time of change is not the one that the child has: a copied file carries its own.
    pub any_time: bool,
}

/// Opens one VHD without its parents.
pub(super) fn open_alone(path: &Path) -> Result<Vhd<DiskFile>, VirtualDiskError> {
    let file = DiskFile::open(path, false)
        .map_err(VirtualDiskError::io("opening", path))?
        .ok_or_else(|| VirtualDiskError::NotAFile {
            path: path.to_path_buf(),
        })?;
    Vhd::open(file).map_err(VirtualDiskError::vhd("reading", path))
}

/// Opens the VHD and attaches its chain of parents.
pub(super) fn open_chain(
    path: &Path,
    parents: &Parents,
) -> Result<Vhd<DiskFile>, VirtualDiskError> {
    climb(
        path,
        parents.first.as_deref(),
        parents.any_time,
        &mut Vec::new(),
    )
}

fn climb(
    path: &Path,
    stated: Option<&Path>,
    any_time: bool,
    seen: &mut Vec<Identity>,
) -> Result<Vhd<DiskFile>, VirtualDiskError> {
    let mut vhd = open_alone(path)?;
    if vhd.footer().kind != Kind::Differencing {
        return Ok(vhd);
    }
    let own = vhd
        .source()
        .identity()
        .map_err(VirtualDiskError::io("reading", path))?;
    let refused = |why| VirtualDiskError::Vhd {
        path: path.to_path_buf(),
        why,
    };
    if seen.contains(&own) {
        let id = groundstate_api::SystemUuid(vhd.footer().id);
        return Err(refused(Refusal::ParentLoop(id)));
    }
    if seen.len() + 1 >= CHAIN_MAX {
        return Err(refused(Refusal::ChainTooLong(CHAIN_MAX)));
    }
    seen.push(own);
    let candidates = match stated {
        Some(stated) => vec![stated.to_path_buf()],
        None => candidates(path, &mut vhd)?,
    };
    let mut wrong = None;
    for candidate in &candidates {
        if stated.is_none() && !candidate.exists() {
            continue;
        }
        let known = seen.len();
        let attached = climb(candidate, None, any_time, seen)
            .and_then(|parent| attach(path, &mut vhd, candidate, parent, any_time));
        match attached {
            Ok(()) => return Ok(vhd),
            Err(error) => {
                seen.truncate(known);
                wrong.get_or_insert(error);
            }
        }
    }
    let name = vhd
        .header()
        .map_or_else(String::new, |header| header.parent_name.clone());
    Err(wrong.unwrap_or_else(|| VirtualDiskError::NoParent {
        path: path.to_path_buf(),
        name,
        tried: candidates,
    }))
}

fn attach(
    path: &Path,
    vhd: &mut Vhd<DiskFile>,
    candidate: &Path,
    mut parent: Vhd<DiskFile>,
    any_time: bool,
) -> Result<(), VirtualDiskError> {
    let time = if any_time {
        ParentTime::Any
    } else {
        let modified = modified(parent.source());
        ParentTime::Modified(modified.map_err(VirtualDiskError::io("reading", candidate))?)
    };
    vhd.attach(parent, time)
        .map_err(|why| VirtualDiskError::WrongParent {
            path: path.to_path_buf(),
            parent: candidate.to_path_buf(),
            why,
        })
}

/// Refuses a new file that would replace a disk of the chain that it stands on.
pub(super) fn spares(opened: &mut Vhd<DiskFile>, path: &Path) -> Result<(), VirtualDiskError> {
    let mut depth = 0;
    while let Some(one) = opened.ancestor(depth) {
        is_spared(one.source(), path)?;
        depth += 1;
    }
    Ok(())
}

/// Refuses to replace this file.
pub(super) fn is_spared(file: &DiskFile, path: &Path) -> Result<(), VirtualDiskError> {
    // What is not there is not replaced.
    let there = path.metadata().map(|found| (found.dev(), found.ino()));
    let own = file.identity();
    match (own, there) {
        (Ok(own), Ok(there)) if own == there => Err(VirtualDiskError::ReplacesItsSource {
            path: path.to_path_buf(),
        }),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => Ok(()),
    }
}

/// When the file was last changed, as VHDs tell it.
pub(super) fn modified(file: &DiskFile) -> io::Result<u32> {
    Ok(since_2000(file.file().metadata()?.mtime()))
}

/// Where the parent may be, nearest first.
pub(super) fn candidates(
    path: &Path,
    vhd: &mut Vhd<DiskFile>,
) -> Result<Vec<PathBuf>, VirtualDiskError> {
    let locators = vhd
        .locators()
        .map_err(VirtualDiskError::vhd("reading", path))?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let paths = |platform| {
        locators
            .iter()
            .filter(move |locator: &&Locator| locator.platform == platform)
            .map(|locator| locator.path.replace('\\', "/"))
    };
    let mut found: Vec<PathBuf> = paths(Platform::W2ru)
        .filter(|relative| !relative.is_empty() && !relative.starts_with('/'))
        .map(|relative| folder.join(relative.trim_start_matches("./")))
        .collect();
    if let Some(header) = vhd.header() {
        let name = header.parent_name.replace('\\', "/");
        if let Some(name) = Path::new(&name).file_name() {
            found.push(folder.join(name));
        }
    }
    // `C:/...` is no path of this machine.
    found.extend(
        paths(Platform::W2ku)
            .filter(|p| p.starts_with('/'))
            .map(PathBuf::from),
    );
    let mut unique: Vec<PathBuf> = Vec::new();
    for candidate in found {
        if !unique.contains(&candidate) {
            unique.push(candidate);
        }
    }
    Ok(unique)
}

/// The paths of `parent` for a child at `path`: relative to the child with backslashes, and absolute.
pub(super) fn paths_of(parent: &Path, path: &Path) -> Result<(String, String), VirtualDiskError> {
    let absolute = |path: &Path| {
        path.canonicalize()
            .map_err(VirtualDiskError::io("finding", path))
    };
    let parent = absolute(parent)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => absolute(folder)?,
        Some(_) | None => absolute(Path::new("."))?,
    };
    let refused = |why| VirtualDiskError::Path {
        path: parent.clone(),
        why,
    };
    let text = parent.to_str().ok_or_else(|| refused("it is no UTF-8"))?;
    if text.contains('\\') {
        return Err(refused("a backslash separates folders there"));
    }
    let common = folder
        .components()
        .zip(parent.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = folder.components().count() - common;
    let down: PathBuf = parent.components().skip(common).collect();
    let down = down.to_str().unwrap_or_default().replace('/', "\\");
    let relative = if up == 0 {
        format!(".\\{down}")
    } else {
        "..\\".repeat(up) + &down
    };
    Ok((relative, text.to_owned()))
}
