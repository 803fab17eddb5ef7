// SPDX-License-Identifier: Apache-2.0
//! Makes a new virtual disk. What is preallocated is really there: the file system is asked how much it gave.

use super::chain::{self, Parents};
use super::disk::Format;
use super::error::VirtualDiskError;
use super::fiemap::physical;
use super::file::DiskFile;
use super::new_file::NewFile;
use super::reserve::{How, ReserveError, reserve};
use super::{identity, vhdx_chain};
use groundstate_api::{Bytes, SystemUuid};
use mos_core::guid::Guid;
use mos_core::random_access::WriteAt as _;
use mos_core::vhd::{self, Locator, New, Platform, Shape, VhdError};
use mos_core::vhdx::{self, NewDisk, NewIds, NewKind, ParentLocator, VhdxError};
use serde::Serialize;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Who made it, in a VHDX.
const CREATOR: &str = "groundstate";

/// What a new disk consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Every byte has its place; always reserved in full.
    Fixed,
    /// Blocks, as they are written or all at once.
    Dynamic,
    /// Blocks over this parent.
    Differencing(PathBuf),
}

/// A disk to be made.
#[derive(Clone, Debug)]
pub struct Create {
    /// Where.
    pub path: PathBuf,
    /// VHD or VHDX.
    pub format: Format,
    /// Its size; that of the parent where there is none.
    pub size: Option<Bytes>,
    /// What it consists of.
    pub contents: Contents,
    /// Whether every block exists from the start. A fixed disk is always there in full.
    pub preallocate: bool,
    /// Replaces an existing file.
    pub force: bool,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Created {
    /// Where.
    pub path: PathBuf,
    /// VHD or VHDX.
    pub format: Format,
    /// `fixed`, `dynamic` or `differencing`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The size that a virtual machine sees.
    pub size: u64,
    /// The disk's id.
    pub id: String,
    /// Length of the file.
    pub file_length: u64,
    /// Bytes that the file system really gave it.
    pub allocated: u64,
    /// How its space was reserved; absent where none was.
    pub reserved: Option<How>,
    /// In how many pieces its reserved space lies on the device; absent where the file system does not tell.
    pub extents: Option<u64>,
}

/// Makes the disk. It appears under its name when it is whole and durable.
///
/// # Errors
/// By name; nothing is left behind.
pub fn create(request: &Create) -> Result<Created, VirtualDiskError> {
    let id = identity::fresh().map_err(VirtualDiskError::io("making an id for", &request.path))?;
    match request.format {
        Format::Raw => Err(VirtualDiskError::Usage {
            what: "a raw file is made by `truncate` or `fallocate`; here the format is vhd or vhdx",
        }),
        Format::Vhd => create_vhd(request, id),
        Format::Vhdx => create_vhdx(request, id),
    }
}

fn size_of(request: &Create) -> Result<Bytes, VirtualDiskError> {
    request.size.ok_or(VirtualDiskError::Usage {
        what: "a size is needed; only a differencing disk takes its parent's",
    })
}

fn not_its_own(parent: &Path, path: &Path) -> Result<(), VirtualDiskError> {
    let same = match (parent.canonicalize(), path.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        (Err(_), _) | (_, Err(_)) => false,
    };
    if same {
        return Err(VirtualDiskError::ReplacesItsSource {
            path: path.to_path_buf(),
        });
    }
    Ok(())
}

/// A child is of its parent's format.
fn same_format(parent: &Path, format: Format) -> Result<(), VirtualDiskError> {
    match (Format::recognised(parent), format) {
        (Ok(Format::Vhdx), Format::Vhd) => Err(VirtualDiskError::Usage {
            what: "the parent is a VHDX, and a VHD's parent is a VHD; give the new file the format vhdx, or convert the parent",
        }),
        (Ok(Format::Vhd), Format::Vhdx) => Err(VirtualDiskError::Usage {
            what: "the parent is a VHD, and a VHDX's parent is a VHDX; give the new file the format vhd, or convert the parent",
        }),
        // What it is not, who opens it says better.
        (Ok(Format::Vhd | Format::Vhdx | Format::Raw) | Err(_), _) => Ok(()),
    }
}

fn same_size(request: &Create, parent: Bytes) -> Result<Bytes, VirtualDiskError> {
    match request.size {
        Some(size) if size != parent => Err(VirtualDiskError::Usage {
            what: "a differencing disk has the size of its parent; leave `--size` out",
        }),
        Some(_) | None => Ok(parent),
    }
}

fn create_vhd(request: &Create, id: [u8; 16]) -> Result<Created, VirtualDiskError> {
    let path = &request.path;
    let preallocated = request.preallocate;
    let (size, shape, kind) = match &request.contents {
        Contents::Fixed => (size_of(request)?, Shape::Fixed, "fixed"),
        Contents::Dynamic => {
            let shape = Shape::Dynamic { preallocated };
            (size_of(request)?, shape, "dynamic")
        }
        Contents::Differencing(parent) => {
            not_its_own(parent, path)?;
            same_format(parent, Format::Vhd)?;
            let (size, parent) = vhd_parent(parent, path)?;
            let shape = Shape::Differencing {
                parent,
                preallocated,
            };
            (same_size(request, size)?, shape, "differencing")
        }
    };
    let full = preallocated || shape == Shape::Fixed;
    let new = New {
        size,
        id,
        timestamp: identity::now(),
        shape,
    };
    let layout = vhd::Layout::of(&new).map_err(|why| VirtualDiskError::Vhd {
        path: path.clone(),
        why,
    })?;
    finish(
        request,
        kind,
        size,
        id,
        full.then(|| layout.length()),
        |file, at| {
            layout
                .write(file)
                .map_err(VirtualDiskError::vhd("writing", at))
        },
    )
}

/// What a child must know of the VHD that is its parent. The parent's own chain must hold.
fn vhd_parent(parent: &Path, path: &Path) -> Result<(Bytes, vhd::Parent), VirtualDiskError> {
    let mut opened = chain::open_chain(parent, &Parents::default())?;
    chain::spares(&mut opened, path)?;
    let modified = chain::modified(opened.source());
    let (relative, absolute) = chain::paths_of(parent, path)?;
    let name = Path::new(&absolute).file_name();
    let found = vhd::Parent {
        id: opened.footer().id,
        modified: modified.map_err(VirtualDiskError::io("reading", parent))?,
        name: name.map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        paths: vec![
            Locator {
                platform: Platform::W2ru,
                path: relative,
            },
            Locator {
                platform: Platform::W2ku,
                path: absolute,
            },
        ],
    };
    Ok((opened.size(), found))
}

fn create_vhdx(request: &Create, id: [u8; 16]) -> Result<Created, VirtualDiskError> {
    let path = &request.path;
    let (size, new_kind, kind) = match &request.contents {
        Contents::Fixed => (size_of(request)?, NewKind::Fixed, "fixed"),
        Contents::Dynamic if request.preallocate => {
            (size_of(request)?, NewKind::DynamicFull, "dynamic")
        }
        Contents::Dynamic => (size_of(request)?, NewKind::Dynamic, "dynamic"),
        Contents::Differencing(_) if request.preallocate => {
            return Err(VirtualDiskError::Usage {
                what: "a differencing VHDX is not preallocated: a block of it that exists hides its parent; \
                       a differencing VHD can be",
            });
        }
        Contents::Differencing(parent) => {
            not_its_own(parent, path)?;
            same_format(parent, Format::Vhdx)?;
            let opened = vhdx_chain::open_chain(parent, &Parents::default())?;
            let (relative, _) = chain::paths_of(parent, path)?;
            let locator = ParentLocator {
                linkage: opened.facts().data_write,
                linkage2: None,
                paths: vec![("relative_path".to_owned(), relative)],
            };
            vhdx_chain::spares(&opened, path)?;
            let size = same_size(request, opened.facts().size)?;
            (size, NewKind::Differencing(locator), "differencing")
        }
    };
    let full = matches!(new_kind, NewKind::Fixed | NewKind::DynamicFull);
    let layout = new_vhdx(path, size, new_kind, id)?;
    finish(
        request,
        kind,
        size,
        id,
        full.then_some(layout.file_len),
        |file, at| {
            let writing = || VirtualDiskError::io("writing", at);
            for write in layout.body() {
                file.write_at(write.at, &write.bytes).map_err(writing())?;
            }
            file.file()
                .set_len(layout.file_len)
                .and_then(|()| file.flush())
                .map_err(writing())?;
            for write in layout.seal() {
                file.write_at(write.at, &write.bytes).map_err(writing())?;
            }
            Ok(())
        },
    )
}

/// Lays out a VHDX of this moment's identities.
pub(super) fn new_vhdx(
    path: &Path,
    size: Bytes,
    kind: NewKind,
    id: [u8; 16],
) -> Result<vhdx::Layout, VirtualDiskError> {
    let fresh = || {
        let id = identity::fresh().map_err(VirtualDiskError::io("making an id for", path))?;
        Ok::<_, VirtualDiskError>(Guid(id))
    };
    let ids = NewIds {
        file_write: fresh()?,
        data_write: fresh()?,
        disk: Guid(id),
    };
    lay_out_vhdx(size, kind, ids).map_err(|why| VirtualDiskError::Vhdx {
        path: path.to_path_buf(),
        why,
    })
}

/// Lays out a VHDX with sectors of 512 bytes on 4 KiB. The same arguments give the same bytes.
///
/// # Errors
/// [`VhdxError`] for a size that a VHDX cannot have.
pub fn lay_out_vhdx(size: Bytes, kind: NewKind, ids: NewIds) -> Result<vhdx::Layout, VhdxError> {
    vhdx::Layout::new(&NewDisk {
        size,
        block_size: None,
        logical_sector: 512,
        physical_sector: 4_096,
        kind,
        ids,
        creator: CREATOR.to_owned(),
    })
}

/// Begins the file, reserves `full` bytes of it, writes it, proves that the space is there, and names it.
fn finish(
    request: &Create,
    kind: &'static str,
    size: Bytes,
    id: [u8; 16],
    full: Option<u64>,
    write: impl FnOnce(&mut DiskFile, &Path) -> Result<(), VirtualDiskError>,
) -> Result<Created, VirtualDiskError> {
    let (new, file) = NewFile::begin(&request.path, request.force)?;
    let writing = || VirtualDiskError::io("writing", new.temporary());
    let reserved = full
        .map(|length| reserve_named(&file, &request.path, length))
        .transpose()?;
    let mut file = DiskFile::new(file).map_err(writing())?;
    write(&mut file, new.temporary())?;
    let length = file.file().metadata().map_err(writing())?.len();
    let allocated = file.allocated().map_err(writing())?;
    if full.is_some() && allocated < length {
        return Err(VirtualDiskError::NotAllocated {
            path: request.path.clone(),
            length,
            allocated,
        });
    }
    // What grows is not on the device yet, and has nothing to show.
    let extents = match reserved {
        Some(_) => physical(file.file()).map_err(writing())?,
        None => None,
    };
    new.finish(file.file())?;
    Ok(Created {
        path: request.path.clone(),
        format: request.format,
        kind,
        size: size.0,
        id: SystemUuid(id).to_string(),
        file_length: length,
        allocated,
        reserved,
        extents: extents.map(|physical| physical.extents),
    })
}

/// Reserves, and names the file where that fails.
pub(super) fn reserve_named(
    file: &File,
    path: &Path,
    length: u64,
) -> Result<How, VirtualDiskError> {
    reserve(file, length).map_err(|why: ReserveError| VirtualDiskError::Reserve {
        path: path.to_path_buf(),
        why,
    })
}

/// Writes the frame of a new VHD into an empty file and opens it.
pub(super) fn begin_vhd(
    mut file: DiskFile,
    new: &New,
    path: &Path,
) -> Result<vhd::Vhd<DiskFile>, VirtualDiskError> {
    let refused = VirtualDiskError::vhd("writing", path);
    let layout = vhd::Layout::of(new).map_err(|why| refused(VhdError::Refused(why)))?;
    layout.write(&mut file).map_err(&refused)?;
    vhd::Vhd::open(file).map_err(&refused)
}
