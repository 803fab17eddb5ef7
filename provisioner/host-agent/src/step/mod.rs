// SPDX-License-Identifier: Apache-2.0
//! The steps of specialisation. Each can be observed, knows when its goal is reached, and acts so that acting again
//! does no harm.

pub(crate) mod credential;
mod host_name;
mod machine_id;
mod mount_table;
mod root_size;
mod ssh_keys;
mod volume;

use crate::error::AgentError;
use crate::host::Host;
use crate::root::Root;
use groundstate_api::host::{HostSeed, SeedVolume};

/// What a step works on.
#[derive(Debug)]
pub(crate) struct Surroundings<'a, H> {
    /// The host's root directory.
    pub(crate) root: &'a Root,
    /// The running system.
    pub(crate) host: &'a H,
    /// The first-boot data.
    pub(crate) seed: HostSeed,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The node's name becomes the host name.
    HostName,
    /// A machine-id of its own.
    MachineId,
    /// SSH host keys of its own.
    SshKeys,
    /// The root file system fills its partition.
    RootSize,
    /// The credential moves to root-only storage.
    Credential,
    /// A data volume is mounted, now and at every boot.
    Volume(SeedVolume),
}

impl Step {
    /// Every step for this seed, in order.
    pub(crate) fn all(seed: &HostSeed) -> Result<Vec<Self>, AgentError> {
        let mut steps = vec![Self::HostName];
        if !seed.same_host {
            // A host that stays who it is keeps what others know it by.
            steps.extend([Self::MachineId, Self::SshKeys]);
        }
        steps.extend([Self::RootSize, Self::Credential]);
        for seed_volume in &seed.volumes {
            volume::check(seed_volume)?;
            steps.push(Self::Volume(seed_volume.clone()));
        }
        Ok(steps)
    }

    /// Its name in the report.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::HostName => "host name".into(),
            Self::MachineId => "machine-id".into(),
            Self::SshKeys => "ssh host keys".into(),
            Self::RootSize => "root file system".into(),
            Self::Credential => "credential".into(),
            Self::Volume(volume) => format!("volume {}", volume.mount_point),
        }
    }

    /// What is there now, for people; never a secret.
    pub(crate) fn observe<H: Host>(&self, s: &Surroundings<'_, H>) -> Result<String, AgentError> {
        match self {
            Self::HostName => host_name::observe(s.root),
            Self::MachineId => machine_id::observe(s.root),
            Self::SshKeys => ssh_keys::observe(s.root, s.host),
            Self::RootSize => root_size::observe(s.root),
            Self::Credential => credential::observe(s.root, &s.seed),
            Self::Volume(volume) => volume::observe(s.root, volume),
        }
    }

    /// What it is to become, where that is random and must be the same after a power cut.
    pub(crate) fn goal(&self) -> Result<Option<String>, AgentError> {
        match self {
            Self::MachineId | Self::SshKeys => machine_id::fresh().map(Some),
            Self::HostName | Self::RootSize | Self::Credential | Self::Volume(_) => Ok(None),
        }
    }

    /// Whether there is nothing left to do.
    pub(crate) fn is_reached<H: Host>(
        &self,
        s: &Surroundings<'_, H>,
        goal: Option<&str>,
    ) -> Result<bool, AgentError> {
        match self {
            Self::HostName => host_name::is_reached(s.root, &s.seed.node),
            Self::MachineId => machine_id::is_reached(s.root, goal),
            Self::SshKeys => ssh_keys::is_reached(s.root, goal),
            Self::RootSize => root_size::is_reached(s.root),
            Self::Credential => credential::is_reached(s.root, &s.seed),
            Self::Volume(volume) => volume::is_reached(s.root, volume),
        }
    }

    /// Does it.
    pub(crate) fn act<H: Host>(
        &self,
        s: &mut Surroundings<'_, H>,
        goal: Option<&str>,
    ) -> Result<(), AgentError> {
        match self {
            Self::HostName => host_name::act(s.root, s.host, &s.seed.node),
            Self::MachineId => machine_id::act(s.root, goal),
            Self::SshKeys => ssh_keys::act(s.root, s.host, goal),
            Self::RootSize => root_size::act(s.root, s.host),
            Self::Credential => credential::act(s.root, &mut s.seed),
            Self::Volume(volume) => volume::act(s.root, s.host, volume),
        }
    }
}
