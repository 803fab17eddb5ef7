// SPDX-License-Identifier: Apache-2.0
//! How often one machine may say that its address is in use.

use alloc::collections::BTreeMap;
use groundstate_api::{MacAddr, Millis};

/// How long a declined address is left alone.
pub(super) const DECLINED: Millis = Millis::secs(600);
/// Addresses that one machine may have put aside in that time. Whoever finds more than three in use is at fault itself.
const PER_MACHINE_MAX: u8 = 3;
/// Machines that are remembered; beyond it, further machines' DECLINEs are not believed until others grow old.
const MACHINES_MAX: usize = 1_024;
/// At most one address of so many in a subnet's pools is put aside at a time (and at least one): beyond it, the one that
/// was put aside first comes back, so that no storm of DECLINEs takes a pool away.
pub(super) const SHARE: u32 = 4;

/// Who declined, since when, how often.
#[derive(Clone, Debug, Default)]
pub(super) struct Declines {
    machines: BTreeMap<MacAddr, (Millis, u8)>,
}

impl Declines {
    /// Whether this machine's DECLINE is believed; if so, it is noted.
    pub(super) fn believe(&mut self, now: Millis, mac: MacAddr) -> bool {
        if let Some((since, count)) = self.machines.get_mut(&mac) {
            if now.since(*since) >= DECLINED {
                (*since, *count) = (now, 0);
            }
            *count = count.saturating_add(1);
            return *count <= PER_MACHINE_MAX;
        }
        if self.machines.len() >= MACHINES_MAX {
            self.machines
                .retain(|_, (since, _)| now.since(*since) < DECLINED);
        }
        if self.machines.len() >= MACHINES_MAX {
            return false;
        }
        self.machines.insert(mac, (now, 1));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_believed_three_times_and_a_storm_is_bounded() {
        let mut declines = Declines::default();
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let believed = |declines: &mut Declines, at, times: u8| {
            (0..times)
                .filter(|_| declines.believe(Millis(at), mac))
                .count()
        };
        assert_eq!(believed(&mut declines, 0, 9), 3);
        assert_eq!(believed(&mut declines, 599_999, 9), 0);
        assert_eq!(believed(&mut declines, 600_000, 9), 3);
        let storm = (0..5_000u32).filter(|n| {
            let [a, b, c, d] = n.to_be_bytes();
            declines.believe(Millis(600_001), MacAddr([6, 0, a, b, c, d]))
        });
        assert_eq!(storm.count(), MACHINES_MAX - 1);
    }
}
