// SPDX-License-Identifier: Apache-2.0
//! The image: the base tree with our agent in it, as a sparse ext4 file system, and its boot files beside it.
//!
//! Needs no loop device and no root: owners come from the archive, kept by fakeroot where we are not root.

use super::base::Base;
use crate::cache::{self, Inputs};
use crate::command::{command, is_root, run};
use crate::progress::{note, step};
use anyhow::{Context as _, Result, bail};
use groundstate_api::digest::Digest;
use groundstate_api::units::{Bytes, MIB};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Nothing secret; `root=` is added by whoever knows the partition. The last console is the one that gets messages.
const CMDLINE: &str = "console=tty0 console=ttyS0,115200 quiet panic=60";

/// ext4's block size: given, because mke2fs would choose a smaller one for a file system that is small until it is grown.
const BLOCK: u64 = 4096;
/// The journal, also given for the grown file system.
const JOURNAL_MIB: u64 = 64;
/// One inode for this many bytes: mke2fs's default for a grown file system.
const BYTES_PER_INODE: u64 = 16_384;
/// The file system can be grown while mounted, without changing its format, up to so many blocks: 2 TiB.
const GROWS_TO_BLOCKS: u64 = 1 << 29;
/// Bytes of an inode on disk.
const INODE: u64 = 256;

/// Makes the image in `folder` where it is not there yet, and returns the folder. The unit's `ExecStart=` says where
/// the agent goes, its `WantedBy=` what starts it.
pub(super) fn ensure(
    base: &Base,
    agent: &Path,
    unit: &Path,
    witness: &Path,
    folder: PathBuf,
) -> Result<PathBuf> {
    let key = Inputs::default()
        .text("base", &base.key.to_string())
        .text("cmdline", CMDLINE)
        .text("recipe", include_str!("pack.rs"))
        .file(unit)?
        .file(agent)?
        .file(&witness.join("volume-witness"))?
        .file(&witness.join("volume-witness.service"))?
        .key();
    if cache::fresh(&folder, key) {
        note(&format!(
            "host image: as made before, in {}",
            folder.display()
        ));
        return Ok(folder);
    }
    step("host image (tree, agent, ext4)", || {
        cache::make(&folder, key, |new| {
            make(new, base, agent, unit, witness, key)
        })
    })?;
    Ok(folder)
}

fn make(
    folder: &Path,
    base: &Base,
    agent: &Path,
    unit: &Path,
    witness: &Path,
    key: Digest,
) -> Result<()> {
    let tree = folder.join("tree");
    let owners = Owners::new(folder);
    fs::create_dir(&tree)?;
    // Device nodes are the node's own devtmpfs's business.
    let mut tar = owners.command("tar");
    tar.args([
        "--extract",
        "--numeric-owner",
        "--preserve-permissions",
        "--exclude=./dev/*",
    ]);
    run(tar
        .arg("--file")
        .arg(&base.tar)
        .arg("--directory")
        .arg(&tree))?;
    install_service(&tree, agent, unit)?;
    install_service(
        &tree,
        &witness.join("volume-witness"),
        &witness.join("volume-witness.service"),
    )?;
    take(&tree, folder)?;
    let size = size_of(&tree)?;
    let image = folder.join("root.ext4");
    let mut mkfs = owners.command("mke2fs");
    mkfs.args(["-q", "-F", "-t", "ext4", "-L", "groundstate", "-m", "1"]);
    mkfs.args(["-b", &BLOCK.to_string(), "-I", &INODE.to_string()]);
    mkfs.args(["-i", &BYTES_PER_INODE.to_string()]);
    mkfs.args(["-J", &format!("size={JOURNAL_MIB}")]);
    mkfs.args([
        "-E",
        &format!("lazy_itable_init=0,lazy_journal_init=0,resize={GROWS_TO_BLOCKS}"),
    ]);
    run(mkfs
        .arg("-d")
        .arg(&tree)
        .arg(&image)
        .arg(format!("{}k", size.0 / 1024)))?;
    let debian = fs::read_to_string(tree.join("etc/debian_version"))?;
    let version = format!("{}-{}", debian.trim(), key.short());
    fs::write(folder.join("version"), format!("{version}\n"))?;
    fs::write(folder.join("cmdline"), format!("{CMDLINE}\n"))?;
    fs::remove_dir_all(&tree).context("cannot remove the tree")?;
    owners.forget()?;
    note(&format!(
        "host image {version}: file system of {size}, {} on disk",
        on_disk(&image)?
    ));
    Ok(())
}

/// Keeps files' owners: the file system does where we are root, fakeroot's record where we are not.
struct Owners {
    record: Option<PathBuf>,
}

impl Owners {
    fn new(folder: &Path) -> Self {
        Self {
            record: (!is_root()).then(|| folder.join("owners")),
        }
    }

