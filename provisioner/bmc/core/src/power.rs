// SPDX-License-Identifier: Apache-2.0
//! Power with verification: what is ordered from what is allowed, and looking until it is so.
//!
//! A BMC's yes is worth nothing here: an action ends when the state is seen, or with what is seen instead.

use crate::trouble::Trouble;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::Millis;
use groundstate_api::action::PowerTo;

/// Between two looks at first; BMCs answer slowly and some lag by seconds.
pub const LOOK_MIN: Millis = Millis(500);
/// Between two looks at most.
pub const LOOK_MAX: Millis = Millis::secs(5);
/// How long a restart that shows no change of power is watched for a sign before it is believed as far as that goes.
pub const SIGN_WITHIN: Millis = Millis::secs(20);
/// How long an operating system may take to stop in order, before power is cut; half of the whole time where that is shorter.
pub const GRACE_MAX: Millis = Millis::secs(180);

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PowerState {
    /// It runs.
    On,
    /// It does not run.
    Off,
    /// On its way on.
    PoweringOn,
    /// On its way off.
    PoweringOff,
    /// The BMC does not say.
    Unknown,
}

impl PowerState {
    /// Reads `PowerState`.
    #[must_use]
    pub fn of_redfish(word: &str) -> Self {
        match word {
            "On" | "Paused" => Self::On,
            "Off" => Self::Off,
            "PoweringOn" => Self::PoweringOn,
            "PoweringOff" => Self::PoweringOff,
            _ => Self::Unknown,
        }
    }

    /// As reports say it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::PoweringOn => "powering-on",
            Self::PoweringOff => "powering-off",
            Self::Unknown => "unknown",
        }
    }
}

/// A way to reset a machine (`ResetType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reset {
    /// On.
    On,
    /// On, whatever is so.
    ForceOn,
    /// Off at once.
    ForceOff,
    /// The operating system is asked to stop.
    GracefulShutdown,
    /// The operating system is asked to restart.
    GracefulRestart,
    /// Restarted at once.
    ForceRestart,
    /// Off and on.
    PowerCycle,
    /// As if somebody pushed the button.
    PushPowerButton,
}

impl Reset {
    /// Every one that is used.
    pub const ALL: [Self; 8] = [
        Self::On,
        Self::ForceOn,
        Self::ForceOff,
        Self::GracefulShutdown,
        Self::GracefulRestart,
        Self::ForceRestart,
        Self::PowerCycle,
        Self::PushPowerButton,
    ];

    /// As Redfish writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "On",
            Self::ForceOn => "ForceOn",
            Self::ForceOff => "ForceOff",
            Self::GracefulShutdown => "GracefulShutdown",
            Self::GracefulRestart => "GracefulRestart",
            Self::ForceRestart => "ForceRestart",
            Self::PowerCycle => "PowerCycle",
            Self::PushPowerButton => "PushPowerButton",
        }
    }

    /// Reads a `ResetType`; `None` for one that is never used (`Nmi`, `Suspend`, a vendor's own).
    #[must_use]
    pub fn of_redfish(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reset| reset.as_str() == word)
    }
}

/// What was seen of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its power.
    pub power: PowerState,
    /// What moves when it restarts, where the BMC shows such a thing.
    pub mark: Option<String>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was looked at.
    Looked(Result<Look, Trouble>),
    /// The order was answered.
    Ordered(Result<(), Trouble>),
    /// Time passed.
    Tick,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look at the machine.
    Look,
    /// Order this.
    Order(Reset),
    /// It is so, with what was seen.
    Done(Vec<String>),
    /// It is not so.
    Failed(Trouble),
}

/// What one step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    On,
    Off,
    /// Off within the grace, else the next step cuts power.
    OffInGrace,
    /// A sign of a restart.
    Restart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// `None`: only wait.
    order: Option<Reset>,
    want: Want,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// The first look is under way.
    First,
    /// An order is under way.
    Ordering(Step),
    /// A look is under way.
    Looking(Step),
    /// The next look is at this moment.
    Between(Step, Millis),
    /// It has ended.
    Ended,
}

