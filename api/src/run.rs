// SPDX-License-Identifier: Apache-2.0
//! What the maintenance OS and the provisioner say to each other during a run, over mutual TLS.

use crate::ids::RunId;
use crate::inventory::Inventory;
use crate::plan::{Plan, Step};
use crate::reason::Reason;
use crate::units::{Bytes, Millis};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The inventory report of a run.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryReport {
    /// The run.
    pub run: RunId,
    /// What the probes saw.
    pub inventory: Inventory,
}

/// What the node shall do now. The same question gives the same answer until something changes.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Instruction {
    /// Send an inventory.
    SendInventory,
    /// Wait, show the reason, and ask again after [`crate::limits::INSTRUCTION_POLL`].
    Wait {
        /// Why.
        reason: Reason,
    },
    /// Carry this plan out.
    CarryOut {
        /// The plan.
        plan: Box<Plan>,
        /// Whether an earlier boot of this run said that it began with the image: only then is an image of a whole disk that
        /// stands there this run's own.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        image_begun: bool,
    },
    /// Stop, begin no further step, show the reason, keep asking.
    Hold {
        /// Why.
        reason: Reason,
    },
    /// This run is over and another one is ordered: enrol for it with the key of this boot.
    EnrolAgain,
}

/// How a step stands.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum StepState {
    /// It began.
    Started,
    /// It goes on (at most two of these per second).
    Running {
        /// Bytes done.
        done: Bytes,
        /// Bytes in all.
        total: Bytes,
    },
    /// It is done.
    Done {
        /// What was done, a line each, for the report.
        facts: Vec<String>,
    },
    /// It failed. The node writes nothing more and waits.
    Failed {
        /// Why.
        reason: Reason,
    },
    /// It cannot go on for now and will go on by itself.
    Waiting {
        /// Why.
        reason: Reason,
    },
}

/// A node's report on one step. Reports carry a rising number; a number seen before is acknowledged and ignored.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The run.
    pub run: RunId,
    /// 1, 2, 3, … within the run.
    pub number: u64,
    /// The step.
    pub step: Step,
    /// How it stands.
    pub state: StepState,
    /// Milliseconds since the maintenance OS's kernel started.
    pub at: Millis,
    /// Peak resident memory of PID 1 (`VmHWM`).
    pub peak_memory: Bytes,
}

/// A piece of PID 1's log.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogChunk {
    /// The run.
    pub run: RunId,
    /// Where the piece begins, in bytes from the log's start; a piece seen before is ignored.
    pub offset: u64,
    /// The text; at most [`crate::limits::LOG_CHUNK_MAX`].
    pub text: String,
}

/// Asks for the certificate with which the host will report. The key stays on the node.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCredentialRequest {
    /// The run.
    pub run: RunId,
    /// PKCS #10 certificate signing request, PEM.
    pub csr_pem: String,
}

/// The host's certificate.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCredential {
    /// The client certificate, PEM; bound to node and plan.
    pub certificate_pem: String,
    /// How many runs of the node were ordered: what the host says of itself with every call, so that an earlier one is known.
    #[serde(default)]
    pub epoch: u64,
}
