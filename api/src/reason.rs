// SPDX-License-Identifier: Apache-2.0
//! Why something waits, is refused or is held: one value, shown the same on the CLI, the web page and the node's screen.

use crate::units::{Bytes, Millis};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// What kind of reason it is. A program may branch on this; people read the rest.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonCode {
    /// The machine's MAC address is not in this closed site's file.
    UnknownMachine,
    /// The machine asked to enrol, but nobody ordered a run for it.
    NothingOrdered,
    /// The enrolment window closed before the machine enrolled.
    EnrolmentExpired,
    /// A second key asked for an enrolment that a first key holds.
    SecondKey,
    /// The machine came back in the middle of its run, or did so too often.
    PowerLost,
    /// MAC, UUID and serial number do not belong to the same node.
    IdentityMismatch,
    /// A DIMM that the node should have is not there.
    DimmMissing,
    /// A DIMM had errors that could not be corrected.
    DimmFailing,
    /// The kernel sees less memory than the DIMMs add up to.
    MemoryShort,
    /// A disk reports that it is failing.
    DiskFailing,
    /// A disk that the node should have is not there.
    DiskMissing,
    /// A disk is not the one that the site or the plan names.
    WrongDisk,
    /// A disk is too small for what should go on it, or a volume is full.
    DiskFull,
    /// A disk did not do what it was asked (I/O error, time-out).
    DiskError,
    /// A disk holds something that the plan does not allow to be wiped.
    DiskInUse,
    /// A disk could not be erased, or it cannot be proved that it is: the disk is in quarantine.
    EraseFailed,
    /// Bytes of an image are not what its manifest says.
    ChunkCorrupt,
    /// The image is not in the repository.
    ImageMissing,
    /// The image's signatures, or its channel's, do not make it believable.
    ImageUntrusted,
    /// The image, or a key that signed it, was revoked.
    ImageRevoked,
    /// No network interface has a link.
    NoLink,
    /// No DHCP server answered.
    NoLease,
    /// Another DHCP server answers on the provisioning network.
    ForeignDhcp,
    /// The provisioner does not answer.
    ProvisionerUnreachable,
    /// The provisioner's certificate is not of this site.
    TlsRefused,
    /// The node's clock is too far off for certificates.
    ClockWrong,
    /// The hand-over did not work (kexec refused, no boot entry).
    HandOverFailed,
    /// The new host did not report in time.
    HostSilent,
    /// The maintenance OS stopped reporting.
    NodeSilent,
    /// The policy or the plan cannot be fulfilled or understood.
    PlanRefused,
    /// Nothing is wrong: it takes its time.
    UnderWay,
    /// The caller's certificate does not allow what it asked.
    NotAllowed,
    /// A request or a file is not what it should be; the part names the field.
    BadRequest,
    /// Something in Groundstate itself is wrong.
    Internal,
    /// The host, its agent or the fabric controller reports trouble.
    HostTrouble,
    /// The node is out of use; only a person or the fabric controller lets it out.
    Quarantined,
    /// A person works at it.
    InRepair,
    /// It is out of the fleet.
    Retired,
    /// It runs the maintenance OS with a shell, by order.
    Rescue,
    /// The host gives its work away.
    Draining,
    /// A host or a maintenance OS of an earlier epoch speaks: nothing of it is believed.
    Fenced,
    /// The fabric controller or a person must approve.
    WaitsForApproval,
    /// As many as the site allows are at it already.
    WaitsForPlace,
    /// The brake is on: too many failed, or somebody set it.
    Brake,
    /// It was forbidden by who may.
    Vetoed,
    /// An action was tried as often as the policy says, and failed.
    ActionFailed,
    /// Somebody must switch the machine on, off or off and on: it has no BMC that can.
    PowerNeeded,
    /// The BMC does not answer.
    BmcUnreachable,
    /// The BMC refuses, for example the credential.
    BmcRefused,
    /// The BMC said yes and did something else.
    BmcIgnored,
    /// The BMC shows another certificate than the pinned one.
    BmcCertificate,
    /// A credential that the site file names is not there or cannot be read.
    CredentialMissing,
    /// Another provisioner leads; this one serves reads.
    NotLeader,
    /// The journal is full, gone, older than what was seen, or written by another: nothing is guessed.
    JournalUnusable,
    /// The entity tag does not fit: somebody changed it in between (412).
    Precondition,
    /// The idempotency key was used for another request (422).
    KeyReused,
    /// Too many orders or keys of one caller in a short time (429).
    TooMany,
    /// The site cannot be applied as it is.
    SiteRefused,
    /// The host was taken in as it runs: nobody knows what it was made from.
    Adopted,
}

