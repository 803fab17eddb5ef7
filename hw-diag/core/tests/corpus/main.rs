// SPDX-License-Identifier: Apache-2.0
//! Real captures: SMBIOS tables against `dmidecode` and their published decoding, SMART reports of real server drives.
#![allow(clippy::unwrap_used)]

mod disk_cuts;
mod disk_mutations;
mod disks;
mod firmware_tables;
mod garbage;
mod labels;
mod lldp_frames;
mod memory_mutations;
mod memory_removed;
mod memory_texts;
mod one_thing;
mod printed;
mod smbios_tables;

use std::path::PathBuf;

/// The corpus, or `None` where it is absent; with `CI` set it must be there.
fn corpus(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("GROUNDSTATE_CORPUS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "no corpus at {}",
        path.display()
    );
    eprintln!("skipped: no corpus at {}", path.display());
    None
}
