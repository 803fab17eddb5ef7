// SPDX-License-Identifier: Apache-2.0
//! Whether a block device turns, by what the kernel says of it. Who does not know is not asked, and who cannot be asked
//! counts as turning: that costs time and nothing else.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Drivers that know nothing of the disk behind them, by the names of their devices; the kernel says of theirs that they turn.
const KNOW_NOTHING: [&str; 4] = ["loop", "nbd", "vd", "xvd"];

pub(super) fn is_turning(device: &File) -> bool {
    let Ok(number) = device.metadata().map(|metadata| metadata.rdev()) else {
        return true;
    };
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let folder = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}"));
    folder.map_or(true, |folder| says(&folder))
}

/// What the device's folder, or that of the disk it is a partition of, says.
fn says(folder: &Path) -> bool {
    let disk = if folder.join("partition").exists() {
        folder.parent().map(Path::to_path_buf)
    } else {
        Some(PathBuf::from(folder))
    };
    let Some(disk) = disk else {
        return true;
    };
    let name = disk.file_name().unwrap_or_default().to_string_lossy();
    if KNOW_NOTHING.iter().any(|driver| name.starts_with(driver)) {
        return false;
    }
    let said = fs::read_to_string(disk.join("queue/rotational"));
    said.map_or(true, |said| said.trim() != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_as_its_disk_and_who_knows_nothing_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        for (name, said, turns) in [
            ("sda", Some("1\n"), true),
            ("sdb", Some("0\n"), false),
            ("nvme0n1", Some("0\n"), false),
            ("sdc", None, true),
            ("vda", Some("1\n"), false),
            ("loop3", Some("1\n"), false),
        ] {
            let disk = dir.path().join(name);
            fs::create_dir_all(disk.join("queue")).unwrap();
            fs::create_dir_all(disk.join("part")).unwrap();
            fs::write(disk.join("part/partition"), "1\n").unwrap();
            if let Some(said) = said {
                fs::write(disk.join("queue/rotational"), said).unwrap();
            }
            assert_eq!(says(&disk), turns, "{name}");
            assert_eq!(says(&disk.join("part")), turns, "a partition of {name}");
        }
    }
}
