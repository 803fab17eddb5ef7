// SPDX-License-Identifier: Apache-2.0
//! The Trusted Platform Module: which version, and whether it is switched on. Whether there should be one is a profile's
//! to say.

use super::finding::kind;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::health::{Advice, DeviceKind, DeviceReport, Sureness, Verdict};
use serde::{Deserialize, Serialize};

/// What the kernel shows of the TPM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TpmFacts {
    /// Major version: 1 (for 1.2) or 2.
    pub version: Option<u32>,
    /// What the firmware calls it.
    pub description: String,
    /// TPM 1.2: whether it is enabled. TPM 2.0 is whenever it is seen.
    pub enabled: Option<bool>,
    /// TPM 1.2: whether it is active.
    pub active: Option<bool>,
}

pub(super) fn judge(facts: &TpmFacts) -> DeviceReport {
    let mut findings = Vec::new();
    if facts.enabled == Some(false) || facts.active == Some(false) {
        let kind = kind("tpm-off", Verdict::Ok, Sureness::Certain, Advice::Configure);
        let next = "switch it on in the firmware's setup, if keys are to be sealed to this machine";
        findings.push(kind.says("the TPM is there and switched off", [], next));
    }
    let mut report = DeviceReport::new("tpm0", DeviceKind::Tpm, "kernel", findings);
    report.place.model = match facts.version {
        Some(1) => "TPM 1.2".to_string(),
        Some(2) => "TPM 2.0".to_string(),
        Some(_) | None => "TPM".to_string(),
    };
    if !facts.description.is_empty() {
        report.place.model.push_str(", ");
        report.place.model.push_str(&facts.description);
    }
    let version = facts.version.map(i64::from);
    report
        .figures
        .extend(version.map(|version| ("version".to_string(), version)));
    report
}
