// SPDX-License-Identifier: Apache-2.0
//! The ways to say what a machine boots next, best first.

use groundstate_api::action::NextBoot;
use serde::{Deserialize, Serialize};

/// One way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// Redfish, for one boot.
    RedfishOnce,
    /// Redfish, for every boot, taken back when the machine booted.
    RedfishPersistent,
    /// IPMI, for one boot.
    Ipmi,
    /// `BootNext` of UEFI, set by the host that still runs.
    InOs,
    /// The machine boots from the network by its own order, and the boot service answers with what is wanted.
    BootService,
}

impl Rung {
    /// Every rung, best first.
    pub const ALL: [Self; 5] = [
        Self::RedfishOnce,
        Self::RedfishPersistent,
        Self::Ipmi,
        Self::InOs,
        Self::BootService,
    ];

    /// As it stands in journals: the `by` of an action's outcome.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RedfishOnce => "redfish-once",
            Self::RedfishPersistent => "redfish-persistent",
            Self::Ipmi => "ipmi",
            Self::InOs => "in-os-boot-next",
            Self::BootService => "boot-service",
        }
    }

    /// Whether the BMC carries it out.
    #[must_use]
    pub const fn by_bmc(self) -> bool {
        match self {
            Self::RedfishOnce | Self::RedfishPersistent | Self::Ipmi => true,
            Self::InOs | Self::BootService => false,
        }
    }

    /// Whether it speaks Redfish.
    #[must_use]
    pub const fn by_redfish(self) -> bool {
        match self {
            Self::RedfishOnce | Self::RedfishPersistent => true,
            Self::Ipmi | Self::InOs | Self::BootService => false,
        }
    }

    /// Whether it can bring this about at all.
    #[must_use]
    pub const fn can(self, to: NextBoot) -> bool {
        match (self, to) {
            // The boot flags of IPMI 2.0 (28.13) know no HTTP.
            (Self::Ipmi, NextBoot::HttpBoot) => false,
            // A host knows no boot entry for media that its BMC shows only later; the boot service cannot lead there.
            (Self::InOs | Self::BootService, NextBoot::VirtualMedia) => false,
            (Self::RedfishOnce | Self::RedfishPersistent, _) => true,
            (Self::Ipmi, NextBoot::Network | NextBoot::Disk | NextBoot::VirtualMedia) => true,
            (
                Self::InOs | Self::BootService,
                NextBoot::Network | NextBoot::HttpBoot | NextBoot::Disk,
            ) => true,
        }
    }
}

impl core::fmt::Display for Rung {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.as_str())
    }
}
