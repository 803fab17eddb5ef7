// SPDX-License-Identifier: Apache-2.0
//! What a virtual disk's file says of itself. Parents are named, not opened.

use super::chain::{self, Parents};
use super::disk::{Disk, Format, Opened};
use super::error::VirtualDiskError;
use super::fiemap::{Physical, physical};
use super::identity::EPOCH;
use groundstate_api::SystemUuid;
use mos_core::random_access::ReadAt as _;
use mos_core::vhd::{Locator, Vhd};
use mos_core::vhdx::{self, LogState, Vhdx};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The blocks of a disk that has any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockInfo {
    /// Bytes in a block.
    pub size: u64,
    /// Blocks of the disk.
    pub count: Option<u64>,
    /// Blocks that exist in the file.
    pub existing: Option<u64>,
    /// Whether they lie in the disk's order.
    pub in_order: Option<bool>,
}

/// What a differencing disk says of its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ParentInfo {
    /// Its id.
    pub id: String,
    /// Its file name, where it is told.
    pub name: String,
    /// Its paths as they stand in the file.
    pub paths: Vec<String>,
    /// When it was last changed, in seconds since 1970, where it is told.
    pub modified: Option<i64>,
    /// Whether a file is where the paths lead.
    pub found: Option<PathBuf>,
}

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Info {
    /// The file.
    pub path: PathBuf,
    /// The format.
    pub format: Format,
    /// `fixed`, `dynamic`, `differencing`; a raw disk has none.
    #[serde(rename = "type")]
    pub kind: Option<&'static str>,
    /// The size that a virtual machine sees.
    pub size: u64,
    /// The size that QEMU shows, where it is another: it counts by the geometry.
    pub size_in_qemu: Option<u64>,
    /// Length of the file.
    pub file_length: u64,
    /// Bytes that the file system really gave it.
    pub allocated: u64,
    /// How the file lies on its device.
    pub physical: Option<Physical>,
    /// The disk's id.
    pub id: Option<String>,
    /// Who made it.
    pub creator: Option<String>,
    /// When it was made, in seconds since 1970.
    pub made: Option<i64>,
    /// Its blocks.
    pub blocks: Option<BlockInfo>,
    /// Its parent.
    pub parent: Option<ParentInfo>,
    /// What a person should know: a virtual machine is suspended on it, a log was left behind, a footer is torn.
    pub notes: Vec<String>,
}

/// Tells what the file says of itself.
///
/// # Errors
/// By name, whatever is wrong with the file.
pub fn info(path: &Path, stated: Option<Format>) -> Result<Info, VirtualDiskError> {
    let mut disk = Disk::open(path, stated, &Parents::default(), true)?;
    let reading = || VirtualDiskError::io("reading", path);
    let mut info = Info {
        path: path.to_path_buf(),
        format: disk.format(),
        kind: None,
        size: disk.size(),
        size_in_qemu: None,
        file_length: disk.file().len(),
        allocated: disk.file().allocated().map_err(reading())?,
        physical: physical(disk.file().file()).map_err(reading())?,
        id: None,
        creator: None,
        made: None,
        blocks: None,
        parent: None,
        notes: Vec::new(),
    };
    match &mut disk.format {
        Opened::Raw(_) => {
            if let Ok(found) = Format::recognised(path) {
                let found = found.as_str();
                info.notes
                    .push(format!("it is read as raw and bears the mark of a {found}"));
            }
        }
        Opened::Vhd(vhd) => vhd_info(&mut info, vhd)?,
        Opened::Vhdx { disk, .. } => vhdx_info(&mut info, disk),
    }
    Ok(info)
}

fn vhd_info(info: &mut Info, vhd: &mut Vhd<super::DiskFile>) -> Result<(), VirtualDiskError> {
    let footer = *vhd.footer();
    info.kind = Some(footer.kind.as_str());
    info.size_in_qemu = Some(footer.qemu_size().0).filter(|size| *size != info.size);
    info.id = Some(SystemUuid(footer.id).to_string());
    let creator = String::from_utf8_lossy(&footer.creator).replace('\0', "");
    let (major, minor) = (
        footer.creator_version >> 16,
        footer.creator_version & 0xffff,
    );
    info.creator = Some(format!("{} {major}.{minor}", creator.trim()));
    info.made = Some(i64::from(footer.timestamp) + EPOCH);
    if let (Some(header), Some((count, existing))) = (vhd.header(), vhd.block_count()) {
        info.blocks = Some(BlockInfo {
            size: header.block_size,
            count: Some(count.into()),
            existing: Some(existing.into()),
            in_order: Some(vhd.in_order()),
        });
    }
    if footer.saved_state != 0 {
        info.notes
            .push("a virtual machine is suspended on it".to_owned());
    }
    if footer.features & 1 != 0 {
        info.notes.push("it is marked as temporary".to_owned());
    }
    info.notes
        .extend(vhd.faults().iter().map(ToString::to_string));
    if footer.kind != mos_core::vhd::Kind::Differencing {
        return Ok(());
    }
    let locators = vhd
        .locators()
        .map_err(VirtualDiskError::vhd("reading", &info.path))?;
    let candidates = chain::candidates(&info.path, vhd)?;
    if let Some(header) = vhd.header() {
        info.parent = Some(ParentInfo {
            id: SystemUuid(header.parent_id).to_string(),
            name: header.parent_name.clone(),
            paths: locators
                .into_iter()
                .map(|Locator { path, .. }| path)
                .collect(),
            modified: Some(i64::from(header.parent_timestamp) + EPOCH),
            found: candidates.into_iter().find(|path| path.exists()),
        });
    }
    Ok(())
}

fn vhdx_info(info: &mut Info, disk: &Vhdx<super::DiskFile>) {
    let facts = disk.facts();
    info.kind = Some(match facts.kind {
        vhdx::Kind::Fixed => "fixed",
        vhdx::Kind::Dynamic => "dynamic",
        vhdx::Kind::Differencing => "differencing",
    });
    info.id = Some(facts.disk_id.lower());
    info.creator = Some(facts.creator.clone());
    info.blocks = Some(BlockInfo {
        size: facts.block_size.0,
        count: Some(facts.size.0.div_ceil(facts.block_size.0)),
        existing: None,
        in_order: None,
    });
    if let LogState::Replayed { entries } = facts.log {
        info.notes.push(format!(
            "it was not closed: {entries} entries of its log were replayed in memory, and the file was left as it is"
        ));
    }
    info.parent = facts.parent.as_ref().map(|parent| ParentInfo {
        id: parent.linkage.lower(),
        name: parent.path("relative_path").unwrap_or_default().to_owned(),
        paths: parent.paths.iter().map(|(_, path)| path.clone()).collect(),
        modified: None,
        found: None,
    });
}
