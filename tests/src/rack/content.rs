// SPDX-License-Identifier: Apache-2.0
//! What a rack's disks hold at first: somebody else's file system, and random bytes at both ends. The same serial
//! number gives the same bytes. Nothing here is written to a disk of this machine.

use super::parts::run;
use super::{DiskSpec, OldContent, Parts, RackError};
use groundstate_api::Digest;
use groundstate_api::units::MIB;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

/// A moment for the old file systems' time stamps, so that they do not depend on the clock: 2023-11-14.
const OLD_TIME_SECS: &str = "1700000000";
/// A GPT needs 34 sectors at the front; random bytes begin after them.
const AFTER_TABLE: u64 = 32 << 10;
/// Where the old partitions begin, and how much they leave free at the end.
const MARGIN: u64 = MIB;

/// Boot code that gives up: INT 18h, on which a BIOS goes to the next boot device.
const NOT_BOOTABLE: &[u8] = b"\xCD\x18no system on this disk";

/// Fills an empty sparse file of the disk's size.
pub(super) fn fill(path: &Path, spec: &DiskSpec, parts: &Parts) -> Result<(), RackError> {
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(RackError::file(path))?;
    let noise = |at, length| noise(&file, path, &spec.serial, at, length);
    let size = spec.size.0;
    let ends = |front: u64| {
        noise(front, MARGIN - front)?;
        noise(size - MARGIN, MARGIN)
    };
    match spec.old_content {
        OldContent::GptExt4 => {
            ext4(path, spec, parts, "old-root", MARGIN)?;
            ends(AFTER_TABLE)?;
            // Last, because the backup table lies inside the last MiB.
            gpt(path, spec, parts)?;
            file.write_all_at(NOT_BOOTABLE, 0)
                .map_err(RackError::file(path))
        }
        OldContent::MbrExt4 => {
            ext4(path, spec, parts, "old-data", MARGIN)?;
            ends(512)?;
            file.write_all_at(&mbr(size), 0)
                .map_err(RackError::file(path))
        }
        OldContent::BareExt4 => {
            ext4(path, spec, parts, "old-bare", 0)?;
            // The file system leaves its first 1,024 bytes to a boot loader.
            noise(0, 1_024)?;
            noise(size - MARGIN, MARGIN)
        }
        OldContent::Noise => {
            ends(0)?;
            noise(size / 2 / MIB * MIB, MIB)
        }
    }
}

fn ext4(
    path: &Path,
    spec: &DiskSpec,
    parts: &Parts,
    label: &str,
    offset: u64,
) -> Result<(), RackError> {
    let kib = (spec.size.0 - offset - MARGIN) / 1_024;
    let uuid = seeded_uuid(&spec.serial, label);
    let extended = format!(
        "offset={offset},lazy_itable_init=1,lazy_journal_init=1,nodiscard,hash_seed={uuid},root_owner=0:0"
    );
    let mut mkfs = Command::new(&parts.mkfs_ext4);
    mkfs.args(["-q", "-F", "-L", label, "-U", &uuid, "-E", &extended]);
    mkfs.arg(path)
        .arg(format!("{kib}K"))
        .env("E2FSPROGS_FAKE_TIME", OLD_TIME_SECS);
    run(&mut mkfs).map(drop)
}

fn gpt(path: &Path, spec: &DiskSpec, parts: &Parts) -> Result<(), RackError> {
    let (disk, part) = (
        seeded_uuid(&spec.serial, "disk"),
        seeded_uuid(&spec.serial, "part"),
    );
    let last = (spec.size.0 - MARGIN) / 512 - 1;
    let mut sgdisk = Command::new(&parts.sgdisk);
    sgdisk.args([
        "-o",
        "-U",
        &disk,
        "-n",
        &format!("1:2048:{last}"),
        "-t",
        "1:8300",
    ]);
    sgdisk
        .args(["-u", &format!("1:{part}"), "-c", "1:old-root"])
        .arg(path);
    run(&mut sgdisk)?;
    // sgdisk can leave an empty table and exit 0.
    let listed = run(Command::new(&parts.sgdisk).arg("-p").arg(path))?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    if text.contains("old-root") {
        return Ok(());
    }
    Err(RackError::CommandFailed {
        command: format!("sgdisk -o ... {}", path.display()),
        status: "exit 0, but the table has no partition".to_owned(),
        stderr: text,
    })
}

