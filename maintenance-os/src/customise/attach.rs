// SPDX-License-Identifier: Apache-2.0
//! The device of a partition: its node, where a disk has one, else a loop device over that part of a file or disk.

use crate::disk::partition_device;
use groundstate_api::{Reason, ReasonCode};
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

/// How long the kernel may take to show a partition of a table that was just written. It takes milliseconds.
const NODE_WAIT: Duration = Duration::from_secs(10);
/// Between two looks.
const NODE_POLL: Duration = Duration::from_millis(20);

/// A device that is there until this is dropped.
#[derive(Debug)]
pub(super) struct Attached {
    path: PathBuf,
    is_loop: bool,
}

impl Attached {
    /// The device of partition `number` of `disk`, which begins at byte `start` and has `length` bytes; number 0 is all of
    /// it.
    pub(super) fn new(disk: &Path, number: u32, start: u64, length: u64) -> Result<Self, Reason> {
        let found = fs::metadata(disk).map_err(|error| refused(disk, &error.to_string()))?;
        if !found.file_type().is_block_device() {
            return attach(disk, start, length);
        }
        let path = if number == 0 {
            disk.to_path_buf()
        } else {
            let real = fs::canonicalize(disk).map_err(|error| refused(disk, &error.to_string()))?;
            let name = real.file_name().unwrap_or_default().to_string_lossy();
            partition_device(&name, number)
        };
        let until = Instant::now() + NODE_WAIT;
        while !path.exists() {
            if Instant::now() >= until {
                // A loop device that shows no partitions, and a disk behind a map.
                return attach(disk, start, length);
            }
            thread::sleep(NODE_POLL);
        }
        Ok(Self {
            path,
            is_loop: false,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if self.is_loop {
            // Where this fails, the device goes when nobody uses it any more.
            let _detached = Command::new("losetup")
                .arg("--detach")
                .arg(&self.path)
                .output();
        }
    }
}

fn attach(disk: &Path, start: u64, length: u64) -> Result<Attached, Reason> {
    let (start, length) = (start.to_string(), length.to_string());
    let output: Output = Command::new("losetup")
        .args([
            "--find",
            "--show",
            "--offset",
            &start,
            "--sizelimit",
            &length,
        ])
        .arg(disk)
        .output()
        .map_err(|error| refused(disk, &format!("losetup: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(refused(disk, said.trim()));
    }
    Ok(Attached {
        path: PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()),
        is_loop: true,
    })
}

fn refused(disk: &Path, said: &str) -> Reason {
    Reason::new(
        ReasonCode::Internal,
        format!(
            "a file system in {} cannot be reached through the kernel, and files are only put in that way",
            disk.display()
        ),
        "run this as root on a machine with loop devices, or leave the files out",
    )
    .seen(said)
}
