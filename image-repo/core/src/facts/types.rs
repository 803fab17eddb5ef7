// SPDX-License-Identifier: Apache-2.0
//! What partition types mean: those that people meet, by the names people use.

use alloc::format;
use alloc::string::{String, ToString as _};

/// The EFI system partition's type (UEFI 2.10, table 5.7).
pub(super) const ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
/// The same in a DOS table.
pub(super) const ESP_BYTE: u8 = 0xef;
/// A DOS partition that protects a GUID partition table.
pub(super) const PROTECTIVE: u8 = 0xee;

/// UEFI 2.10, the Discoverable Partitions Specification, and what sgdisk and fdisk call the others.
const GUIDS: &[(&str, &str)] = &[
    (ESP, "EFI system"),
    ("21686148-6449-6E6F-744E-656564454649", "BIOS boot"),
    ("9E1A2D38-C612-4316-AA26-8B49521E5A8B", "PowerPC PReP boot"),
    ("0FC63DAF-8483-4772-8E79-3D69D8477DE4", "Linux data"),
    ("0657FD6D-A4AB-43C4-84E5-0933C84B4F4F", "Linux swap"),
    (
        "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
        "Linux root (x86-64)",
    ),
    ("B921B045-1DF0-41C3-AF44-4C6F280D3FAE", "Linux root (ARM64)"),
    ("44479540-F297-41B2-9AF7-D131D5F0458A", "Linux root (x86)"),
    (
        "8484680C-9521-48C6-9C11-B0720656F69E",
        "Linux /usr (x86-64)",
    ),
    ("B0E01050-EE5F-4390-949A-9101B17104E9", "Linux /usr (ARM64)"),
    (
        "BC13C2FF-59E6-4262-A352-B275FD6F7172",
        "Linux extended boot",
    ),
    ("933AC7E1-2EB4-4F13-B844-0E14E2AEF915", "Linux /home"),
    ("3B8F8425-20E0-4F3B-907F-1A25A76F98E8", "Linux /srv"),
    ("4D21B016-B534-45C2-A9FB-5C16E091FD2D", "Linux /var"),
    ("E6D6D379-F507-44C2-A23C-238F2A3DF928", "Linux LVM"),
    ("A19D880F-05FC-4D3B-A006-743F0F84911E", "Linux RAID"),
    ("CA7D7CCB-63ED-4C53-861C-1742536059CC", "Linux LUKS"),
    ("8DA63339-0007-60C0-C436-083AC8230908", "Linux reserved"),
    ("E3C9E316-0B5C-4DB8-817D-F92DF00215AE", "Microsoft reserved"),
    (
        "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
        "Microsoft basic data",
    ),
    ("DE94BBA4-06D1-4D40-A16A-BFD50179D6AC", "Windows recovery"),
    ("AF9B60A0-1431-4F62-BC68-3311714A69AD", "Windows LDM data"),
    ("83BD6B9D-7F41-11DC-BE0B-001560B84F0F", "FreeBSD boot"),
    ("516E7CB4-6ECF-11D6-8FF8-00022D09712B", "FreeBSD data"),
    ("516E7CB5-6ECF-11D6-8FF8-00022D09712B", "FreeBSD swap"),
    ("516E7CB6-6ECF-11D6-8FF8-00022D09712B", "FreeBSD UFS"),
    ("516E7CBA-6ECF-11D6-8FF8-00022D09712B", "FreeBSD ZFS"),
    ("6A898CC3-1DD2-11B2-99A6-080020736631", "ZFS"),
    ("48465300-0000-11AA-AA11-00306543ECAC", "Apple HFS+"),
    ("7C3457EF-0000-11AA-AA11-00306543ECAC", "Apple APFS"),
    ("AA31E02A-400F-11DB-9590-000C2911D1B8", "VMware VMFS"),
    ("9D275380-40AD-11DB-BF97-000C2911D1B8", "VMware core dump"),
    ("FE3A2A5D-4F32-41A7-B725-ACCC3285A309", "ChromeOS kernel"),
    ("3CB8E202-3B7E-47DD-8A3C-7FF2A13CFCEC", "ChromeOS root"),
];

/// What fdisk calls them.
const BYTES: &[(u8, &str)] = &[
    (0x01, "FAT12"),
    (0x04, "FAT16"),
    (0x05, "extended"),
    (0x06, "FAT16"),
    (0x07, "NTFS or exFAT"),
    (0x0b, "FAT32"),
    (0x0c, "FAT32"),
    (0x0e, "FAT16"),
    (0x0f, "extended"),
    (0x17, "hidden NTFS"),
    (0x1b, "hidden FAT32"),
    (0x27, "Windows recovery"),
    (0x41, "PowerPC PReP boot"),
    (0x82, "Linux swap"),
    (0x83, "Linux"),
    (0x85, "Linux extended"),
    (0x8e, "Linux LVM"),
    (0xa5, "FreeBSD"),
    (0xa6, "OpenBSD"),
    (0xa9, "NetBSD"),
    (0xda, "data without a file system"),
    (0xea, "Linux extended boot"),
    (PROTECTIVE, "GPT protection"),
    (ESP_BYTE, "EFI system"),
    (0xfb, "VMware VMFS"),
    (0xfd, "Linux RAID"),
];

pub(super) fn of_guid(guid: &str) -> String {
    let known = GUIDS.iter().find(|(of, _)| *of == guid);
    known.map_or(guid, |(_, name)| name).to_string()
}

pub(super) fn of_byte(byte: u8) -> String {
    let known = BYTES.iter().find(|(of, _)| *of == byte);
    known.map_or_else(|| format!("{byte:#04x}"), |(_, name)| (*name).to_string())
}