/// One change of power.
#[derive(Clone, Debug)]
pub struct Power {
    to: PowerTo,
    allowed: Option<Vec<Reset>>,
    ask_twice: bool,
    within: Millis,
    until: Millis,
    steps: VecDeque<Step>,
    phase: Phase,
    since: Millis,
    pause: Millis,
    asked_again: bool,
    before: Option<Look>,
    last: Option<Look>,
    facts: Vec<String>,
}

impl Power {
    /// A change that must be so `within` from `now` on. `allowed` is what the BMC offers, `None` where it does not say.
    #[must_use]
    pub const fn new(
        to: PowerTo,
        allowed: Option<Vec<Reset>>,
        ask_twice: bool,
        now: Millis,
        within: Millis,
    ) -> Self {
        Self {
            to,
            allowed,
            ask_twice,
            within,
            until: now.plus(within),
            steps: VecDeque::new(),
            phase: Phase::First,
            since: now,
            pause: LOOK_MIN,
            asked_again: false,
            before: None,
            last: None,
            facts: Vec::new(),
        }
    }

    /// Begins: the machine is looked at first.
    pub fn begin(&self, out: &mut Vec<Action>) {
        out.push(Action::Look);
    }

    /// When to come back with [`Event::Tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        match self.phase {
            Phase::Between(_, at) => Some(at),
            Phase::First | Phase::Ordering(_) | Phase::Looking(_) | Phase::Ended => None,
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Millis, event: Event, out: &mut Vec<Action>) {
        match (self.phase.clone(), event) {
            (Phase::First, Event::Looked(Ok(look))) => self.plan(now, look, out),
            (Phase::First, Event::Looked(Err(trouble))) => self.fail(trouble, out),
            (Phase::Ordering(step), Event::Ordered(Ok(()))) => self.wait(step, now),
            (Phase::Ordering(step), Event::Ordered(Err(trouble))) => {
                self.refused(step, now, trouble, out)
            }
            (Phase::Looking(step), Event::Looked(Ok(look))) => self.looked(step, now, look, out),
            (Phase::Looking(step), Event::Looked(Err(trouble))) => {
                // A BMC may be silent for a while when its machine's power changes.
                if trouble.may_pass() && now < self.until {
                    self.wait(step, now);
                } else {
                    self.fail(trouble, out);
                }
            }
            (Phase::Between(step, at), Event::Tick) if now >= at => {
                self.phase = Phase::Looking(step);
                out.push(Action::Look);
            }
            // What belongs to no question that is open changes nothing.
            (Phase::First | Phase::Looking(_), Event::Ordered(_) | Event::Tick)
            | (Phase::Ordering(_), Event::Looked(_) | Event::Tick)
            | (Phase::Between(..) | Phase::Ended, _) => {}
        }
    }

    fn may(&self, reset: Reset) -> bool {
        // Where it does not say, what every service must offer is tried.
        self.allowed.as_ref().map_or(
            matches!(reset, Reset::On | Reset::ForceOff | Reset::GracefulShutdown),
            |allowed| allowed.contains(&reset),
        )
    }

    fn first_of(&self, wanted: &[Reset]) -> Result<Reset, Trouble> {
        let found = wanted.iter().copied().find(|reset| self.may(*reset));
        found.ok_or_else(|| Trouble::NotOffered {
            wanted: wanted
                .iter()
                .map(|reset| reset.as_str())
                .collect::<Vec<_>>()
                .join(" or "),
            offers: self
                .allowed
                .iter()
                .flatten()
                .map(|reset| reset.as_str().to_string())
                .collect(),
        })
    }

    fn plan(&mut self, now: Millis, look: Look, out: &mut Vec<Action>) {
        self.facts
            .push(format!("power was {}", look.power.as_str()));
        let steps = self.steps_from(look.power);
        self.before = Some(look.clone());
        self.last = Some(look);
        match steps {
            Ok(steps) => {
                self.steps = steps.into();
                self.next(now, out);
            }
            Err(trouble) => self.fail(trouble, out),
        }
    }

    fn steps_from(&self, power: PowerState) -> Result<Vec<Step>, Trouble> {
        let step = |order, want| Step { order, want };
        let on = |this: &Self| {
            Ok(step(
                Some(this.first_of(&[Reset::On, Reset::ForceOn, Reset::PushPowerButton])?),
                Want::On,
            ))
        };
        let off = |this: &Self| Ok(step(Some(this.first_of(&[Reset::ForceOff])?), Want::Off));
        let wait_off = step(None, Want::Off);
        Ok(match (self.to, power) {
            (PowerTo::On, PowerState::On) | (PowerTo::Off | PowerTo::ForceOff, PowerState::Off) => {
                Vec::new()
            }
            (PowerTo::On | PowerTo::Cycle, PowerState::PoweringOff) => vec![wait_off, on(self)?],
            (PowerTo::On, PowerState::PoweringOn) => vec![step(None, Want::On)],
            (PowerTo::On, PowerState::Off | PowerState::Unknown)
            | (PowerTo::Cycle, PowerState::Off) => vec![on(self)?],
            (PowerTo::Off, PowerState::PoweringOff) => vec![wait_off],
            (PowerTo::Off, PowerState::On | PowerState::PoweringOn | PowerState::Unknown) => {
                self.orderly()?
            }
            (
                PowerTo::ForceOff,
                PowerState::On
                | PowerState::PoweringOn
                | PowerState::PoweringOff
                | PowerState::Unknown,
            ) => {
                vec![off(self)?]
            }
            (PowerTo::Cycle, PowerState::On | PowerState::PoweringOn | PowerState::Unknown) => {
                // Off and on again can be seen; a restart in one order often cannot.
                match (off(self), on(self)) {
                    (Ok(off), Ok(on)) => vec![off, on],
                    (Err(trouble), _) | (_, Err(trouble)) => {
                        let one = self.first_of(&[Reset::PowerCycle, Reset::ForceRestart]);
                        vec![step(
                            Some(one.map_err(|_: Trouble| trouble)?),
                            Want::Restart,
                        )]
                    }
                }
            }
        })
    }

    fn orderly(&self) -> Result<Vec<Step>, Trouble> {
        let force = Step {
            order: Some(Reset::ForceOff),
            want: Want::Off,
        };
        let graceful = |want| Step {
            order: Some(Reset::GracefulShutdown),
            want,
        };
        match (self.may(Reset::GracefulShutdown), self.may(Reset::ForceOff)) {
            (true, true) => Ok(vec![graceful(Want::OffInGrace), force]),
            (true, false) => Ok(vec![graceful(Want::Off)]),
            (false, true) => Ok(vec![force]),
            (false, false) => self
                .first_of(&[Reset::GracefulShutdown, Reset::ForceOff])
                .map(|_| Vec::new()),
        }
    }

    /// Goes on with the next step, or ends.
    fn next(&mut self, now: Millis, out: &mut Vec<Action>) {
        let Some(step) = self.steps.pop_front() else {
            let power = self
                .last
                .as_ref()
                .map_or(PowerState::Unknown, |look| look.power);
            self.facts.push(format!("power is {}", power.as_str()));
            self.phase = Phase::Ended;
            out.push(Action::Done(core::mem::take(&mut self.facts)));
            return;
        };
        self.since = now;
        self.before.clone_from(&self.last);
        self.pause = LOOK_MIN;
        self.asked_again = false;
        self.order(step, now, out);
    }

    fn order(&mut self, step: Step, now: Millis, out: &mut Vec<Action>) {
        match step.order {
            Some(reset) => {
                self.facts.push(format!("{} was ordered", reset.as_str()));
                self.phase = Phase::Ordering(step);
                out.push(Action::Order(reset));
            }
            None => self.wait(step, now),
        }
    }

    fn wait(&mut self, step: Step, now: Millis) {
        self.phase = Phase::Between(step, now.plus(self.pause));
        self.pause = Millis((self.pause.0 * 3 / 2).min(LOOK_MAX.0));
    }

    /// A refusal may mean that it is so already: one look tells.
    fn refused(&mut self, step: Step, now: Millis, trouble: Trouble, out: &mut Vec<Action>) {
        // A refusal may be due to what is so already; a lost answer tells nothing.
        let by_word = matches!(trouble, Trouble::Refused { .. }) || trouble.may_pass();
        if !by_word || self.asked_again || now >= self.until {
            if step.want == Want::OffInGrace && !trouble.bars_the_way() {
                self.facts
                    .push(format!("the orderly stop was refused: {trouble}"));
                self.next(now, out);
            } else {
                self.fail(trouble, out);
            }
            return;
        }
        self.facts
            .push(format!("the order was answered with trouble: {trouble}"));
        // What was not carried out is ordered once more when the look says so.
        self.ask_twice = true;
        self.wait(step, now);
    }

    fn looked(&mut self, step: Step, now: Millis, look: Look, out: &mut Vec<Action>) {
        let reached = match step.want {
            Want::On => look.power == PowerState::On,
            Want::Off | Want::OffInGrace => look.power == PowerState::Off,
            Want::Restart => self.restarted(&look, now),
        };
        self.last = Some(look);
        if reached {
            if step.want == Want::OffInGrace {
                // It stopped by itself: the step that cuts power is not needed.
                self.steps.pop_front();
            }
            self.next(now, out);
        } else if step.want == Want::OffInGrace && now >= self.since.plus(self.grace()) {
            self.facts.push(format!(
                "the operating system did not stop within {}: power is cut",
                self.grace()
            ));
            self.next(now, out);
        } else if now >= self.until {
            let late = Trouble::Late {
                asked: step
                    .order
                    .map_or_else(|| String::from("wait"), |reset| reset.as_str().into()),
                seen: format!(
                    "power {}",
                    self.last
                        .as_ref()
                        .map_or(PowerState::Unknown, |look| look.power)
                        .as_str()
                ),
                within: self.within,
            };
            self.fail(late, out);
        } else if self.ask_twice
            && !self.asked_again
            && self.unchanged()
            && now >= self.since.plus(self.patience())
        {
            self.asked_again = true;
            self.order(step, now, out);
        } else {
            self.wait(step, now);
        }
    }

    /// Seen to restart, or watched long enough for a sign that this BMC does not show.
    fn restarted(&mut self, look: &Look, now: Millis) -> bool {
        let dark = |look: &Look| {
            matches!(
                look.power,
                PowerState::Off | PowerState::PoweringOn | PowerState::PoweringOff
            )
        };
        let was_dark = self.last.as_ref().is_some_and(dark);
        let moved = self
            .before
            .as_ref()
            .is_some_and(|before| before.mark.is_some() && before.mark != look.mark);
        if look.power != PowerState::On {
            return false;
        }
        if was_dark || moved {
            self.facts.push("a restart was seen".into());
            return true;
        }
        let believed = now >= self.since.plus(SIGN_WITHIN);
        if believed {
            self.facts
                .push("no sign of a restart is shown by this BMC; its boot tells".into());
        }
        believed
    }

    fn unchanged(&self) -> bool {
        let power = |look: &Option<Look>| look.as_ref().map(|look| look.power);
        power(&self.last) == power(&self.before)
    }

    const fn grace(&self) -> Millis {
        let half = self.within.0 / 2;
        Millis(if half < GRACE_MAX.0 {
            half
        } else {
            GRACE_MAX.0
        })
    }

    /// A quarter of the time passes before an order counts as lost.
    const fn patience(&self) -> Millis {
        Millis(self.within.0 / 4)
    }

    fn fail(&mut self, trouble: Trouble, out: &mut Vec<Action>) {
        self.phase = Phase::Ended;
        out.push(Action::Failed(trouble));
    }
}

#[cfg(test)]
#[path = "power_tests.rs"]
mod tests;
