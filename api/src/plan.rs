// SPDX-License-Identifier: Apache-2.0
//! The plan: everything that will happen to a node's disks, fixed and readable before any of it happens.
//!
//! The provisioner writes it with the planner of `mos-core`; the node carries it out and chooses nothing.

use crate::digest::Digest;
use crate::erase::EraseClass;
use crate::ids::{MacAddr, NodeId, PlanId, RunId, SystemUuid};
use crate::image::{ImageRef, ImageTable};
use crate::reason::Part;
use crate::units::Bytes;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

pub use crate::order_terms::OrderTerms;
pub use crate::plan_preview::{DECIDED_AT_THE_ORDER, NeedsConfirm, PlanPreview};
pub use crate::plan_vhd::{VhdFormat, VhdKind, VhdPart, VhdPlan};

/// How the machine gets from the maintenance OS into its host.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandOver {
    /// The maintenance OS's kernel starts the host's kernel.
    Kexec,
    /// The machine restarts and its firmware boots the disk (UEFI only).
    Reboot,
}

/// What a disk is for.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Holds the ESP and the host's root file system.
    Os,
    /// Holds one data volume.
    Data,
    /// Left alone: the policy has no use for it.
    Spare,
    /// Holds one data volume with the VHDs. Where no disk has this role, every data volume takes them.
    Vhd,
    /// Left alone because what it holds is to be kept, and that is no volume of ours. A volume of ours that is kept has
    /// the role `data` and the action `keep`.
    Keep,
    /// Never used, whatever else names it.
    Refuse,
}

impl Role {
    /// As it stands in JSON and in the site file, for example `os`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Os => "os",
            Self::Data => "data",
            Self::Spare => "spare",
            Self::Vhd => "vhd",
            Self::Keep => "keep",
            Self::Refuse => "refuse",
        }
    }
    /// Whether the disk holds a data volume of its own.
    #[must_use]
    pub const fn is_data(self) -> bool {
        matches!(self, Self::Data | Self::Vhd)
    }
}

/// The file system of a data volume.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeFs {
    /// ext4, made by mke2fs.
    #[default]
    Ext4,
    /// XFS, made by mkfs.xfs.
    Xfs,
}

impl VolumeFs {
    /// As mount and the site file write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }
    /// Whether this is what stands where nothing is said.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// A plan for one run of one node.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// SHA-256 of the canonical bytes of this plan with this field set to 64 zeros.
    pub id: PlanId,
    /// The run it is for.
    pub run: RunId,
    /// The node it is for.
    pub node: NodeId,
    /// The machine it is for (SMBIOS type 1); checked by the guard.
    pub machine: SystemUuid,
    /// How to hand over.
    pub hand_over: HandOver,
    /// Whether the machine runs on UEFI, so that a boot entry is written.
    pub uefi: bool,
    /// The interface that booted, for the host's network configuration and its next network boot.
    pub boot_mac: MacAddr,
    /// The image.
    pub image: ImageRef,
    /// Every disk of the machine, ordered by serial number: what is not named here is an error, not a spare.
    pub disks: Vec<DiskPlan>,
    /// Files that the host gets of its own, put in after the image was read back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<crate::customise::PlannedFile>,
    /// The serial number of the one disk that this plan makes anew, where it does not provision the node: no image is
    /// written, and every other disk stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<String>,
    /// The image that lies, in whatever state, where this plan puts its own: chunks of it are looked for there before they
    /// are asked of anybody. Each is proved, so a wrong word costs time only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ImageRef>,
    /// What a person should know that no single disk says, a sentence each: a VHD in parts, a missing disk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Plan {
    /// Whether this plan erases disks, and does nothing else.
    #[must_use]
    pub fn erases(&self) -> bool {
        let erased = |disk: &DiskPlan| matches!(disk.action, DiskAction::Erase { .. });
        self.disks.iter().any(erased)
    }

    /// The step of this plan that comes after `step`.
    #[must_use]
    pub fn after(&self, step: Step) -> Option<Step> {
        match (self.erases(), step) {
            (false, step) => step.next(),
            (true, Step::Guard) => Some(Step::Erase),
            (true, _) => None,
        }
    }
}

/// What happens to one disk.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskPlan {
    /// Serial number; the guard compares it.
    pub serial: String,
    /// World Wide Name; the guard compares it.
    pub wwn: Option<String>,
    /// Where the disk was when it was planned; for people.
    pub slot: String,
    /// Model; for people.
    pub model: String,
    /// Size; the guard compares it.
    pub size: Bytes,
    /// Logical sector size; the guard compares it.
    pub logical_sector: u32,
    /// What the disk is for.
    pub role: Role,
    /// Why this disk got this role, in a sentence.
    pub because: String,
    /// What is done.
    pub action: DiskAction,
    /// Whether the site names this very disk although it is of a kind that is left alone otherwise: removable, USB, of an
    /// unknown kind, or reached over a network. The guard lets no such disk pass that the plan does not say this of.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub named: bool,
}

