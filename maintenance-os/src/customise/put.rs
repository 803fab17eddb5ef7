// SPDX-License-Identifier: Apache-2.0
//! Mounts each file system, puts its files, and unmounts.

use super::attach::Attached;
use super::tree::put_into;
use crate::mount::{Access, Mounted};
use groundstate_api::{Bytes, Reason, ReasonCode};
use mos_core::customise::Placement;
use std::path::Path;

/// Where a partition lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its number; 0 is the whole device.
    pub number: u32,
    /// Its first byte.
    pub start: Bytes,
    /// Its length.
    pub length: Bytes,
}

/// Puts everything into the file systems of `disk`, a device or a file, and tells what was put.
///
/// # Errors
/// A partition is not there or cannot be mounted; a file cannot be put.
pub fn put(
    disk: &Path,
    extents: &[Extent],
    placements: &[Placement],
) -> Result<Vec<String>, Reason> {
    let mut facts = Vec::new();
    for placement in placements {
        let extent = extent_of(extents, placement.number)?;
        let attached = Attached::new(disk, extent.number, extent.start.0, extent.length.0)?;
        let name = format!("customise-{}-{}", std::process::id(), extent.number);
        let mounted = Mounted::new(
            attached.path(),
            &name,
            placement.fs.as_str(),
            Access::ReadWrite,
        )?;
        let put = put_into(mounted.path(), placement.fs, &placement.files)?;
        let at = mounted.path().to_path_buf();
        mounted.finish()?;
        // An empty folder below /run, which goes with the next boot anyway.
        let _removed = std::fs::remove_dir(at);
        let whose = if extent.number == 0 {
            String::new()
        } else {
            format!(" of partition {}", extent.number)
        };
        facts.extend(
            put.into_iter()
                .map(|fact| format!("put into the file system{whose}: {fact}")),
        );
    }
    Ok(facts)
}

/// Where the partition of this number lies.
pub(super) fn extent_of(extents: &[Extent], number: u32) -> Result<&Extent, Reason> {
    let extent = extents.iter().find(|one| one.number == number);
    extent.ok_or_else(|| {
        Reason::new(
            ReasonCode::PlanRefused,
            format!("there is no partition {number} to put files into"),
            "look at the image: `groundstate image show NAME`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mos_core::customise::{Fs, NewFile, RootPath};
    use std::fs::File;
    use std::process::Command;

    /// Through the kernel: needs root and loop devices, and says where it was not tried.
    #[test]
    fn files_are_put_into_ext4_and_fat_of_a_file_and_both_stay_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let mib = |count: u64| Bytes::mib(count);
        File::create(&path).unwrap().set_len(mib(48).0).unwrap();
        let text = path.to_str().unwrap();
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().unwrap();
            assert!(output.status.success(), "{program}: {output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        run("mkfs.ext4", &["-q", "-E", "offset=1048576", text, "16M"]);
        run(
            "mformat",
            &["-i", &format!("{text}@@20M"), "-T", "32768", "::"],
        );
        let extent = |number, start, length| Extent {
            number,
            start: mib(start),
            length: mib(length),
        };
        let placement = |number, fs, name: &str| Placement {
            number,
            fs,
            files: vec![NewFile::secret(
                RootPath::parse(name).unwrap(),
                b"hello".to_vec(),
            )],
        };
        let placements = [
            placement(1, Fs::Ext4, "/etc/credstore/token"),
            placement(2, Fs::Vfat, "/user-data"),
        ];
        let extents = [extent(1, 1, 16), extent(2, 20, 16)];
        // Each for itself: a machine may have the driver of one and not of the other.
        let is_put = |which: usize| match put(&path, &extents, &placements[which..=which]) {
            Ok(facts) => {
                assert_eq!(facts.len(), 1, "{facts:?}");
                true
            }
            Err(reason) if reason.code == ReasonCode::Internal => {
                eprintln!("not tried: {reason}");
                false
            }
            Err(reason) => panic!("{reason}"),
        };
        if is_put(1) {
            let fat = ["-i", &format!("{text}@@20M"), "::user-data"];
            assert_eq!(run("mtype", &fat), "hello");
        }
        let back = |which: usize| {
            let put = super::super::Expected::all(&placements[which..=which]);
            let fact = super::super::prove(&path, &extents, &put).unwrap();
            assert_eq!(fact, "1 file read back from the disk as it was put");
        };
        if is_put(1) {
            back(1);
        }
        if is_put(0) {
            back(0);
            let ext4 = [
                "-R",
                "cat /etc/credstore/token",
                &format!("{text}?offset=1048576"),
            ];
            assert_eq!(run("debugfs", &ext4), "hello");
        }
        let missing = put(&path, &[], &placements).unwrap_err();
        assert_eq!(missing.code, ReasonCode::PlanRefused);
    }
}
