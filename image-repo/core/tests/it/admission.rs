// SPDX-License-Identifier: Apache-2.0
//! Admission and fairness in a simulated world: clients, a link of a known rate, and the machine between them.

use groundstate_api::Millis;
use image_core::admission::{Action, Admission, Caps, Event, Full, Ticket};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

fn step(machine: &mut Admission<u32>, now: u64, event: Event<u32>) -> Vec<Action> {
    let mut out = Vec::new();
    machine.handle(Millis(now), event, &mut out);
    out
}

fn arrive(machine: &mut Admission<u32>, now: u64, ticket: u64, client: u32) -> Vec<Action> {
    let ticket = Ticket(ticket);
    step(machine, now, Event::Arrives { ticket, client })
}

fn want(machine: &mut Admission<u32>, now: u64, ticket: u64, bytes: u64) -> Vec<Action> {
    let ticket = Ticket(ticket);
    step(machine, now, Event::Wants { ticket, bytes })
}

/// A link that takes what was given, in order, at `rate` bytes a millisecond; each download wants its next piece when one
/// is taken.
struct Link {
    machine: Admission<u32>,
    rate: u64,
    queue: VecDeque<(Ticket, u64)>,
    credit: u64,
    now: u64,
    taken: BTreeMap<Ticket, u64>,
}

impl Link {
    fn new(caps: Caps, rate: u64) -> Self {
        Self {
            machine: Admission::new(caps, Millis(0)),
            rate,
            queue: VecDeque::new(),
            credit: 0,
            now: 0,
            taken: BTreeMap::new(),
        }
    }

    fn event(&mut self, event: Event<u32>) -> Vec<Action> {
        let out = step(&mut self.machine, self.now, event);
        for action in &out {
            if let Action::Give { ticket, bytes } = action {
                self.queue.push_back((*ticket, *bytes));
            }
        }
        out
    }

    /// One millisecond; returns the pieces that were taken whole.
    fn pass(&mut self) -> Vec<(Ticket, u64)> {
        self.now += 1;
        self.event(Event::Tick);
        self.credit += self.rate;
        let mut done = Vec::new();
        while let Some(&(ticket, bytes)) = self.queue.front() {
            if self.credit < bytes {
                break;
            }
            self.credit -= bytes;
            self.queue.pop_front();
            *self.taken.entry(ticket).or_default() += bytes;
            self.event(Event::Taken { ticket, bytes });
            done.push((ticket, bytes));
        }
        if self.queue.is_empty() {
            self.credit = 0;
        }
        done
    }
}

#[test]
fn a_client_with_a_hundred_downloads_gets_no_more_than_one_with_one() {
    for total_rate in [None, Some(100 * MIB)] {
        let caps = Caps {
            total_rate,
            ..Caps::default()
        };
        // 200 MiB a second where the cap is not what rules.
        let mut link = Link::new(caps, 200 * MIB / 1000);
        let downloads = (0..100).map(|ticket| (ticket, 1)).chain([(100, 2)]);
        for (ticket, client) in downloads {
            let ticket = Ticket(ticket);
            link.event(Event::Arrives { ticket, client });
            // The one asks for two pieces ahead, as a connection does.
            link.event(Event::Wants {
                ticket,
                bytes: 256 * KIB,
            });
        }
        for _ in 0..10_000 {
            for (ticket, bytes) in link.pass() {
                link.event(Event::Wants { ticket, bytes });
            }
        }
        let one = link.taken[&Ticket(100)];
        let hundred: u64 = link.taken.values().sum::<u64>() - one;
        if total_rate.is_some() {
            assert!(
                hundred.abs_diff(one) * 10 < hundred + one,
                "{hundred} and {one}"
            );
        } else {
            // The window of the one is a single piece, of the other 12 MiB: what is in the window is what is sent. It
            // still gets far more than one part in a hundred and one.
            assert!(one * 60 > hundred, "{hundred} and {one}");
        }
    }
}

