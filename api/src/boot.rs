// SPDX-License-Identifier: Apache-2.0
//! The one question of the boot service, and its one answer; and what it saw of a boot.

use crate::ids::{MacAddr, SystemUuid};
use crate::reason::Reason;
use crate::units::Bytes;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use serde::{Deserialize, Serialize};

/// How the machine's firmware boots from the network (RFC 4578 option 93, IANA processor architecture types).
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// Legacy BIOS PXE (type 0).
    Bios,
    /// UEFI x64 PXE (types 7 and 9).
    UefiPxe,
    /// UEFI x64 HTTP Boot (type 16).
    UefiHttp,
}

impl Firmware {
    /// As it stands in JSON and on a command line: `bios`, `uefi-pxe`, `uefi-http`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::UefiPxe => "uefi-pxe",
            Self::UefiHttp => "uefi-http",
        }
    }
    /// Whether the firmware is UEFI.
    #[must_use]
    pub const fn is_uefi(self) -> bool {
        match self {
            Self::Bios => false,
            Self::UefiPxe | Self::UefiHttp => true,
        }
    }
}

/// "What shall this machine boot?"
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootQuestion {
    /// The MAC address that asks.
    pub mac: MacAddr,
    /// The system UUID (option 97), where it was sent.
    pub uuid: Option<SystemUuid>,
    /// The firmware, where it is known from option 93; iPXE tells it too.
    pub firmware: Option<Firmware>,
    /// The processor architecture type (option 93, IANA) as it was sent, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<u16>,
    /// The relay agent that passed the question on, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Ipv4Addr>,
    /// Whether it is iPXE that asks, which fetches a script, and not the firmware that fetches iPXE.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub ipxe: bool,
}

impl BootQuestion {
    /// About a machine of which nothing else is known.
    #[must_use]
    pub const fn about(mac: MacAddr) -> Self {
        Self {
            mac,
            uuid: None,
            firmware: None,
            architecture: None,
            relay: None,
            ipxe: false,
        }
    }
}

/// What the machine shall boot.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "boot", rename_all = "kebab-case")]
pub enum BootAnswer {
    /// The maintenance OS.
    MaintenanceOs,
    /// Its own disk.
    LocalDisk {
        /// How its firmware is sent there.
        #[serde(default)]
        how: LocalBoot,
    },
    /// Something else that the boot service has files for: a rescue system, an installer of the user's own.
    Recipe {
        /// What.
        recipe: BootRecipe,
    },
    /// An address, and nothing to boot.
    Nothing,
    /// Nothing at all, and here is why.
    Refuse {
        /// Why.
        reason: Reason,
    },
}

impl BootAnswer {
    /// Its own disk, in the way that suits most firmware.
    pub const LOCAL_DISK: Self = Self::LocalDisk {
        how: LocalBoot::Usual,
    };
}

/// How firmware is sent to its own disk. Models differ in what they take well.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum LocalBoot {
    /// Firmware is sent for a file that does not exist and goes on to its next boot entry; iPXE is told `exit`.
    #[default]
    Usual,
    /// As usual, and a BIOS, too, is brought to iPXE and told `exit`: for firmware that stops at a missing file.
    Exit,
    /// Through iPXE, which starts the disk itself (`sanboot`): for a BIOS that does not go on by itself.
    Sanboot {
        /// BIOS drive number; 0x80 (128) is the first disk.
        drive: u8,
    },
    /// No answer to firmware at all: it gives up after its own time-outs (a minute with OVMF).
    NoAnswer,
}

/// What a machine boots that is neither the maintenance OS nor its own disk. Names are names of served boot files.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootRecipe {
    /// What people call it.
    pub name: String,
    /// One program that firmware starts itself (an EFI program or a network boot program), in place of the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// A kernel, which iPXE fetches and starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Its initramfs files, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub initrd: Vec<String>,
    /// Its command line: blank-separated tokens of letters, digits and `. _ , : = / @ + -`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command_line: String,
}

/// One step of a boot that the boot service saw.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "saw", rename_all = "kebab-case")]
pub enum BootSighting {
    /// A DHCP address was leased.
    Leased {
        /// The address in dotted form.
        address: String,
        /// The firmware that asked, where option 93 said so (an operating system's DHCP client does not).
        firmware: Option<Firmware>,
    },
    /// A boot file was sent whole, by TFTP or HTTP.
    FileSent {
        /// Its name.
        file: String,
        /// Its length.
        length: Bytes,
        /// `tftp` or `http`.
        by: String,
    },
    /// A boot file is being sent by HTTP (at most one of these per second and machine).
    FileProgress {
        /// Its name.
        file: String,
        /// Bytes sent so far.
        done: Bytes,
        /// Its length.
        length: Bytes,
    },
    /// The machine got no boot file, and why.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// The machine was told to boot its own disk.
    SentToLocalDisk,
}

/// What the boot image carries about its site. Public: it holds no secret. Placed in the initramfs at
/// [`BOOT_CONFIG_PATH`] when the boot image is assembled.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootConfig {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// The site's name, shown on the node's screen.
    pub site: String,
    /// `https://address:port` of the provisioner.
    pub provisioner: String,
    /// The same of the others, where the site has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// The site CA, PEM: the only authority that PID 1 trusts.
    pub ca_pem: String,
}

/// Where PID 1 finds its [`BootConfig`].
pub const BOOT_CONFIG_PATH: &str = "/etc/groundstate/boot.json";
