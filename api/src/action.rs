// SPDX-License-Identifier: Apache-2.0
//! What the provisioner does to a machine or asks of its host: an action stands in the journal before it is carried out and
//! when it has ended, so that a provisioner that starts again knows what it was about.

use crate::healing::Measure;
use crate::ids::NodeId;
use crate::reason::Reason;
use crate::units::Millis;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// An action's id: the number of the journal's event that began it. It never comes twice.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionId(pub u64);

impl core::fmt::Display for ActionId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// What is done.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum Act {
    /// By the BMC, or by a person: power.
    Power {
        /// Which way.
        to: PowerTo,
    },
    /// By the BMC, the host or the boot service: what the machine boots next.
    BootNext {
        /// What.
        to: NextBoot,
    },
    /// By the BMC: the locator LED.
    Identify {
        /// Whether it shall be lit.
        on: bool,
    },
    /// By the host's agent: UEFI's `BootNext`, read back. The host is not restarted by that.
    HostBootNext {
        /// What.
        to: NextBoot,
    },
    /// By the host's agent: the services of the site file, or those that failed, are started again.
    RestartServices,
    /// By the host's agent: logs and states are packed and sent.
    CollectDiagnostics,
    /// By the host's agent, then the BMC, then a person: an orderly restart of the host.
    RebootHost,
    /// By the host's agent: the host gives its work away.
    Drain,
    /// By the healing policy: a measure about a node in trouble. It waits for approval, a place and the brake, and may be vetoed.
    Heal {
        /// Which.
        measure: Measure,
    },
}

impl Act {
    /// For people: `power cycle`, `boot from the network once`.
    #[must_use]
    pub const fn says(&self) -> &'static str {
        match self {
            Self::Power { to: PowerTo::On } => "power on",
            Self::Power { to: PowerTo::Off } => "power off",
            Self::Power {
                to: PowerTo::ForceOff,
            } => "power off at once",
            Self::Power { to: PowerTo::Cycle } => "power cycle",
            Self::BootNext {
                to: NextBoot::Network,
            } => "boot from the network once",
            Self::BootNext {
                to: NextBoot::HttpBoot,
            } => "boot by HTTP once",
            Self::BootNext { to: NextBoot::Disk } => "boot from disk once",
            Self::BootNext {
                to: NextBoot::VirtualMedia,
            } => "boot from virtual media once",
            Self::HostBootNext {
                to: NextBoot::Network,
            } => "set UEFI's next boot to the network",
            Self::HostBootNext {
                to: NextBoot::HttpBoot,
            } => "set UEFI's next boot to HTTP",
            Self::HostBootNext { to: NextBoot::Disk } => "set UEFI's next boot to the disk",
            Self::HostBootNext {
                to: NextBoot::VirtualMedia,
            } => "set UEFI's next boot to virtual media",
            Self::Identify { on: true } => "light the locator LED",
            Self::Identify { on: false } => "put the locator LED out",
            Self::RestartServices => "restart services",
            Self::CollectDiagnostics => "collect diagnostics",
            Self::RebootHost => "restart the host",
            Self::Drain => "drain",
            Self::Heal { measure } => measure.says(),
        }
    }
}

/// Which way power goes.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PowerTo {
    /// On; nothing where it is on.
    On,
    /// An orderly stop of the operating system (ACPI), then off.
    Off,
    /// Off at once.
    ForceOff,
    /// Off at once and on again; on, where it is off.
    Cycle,
}

/// What a machine boots next, once.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextBoot {
    /// PXE.
    Network,
    /// UEFI HTTP Boot.
    HttpBoot,
    /// Its own disk.
    Disk,
    /// An ISO that its BMC shows it.
    VirtualMedia,
}

/// An action as it was begun.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its id.
    pub id: ActionId,
    /// The node.
    pub node: NodeId,
    /// What is done.
    pub act: Act,
    /// Who or what wants it: `operator:ana`, `fabric:fc-1`, `policy`.
    pub by: String,
    /// Why, where the policy wants it.
    pub because: Option<Reason>,
    /// 1 for the first try, 2 for the second, …
    pub attempt: u32,
    /// When it began, milliseconds since 1970.
    pub began: Millis,
    /// When it counts as failed.
    pub deadline: Millis,
}

/// How an action ended.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It is done and was seen to be done.
    Done {
        /// What did it: `redfish-once`, `redfish-persistent`, `ipmi`, `in-os-boot-next`, `boot-service`, `host-agent`, `person`.
        by: String,
        /// What was seen, for people.
        facts: Vec<String>,
    },
    /// It did not work.
    Failed {
        /// Why, and what a person can do.
        reason: Reason,
    },
    /// The fabric controller or a person forbade it before it began.
    Vetoed {
        /// Who.
        by: String,
        /// Why, in the words of who did.
        why: String,
    },
}

/// An action and how it stands: `GET /v1/actions`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionView {
    /// The action.
    pub action: Action,
    /// When it ended, milliseconds since 1970; `None` while it goes on.
    pub ended: Option<Millis>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

/// Actions, newest first.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionList {
    /// The actions.
    pub actions: Vec<ActionView>,
}
