// SPDX-License-Identifier: Apache-2.0
//! The real-time clock beside a time that somebody vouches for.
//!
//! A few seconds come from reading whole seconds, a minute from a month on the shelf; both are told, not blamed. A clock
//! that starts before 2020 has lost its battery whatever the reference says.

use super::finding::kind;
use super::limits::{CLOCK_DRIFT_SECONDS, CLOCK_LOST_BEFORE, CLOCK_SKEW_SECONDS};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::health::{Advice, DeviceKind, DeviceReport, HealthFinding, Sureness, Verdict};
use serde::{Deserialize, Serialize};

/// Seconds of a quarter of an hour: time zones are multiples of it.
const QUARTER: u64 = 900;
/// The farthest time zone from UTC, in seconds: UTC+14.
const ZONE_MAX: u64 = 14 * 3_600;

/// What was read of the real-time clock. All in seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClockFacts {
    /// The driver's name.
    pub name: String,
    /// The real-time clock.
    pub rtc: Option<i64>,
    /// The system's clock in the same moment.
    pub system: i64,
    /// A time that somebody else vouches for, in the same moment; `None` where nobody does.
    pub reference: Option<i64>,
}

impl ClockFacts {
    /// The time to believe: the reference, else the system's clock.
    #[must_use]
    pub fn best(&self) -> i64 {
        self.reference.unwrap_or(self.system)
    }
}

pub(super) fn judge(facts: &ClockFacts) -> DeviceReport {
    let mut findings: Vec<HealthFinding> = Vec::new();
    match facts.rtc {
        None => {
            let kind = kind(
                "clock-unreadable",
                Verdict::Unknown,
                Sureness::Certain,
                Advice::Look,
            );
            let what = "the real-time clock cannot be read";
            findings.push(kind.says(what, [], "look at the kernel's lines on `rtc`"));
        }
        Some(rtc) if rtc < CLOCK_LOST_BEFORE => {
            let kind = kind(
                "clock-battery",
                Verdict::Warn,
                Sureness::Likely,
                Advice::Replace,
            );
            findings.push(kind.says(
                "the real-time clock has lost the time",
                [format!("it says {rtc} seconds since 1970, which is before 2020")],
                "replace the battery on the board (often a CR2032), then set the time in the firmware's setup",
            ));
        }
        Some(rtc) => findings.extend(facts.reference.and_then(|reference| skew(rtc, reference))),
    }
    let mut report = DeviceReport::new("rtc0", DeviceKind::Clock, "kernel", findings);
    report.place.model.clone_from(&facts.name);
    if let (Some(rtc), Some(reference)) = (facts.rtc, facts.reference) {
        let skew = rtc.saturating_sub(reference);
        report.figures.extend([("skew_seconds".to_string(), skew)]);
    }
    report
}

fn skew(rtc: i64, reference: i64) -> Option<HealthFinding> {
    let skew = rtc.abs_diff(reference);
    let side = if rtc < reference { "behind" } else { "ahead" };
    let seen = [format!(
        "clock {rtc}, reference {reference}, in seconds since 1970"
    )];
    if skew <= CLOCK_SKEW_SECONDS {
        return None;
    }
    let what = format!("the real-time clock is {skew} s {side}");
    if skew <= CLOCK_DRIFT_SECONDS {
        let kind = kind(
            "clock-drift",
            Verdict::Ok,
            Sureness::Certain,
            Advice::Configure,
        );
        let next = "nothing: the host's time service sets it right";
        return Some(kind.says(what, seen, next));
    }
    // A clock in local time is off by a whole number of quarters, give or take its drift.
    let off = skew % QUARTER;
    let zone = skew <= ZONE_MAX && off.min(QUARTER - off) <= CLOCK_DRIFT_SECONDS;
    let (sureness, next) = if zone {
        (
            Sureness::Likely,
            "the clock seems to keep a local time: set it to UTC in the firmware's setup",
        )
    } else {
        (
            Sureness::Certain,
            "set the time in the firmware's setup, and look again in a day: if it lost time while the power was off, replace the board's battery",
        )
    };
    let kind = kind("clock-skew", Verdict::Warn, sureness, Advice::Configure);
    Some(kind.says(what, seen, next))
}
