// SPDX-License-Identifier: Apache-2.0
//! What the host says to the provisioner and when: register, then a heartbeat at every interval, backing off while the
//! provisioner is away. It decides only; the shell makes the calls. It never ends by itself.

use groundstate_api::Millis;
use groundstate_api::action::ActionId;
use groundstate_api::host::{HostAct, HostInstruction};
use groundstate_api::limits::HEARTBEAT;

/// The first wait after a failed call.
pub(crate) const RETRY_FIRST: Millis = Millis::secs(1);
/// The wait while the site's provisioners elect one of them: that takes three to seven seconds.
pub(crate) const LEADER_WAIT: Millis = Millis::secs(2);
/// The longest wait after failed calls: a provisioner that is back hears of every host within this time.
pub(crate) const RETRY_MAX: Millis = Millis::secs(15);
/// How long a restart may take before it is asked for again. A host with many services stops within it.
pub(crate) const RESTART_PATIENCE: Millis = Millis::secs(300);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The deadline passed.
    Timeout,
    /// The provisioner answered the call.
    Answered(HostInstruction),
    /// The call failed.
    Failed(Failure),
    /// The next boot is set to the network, and the restart was asked for.
    RestartAsked {
        /// What was set, for people.
        how: String,
    },
    /// The next boot could not be set, or the restart not asked for.
    RestartRefused {
        /// Why.
        why: String,
    },
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No answer, or no trustworthy one.
    Unreachable {
        /// What was seen.
        seen: String,
    },
    /// The provisioner answered and refused.
    Refused {
        /// HTTP status.
        status: u16,
        /// What it said.
        said: String,
    },
    /// A provisioner answered, and none leads at this moment.
    NoLeader {
        /// What it said.
        said: String,
    },
    /// The provisioner has fenced this host off: another one has its name.
    Fenced {
        /// What it said.
        said: String,
    },
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Call `HOST_REGISTER`.
    Register,
    /// The provisioner has acknowledged the registration.
    Registered,
    /// Call `HOST_HEARTBEAT` with this number.
    Heartbeat {
        /// 1, 2, 3, … within the boot.
        number: u64,
    },
    /// Set the next boot to the network and restart.
    RestartToNetwork,
    /// Do this, unless it was done.
    Act {
        /// Its number.
        action: ActionId,
        /// What.
        act: HostAct,
    },
    /// What was told of an act was heard.
    ActHeard,
    /// Stop the host's work: another host has its name.
    StopWork,
    /// Tell the people at this host.
    Say {
        /// A line.
        line: String,
    },
}

/// Where the conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not registered in this boot, or the provisioner has forgotten.
    Registering,
    /// Registered; heartbeats.
    Reporting,
    /// A restart is under way.
    Restarting,
}

/// The conversation of one boot.
#[derive(Clone, Debug)]
pub struct Conversation {
    state: State,
    next: Millis,
    heartbeats: u64,
    failures: u32,
    /// What was last said about trouble, so that each trouble is said once.
    trouble: Option<String>,
    jitter: u64,
    /// Whether this host was fenced off, and its work stopped.
    fenced: bool,
}

impl Conversation {
    /// Begins at `now`; `entropy` spreads many hosts' retries.
    #[must_use]
    pub const fn new(now: Millis, entropy: u64) -> Self {
        Self {
            state: State::Registering,
            next: now,
            heartbeats: 0,
            failures: 0,
            trouble: None,
            jitter: entropy | 1,
            fenced: false,
        }
    }

    /// When to call again with [`Event::Timeout`].
    #[must_use]
    pub const fn deadline(&self) -> Option<Millis> {
        Some(self.next)
    }

