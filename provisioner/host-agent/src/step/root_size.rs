// SPDX-License-Identifier: Apache-2.0
//! The root file system fills its partition: `resize2fs` while it is mounted. It only ever grows.

use super::mount_table::mounted_at;
use crate::error::AgentError;
use crate::host::Host;
use crate::root::Root;
use groundstate_api::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Linux counts block devices in sectors of this many bytes, whatever the disk's own.
const SECTOR_BYTES: u64 = 512;
/// resize2fs leaves a last block group away that is too small for its own tables (about 1,600 blocks at most).
const BLOCKS_LEFT_AT_END_MAX: u64 = 2048;
/// Where the ext4 superblock is, and how much of it is read.
const SUPERBLOCK_AT: u64 = 1024;
const SUPERBLOCK_BYTES: usize = 1024;
const EXT4_MAGIC: [u8; 2] = [0x53, 0xef];

pub(super) fn observe(root: &Root) -> Result<String, AgentError> {
    let file_system = FileSystem::of(root)?;
    Ok(Bytes(file_system.blocks.saturating_mul(file_system.block_bytes)).to_string())
}

pub(super) fn is_reached(root: &Root) -> Result<bool, AgentError> {
    let file_system = FileSystem::of(root)?;
    let room = file_system.partition.0 / file_system.block_bytes;
    Ok(room.saturating_sub(file_system.blocks) <= BLOCKS_LEFT_AT_END_MAX)
}

pub(super) fn act<H: Host>(root: &Root, host: &H) -> Result<(), AgentError> {
    let device = FileSystem::of(root)?.device;
    host.command("resize2fs", &[&root.at(&device).to_string_lossy()])?;
    if is_reached(root)? {
        return Ok(());
    }
    Err(AgentError::Root(format!(
        "resize2fs said it is done, but {device} is still {}",
        observe(root)?
    )))
}

/// The root file system as its own superblock describes it, and its partition.
#[derive(Debug)]
struct FileSystem {
    device: String,
    partition: Bytes,
    block_bytes: u64,
    blocks: u64,
}

impl FileSystem {
    fn of(root: &Root) -> Result<Self, AgentError> {
        let mount = mounted_at(root, "/")?
            .ok_or_else(|| AgentError::Root("nothing is mounted at /".into()))?;
        if mount.kind != "ext4" {
            return Err(AgentError::Root(format!(
                "{} is {}, not ext4",
                mount.source, mount.kind
            )));
        }
        let sysfs = format!("sys/dev/block/{}", mount.device);
        let uevent = root
            .read_text(&format!("{sysfs}/uevent"))?
            .unwrap_or_default();
        let name = uevent
            .lines()
            .find_map(|line| line.strip_prefix("DEVNAME="));
        let name = name.ok_or_else(|| {
            AgentError::Root(format!("device {} has no name in /{sysfs}", mount.device))
        })?;
        let sectors = root
            .read_text(&format!("{sysfs}/size"))?
            .and_then(|text| text.trim().parse::<u64>().ok());
        let sectors =
            sectors.ok_or_else(|| AgentError::Root(format!("/{sysfs}/size is not a number")))?;
        let device = format!("dev/{name}");
        let path = root.at(&device);
        let superblock =
            read_superblock(&path).map_err(|error| AgentError::Read { path, error })?;
        let (block_bytes, blocks) = parse_superblock(&superblock)
            .ok_or_else(|| AgentError::Root(format!("/{device} has no ext4 superblock")))?;
        Ok(Self {
            device,
            partition: Bytes(sectors.saturating_mul(SECTOR_BYTES)),
            block_bytes,
            blocks,
        })
    }
}

fn read_superblock(path: &std::path::Path) -> io::Result<[u8; SUPERBLOCK_BYTES]> {
    let mut bytes = [0; SUPERBLOCK_BYTES];
    File::open(path)?.read_exact_at(&mut bytes, SUPERBLOCK_AT)?;
    Ok(bytes)
}

/// Block size in bytes and number of blocks (kernel documentation, ext4 "Super Block").
fn parse_superblock(bytes: &[u8; SUPERBLOCK_BYTES]) -> Option<(u64, u64)> {
    let le32 = |at: usize| {
        bytes
            .get(at..at + 4)?
            .try_into()
            .ok()
            .map(u32::from_le_bytes)
    };
    if bytes.get(0x38..0x3a)? != EXT4_MAGIC {
        return None;
    }
    let block_bytes = 1024u64
        .checked_shl(le32(0x18)?)
        .filter(|size| (1024..=65_536).contains(size))?;
    let is_64bit = le32(0x60)? & 0x80 != 0;
    let high = if is_64bit { le32(0x150)? } else { 0 };
    Some((block_bytes, u64::from(high) << 32 | u64::from(le32(0x04)?)))
}
