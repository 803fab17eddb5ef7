// SPDX-License-Identifier: Apache-2.0
//! What a volume is promised to hold, against the tool that makes it.

use super::*;
use groundstate_api::units::{GIB, MIB};

#[test]
fn what_ext4_needs_of_a_volume_is_what_mke2fs_takes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("volume");
    for mib in [126, 511, 1_024, 3_000, 8_190, 65_000, 500_000, 4_000_000] {
        let length = Bytes::mib(mib);
        std::fs::File::create(&file)
            .unwrap()
            .set_len(length.0)
            .unwrap();
        let output = std::process::Command::new("/sbin/mke2fs")
            .args(ext4_arguments(
                length,
                "gs-data-1",
                "aaabcd82-9a65-8456-abab-95010f9e5758",
            ))
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{mib} MiB: {output:?}");
        let output = std::process::Command::new("/sbin/dumpe2fs")
            .arg("-h")
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split(':')
                .nth(1)
                .unwrap()
                .trim()
                .parse::<u64>()
                .unwrap()
        };
        let free = value("Free blocks") * value("Block size");
        let usable = ext4_usable(length).0;
        // What is left is for directories and extents: a block of extents per 40 GiB of VHD is ample.
        assert!(
            usable + 64 * 1024 <= free,
            "{mib} MiB: {free} free, {usable} promised"
        );
        assert!(
            usable + usable / 50 + 32 * MIB >= free,
            "{mib} MiB: {free} free, only {usable} promised"
        );
    }
    assert!(ext4_usable(Bytes(GIB)).0 > 900 * MIB);
}

#[test]
fn what_xfs_needs_of_a_volume_is_what_mkfs_xfs_takes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("volume");
    for mib in [302, 511, 3_000, 65_000, 500_000, 4_000_000] {
        let length = Bytes::mib(mib);
        std::fs::File::create(&file)
            .unwrap()
            .set_len(length.0)
            .unwrap();
        let output = std::process::Command::new("/sbin/mkfs.xfs")
            .args(xfs_arguments(
                "gs-data-1",
                "aaabcd82-9a65-8456-abab-95010f9e5758",
            ))
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{mib} MiB: {output:?}");
        let output = std::process::Command::new("/usr/sbin/xfs_db")
            .args(["-r", "-c", "sb 0", "-c", "p fdblocks"])
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let blocks: u64 = text.rsplit('=').next().unwrap().trim().parse().unwrap();
        // The kernel holds 32 MiB back, and up to a 1,024th for the inode trees.
        let free = blocks * 4_096 - 32 * MIB - length.0 / 1_000;
        let usable = xfs_usable(length).0;
        assert!(usable <= free, "{mib} MiB: {free} free, {usable} promised");
        assert!(
            usable + usable / 50 + 64 * MIB >= free,
            "{mib} MiB: {free} free, only {usable} promised"
        );
    }
}