impl ReasonCode {
    /// All of them, in the order of the list above.
    pub const ALL: [Self; 59] = [
        Self::UnknownMachine,
        Self::NothingOrdered,
        Self::EnrolmentExpired,
        Self::SecondKey,
        Self::PowerLost,
        Self::IdentityMismatch,
        Self::DimmMissing,
        Self::DimmFailing,
        Self::MemoryShort,
        Self::DiskFailing,
        Self::DiskMissing,
        Self::WrongDisk,
        Self::DiskFull,
        Self::DiskError,
        Self::DiskInUse,
        Self::EraseFailed,
        Self::ChunkCorrupt,
        Self::ImageMissing,
        Self::ImageUntrusted,
        Self::ImageRevoked,
        Self::NoLink,
        Self::NoLease,
        Self::ForeignDhcp,
        Self::ProvisionerUnreachable,
        Self::TlsRefused,
        Self::ClockWrong,
        Self::HandOverFailed,
        Self::HostSilent,
        Self::NodeSilent,
        Self::PlanRefused,
        Self::UnderWay,
        Self::NotAllowed,
        Self::BadRequest,
        Self::Internal,
        Self::HostTrouble,
        Self::Quarantined,
        Self::InRepair,
        Self::Retired,
        Self::Rescue,
        Self::Draining,
        Self::Fenced,
        Self::WaitsForApproval,
        Self::WaitsForPlace,
        Self::Brake,
        Self::Vetoed,
        Self::ActionFailed,
        Self::PowerNeeded,
        Self::BmcUnreachable,
        Self::BmcRefused,
        Self::BmcIgnored,
        Self::BmcCertificate,
        Self::CredentialMissing,
        Self::NotLeader,
        Self::JournalUnusable,
        Self::Precondition,
        Self::KeyReused,
        Self::TooMany,
        Self::SiteRefused,
        Self::Adopted,
    ];

    /// The code as it stands in JSON and in `RESULT` lines, for example `dimm-missing`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownMachine => "unknown-machine",
            Self::NothingOrdered => "nothing-ordered",
            Self::EnrolmentExpired => "enrolment-expired",
            Self::SecondKey => "second-key",
            Self::PowerLost => "power-lost",
            Self::IdentityMismatch => "identity-mismatch",
            Self::DimmMissing => "dimm-missing",
            Self::DimmFailing => "dimm-failing",
            Self::MemoryShort => "memory-short",
            Self::DiskFailing => "disk-failing",
            Self::DiskMissing => "disk-missing",
            Self::WrongDisk => "wrong-disk",
            Self::DiskFull => "disk-full",
            Self::DiskError => "disk-error",
            Self::DiskInUse => "disk-in-use",
            Self::EraseFailed => "erase-failed",
            Self::ChunkCorrupt => "chunk-corrupt",
            Self::ImageMissing => "image-missing",
            Self::ImageUntrusted => "image-untrusted",
            Self::ImageRevoked => "image-revoked",
            Self::NoLink => "no-link",
            Self::NoLease => "no-lease",
            Self::ForeignDhcp => "foreign-dhcp",
            Self::ProvisionerUnreachable => "provisioner-unreachable",
            Self::TlsRefused => "tls-refused",
            Self::ClockWrong => "clock-wrong",
            Self::HandOverFailed => "hand-over-failed",
            Self::HostSilent => "host-silent",
            Self::NodeSilent => "node-silent",
            Self::PlanRefused => "plan-refused",
            Self::UnderWay => "under-way",
            Self::NotAllowed => "not-allowed",
            Self::BadRequest => "bad-request",
            Self::Internal => "internal",
            Self::HostTrouble => "host-trouble",
            Self::Quarantined => "quarantined",
            Self::InRepair => "in-repair",
            Self::Retired => "retired",
            Self::Rescue => "rescue",
            Self::Draining => "draining",
            Self::Fenced => "fenced",
            Self::WaitsForApproval => "waits-for-approval",
            Self::WaitsForPlace => "waits-for-place",
            Self::Brake => "brake",
            Self::Vetoed => "vetoed",
            Self::ActionFailed => "action-failed",
            Self::PowerNeeded => "power-needed",
            Self::BmcUnreachable => "bmc-unreachable",
            Self::BmcRefused => "bmc-refused",
            Self::BmcIgnored => "bmc-ignored",
            Self::BmcCertificate => "bmc-certificate",
            Self::CredentialMissing => "credential-missing",
            Self::NotLeader => "not-leader",
            Self::JournalUnusable => "journal-unusable",
            Self::Precondition => "precondition",
            Self::KeyReused => "key-reused",
            Self::TooMany => "too-many",
            Self::SiteRefused => "site-refused",
            Self::Adopted => "adopted",
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The part that a reason is about, with what a technician needs to find it.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Part {
    /// A memory module.
    Dimm {
        /// The slot's silkscreen name (SMBIOS type 17 Device Locator).
        slot: String,
        /// The serial number, where it is known.
        serial: Option<String>,
        /// The size in words, for example `512 MiB`.
        size: Option<String>,
    },
    /// A disk.
    Disk {
        /// The bay or the controller address.
        slot: String,
        /// The serial number.
        serial: String,
        /// The size in words.
        size: Option<String>,
        /// The model, where it is known.
        model: Option<String>,
    },
    /// An image in the repository.
    Image {
        /// Name and version, for example `debian-host 12.1`.
        image: String,
        /// The chunk or blob, as `sha256:...`.
        digest: Option<String>,
    },
    /// The machine as a whole.
    Machine {
        /// MAC address, UUID or serial number: what it said of itself.
        said: String,
    },
    /// A field of a configuration file or of a request.
    Field {
        /// The path of the field, for example `node[0].mac`.
        path: String,
    },
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |parts: &[Option<String>]| {
            parts
                .iter()
                .flatten()
                .cloned()
                .collect::<Vec<_>>()
                .join(", ")
        };
        let text = match self {
            Self::Dimm { slot, serial, size } => {
                format!(
                    "DIMM {}",
                    join(&[
                        Some(slot.clone()),
                        size.clone(),
                        serial.as_ref().map(|s| format!("serial {s}"))
                    ])
                )
            }
            Self::Disk {
                slot,
                serial,
                size,
                model,
            } => {
                format!(
                    "disk {}",
                    join(&[
                        Some(slot.clone()),
                        Some(format!("serial {serial}")),
                        size.clone(),
                        model.clone()
                    ])
                )
            }
            Self::Image { image, digest } => {
                format!("image {}", join(&[Some(image.clone()), digest.clone()]))
            }
            Self::Machine { said } => format!("machine {said}"),
            Self::Field { path } => format!("field {path}"),
        };
        f.pad(&text)
    }
}

