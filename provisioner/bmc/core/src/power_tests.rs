// SPDX-License-Identifier: Apache-2.0
//! Simulated machines under every order, and what is told afterwards.
#![allow(clippy::too_many_lines)]

use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;

/// A machine that does what it is told after a lag, or not.
struct Machine {
    power: PowerState,
    lag: u64,
    stops: bool,
    lies: bool,
    loses: u32,
    pending: Option<(u64, PowerState)>,
    orders: Vec<Reset>,
}

impl Machine {
    fn new(power: PowerState) -> Self {
        Self {
            power,
            lag: 3_000,
            stops: true,
            lies: false,
            loses: 0,
            pending: None,
            orders: Vec::new(),
        }
    }

    fn order(&mut self, now: u64, reset: Reset) {
        self.orders.push(reset);
        if self.lies {
            return;
        }
        if self.loses > 0 {
            self.loses -= 1;
            return;
        }
        let to = match reset {
            Reset::On | Reset::ForceOn | Reset::PushPowerButton => PowerState::On,
            Reset::ForceOff => PowerState::Off,
            Reset::GracefulShutdown if self.stops => PowerState::Off,
            Reset::GracefulShutdown => return,
            Reset::GracefulRestart | Reset::ForceRestart | Reset::PowerCycle => PowerState::On,
        };
        self.pending = Some((now + self.lag, to));
    }

    fn look(&mut self, now: u64) -> PowerState {
        if let Some((at, to)) = self.pending
            && now >= at
        {
            self.power = to;
            self.pending = None;
        }
        self.power
    }
}

fn play(mut power: Power, machine: &mut Machine) -> (Result<Vec<String>, Trouble>, u64) {
    let mut now = 0u64;
    let mut out = Vec::new();
    power.begin(&mut out);
    for _ in 0..10_000 {
        let Some(action) = out.pop() else {
            now = power.deadline().unwrap().0;
            power.handle(Millis(now), Event::Tick, &mut out);
            continue;
        };
        assert!(out.is_empty(), "one action at a time");
        now += 50;
        match action {
            Action::Look => {
                let look = Look {
                    power: machine.look(now),
                    mark: None,
                };
                power.handle(Millis(now), Event::Looked(Ok(look)), &mut out);
            }
            Action::Order(reset) => {
                machine.order(now, reset);
                power.handle(Millis(now), Event::Ordered(Ok(())), &mut out);
            }
            Action::Done(facts) => return (Ok(facts), now),
            Action::Failed(trouble) => return (Err(trouble), now),
        }
    }
    panic!("it never ends");
}

fn check(to: PowerTo, allowed: &[Reset], machine: &mut Machine, expected: Expect) {
    let power = Power::new(
        to,
        Some(allowed.to_vec()),
        false,
        Millis(0),
        Millis::secs(120),
    );
    let (result, _) = play(power, machine);
    let told = match result {
        Ok(facts) => facts.join("; "),
        Err(trouble) => format!("failed: {trouble}"),
    };
    expected.assert_eq(&told);
}

const USUAL: [Reset; 4] = [
    Reset::On,
    Reset::ForceOff,
    Reset::GracefulShutdown,
    Reset::ForceRestart,
];

#[test]
fn each_order_from_each_state() {
    let on = || Machine::new(PowerState::On);
    let off = || Machine::new(PowerState::Off);
    check(
        PowerTo::On,
        &USUAL,
        &mut on(),
        expect!["power was on; power is on"],
    );
    check(
        PowerTo::On,
        &USUAL,
        &mut off(),
        expect!["power was off; On was ordered; power is on"],
    );
    check(
        PowerTo::On,
        &[Reset::ForceOn],
        &mut off(),
        expect!["power was off; ForceOn was ordered; power is on"],
    );
    check(
        PowerTo::ForceOff,
        &USUAL,
        &mut on(),
        expect!["power was on; ForceOff was ordered; power is off"],
    );
    check(
        PowerTo::ForceOff,
        &USUAL,
        &mut off(),
        expect!["power was off; power is off"],
    );
    check(
        PowerTo::Off,
        &USUAL,
        &mut on(),
        expect!["power was on; GracefulShutdown was ordered; power is off"],
    );
    check(
        PowerTo::Cycle,
        &USUAL,
        &mut on(),
        expect!["power was on; ForceOff was ordered; On was ordered; power is on"],
    );
    check(
        PowerTo::Cycle,
        &USUAL,
        &mut off(),
        expect!["power was off; On was ordered; power is on"],
    );
    check(
        PowerTo::Cycle,
        &[Reset::On, Reset::ForceRestart],
        &mut on(),
        expect![
            "power was on; ForceRestart was ordered; no sign of a restart is shown by this BMC; its boot tells; power is on"
        ],
    );
    check(
        PowerTo::Cycle,
        &[Reset::GracefulRestart],
        &mut on(),
        expect!["failed: it does not offer ForceOff"],
    );
    check(
        PowerTo::On,
        &[],
        &mut off(),
        expect!["failed: it does not offer On or ForceOn or PushPowerButton"],
    );
    check(
        PowerTo::Off,
        &[Reset::On],
        &mut on(),
        expect!["failed: it does not offer GracefulShutdown or ForceOff"],
    );
}

