// SPDX-License-Identifier: Apache-2.0
//! The boot image as an ISO: the unified kernel image in a FAT image, for a BMC's virtual drive, a CD or a USB stick. UEFI only.

use pxe_core::fat::{FatError, fat};
use pxe_core::iso::{IsoError, iso};

/// The name under which it is served and kept.
pub const ISO: &str = "groundstate.iso";
/// The most bytes of a unified kernel image: ten times of what one has.
const UKI_MAX: usize = 256 << 20;

/// Why no ISO can be made.
#[derive(Debug, thiserror::Error)]
pub enum BootIsoError {
    /// The unified kernel image is not one.
    #[error(
        "a unified kernel image begins with MZ and has at most 256 MiB; this has {bytes} bytes"
    )]
    Uki {
        /// Its bytes.
        bytes: usize,
    },
    /// The FAT image cannot be written.
    #[error(transparent)]
    Fat(#[from] FatError),
    /// The ISO cannot be written.
    #[error(transparent)]
    Iso(#[from] IsoError),
}

/// The ISO that boots this unified kernel image. The same image gives the same bytes.
///
/// # Errors
/// When it is no such image, or does not fit.
pub fn boot_iso(uki: &[u8]) -> Result<Vec<u8>, BootIsoError> {
    if !uki.starts_with(b"MZ") || uki.len() > UKI_MAX {
        return Err(BootIsoError::Uki { bytes: uki.len() });
    }
    Ok(iso("GROUNDSTATE", &fat(uki)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    fn run(program: &str, arguments: &[&str], folder: &Path) -> String {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
        said
    }

    #[test]
    fn xorriso_mtools_and_fdisk_find_in_it_what_was_put_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let mut uki = b"MZ".to_vec();
        uki.extend((0..3_000_000u32).map(|at| u8::try_from(at % 251).unwrap()));
        let made = boot_iso(&uki).unwrap();
        assert_eq!(
            boot_iso(&uki).unwrap(),
            made,
            "the same input, the same bytes"
        );
        fs::write(path.join("boot.iso"), &made).unwrap();
        let said = run(
            "xorriso",
            &["-indev", "boot.iso", "-report_el_torito", "plain"],
            path,
        );
        assert!(said.contains("UEFI") && said.contains("none"), "{said}");
        run(
            "xorriso",
            &[
                "-osirrox", "on", "-indev", "boot.iso", "-extract", "/EFI.IMG", "esp.img",
            ],
            path,
        );
        run("fsck.fat", &["-n", "esp.img"], path);
        run(
            "mcopy",
            &["-i", "esp.img", "::/EFI/BOOT/BOOTX64.EFI", "out.efi"],
            path,
        );
        assert_eq!(fs::read(path.join("out.efi")).unwrap(), uki);
        // As a stick: the partition that the MBR names is the same FAT image.
        let said = run("sfdisk", &["-J", "boot.iso"], path);
        let table: serde_json::Value = serde_json::from_str(&said).unwrap();
        let part = &table["partitiontable"]["partitions"][0];
        assert_eq!(part["type"], "ef", "{said}");
        let from = usize::try_from(part["start"].as_u64().unwrap()).unwrap() * 512;
        let bytes = usize::try_from(part["size"].as_u64().unwrap()).unwrap() * 512;
        assert_eq!(
            made[from..from + bytes],
            fs::read(path.join("esp.img")).unwrap()
        );
    }

    #[test]
    fn what_is_no_kernel_image_is_refused() {
        assert!(matches!(
            boot_iso(b"\x7fELF"),
            Err(BootIsoError::Uki { bytes: 4 })
        ));
    }
}