#[test]
fn caps_hold_for_one_client_and_for_all() {
    let caps = Caps {
        total_rate: Some(10 * MIB),
        client_rate: Some(4 * MIB),
        ..Caps::default()
    };
    let mut link = Link::new(caps, 1000 * MIB / 1000);
    for client in 0..4u32 {
        let ticket = Ticket(u64::from(client));
        link.event(Event::Arrives { ticket, client });
        link.event(Event::Wants {
            ticket,
            bytes: 200 * KIB,
        });
    }
    let run = |link: &mut Link, seconds: u64, of: &[u64]| {
        link.taken.clear();
        for _ in 0..seconds * 1000 {
            for (ticket, bytes) in link.pass() {
                if of.contains(&ticket.0) {
                    link.event(Event::Wants { ticket, bytes });
                }
            }
        }
        link.taken.clone()
    };
    let four = run(&mut link, 20, &[0, 1, 2, 3]);
    let all: u64 = four.values().sum();
    assert!((190 * MIB..=203 * MIB).contains(&all), "{all}");
    for each in four.values() {
        assert!(each.abs_diff(50 * MIB) < 3 * MIB, "{each}");
    }
    let one = run(&mut link, 20, &[2])[&Ticket(2)];
    assert!((78 * MIB..=81 * MIB).contains(&one), "{one}");
}

#[test]
fn beyond_the_bounds_it_is_refused_with_a_time_and_since_when() {
    let caps = Caps {
        requests: 8,
        client_requests: 6,
        ..Caps::default()
    };
    let mut machine = Admission::new(caps, Millis(0));
    for ticket in 0..6 {
        assert_eq!(
            arrive(&mut machine, 0, ticket, 1),
            [Action::Admit(Ticket(ticket))]
        );
    }
    let refusal = |out: &[Action]| match out {
        [
            Action::Refuse {
                full, since, retry, ..
            },
        ] => (*full, since.0, retry.0),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refusal(&arrive(&mut machine, 5, 6, 1)),
        (Full::Client, 5, 1_000)
    );
    assert_eq!(
        refusal(&arrive(&mut machine, 9, 7, 1)),
        (Full::Client, 5, 1_000)
    );
    // Two places are left, and two more for whoever has little in work.
    for ticket in 10..14 {
        assert_eq!(
            arrive(&mut machine, 9, ticket, 2),
            [Action::Admit(Ticket(ticket))]
        );
    }
    assert_eq!(
        refusal(&arrive(&mut machine, 10, 14, 3)),
        (Full::Server, 10, 1_000)
    );
    assert_eq!(
        refusal(&arrive(&mut machine, 400, 15, 3)),
        (Full::Server, 10, 1_000)
    );
    step(&mut machine, 500, Event::Ends { ticket: Ticket(3) });
    assert_eq!(
        arrive(&mut machine, 500, 16, 3),
        [Action::Admit(Ticket(16))]
    );
    assert_eq!(machine.in_work(), 10);
}

#[test]
fn one_byte_a_second_holds_no_place() {
    let mut machine = Admission::new(Caps::default(), Millis(0));
    for ticket in 0..2 {
        arrive(&mut machine, 0, ticket, 1);
        let given = want(&mut machine, 0, ticket, 120 * KIB);
        assert_eq!(given.len(), 1, "{given:?}");
    }
    // The first takes a byte a second, the second 16 KiB a second: slow, but a machine's. 20 s of grace and 10 s for
    // 120 KiB at 12 KiB/s.
    let mut cut = None;
    for second in 1..60u64 {
        let mut out = Vec::new();
        // A shell tells of a piece when it is taken whole; a byte is none.
        let left = (120 * KIB).saturating_sub(second * 16 * KIB);
        if left > 0 {
            let ticket = Ticket(1);
            machine.handle(
                Millis(second * 1000),
                Event::Taken {
                    ticket,
                    bytes: 16 * KIB,
                },
                &mut out,
            );
        } else {
            machine.handle(
                Millis(second * 1000),
                Event::Ends { ticket: Ticket(1) },
                &mut out,
            );
        }
        while let Some(at) = machine.deadline().filter(|at| at.0 < (second + 1) * 1000) {
            machine.handle(at, Event::Tick, &mut out);
        }
        for action in out {
            assert!(cut.is_none(), "{action:?}");
            cut = Some((second, action));
        }
    }
    let (second, action) = cut.unwrap();
    assert!((30..=32).contains(&second), "{second}");
    assert!(matches!(action, Action::CutOff { ticket: Ticket(0), held, .. } if held == 120 * KIB));
    assert_eq!((machine.in_work(), machine.outstanding()), (0, 0));
}

