// SPDX-License-Identifier: Apache-2.0
//! Whether a file is what boots a root file system, by its first bytes: a kernel, an initial RAM file system, a boot loader.
//!
//! It tells files that were mixed up, and proves no more: whether a kernel starts, only the machine knows.

use crate::facts::Machine;
use core::fmt;

/// How much of a file is looked at, in bytes: a UEFI program's header lies in its first page.
pub const HEAD: usize = 4096;

/// What a file is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootFile {
    /// The Linux kernel.
    Kernel,
    /// The initial RAM file system.
    Initrd,
    /// The UEFI boot loader.
    BootLoader,
}

/// Why a file is not what it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no {file}: {found}; {wanted}", wanted = .file.wanted())]
pub struct BootFileError {
    /// What it is to be.
    pub file: BootFile,
    /// What it is instead.
    pub found: &'static str,
}

/// The header of a bzImage and where it lies (Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header").
const BOOT_FLAG: (usize, &[u8]) = (0x1fe, &[0x55, 0xaa]);
const BZIMAGE: (usize, &[u8]) = (0x202, b"HdrS");
/// `setup_sects` (0 means what it was in the first protocol) and `syssize`, in units of 16 bytes.
const SETUP_SECTS: usize = 0x1f1;
const SETUP_SECTS_OLD: u64 = 4;
const SYSSIZE: usize = 0x1f4;
/// `xloadflags`, and its bit of a 64-bit entry.
const XLOADFLAGS: usize = 0x236;
const XLF_KERNEL_64: u8 = 1;
/// The magic of an arm64 `Image` (Linux, Documentation/arch/arm64/booting.rst).
const ARM64_IMAGE: (usize, &[u8]) = (56, b"ARM\x64");
/// The subsystem of a UEFI application in a PE header, and where it lies behind the signature (Microsoft, "PE Format",
/// optional header: the same place in PE32 and PE32+).
const EFI_APPLICATION: &[u8] = &[10, 0];
const SUBSYSTEM: usize = 24 + 68;

/// What the kernel unpacks as an initial RAM file system (Linux, init/initramfs.c and lib/decompress.c).
const INITRDS: [&[u8]; 10] = [
    b"070701",
    b"070702",
    &[0x1f, 0x8b],
    &[0x1f, 0x9e],
    b"BZ",
    &[0x5d, 0],
    &[0xfd, b'7'],
    &[0x89, b'L'],
    &[0x02, 0x21],
    &[0x28, 0xb5],
];

/// What files are that are taken for one of the three by mistake.
const OTHERS: [(usize, &[u8], &str); 14] = [
    (
        0,
        b"\x7fELF",
        "it is an ELF program, as an uncompressed vmlinux is",
    ),
    (0, b"MZ", "it is a program for Windows or UEFI"),
    (0, b"070701", "it is a cpio archive"),
    (0, b"070702", "it is a cpio archive"),
    (0, b"070707", "it is a cpio archive of the old format odc"),
    (0, &[0x1f, 0x8b], "it is compressed by gzip"),
    (0, &[0xfd, b'7', b'z', b'X', b'Z'], "it is compressed by xz"),
    (0, &[0x28, 0xb5, 0x2f, 0xfd], "it is compressed by zstd"),
    (0, b"BZh", "it is compressed by bzip2"),
    (0, b"hsqs", "it is a squashfs file system"),
    (0, b"QFI\xfb", "it is a qcow2 file"),
    (257, b"ustar", "it is a tar archive"),
    (
        1080,
        &[0x53, 0xef],
        "it is an ext2, ext3 or ext4 file system",
    ),
    (0, b"#!", "it is a script"),
];

impl BootFile {
    /// What to give instead.
    const fn wanted(self) -> &'static str {
        match self {
            Self::Kernel => {
                "a kernel is a bzImage, an arm64 Image or a UEFI program, as /boot/vmlinuz-VERSION is"
            }
            Self::Initrd => {
                "an initial RAM file system is a cpio archive of the format newc, plain or compressed, as /boot/initrd.img-VERSION is"
            }
            Self::BootLoader => {
                "a boot loader is a UEFI application for x86_64 or aarch64, as /usr/lib/systemd/boot/efi/systemd-bootx64.efi is"
            }
        }
    }

    /// Looks at the first [`HEAD`] bytes of a file of `length` bytes, or at all of a shorter one. The machine that it is for,
    /// where it tells.
    ///
    /// # Errors
    /// It is something else, or shorter than its header says.
    pub fn check(self, head: &[u8], length: u64) -> Result<Option<Machine>, BootFileError> {
        let least = match self {
            Self::Kernel => kernel_length(head),
            Self::BootLoader => program_length(head),
            Self::Initrd => None,
        };
        let machine = match self {
            Self::Kernel => kernel(head),
            Self::Initrd => INITRDS
                .iter()
                .any(|mark| head.starts_with(mark))
                .then_some(None),
            Self::BootLoader => loader(head).map(Some),
        }
        .ok_or_else(|| BootFileError {
            file: self,
            found: found(head),
        })?;
        if least.is_some_and(|least| length < least) {
            return Err(BootFileError {
                file: self,
                found: "it is cut off, its header says that it is longer",
            });
        }
        Ok(machine)
    }
}

