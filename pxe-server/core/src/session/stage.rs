// SPDX-License-Identifier: Apache-2.0
//! Who asks, what a file is for, and how far a boot has come. Names say it: nothing here looks into a file.

use crate::names::LOCAL_DISK;

/// What iPXE is called in a step.
pub const IPXE: &str = "iPXE";
/// What an operating system is called in a step.
pub const OPERATING_SYSTEM: &str = "an operating system";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Network-boot firmware.
    Firmware,
    /// iPXE.
    Ipxe,
    /// An operating system.
    OperatingSystem,
}

impl Asker {
    /// By the words of a step.
    #[must_use]
    pub fn of(client: &str) -> Self {
        match client {
            IPXE => Self::Ipxe,
            OPERATING_SYSTEM => Self::OperatingSystem,
            _ => Self::Firmware,
        }
    }
}

/// How far a boot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Firmware asks for an address and a boot file.
    Asking,
    /// Firmware has its first file, or was told that there is none.
    FirstFile,
    /// iPXE asks.
    IpxeAsking,
    /// iPXE has its script.
    Script,
    /// The kernel, or what belongs to it, goes out.
    Kernel,
}

/// What a boot file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// The name of no file, which sends firmware to its own disk.
    LocalDisk,
    /// iPXE, as a program that firmware starts.
    FirstStage,
    /// A boot loader that fetches more, or what it fetches before a kernel.
    Loader,
    /// A script of iPXE.
    Script,
    /// A kernel.
    Kernel,
    /// An initramfs, or another thing that a kernel is given.
    Initrd,
    /// Any other program: a unified kernel image, or the user's own.
    Program,
}

/// Beginnings and endings of names, in lower case, by what they say. The first row that fits counts.
const NAMES: [(FileKind, &[&str], &[&str]); 5] = [
    (FileKind::Script, &[], &[".ipxe"]),
    (
        FileKind::FirstStage,
        &["undionly", "ipxe", "snponly", "snp.", "intel.", "realtek."],
        &[".kpxe", ".kkpxe", ".kkkpxe"],
    ),
    (
        FileKind::Loader,
        &[
            "pxelinux",
            "lpxelinux",
            "grub",
            "shim",
            "syslinux",
            "ldlinux",
        ],
        &[".cfg", ".conf", ".c32", ".mod", ".lst", ".0"],
    ),
    (
        FileKind::Initrd,
        &["initr", "core.gz"],
        &[
            ".img",
            ".cpio",
            ".gz",
            ".xz",
            ".zst",
            ".wim",
            ".sdi",
            ".squashfs",
        ],
    ),
    (
        FileKind::Kernel,
        &["vmlinu", "linux", "bzimage", "kernel", "image", "wimboot"],
        &[".kernel", ".vmlinuz"],
    ),
];

impl FileKind {
    /// By the name, or by the end of a path or URL.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let last = name.rsplit('/').next().unwrap_or_default();
        if last == LOCAL_DISK {
            return Self::LocalDisk;
        }
        if name.contains(".cfg/") {
            return Self::Loader; // PXELINUX asks for its configuration under a dozen names.
        }
        let last = last.to_ascii_lowercase();
        let fits = |(_, heads, tails): &&(Self, &[&str], &[&str])| {
            heads.iter().any(|head| last.starts_with(head))
                || tails.iter().any(|tail| last.ends_with(tail))
        };
        NAMES.iter().find(fits).map_or(Self::Program, |row| row.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_file_is_for() {
        for (name, kind) in [
            ("local-disk", FileKind::LocalDisk),
            ("http://10.0.0.1/boot/local-disk", FileKind::LocalDisk),
            ("undionly.kpxe", FileKind::FirstStage),
            ("snponly.efi", FileKind::FirstStage),
            ("arm64/ipxe.efi", FileKind::FirstStage),
            (
                "http://10.0.0.1/boot/ipxe/52:54:00:00:00:01.ipxe",
                FileKind::Script,
            ),
            ("vmlinuz", FileKind::Kernel),
            ("debian/12/linux", FileKind::Kernel),
            ("vmlinuz-6.1.0-37-amd64", FileKind::Kernel),
            ("initrd.img", FileKind::Initrd),
            ("images/core.gz", FileKind::Initrd),
            ("pxelinux.0", FileKind::Loader),
            ("pxelinux.cfg/default", FileKind::Loader),
            ("grubx64.efi", FileKind::Loader),
            ("groundstate.efi", FileKind::Program),
            ("memtest.bin", FileKind::Program),
            ("", FileKind::Program),
        ] {
            assert_eq!(FileKind::of(name), kind, "{name}");
        }
    }

    #[test]
    fn whoever_is_neither_ipxe_nor_an_operating_system_is_firmware() {
        assert_eq!(Asker::of("iPXE"), Asker::Ipxe);
        assert_eq!(Asker::of("an operating system"), Asker::OperatingSystem);
        for firmware in ["BIOS PXE", "UEFI HTTP Boot", "architecture 11"] {
            assert_eq!(Asker::of(firmware), Asker::Firmware);
        }
    }
}
