// SPDX-License-Identifier: Apache-2.0
//! The ladder of the next boot: one rung after the other, until the machine was seen to boot what it should.
//!
//! A BMC's yes only leads to a restart; what the network and the host see of the machine afterwards decides. It sets nothing and
//! restarts nothing itself: it says what is to be done next.

use crate::learned::{Learned, Lesson, MachineKey};
use crate::rung::Rung;
use crate::trouble::Trouble;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::Millis;
use groundstate_api::action::NextBoot;
use serde::{Deserialize, Serialize};

/// How long a restarted machine may take until it is seen: large servers train memory for up to ten minutes.
pub const SIGHTING_WITHIN: Millis = Millis::secs(15 * 60);

/// What was seen of a machine after its restart. A PXE boot that goes on by HTTP (iPXE) is [`Sighting::Pxe`]: the firmware's first
/// question decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sighting {
    /// Its firmware asked for PXE.
    Pxe,
    /// Its firmware asked for HTTP Boot.
    Http,
    /// Its own disk's system reported.
    Disk,
    /// The system of the virtual media reported.
    VirtualMedia,
}

impl Sighting {
    const fn fits(self, to: NextBoot) -> bool {
        matches!(
            (self, to),
            (Self::Pxe | Self::Http, NextBoot::Network)
                | (Self::Http, NextBoot::HttpBoot)
                | (Self::Disk, NextBoot::Disk)
                | (Self::VirtualMedia, NextBoot::VirtualMedia)
        )
    }

    const fn says(self) -> &'static str {
        match self {
            Self::Pxe => "it booted by PXE",
            Self::Http => "it booted by HTTP",
            Self::Disk => "it booted from its disk",
            Self::VirtualMedia => "it booted from virtual media",
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It begins.
    Begin,
    /// A rung was set and read back, or not.
    Set {
        /// The rung.
        rung: Rung,
        /// What was seen.
        result: Result<Vec<String>, Trouble>,
    },
    /// The machine was restarted.
    Restarted,
    /// The machine was seen.
    Sighted(Sighting),
    /// Time passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Set the next boot by this rung, then [`Event::Set`].
    Set(Rung),
    /// It is set and was read back; restart the machine, then [`Event::Restarted`].
    Ready {
        /// The rung.
        rung: Rung,
        /// What was seen.
        facts: Vec<String>,
    },
    /// The rung before said yes and the machine booted otherwise; this one is set: restart again, then [`Event::Restarted`].
    RestartAgain {
        /// The rung.
        rung: Rung,
        /// What was seen.
        facts: Vec<String>,
    },
    /// Take the override back: it would hold for every boot.
    ClearOverride,
    /// Note this for the model and firmware.
    Learn {
        /// The rung.
        rung: Rung,
        /// What became of it.
        lesson: Lesson,
    },
    /// The machine booted what it should; the ladder has ended.
    Proven {
        /// The rung.
        rung: Rung,
    },
    /// No rung is left; the ladder has ended.
    GiveUp(Trouble),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
enum Phase {
    Idle,
    Setting { at: usize },
    Ready { at: usize },
    Watching { at: usize, until: Millis },
    Ended,
}

/// One wish and how far it got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    to: NextBoot,
    rungs: Vec<Rung>,
    phase: Phase,
    restarted: bool,
    /// Redfish, or the BMC as a whole, cannot be spoken to: its other rungs are not tried.
    redfish_barred: bool,
    bmc_barred: bool,
    tried: Vec<String>,
    last: Option<Trouble>,
}

impl Ladder {
    /// A ladder to `to`, of the rungs that there are for this node; the table says their order for its model and firmware.
    #[must_use]
    pub fn new(
        to: NextBoot,
        can: &[Rung],
        learned: &Learned,
        machine: Option<&MachineKey>,
    ) -> Self {
        Self {
            to,
            rungs: learned.order(machine, to, can),
            phase: Phase::Idle,
            restarted: false,
            redfish_barred: false,
            bmc_barred: false,
            tried: Vec::new(),
            last: None,
        }
    }

    /// What is wanted.
    #[must_use]
    pub const fn to(&self) -> NextBoot {
        self.to
    }

    /// Its rungs, in the order in which they are tried.
    #[must_use]
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs
    }

