// SPDX-License-Identifier: Apache-2.0
//! `Boot` of a `ComputerSystem`: what is booted next.

use crate::answer::Part;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What the BMC says of the next boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// `BootSourceOverrideTarget`.
    pub target: Option<String>,
    /// `BootSourceOverrideEnabled`.
    pub enabled: Option<String>,
    /// `BootSourceOverrideMode`.
    pub mode: Option<String>,
    /// The targets that it allows, where it says so.
    pub targets: Option<Vec<String>>,
    /// The values of `Enabled` that it allows, where it says so.
    pub enableds: Option<Vec<String>>,
    /// The modes that it allows, where it says so.
    pub modes: Option<Vec<String>>,
    /// Whether it knows `HttpBootUri`, and one is set.
    pub http_uri: Option<String>,
}

const ALLOWABLE: &str = "@Redfish.AllowableValues";

impl Boot {
    /// Reads the object `Boot`.
    #[must_use]
    pub fn read(boot: Part<'_>) -> Self {
        let allowed = |name: &str| boot.words(&format!("{name}{ALLOWABLE}"));
        Self {
            target: boot.text("BootSourceOverrideTarget"),
            enabled: boot.text("BootSourceOverrideEnabled"),
            mode: boot.text("BootSourceOverrideMode"),
            // Services before 1.0 wrote the list without the annotation.
            targets: allowed("BootSourceOverrideTarget")
                .or_else(|| boot.words("BootSourceOverrideSupported")),
            enableds: allowed("BootSourceOverrideEnabled"),
            modes: allowed("BootSourceOverrideMode"),
            http_uri: boot.text("HttpBootUri"),
        }
    }

    /// Whether an override can be set at all.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.target.is_some() || self.targets.is_some() || self.enabled.is_some()
    }

    /// For people and reports: `pxe once`, `hdd continuous`; `None` where nothing is set.
    #[must_use]
    pub fn says(&self) -> Option<String> {
        let target = self.target.as_deref().filter(|target| *target != "None")?;
        let enabled = self
            .enabled
            .as_deref()
            .filter(|enabled| *enabled != "Disabled")?;
        let target = match target {
            "UefiHttp" => String::from("uefi-http"),
            other => other.to_lowercase(),
        };
        Some(format!("{target} {}", enabled.to_lowercase()))
    }

    /// All of it in words, for evidence: `Pxe, Once, UEFI`.
    #[must_use]
    pub fn words(&self) -> String {
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| String::from("nothing"));
        format!(
            "{}, {}, mode {}",
            or(&self.target),
            or(&self.enabled),
            or(&self.mode)
        )
    }
}
