// SPDX-License-Identifier: Apache-2.0
//! Rescue: a shell for the keys that the provisioner names, for as long as it says so. Nothing is written to a disk, and the
//! machine keeps asking, so that a release reaches it within seconds.

use super::{Action, Phases, RESCUE_POLL, Scene, State, doing};
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::enrol::{EnrolReply, RescueShell};
use groundstate_api::{Millis, NodeId, Reason, ReasonCode};

impl Phases {
    /// The answer to an enrolment is a rescue.
    pub(super) fn rescued(
        &mut self,
        now: Millis,
        node: NodeId,
        keys: Vec<String>,
        out: &mut Vec<Action>,
    ) {
        self.failures = 0;
        let same = matches!(&self.state, State::Rescue { keys: known, .. } if *known == keys);
        if !same {
            if keys.is_empty() {
                out.push(Action::Show(Scene::Waiting { reason: no_keys() }));
            } else {
                out.push(Action::Show(doing(&alloc::format!(
                    "this is {node}, in rescue; opening a shell for {} keys",
                    keys.len()
                ))));
            }
            out.push(Action::OpenShell { keys: keys.clone() });
            self.enter(now, State::Rescue { node, keys });
        }
        self.wake = Some(now.plus(RESCUE_POLL));
    }

    /// The rescue is over: what the provisioner answers now is for a machine without a shell.
    pub(super) fn released(
        &mut self,
        now: Millis,
        reply: EnrolReply,
        out: &mut Vec<Action>,
    ) -> Option<EnrolReply> {
        if let State::Rescue { .. } = self.state {
            out.push(Action::CloseShell);
            self.enter(now, State::Enrolling);
        }
        // An answer to a question asked twice is not taken.
        (self.state == State::Enrolling).then_some(reply)
    }

    pub(super) fn shell_opened(&mut self, shell: RescueShell, out: &mut Vec<Action>) {
        if let State::Rescue { node, keys } = &self.state {
            out.push(Action::Show(Scene::Rescue {
                node: node.clone(),
                shell,
                keys: keys.len(),
            }));
            // The provisioner hears the fingerprint at once.
            out.push(Action::Enrol);
        }
    }

    pub(super) fn shell_failed(&mut self, now: Millis, reason: Reason, out: &mut Vec<Action>) {
        if let State::Rescue { node, .. } = &self.state {
            // The next answer has other keys than none, and opens it again.
            let node = node.clone();
            self.enter(
                now,
                State::Rescue {
                    node,
                    keys: Vec::new(),
                },
            );
            self.wait(now, RESCUE_POLL, reason, out);
        }
    }
}

fn no_keys() -> Reason {
    Reason::new(
        ReasonCode::Rescue,
        "this machine is in rescue, and the site names no key that could come in",
        "add public keys to `keys` of `[rescue]` in the site file and apply it",
    )
    .then("the keys are asked for every few seconds")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phases::Event;

    fn drive(phases: &mut Phases, now: u64, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        phases.handle(Millis(now), event, &mut out);
        out.retain(|action| !matches!(action, Action::Show(_)));
        out
    }

    fn answer(keys: &[&str]) -> Event {
        Event::EnrolAnswered(EnrolReply::Rescue {
            node: "node1".parse().unwrap(),
            keys: keys.iter().map(|key| String::from(*key)).collect(),
        })
    }

    fn open(keys: &[&str]) -> Action {
        let keys = keys.iter().map(|key| String::from(*key)).collect();
        Action::OpenShell { keys }
    }

    fn in_rescue() -> Phases {
        let mut phases = Phases::default();
        drive(&mut phases, 0, Event::Started);
        let lease = Event::LeaseGot {
            interface: "eth0".into(),
            address: "10.77.0.100".into(),
        };
        drive(&mut phases, 1, lease);
        assert_eq!(drive(&mut phases, 2, answer(&["a"])), [open(&["a"])]);
        phases
    }

    #[test]
    fn a_rescue_asks_again_and_opens_the_shell_once_for_the_same_keys() {
        let mut phases = in_rescue();
        let shell = RescueShell {
            address: "10.77.0.100".into(),
            fingerprint: "SHA256:x".into(),
        };
        let opened = drive(&mut phases, 3, Event::ShellOpened(shell));
        assert_eq!(opened, [Action::Enrol]);
        assert_eq!(drive(&mut phases, 4, answer(&["a"])), []);
        let later = 4 + RESCUE_POLL.0;
        assert_eq!(drive(&mut phases, later, Event::Timeout), [Action::Enrol]);
        // No provisioner: the shell stays, and it is asked again.
        let failed = Event::CallFailed { reason: no_keys() };
        assert_eq!(drive(&mut phases, later + 1, failed), []);
        let again = later + 1 + RESCUE_POLL.0;
        assert_eq!(drive(&mut phases, again, Event::Timeout), [Action::Enrol]);
        assert_eq!(
            drive(&mut phases, again + 1, answer(&["b"])),
            [open(&["b"])]
        );
    }

    #[test]
    fn a_release_closes_the_shell_before_anything_else() {
        let mut phases = in_rescue();
        let refused = EnrolReply::Refused {
            reason: no_keys(),
            retry_ms: 1_000,
        };
        let closed = drive(&mut phases, 9, Event::EnrolAnswered(refused));
        assert_eq!(closed, [Action::CloseShell]);
        assert_eq!(phases.state(), &State::Enrolling);
        let mut phases = in_rescue();
        let enrolled = EnrolReply::Enrolled {
            node: "node1".parse().unwrap(),
            run: "run-1".parse().unwrap(),
            certificate_pem: String::new(),
            firmware: None,
            boot: 1,
        };
        assert_eq!(
            drive(&mut phases, 9, Event::EnrolAnswered(enrolled)),
            [Action::CloseShell, Action::Inspect]
        );
    }

    #[test]
    fn a_shell_that_did_not_open_is_opened_again_at_the_next_answer() {
        let mut phases = in_rescue();
        let failed = Event::ShellFailed { reason: no_keys() };
        assert_eq!(drive(&mut phases, 3, failed), []);
        assert_eq!(
            drive(&mut phases, 3 + RESCUE_POLL.0, Event::Timeout),
            [Action::Enrol]
        );
        assert_eq!(drive(&mut phases, 20_000, answer(&["a"])), [open(&["a"])]);
    }
}
