// SPDX-License-Identifier: Apache-2.0
//! Contents whose makers need a kernel driver, another system or a controller: written by the formats' documents.

use super::Foreign;
use std::fs;
use std::path::Path;

const MIB: usize = 1 << 20;

/// What we must call it, the disk's length, and the bytes that stand there.
type Written = (&'static str, usize, Vec<(usize, Vec<u8>)>);

pub(super) fn all(dir: &Path) -> Vec<Foreign> {
    let mut all = members();
    all.extend(controllers());
    all.extend(systems());
    all.extend(tables());
    let mut files = Vec::new();
    for ((what, length, places), number) in all.into_iter().zip(0..) {
        let mut bytes = vec![0; length];
        for (at, content) in &places {
            bytes[*at..at + content.len()].copy_from_slice(content);
        }
        let path = dir.join(format!("written-{number}"));
        fs::write(&path, bytes).expect("a file is written");
        let at: Vec<String> = places.iter().map(|(at, _)| at.to_string()).collect();
        files.push(Foreign {
            origin: format!("{what} written at {}", at.join(", ")),
            path,
            expected: Some(what),
        });
    }
    files
}

fn at(what: &'static str, length: usize, place: usize, bytes: &[u8]) -> Written {
    (what, length, vec![(place, bytes.to_vec())])
}

/// Bytes with fields written over zeros.
fn block(length: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut block = vec![0; length];
    for (at, bytes) in fields {
        block[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    block
}

/// Version 1 of the kernel's `md_p.h`: it says which sector it stands in.
fn md_1(what_at: usize) -> Vec<u8> {
    let sector = u64::try_from(what_at / 512).expect("a sector");
    block(
        256,
        &[
            (0, &0xa92b_4efc_u32.to_le_bytes()),
            (4, &1u32.to_le_bytes()),
            (16, &[0x5a; 16]),
            (32, b"host:array"),
            (144, &sector.to_le_bytes()),
        ],
    )
}

/// Version 0.90, in the byte order of the machine that wrote it.
fn md_0(big: bool) -> Vec<u8> {
    let word = |value: u32| {
        if big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    block(
        256,
        &[
            (0, &word(0xa92b_4efc)),
            (8, &word(90)),
            (20, &word(0x0102_0304)),
            (28, &word(1)),
            (32, &word(1_024)),
        ],
    )
}

fn members() -> Vec<Written> {
    let size = 80 * MIB + 12_288;
    let (v1_0, v0) = ((size & !0xfff) - 0x2000, (size & !0xffff) - 0x1_0000);
    let mut uberblocks = vec![0; 8 * 1_024];
    for number in 0..8 {
        uberblocks[number * 1_024..][..8].copy_from_slice(&0x00ba_b10c_u64.to_le_bytes());
    }
    let last_label = (size & !0x3_ffff) - 128 * 1_024;
    let lvm2 = block(
        512,
        &[
            (0, b"LABELONE"),
            (8, &1u64.to_le_bytes()),
            (20, &32u32.to_le_bytes()),
            (24, b"LVM2 001"),
            (32, b"abcdefghijklmnopqrstuvwxyz012345"),
        ],
    );
    vec![
        at("linux_raid", size, 0, &md_1(0)),
        at("linux_raid", size, 4_096, &md_1(4_096)),
        at("linux_raid", size, v1_0, &md_1(v1_0)),
        at("linux_raid", size, v0, &md_0(false)),
        at("linux_raid", size, v0, &md_0(true)),
        at("zfs", size, 128 * 1_024, &uberblocks),
        at("zfs", size, 384 * 1_024, &uberblocks),
        at("zfs", size, last_label, &uberblocks),
        at("LVM2 PV", size, 512, &lvm2),
        at("LVM1_member", size, 0, b"HM\x01\0"),
        at(
            "drbd",
            size,
            size - 4_096 + 60,
            &0x8374_026b_u32.to_be_bytes(),
        ),
        at(
            "drbd",
            size,
            size - 4_096 + 60,
            &0x8374_026d_u32.to_be_bytes(),
        ),
        at(
            "drbdmanage_control_volume",
            size,
            0,
            b"$DRBDmgr=q\n0123456789abcdef0123456789abcdef\n",
        ),
        at("drbdproxy_datalog", size, 0, b"DRBDdlh*"),
        at("btrfs", size, 64 * MIB + 64, b"_BHRfS_M"),
        at("LUKS2", size, 16_384, b"SKUL\xba\xbe\0\x02"),
        at("BitLocker", size, 0, b"\xeb\x52\x90-FVE-FS-"),
        at("vdo", size, 0, b"dmvdo001"),
        at("stratis", size, 516, b"!Stra0tis\x86\xff\x02^\x41rh"),
        at("stratis", size, 4_612, b"!Stra0tis\x86\xff\x02^\x41rh"),
        at("DM_snapshot_cow", size, 0, b"SnAp"),
        at("DM_integrity", size, 0, b"integrt\0"),
        at("ubi", size, 0, b"UBI#\x01"),
        at("VMFS_volume_member", size, MIB, b"\x0d\xd0\x01\xc0"),
        at(
            "bcachefs",
            size,
            4_120,
            b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef",
        ),
        at("unknown data", size, 700_000, b"x"),
    ]
}

/// The sum of the words before it makes a Medley believable, the sum of the bytes a VIA.
fn silicon() -> Vec<u8> {
    let mut sector = block(
        512,
        &[(0x60, &0x2f00_0000_u32.to_le_bytes()), (0x36, b"disk")],
    );
    let words = sector[..0x13e]
        .chunks(2)
        .map(|word| u16::from_le_bytes([word[0], word[1]]));
    let sum = words.fold(0u16, u16::wrapping_sub);
    sector[0x13e..0x140].copy_from_slice(&sum.to_le_bytes());
    sector
}

fn controllers() -> Vec<Written> {
    let size = 4 * MIB;
    let sectors_from_end = |count: usize| size - count * 512;
    let ddf = block(
        512,
        &[(0, b"\xde\x11\xde\x11"), (8, b"GUID"), (32, b"01.02.00")],
    );
    let adaptec = block(512, &[(0, b"\x37\xfc\x4d\x1e"), (256, b"DPTM")]);
    let mut all = vec![
        at("ddf_raid_member", size, sectors_from_end(1), &ddf),
        at("ddf_raid_member", size, sectors_from_end(257), &ddf),
        at(
            "isw_raid_member",
            size,
            sectors_from_end(2),
            b"Intel Raid ISM Cfg Sig. 1.3.00",
        ),
        at("lsi_mega_raid_member", size, sectors_from_end(1), b"$XIDE$"),
        at("nvidia_raid_member", size, sectors_from_end(2), b"NVIDIA  "),
        at(
            "jmicron_raid_member",
            size,
            sectors_from_end(1),
            b"JM\x01\x02",
        ),
        at("adaptec_raid_member", size, sectors_from_end(1), &adaptec),
        at(
            "silicon_medley_raid_member",
            size,
            sectors_from_end(1),
            &silicon(),
        ),
        at(
            "hpt45x_raid_member",
            size,
            sectors_from_end(11),
            b"\xf3\x16\x78\x5a",
        ),
        at("hpt37x_raid_member", size, 4_640, b"\xf0\x16\x78\x5a"),
    ];
    all.extend([63, 255, 256, 16, 399, 3_087].map(|count| {
        let at_sector = sectors_from_end(count);
        at(
            "promise_fasttrack_raid_member",
            size,
            at_sector,
            b"Promise Technology, Inc.",
        )
    }));
    all
}

fn systems() -> Vec<Written> {
    let size = 40 * MIB;
    let gfs = |format: u32, multi: u32| {
        block(
            512,
            &[
                (0, b"\x01\x16\x19\x70"),
                (24, &format.to_be_bytes()),
                (28, &multi.to_be_bytes()),
            ],
        )
    };
    let hfsplus = block(
        512,
        &[
            (0, b"H+"),
            (2, &4u16.to_be_bytes()),
            (40, &4_096u32.to_be_bytes()),
        ],
    );
    let within = block(512, &[(0, b"BD"), (124, b"H+")]);
    let mut vmfs = at("VMFS_volume_member", size, MIB, b"\x0d\xd0\x01\xc0");
    vmfs.2.push((2 * MIB, b"\x5e\xf1\xab\x2f".to_vec()));
    vec![
        at("gfs", size, 65_536, &gfs(1_309, 1_401)),
        at("gfs2", size, 65_536, &gfs(1_801, 1_900)),
        at("hfsplus", size, 1_024, &hfsplus),
        at("hfsplus", size, 1_024, &within),
        at("apfs", size, 32, b"NXSB"),
        at("ReFS", size, 0, b"\0\0\0ReFS\0"),
        at("VMFS", size, 2 * MIB, b"\x5e\xf1\xab\x2f"),
        vmfs,
        at("ocfs", size, 8_192, b"OracleCFS"),
        at("oracleasm", size, 32, b"ORCLDISKDATA1"),
        at("vxfs", size, 1_024, b"\xf5\xfc\x01\xa5"),
        at("vxfs", size, 8_192, b"\xa5\x01\xfc\xf5"),
        (
            "hpfs",
            size,
            vec![
                (8_192, b"\x49\xe8\x95\xf9".to_vec()),
                (8_704, b"\x49\x18\x91\xf9".to_vec()),
            ],
        ),
        at("sysv", size, 1_016, &0xfd18_7e20_u32.to_le_bytes()),
        at(
            "sysv",
            size,
            18 * 1_024 + 1_016,
            &0xfd18_7e20_u32.to_be_bytes(),
        ),
        at("xenix", size, 2_048, b"\x2b\x55\x44"),
        at("nss", size, 4_096, b"SPB5"),
        at("ubifs", size, 0, b"\x31\x18\x10\x06"),
        at(
            "squashfs3",
            size,
            0,
            &block(64, &[(0, b"hsqs"), (28, &3u16.to_le_bytes())]),
        ),
        at("iso9660", size, 32_777, b"CDROM"),
        at("reiserfs", size, 8_192 + 52, b"ReIsErFs"),
        at("swap", size, 4_086, b"SWAP-SPACE"),
        at("swsuspend", size, 4_086, b"S1SUSPEND"),
        at("swsuspend", size, 65_526, b"LINHIB0001"),
        at("ufs", size, 8_192 + 1_372, &0x0001_1954_u32.to_be_bytes()),
        at("ufs", size, 262_144 + 1_372, &0x1954_0119_u32.to_le_bytes()),
    ]
}

fn tables() -> Vec<Written> {
    let size = 4 * MIB;
    let mut protective = block(
        512,
        &[(446 + 4, b"\xee"), (446 + 8, b"\x01\0\0\0\xff\x1f\0\0")],
    );
    protective[510..].copy_from_slice(&[0x55, 0xaa]);
    let mut empty = vec![0; 512];
    empty[510..].copy_from_slice(&[0x55, 0xaa]);
    let xgm = block(512, &[(454, b"\x01GEM\0\0\0\x02\0\0\x10\0")]);
    vec![
        at("mbr", size, 0, &protective),
        at("mbr", size, 0, &empty),
        at("damaged gpt", size, 512, b"EFI PART"),
        at("damaged gpt", size, 4_096, b"EFI PART"),
        at("damaged gpt", size, size - 512, b"EFI PART"),
        at("damaged gpt", size, size - 4_096, b"EFI PART"),
        at("aix", size, 0, b"\xc9\xc2\xd4\xc1"),
        at("bsd", size, 512, b"\x57\x45\x56\x82"),
        at("bsd", size, 64, b"\x57\x45\x56\x82"),
        at("ultrix", size, 16_312, b"\x57\x29\x03\0\x01\0\0\0"),
        (
            "unixware",
            size,
            vec![
                (14_852, b"\x0d\x60\xe5\xca".to_vec()),
                (15_004, 0x600d_deee_u32.to_le_bytes().to_vec()),
            ],
        ),
        at("solaris_x86", size, 524, &0x600d_deee_u32.to_le_bytes()),
        at("atari", size, 0, &xgm),
    ]
}
