// SPDX-License-Identifier: Apache-2.0
//! The plan: everything that will happen to a node's disks, fixed and readable before any of it happens.
//!
//! The provisioner writes it with the planner of `mos-core`; the node carries it out and chooses nothing.

use crate::ids::{MacAddr, NodeId, PlanId, RunId, SystemUuid};
use crate::image::ImageRef;
use crate::reason::Part;
use crate::units::Bytes;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// How the machine gets from the maintenance OS into its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandOver {
    /// The maintenance OS's kernel starts the host's kernel.
    Kexec,
    /// The machine restarts and its firmware boots the disk (UEFI only).
    Reboot,
}

/// What a disk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Holds the ESP and the host's root file system.
    Os,
    /// Holds one data volume.
    Data,
    /// Left alone: the policy has no use for it.
    Spare,
}

/// A plan for one run of one node.
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
}

/// What happens to one disk.
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
}

impl DiskPlan {
    /// The part that a reason about this disk names.
    #[must_use]
    pub fn part(&self) -> Part {
        Part::disk(&self.slot, &self.serial, self.size, &self.model)
    }
}

/// What a node's earlier plans made of its disks, by serial number. It only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EarlierDisks {
    /// Disks that a plan wiped or kept.
    pub used: BTreeSet<String>,
    /// Disks on which a data volume stood once the volumes were made.
    pub data: BTreeSet<String>,
}

/// What is done to a disk.
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
    /// Nothing is written by the maintenance OS; the volume stays and is mounted by the host.
    Keep {
        /// The table that must be there already, as it was found.
        table: TablePlan,
    },
    /// Nothing is read or written.
    LeaveAlone,
}

/// A GUID Partition Table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TablePlan {
    /// The disk's GUID, upper-case text.
    pub disk_guid: String,
    /// The partitions in order, the first is number 1.
    pub partitions: Vec<PartitionPlan>,
}

/// One partition.
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
    /// An ext4 volume with preallocated VHDs.
    Ext4 {
        /// Volume label, at most 16 bytes.
        label: String,
        /// File system UUID, lower-case text.
        uuid: String,
        /// Where the host mounts it.
        mount_point: String,
        /// The VHDs.
        vhds: Vec<VhdPlan>,
    },
}

/// One preallocated fixed VHD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VhdPlan {
    /// File name in the volume's root, for example `vm-0.vhd`.
    pub file: String,
    /// The size that a virtual machine sees; a whole number of MiB, at most 2,040 GiB.
    pub size: Bytes,
    /// The VHD's unique id, lower-case text.
    pub id: String,
}

/// The steps of carrying a plan out, in order. Each is idempotent.
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
}

impl Step {
    /// Every step, in order.
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
        }
    }
    /// The step after this one.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let at = Self::ALL.iter().position(|s| *s == self)?;
        Self::ALL.get(at + 1).copied()
    }
}
