// SPDX-License-Identifier: Apache-2.0
//! Whether a file is a whole ext4 file system, by its superblock. It looks at nothing else; e2fsck does that.

use crate::error::RepoError;
use groundstate_api::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Linux, Documentation/filesystems/ext4/super.rst: the superblock begins 1,024 bytes into the file system.
const SUPERBLOCK: u64 = 1024;
/// `s_magic`.
const MAGIC: u16 = 0xef53;
/// `INCOMPAT_64BIT`: `s_blocks_count_hi` counts.
const INCOMPAT_64BIT: u32 = 0x80;
/// `INCOMPAT_EXTENTS`: what tells ext4 from its forebears.
const INCOMPAT_EXTENTS: u32 = 0x40;

/// Sees that `file` at `path`, `length` bytes long, holds all of an ext4 file system with blocks of at least
/// `sector_size`.
pub(crate) fn check(
    file: &File,
    path: &Path,
    length: Bytes,
    sector_size: u32,
) -> Result<(), RepoError> {
    let not = |why| RepoError::NotExt4 {
        path: path.to_path_buf(),
        why,
    };
    let mut head = [0u8; 1024];
    file.read_exact_at(&mut head, SUPERBLOCK)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => not("it is shorter than a superblock"),
            _ => RepoError::file("read", path)(error),
        })?;
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
            path: path.to_path_buf(),
            expected,
            found: length,
        });
    }
    Ok(())
}