impl fmt::Display for BootFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "Linux kernel",
            Self::Initrd => "initial RAM file system",
            Self::BootLoader => "UEFI boot loader",
        })
    }
}

/// A kernel's machine. A UEFI program says it itself; a bzImage without one is of 64 or of 32 bits.
fn kernel(head: &[u8]) -> Option<Option<Machine>> {
    if is_uefi(head) {
        return Some(Machine::of(head));
    }
    if has(head, ARM64_IMAGE) {
        return Some(Some(Machine::Aarch64));
    }
    is_kernel(head).then(|| {
        let flags = head.get(XLOADFLAGS).copied().unwrap_or_default();
        let is_64 = flags & XLF_KERNEL_64 != 0;
        Some(if is_64 {
            Machine::X86_64
        } else {
            Machine::I386
        })
    })
}

/// A kernel is a UEFI application too, and starts without its initial RAM file system where a loader should.
fn loader(head: &[u8]) -> Option<Machine> {
    Machine::of(head)
        .filter(|_| is_uefi(head) && !is_kernel(head))
        .filter(|machine| machine.architecture().is_some())
}

/// Whether it is a PE program of the subsystem of UEFI applications.
fn is_uefi(head: &[u8]) -> bool {
    let at = le32(head, 0x3c).and_then(|at| usize::try_from(at).ok());
    let subsystem = at.and_then(|at| at.checked_add(SUBSYSTEM));
    Machine::of(head).is_some()
        && head.starts_with(b"MZ")
        && subsystem.is_some_and(|at| has(head, (at, EFI_APPLICATION)))
}

/// How long a bzImage is at least: its set-up code and what that loads, both in the header. A signature may follow.
fn kernel_length(head: &[u8]) -> Option<u64> {
    let is_bzimage = has(head, BOOT_FLAG) && has(head, BZIMAGE);
    let sectors = match *head.get(SETUP_SECTS).filter(|_| is_bzimage)? {
        0 => SETUP_SECTS_OLD,
        sectors => u64::from(sectors),
    };
    let rest = le32(head, SYSSIZE)?;
    Some((sectors + 1) * 512 + u64::from(rest) * 16)
}

/// How long a PE program is at least: to the end of its last section (Microsoft, "PE Format", section table).
fn program_length(head: &[u8]) -> Option<u64> {
    const SECTION: usize = 40;
    let at = usize::try_from(le32(head, 0x3c)?).ok()?;
    let count = usize::from(le16(head, at.checked_add(6)?)?);
    let optional = usize::from(le16(head, at.checked_add(20)?)?);
    let table = at.checked_add(24)?.checked_add(optional)?;
    let end = |number: usize| {
        let section = table.checked_add(number * SECTION)?;
        let length = le32(head, section.checked_add(16)?)?;
        let from = le32(head, section.checked_add(20)?)?;
        Some(u64::from(from) + u64::from(length))
    };
    // Sections whose heads lie further on than what is looked at tell nothing.
    (0..count).map_while(end).max()
}

fn le16(head: &[u8], at: usize) -> Option<u16> {
    let bytes = head.get(at..at.checked_add(2)?)?;
    bytes.try_into().ok().map(u16::from_le_bytes)
}

fn le32(head: &[u8], at: usize) -> Option<u32> {
    let bytes = head.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}

/// Whether it bears the mark of a kernel, UEFI program or not.
fn is_kernel(head: &[u8]) -> bool {
    has(head, BOOT_FLAG) && has(head, BZIMAGE) || has(head, ARM64_IMAGE)
}

fn has(head: &[u8], (at, mark): (usize, &[u8])) -> bool {
    head.get(at..).is_some_and(|rest| rest.starts_with(mark))
}