    /// What was tried and what became of it, a line each.
    #[must_use]
    pub fn tried(&self) -> &[String] {
        &self.tried
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// When to come back with [`Event::Tick`].
    #[must_use]
    pub const fn deadline(&self) -> Option<Millis> {
        match self.phase {
            Phase::Watching { until, .. } => Some(until),
            Phase::Idle | Phase::Setting { .. } | Phase::Ready { .. } | Phase::Ended => None,
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Millis, event: Event, out: &mut Vec<Action>) {
        match (self.phase, event) {
            (Phase::Idle, Event::Begin) => self.climb(0, out),
            (Phase::Setting { at }, Event::Set { rung, result }) if self.rung(at) == Some(rung) => {
                self.set(at, rung, result, out)
            }
            (Phase::Ready { at } | Phase::Watching { at, .. }, Event::Restarted) => {
                self.restarted = true;
                self.phase = Phase::Watching {
                    at,
                    until: now.plus(SIGHTING_WITHIN),
                };
            }
            (Phase::Ready { at } | Phase::Watching { at, .. }, Event::Sighted(sighting))
                if sighting.fits(self.to) =>
            {
                self.proven(at, out)
            }
            (Phase::Watching { at, .. }, Event::Sighted(sighting)) => {
                self.lied(at, sighting.says(), out)
            }
            (Phase::Watching { at, until }, Event::Tick) if now >= until => {
                self.lied(at, "nothing was seen of it", out)
            }
            // A machine that still runs may be seen before its restart; late answers belong to no question that is open.
            (
                Phase::Idle,
                Event::Set { .. } | Event::Restarted | Event::Sighted(_) | Event::Tick,
            )
            | (Phase::Setting { .. }, _)
            | (
                Phase::Ready { .. },
                Event::Begin | Event::Set { .. } | Event::Sighted(_) | Event::Tick,
            )
            | (Phase::Watching { .. }, Event::Begin | Event::Set { .. } | Event::Tick)
            | (Phase::Ended, _) => {}
        }
    }

    fn rung(&self, at: usize) -> Option<Rung> {
        self.rungs.get(at).copied()
    }

    fn climb(&mut self, from: usize, out: &mut Vec<Action>) {
        for at in from..self.rungs.len() {
            let Some(rung) = self.rung(at) else { break };
            let barred =
                (rung.by_redfish() && self.redfish_barred) || (rung.by_bmc() && self.bmc_barred);
            if !barred {
                self.phase = Phase::Setting { at };
                out.push(Action::Set(rung));
                return;
            }
        }
        self.phase = Phase::Ended;
        out.push(Action::GiveUp(self.verdict()));
    }

    fn set(
        &mut self,
        at: usize,
        rung: Rung,
        result: Result<Vec<String>, Trouble>,
        out: &mut Vec<Action>,
    ) {
        match result {
            Ok(facts) => {
                self.phase = Phase::Ready { at };
                out.push(if self.restarted {
                    Action::RestartAgain { rung, facts }
                } else {
                    Action::Ready { rung, facts }
                });
            }
            Err(trouble) => {
                if matches!(trouble, Trouble::Ignored { .. }) {
                    let lesson = Lesson::ReadBackDiffers;
                    out.push(Action::Learn { rung, lesson });
                    // What it kept of a lasting override would hold for every boot.
                    if rung == Rung::RedfishPersistent {
                        out.push(Action::ClearOverride);
                    }
                }
                self.bar(rung, &trouble);
                self.tried.push(format!("{rung}: {trouble}"));
                self.last = Some(trouble);
                self.climb(at + 1, out);
            }
        }
    }

    fn bar(&mut self, rung: Rung, trouble: &Trouble) {
        if rung.by_redfish() && trouble.bars_the_way() {
            self.redfish_barred = true;
        }
        // The same credential on another way would be the second wrong password.
        if rung.by_bmc() && matches!(trouble, Trouble::CredentialRefused { .. }) {
            self.bmc_barred = true;
        }
    }

    fn proven(&mut self, at: usize, out: &mut Vec<Action>) {
        self.phase = Phase::Ended;
        let Some(rung) = self.rung(at) else { return };
        let lesson = Lesson::Booted;
        out.push(Action::Learn { rung, lesson });
        if rung == Rung::RedfishPersistent {
            out.push(Action::ClearOverride);
        }
        out.push(Action::Proven { rung });
    }

    fn lied(&mut self, at: usize, seen: &str, out: &mut Vec<Action>) {
        let Some(rung) = self.rung(at) else { return };
        let lesson = Lesson::BootedOtherwise;
        out.push(Action::Learn { rung, lesson });
        if rung == Rung::RedfishPersistent {
            out.push(Action::ClearOverride);
        }
        self.tried
            .push(format!("{rung}: it was set and read back, and {seen}"));
        self.last = Some(Trouble::Ignored {
            asked: format!("the next boot by {rung}"),
            seen: seen.into(),
        });
        self.climb(at + 1, out);
    }

    fn verdict(&self) -> Trouble {
        match (&self.last, self.tried.len()) {
            (None, _) => Trouble::NotOffered {
                wanted: String::from("a way to choose what it boots next"),
                offers: Vec::new(),
            },
            (Some(only), 0 | 1) => only.clone(),
            (Some(_), _) => Trouble::Ignored {
                asked: String::from("every way to choose what it boots next"),
                seen: self.tried.join("; "),
            },
        }
    }
}

#[cfg(test)]
#[path = "ladder_tests.rs"]
mod tests;
