// SPDX-License-Identifier: Apache-2.0
//! Makes a data volume with mke2fs, the only maker of ext4 with a journal that we trust a node's data to.

use super::device::Device;
use super::error::DiskError;
use groundstate_api::Bytes;
use mos_core::plan::ext4_arguments;
use std::path::Path;
use std::process::{Command, Stdio};

const MKE2FS: &str = "/sbin/mke2fs";
/// How much of a failing tool's words is kept, in bytes: its last lines say why.
const OUTPUT_MAX: usize = 2_048;

/// Makes an ext4 file system and tells what was made.
///
/// # Errors
/// [`DiskError::Tool`] with the end of what mke2fs said.
pub fn make_ext4(partition: &Path, label: &str, uuid: &str) -> Result<Vec<String>, DiskError> {
    let size = Device::open_to_read(partition, None)
        .map_err(DiskError::io("sizing", partition))?
        .size();
    run_tool(
        "mke2fs",
        MKE2FS,
        &ext4_arguments(Bytes(size), label, uuid),
        partition,
    )?;
    Ok(vec![format!("ext4 \"{label}\" {uuid}, {}", Bytes(size))])
}

/// Runs a tool that makes a file system on the partition, and waits until the disk has all of it.
pub(super) fn run_tool(
    program: &'static str,
    path: &str,
    arguments: &[String],
    partition: &Path,
) -> Result<(), DiskError> {
    let output = Command::new(path)
        .args(arguments)
        .arg(partition)
        .stdin(Stdio::null())
        .output()
        .map_err(DiskError::io("running mkfs for", partition))?;
    if !output.status.success() {
        return Err(DiskError::Tool {
            program,
            path: partition.to_path_buf(),
            status: output.status.to_string(),
            output: end_of(&output.stderr),
        });
    }
    let file = std::fs::File::open(partition).map_err(DiskError::io("opening", partition))?;
    file.sync_all()
        .map_err(DiskError::io("flushing", partition))
}

fn end_of(output: &[u8]) -> String {
    let from = output.len().saturating_sub(OUTPUT_MAX);
    let text = String::from_utf8_lossy(output.get(from..).unwrap_or_default());
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines.join("; ")
}
