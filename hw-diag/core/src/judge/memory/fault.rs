// SPDX-License-Identifier: Apache-2.0
//! One thing that is wrong with memory, told in two forms: a finding that may hold a run, and a line of a report.

use super::{stop, warn};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::health::{Advice, HealthFinding, Place, Sureness, Verdict};
use groundstate_api::inventory::Finding;
use groundstate_api::reason::{Part, Reason, ReasonCode};

/// What a fault is about.
pub(super) enum About {
    /// A slot.
    Slot {
        /// Its place in the list of slots; `None` where SMBIOS does not list it.
        seen: Option<usize>,
        /// What is there, or what should be where nothing is.
        place: Place,
    },
    /// Memory as a whole, with the part that a finding names.
    Whole(Option<Part>),
    /// The machine, which does not list its memory.
    Machine,
    /// A line of the site file.
    Field(String),
}

pub(super) struct Fault {
    pub(super) code: &'static str,
    /// `fail` stops a run, `warn` and `unknown` are told and let it go on, `ok` is told in the report alone.
    pub(super) verdict: Verdict,
    pub(super) sureness: Sureness,
    pub(super) advice: Advice,
    pub(super) reason: ReasonCode,
    pub(super) what: String,
    pub(super) next: String,
    pub(super) evidence: Vec<String>,
    pub(super) about: About,
}

impl Fault {
    pub(super) fn health(self) -> HealthFinding {
        HealthFinding {
            code: self.code.into(),
            verdict: self.verdict,
            what: self.what,
            evidence: self.evidence,
            sureness: self.sureness,
            advice: self.advice,
            next_step: self.next,
        }
    }

    /// `system` is the machine's serial number; `missed` says what could not be looked at, in case the machine itself is
    /// the part.
    pub(super) fn finding(self, system: &str, missed: &[String]) -> Option<Finding> {
        let mut reason = Reason::new(self.reason, self.what, self.next);
        reason.evidence = self.evidence;
        reason.part = match self.about {
            About::Slot { place, .. } => Some(Part::Dimm {
                slot: place.slot,
                serial: Some(place.serial).filter(|serial| !serial.is_empty()),
                size: place.size.map(|size| size.to_string()),
            }),
            About::Whole(part) => part,
            About::Machine => {
                reason.evidence.extend_from_slice(missed);
                Some(Part::Machine {
                    said: system.into(),
                })
            }
            About::Field(path) => Some(Part::Field { path }),
        };
        match self.verdict {
            Verdict::Ok => None,
            Verdict::Unknown | Verdict::Warn => Some(warn(reason)),
            Verdict::Fail => Some(stop(reason)),
        }
    }
}

/// A size of the site file that cannot be read.
pub(super) fn unreadable(path: String, value: &str) -> Fault {
    Fault {
        code: "memory-expectation",
        verdict: Verdict::Fail,
        sureness: Sureness::Certain,
        advice: Advice::Configure,
        reason: ReasonCode::PlanRefused,
        what: format!("the site file's size `{value}` is not a size"),
        next: "write it as 512MiB or 32GiB in the site file and read it again".into(),
        evidence: alloc::vec![format!("it stands at {path}")],
        about: About::Field(path),
    }
}
