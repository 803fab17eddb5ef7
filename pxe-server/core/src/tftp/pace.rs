// SPDX-License-Identifier: Apache-2.0
//! How much of a window goes out at once.
//!
//! RFC 7440 fixes the window when the transfer begins: a client that was promised 64 blocks acknowledges the 64th, so a
//! smaller window would make it wait. What can be made smaller is the burst. A client behind a slow port loses the end of
//! a burst that is too long for the port's buffer, and gets the same window in pieces instead.

use groundstate_api::Millis;

/// Between two bursts of one window.
pub(super) const GAP: Millis = Millis(1);
/// The smallest burst, in blocks: 47 Mbit/s at 1,468 bytes and one burst a millisecond, which a 100 Mbit/s port takes.
const BURST_MIN: u16 = 4;
/// Windows without a loss until a burst is doubled.
const CLEAN_MAX: u8 = 8;

/// One client's bursts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    window: u16,
    burst: u16,
    clean: u8,
}

impl Pace {
    pub(super) const fn new(window: u16) -> Self {
        Self {
            window,
            burst: window,
            clean: 0,
        }
    }

    /// Blocks that go out at once.
    pub(super) fn burst(&self) -> u64 {
        self.burst.into()
    }

    /// Something of a window was lost.
    pub(super) fn lost(&mut self) {
        self.burst = (self.burst / 2).max(BURST_MIN).min(self.window);
        self.clean = 0;
    }

    /// A window arrived whole at the first try.
    pub(super) fn arrived(&mut self) {
        self.clean += 1;
        if self.clean >= CLEAN_MAX {
            self.clean = 0;
            self.burst = self.burst.saturating_mul(2).min(self.window);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_halves_a_burst_and_eight_clean_windows_double_it() {
        let mut pace = Pace::new(64);
        let bursts: std::vec::Vec<u64> = (0..6)
            .map(|_| {
                pace.lost();
                pace.burst()
            })
            .collect();
        assert_eq!(bursts, [32, 16, 8, 4, 4, 4]);
        for _ in 0..7 {
            pace.arrived();
        }
        assert_eq!(pace.burst(), 4);
        pace.arrived();
        assert_eq!(pace.burst(), 8);
        for _ in 0..800 {
            pace.arrived();
        }
        assert_eq!(pace.burst(), 64);
        let mut lock_step = Pace::new(1);
        lock_step.lost();
        assert_eq!(lock_step.burst(), 1);
    }
}
