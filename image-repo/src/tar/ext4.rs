// SPDX-License-Identifier: Apache-2.0
//! Makes an ext4 file system out of a tree: `mke2fs` makes it empty, `debugfs` writes the names and contents, `e2fsck`
//! judges it. All three take their time from the environment, and identities follow from the tree, so the same tree makes
//! the same bytes.

use super::script;
use super::spool::Spool;
use super::tree::{Kind, ROOT, Tree};
use crate::roots::{RootsError, Tool, run};
use groundstate_api::Bytes;
use groundstate_api::units::{GIB, MIB};
use mos_core::guid::Guid;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

const MKE2FS: Tool = e2fsprogs("mke2fs");
const DEBUGFS: Tool = e2fsprogs("debugfs");
const E2FSCK: Tool = e2fsprogs("e2fsck");

const fn e2fsprogs(name: &'static str) -> Tool {
    Tool {
        name,
        package: "e2fsprogs",
    }
}

/// The block size in bytes: that of a page, and no smaller than any disk's sector.
const BLOCK: u64 = 4096;
const INODE: u64 = 256;
/// One inode for so many bytes, as mke2fs has it; a grown file system keeps the ratio.
const BYTES_PER_INODE: u64 = 16_384;
/// The feature set of ext4 that every kernel since 4.4 and GRUB 2.06 reads, stated so that no local default changes it.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum";
/// A journal for small and for larger file systems, in MiB.
const JOURNAL_SMALL: u64 = 16;
const JOURNAL_LARGE: u64 = 64;
/// From this size on the journal is the larger one, in bytes.
const LARGE: u64 = GIB;
/// What group descriptors and the room to grow take at most, in bytes.
const FIXED: u64 = 24 * MIB;

/// How large the file system becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ext4Plan {
    pub(crate) size: Bytes,
    inodes: u64,
    journal: u64,
}

impl Ext4Plan {
    /// The plan for a tree: so much free room, or the stated size, which must be enough.
    pub(crate) fn new(tree: &Tree, size: Option<Bytes>, free: Bytes) -> Result<Self, RootsError> {
        let (blocks, nodes) = takes(tree);
        let wanted = nodes + nodes / 4 + 1024;
        let of = |total: u64| {
            let inodes = wanted.max(total / BYTES_PER_INODE);
            let journal = if total < LARGE {
                JOURNAL_SMALL
            } else {
                JOURNAL_LARGE
            };
            let meta = inodes * INODE + journal * MIB + FIXED;
            (inodes, journal, meta)
        };
        let data = blocks * BLOCK;
        // Extent trees, bitmaps and folders that outgrow a block are under a fiftieth.
        let total = |free: u64| {
            let (_, _, meta) = of(data + free);
            let sum = data + free + meta;
            (sum + sum / 50).next_multiple_of(MIB)
        };
        let needed = total(0);
        let size = match size {
            Some(size) if size.0 < needed => {
                return Err(RootsError::TooSmall {
                    stated: size,
                    needed: Bytes(needed),
                });
            }
            Some(size) => size.0 / BLOCK * BLOCK,
            None => total(free.0),
        };
        let (inodes, journal, _) = of(size);
        Ok(Self {
            size: Bytes(size),
            inodes,
            journal,
        })
    }
}

/// Blocks and inodes of the tree.
fn takes(tree: &Tree) -> (u64, u64) {
    let (mut blocks, mut nodes) = (0, 16);
    let mut left = vec![ROOT];
    let mut seen = std::collections::BTreeSet::new();
    while let Some(folder) = left.pop() {
        let mut names = 24;
        for (name, child) in tree.children(folder) {
            names += (name.len() as u64 + 8).next_multiple_of(4);
            if !seen.insert(child) {
                continue;
            }
            nodes += 1;
            let node = tree.node(child);
            blocks += u64::from(!node.attributes.is_empty());
            match &node.kind {
                Kind::Folder(_) => left.push(child),
                Kind::File(kept) => blocks += kept.size.div_ceil(BLOCK),
                Kind::Link(_) => blocks += 1,
                Kind::Char(..) | Kind::Block(..) | Kind::Fifo => {}
            }
        }
        // An entry never crosses a block's end.
        blocks += names.div_ceil(BLOCK - 256);
    }
    (blocks, nodes)
}

