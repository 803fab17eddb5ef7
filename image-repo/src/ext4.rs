// SPDX-License-Identifier: Apache-2.0
//! Whether a content is a whole ext4 file system, by its superblock. It looks at nothing else; e2fsck does that.

use crate::error::RepoError;
use groundstate_api::Bytes;

/// Linux, Documentation/filesystems/ext4/super.rst: the superblock begins 1,024 bytes into the file system.
const SUPERBLOCK: usize = 1024;
/// `s_magic`.
const MAGIC: u16 = 0xef53;
/// `INCOMPAT_64BIT`: `s_blocks_count_hi` counts.
const INCOMPAT_64BIT: u32 = 0x80;
/// `INCOMPAT_EXTENTS`: what tells ext4 from its forebears.
const INCOMPAT_EXTENTS: u32 = 0x40;

/// What [`check`] looks at: the first bytes of the content.
pub(crate) const HEAD: usize = 2048;

/// Sees that a content of `length` bytes that begins with `head` can hold all of an ext4 file system with blocks of at
/// least `sector_size`.
pub(crate) fn check(head: &[u8], length: Bytes, sector_size: u32) -> Result<(), RepoError> {
    let not = |why| RepoError::NotExt4 { why };
    let head = head
        .get(SUPERBLOCK..HEAD)
        .ok_or_else(|| not("it is shorter than a superblock"))?;
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if u16::from_le_bytes([head[0x38], head[0x39]]) != MAGIC {
        return Err(not("its superblock has not the magic 0xEF53"));
    }
    let incompatible = word(0x60);
    if incompatible & INCOMPAT_EXTENTS == 0 {
        return Err(not("it is ext2 or ext3, without extents"));
    }
    let block = 1024u64
        .checked_shl(word(0x18))
        .filter(|block| (1024..=65_536).contains(block))
        .ok_or_else(|| not("its block size makes no sense"))?;
    if block < u64::from(sector_size) {
        return Err(not("its blocks are smaller than the sector size"));
    }
    let high = if incompatible & INCOMPAT_64BIT == 0 {
        0
    } else {
        u64::from(word(0x150))
    };
    let expected = Bytes((high << 32 | u64::from(word(0x4))).saturating_mul(block));
    if length < expected {
        return Err(RepoError::CutOff {
            expected,
            found: length,
        });
    }
    Ok(())
}
