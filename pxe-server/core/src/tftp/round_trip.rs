// SPDX-License-Identifier: Apache-2.0
//! How long a client takes to answer, and how long to wait for it before the same is sent again (RFC 6298).

use groundstate_api::Millis;

/// The wait while nothing was measured.
const WAIT_FIRST: Millis = Millis::secs(1);
/// The shortest wait. Firmware that writes what it gets takes 20 ms for an answer at times; TCP waits as long.
const WAIT_MIN: Millis = Millis(200);
/// The longest wait.
pub(super) const WAIT_MAX: Millis = Millis::secs(8);

/// The shortest time within which the answer to a window must come where its predecessor's came twice.
const COPY_MIN: Millis = Millis(3);

/// What was measured of one client.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTrip {
    /// The smoothed time in eighths of a millisecond, and its variation in quarters, as RFC 6298 keeps them.
    smoothed: Option<(u64, u64)>,
}

impl RoundTrip {
    /// An answer to something that was sent once only.
    pub(super) fn measured(&mut self, took: Millis) {
        let took = took.min(WAIT_MAX).0;
        self.smoothed = Some(match self.smoothed {
            None => (took * 8, took * 2),
            Some((time, variation)) => {
                let off = took.abs_diff(time / 8);
                (time - time / 8 + took, variation - variation / 4 + off)
            }
        });
    }

    /// How long to wait for the answer on its way before a repeated one is believed.
    pub(super) fn copy(&self) -> Millis {
        let time = self.smoothed.map_or(WAIT_FIRST.0, |(time, _)| time / 4);
        Millis(time).max(COPY_MIN)
    }

    /// How long to wait after `tries` waits that were in vain.
    pub(super) fn wait(&self, tries: u32) -> Millis {
        let once = self.smoothed.map_or(WAIT_FIRST, |(time, variation)| {
            Millis(time / 8 + variation).max(WAIT_MIN)
        });
        Millis(once.0 << tries.min(8)).min(WAIT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_follows_what_is_measured_between_its_bounds() {
        let mut trip = RoundTrip::default();
        assert_eq!(trip.wait(0), WAIT_FIRST);
        assert_eq!(trip.wait(2), Millis::secs(4));
        for _ in 0..20 {
            trip.measured(Millis(0));
        }
        assert_eq!(trip.wait(0), WAIT_MIN);
        assert_eq!(trip.wait(1), Millis(400));
        assert_eq!(trip.copy(), COPY_MIN);
        assert_eq!(trip.wait(40), WAIT_MAX);
        for _ in 0..100 {
            trip.measured(Millis(600));
        }
        let wait = trip.wait(0).0;
        assert!((600..900).contains(&wait), "{wait}");
        assert!(
            (1_190..=1_200).contains(&trip.copy().0),
            "{:?}",
            trip.copy()
        );
        trip.measured(Millis(u64::MAX));
        assert!(trip.wait(0) <= WAIT_MAX);
    }
}
