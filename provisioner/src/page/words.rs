// SPDX-License-Identifier: Apache-2.0
//! Moments, lengths of time and phases as the page writes them.

use crate::clock;
use groundstate_api::Millis;
use groundstate_api::view::Phase;

/// A moment: for programs, for people, and how long ago it was.
pub(super) struct When {
    pub(super) machine: String,
    pub(super) people: String,
    pub(super) ago: String,
}

impl When {
    pub(super) fn of(at: Millis, now: Millis) -> Self {
        let people = clock::words(at);
        Self {
            // `2026-11-22T02:04:43Z`
            machine: people.replacen(' ', "T", 1).replace(" UTC", "Z"),
            ago: lasting(now.since(at)),
            people,
        }
    }
}

/// A length of time as coarse as a person wants it: `42 s`, `12 min`, `3 h 10 min`, `5 d 3 h`.
pub(super) fn lasting(time: Millis) -> String {
    let secs = time.0 / 1_000;
    match secs {
        0..=59 => format!("{secs} s"),
        60..=3_599 => format!("{} min", secs / 60),
        3_600..=172_799 => format!("{} h {:02} min", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{} d {} h", secs / 86_400, secs % 86_400 / 3_600),
    }
}

/// A phase: its word, and its class in the style.
#[derive(Clone)]
pub(super) struct PhaseWord {
    pub(super) says: String,
    pub(super) class: &'static str,
}

impl From<Phase> for PhaseWord {
    fn from(phase: Phase) -> Self {
        Self {
            says: phase.as_str().replace('-', " "),
            class: phase.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_coarse_as_people_want_them() {
        for (millis, words) in [
            (999, "0 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (3_600_000, "1 h 00 min"),
            (172_800_000, "2 d 0 h"),
        ] {
            assert_eq!(lasting(Millis(millis)), words);
        }
        let when = When::of(Millis(1_795_000_000_000), Millis(1_795_000_060_000));
        assert_eq!(when.machine, "2026-11-18T11:06:40Z");
        assert_eq!(when.ago, "1 min");
    }
}
