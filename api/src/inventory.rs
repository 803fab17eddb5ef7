// SPDX-License-Identifier: Apache-2.0
//! What a node consists of, as its probes saw it. Facts only; the judgement is `Finding`.

use crate::boot::Firmware;
pub use crate::health::Verdict;
use crate::health::{
    Advice, DeviceKind, DeviceReport, HealthFinding, MemoryErrors, Place, Sureness,
};
use crate::ids::{BootId, MacAddr, SystemUuid};
use crate::reason::{Part, Reason};
use crate::units::{Bytes, Millis};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Everything that the probes of one boot saw.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// The boot that looked.
    pub boot_id: BootId,
    /// Milliseconds from the kernel's start until PID 1's first line was on the console.
    pub first_line_after: Millis,
    /// Milliseconds from the kernel's start until this inventory was complete.
    pub complete_after: Millis,
    /// The machine.
    pub system: SystemInfo,
    /// Memory.
    pub memory: MemoryInfo,
    /// Disks, ordered by serial number.
    pub disks: Vec<Disk>,
    /// Network interfaces, ordered by MAC address.
    pub nics: Vec<Nic>,
    /// Everything else that was looked at and judged on the node: processors, PCI functions, links, sensors, clocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceReport>,
    /// Probes that could not look, and why; never silently empty.
    pub could_not_look: Vec<String>,
}

/// The machine as SMBIOS types 0, 1 and 4 and the kernel describe it.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemInfo {
    /// Manufacturer (type 1).
    pub manufacturer: String,
    /// Product name (type 1).
    pub product: String,
    /// Serial number (type 1).
    pub serial: String,
    /// UUID (type 1).
    pub uuid: Option<SystemUuid>,
    /// Firmware vendor and version (type 0).
    pub firmware_version: String,
    /// How this boot came in; `None` when the machine was not booted over the network.
    pub firmware: Option<Firmware>,
    /// Whether the kernel runs on UEFI (`/sys/firmware/efi` is there).
    pub uefi: bool,
    /// Processors that the kernel uses.
    pub cpus: u32,
    /// The processor's name.
    pub cpu_model: String,
}

/// Memory, configured and available.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryInfo {
    /// What the kernel can use (`MemTotal`).
    pub available: Bytes,
    /// What the populated DIMMs add up to.
    pub configured: Bytes,
    /// Every slot of the system memory arrays, populated or not, in table order.
    pub dimms: Vec<Dimm>,
}

/// One memory slot (SMBIOS type 17).
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimm {
    /// Device Locator: the silkscreen name.
    pub slot: String,
    /// Bank Locator.
    pub bank: String,
    /// Size; `None` when the slot is empty or its size unknown.
    pub size: Option<Bytes>,
    /// Whether a module is in the slot (a module of unknown size is there).
    pub populated: bool,
    /// Memory type, for example `DDR4`.
    pub kind: String,
    /// Configured speed in MT/s, 0 when unknown.
    pub speed: u32,
    /// Manufacturer.
    pub manufacturer: String,
    /// Part number.
    pub part_number: String,
    /// Serial number.
    pub serial: String,
    /// Memory errors counted on this module since boot; `None` where nobody counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<MemoryErrors>,
}

/// How a disk is connected.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// SATA or PATA.
    Ata,
    /// NVMe.
    Nvme,
    /// SCSI, SAS, or behind a RAID controller.
    Scsi,
    /// virtio-blk.
    Virtio,
    /// USB: never used unless named.
    Usb,
    /// Something else: never used unless named.
    Other,
}

/// One whole disk.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The kernel's name in this boot, for example `nvme0n1`. Never used to choose a disk.
    pub kernel_name: String,
    /// The bay, or the controller's address and port: `pci-0000:00:05.0-nvme-1`, `pci-0000:00:1f.2-ata-3`.
    pub slot: String,
    /// Serial number; empty when the disk has none.
    pub serial: String,
    /// World Wide Name, as the kernel writes it (`eui.…`, `naa.…`, `0x…`), where the disk has one.
    pub wwn: Option<String>,
    /// Model.
    pub model: String,
    /// Firmware revision.
    pub revision: String,
    /// Size in bytes.
    pub size: Bytes,
    /// Logical sector size in bytes: 512 or 4096.
    pub logical_sector: u32,
    /// Physical sector size in bytes.
    pub physical_sector: u32,
    /// How it is connected.
    pub transport: Transport,
    /// Whether it has rotating platters.
    pub rotational: bool,
    /// Whether the medium can be taken out.
    pub removable: bool,
    /// Whether the kernel holds it read-only.
    pub read_only: bool,
    /// What it holds, by signature.
    pub contents: Vec<Signature>,
    /// Our own layout, if this disk has one.
    pub layout: Option<FoundLayout>,
    /// Health, with its evidence.
    pub health: Health,
    /// Who else has it, and whether it is a disk of this machine alone.
    #[serde(default, skip_serializing_if = "Attachment::is_plain")]
    pub attachment: Attachment,
}