/// A master boot record with one Linux partition from 1 MiB to 1 MiB before the end.
fn mbr(size: u64) -> [u8; 512] {
    let sectors = |bytes: u64| u32::try_from(bytes / 512).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = [0u8; 512];
    out[..NOT_BOOTABLE.len()].copy_from_slice(NOT_BOOTABLE);
    out[440..444].copy_from_slice(b"olds");
    out[446..454].copy_from_slice(&[0x80, 0xFE, 0xFF, 0xFF, 0x83, 0xFE, 0xFF, 0xFF]);
    out[454..458].copy_from_slice(&sectors(MARGIN));
    out[458..462].copy_from_slice(&sectors(size - 2 * MARGIN));
    out[510..].copy_from_slice(&[0x55, 0xAA]);
    out
}

fn seeded_uuid(serial: &str, what: &str) -> String {
    let hex = Digest::of(format!("{what} {serial}").as_bytes()).hex();
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..15],
        &hex[15..18],
        &hex[18..30],
    );
    format!("{a}-{b}-4{c}-8{d}-{e}")
}

/// Writes bytes that look random and depend on the serial number and the place only.
fn noise(file: &File, path: &Path, serial: &str, at: u64, length: u64) -> Result<(), RackError> {
    let seed = Digest::of(format!("noise {serial} {at}").as_bytes()).0;
    let mut state = seed
        .iter()
        .take(8)
        .fold(0u64, |sum, b| sum << 8 | u64::from(*b));
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    for _ in 0..length.div_ceil(8) {
        // SplitMix64 (Steele, Lea, Flood 2014): not for secrets, and never a run of zeros.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bytes.extend((word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(usize::try_from(length).unwrap_or_default());
    file.write_all_at(&bytes, at).map_err(RackError::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rack::{DiskImage, NodeSpec};
    use groundstate_api::boot::Firmware;

    fn says(program: &'static str, args: &[&str], path: &Path) -> String {
        let program = Parts::program(program, "its package").unwrap();
        let out = run(Command::new(program).args(args).arg(path)).unwrap();
        String::from_utf8(out.stdout).unwrap()
    }

    #[test]
    fn disks_begin_foreign_and_never_zero_and_always_the_same() {
        let parts = Parts::find().unwrap();
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for spec in NodeSpec::demo(1, Firmware::Bios).disks {
            let image = DiskImage::create(one.path(), &spec, &parts).unwrap();
            let again = DiskImage::create(two.path(), &spec, &parts).unwrap();
            assert_eq!(
                image.fingerprint().unwrap(),
                again.fingerprint().unwrap(),
                "{}",
                spec.serial
            );
            let file = File::open(image.path()).unwrap();
            assert_eq!(file.metadata().unwrap().len(), spec.size.0);
            let mut sector = [0u8; 512];
            for at in [0, spec.size.0 - 512] {
                file.read_exact_at(&mut sector, at).unwrap();
                assert_ne!(sector, [0; 512], "{} at {at}", spec.serial);
            }
        }
    }

    #[test]
    fn other_tools_recognise_what_the_disks_hold() {
        let parts = Parts::find().unwrap();
        let folder = tempfile::tempdir().unwrap();
        for spec in NodeSpec::demo(2, Firmware::Bios).disks {
            let image = DiskImage::create(folder.path(), &spec, &parts).unwrap();
            let path = image.path();
            let (label, offset, table) = match spec.old_content {
                OldContent::GptExt4 => ("old-root", MARGIN, true),
                OldContent::MbrExt4 => ("old-data", MARGIN, true),
                OldContent::BareExt4 => ("old-bare", 0, false),
                OldContent::Noise => continue,
            };
            check_ext4(label, path, offset);
            let listed = says("sgdisk", &["-p"], path);
            if !table {
                assert!(!listed.contains("8300"), "{listed}");
                continue;
            }
            let partition = listed
                .lines()
                .find(|l| l.contains("8300"))
                .unwrap_or_default();
            let words: Vec<&str> = partition.split_whitespace().collect();
            let last = (spec.size.0 - MARGIN) / 512 - 1;
            assert_eq!(words[..3], ["1", "2048", &last.to_string()], "{listed}");
            if spec.old_content == OldContent::GptExt4 {
                let verified = says("sgdisk", &["-v"], path);
                assert!(verified.contains("No problems found"), "{verified}");
            }
        }
    }

    /// e2fsck finds the file system clean and under its label.
    fn check_ext4(label: &str, path: &Path, offset: u64) {
        let place = format!("{}?offset={offset}", path.display());
        let text = says("e2fsck", &["-f", "-n"], Path::new(&place));
        assert!(text.contains(label), "{text}");
    }
}