    /// Takes an event in. Each `Register`, `Heartbeat` and `RestartToNetwork` is answered with one event.
    pub fn handle(&mut self, now: Millis, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Timeout => self.timeout(now, out),
            Event::Answered(instruction) => self.answered(now, instruction, out),
            Event::Failed(failure) => self.failed(now, failure, out),
            Event::RestartAsked { how } => {
                self.state = State::Restarting;
                self.next = now.plus(RESTART_PATIENCE);
                out.push(Action::Say {
                    line: format!("restarting into the network: {how}"),
                });
            }
            Event::RestartRefused { why } => {
                self.next = now.plus(HEARTBEAT);
                self.say_trouble(format!("the restart into the network failed: {why}"), out);
            }
        }
    }

    fn timeout(&mut self, now: Millis, out: &mut Vec<Action>) {
        if now < self.next {
            return;
        }
        // The call's outcome sets the next deadline; until then none is due.
        self.next = now.plus(RETRY_MAX);
        match self.state {
            State::Registering => out.push(Action::Register),
            State::Reporting => {
                self.heartbeats += 1;
                out.push(Action::Heartbeat {
                    number: self.heartbeats,
                });
            }
            State::Restarting => {
                self.state = State::Reporting;
                out.push(Action::Say {
                    line: "the restart did not happen; asking again".into(),
                });
                out.push(Action::RestartToNetwork);
            }
        }
    }

    fn answered(&mut self, now: Millis, instruction: HostInstruction, out: &mut Vec<Action>) {
        self.failures = 0;
        self.next = now.plus(HEARTBEAT);
        if !matches!(instruction, HostInstruction::Act { .. }) && self.state == State::Reporting {
            out.push(Action::ActHeard);
        }
        match self.state {
            State::Registering => {
                self.state = State::Reporting;
                self.trouble = None;
                self.fenced = false;
                out.push(Action::Registered);
            }
            State::Reporting | State::Restarting => {}
        }
        match instruction {
            HostInstruction::CarryOn => {
                if self.trouble.take().is_some() {
                    out.push(Action::Say {
                        line: "the provisioner answers again".into(),
                    });
                }
            }
            HostInstruction::RebootToNetwork => out.push(Action::RestartToNetwork),
            HostInstruction::Act { action, act } => out.push(Action::Act { action, act }),
        }
    }

    fn failed(&mut self, now: Millis, failure: Failure, out: &mut Vec<Action>) {
        let line = match failure {
            Failure::NoLeader { said } => {
                // There is one again within seconds; this host stays registered, and its waits do not grow.
                self.say_trouble(format!("no provisioner leads: {said}"), out);
                self.next = now.plus(self.jittered(LEADER_WAIT.0));
                return;
            }
            Failure::Unreachable { seen } => format!("the provisioner does not answer: {seen}"),
            Failure::Refused { status, said } => {
                // It may have lost what it knew of this boot; registering again is harmless where it has not.
                self.state = State::Registering;
                format!("the provisioner refuses this host: {said} (HTTP {status})")
            }
            Failure::Fenced { said } => {
                self.state = State::Registering;
                if !self.fenced {
                    out.push(Action::StopWork);
                }
                self.fenced = true;
                format!("FENCED OFF: {said}")
            }
        };
        self.say_trouble(line, out);
        self.next = now.plus(self.backoff());
        self.failures = self.failures.saturating_add(1);
    }

    /// 1, 2, 4, 8, 15, 15, … seconds, each less up to a quarter.
    fn backoff(&mut self) -> Millis {
        let factor = 1u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        self.jittered(RETRY_FIRST.0.saturating_mul(factor).min(RETRY_MAX.0))
    }

    /// So many milliseconds, less up to a quarter.
    fn jittered(&mut self, longest: u64) -> Millis {
        // xorshift64 (Marsaglia 2003): enough to keep a thousand hosts from calling in the same moment.
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        Millis(longest - self.jitter % (longest / 4))
    }

    fn say_trouble(&mut self, line: String, out: &mut Vec<Action>) {
        if self.trouble.as_ref() != Some(&line) {
            out.push(Action::Say { line: line.clone() });
            self.trouble = Some(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step(c: &mut Conversation, now: Millis, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        c.handle(now, event, &mut out);
        out
    }

    fn due(c: &mut Conversation) -> (Millis, Vec<Action>) {
        let now = c.deadline().unwrap();
        (now, step(c, now, Event::Timeout))
    }

    const AWAY: fn() -> Event = || {
        Event::Failed(Failure::Unreachable {
            seen: "connection refused".into(),
        })
    };
    const FINE: Event = Event::Answered(HostInstruction::CarryOn);

    #[test]
    fn it_registers_once_and_then_reports_at_the_interval() {
        let mut c = Conversation::new(Millis(7), 1);
        let (now, actions) = due(&mut c);
        assert_eq!((now, actions), (Millis(7), vec![Action::Register]));
        assert_eq!(step(&mut c, now, FINE), [Action::Registered]);
        for number in 1..4 {
            let (now, actions) = due(&mut c);
            assert_eq!(now, Millis(7 + number * HEARTBEAT.0));
            assert_eq!(actions, [Action::Heartbeat { number }]);
            assert_eq!(step(&mut c, now, FINE), [Action::ActHeard]);
        }
    }

    #[test]
    fn what_is_asked_is_done_and_told_until_it_was_heard() {
        let mut c = Conversation::new(Millis(0), 1);
        let (now, _) = due(&mut c);
        step(&mut c, now, FINE);
        let (action, act) = (ActionId(7), HostAct::Drain);
        for _ in 0..2 {
            let (now, _) = due(&mut c);
            let asked = Event::Answered(HostInstruction::Act { action, act });
            assert_eq!(step(&mut c, now, asked), [Action::Act { action, act }]);
        }
        let (now, _) = due(&mut c);
        assert_eq!(step(&mut c, now, FINE), [Action::ActHeard]);
    }

    #[test]
    fn a_host_that_is_fenced_off_stops_its_work_once_and_says_so() {
        let mut c = Conversation::new(Millis(0), 1);
        let fenced = || {
            Event::Failed(Failure::Fenced {
                said: "another one".into(),
            })
        };
        let (now, _) = due(&mut c);
        let line = "FENCED OFF: another one".into();
        assert_eq!(
            step(&mut c, now, fenced()),
            [Action::StopWork, Action::Say { line }]
        );
        for _ in 0..50 {
            let (now, actions) = due(&mut c);
            assert_eq!(actions, [Action::Register]);
            assert_eq!(step(&mut c, now, fenced()), []);
        }
    }

    #[test]
    fn while_the_provisioner_is_away_it_backs_off_says_so_once_and_never_stops() {
        let mut c = Conversation::new(Millis(0), 99);
        let (mut said, mut before) = (0, Millis(0));
        for round in 0..200u32 {
            let (now, actions) = due(&mut c);
            assert_eq!(actions, [Action::Register]);
            let waited = now.since(before);
            assert!(
                round == 0 || waited >= Millis(750) && waited <= RETRY_MAX,
                "{waited}"
            );
            said += step(&mut c, now, AWAY()).len();
            before = now;
        }
        assert_eq!(said, 1);
        let (now, _) = due(&mut c);
        assert_eq!(step(&mut c, now, FINE), [Action::Registered]);
    }

    #[test]
    fn without_a_leader_it_asks_every_two_seconds_and_stays_registered() {
        let mut c = Conversation::new(Millis(0), 5);
        let (now, _) = due(&mut c);
        step(&mut c, now, FINE);
        let none = || {
            Event::Failed(Failure::NoLeader {
                said: "a leader is being elected".into(),
            })
        };
        let mut said = 0;
        for number in 1..20 {
            let (now, actions) = due(&mut c);
            assert_eq!(actions, [Action::Heartbeat { number }]);
            said += step(&mut c, now, none()).len();
            let wait = c.deadline().unwrap().since(now);
            assert!(wait > Millis(1_400) && wait <= LEADER_WAIT, "{wait}");
        }
        assert_eq!(said, 1);
        let (now, _) = due(&mut c);
        let line = "the provisioner answers again".into();
        let heard = [Action::ActHeard, Action::Say { line }];
        assert_eq!(step(&mut c, now, FINE), heard);
    }

    #[test]
    fn a_refused_heartbeat_registers_again() {
        let mut c = Conversation::new(Millis(0), 1);
        let (now, _) = due(&mut c);
        step(&mut c, now, FINE);
        let (now, _) = due(&mut c);
        let refused = Event::Failed(Failure::Refused {
            status: 409,
            said: "not registered".into(),
        });
        let line = "the provisioner refuses this host: not registered (HTTP 409)".into();
        assert_eq!(step(&mut c, now, refused), [Action::Say { line }]);
        assert_eq!(due(&mut c).1, [Action::Register]);
    }

    #[test]
    fn a_restart_is_asked_for_and_asked_again_when_it_did_not_happen() {
        let mut c = Conversation::new(Millis(0), 1);
        let (now, _) = due(&mut c);
        let ordered = Event::Answered(HostInstruction::RebootToNetwork);
        assert_eq!(
            step(&mut c, now, ordered.clone()),
            [Action::Registered, Action::RestartToNetwork]
        );
        let refused = || Event::RestartRefused {
            why: "no entry".into(),
        };
        assert_eq!(step(&mut c, now, refused()).len(), 1);
        let (now, actions) = due(&mut c);
        assert_eq!(actions, [Action::Heartbeat { number: 1 }]);
        assert_eq!(
            step(&mut c, now, ordered),
            [Action::ActHeard, Action::RestartToNetwork]
        );
        assert_eq!(
            step(&mut c, now, refused()),
            [],
            "the same trouble is said once"
        );
        step(
            &mut c,
            now,
            Event::RestartAsked {
                how: "BootNext 0004".into(),
            },
        );
        assert_eq!(
            step(&mut c, now.plus(HEARTBEAT), Event::Timeout),
            [],
            "nothing while it restarts"
        );
        let (_, actions) = due(&mut c);
        assert_eq!(actions.last(), Some(&Action::RestartToNetwork));
    }

    proptest! {
        #[test]
        fn there_is_always_a_next_call_not_far_away(outcomes in prop::collection::vec(0u8..4, 1..200), entropy: u64) {
            let mut c = Conversation::new(Millis(0), entropy);
            for outcome in outcomes {
                let (now, _) = due(&mut c);
                let event = match outcome {
                    0 => FINE,
                    1 => AWAY(),
                    2 => Event::Failed(Failure::Refused { status: 403, said: String::new() }),
                    _ => Event::RestartRefused { why: String::new() },
                };
                step(&mut c, now, event);
                let wait = c.deadline().unwrap().since(now);
                prop_assert!(wait > Millis(0) && wait <= RETRY_MAX, "{}", wait);
            }
        }
    }
}