fn found(head: &[u8]) -> &'static str {
    if head.is_empty() {
        return "it is empty";
    }
    if is_kernel(head) {
        return "it is a Linux kernel";
    }
    if is_uefi(head) {
        return match Machine::of(head).and_then(Machine::architecture) {
            Some(_) => "it is a UEFI program",
            None => "it is a UEFI program for another machine",
        };
    }
    OTHERS
        .iter()
        .find(|(at, mark, _)| has(head, (*at, mark)))
        .map_or("it begins with no mark that is known", |(_, _, what)| what)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use alloc::vec;
    use alloc::vec::Vec;
    use expect_test::expect;

    fn pe(machine: u16, subsystem: u8) -> Vec<u8> {
        let mut bytes = vec![0; 512];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c] = 0x80;
        bytes[0x80..0x84].copy_from_slice(b"PE\0\0");
        bytes[0x84..0x86].copy_from_slice(&machine.to_le_bytes());
        bytes[0x80 + SUBSYSTEM] = subsystem;
        bytes
    }

    fn bzimage(flags: u8) -> Vec<u8> {
        let mut bytes = vec![0; 1024];
        bytes[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        bytes[XLOADFLAGS] = flags;
        bytes
    }

    #[test]
    fn each_is_known_by_its_mark() {
        let kernel = |head: &[u8]| BootFile::Kernel.check(head, 1 << 20).unwrap();
        assert_eq!(kernel(&bzimage(1)), Some(Machine::X86_64));
        assert_eq!(kernel(&bzimage(0)), Some(Machine::I386));
        assert_eq!(kernel(&pe(0x8664, 10)), Some(Machine::X86_64));
        let mut arm = vec![0; 64];
        arm[56..60].copy_from_slice(b"ARM\x64");
        assert_eq!(kernel(&arm), Some(Machine::Aarch64));
        for head in [&b"070701"[..], &[0x1f, 0x8b, 8], &[0x28, 0xb5, 0x2f, 0xfd]] {
            assert_eq!(BootFile::Initrd.check(head, 8), Ok(None));
        }
        let loader = BootFile::BootLoader.check(&pe(0xaa64, 10), 512);
        assert_eq!(loader, Ok(Some(Machine::Aarch64)));
    }

    #[test]
    fn what_is_something_else_is_told_what_it_is() {
        let said = |file: BootFile, head: &[u8]| file.check(head, 1 << 20).unwrap_err().to_string();
        expect!["it is no Linux kernel: it is compressed by gzip; a kernel is a bzImage, an arm64 Image or a UEFI program, as /boot/vmlinuz-VERSION is"]
            .assert_eq(&said(BootFile::Kernel, &[0x1f, 0x8b, 8, 0]));
        expect!["it is no initial RAM file system: it is a Linux kernel; an initial RAM file system is a cpio archive of the format newc, plain or compressed, as /boot/initrd.img-VERSION is"]
            .assert_eq(&said(BootFile::Initrd, &bzimage(1)));
        expect!["it is no UEFI boot loader: it is a program for Windows or UEFI; a boot loader is a UEFI application for x86_64 or aarch64, as /usr/lib/systemd/boot/efi/systemd-bootx64.efi is"]
            .assert_eq(&said(BootFile::BootLoader, &pe(0x8664, 3)));
        let mut with_stub = pe(0x8664, 10);
        with_stub.resize(1024, 0);
        with_stub[0x1fe..0x206].copy_from_slice(b"\x55\xaa\0\0HdrS");
        assert_eq!(
            BootFile::Kernel.check(&with_stub, 1 << 20),
            Ok(Some(Machine::X86_64))
        );
        for (file, head, what) in [
            (BootFile::Kernel, &b""[..], "it is empty"),
            (BootFile::Kernel, b"nonsense", "no mark that is known"),
            (BootFile::Kernel, b"\x7fELF", "ELF"),
            (BootFile::Kernel, &pe(0x8664, 3), "for Windows"),
            (BootFile::Initrd, b"070707", "odc"),
            (BootFile::Initrd, b"", "it is empty"),
            (BootFile::BootLoader, &bzimage(1), "a Linux kernel"),
            (BootFile::BootLoader, &with_stub, "a Linux kernel"),
            (BootFile::BootLoader, &pe(0x014c, 10), "for another machine"),
        ] {
            assert!(said(file, head).contains(what), "{}", said(file, head));
        }
    }

    #[test]
    fn what_is_shorter_than_its_header_says_is_cut_off() {
        let mut kernel = bzimage(1);
        kernel[SETUP_SECTS] = 3;
        kernel[SYSSIZE..SYSSIZE + 4].copy_from_slice(&100u32.to_le_bytes());
        let length = 4 * 512 + 1600;
        assert!(BootFile::Kernel.check(&kernel, length).is_ok());
        let error = BootFile::Kernel.check(&kernel, length - 1).unwrap_err();
        assert!(error.to_string().contains("cut off"), "{error}");
        let mut loader = pe(0x8664, 10);
        loader[0x86] = 1;
        loader[0x94] = 0xf0;
        let section = 0x80 + 24 + 0xf0;
        loader[section + 16..section + 20].copy_from_slice(&1000u32.to_le_bytes());
        loader[section + 20..section + 24].copy_from_slice(&512u32.to_le_bytes());
        assert!(BootFile::BootLoader.check(&loader, 1512).is_ok());
        let error = BootFile::BootLoader.check(&loader, 1511).unwrap_err();
        assert!(error.to_string().contains("cut off"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_judged(head in proptest::collection::vec(proptest::num::u8::ANY, 0..700)) {
            for file in [BootFile::Kernel, BootFile::Initrd, BootFile::BootLoader] {
                let _judged = file.check(&head, 700);
            }
        }
    }
}
