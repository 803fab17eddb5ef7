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

/// From the formats' own documents, the kernel's headers and libblkid's; each offset counts from the region's start.
/// Where two lines have one name, the first that is there gives label and UUID.
const MAGICS: &[Magic] = &[
    fs("xfs", 0, b"XFSB").text(108, 12).uuid(32),
    fs("exfs", 0, b"EXFS").text(108, 12).uuid(32),
    fs("btrfs", K64 + 64, b"_BHRfS_M")
        .text(K64 + 0x12b, 256)
        .uuid(K64 + 32),
    fs("btrfs", BTRFS_MIRRORS[0] + 64, b"_BHRfS_M")
        .text(BTRFS_MIRRORS[0] + 0x12b, 256)
        .uuid(BTRFS_MIRRORS[0] + 32),
    fs("btrfs", BTRFS_MIRRORS[1] + 64, b"_BHRfS_M")
        .text(BTRFS_MIRRORS[1] + 0x12b, 256)
        .uuid(BTRFS_MIRRORS[1] + 32),
    fs("f2fs", 1_024, b"\x10\x20\xf5\xf2")
        .utf16(1_024 + 124, 1_024)
        .uuid(1_024 + 108),
    fs("f2fs", 5_120, b"\x10\x20\xf5\xf2")
        .utf16(5_120 + 124, 1_024)
        .uuid(5_120 + 108),
    fs("erofs", 1_024, b"\xe2\xe1\xf5\xe0")
        .text(1_024 + 64, 16)
        .uuid(1_024 + 48),
    fs("cramfs", 0, b"\x45\x3d\xcd\x28").text(48, 16),
    fs("cramfs", 0, b"\x28\xcd\x3d\x45").text(48, 16),
    fs("romfs", 0, b"-rom1fs-").text(16, 16),
    fs("bfs", 0, b"\xce\xfa\xad\x1b"),
    fs("zonefs", 0, b"SFOZ").text(8, 32).uuid(40),
    fs("mpool", 0, b"mpoolDev").text(8, 32).uuid(40),
    fs("ubifs", 0, b"\x31\x18\x10\x06"),
    fs("iso9660", 32_769, b"CD001").text(32_768 + 40, 32),
    fs("iso9660", 32_768 + 9, b"CDROM").text(32_768 + 48, 32),
    fs("reiserfs", K64 + 52, b"ReIsErFs"),
    fs("reiserfs", K64 + 52, b"ReIsEr2Fs")
        .text(K64 + 100, 16)
        .uuid(K64 + 84),
    fs("reiserfs", K64 + 52, b"ReIsEr3Fs")
        .text(K64 + 100, 16)
        .uuid(K64 + 84),
    fs("reiserfs", 8_192 + 52, b"ReIsErFs"),
    fs("reiserfs", 8_192 + 20, b"ReIsErFs"),
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
    fs("apfs", 32, b"NXSB").uuid(72),
    fs("ReFS", 0, b"\0\0\0ReFS\0"),
    fs("ocfs", 8_192, b"OracleCFS"),
    fs("ocfs2", 1_024, b"OCFSV2"),
    fs("ocfs2", 2 * 1_024, b"OCFSV2"),
    fs("ocfs2", 4 * 1_024, b"OCFSV2"),
    fs("ocfs2", 8 * 1_024, b"OCFSV2"),
    fs("oracleasm", 32, b"ORCLDISK").text(40, 24),
    fs("vxfs", 1_024, b"\xf5\xfc\x01\xa5"),
    fs("vxfs", 8_192, b"\xa5\x01\xfc\xf5"),
    fs("hpfs", 8_192, b"\x49\xe8\x95\xf9"),
    fs("nss", 4_096, b"SPB5"),
    fs("xenix", 2_048, b"\x2b\x55\x44"),
    fs("xenix", 2_048, b"\x44\x55\x2b"),
    fs("VMFS", 0x20_0000, b"\x5e\xf1\xab\x2f")
        .text(0x20_0000 + 29, 128)
        .uuid(0x20_0000 + 9),
    member("VMFS_volume_member", 0x10_0000, b"\x0d\xd0\x01\xc0"),
    member("ceph_bluestore", 0, b"bluestore block device"),
    member("bcache", 4_096 + 24, BCACHE)
        .text(4_096 + 72, 32)
        .uuid(4_096 + 40),
    fs("bcachefs", 4_096 + 24, BCACHEFS)
        .text(4_096 + 72, 32)
        .uuid(4_096 + 56),
    // The layout before the superblock has the same magic; it says where the other superblocks are.
    fs("bcachefs", 3_584, BCACHEFS),
    member("BitLocker", 3, b"-FVE-FS-"),
    member("vdo", 0, b"dmvdo001").uuid(40),
    member("stratis", 512 + 4, STRATIS),
    member("stratis", 9 * 512 + 4, STRATIS),
    member("drbdmanage_control_volume", 0, b"$DRBDmgr=q"),
    member("drbdproxy_datalog", 0, b"DRBDdlh*").uuid(16),
    member("DM_snapshot_cow", 0, b"SnAp"),
    member("DM_verity_hash", 0, b"verity\0\0").uuid(16),
    member("DM_integrity", 0, b"integrt\0"),
    member("ubi", 0, b"UBI#"),
];

/// Where btrfs keeps copies of its superblock. A disk whose start was overwritten is still somebody's.
pub(super) const BTRFS_MIRRORS: [u64; 2] = [64 << 20, 256 << 30];
const BCACHE: &[u8] = b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81";
const BCACHEFS: &[u8] = b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef";
const STRATIS: &[u8] = b"!Stra0tis\x86\xff\x02^\x41rh";

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
