// SPDX-License-Identifier: Apache-2.0
//! A finding in the making: every field is asked for, so that none says less than a technician needs.

use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::health::{Advice, HealthFinding, Sureness, Verdict};

/// The most lines of evidence on one finding: a screen has room for fewer.
pub(crate) const EVIDENCE_MAX: usize = 16;

/// A finding's frame: what kind it is and how grave, before its words.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    code: &'static str,
    verdict: Verdict,
    sureness: Sureness,
    advice: Advice,
}

pub(crate) const fn kind(
    code: &'static str,
    verdict: Verdict,
    sureness: Sureness,
    advice: Advice,
) -> Kind {
    Kind {
        code,
        verdict,
        sureness,
        advice,
    }
}

impl Kind {
    pub(crate) fn says(
        self,
        what: impl Into<String>,
        evidence: impl IntoIterator<Item = String>,
        next_step: impl Into<String>,
    ) -> HealthFinding {
        let evidence: Vec<String> = evidence.into_iter().take(EVIDENCE_MAX).collect();
        HealthFinding {
            code: self.code.into(),
            verdict: self.verdict,
            what: what.into(),
            evidence,
            sureness: self.sureness,
            advice: self.advice,
            next_step: next_step.into(),
        }
    }
}

/// A counter as a figure: one beyond what a figure holds stands at its end.
pub(crate) fn figure(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}