/// Writes the file system into the new file `path`. Folder `scratch` takes the script.
pub(crate) fn make(
    tree: &Tree,
    spool: &Spool,
    plan: &Ext4Plan,
    identity: Guid,
    scratch: &Path,
    path: &Path,
) -> Result<(), RootsError> {
    let file = File::create_new(path).map_err(RootsError::file("made", path))?;
    file.set_len(plan.size.0)
        .map_err(RootsError::file("lengthened", path))?;
    let time = newest(tree).max(1).to_string();
    let with_time = |tool: Tool| {
        let mut command = tool.command();
        command
            .env("E2FSPROGS_FAKE_TIME", &time)
            .env("SOURCE_DATE_EPOCH", &time)
            .env("MKE2FS_CONFIG", "/dev/null");
        command
    };
    let extended = format!(
        "hash_seed={},lazy_itable_init=0,lazy_journal_init=0,nodiscard,root_owner=0:0",
        identity
            .following("hash seed of the root file system")
            .lower()
    );
    run(
        MKE2FS,
        with_time(MKE2FS)
            .args(["-q", "-F", "-t", "ext4", "-m", "1", "-L", "root"])
            .args(["-b", &BLOCK.to_string(), "-I", &INODE.to_string()])
            .args(["-N", &plan.inodes.to_string()])
            .args(["-J", &format!("size={}", plan.journal)])
            .args(["-O", FEATURES, "-E", &extended])
            .args(["-U", &identity.lower()])
            .arg(path),
    )?;
    let folder = scratch.join("attributes");
    fs::create_dir(&folder).map_err(RootsError::file("made", &folder))?;
    let script = scratch.join("script");
    let to = File::create_new(&script).map_err(RootsError::file("made", &script))?;
    let mut to = BufWriter::new(to);
    script::write(tree, spool, &folder, &mut to)?;
    to.flush().map_err(RootsError::file("written", &script))?;
    drop(to);
    let mut command = with_time(DEBUGFS);
    command.arg("-w").arg("-f").arg(&script).arg(path);
    command.stdout(std::process::Stdio::null());
    let (_, said) = run(DEBUGFS, &mut command)?;
    // It goes on after an error and says so on its second output, whose first line is its own name.
    let said: Vec<&str> = said.lines().skip(1).collect();
    if let Some(first) = said.first() {
        return Err(RootsError::Tool {
            name: DEBUGFS.name,
            status: format!("{} complaints", said.len()),
            said: (*first).to_string(),
        });
    }
    fs::remove_file(&script).map_err(RootsError::file("removed", &script))?;
    fs::remove_dir_all(&folder).map_err(RootsError::file("removed", &folder))?;
    check(path)
}

/// Sees that the file system is clean.
fn check(path: &Path) -> Result<(), RootsError> {
    match run(E2FSCK, E2FSCK.command().args(["-f", "-n"]).arg(path)) {
        Ok(_) => Ok(()),
        Err(RootsError::Tool { said, .. }) => Err(RootsError::NotClean { said }),
        Err(error) => Err(error),
    }
}

/// The newest time in the tree: when the file system was made, as far as it tells.
pub(crate) fn newest(tree: &Tree) -> i64 {
    let mut newest = tree.node(ROOT).mtime;
    let mut left = vec![ROOT];
    while let Some(folder) = left.pop() {
        for (_, child) in tree.children(folder) {
            newest = newest.max(tree.node(child).mtime);
            if matches!(tree.node(child).kind, Kind::Folder(_)) {
                left.push(child);
            }
        }
    }
    newest
}