#[test]
fn where_others_wait_for_its_memory_a_slow_reader_goes_sooner() {
    let caps = Caps {
        window: MIB,
        client_window: MIB,
        ..Caps::default()
    };
    let mut machine = Admission::new(caps, Millis(0));
    arrive(&mut machine, 0, 1, 1);
    want(&mut machine, 0, 1, MIB);
    arrive(&mut machine, 0, 2, 2);
    assert_eq!(want(&mut machine, 0, 2, 12 * KIB), []);
    let mut given_at = None;
    let mut out = Vec::new();
    while given_at.is_none() {
        let at = machine.deadline().unwrap();
        assert!(at < Millis::secs(120), "{out:?}");
        machine.handle(at, Event::Tick, &mut out);
        given_at = out
            .iter()
            .any(|action| matches!(action, Action::Give { .. }))
            .then_some(at);
    }
    // 1 MiB at 12 KiB/s takes 86 s; the grace is 4 s instead of 20.
    assert!(given_at.unwrap() < Millis::secs(92), "{given_at:?}");
}

/// Bytes taken within `seconds`, where `clients` ask for one chunk after the other and come back when they are told to.
fn goodput(clients: u32, seconds: u64) -> (u64, u64) {
    const CHUNK: u64 = 128 * KIB;
    // 100 MiB a second. A refusal costs the server what 2 KiB cost it.
    let rate = 100 * MIB / 1000;
    let caps = Caps {
        requests: 64,
        client_requests: 8,
        ..Caps::default()
    };
    let mut link = Link::new(caps, rate);
    let mut due: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    due.insert(1, (0..clients).collect());
    let mut whose = BTreeMap::new();
    let (mut next, mut refused) = (0u64, 0u64);
    for now in 1..seconds * 1000 {
        for client in due.remove(&now).unwrap_or_default() {
            next += 1;
            let ticket = Ticket(next);
            let out = link.event(Event::Arrives { ticket, client });
            let retry = out.iter().find_map(|action| match action {
                Action::Refuse { retry, .. } => Some(retry.0),
                _ => None,
            });
            if let Some(retry) = retry {
                refused += 1;
                link.credit = link.credit.saturating_sub(2 * KIB);
                // With jitter, as a client's patience has it.
                let jitter = next.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (retry / 2 + 1);
                due.entry(now + retry + jitter).or_default().push(client);
            } else {
                whose.insert(ticket, client);
                link.event(Event::Wants {
                    ticket,
                    bytes: CHUNK,
                });
            }
        }
        for (ticket, _) in link.pass() {
            link.event(Event::Ends { ticket });
            let client = whose.remove(&ticket).unwrap();
            // Each client asks for ten chunks a second.
            due.entry(link.now + 1).or_default().push(client);
        }
    }
    (link.taken.values().sum(), refused)
}

#[test]
fn ten_times_the_load_costs_no_more_than_a_tenth_of_the_goodput() {
    // 64 clients with one request each fill the link without being refused.
    let (peak, _) = goodput(64, 20);
    assert!(peak > 19 * 100 * MIB, "{peak}");
    for clients in [128, 640, 2_560] {
        let (bytes, refused) = goodput(clients, 20);
        assert!(refused > 0, "{clients} clients are no overload");
        assert!(
            bytes * 10 >= peak * 9,
            "{bytes} of {peak} with {clients} clients"
        );
    }
}

