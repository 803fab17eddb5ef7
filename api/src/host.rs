// SPDX-License-Identifier: Apache-2.0
//! What the maintenance OS leaves for the host, and what the host's agent says to the provisioner.

use crate::action::{ActionId, NextBoot};
use crate::boot::Firmware;
use crate::healing::Trouble;
use crate::ids::{BootId, MacAddr, NodeId, PlanId, RunId};
use crate::plan::VolumeFs;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Where the maintenance OS places the seed, below the host's root; mode 0600, owned by root.
pub const SEED_PATH: &str = "var/lib/groundstate/seed.json";
/// Where the agent moves the credential: a directory of mode 0700 with `host.key`, `host.crt`, `ca.crt`.
pub const CREDENTIAL_DIR: &str = "etc/groundstate/credential";
/// Where the agent keeps what it did at first boot.
pub const SPECIALISED_PATH: &str = "var/lib/groundstate/specialised.json";

/// First-boot data.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSeed {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// Who the host is; its host name.
    pub node: NodeId,
    /// The run that made it.
    pub run: RunId,
    /// The plan that made it.
    pub plan: PlanId,
    /// `https://address:port` of the provisioner.
    pub provisioner: String,
    /// The same of the others, where the site has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// The site CA, PEM.
    pub ca_pem: String,
    /// The host's certificate, PEM.
    pub certificate_pem: String,
    /// The host's private key, PEM. The agent moves it to root-only storage and removes it here.
    pub key_pem: String,
    /// GUID of the root partition, upper-case text.
    pub root_guid: String,
    /// The data volumes to mount.
    pub volumes: Vec<SeedVolume>,
    /// How to boot from the network again.
    pub network_boot: NetworkBoot,
    /// Whether this host was made by an earlier plan and stays who it is: only its volumes and its certificate are new.
    #[serde(default, skip_serializing_if = "is_false")]
    pub same_host: bool,
    /// The epoch: how many runs of the node were ordered when it was made. 0 in seeds of before.
    #[serde(default)]
    pub epoch: u64,
    /// Whether the host was taken in as it runs: then nothing of it is specialised, `plan` is the adoption and `run` is
    /// [`crate::adopt::ADOPTED_RUN`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub adopted: bool,
}

fn is_false(same_host: &bool) -> bool {
    !*same_host
}

/// A data volume.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedVolume {
    /// File system UUID, lower-case text.
    pub uuid: String,
    /// Where to mount it.
    pub mount_point: String,
    /// Serial number of its disk.
    pub disk_serial: String,
    /// Its file system.
    #[serde(default, skip_serializing_if = "VolumeFs::is_usual")]
    pub fs: VolumeFs,
}

/// How the machine boots from the network.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkBoot {
    /// The interface.
    pub mac: MacAddr,
    /// The firmware's way.
    pub firmware: Firmware,
}

/// One thing that specialisation changed.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What: `host name`, `machine-id`, `ssh host keys`, `root file system`, `credential`, `volume /data/…`.
    pub what: String,
    /// Before; never a secret.
    pub before: String,
    /// After; never a secret.
    pub after: String,
}

/// The first call of a host's agent in a boot.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// Who it is.
    pub node: NodeId,
    /// The run that made it.
    pub run: RunId,
    /// The plan that made it.
    pub plan: PlanId,
    /// This boot of the host.
    pub boot_id: BootId,
    /// `PRETTY_NAME` of `/etc/os-release`.
    pub os: String,
    /// `uname -r`.
    pub kernel: String,
    /// Seconds since the host's kernel started.
    pub uptime_secs: u64,
    /// What this boot changed; empty on every boot but the first.
    pub changes: Vec<Change>,
    /// The host's disks by serial number, for the report.
    pub disk_serials: Vec<String>,
}

/// A later call.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who it is.
    pub node: NodeId,
    /// The plan that made it.
    pub plan: PlanId,
    /// This boot of the host.
    pub boot_id: BootId,
    /// 1, 2, 3, … within the boot.
    pub number: u64,
    /// Seconds since the host's kernel started.
    pub uptime_secs: u64,
    /// The epoch that the seed names: how many runs its node had when it was made. A host of an earlier epoch is fenced off.
    #[serde(default)]
    pub epoch: u64,
    /// All that is wrong with the host now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<Trouble>,
    /// An action that ended since the last call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<HostActed>,
    /// Whether the host can say what its firmware boots next: its boot variables are there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub boots_next: bool,
}

/// What the provisioner answers to a register or a heartbeat.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum HostInstruction {
    /// Go on.
    CarryOn,
    /// Set the next boot to the network and restart: a new run is ordered.
    RebootToNetwork,
    /// Do this, and say with a later call how it ended ([`Heartbeat::ended`]). It comes again until that was heard; who has
    /// done it already does it no second time.
    Act {
        /// The action.
        action: ActionId,
        /// What.
        act: HostAct,
    },
}

/// What a host's agent can be asked to do.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostAct {
    /// Start the services again that failed.
    RestartServices,
    /// Pack logs and states and send them.
    CollectDiagnostics,
    /// Restart, in order.
    Reboot,
    /// Give the work away: the site's drain command is run, where the image has one.
    Drain,
    /// Set `BootNext` of UEFI, and read it back. Only hosts are asked that said that they can ([`Heartbeat::boots_next`]).
    BootNext {
        /// What.
        to: NextBoot,
    },
}

/// How an action of a host ended.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostActed {
    /// The action.
    pub action: ActionId,
    /// What was done, or why not.
    pub facts: Vec<String>,
    /// Whether it worked.
    pub done: bool,
}
