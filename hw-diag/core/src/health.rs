// SPDX-License-Identifier: Apache-2.0
//! A verdict grows only worse: each thing seen adds a line of evidence, and the gravest one rules.

use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::inventory::{Health, Verdict};

/// The health of a disk that could not be asked or does not say, with the reason.
#[must_use]
pub fn unknown(source: &str, why: impl Into<String>) -> Health {
    Health {
        verdict: Verdict::Unknown,
        source: source.into(),
        evidence: alloc::vec![why.into()],
        temperature_c: None,
        power_on_hours: None,
        findings: Vec::new(),
        figures: alloc::collections::BTreeMap::new(),
    }
}

/// Collects what was seen of one disk.
pub(crate) struct Assessment(Health);

impl Assessment {
    /// Nothing wrong so far.
    pub(crate) fn new(source: &str) -> Self {
        Self(Health {
            verdict: Verdict::Ok,
            source: source.into(),
            evidence: Vec::new(),
            temperature_c: None,
            power_on_hours: None,
            findings: Vec::new(),
            figures: alloc::collections::BTreeMap::new(),
        })
    }
    /// Worth telling, not worth worrying.
    pub(crate) fn note(&mut self, line: impl Into<String>) {
        self.0.evidence.push(line.into());
    }
    /// The disk does not say something that a verdict needs.
    pub(crate) fn unknown(&mut self, line: impl Into<String>) {
        self.worsen(Verdict::Unknown, line);
    }
    /// Something to watch.
    pub(crate) fn warn(&mut self, line: impl Into<String>) {
        self.worsen(Verdict::Warn, line);
    }
    /// Pull the disk.
    pub(crate) fn fail(&mut self, line: impl Into<String>) {
        self.worsen(Verdict::Fail, line);
    }
    pub(crate) fn temperature(&mut self, celsius: Option<i16>) {
        self.0.temperature_c = celsius;
    }
    pub(crate) fn hours(&mut self, hours: Option<u64>) {
        self.0.power_on_hours = hours;
    }
    fn worsen(&mut self, verdict: Verdict, line: impl Into<String>) {
        // The worst evidence stands first: a screen may have room for one line only.
        if verdict > self.0.verdict {
            self.0.evidence.insert(0, line.into());
            self.0.verdict = verdict;
        } else {
            self.0.evidence.push(line.into());
        }
    }
    pub(crate) fn done(self) -> Health {
        self.0
    }
}