impl Part {
    /// A disk as an inventory or a plan describes it.
    #[must_use]
    pub fn disk(slot: &str, serial: &str, size: Bytes, model: &str) -> Self {
        Self::Disk {
            slot: slot.into(),
            serial: serial.into(),
            size: Some(format!("{size}")),
            model: Some(String::from(model)).filter(|model| !model.is_empty()),
        }
    }

    /// The part in one word without spaces, for `RESULT ... part=`: `dimm:DIMM_A2`, `disk:GS-DATA-1`.
    #[must_use]
    pub fn token(&self) -> String {
        let text = match self {
            Self::Dimm { slot, .. } => format!("dimm:{slot}"),
            Self::Disk { serial, .. } => format!("disk:{serial}"),
            Self::Image { image, .. } => format!("image:{image}"),
            Self::Machine { said } => format!("machine:{said}"),
            Self::Field { path } => format!("field:{path}"),
        };
        text.chars()
            .map(|c| {
                if c.is_whitespace() || c.is_control() {
                    '_'
                } else {
                    c
                }
            })
            .collect()
    }
}

/// Why something waits, is refused or is held.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What kind of reason it is.
    pub code: ReasonCode,
    /// The part it is about, if it is about one.
    pub part: Option<Part>,
    /// What is wrong or waited for, in one sentence.
    pub what: String,
    /// What was seen, a line each; never guessed.
    pub evidence: Vec<String>,
    /// Since when, in milliseconds since 1970 by the clock of the one who says it; `None` where that is not known.
    pub since: Option<Millis>,
    /// Until when it is waited for, same clock; `None` when nothing happens by itself.
    pub deadline: Option<Millis>,
    /// What Groundstate does next by itself.
    pub next_automatic: String,
    /// The one next step for a person.
    pub next_step: String,
}

impl Reason {
    /// A reason with its sentence and the person's next step; nothing happens by itself.
    #[must_use]
    pub fn new(code: ReasonCode, what: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self {
            code,
            part: None,
            what: what.into(),
            evidence: Vec::new(),
            since: None,
            deadline: None,
            next_automatic: String::from("nothing: it waits for a person"),
            next_step: next_step.into(),
        }
    }
    /// The same reason about `part`.
    #[must_use]
    pub fn about(mut self, part: Part) -> Self {
        self.part = Some(part);
        self
    }
    /// The same reason with one more line of evidence.
    #[must_use]
    pub fn seen(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }
    /// The same reason with what happens next by itself.
    #[must_use]
    pub fn then(mut self, next: impl Into<String>) -> Self {
        self.next_automatic = next.into();
        self
    }
    /// The reason as lines of text, the same on every screen: what, part, evidence, next.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.push(format!("{} [{}]", self.what, self.code));
        if let Some(part) = &self.part {
            lines.push(format!("  part:      {part}"));
        }
        for line in &self.evidence {
            lines.push(format!("  seen:      {line}"));
        }
        lines.push(format!("  by itself: {}", self.next_automatic));
        lines.push(format!("  do now:    {}", self.next_step));
        lines
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_technician_finds_every_code_in_the_guide() {
        assert_eq!(
            ReasonCode::ALL.len(),
            ReasonCode::Adopted as usize + 1,
            "the list is whole"
        );
        let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guides/technician.md");
        let guide = std::fs::read_to_string(guide).unwrap();
        for code in ReasonCode::ALL {
            let row = format!("\n| `{code}` | ");
            assert_eq!(guide.matches(&row).count(), 1, "{code}");
        }
    }

    #[test]
    fn the_code_prints_as_it_is_in_json() {
        for code in ReasonCode::ALL {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
        }
    }
}
