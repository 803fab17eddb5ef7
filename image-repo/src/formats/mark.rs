// SPDX-License-Identifier: Apache-2.0
//! The marks that formats bear, so that a file is not taken for another thing than it is.

use groundstate_api::image::ImageFormat;

/// How much of a file's start is looked at, in bytes: a tar header's mark and a GPT on large sectors lie in it.
pub(super) const HEAD: usize = 8 * 1024;
/// How much of its end: a VHD's footer.
pub(super) const TAIL: u32 = 512;

/// What a mark stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    /// One of our formats.
    Ours(ImageFormat),
    /// One that we do not read.
    Foreign(&'static str),
}

/// A mark that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) what: Marked,
    /// A sentence's end: `it begins with a qcow2 header`.
    pub(super) evidence: &'static str,
}

/// Marks at a file's start: where, which bytes, what they stand for.
const STARTS: [(usize, &[u8], Marked, &str); 23] = [
    (
        0,
        b"QFI\xfb\0\0\0\x01",
        Marked::Foreign("qcow version 1"),
        "it begins with a qcow version 1 header",
    ),
    (
        0,
        b"QFI\xfb",
        Marked::Ours(ImageFormat::Qcow2),
        "it begins with a qcow2 header",
    ),
    (
        0,
        b"KDMV",
        Marked::Ours(ImageFormat::Vmdk),
        "it begins with a VMDK header",
    ),
    (
        0,
        b"# Disk DescriptorFile",
        Marked::Ours(ImageFormat::Vmdk),
        "it begins with a VMDK descriptor",
    ),
    (
        0,
        b"vhdxfile",
        Marked::Ours(ImageFormat::Vhdx),
        "it begins with a VHDX identifier",
    ),
    (
        0,
        b"conectix",
        Marked::Ours(ImageFormat::Vhd),
        "it begins with the copy of a VHD footer",
    ),
    (
        0,
        b"\x28\xb5\x2f\xfd",
        Marked::Ours(ImageFormat::RawZstd),
        "it begins with a zstd frame",
    ),
    (
        0,
        b"\x1f\x8b\x08",
        Marked::Ours(ImageFormat::RawGzip),
        "it begins with a gzip member",
    ),
    (
        0,
        b"\xfd7zXZ\0",
        Marked::Ours(ImageFormat::RawXz),
        "it begins with an .xz header",
    ),
    (
        0,
        b"MSWIM\0\0\0",
        Marked::Ours(ImageFormat::Wim),
        "it begins with a WIM header",
    ),
    (
        257,
        b"ustar\0",
        Marked::Ours(ImageFormat::Tar),
        "it begins with a tar header",
    ),
    (
        257,
        b"ustar  \0",
        Marked::Ours(ImageFormat::Tar),
        "it begins with a GNU tar header",
    ),
    (
        0,
        b"COWD",
        Marked::Foreign("VMDK of ESX (COWD)"),
        "it begins with the header of an ESX delta disk",
    ),
    (
        0,
        b"\xbe\xba\xfe\xca\0\0\0\0",
        Marked::Foreign("VMDK of ESX (SEsparse)"),
        "it begins with an SEsparse header",
    ),
    (
        0,
        b"QED\0",
        Marked::Foreign("QED"),
        "it begins with a QED header",
    ),
    (
        64,
        b"\x7f\x10\xda\xbe",
        Marked::Foreign("VDI"),
        "it begins with a VirtualBox VDI header",
    ),
    (
        0,
        b"WithoutFreeSpace",
        Marked::Foreign("Parallels"),
        "it begins with a Parallels header",
    ),
    (
        0,
        b"WithouFreSpacExt",
        Marked::Foreign("Parallels"),
        "it begins with a Parallels header",
    ),
    (
        0,
        b"BZh91AY&SY",
        Marked::Foreign("bzip2"),
        "it begins with a bzip2 stream",
    ),
    (
        0,
        b"\x04\x22\x4d\x18",
        Marked::Foreign("lz4"),
        "it begins with an lz4 frame",
    ),
    (
        0,
        b"7z\xbc\xaf\x27\x1c",
        Marked::Foreign("7z"),
        "it begins with a 7z header",
    ),
    (
        0,
        b"PK\x03\x04",
        Marked::Foreign("zip"),
        "it begins with a zip header",
    ),
    (
        0,
        b"LZIP\x01",
        Marked::Foreign("lzip"),
        "it begins with an lzip header",
    ),
];

/// The mark in a file's first and last bytes.
pub(super) fn mark(head: &[u8], tail: &[u8]) -> Option<Mark> {
    for (at, bytes, what, evidence) in STARTS {
        if head.get(at..).is_some_and(|rest| rest.starts_with(bytes)) {
            return Some(Mark { what, evidence });
        }
    }
    // Skippable frames: sixteen numbers.
    if let [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] = head {
        return Some(Mark {
            what: Marked::Ours(ImageFormat::RawZstd),
            evidence: "it begins with a skippable zstd frame",
        });
    }
    // No mark of its own: properties and a dictionary as every packer sets them, and a length that is not said.
    if let [0x5d, 0, 0, _, _, length @ ..] = head
        && length.starts_with(&[0xff; 8])
    {
        return Some(Mark {
            what: Marked::Foreign("lzma"),
            evidence: "it begins with an .lzma header",
        });
    }
    tail_mark(tail)
}

/// The mark in a file's last bytes.
pub(super) fn tail_mark(tail: &[u8]) -> Option<Mark> {
    let from = tail.len().checked_sub(512)?;
    let footer = tail.get(from..)?;
    footer.starts_with(b"conectix").then_some(Mark {
        what: Marked::Ours(ImageFormat::Vhd),
        evidence: "it ends with a VHD footer",
    })
}

/// What says that the bytes themselves are a disk or a file system.
pub(super) fn disk_evidence(head: &[u8]) -> Option<&'static str> {
    let has = |at: usize, bytes: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(bytes));
    if has(512, b"EFI PART") {
        return Some("a GUID partition table stands at byte 512");
    }
    if has(4096, b"EFI PART") {
        return Some("a GUID partition table stands at byte 4096");
    }
    if has(1080, b"\x53\xef") {
        return Some("an ext2, ext3 or ext4 superblock stands at byte 1024");
    }
    if has(0, b"XFSB") {
        return Some("an XFS superblock stands at byte 0");
    }
    if has(0, b"hsqs") {
        return Some("a squashfs superblock stands at byte 0");
    }
    if has(510, b"\x55\xaa") {
        return Some("the first sector ends with 55 aa, as a boot sector does");
    }
    None
}
