// SPDX-License-Identifier: Apache-2.0
//! Moments and lengths of time for people, and back.

use anyhow::{Context as _, Result, anyhow};
use groundstate_api::Millis;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now, milliseconds since 1970 by this machine's clock.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A length of time, two figures at most: `4 s`, `12 min`, `5 h 03 min`, `12 d 4 h`.
pub(crate) fn span(time: Millis) -> String {
    let secs = time.0 / 1_000;
    match secs {
        0..=119 => format!("{secs} s"),
        120..=7_199 => format!("{} min", secs / 60),
        7_200..=172_799 => format!("{} h {:02} min", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{} d {} h", secs / 86_400, secs % 86_400 / 3_600),
    }
}

/// A moment by the UTC clock, without the day.
pub(crate) fn clock(at: Millis) -> String {
    let secs = at.0 / 1_000 % 86_400;
    format!(
        "{:02}:{:02}:{:02}Z",
        secs / 3_600,
        secs % 3_600 / 60,
        secs % 60
    )
}

/// How far a moment is from now: `in 3 min`, `4 min ago`.
pub(crate) fn from_now(at: Millis, now: Millis) -> String {
    if at > now {
        format!("in {}", span(at.since(now)))
    } else {
        format!("{} ago", span(now.since(at)))
    }
}

/// Reads `90s`, `15min`, `2h`, `3d` (so long before now) or a moment: `2026-11-22T10:00:00Z`, `2026-11-22 10:00:00Z`.
pub(crate) fn moment_of(text: &str, now: Millis) -> Result<Millis> {
    if let Some(back) = length_of(text) {
        return Ok(Millis(now.0.saturating_sub(back.0)));
    }
    let stamp: jiff::Timestamp = text.trim().parse().map_err(|_| {
        anyhow!("{text:?} is no moment; 2026-11-22T10:00:00Z is one, and 90s, 15min, 2h and 3d are so long ago")
    })?;
    let at = u64::try_from(stamp.as_millisecond());
    at.map(Millis)
        .with_context(|| format!("{text:?} is before 1970"))
}

/// The same of a command line, before this moment.
pub(crate) fn moment(text: &str) -> Result<Millis, String> {
    moment_of(text, now()).map_err(|error| error.to_string())
}

/// Reads `90s`, `15min`, `2h`, `3d`.
pub(crate) fn length_of(text: &str) -> Option<Millis> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let secs = number.parse::<u64>().ok()?.checked_mul(unit)?;
    secs.checked_mul(1_000).map(Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_and_read() {
        for (secs, want) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (18_180, "5 h 03 min"),
            (1_051_200, "12 d 4 h"),
        ] {
            assert_eq!(span(Millis::secs(secs)), want);
        }
        assert_eq!(clock(Millis(37_230_000)), "10:20:30Z");
        let now = Millis::secs(1_000_000_000);
        for (text, want) in [
            ("90s", 999_999_910),
            ("2h", 999_992_800),
            ("2001-09-09T01:46:40Z", 1_000_000_000),
            ("2001-09-09 01:46:41Z", 1_000_000_001),
        ] {
            assert_eq!(moment_of(text, now).unwrap(), Millis::secs(want));
        }
        for bad in [
            "",
            "yesterday",
            "5",
            "99999999999999999999h",
            "1969-01-01T00:00:00Z",
        ] {
            assert!(moment_of(bad, now).is_err(), "{bad}");
        }
        assert_eq!(from_now(Millis::secs(5), Millis::secs(1)), "in 4 s");
        assert_eq!(from_now(Millis::secs(1), Millis::secs(5)), "4 s ago");
    }
}
