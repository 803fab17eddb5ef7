// SPDX-License-Identifier: Apache-2.0
//! Who else has a disk: mounts, swap, arrays and maps above it, several paths below it, or a network between.
//!
//! Refuses to guess: what the kernel does not say is not said here, and the guard asks the kernel again when it opens.

use crate::sysfs::{Tree, below};
use groundstate_api::inventory::Attachment;
use hw_core::slot::numbered;

/// How the kernel names a map of several paths to one disk (`/sys/block/dm-*/dm/uuid`).
const MULTIPATH: &str = "mpath-";

/// Looks at one disk; `path` is its device path, `block` its place below `/sys`.
pub(super) fn look(tree: &Tree, kernel_name: &str, path: &str, block: &str) -> Attachment {
    let mut found = Attachment {
        sequence: tree.number(&below(block, "diskseq")),
        network: network(tree, kernel_name, path, block),
        paths: nvme_paths(tree, block),
        used_by: Vec::new(),
    };
    let mut parts = vec![(kernel_name.to_owned(), block.to_owned())];
    let names = tree.names(block).unwrap_or_default();
    let partitions = names.iter().map(|name| (name.clone(), below(block, name)));
    parts.extend(partitions.filter(|(_, path)| tree.exists(&below(path, "partition"))));
    let mounts = lines(tree, "proc/self/mountinfo");
    let swaps = lines(tree, "proc/swaps");
    for (name, path) in &parts {
        for holder in tree.names(&below(path, "holders")).unwrap_or_default() {
            if is_multipath(tree, &holder) {
                found
                    .paths
                    .push(format!("{holder} is a multipath map of {name}"));
            } else {
                found.used_by.push(format!("{holder} holds {name}"));
            }
        }
        let number = tree.text(&below(path, "dev")).unwrap_or_default();
        found.used_by.extend(mounted(&mounts, name, &number));
        let is_swap =
            |line: &String| line.split_whitespace().next() == Some(&format!("/dev/{name}"));
        if swaps.iter().any(is_swap) {
            found.used_by.push(format!("{name} is used as swap"));
        }
    }
    found
}

fn lines(tree: &Tree, file: &str) -> Vec<String> {
    let bytes = tree.bytes(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.lines().map(str::to_owned).collect()
}

fn is_multipath(tree: &Tree, holder: &str) -> bool {
    let uuid = tree.text(&below(&below("sys/block", holder), "dm/uuid"));
    uuid.is_some_and(|uuid| uuid.starts_with(MULTIPATH))
}

/// Where it is mounted: by its number, or by its name where the file system has a number of its own (btrfs).
fn mounted<'a>(
    mounts: &'a [String],
    name: &'a str,
    number: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let device = format!("/dev/{name}");
    mounts.iter().filter_map(move |line| {
        let (left, right) = line.split_once(" - ")?;
        let mut fields = left.split(' ');
        let (is, at) = (fields.nth(2)?, fields.nth(1)?);
        let source = right.split(' ').nth(1)?;
        (is == number || source == device).then(|| format!("{name} is mounted at {at}"))
    })
}

/// The network that a disk is reached over, by what its transport leaves in the device path.
fn network(tree: &Tree, kernel_name: &str, path: &str, block: &str) -> Option<String> {
    let has = |prefix: &str| path.split('/').any(|part| numbered(part, prefix).is_some());
    let nvme = tree.text(&below(block, "device/transport"));
    if let Some(fabric) =
        nvme.filter(|transport| kernel_name.starts_with("nvme") && transport != "pcie")
    {
        return Some(format!("nvme-{fabric}"));
    }
    if has("session") {
        Some("iscsi".to_owned())
    } else if path.split('/').any(|part| part.starts_with("rport-")) {
        Some("fibre-channel".to_owned())
    } else if kernel_name.starts_with("etherd") {
        Some("ata-over-ethernet".to_owned())
    } else if kernel_name.starts_with("rbd") {
        Some("ceph".to_owned())
    } else {
        None
    }
}

/// The controllers of a namespace that has more than one.
fn nvme_paths(tree: &Tree, block: &str) -> Vec<String> {
    let subsystem = below(block, "device");
    if !tree.exists(&below(&subsystem, "subsysnqn")) {
        return Vec::new();
    }
    let names = tree.names(&subsystem).unwrap_or_default();
    let controllers: Vec<String> = names
        .into_iter()
        .filter(|name| numbered(name, "nvme").is_some())
        .map(|name| format!("{name} is a path to it"))
        .collect();
    if controllers.len() > 1 {
        controllers
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn what_uses_a_disk_is_named() {
        let root = tempfile::tempdir().unwrap();
        let at = root.path();
        write(at, "sys/block/sda/diskseq", "7\n");
        write(at, "sys/block/sda/dev", "8:0\n");
        write(at, "sys/block/sda/sda1/partition", "1\n");
        write(at, "sys/block/sda/sda1/dev", "8:1\n");
        write(at, "sys/block/sda/sda1/holders/md0/x", "");
        write(at, "sys/block/sda/sda2/partition", "2\n");
        write(at, "sys/block/sda/sda2/dev", "8:2\n");
        write(at, "sys/block/sda/holders/dm-3/x", "");
        write(at, "sys/block/dm-3/dm/uuid", "mpath-3600\n");
        let mounts =
            "24 1 8:2 / /srv rw - ext4 /dev/sda2 rw\n25 1 8:16 / / rw - ext4 /dev/sdb rw\n";
        write(at, "proc/self/mountinfo", mounts);
        write(
            at,
            "proc/swaps",
            "Filename Type\n/dev/sda1 partition 1 0 -2\n",
        );
        let found = look(
            &Tree::at(at),
            "sda",
            "devices/pci0/ata1/host0/sda",
            "sys/block/sda",
        );
        assert_eq!(found.sequence, Some(7));
        assert_eq!(found.paths, ["dm-3 is a multipath map of sda"]);
        let used = [
            "md0 holds sda1",
            "sda1 is used as swap",
            "sda2 is mounted at /srv",
        ];
        assert_eq!(found.used_by, used);
        assert_eq!(found.network, None);
    }

    #[test]
    fn a_disk_behind_a_network_says_which() {
        let root = tempfile::tempdir().unwrap();
        let at = root.path();
        write(at, "sys/block/nvme0n1/device/transport", "tcp\n");
        for (name, path, network) in [
            (
                "sda",
                "devices/platform/host6/session1/target6:0:0/6:0:0:1/block/sda",
                "iscsi",
            ),
            (
                "sda",
                "devices/pci0/host7/rport-7:0-2/target7:0:0/block/sda",
                "fibre-channel",
            ),
            (
                "nvme0n1",
                "devices/virtual/nvme-fabrics/ctl/nvme0/nvme0n1",
                "nvme-tcp",
            ),
        ] {
            let found = look(&Tree::at(at), name, path, &below("sys/block", name));
            assert_eq!(found.network.as_deref(), Some(network), "{path}");
        }
        let sas = "devices/pci0/host0/port-0:0/end_device-0:0/target0:0:0/block/sdb";
        let found = look(&Tree::at(at), "sdb", sas, "sys/block/sdb");
        assert!(found.is_plain(), "{found:?}");
    }
}