    fn command(&self, program: &str) -> Command {
        match &self.record {
            None => command(program, [] as [&str; 0]),
            Some(record) => {
                let mut fakeroot = command("fakeroot", ["-s"]);
                fakeroot.arg(record);
                if record.exists() {
                    fakeroot.arg("-i").arg(record);
                }
                fakeroot.arg("--").arg(program);
                fakeroot
            }
        }
    }

    fn forget(self) -> Result<()> {
        match self.record {
            Some(record) => Ok(fs::remove_file(record)?),
            None => Ok(()),
        }
    }
}

/// Puts program and unit where the unit says, and enables it.
fn install_service(tree: &Path, agent: &Path, unit: &Path) -> Result<()> {
    let text = fs::read_to_string(unit)?;
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.trim().strip_prefix(key))
            .and_then(|rest| rest.split_whitespace().next())
            .with_context(|| format!("{} has no {key}", unit.display()))
    };
    let place = value("ExecStart=")?;
    let Some(inside) = place.strip_prefix('/') else {
        bail!("{}: ExecStart={place} is not absolute", unit.display());
    };
    put(agent, &tree.join(inside), 0o755)?;
    let name = unit.file_name().context("the unit has no name")?;
    let units = tree.join("etc/systemd/system");
    put(unit, &units.join(name), 0o644)?;
    let wants = units.join(format!("{}.wants", value("WantedBy=")?));
    fs::create_dir_all(&wants)?;
    symlink(Path::new("..").join(name), wants.join(name))
        .with_context(|| format!("cannot enable {}", unit.display()))
}

fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}

/// Copies kernel, initrd and boot loader out of the tree.
fn take(tree: &Path, folder: &Path) -> Result<()> {
    let boot = tree.join("boot");
    for (prefix, name) in [("vmlinuz-", "vmlinuz"), ("initrd.img-", "initrd.img")] {
        let mut found = Vec::new();
        for entry in fs::read_dir(&boot)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                found.push(entry.path());
            }
        }
        match found.as_slice() {
            [one] => fs::copy(one, folder.join(name))?,
            _ => bail!(
                "the tree's /boot should hold one {prefix}*, it holds {}",
                found.len()
            ),
        };
    }
    let loader = tree.join("usr/lib/systemd/boot/efi/systemd-bootx64.efi");
    fs::copy(&loader, folder.join("systemd-bootx64.efi"))
        .with_context(|| format!("the tree has no {}", loader.display()))?;
    Ok(())
}

/// What the file system needs: the files in whole blocks, one block per folder, inodes and journal, and a fifth more.
fn size_of(tree: &Path) -> Result<Bytes> {
    let data = blocks_below(tree)?
        .checked_mul(BLOCK)
        .context("the tree is too large")?;
    let slack = data / 5;
    let inodes = (data + slack) / BYTES_PER_INODE * INODE;
    let size = data + slack + inodes + JOURNAL_MIB * MIB;
    Ok(Bytes(size.next_multiple_of(MIB)))
}

fn blocks_below(folder: &Path) -> Result<u64> {
    let mut blocks = 1;
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        let meta = fs::symlink_metadata(&path)?;
        blocks += if meta.is_dir() {
            blocks_below(&path)?
        } else {
            meta.len().div_ceil(BLOCK)
        };
    }
    Ok(blocks)
}

fn on_disk(path: &Path) -> Result<Bytes> {
    // st_blocks counts 512 bytes each, whatever the file system's block size.
    Ok(Bytes(
        std::os::unix::fs::MetadataExt::blocks(&fs::metadata(path)?) * 512,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_goes_where_its_unit_says() {
        let room = tempfile::tempdir().unwrap();
        let tree = room.path().join("tree");
        let agent = room.path().join("agent");
        let unit = room.path().join("a.service");
        fs::write(&agent, "binary").unwrap();
        fs::write(
            &unit,
            "[Service]\nExecStart=/usr/lib/x/agent run\n[Install]\nWantedBy=multi-user.target\n",
        )
        .unwrap();
        install_service(&tree, &agent, &unit).unwrap();
        assert_eq!(
            fs::read_to_string(tree.join("usr/lib/x/agent")).unwrap(),
            "binary"
        );
        let wanted = tree.join("etc/systemd/system/multi-user.target.wants/a.service");
        assert_eq!(fs::read(wanted).unwrap(), fs::read(&unit).unwrap());
        fs::write(&unit, "[Service]\nExecStart=agent\n[Install]\nWantedBy=x\n").unwrap();
        let error = install_service(&tree, &agent, &unit)
            .unwrap_err()
            .to_string();
        assert!(error.contains("not absolute"), "{error}");
    }

    #[test]
    fn the_size_has_room_for_whole_blocks_and_a_fifth() {
        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join("x"), vec![1; 10 << 20]).unwrap();
        let size = size_of(room.path()).unwrap().0;
        assert_eq!(size % MIB, 0);
        assert!(
            size > (12 + JOURNAL_MIB) * MIB && size < (14 + JOURNAL_MIB) * MIB,
            "{size}"
        );
    }
}