impl DiskPlan {
    /// Where the GUIDs of an image of a whole disk come from, where this disk gets one.
    #[must_use]
    pub fn whole_disk(&self) -> Option<(&TablePlan, &Digest, Option<&ImageTable>)> {
        let DiskAction::Wipe { table, .. } = &self.action else {
            return None;
        };
        let mut held = table.partitions.iter();
        held.find_map(|partition| match &partition.holds {
            PartitionContents::WholeDisk { seed, image, .. } => Some((table, seed, image.as_ref())),
            PartitionContents::Esp { .. }
            | PartitionContents::Root
            | PartitionContents::Ext4 { .. }
            | PartitionContents::Xfs { .. } => None,
        })
    }

    /// Whether this disk gets an image of a whole disk whose last partition takes the rest of the disk.
    #[must_use]
    pub fn grows_image(&self) -> bool {
        let held = self.whole_disk().map(|(table, ..)| &table.partitions);
        let mut held = held.into_iter().flatten();
        held.any(|one| matches!(one.holds, PartitionContents::WholeDisk { grow: true, .. }))
    }

    /// The part that a reason about this disk names.
    #[must_use]
    pub fn part(&self) -> Part {
        Part::disk(&self.slot, &self.serial, self.size, &self.model)
    }
}

/// What a node's earlier plans made of its disks, by serial number. It only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierDisks {
    /// Disks that a plan wiped or kept.
    pub used: BTreeSet<String>,
    /// Disks on which a data volume stood once the volumes were made.
    pub data: BTreeSet<String>,
    /// Disks that a plan gave the OS.
    pub os: BTreeSet<String>,
    /// The tables that a disk may carry: those of the plans that wrote or may have begun to write one, oldest first.
    /// Once a plan's tables are written, the disk has only that one.
    pub tables: BTreeMap<String, Vec<TablePlan>>,
}

impl EarlierDisks {
    /// The table with this GUID that a plan of this node wrote to the disk with this serial number.
    #[must_use]
    pub fn table(&self, serial: &str, disk_guid: &str) -> Option<&TablePlan> {
        let tables = self.tables.get(serial)?;
        tables
            .iter()
            .rev()
            .find(|table| table.disk_guid == disk_guid)
    }
}

/// What is done to a disk.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DiskAction {
    /// Everything on the disk goes, and this table is written.
    Wipe {
        /// What was on the disk when it was planned and may therefore go, for people: `ext4 "old"`, `nothing`.
        goes: Vec<String>,
        /// The new partition table.
        table: TablePlan,
    },
    /// Nothing is written by the maintenance OS; the volume stays and is mounted by the host. On the OS disk of a rebuild
    /// only the host's first-boot data is renewed, so that it mounts the new volume.
    Keep {
        /// The table that must be there already, as it was found.
        table: TablePlan,
    },
    /// The table stays, and so does the data volume on the OS disk; boot and root partition are made anew.
    Renew {
        /// What was on the boot and root partitions when it was planned and may therefore go, for people.
        goes: Vec<String>,
        /// The table that must be there already, as it was found, with what boot and root partition will hold.
        table: TablePlan,
    },
    /// The whole disk is erased and read back, and nothing is put on it.
    Erase {
        /// What was on the disk when it was planned, for people.
        goes: Vec<String>,
        /// The class that must be reached.
        level: EraseClass,
    },
    /// Nothing is read or written.
    LeaveAlone,
}

/// A GUID Partition Table.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TablePlan {
    /// The disk's GUID, upper-case text.
    pub disk_guid: String,
    /// The partitions in order, the first is number 1.
    pub partitions: Vec<PartitionPlan>,
}

/// One partition.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionPlan {
    /// GPT partition name, at most 36 UTF-16 units. Ours: `gs-esp`, `gs-root`, `gs-data`.
    pub name: String,
    /// Partition type GUID, upper-case text.
    pub type_guid: String,
    /// Unique partition GUID, upper-case text.
    pub guid: String,
    /// First byte; a multiple of [`crate::limits::ALIGNMENT`].
    pub start: Bytes,
    /// Length in bytes; a multiple of the alignment.
    pub length: Bytes,
    /// What it holds.
    pub holds: PartitionContents,
}

/// What a partition holds.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "holds", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PartitionContents {
    /// The EFI System Partition: FAT32 with boot loader, kernel and initrd.
    Esp {
        /// FAT volume label, at most 11 characters.
        label: String,
        /// FAT volume id.
        volume_id: u32,
    },
    /// The image's root file system.
    Root,
    /// The image of a whole disk. This partition is the disk's only while the image is written: in the end the disk carries
    /// the image's own table, with GUIDs that follow from the seed.
    WholeDisk {
        /// Where the new GUIDs come from; the disk's is that of the plan's table.
        seed: Digest,
        /// By what the image's own table is known, so that a run that was cut is told from somebody's data.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<ImageTable>,
        /// Whether the image's last partition takes the rest of the disk.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        grow: bool,
    },
    /// An ext4 volume with preallocated VHDs.
    Ext4 {
        /// Volume label, at most 16 bytes.
        label: String,
        /// File system UUID, lower-case text.
        uuid: String,
        /// Where the host mounts it.
        mount_point: String,
        /// The VHDs. On a kept volume: those that the plan which made it put there, where that plan is known.
        vhds: Vec<VhdPlan>,
    },
    /// An XFS volume with preallocated VHDs.
    Xfs {
        /// Volume label, at most 12 bytes.
        label: String,
        /// File system UUID, lower-case text.
        uuid: String,
        /// Where the host mounts it.
        mount_point: String,
        /// The VHDs, as for ext4.
        vhds: Vec<VhdPlan>,
    },
}

