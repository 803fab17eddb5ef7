// SPDX-License-Identifier: Apache-2.0
//! How a machine comes to boot from the network where nobody who runs on it can bring it there: its BMC is asked, up to three
//! times in a window, each time by another way. A node without a BMC asks a person.
//!
//! It is a function of the node's actions, so that a restart of ours forgets nothing and does nothing twice.

use crate::action::{BY_RUN, Doing};
use crate::decide::Wish;
use crate::node::Node;
use crate::reasons::Comes;
use crate::reasons_action as words;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::action::{Act, NextBoot, Outcome, PowerTo};
use groundstate_api::boot::Firmware;
use groundstate_api::view::Phase;
use groundstate_api::{Millis, Reason, ReasonCode};

/// How long a host that calls has to restart by itself, with its services to stop and its work to give away.
const HOST_GOES_MAX: Millis = Millis::secs(6 * 60);
/// How long a maintenance OS, or whoever may be there after a restart of ours, has to say so.
const CALLS_AGAIN_MAX: Millis = Millis::secs(60);
/// How long firmware may take from power to its first question on the network: servers with much memory take four minutes.
const FIRMWARE_MAX: Millis = Millis::secs(5 * 60);
/// How often the BMC is asked in one run.
const TRIES_MAX: u32 = 3;

impl Node {
    /// When its BMC is asked to do the next thing, and what that is.
    fn boot_act(&self) -> Option<(Millis, Act, u32)> {
        if self.site.bmc.is_none() || !self.waits_for_boot() {
            return None;
        }
        let mut tried = self.boot_doings();
        let Some(last) = tried.next() else {
            let first = Act::BootNext {
                to: self.network(1),
            };
            return Some((self.counts_from().plus(self.grace()), first, 1));
        };
        let (ended, outcome) = last.ended.as_ref()?;
        let attempt = last.action.attempt;
        if let Outcome::Failed { reason } = outcome
            && is_final(reason.code)
        {
            return None;
        }
        match last.action.act {
            Act::BootNext { .. } => {
                let to = if attempt == 2 {
                    PowerTo::ForceOff
                } else {
                    PowerTo::Cycle
                };
                Some((*ended, Act::Power { to }, attempt))
            }
            Act::Power {
                to: PowerTo::ForceOff,
            } => Some((*ended, Act::Power { to: PowerTo::On }, attempt)),
            Act::Power { .. } if attempt < TRIES_MAX => {
                let next = attempt.saturating_add(1);
                let act = Act::BootNext {
                    to: self.network(next),
                };
                Some((ended.plus(FIRMWARE_MAX), act, next))
            }
            Act::Power { .. }
            | Act::Identify { .. }
            | Act::HostBootNext { .. }
            | Act::RestartServices
            | Act::CollectDiagnostics
            | Act::RebootHost
            | Act::Drain
            | Act::Heal { .. } => None,
        }
    }

    /// Whether it is to boot our maintenance OS, and was not yet seen to.
    pub(crate) fn waits_for_boot(&self) -> bool {
        let seen = self.live.asked.is_some_and(|asked| asked >= self.since);
        self.phase == Phase::Ordered || self.phase == Phase::Rescue && !seen
    }

    /// What was done to bring it here, newest first.
    fn boot_doings(&self) -> impl Iterator<Item = &Doing> {
        let ours = |doing: &&Doing| doing.action.by == BY_RUN && doing.action.began >= self.since;
        self.actions.iter().rev().filter(ours)
    }

    /// How long to wait before the BMC is asked at all.
    fn grace(&self) -> Millis {
        match self.who_comes(self.since) {
            Comes::TheHost => HOST_GOES_MAX,
            Comes::TheMaintenanceOs => CALLS_AGAIN_MAX,
            // We have started since, and do not know yet who is there.
            Comes::TheBmc | Comes::APerson if self.live.began > self.since => {
                if self.host.is_some() {
                    HOST_GOES_MAX
                } else {
                    CALLS_AGAIN_MAX
                }
            }
            Comes::TheBmc | Comes::APerson => Millis(0),
        }
    }

    /// How it boots from the network: as it did last; PXE at the third try, which every firmware can.
    fn network(&self, attempt: u32) -> NextBoot {
        let http = self.firmware == Some(Firmware::UefiHttp);
        if http && attempt < TRIES_MAX {
            NextBoot::HttpBoot
        } else {
            NextBoot::Network
        }
    }

    /// When the BMC is to be asked.
    pub(crate) fn boot_deadline(&self) -> Option<Millis> {
        let busy = self
            .open_actions()
            .any(|doing| matches!(doing.action.act, Act::Power { .. } | Act::BootNext { .. }));
        self.boot_act().filter(|_| !busy).map(|(due, ..)| due)
    }

    /// Asks the BMC for what is due. Whether anything was.
    pub(crate) fn next_boot_act(&self, now: Millis, out: &mut Vec<Wish>) -> bool {
        let due = self.boot_deadline().is_some_and(|due| due <= now);
        let Some((_, act, attempt)) = self.boot_act().filter(|_| due) else {
            return false;
        };
        let _begun = self.begin(now, act, (BY_RUN, attempt), None, out);
        true
    }

    /// What its BMC was asked in this run, a line each.
    pub(crate) fn boot_tries(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.boot_doings().map(words::tried_line).collect();
        lines.reverse();
        lines
    }

    /// What a machine that is to boot waits for, as far as its BMC has come.
    pub(crate) fn boot_waits(&self, reason: Reason) -> Reason {
        if self.site.bmc.is_none() || !self.waits_for_boot() {
            return reason;
        }
        let failed = self
            .boot_doings()
            .next()
            .and_then(|doing| match &doing.ended {
                Some((_, Outcome::Failed { reason })) if is_final(reason.code) => Some(reason),
                Some(_) | None => None,
            });
        words::boot_waits(reason, failed, self.boot_tries())
    }
}

/// Whether asking the same BMC again is of no use in this run.
fn is_final(code: ReasonCode) -> bool {
    matches!(
        code,
        ReasonCode::BmcRefused
            | ReasonCode::BmcCertificate
            | ReasonCode::CredentialMissing
            | ReasonCode::PowerNeeded
    )
}
