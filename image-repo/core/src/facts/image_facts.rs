// SPDX-License-Identifier: Apache-2.0
//! The facts as values, and what of them goes into a manifest.

use super::machine::Machine;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::Bytes;
use groundstate_api::image::{Architecture, BootEntry, LoaderPath, RequiredFirmware};
use serde::Serialize;

/// What kind of partition table the image has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableKind {
    /// None: the image is one file system, or something else.
    #[default]
    None,
    /// A GUID partition table with right checksums at one end at least.
    Gpt,
    /// A GUID partition table that is wrong at both ends.
    DamagedGpt,
    /// A DOS partition table.
    Mbr,
}

/// How the second copy of a GUID partition table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupTable {
    /// At the image's end, with right checksums.
    Right,
    /// Right, but not at the image's end: the image was lengthened.
    NotAtEnd,
    /// Not within the image, or wrong: the image was cut off or the copy was overwritten.
    Missing,
    /// Only the copy is right; the primary table is not.
    Alone,
}

/// What a region holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileSystemFacts {
    /// The common name: `ext4`, `vfat`, `xfs`.
    pub kind: String,
    /// Its label, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its UUID or volume id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// How long it says it is; `None` where it was recognised by its magic only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Bytes>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionFacts {
    /// Its number in the table, from 1; of a DOS table logical ones begin with 5.
    pub number: u32,
    /// First byte.
    pub start: Bytes,
    /// Length in bytes.
    pub length: Bytes,
    /// What its type means: `EFI system`, or the type itself where it is not known.
    pub kind: String,
    /// The type as the table has it: a GUID in capitals, or `0x83`.
    pub type_id: String,
    /// Its name in a GUID partition table.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it holds, where that was recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system: Option<FileSystemFacts>,
}

/// The operating system, from its os-release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OsFacts {
    /// The partition it is on; 0 where the image has no table.
    pub partition: u32,
    /// `ID`, for example `debian`.
    pub id: String,
    /// `VERSION_ID`, for example `12`; empty where a rolling release has none.
    pub version: String,
    /// `PRETTY_NAME`.
    pub name: String,
}

/// A kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelFacts {
    /// The partition it is on; 0 where the image has no table.
    pub partition: u32,
    /// Its release, from its file's or its modules' name.
    pub version: String,
    /// The file; `None` where only its modules are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
}

/// A UEFI application that firmware can start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoaderFacts {
    /// The partition it is on; 0 where the image has no table.
    pub partition: u32,
    /// The path as firmware writes it: `\EFI\BOOT\BOOTX64.EFI`.
    pub path: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
}

/// Everything that an image tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImageFacts {
    /// Its length in bytes.
    pub size: Bytes,
    /// Its partition table.
    pub table: TableKind,
    /// The second copy of a GUID partition table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupTable>,
    /// Whether a DOS table beside the GUID partition table names partitions of its own.
    pub is_hybrid: bool,
    /// The disk's GUID or its DOS signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_id: Option<String>,
    /// The logical sector size in bytes that the image is for; `None` where nothing in it tells.
    pub sector_size: Option<u32>,
    /// The partitions by number.
    pub partitions: Vec<PartitionFacts>,
    /// What an image without a partition table holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system: Option<FileSystemFacts>,
    /// The operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<OsFacts>,
    /// The kernels, the newest last.
    pub kernels: Vec<KernelFacts>,
    /// The UEFI applications, the one that firmware tries first before the others.
    pub loaders: Vec<LoaderFacts>,
    /// Entries and unified kernels that a boot loader on the EFI system partition offers.
    pub loader_entries: Vec<String>,
    /// What the boot code in the first sector is, where BIOS can start it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_code: Option<String>,
    /// What the image's programs are for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// The smallest disk that takes what the image holds, in bytes: may be less than its length.
    pub minimum_size: Bytes,
    /// What a person should know, a sentence each.
    pub notes: Vec<String>,
}

/// What of the facts a manifest states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFields {
    /// As [`groundstate_api::image::Manifest::architecture`].
    pub architecture: Option<Architecture>,
    /// As [`groundstate_api::image::Manifest::firmware`].
    pub firmware: RequiredFirmware,
    /// As [`groundstate_api::image::Manifest::boot`], of a whole disk.
    pub boot: BootEntry,
    /// As [`groundstate_api::image::Manifest::minimum_size`]: at least the image's length, up to a whole sector.
    pub minimum_size: Bytes,
    /// As [`groundstate_api::image::Manifest::sector_size`]: 512 where nothing tells.
    pub sector_size: u32,
}

/// The sector size that is taken where nothing tells another: what nearly every image is for.
const SECTOR_SIZE: u32 = 512;

impl ImageFacts {
    /// What a manifest states of them.
    #[must_use]
    pub fn manifest_fields(&self) -> ManifestFields {
        let sector_size = self.sector_size.unwrap_or(SECTOR_SIZE);
        // A manifest numbers partitions from 1: a loader on a disk without a table cannot be named.
        let loader = self.loaders.iter().find(|loader| loader.partition > 0);
        let firmware = match (loader, &self.boot_code) {
            (Some(_), None) => RequiredFirmware::Uefi,
            (None, Some(_)) => RequiredFirmware::Bios,
            (Some(_), Some(_)) | (None, None) => RequiredFirmware::Any,
        };
        let boot = match (loader, &self.boot_code) {
            (Some(loader), _) => BootEntry::Loader(LoaderPath {
                partition: loader.partition,
                path: loader.path.clone(),
            }),
            (None, Some(_)) => BootEntry::BootCode,
            (None, None) => BootEntry::None,
        };
        let sector = u64::from(sector_size);
        let least = self.minimum_size.0.max(self.size.0);
        ManifestFields {
            architecture: self.machine.and_then(Machine::architecture),
            firmware,
            boot,
            minimum_size: Bytes(
                least
                    .checked_next_multiple_of(sector)
                    .unwrap_or(u64::MAX / sector * sector),
            ),
            sector_size,
        }
    }
}
