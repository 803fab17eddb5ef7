// SPDX-License-Identifier: Apache-2.0
//! Finds what boots a tree: its newest kernel, that kernel's initial RAM file system, and systemd-boot for its machine.

use super::spool::Spool;
use super::tree::{Kind, Tree};
use crate::roots::{PrepareOptions, RootsError, newest, shown};
use image_core::boot_file::{BootFile, HEAD};
use image_core::facts::Machine;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// How the files of kernels begin in /boot.
const KERNELS: [&str; 4] = ["vmlinuz-", "vmlinux-", "Image-", "kernel-"];

/// What boots a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BootFound {
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
    pub(crate) boot_loader: PathBuf,
    /// The kernel's release, for people; a stated kernel's is its file's name.
    pub(crate) release: String,
    pub(crate) machine: Option<Machine>,
}

/// What was stated, and else what the tree has.
pub(crate) fn find(
    tree: &Tree,
    spool: &Spool,
    options: &PrepareOptions,
) -> Result<BootFound, RootsError> {
    let (kernel, named, release) = match &options.kernel {
        Some(path) => (path.clone(), stated(path), file_name(path)),
        None => {
            let (file, release) = kernel(tree).ok_or(RootsError::NoKernel)?;
            let path = kept(tree, spool, &file).ok_or(RootsError::NoKernel)?;
            (path, in_tree(&file), release)
        }
    };
    let machine = look(BootFile::Kernel, &kernel, &named)?;
    let (initrd, named) = match &options.initrd {
        Some(path) => (path.clone(), stated(path)),
        None => initrd(tree, &release)
            .and_then(|file| Some((kept(tree, spool, &file)?, in_tree(&file))))
            .ok_or_else(|| RootsError::NoInitrd {
                release: release.clone(),
            })?,
    };
    look(BootFile::Initrd, &initrd, &named)?;
    let (boot_loader, named) = match &options.boot_loader {
        Some(path) => (path.clone(), stated(path)),
        None => loader(tree, spool, machine).ok_or(RootsError::NoBootLoader)?,
    };
    let of_loader = look(BootFile::BootLoader, &boot_loader, &named)?;
    if let (Some(machine), Some(of_loader)) = (machine, of_loader)
        && machine != of_loader
    {
        return Err(RootsError::OtherBootLoader {
            name: named,
            of_loader,
            machine,
        });
    }
    Ok(BootFound {
        kernel,
        initrd,
        boot_loader,
        release,
        machine: machine.or(of_loader),
    })
}

/// The newest kernel's file in the tree and its release.
fn kernel(tree: &Tree) -> Option<(String, String)> {
    let mut found = Vec::new();
    for name in names(tree, "boot") {
        if let Some(release) = KERNELS.iter().find_map(|start| name.strip_prefix(start)) {
            found.push((format!("/boot/{name}"), release.to_string()));
        }
    }
    for folder in ["usr/lib/modules", "lib/modules"] {
        for release in names(tree, folder) {
            found.push((format!("/{folder}/{release}/vmlinuz"), release));
        }
    }
    found.retain(|(file, _)| is_file(tree, file));
    let release = newest(found.iter().map(|(_, release)| release.as_str()))?.to_string();
    found.into_iter().find(|(_, of)| *of == release)
}

fn initrd(tree: &Tree, release: &str) -> Option<String> {
    let places = [
        format!("/boot/initrd.img-{release}"),
        format!("/boot/initramfs-{release}.img"),
        format!("/boot/initrd-{release}"),
        format!("/boot/initrd-{release}.img"),
        format!("/boot/initramfs-{}", release.trim_end_matches(".img")),
        format!("/usr/lib/modules/{release}/initrd"),
        format!("/usr/lib/modules/{release}/initramfs.img"),
    ];
    places.into_iter().find(|file| is_file(tree, file))
}

fn loader(tree: &Tree, spool: &Spool, machine: Option<Machine>) -> Option<(PathBuf, String)> {
    let all = [
        (Machine::X86_64, "systemd-bootx64.efi"),
        (Machine::Aarch64, "systemd-bootaa64.efi"),
    ];
    all.into_iter()
        .filter(|(of, _)| machine.is_none_or(|machine| machine == *of))
        .find_map(|(_, file)| {
            let path = format!("/usr/lib/systemd/boot/efi/{file}");
            Some((kept(tree, spool, &path)?, in_tree(&path)))
        })
}

fn names(tree: &Tree, folder: &str) -> Vec<String> {
    let path: Vec<Vec<u8>> = folder.split('/').map(|part| part.into()).collect();
    let names = tree.names_in(&path).into_iter();
    names
        .filter_map(|name| String::from_utf8(name).ok())
        .collect()
}

fn is_file(tree: &Tree, path: &str) -> bool {
    tree.find(path)
        .is_some_and(|node| matches!(node.kind, Kind::File(_)))
}

fn kept(tree: &Tree, spool: &Spool, path: &str) -> Option<PathBuf> {
    match &tree.find(path)?.kind {
        Kind::File(kept) => Some(spool.path(kept.number)),
        Kind::Folder(_) | Kind::Link(_) | Kind::Char(..) | Kind::Block(..) | Kind::Fifo => None,
    }
}

/// Sees that a file is what it is to be. What it is for, where it tells.
fn look(file: BootFile, path: &Path, named: &str) -> Result<Option<Machine>, RootsError> {
    let mut head = Vec::new();
    let from = File::open(path).map_err(RootsError::file("opened", path))?;
    let about = from
        .metadata()
        .map_err(RootsError::file("measured", path))?;
    from.take(HEAD as u64)
        .read_to_end(&mut head)
        .map_err(RootsError::file("read", path))?;
    // A pipe tells no length.
    let length = if about.is_file() {
        about.len()
    } else {
        u64::MAX
    };
    file.check(&head, length)
        .map_err(|source| RootsError::BootFile {
            name: named.into(),
            source,
        })
}

/// A stated file, for messages.
fn stated(path: &Path) -> String {
    path.display().to_string()
}

/// A file of the tree, for messages.
fn in_tree(file: &str) -> String {
    format!("the tree's {}", shown(file.as_bytes()))
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    let name = shown(name.as_encoded_bytes());
    let release = KERNELS.iter().find_map(|start| name.strip_prefix(start));
    release.unwrap_or(&name).to_string()
}
