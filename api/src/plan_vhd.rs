// SPDX-License-Identifier: Apache-2.0
//! VHDs as a plan names them.

use crate::units::Bytes;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// The format of a virtual disk.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VhdFormat {
    /// VHD, up to 2,040 GiB.
    #[default]
    Vhd,
    /// VHDX, up to 64 TiB.
    Vhdx,
}

impl VhdFormat {
    /// The ending of the file's name, without the dot.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
        }
    }
    /// Whether this is what stands where nothing is said.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// How a virtual disk takes its space.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VhdKind {
    /// All of it from the start, in one piece where the file system allows.
    #[default]
    Fixed,
    /// All of it from the start, every block in the table: for what reads only dynamic virtual disks.
    Dynamic,
}

impl VhdKind {
    /// As it stands in JSON and in the site file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Dynamic => "dynamic",
        }
    }
    /// Whether this is what stands where nothing is said.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// Which piece of a larger virtual disk a file is. The pieces, joined in order, are the whole; each is a virtual disk of its
/// own, so that a failed disk costs only the pieces that lay on it.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VhdPart {
    /// The whole's name, for example `vm-0`.
    pub of: String,
    /// Which piece, from 1.
    pub number: u16,
    /// How many pieces there are.
    pub parts: u16,
}

/// One preallocated virtual disk.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VhdPlan {
    /// File name in the volume's root, for example `vm-0.vhd`, `vm-0.part1.vhd`.
    pub file: String,
    /// The size that a virtual machine sees; a whole number of MiB, at most 2,040 GiB for VHD and 64 TiB for VHDX.
    pub size: Bytes,
    /// The VHD's unique id, lower-case text.
    pub id: String,
    /// Its format.
    #[serde(default, skip_serializing_if = "VhdFormat::is_usual")]
    pub format: VhdFormat,
    /// How it takes its space.
    #[serde(default, skip_serializing_if = "VhdKind::is_usual")]
    pub kind: VhdKind,
    /// Which piece of a larger one it is, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<VhdPart>,
}
