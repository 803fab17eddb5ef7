// SPDX-License-Identifier: Apache-2.0
//! What a site says about disks: rules that give roles, and what holds for every disk (`[policy.disks]`,
//! `[node.disks]`). No rule can name a disk by the kernel's name for it.

use crate::health::Verdict;
use crate::plan::{Role, VolumeFs};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Deserializer, Serialize};

/// `[policy.disks]`, and `[node.disks]` where a node differs.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskPolicy {
    /// File system of new data volumes: `ext4` (the default) or `xfs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs: Option<VolumeFs>,
    /// What may be wiped without being confirmed: `ours` (the default) or `any`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wipe: Option<WipeRule>,
    /// Whether a VHD that fits on no single disk is made in parts on several: `only-if-needed` (the default) or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// How many data disks may be missing or failing without stopping a run. Without it: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_data_disks: Option<u16>,
    /// Whether the OS disk also holds a data volume: `if-alone` (the default), `always` or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_on_os_disk: Option<DataOnOs>,
    /// Size of the root partition where the OS disk also holds a data volume, for example `32GiB`. Without it: 32 GiB or
    /// half of the disk, whichever is less, and never less than the image needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_size: Option<String>,
    /// Whether the last partition of an image of a whole disk takes the rest of the OS disk. Without it: it stays as long as
    /// in the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grow_image: Option<bool>,
    /// Rules; the first that a disk matches gives its role.
    #[serde(default, rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<DiskRule>,
}

impl DiskPolicy {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What may be wiped without being confirmed by serial number.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WipeRule {
    /// Blank disks, and disks that hold what a plan of this node put there.
    #[default]
    Ours,
    /// Whatever the disk holds.
    Any,
}

/// Whether a VHD may be made in parts on several disks.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// Only where no single disk can hold it.
    #[default]
    OnlyIfNeeded,
    /// Not at all: what fits on no single disk is refused.
    Never,
}

/// Whether the OS disk also holds a data volume.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataOnOs {
    /// Where the machine has no other disk that is built in, and the image and the VHDs fit beside each other.
    #[default]
    IfAlone,
    /// Always.
    Always,
    /// Never: the root partition gets the rest of the disk.
    Never,
}

/// One rule. Every condition that is written down must hold; within one, any of its values. A rule without conditions
/// matches every disk that no rule before it matched.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskRule {
    /// The role that a matching disk gets.
    pub role: Role,
    /// Serial numbers.
    #[serde(
        default,
        deserialize_with = "one_or_more",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub serial: Vec<String>,
    /// World Wide Names, as the inventory writes them.
    #[serde(
        default,
        deserialize_with = "one_or_more",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub wwn: Vec<String>,
    /// Slots as the inventory writes them; `*` stands for any characters, `?` for one.
    #[serde(
        default,
        deserialize_with = "one_or_more",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub slot: Vec<String>,
    /// Models; `*` and `?` as for slots. Upper and lower case differ.
    #[serde(
        default,
        deserialize_with = "one_or_more",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub model: Vec<String>,
    /// The least size, for example `1TiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_min: Option<String>,
    /// The greatest size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_max: Option<String>,
    /// Kinds of medium.
    #[serde(
        default,
        deserialize_with = "one_or_more",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub media: Vec<Media>,
    /// Verdicts on its health.
    #[serde(
        default,
        deserialize_with = "one_or_more",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub health: Vec<Verdict>,
    /// What may be wiped on matching disks without being confirmed, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wipe: Option<WipeRule>,
}

/// Kinds of medium.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Media {
    /// Rotating platters.
    Hdd,
    /// Solid state that is not NVMe.
    Ssd,
    /// NVMe.
    Nvme,
}

/// `"x"` is the same as `["x"]`.
fn one_or_more<'de, D, T>(reader: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a text or a list of texts that this key knows")]
    enum Either<T> {
        One(T),
        More(Vec<T>),
    }
    Ok(match Either::deserialize(reader)? {
        Either::One(one) => Vec::from([one]),
        Either::More(more) => more,
    })
}
