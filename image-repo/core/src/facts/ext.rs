// SPDX-License-Identifier: Apache-2.0
//! Reads folders and the first bytes of files of ext2, ext3 and ext4 (Linux, Documentation/filesystems/ext4). It follows
//! symbolic links within the file system, and neither replays a journal nor reads encrypted or inline folders.

use super::image_facts::FileSystemFacts;
use super::read::{Found, Halt, Region, Source, array, le16, le32};
use super::tree::{FOLDER_MAX, Name, label};
use alloc::collections::VecDeque;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::{Bytes, SystemUuid};

const MAGIC: u16 = 0xef53;
const ROOT: u32 = 2;
const COMPAT_JOURNAL: u32 = 0x4;
const INCOMPAT_META_GROUPS: u32 = 0x10;
const INCOMPAT_64BIT: u32 = 0x80;
/// What ext2 and ext3 know: file types, recovery, meta block groups.
const INCOMPAT_EXT3: u32 = 0x2 | 0x4 | 0x10;
const RO_COMPAT_SPARSE: u32 = 0x1;
/// Sparse superblocks, large files, b-tree folders.
const RO_COMPAT_EXT3: u32 = 0x1 | 0x2 | 0x4;
const FLAG_EXTENTS: u32 = 0x8_0000;
const FLAG_INLINE: u32 = 0x1000_0000;
const MODE_FOLDER: u16 = 0o040_000;
const MODE_FILE: u16 = 0o100_000;
const MODE_LINK: u16 = 0o120_000;
/// An extent that is longer is one whose blocks were never written.
const EXTENT_WRITTEN_MAX: u16 = 32_768;
/// The deepest extent tree that there can be.
const DEPTH_MAX: u16 = 5;
/// The most steps along a path, links resolved: links may lead to themselves.
const STEPS_MAX: u32 = 128;
/// The longest target of a symbolic link, in bytes.
const TARGET_MAX: usize = 4096;

pub(super) struct Ext {
    pub(super) facts: FileSystemFacts,
    region: Region,
    block: u64,
    first_block: u64,
    groups: Groups,
}

struct Groups {
    inodes: u32,
    inodes_per: u32,
    blocks_per: u64,
    inode_size: u64,
    descriptor: u64,
    is_wide: bool,
    /// From which block of descriptors on they lie in their own groups.
    meta_from: u64,
    is_sparse: bool,
}

struct Inode {
    mode: u16,
    size: u64,
    flags: u32,
    map: [u8; 60],
}

impl Inode {
    const fn is(&self, mode: u16) -> bool {
        self.mode & 0o170_000 == mode
    }
}

impl Ext {
    pub(super) fn open(source: &mut Source<'_>, region: Region) -> Found<Option<Self>> {
        let Some(bytes) = region.bytes(source, 1024, 1024)? else {
            return Ok(None);
        };
        if le16(&bytes, 56) != Some(MAGIC) {
            return Ok(None);
        }
        let damaged = Halt::Damaged("the ext superblock makes no sense");
        superblock(&bytes, region).map(Some).ok_or(damaged)
    }

    pub(super) fn list(&self, source: &mut Source<'_>, path: &str) -> Found<Option<Vec<Name>>> {
        let Some(inode) = self.find(source, path)? else {
            return Ok(None);
        };
        if !inode.is(MODE_FOLDER) {
            return Ok(None);
        }
        let mut names = Vec::new();
        for (name, number, kind) in self.entries(source, &inode)? {
            const KIND_FOLDER: u8 = 2;
            const KIND_LINK: u8 = 7;
            let Ok(name) = String::from_utf8(name) else {
                continue;
            };
            let is_folder = match kind {
                // A link may lead to a folder, and old file systems have no kinds.
                0 | KIND_LINK => self.inode(source, number)?.is(MODE_FOLDER),
                kind => kind == KIND_FOLDER,
            };
            names.push(Name { name, is_folder });
        }
        Ok(Some(names))
    }

