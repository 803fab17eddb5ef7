// SPDX-License-Identifier: Apache-2.0
//! What is remembered of one BMC between sessions: whose turn it is, whether it may be spoken to, its certificate, its cipher suite.

use crate::clock;
use crate::ipmi::Known;
use bmc_core::gate::{Fingerprint, Gate};
use bmc_core::learned::MachineKey;
use bmc_core::trouble::Trouble;
use groundstate_api::Digest;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A way of speaking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Redfish,
    Ipmi,
}

#[derive(Debug, Default)]
struct Memory {
    redfish: Gate,
    ipmi: Gate,
    first_seen: Option<Digest>,
    machine: Option<MachineKey>,
}

/// The door of one BMC.
#[derive(Debug, Default)]
pub(crate) struct Door {
    /// One session at a time.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    pub(crate) cipher: Known,
    memory: Mutex<Memory>,
}

impl Door {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ask(&self, way: Way, with: Fingerprint) -> Result<(), Trouble> {
        let memory = self.memory();
        match way {
            Way::Redfish => memory.redfish.ask(clock::now(), with),
            Way::Ipmi => memory.ipmi.ask(clock::now(), with),
        }
    }

    /// Notes how a conversation went.
    pub(crate) fn note<T>(&self, way: Way, with: Fingerprint, result: &Result<T, Trouble>) {
        let mut memory = self.memory();
        let now = clock::now();
        match result {
            // The same credential by the other way would be the second wrong password.
            Err(trouble @ Trouble::CredentialRefused { .. }) => {
                memory.redfish.failed(now, with, trouble, clock::chance());
                memory.ipmi.failed(now, with, trouble, clock::chance());
            }
            Err(trouble) => match way {
                Way::Redfish => memory.redfish.failed(now, with, trouble, clock::chance()),
                Way::Ipmi => memory.ipmi.failed(now, with, trouble, clock::chance()),
            },
            Ok(_) => match way {
                Way::Redfish => memory.redfish.answered(),
                Way::Ipmi => memory.ipmi.answered(),
            },
        }
    }

    pub(crate) fn forgive(&self) {
        let mut memory = self.memory();
        memory.redfish.forgive();
        memory.ipmi.forgive();
    }

    pub(crate) fn first_seen(&self) -> Option<Digest> {
        self.memory().first_seen
    }

    pub(crate) fn saw(&self, certificate: Digest) {
        self.memory().first_seen = Some(certificate);
    }

    pub(crate) fn machine(&self) -> Option<MachineKey> {
        self.memory().machine.clone()
    }

    pub(crate) fn is(&self, machine: MachineKey) {
        self.memory().machine = Some(machine);
    }
}