/// What the kernel knows of a disk's place in this boot, and the disk itself does not.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The kernel's number of this appearance (`diskseq`): another disk under the same name has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The network over which it is reached (`iscsi`, `fibre-channel`, `nvme-tcp`): others may reach it too. It is never
    /// used unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The paths that lead to it, where there is more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// What uses it now, a line each: `sda2 is mounted at /`, `md0 holds sda1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used_by: Vec<String>,
}

impl Attachment {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl Disk {
    /// The part that a reason about this disk names.
    #[must_use]
    pub fn part(&self) -> Part {
        Part::disk(&self.slot, &self.serial, self.size, &self.model)
    }

    /// The report on this disk, as every screen shows it.
    #[must_use]
    pub fn report(&self) -> DeviceReport {
        let health = &self.health;
        let mut findings = health.findings.clone();
        if findings.is_empty() && health.verdict != Verdict::Ok {
            // An inventory of a node whose maintenance OS is older than findings: its evidence is all there is.
            findings.push(HealthFinding {
                code: String::from("disk-health"),
                verdict: health.verdict,
                what: String::from("the disk's health is not ok"),
                evidence: health.evidence.clone(),
                sureness: Sureness::Likely,
                advice: Advice::Look,
                next_step: String::from("look at what was seen"),
            });
        }
        let name = format!("/dev/{}", self.kernel_name);
        let mut report = DeviceReport::new(name, DeviceKind::Disk, &health.source, findings);
        report.verdict = report.verdict.max(health.verdict);
        report.place = Place {
            slot: self.slot.clone(),
            model: self.model.clone(),
            serial: self.serial.clone(),
            firmware: self.revision.clone(),
            size: Some(self.size),
            ..Place::default()
        };
        report.figures.clone_from(&health.figures);
        report
    }
}

/// Something recognised on a disk.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Where: `disk` or `partition 2`.
    pub at: String,
    /// What, by its common name: `gpt`, `mbr`, `ext4`, `xfs`, `ntfs`, `LVM2 PV`, `linux_raid`, `LUKS`, `zfs`, `unknown data`.
    pub what: String,
    /// Its label or name, where it has one.
    pub label: Option<String>,
}

/// Our layout as it was found on a disk (from partition names, which we write). Whose it is stands not on the disk: the
/// provisioner knows the disk GUIDs that its plans wrote ([`crate::plan::EarlierDisks::table`]).
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundLayout {
    /// What the disk was for.
    pub role: crate::plan::Role,
    /// The disk's GPT GUID, upper-case text.
    pub disk_guid: String,
    /// The partition GUIDs in order, upper-case text.
    pub partition_guids: Vec<String>,
    /// The partitions in order with what they hold: enough to name the table in a plan that keeps it.
    #[serde(default)]
    pub partitions: Vec<FoundPartition>,
}

/// A partition as it was found.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundPartition {
    /// Its number, from 1.
    pub number: u32,
    /// Its GPT name.
    pub name: String,
    /// Its type GUID, upper-case text.
    pub type_guid: String,
    /// Its unique GUID, upper-case text.
    pub guid: String,
    /// First byte.
    pub start: Bytes,
    /// Length in bytes.
    pub length: Bytes,
    /// The file system on it, where exactly one was recognised.
    pub file_system: Option<FoundFileSystem>,
}

/// A file system as it was found.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundFileSystem {
    /// Its common name, for example `ext4`.
    pub what: String,
    /// Its UUID or volume id as its own tools print it.
    pub uuid: Option<String>,
    /// Its label.
    pub label: Option<String>,
}

/// A disk's health.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The verdict.
    pub verdict: Verdict,
    /// Where it comes from: `ATA SMART`, `NVMe SMART / Health log`, `none`.
    pub source: String,
    /// What was seen, a line each.
    pub evidence: Vec<String>,
    /// Temperature in degrees Celsius.
    pub temperature_c: Option<i16>,
    /// Power-on hours.
    pub power_on_hours: Option<u64>,
    /// What was found, gravest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<HealthFinding>,
    /// Figures to follow over time, as in [`DeviceReport::figures`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, i64>,
}

/// A network interface.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// The kernel's name.
    pub name: String,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Whether it has a link.
    pub link: bool,
    /// Speed in Mb/s, where the driver says.
    pub speed_mbps: Option<u32>,
    /// The driver's name.
    pub driver: String,
}

/// How grave a finding is.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gravity {
    /// The run goes on and the report says it.
    Warn,
    /// The run stops before anything is written.
    Stop,
}

/// A judgement on an inventory.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How grave it is.
    pub gravity: Gravity,
    /// What, which part, what to do.
    pub reason: Reason,
}