#[test]
fn an_operating_system_that_does_not_stop_is_cut_off() {
    let mut machine = Machine::new(PowerState::On);
    machine.stops = false;
    check(
        PowerTo::Off,
        &USUAL,
        &mut machine,
        expect![
            "power was on; GracefulShutdown was ordered; the operating system did not stop within 60.0 s: power is cut; ForceOff was ordered; power is off"
        ],
    );
    let mut machine = Machine::new(PowerState::On);
    machine.stops = false;
    check(
        PowerTo::Off,
        &[Reset::GracefulShutdown],
        &mut machine,
        expect!["failed: it said yes to GracefulShutdown, and 2 min 00 s later there is power on"],
    );
}

#[test]
fn a_liar_is_found_out() {
    let mut machine = Machine::new(PowerState::Off);
    machine.lies = true;
    check(
        PowerTo::On,
        &USUAL,
        &mut machine,
        expect!["failed: it said yes to On, and 2 min 00 s later there is power off"],
    );
    assert_eq!(machine.orders, [Reset::On]);
}

#[test]
fn a_lost_order_is_given_once_more() {
    let mut machine = Machine::new(PowerState::Off);
    machine.loses = 1;
    let power = Power::new(PowerTo::On, None, true, Millis(0), Millis::secs(120));
    assert!(play(power, &mut machine).0.is_ok());
    assert_eq!(machine.orders, [Reset::On, Reset::On]);
}

#[test]
fn a_refusal_is_checked_by_a_look() {
    let mut power = Power::new(PowerTo::On, None, false, Millis(0), Millis::secs(60));
    let mut out = Vec::new();
    let look = |power| Event::Looked(Ok(Look { power, mark: None }));
    power.handle(Millis(1), look(PowerState::Off), &mut out);
    assert_eq!(std::mem::take(&mut out), [Action::Order(Reset::On)]);
    let refusal = Trouble::Refused {
        asked: "On".into(),
        status: 409,
        says: "the state is on already".into(),
    };
    power.handle(Millis(2), Event::Ordered(Err(refusal)), &mut out);
    let at = power.deadline().unwrap();
    power.handle(at, Event::Tick, &mut out);
    assert_eq!(std::mem::take(&mut out), [Action::Look]);
    power.handle(at, look(PowerState::On), &mut out);
    assert!(matches!(out.as_slice(), [Action::Done(_)]));
}

proptest! {
    #[test]
    fn it_always_ends_in_time_and_says_only_what_was_seen(
        to in prop::sample::select(vec![PowerTo::On, PowerTo::Off, PowerTo::ForceOff, PowerTo::Cycle]),
        start in prop::sample::select(vec![PowerState::On, PowerState::Off, PowerState::Unknown, PowerState::PoweringOn, PowerState::PoweringOff]),
        allowed in proptest::option::of(prop::sample::subsequence(Reset::ALL.to_vec(), 0..=8)),
        lag in 0u64..90_000, stops: bool, lies: bool, loses in 0u32..3, twice: bool, within in 10u64..300,
    ) {
        let mut machine = Machine { lag, stops, lies, loses, ..Machine::new(start) };
        let power = Power::new(to, allowed.clone(), twice, Millis(0), Millis::secs(within));
        let (result, ended) = play(power, &mut machine);
        prop_assert!(ended <= within * 1_000 + 30_000, "{ended}");
        prop_assert!(machine.orders.len() <= 4, "{:?}", machine.orders);
        if let Some(allowed) = allowed {
            prop_assert!(machine.orders.iter().all(|order| allowed.contains(order)));
        }
        if result.is_ok() {
            let want = match to { PowerTo::On | PowerTo::Cycle => PowerState::On, PowerTo::Off | PowerTo::ForceOff => PowerState::Off };
            prop_assert_eq!(machine.power, want);
        }
    }
}