    pub(super) fn head(
        &self,
        source: &mut Source<'_>,
        path: &str,
        max: usize,
    ) -> Found<Option<Vec<u8>>> {
        match self.find(source, path)? {
            Some(inode) if inode.is(MODE_FILE) => self.read(source, &inode, max).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    /// Follows the path and its links from the root; `None` where it leads nowhere.
    fn find(&self, source: &mut Source<'_>, path: &str) -> Found<Option<Inode>> {
        let mut left: VecDeque<Vec<u8>> = parts(path.as_bytes());
        let mut folders: Vec<u32> = vec![];
        let mut here = self.inode(source, ROOT)?;
        for _ in 0..STEPS_MAX {
            let Some(part) = left.pop_front() else {
                return Ok(Some(here));
            };
            if part == b".." {
                folders.pop();
                here = self.inode(source, folders.last().copied().unwrap_or(ROOT))?;
                continue;
            }
            if !here.is(MODE_FOLDER) {
                return Ok(None);
            }
            let entries = self.entries(source, &here)?;
            let Some((_, number, _)) = entries.into_iter().find(|(name, _, _)| *name == part)
            else {
                return Ok(None);
            };
            let next = self.inode(source, number)?;
            if next.is(MODE_LINK) {
                let target = self.target(source, &next)?;
                if target.first() == Some(&b'/') {
                    folders.clear();
                    here = self.inode(source, ROOT)?;
                }
                for part in parts(&target).into_iter().rev() {
                    left.push_front(part);
                }
            } else {
                folders.push(number);
                here = next;
            }
        }
        Err(Halt::Damaged("symbolic links lead in a circle"))
    }

    fn target(&self, source: &mut Source<'_>, link: &Inode) -> Found<Vec<u8>> {
        let short = usize::try_from(link.size).ok().filter(|size| *size < 60);
        match short {
            Some(size) if link.flags & FLAG_EXTENTS == 0 => {
                Ok(link.map.get(..size).unwrap_or(&[]).to_vec())
            }
            Some(_) | None => self.read(source, link, TARGET_MAX),
        }
    }

    /// The folder's names as bytes, with inode number and kind.
    fn entries(&self, source: &mut Source<'_>, folder: &Inode) -> Found<Vec<(Vec<u8>, u32, u8)>> {
        if folder.flags & FLAG_INLINE != 0 {
            return Err(Halt::Damaged("a folder lies within its inode: not read"));
        }
        let bytes = self.read(source, folder, FOLDER_MAX)?;
        let mut entries = Vec::new();
        let block = usize::try_from(self.block).unwrap_or(usize::MAX);
        for block in bytes.chunks(block) {
            let mut rest = block;
            while let Some(head) = array::<8>(rest, 0) {
                let [a, b, c, d, low, high, name, kind] = head;
                let number = u32::from_le_bytes([a, b, c, d]);
                let length = usize::from(u16::from_le_bytes([low, high]));
                // Blocks of 64 KiB have a length that two bytes do not hold.
                let length = if length == 0 || length == 65_535 {
                    rest.len()
                } else {
                    length
                };
                let name = rest.get(8..8 + usize::from(name));
                let (Some(name), Some(next)) = (name, rest.get(length..)) else {
                    return Err(Halt::Damaged(
                        "an entry of a folder is longer than its block",
                    ));
                };
                if length < 8 {
                    return Err(Halt::Damaged(
                        "an entry of a folder is shorter than its head",
                    ));
                }
                if number != 0 && !matches!(name, b"" | b"." | b"..") {
                    entries.push((name.to_vec(), number, kind));
                }
                rest = next;
            }
        }
        Ok(entries)
    }

    /// The first bytes, at most `max`; holes are zeros.
    fn read(&self, source: &mut Source<'_>, inode: &Inode, max: usize) -> Found<Vec<u8>> {
        let length = usize::try_from(inode.size).unwrap_or(max).min(max);
        if inode.flags & FLAG_INLINE != 0 {
            return Ok(inode
                .map
                .get(..length.min(inode.map.len()))
                .unwrap_or(&[])
                .to_vec());
        }
        let mut bytes = Vec::new();
        for logical in 0.. {
            let left = length - bytes.len();
            if left == 0 {
                break;
            }
            let count = usize::try_from(self.block).unwrap_or(left).min(left);
            match self.physical(source, inode, logical)? {
                Some(physical) => {
                    let piece = self.at_block(source, physical, 0, count)?;
                    bytes.extend_from_slice(&piece);
                }
                None => bytes.resize(bytes.len() + count, 0),
            }
        }
        Ok(bytes)
    }

    fn at_block(
        &self,
        source: &mut Source<'_>,
        block: u64,
        skip: u64,
        count: usize,
    ) -> Found<Vec<u8>> {
        let at = block
            .checked_mul(self.block)
            .and_then(|at| at.checked_add(skip));
        let past = Halt::Damaged("a block lies past the end of the file system");
        match at {
            Some(at) => self.region.bytes(source, at, count)?.ok_or(past),
            None => Err(past),
        }
    }

    fn inode(&self, source: &mut Source<'_>, number: u32) -> Found<Inode> {
        let groups = &self.groups;
        let past = Halt::Damaged("an inode number is past the last");
        let index = number
            .checked_sub(1)
            .filter(|index| *index < groups.inodes)
            .ok_or(past)?;
        let group = u64::from(index / groups.inodes_per);
        let (block, skip) = self.descriptor(group);
        let length = if groups.is_wide { 64 } else { 32 };
        let bytes = self.at_block(source, block, skip, length)?;
        let low = u64::from(le32(&bytes, 8).unwrap_or(0));
        let high = u64::from(le32(&bytes, 40).unwrap_or(0));
        let table = high << 32 | low;
        let skip = u64::from(index % groups.inodes_per) * groups.inode_size;
        let bytes = self.at_block(source, table, skip, 128)?;
        read_inode(&bytes).ok_or(Halt::Damaged("an inode is cut off"))
    }

    /// In which block and how far in it the group's descriptor lies.
    fn descriptor(&self, group: u64) -> (u64, u64) {
        let groups = &self.groups;
        let per_block = (self.block / groups.descriptor).max(1);
        let (index, within) = (group / per_block, group % per_block * groups.descriptor);
        if index < groups.meta_from {
            return (self.first_block + 1 + index, within);
        }
        let first = index.saturating_mul(per_block);
        let start = first
            .saturating_mul(groups.blocks_per)
            .saturating_add(self.first_block);
        let skip = u64::from(!groups.is_sparse || has_superblock(first));
        (start.saturating_add(skip), within)
    }

    /// Where the file's block is; `None` where it is a hole.
    fn physical(&self, source: &mut Source<'_>, inode: &Inode, logical: u64) -> Found<Option<u64>> {
        if inode.flags & FLAG_EXTENTS == 0 {
            return self.mapped(source, inode, logical);
        }
        let mut node = inode.map.to_vec();
        let mut depth_max = DEPTH_MAX;
        loop {
            let bad = Halt::Damaged("an extent tree makes no sense");
            let depth = le16(&node, 6).ok_or(bad.clone())?;
            let entries = usize::from(le16(&node, 2).ok_or(bad.clone())?);
            if le16(&node, 0) != Some(0xf30a) || depth > depth_max {
                return Err(bad);
            }
            let before = node
                .get(12..)
                .unwrap_or(&[])
                .chunks_exact(12)
                .take(entries)
                .take_while(|entry| le32(entry, 0).is_some_and(|at| u64::from(at) <= logical))
                .last();
            let Some(entry) = before else {
                return Ok(None);
            };
            let first = u64::from(le32(entry, 0).ok_or(bad.clone())?);
            if depth == 0 {
                let length = le16(entry, 4).ok_or(bad.clone())?;
                let high = u64::from(le16(entry, 6).ok_or(bad.clone())?);
                let low = u64::from(le32(entry, 8).ok_or(bad)?);
                let within = logical - first;
                let is_there = length <= EXTENT_WRITTEN_MAX && within < u64::from(length);
                return Ok(is_there.then_some((high << 32 | low) + within));
            }
            let low = u64::from(le32(entry, 4).ok_or(bad.clone())?);
            let high = u64::from(le16(entry, 8).ok_or(bad)?);
            depth_max = depth - 1;
            let length = usize::try_from(self.block).unwrap_or(0);
            node = self.at_block(source, high << 32 | low, 0, length)?;
        }
    }

    /// The block map of ext2 and ext3: twelve blocks, then one, two and three levels of tables.
    fn mapped(&self, source: &mut Source<'_>, inode: &Inode, logical: u64) -> Found<Option<u64>> {
        let per = self.block / 4;
        let mut index = logical;
        let (mut place, levels) = if index < 12 {
            (index, 0)
        } else if index - 12 < per {
            index -= 12;
            (12, 1)
        } else if index - 12 - per < per * per {
            index -= 12 + per;
            (13, 2)
        } else {
            return Err(Halt::Damaged("a block map has three levels: not read"));
        };
        let at = usize::try_from(place * 4).unwrap_or(0);
        place = u64::from(le32(&inode.map, at).unwrap_or(0));
        for level in (0..levels).rev() {
            if place == 0 {
                return Ok(None);
            }
            let within = if level == 1 { index / per } else { index % per };
            let bytes = self.at_block(source, place, within * 4, 4)?;
            place = u64::from(le32(&bytes, 0).unwrap_or(0));
        }
        Ok((place != 0).then_some(place))
    }
}

fn superblock(bytes: &[u8], region: Region) -> Option<Ext> {
    let block = 1024u64
        .checked_shl(le32(bytes, 24)?)
        .filter(|block| (1024..=65_536).contains(block))?;
    let (compat, incompat, ro_compat) = (le32(bytes, 92)?, le32(bytes, 96)?, le32(bytes, 100)?);
    let is_wide = incompat & INCOMPAT_64BIT != 0;
    let high = if is_wide { le32(bytes, 336)? } else { 0 };
    let blocks = u64::from(high) << 32 | u64::from(le32(bytes, 4)?);
    let revision = le32(bytes, 76)?;
    let inode_size = if revision == 0 { 128 } else { le16(bytes, 88)? };
    let descriptor = if is_wide { le16(bytes, 254)? } else { 32 };
    let (inodes, inodes_per) = (le32(bytes, 0)?, le32(bytes, 40)?);
    let is_sane = inodes_per > 0
        && inode_size >= 128
        && u64::from(inode_size) <= block
        && descriptor >= if is_wide { 64 } else { 32 }
        && u64::from(descriptor) <= block;
    if !is_sane {
        return None;
    }
    let kind = if incompat & !INCOMPAT_EXT3 != 0 || ro_compat & !RO_COMPAT_EXT3 != 0 {
        "ext4"
    } else if compat & COMPAT_JOURNAL != 0 {
        "ext3"
    } else {
        "ext2"
    };
    let meta_from = if incompat & INCOMPAT_META_GROUPS != 0 {
        u64::from(le32(bytes, 260)?)
    } else {
        u64::MAX
    };
    Some(Ext {
        facts: FileSystemFacts {
            kind: kind.to_string(),
            label: label(bytes.get(120..136)?),
            uuid: Some(SystemUuid(array(bytes, 104)?).to_string()),
            size: Some(Bytes(blocks.saturating_mul(block))),
        },
        region,
        block,
        first_block: u64::from(le32(bytes, 20)?),
        groups: Groups {
            inodes,
            inodes_per,
            blocks_per: u64::from(le32(bytes, 32)?),
            inode_size: u64::from(inode_size),
            descriptor: u64::from(descriptor),
            is_wide,
            meta_from,
            is_sparse: ro_compat & RO_COMPAT_SPARSE != 0,
        },
    })
}

fn read_inode(bytes: &[u8]) -> Option<Inode> {
    let mode = le16(bytes, 0)?;
    // A folder of ext2 has other things in the upper half.
    let high = if mode & 0o170_000 == MODE_FILE {
        le32(bytes, 108)?
    } else {
        0
    };
    Some(Inode {
        mode,
        size: u64::from(high) << 32 | u64::from(le32(bytes, 4)?),
        flags: le32(bytes, 32)?,
        map: array(bytes, 40)?,
    })
}

/// With sparse superblocks only groups 0, 1 and the powers of 3, 5 and 7 have one.
fn has_superblock(group: u64) -> bool {
    let is_power = |base: u64| {
        let mut power = base;
        while power < group {
            power = power.saturating_mul(base);
        }
        power == group
    };
    group <= 1 || is_power(3) || is_power(5) || is_power(7)
}

fn parts(path: &[u8]) -> VecDeque<Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_vec)
        .collect()
}
