// SPDX-License-Identifier: Apache-2.0
//! What is told of what was seen, and how much of it.
//!
//! Answers are never held back here; only tales of them are. A flood of made-up machines thus costs a bounded number of
//! sightings and steps a second, and cannot push out those of firmware that boots, which have bounds of their own.

use super::action::Action;
use super::client::Client;
use super::quiet::Quiet;
use alloc::vec::Vec;
use groundstate_api::boot::BootSighting;
use groundstate_api::boot_session::BootStep;
use groundstate_api::{MacAddr, Millis};

/// Tales of firmware and iPXE in a second: a thousand machines that start within ten seconds tell about 1,500.
const FIRMWARE_PER_SECOND: u32 = 4_096;
/// Tales of ordinary DHCP clients in a second.
const PLAIN_PER_SECOND: u32 = 512;

/// How many may be told in one second.
#[derive(Clone, Copy, Debug, Default)]
struct Budget {
    second: u64,
    spent: u32,
}

impl Budget {
    fn take(&mut self, now: Millis, most: u32) -> bool {
        let second = now.0 / 1_000;
        if self.second != second {
            *self = Self { second, spent: 0 };
        }
        self.spent = self.spent.saturating_add(1);
        self.spent <= most
    }
}

/// What is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Tell {
    quiet: Quiet,
    firmware: Budget,
    plain: Budget,
}

impl Tell {
    /// Tells a step. It is made only if there is room for it.
    pub(super) fn step(
        &mut self,
        now: Millis,
        mac: MacAddr,
        client: Client,
        out: &mut Vec<Action>,
        step: impl FnOnce() -> BootStep,
    ) {
        if self.may_tell(now, client) {
            out.push(Action::Step { mac, step: step() });
        }
    }

    /// Tells a sighting that is one each time.
    pub(super) fn each(
        &mut self,
        now: Millis,
        mac: MacAddr,
        client: Client,
        out: &mut Vec<Action>,
        sighting: impl FnOnce() -> BootSighting,
    ) {
        if self.may_tell(now, client) {
            let sighting = sighting();
            out.push(Action::Saw { mac, sighting });
        }
    }

    /// Whether a sighting that a machine's repeated asking does not make another one may be told of now.
    pub(super) fn may_tell_once(&mut self, now: Millis, mac: MacAddr) -> bool {
        self.quiet.may_tell(now, mac)
    }

    fn may_tell(&mut self, now: Millis, client: Client) -> bool {
        match client {
            Client::Plain => self.plain.take(now, PLAIN_PER_SECOND),
            Client::Pxe { .. } | Client::Http { .. } | Client::Ipxe { .. } => {
                self.firmware.take(now, FIRMWARE_PER_SECOND)
            }
        }
    }
}
