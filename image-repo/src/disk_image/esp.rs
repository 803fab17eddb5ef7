// SPDX-License-Identifier: Apache-2.0
//! Makes an EFI system partition: `mkfs.vfat` and mtools, without mounting it. Both take their time and serial number
//! from here.

use crate::roots::{RootsError, Tool, run};
use groundstate_api::Bytes;
use groundstate_api::units::MIB;
use mos_core::guid::Guid;
use std::fs::File;
use std::path::{Path, PathBuf};

const MKFS: Tool = Tool {
    name: "mkfs.vfat",
    package: "dosfstools",
};
const MMD: Tool = mtools("mmd");
const MCOPY: Tool = mtools("mcopy");

const fn mtools(name: &'static str) -> Tool {
    Tool {
        name,
        package: "mtools",
    }
}

/// The smallest, in bytes: FAT32 has at least 65,525 clusters, and with sectors of 4,096 bytes that is 256 MiB.
const LEAST: u64 = 320 * MIB;
/// What stays free for a second kernel and what firmware puts there, in bytes.
const FREE: u64 = 96 * MIB;
/// The first time that FAT knows: 1980-01-01.
const TIME_MIN: i64 = 315_532_800;

/// A file on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EspFile {
    /// The path from its root, with slashes; its folders are made.
    pub(crate) path: String,
    pub(crate) from: PathBuf,
}

/// Makes it as the new file `path`; its length.
pub(crate) fn make(
    path: &Path,
    sector_size: u32,
    identity: Guid,
    time: i64,
    files: &[EspFile],
) -> Result<Bytes, RootsError> {
    let mut taken = 0;
    for file in files {
        let found = std::fs::metadata(&file.from);
        taken += found
            .map_err(RootsError::file("measured", &file.from))?
            .len();
    }
    let size = (taken * 2 + FREE).max(LEAST).next_multiple_of(MIB);
    let image = File::create_new(path).map_err(RootsError::file("made", path))?;
    image
        .set_len(size)
        .map_err(RootsError::file("lengthened", path))?;
    let [a, b, c, d, ..] = identity
        .following("volume id of the EFI system partition")
        .0;
    let cluster = if sector_size == 512 { "4" } else { "1" };
    run(
        MKFS,
        MKFS.command()
            .args(["-F", "32", "-S", &sector_size.to_string(), "-s", cluster])
            .args(["-i", &format!("{:08x}", u32::from_be_bytes([a, b, c, d]))])
            .args(["-n", "ESP", "--invariant"])
            .arg(path),
    )?;
    let with_time = |tool: Tool| {
        let mut command = tool.command();
        command
            .env("SOURCE_DATE_EPOCH", time.max(TIME_MIN).to_string())
            .env("MTOOLSRC", "/dev/null")
            .env("MTOOLS_SKIP_CHECK", "1")
            .arg("-i")
            .arg(path);
        command
    };
    let mut folders: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let ends = file.path.match_indices('/').map(|(end, _)| end);
            ends.map(|end| format!("::{}", &file.path[..end]))
        })
        .collect();
    folders.sort();
    folders.dedup();
    if !folders.is_empty() {
        run(MMD, with_time(MMD).args(&folders))?;
    }
    for file in files {
        let to = format!("::{}", file.path);
        run(MCOPY, with_time(MCOPY).arg(&file.from).arg(to))?;
    }
    Ok(Bytes(size))
}
