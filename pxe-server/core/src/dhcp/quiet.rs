// SPDX-License-Identifier: Apache-2.0
//! Keeps one machine's repeated asking from being told again and again.

use alloc::collections::BTreeMap;
use groundstate_api::{MacAddr, Millis};

/// Firmware asks at 0, 4, 12 and 28 s; that is one sighting, and a power cycle later is another.
const QUIET: Millis = Millis::secs(30);
/// Machines that are remembered; beyond it, sightings of further machines are dropped until others grow old. A flood of
/// random addresses thus costs at most this many sightings in 30 s.
const MACHINES_MAX: usize = 1_024;

/// How often the full list is searched for machines that have grown old, so that a flood does not pay for it each time.
const SWEEP: Millis = Millis::secs(1);

/// Who was told of, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quiet {
    told: BTreeMap<MacAddr, Millis>,
    swept: Millis,
}

impl Quiet {
    /// Whether this machine may be told of now; if so, it is noted.
    pub(crate) fn may_tell(&mut self, now: Millis, mac: MacAddr) -> bool {
        if self
            .told
            .get(&mac)
            .is_some_and(|told| now.since(*told) < QUIET)
        {
            return false;
        }
        if self.told.len() >= MACHINES_MAX && now.since(self.swept) >= SWEEP {
            self.swept = now;
            self.told.retain(|_, told| now.since(*told) < QUIET);
        }
        if self.told.len() >= MACHINES_MAX {
            return false;
        }
        self.told.insert(mac, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_told_of_once_and_a_flood_is_bounded() {
        let mut quiet = Quiet::default();
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        assert!(quiet.may_tell(Millis(0), mac));
        assert!(!quiet.may_tell(Millis(29_999), mac));
        assert!(quiet.may_tell(Millis(30_000), mac));
        let flood = |quiet: &mut Quiet, at| {
            (0..5_000u32)
                .filter(|n| {
                    let [a, b, c, d] = n.to_be_bytes();
                    quiet.may_tell(Millis(at), MacAddr([4, 0, a, b, c, d]))
                })
                .count()
        };
        assert_eq!(flood(&mut quiet, 30_001), MACHINES_MAX - 1);
        assert_eq!(flood(&mut quiet, 30_002), 0);
        assert!(quiet.may_tell(Millis(70_000), mac));
    }
}
