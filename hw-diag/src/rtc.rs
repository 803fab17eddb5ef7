// SPDX-License-Identifier: Apache-2.0
//! The real-time clock beside the system's clock.

use crate::sysfs::Tree;
use hw_core::machine::ClockFacts;
use std::time::{SystemTime, UNIX_EPOCH};

const ROOT: &str = "sys/class/rtc/rtc0";

/// The clock, read now. `reference` is a time that somebody else vouches for in this moment, in seconds since 1970.
pub(crate) fn clock(
    tree: &Tree,
    reference: Option<i64>,
    missed: &mut Vec<String>,
) -> Option<ClockFacts> {
    if !tree.exists(ROOT) {
        missed.push(format!("real-time clock: the kernel shows none at /{ROOT}"));
        return None;
    }
    let rtc = tree.number(&format!("{ROOT}/since_epoch"));
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Some(ClockFacts {
        name: tree.text(&format!("{ROOT}/name")).unwrap_or_default(),
        rtc,
        system: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        reference,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn the_clock_is_read_or_named() {
        let fixture = Fixture::new();
        let mut missed = Vec::new();
        assert_eq!(clock(&fixture.tree(), None, &mut missed), None);
        assert_eq!(missed.len(), 1);
        fixture.file(&format!("{ROOT}/name"), "rtc_cmos rtc_cmos\n");
        fixture.file(&format!("{ROOT}/since_epoch"), "1800000000\n");
        let seen = clock(&fixture.tree(), Some(7), &mut missed).unwrap();
        assert_eq!((seen.rtc, seen.reference), (Some(1_800_000_000), Some(7)));
        assert!(seen.system > 1_577_836_800);
    }
}