/// A data volume, whatever its file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume<'a> {
    /// Its file system.
    pub fs: VolumeFs,
    /// Its label.
    pub label: &'a str,
    /// The file system's UUID.
    pub uuid: &'a str,
    /// Where the host mounts it.
    pub mount_point: &'a str,
    /// Its VHDs.
    pub vhds: &'a [VhdPlan],
}

impl PartitionContents {
    /// A data volume of this file system.
    #[must_use]
    pub fn of_volume(
        fs: VolumeFs,
        label: String,
        uuid: String,
        mount_point: String,
        vhds: Vec<VhdPlan>,
    ) -> Self {
        match fs {
            VolumeFs::Ext4 => Self::Ext4 {
                label,
                uuid,
                mount_point,
                vhds,
            },
            VolumeFs::Xfs => Self::Xfs {
                label,
                uuid,
                mount_point,
                vhds,
            },
        }
    }

    /// The data volume that the partition holds, where it holds one.
    #[must_use]
    pub fn volume(&self) -> Option<Volume<'_>> {
        let (fs, label, uuid, mount_point, vhds) = match self {
            Self::Esp { .. } | Self::Root | Self::WholeDisk { .. } => return None,
            Self::Ext4 {
                label,
                uuid,
                mount_point,
                vhds,
            } => (VolumeFs::Ext4, label, uuid, mount_point, vhds),
            Self::Xfs {
                label,
                uuid,
                mount_point,
                vhds,
            } => (VolumeFs::Xfs, label, uuid, mount_point, vhds),
        };
        Some(Volume {
            fs,
            label,
            uuid,
            mount_point,
            vhds,
        })
    }

    /// The VHDs of the data volume, to be filled in.
    pub fn vhds_mut(&mut self) -> Option<&mut Vec<VhdPlan>> {
        match self {
            Self::Esp { .. } | Self::Root | Self::WholeDisk { .. } => None,
            Self::Ext4 { vhds, .. } | Self::Xfs { vhds, .. } => Some(vhds),
        }
    }
}

/// The steps of carrying a plan out, in order. Each is idempotent.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Compare every disk with the plan; nothing is written.
    Guard,
    /// Remove old signatures at both ends of each wiped disk.
    Wipe,
    /// Write the partition tables.
    Partition,
    /// Make the ESP and the data volumes.
    Volumes,
    /// Preallocate the VHDs.
    Vhds,
    /// Stream, decompress, verify and write the image.
    Image,
    /// Read the image back from the disk and compare digests.
    ReadBack,
    /// Place first-boot data, boot loader, kernel and initrd.
    FirstBoot,
    /// Write the firmware's boot entry (UEFI).
    BootEntry,
    /// Prove what was written and start the host.
    HandOver,
    /// Erase the disks that the plan erases and read them back. It follows the guard in a plan that erases, and in no other.
    Erase,
}

impl Step {
    /// Every step of a plan that provisions, in order.
    pub const ALL: [Self; 10] = [
        Self::Guard,
        Self::Wipe,
        Self::Partition,
        Self::Volumes,
        Self::Vhds,
        Self::Image,
        Self::ReadBack,
        Self::FirstBoot,
        Self::BootEntry,
        Self::HandOver,
    ];
    /// As it stands in JSON, for example `read-back`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::Wipe => "wipe",
            Self::Partition => "partition",
            Self::Volumes => "volumes",
            Self::Vhds => "vhds",
            Self::Image => "image",
            Self::ReadBack => "read-back",
            Self::FirstBoot => "first-boot",
            Self::BootEntry => "boot-entry",
            Self::HandOver => "hand-over",
            Self::Erase => "erase",
        }
    }
    /// What a person reads while it runs.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Guard => "checking that these are the planned disks",
            Self::Wipe => "removing what the disks held before",
            Self::Partition => "writing partition tables",
            Self::Volumes => "making the boot partition and the data volumes",
            Self::Vhds => "reserving space for virtual disks",
            Self::Image => "writing the host image",
            Self::ReadBack => "reading the image back from the disk",
            Self::FirstBoot => "placing the host's first-boot data",
            Self::BootEntry => "telling the firmware to boot this disk",
            Self::HandOver => "starting the host",
            Self::Erase => "erasing disks and reading them back",
        }
    }
    /// The step after this one in a plan that provisions.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let at = Self::ALL.iter().position(|s| *s == self)?;
        Self::ALL.get(at + 1).copied()
    }
}
