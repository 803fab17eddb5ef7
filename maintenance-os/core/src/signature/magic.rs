// SPDX-License-Identifier: Apache-2.0
//! What a magic at a fixed place tells, as a table.

use super::Recognised;
use super::window::{Window, label, label_utf16, uuid};

/// Where a label stands and how it is written.
#[derive(Clone, Copy)]
enum LabelAt {
    None,
    Text(u64, usize),
    Utf16(u64, usize),
}

struct Magic {
    what: &'static str,
    at: u64,
    magic: &'static [u8],
    label: LabelAt,
    uuid_at: Option<u64>,
    is_file_system: bool,
}

const fn fs(what: &'static str, at: u64, magic: &'static [u8]) -> Magic {
    Magic {
        what,
        at,
        magic,
        label: LabelAt::None,
        uuid_at: None,
        is_file_system: true,
    }
}

const fn member(what: &'static str, at: u64, magic: &'static [u8]) -> Magic {
    Magic {
        is_file_system: false,
        ..fs(what, at, magic)
    }
}

impl Magic {
    const fn text(mut self, at: u64, length: usize) -> Self {
        self.label = LabelAt::Text(at, length);
        self
    }
    const fn utf16(mut self, at: u64, length: usize) -> Self {
        self.label = LabelAt::Utf16(at, length);
        self
    }
    const fn uuid(mut self, at: u64) -> Self {
        self.uuid_at = Some(at);
        self
    }
}

const K64: u64 = 65_536;

/// From the formats' own documents and the kernel's headers; each offset counts from the region's start.
const MAGICS: &[Magic] = &[
    fs("xfs", 0, b"XFSB").text(108, 12).uuid(32),
    fs("btrfs", K64 + 64, b"_BHRfS_M")
        .text(K64 + 0x12b, 256)
        .uuid(K64 + 32),
    fs("f2fs", 1_024, b"\x10\x20\xf5\xf2")
        .utf16(1_024 + 124, 1_024)
        .uuid(1_024 + 108),
    fs("erofs", 1_024, b"\xe2\xe1\xf5\xe0")
        .text(1_024 + 64, 16)
        .uuid(1_024 + 48),
    fs("squashfs", 0, b"hsqs"),
    fs("squashfs", 0, b"sqsh"),
    fs("cramfs", 0, b"\x45\x3d\xcd\x28").text(48, 16),
    fs("cramfs", 0, b"\x28\xcd\x3d\x45").text(48, 16),
    fs("iso9660", 32_769, b"CD001").text(32_768 + 40, 32),
    fs("reiserfs", K64 + 52, b"ReIsErFs"),
    fs("reiserfs", K64 + 52, b"ReIsEr2Fs")
        .text(K64 + 100, 16)
        .uuid(K64 + 84),
    fs("reiserfs", K64 + 52, b"ReIsEr3Fs")
        .text(K64 + 100, 16)
        .uuid(K64 + 84),
    fs("reiserfs", 8_192 + 52, b"ReIsErFs"),
    fs("reiser4", K64, b"ReIsEr4")
        .text(K64 + 36, 16)
        .uuid(K64 + 20),
    fs("jfs", 32_768, b"JFS1")
        .text(32_768 + 152, 16)
        .uuid(32_768 + 136),
    fs("befs", 32, b"1SFB").text(0, 32),
    fs("befs", 32, b"BFS1").text(0, 32),
    fs("befs", 512 + 32, b"1SFB").text(512, 32),
    fs("befs", 512 + 32, b"BFS1").text(512, 32),
    fs("hfs", 1_024, b"BD"),
    fs("hfsplus", 1_024, b"H+"),
    fs("hfsplus", 1_024, b"HX"),
    fs("apfs", 32, b"NXSB"),
    fs("refs", 3, b"\0\0\0ReFS"),
    fs("gfs2", K64, b"\x01\x16\x19\x70"),
    fs("ocfs2", 2 * 1_024, b"OCFSV2"),
    fs("ocfs2", 4 * 1_024, b"OCFSV2"),
    fs("ocfs2", 8 * 1_024, b"OCFSV2"),
    fs("ufs", 8_192 + 1_372, b"\x54\x19\x01\x00"),
    fs("ufs", 8_192 + 1_372, b"\x00\x01\x19\x54"),
    fs("ufs", K64 + 1_372, b"\x19\x01\x54\x19"),
    fs("vxfs", 1_024, b"\xf5\xfc\x01\xa5"),
    fs("VMFS", 0x20_0000, b"\x5e\xf1\xab\x2f")
        .text(0x20_0000 + 29, 128)
        .uuid(0x20_0000 + 9),
    member("VMFS volume member", 0x10_0000, b"\x0d\xd0\x01\xc0"),
    member("bluestore", 0, b"bluestore block device"),
    member(
        "bcache",
        4_096 + 24,
        b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81",
    )
    .text(4_096 + 72, 32)
    .uuid(4_096 + 40),
    fs(
        "bcachefs",
        4_096 + 24,
        b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef",
    ),
    member("BitLocker", 3, b"-FVE-FS-"),
    member("VDO", 0, b"dmvdo001"),
    member("stratis", 512 + 4, b"!Stra0tis\x86\xff\x02^\x41rh"),
    member("sgi disk label", 0, b"\x0b\xe5\xa9\x41"),
    member("sun disk label", 508, b"\xda\xbe"),
    member("bsd disk label", 512, b"\x57\x45\x56\x82"),
    member("bsd disk label", 64, b"\x57\x45\x56\x82"),
    member("apple partition map", 512, b"PM\0\0"),
];

pub(super) fn recognise<E>(
    window: &mut Window<'_, E>,
    found: &mut alloc::vec::Vec<Recognised>,
) -> Result<(), E> {
    for one in MAGICS {
        if !window.has(one.at, one.magic)? || found.iter().any(|have| have.what == one.what) {
            continue;
        }
        let label = match one.label {
            LabelAt::None => None,
            LabelAt::Text(at, length) => window.at(at, length)?.and_then(|bytes| label(&bytes)),
            LabelAt::Utf16(at, length) => {
                window.at(at, length)?.and_then(|bytes| label_utf16(&bytes))
            }
        };
        let uuid = match one.uuid_at {
            Some(at) => window.at(at, 16)?.and_then(|bytes| uuid(&bytes)),
            None => None,
        };
        found.push(Recognised {
            what: alloc::string::String::from(one.what),
            label,
            uuid,
            is_file_system: one.is_file_system,
        });
    }
    Ok(())
}
