// SPDX-License-Identifier: Apache-2.0
//! How a machine comes to boot from the network where nobody who runs on it can bring it there: its BMC is asked, up to three
//! times in a window, each time by another way. Where it could not be asked for a cause that may pass (it does not answer, its
//! credential is not there), the same is asked again after a pause that grows, while the window is open; a credential that was
//! refused, and whatever else only a person changes, ends it. A node without a BMC asks a person.
//!
//! It is a function of the node's actions, so that a restart of ours forgets nothing and does nothing twice.

use crate::action::{BY_RUN, Doing};
use crate::decide::Wish;
use crate::node::Node;
use crate::reasons::Comes;
use crate::reasons_action as words;
use crate::reasons_power;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::action::{Act, Action, NextBoot, Outcome, PowerTo};
use groundstate_api::boot::Firmware;
use groundstate_api::limits::ENROLMENT_WINDOW_MAX;
use groundstate_api::view::Phase;
use groundstate_api::{Millis, Reason, ReasonCode};

/// How long a host that calls has to restart by itself, with its services to stop and its work to give away.
const HOST_GOES_MAX: Millis = Millis::secs(6 * 60);
/// How long a maintenance OS, or whoever may be there after a restart of ours, has to say so.
const CALLS_AGAIN_MAX: Millis = Millis::secs(60);
/// How long firmware may take from power to its first question on the network: servers with much memory take four minutes.
const FIRMWARE_MAX: Millis = Millis::secs(5 * 60);
/// How many ways are tried in one run.
const TRIES_MAX: u32 = 3;
/// The first pause before the same is asked again: a file was put there, a BMC has closed a session.
const AGAIN_FIRST: Millis = Millis::secs(30);
/// The longest: each is twice the one before, and nine fit into an enrolment window. A BMC that restarts takes about as long.
const AGAIN_LONGEST: Millis = Millis::secs(2 * 60);

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
        if let Outcome::Failed { reason } = outcome {
            if is_final(reason.code) {
                return None;
            }
            if may_pass(reason.code) {
                return self.again(&last.action, *ended, reason.code);
            }
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

    /// What is asked next, and when, where this could not be asked at `ended` for a cause that may pass; nothing once the time
    /// for it is over.
    fn again(
        &self,
        action: &Action,
        ended: Millis,
        code: ReasonCode,
    ) -> Option<(Millis, Act, u32)> {
        let cycle = Act::Power { to: PowerTo::Cycle };
        let (pause, act, attempt) = if action.act == cycle && code == ReasonCode::BmcUnreachable {
            // It may have been restarted, with the answer lost: it has its time to come before anything else is done.
            let next = action.attempt.saturating_add(1).min(TRIES_MAX);
            let to = self.network(next);
            (FIRMWARE_MAX, Act::BootNext { to }, next)
        } else {
            let pause = pause(self.failed_before(action));
            (pause, action.act.clone(), action.attempt)
        };
        let due = ended.plus(pause);
        (due < self.asked_until()).then_some((due, act, attempt))
    }

    /// How often in a row the same could not be asked before this, for a cause that may pass.
    fn failed_before(&self, action: &Action) -> u32 {
        let in_vain = |doing: &&Doing| {
            let same = doing.action.act == action.act && doing.action.attempt == action.attempt;
            same && doing.failed().is_some_and(|reason| may_pass(reason.code))
        };
        let before = self
            .boot_doings()
            .filter(|doing| doing.action.id < action.id);
        u32::try_from(before.take_while(in_vain).count()).unwrap_or(u32::MAX)
    }

    /// Until when a BMC that could not be asked is asked again: while the run waits for its machine, and as long for a rescue,
    /// which has no window.
    fn asked_until(&self) -> Millis {
        let run = self.run.as_ref().filter(|_| self.phase == Phase::Ordered);
        run.map_or(self.since.plus(ENROLMENT_WINDOW_MAX), |run| {
            run.window_closes
        })
    }

    /// How an action ended, with what follows by itself where its BMC could not be asked.
    pub(crate) fn with_next_ask(&self, now: Millis, action: &Action, outcome: Outcome) -> Outcome {
        let Outcome::Failed { reason } = outcome else {
            return outcome;
        };
        let ours = action.by == BY_RUN && action.began >= self.since && self.waits_for_boot();
        let reason = if ours && may_pass(reason.code) {
            let next = self.again(action, now, reason.code);
            words::asked_again(reason, next.map(|(due, ..)| due))
        } else {
            reason
        };
        Outcome::Failed { reason }
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
        let mut lines: Vec<(String, u32)> = Vec::new();
        let mut doings: Vec<&Doing> = self.boot_doings().collect();
        doings.reverse();
        for line in doings.into_iter().map(words::tried_line) {
            match lines.last_mut() {
                Some((same, times)) if *same == line => *times = times.saturating_add(1),
                Some(_) | None => lines.push((line, 1)),
            }
        }
        let told = |(line, times)| match times {
            1 => line,
            times => format!("{line}, {times} times"),
        };
        lines.into_iter().map(told).collect()
    }

    /// What a machine that is to boot waits for, as far as its BMC has come.
    pub(crate) fn boot_waits(&self, reason: Reason) -> Reason {
        if !self.waits_for_boot() {
            return reason;
        }
        let place = reasons_power::stands(&self.site);
        if self.site.bmc.is_none() {
            return words::stands_at(reason, &place);
        }
        let mut reason = reason;
        reason.evidence.extend(self.boot_tries());
        let is_open = self.boot_doings().next().is_some_and(Doing::is_open);
        let last = self.boot_doings().find(|doing| !doing.is_open());
        match last.and_then(Doing::failed) {
            Some(failed) if is_final(failed.code) => words::bmc_gives_up(reason, failed, &place),
            Some(failed) if may_pass(failed.code) => {
                let next = self.boot_act().map(|(due, ..)| due);
                if is_open || next.is_some() {
                    words::bmc_asked_again(reason, failed, next)
                } else {
                    words::bmc_gives_up(reason, failed, &place)
                }
            }
            Some(_) | None => reason,
        }
    }
}

/// The pause after so many failures before the last one.
fn pause(before: u32) -> Millis {
    let factor = 1_u64.checked_shl(before).unwrap_or(u64::MAX);
    Millis(AGAIN_FIRST.0.saturating_mul(factor).min(AGAIN_LONGEST.0))
}

/// Whether the BMC was not asked at all, or did not answer, for a cause that may pass while the run waits.
fn may_pass(code: ReasonCode) -> bool {
    matches!(
        code,
        ReasonCode::BmcUnreachable | ReasonCode::CredentialMissing
    )
}

/// Whether asking the same BMC again is of no use in this run.
fn is_final(code: ReasonCode) -> bool {
    matches!(
        code,
        ReasonCode::BmcRefused | ReasonCode::BmcCertificate | ReasonCode::PowerNeeded
    )
}