proptest! {
    /// Whatever happens in whatever order: the window holds, nothing is given to one who did not ask or is gone, what was
    /// asked for is given in the end, and nothing is left when all is over.
    #[test]
    fn any_order_of_events(
        rates in (proptest::option::of(1u64..100_000_000), proptest::option::of(1u64..100_000_000)),
        window in 1u64..(2 * MIB),
        events in proptest::collection::vec((0u8..4, 0u64..12, 1u64..MIB, 0u64..700), 1..200),
    ) {
        let caps = Caps {
            total_rate: rates.0,
            client_rate: rates.1,
            requests: 10,
            client_requests: 4,
            window,
            client_window: window / 2,
            ..Caps::default()
        };
        let mut machine = Admission::new(caps, Millis(0));
        // By ticket: what it wants, and what it holds.
        let mut live: BTreeMap<Ticket, (u64, u64)> = BTreeMap::new();
        let (mut now, mut out) = (0u64, Vec::new());
        for (what, ticket, bytes, later) in events {
            now += later;
            let ticket = Ticket(ticket);
            let event = match what {
                0 if !live.contains_key(&ticket) => Event::Arrives { ticket, client: u32::try_from(ticket.0 % 4).unwrap() },
                1 => {
                    if let Some((wants, _)) = live.get_mut(&ticket).filter(|(wants, _)| *wants == 0) {
                        *wants = bytes;
                        Event::Wants { ticket, bytes }
                    } else {
                        Event::Tick
                    }
                }
                2 => {
                    if let Some((_, held)) = live.get_mut(&ticket) {
                        *held = held.saturating_sub(bytes);
                    }
                    Event::Taken { ticket, bytes }
                }
                3 => {
                    live.remove(&ticket);
                    Event::Ends { ticket }
                }
                _ => Event::Tick,
            };
            machine.handle(Millis(now), event, &mut out);
            follow(&mut live, &mut out);
            let held: u64 = live.values().map(|(_, held)| held).sum();
            prop_assert_eq!(machine.outstanding(), held);
            prop_assert!(held <= window || live.values().filter(|(_, held)| *held > 0).count() <= 1);
            prop_assert_eq!(machine.in_work(), live.len());
        }
        // Everybody takes what they have: in the end nobody waits.
        for _ in 0..100_000 {
            let holding: Vec<_> = live.iter().filter(|(_, (_, held))| *held > 0).map(|(t, (_, held))| (*t, *held)).collect();
            for (ticket, bytes) in holding {
                live.get_mut(&ticket).unwrap().1 = 0;
                machine.handle(Millis(now), Event::Taken { ticket, bytes }, &mut out);
                follow(&mut live, &mut out);
            }
            if live.values().all(|(wants, held)| *wants == 0 && *held == 0) {
                break;
            }
            if live.values().all(|(_, held)| *held == 0) {
                let at = machine.deadline();
                prop_assert!(at.is_some(), "somebody waits for nothing: {:?}", live);
                now = now.max(at.unwrap().0);
                machine.handle(Millis(now), Event::Tick, &mut out);
                follow(&mut live, &mut out);
            }
        }
        prop_assert!(live.values().all(|(wants, _)| *wants == 0), "{:?}", live);
        for ticket in live.into_keys().collect::<Vec<_>>() {
            machine.handle(Millis(now), Event::Ends { ticket }, &mut out);
        }
        prop_assert_eq!((machine.in_work(), machine.outstanding()), (0, 0));
    }
}

fn follow(live: &mut BTreeMap<Ticket, (u64, u64)>, out: &mut Vec<Action>) {
    for action in out.drain(..) {
        match action {
            Action::Admit(ticket) => assert_eq!(live.insert(ticket, (0, 0)), None),
            Action::Refuse { ticket, .. } => assert!(!live.contains_key(&ticket)),
            Action::Give { ticket, bytes } => {
                let (wants, held) = live.get_mut(&ticket).expect("given to one who is gone");
                assert_eq!(*wants, bytes);
                (*wants, *held) = (0, *held + bytes);
            }
            Action::CutOff { ticket, held, .. } => {
                // Its time may be over before what it takes just now is counted.
                assert!(live.remove(&ticket).unwrap().1 <= held);
            }
        }
    }
}
