// SPDX-License-Identifier: Apache-2.0
//! Ladders played against BMCs that lie in one way or the other.
#![allow(
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines
)]

use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;

/// What becomes of a rung.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Works,
    ReadsBackOtherwise,
    BootsOtherwise,
    NeverSeen,
    NotOffered,
    Unreachable,
    WrongPassword,
}

fn play(
    to: NextBoot,
    can: &[Rung],
    learned: &mut Learned,
    fate: impl Fn(Rung) -> Fate,
) -> (Vec<String>, Option<Rung>) {
    let key = MachineKey::new("Contoso", "R1", "1");
    let mut ladder = Ladder::new(to, can, learned, Some(&key));
    let (mut now, mut said, mut proven, mut held) = (Millis(0), Vec::new(), None, false);
    let mut out = Vec::new();
    ladder.handle(now, Event::Begin, &mut out);
    for _ in 0..200 {
        // It is written down between any two steps.
        ladder = serde_json::from_str(&serde_json::to_string(&ladder).unwrap()).unwrap();
        if out.is_empty() {
            let Some(until) = ladder.deadline() else {
                break;
            };
            now = until;
            ladder.handle(now, Event::Tick, &mut out);
            continue;
        }
        let action = out.remove(0);
        match action {
            Action::Set(rung) => {
                said.push(format!("set {rung}"));
                held |= rung == Rung::RedfishPersistent;
                let result = match fate(rung) {
                    Fate::Works | Fate::BootsOtherwise | Fate::NeverSeen => {
                        Ok(vec!["read back".into()])
                    }
                    Fate::ReadsBackOtherwise => Err(Trouble::Ignored {
                        asked: "x".into(),
                        seen: "y".into(),
                    }),
                    Fate::NotOffered => Err(Trouble::NotOffered {
                        wanted: "x".into(),
                        offers: vec![],
                    }),
                    Fate::Unreachable => Err(Trouble::Unreachable {
                        what: "no route".into(),
                    }),
                    Fate::WrongPassword => Err(Trouble::CredentialRefused {
                        user: "u".into(),
                        says: "401".into(),
                    }),
                };
                if result.is_err()
                    && !matches!(fate(rung), Fate::ReadsBackOtherwise)
                    && rung == Rung::RedfishPersistent
                {
                    held = false;
                }
                ladder.handle(now, Event::Set { rung, result }, &mut out);
            }
            Action::Ready { rung, .. } | Action::RestartAgain { rung, .. } => {
                said.push(format!("restart with {rung}"));
                ladder.handle(now, Event::Restarted, &mut out);
                let right = match to {
                    NextBoot::Network => Sighting::Pxe,
                    NextBoot::HttpBoot => Sighting::Http,
                    NextBoot::Disk => Sighting::Disk,
                    NextBoot::VirtualMedia => Sighting::VirtualMedia,
                };
                let wrong = if to == NextBoot::Disk {
                    Sighting::Pxe
                } else {
                    Sighting::Disk
                };
                match fate(rung) {
                    Fate::Works => ladder.handle(now, Event::Sighted(right), &mut out),
                    Fate::BootsOtherwise => ladder.handle(now, Event::Sighted(wrong), &mut out),
                    _ => {}
                }
            }
            Action::ClearOverride => {
                held = false;
                said.push("clear".into());
            }
            Action::Learn { rung, lesson } => learned.note(&key, to, rung, lesson, now),
            Action::Proven { rung } => {
                proven = Some(rung);
                said.push(format!("proven {rung}"));
            }
            Action::GiveUp(trouble) => said.push(format!("give up: {trouble}")),
        }
    }
    assert!(ladder.has_ended(), "{said:?}");
    assert!(!held, "an override that holds was left behind: {said:?}");
    (said, proven)
}

fn check(fates: [Fate; 5], expected: Expect) {
    let fate = move |rung| fates[Rung::ALL.iter().position(|one| *one == rung).unwrap()];
    let (said, _) = play(NextBoot::Network, &Rung::ALL, &mut Learned::default(), fate);
    expected.assert_eq(&said.join("\n"));
}

#[test]
fn a_liar_goes_one_rung_down() {
    use Fate::{
        BootsOtherwise, NeverSeen, NotOffered, ReadsBackOtherwise, Unreachable, Works,
        WrongPassword,
    };
    check(
        [Works; 5],
        expect![[r#"
        set redfish-once
        restart with redfish-once
        proven redfish-once"#]],
    );
    check(
        [ReadsBackOtherwise, BootsOtherwise, Works, Works, Works],
        expect![[r#"
        set redfish-once
        set redfish-persistent
        restart with redfish-persistent
        clear
        set ipmi
        restart with ipmi
        proven ipmi"#]],
    );
    check(
        [NotOffered, Works, Works, Works, Works],
        expect![[r#"
        set redfish-once
        set redfish-persistent
        restart with redfish-persistent
        clear
        proven redfish-persistent"#]],
    );
    check(
        [Unreachable, Works, NeverSeen, NotOffered, Works],
        expect![[r#"
        set redfish-once
        set ipmi
        restart with ipmi
        set in-os-boot-next
        set boot-service
        restart with boot-service
        proven boot-service"#]],
    );
    check(
        [WrongPassword, Works, Works, NotOffered, BootsOtherwise],
        expect![[r#"
        set redfish-once
        set in-os-boot-next
        set boot-service
        restart with boot-service
        give up: it said yes to every way to choose what it boots next, and afterwards there is redfish-once: it refuses the credential of user u (401); in-os-boot-next: it does not offer x; boot-service: it was set and read back, and it booted from its disk"#]],
    );
}

#[test]
fn the_second_time_begins_with_what_worked() {
    let fate = |rung| {
        if rung == Rung::Ipmi {
            Fate::Works
        } else {
            Fate::ReadsBackOtherwise
        }
    };
    let mut learned = Learned::default();
    play(NextBoot::Network, &Rung::ALL, &mut learned, fate);
    let (said, proven) = play(NextBoot::Network, &Rung::ALL, &mut learned, fate);
    assert_eq!((said.len(), proven), (3, Some(Rung::Ipmi)), "{said:?}");
}

#[test]
fn without_rungs_it_says_so() {
    let (said, _) = play(
        NextBoot::VirtualMedia,
        &[Rung::BootService],
        &mut Learned::default(),
        |_| Fate::Works,
    );
    assert_eq!(
        said,
        ["give up: it does not offer a way to choose what it boots next"]
    );
}

proptest! {
    #[test]
    fn it_ends_with_the_first_rung_that_works(
        fates in prop::collection::vec(prop::sample::select(vec![
            Fate::Works, Fate::ReadsBackOtherwise, Fate::BootsOtherwise, Fate::NeverSeen, Fate::NotOffered, Fate::Unreachable, Fate::WrongPassword,
        ]), 5),
        to in prop::sample::select(vec![NextBoot::Network, NextBoot::HttpBoot, NextBoot::Disk, NextBoot::VirtualMedia]),
        can in prop::sample::subsequence(Rung::ALL.to_vec(), 0..=5),
    ) {
        let at = |rung| Rung::ALL.iter().position(|one| *one == rung).unwrap();
        let mut learned = Learned::default();
        let (_, proven) = play(to, &can, &mut learned, |rung| fates[at(rung)]);
        if let Some(rung) = proven {
            prop_assert!(matches!(fates[at(rung)], Fate::Works));
        }
        // A second time it is never worse.
        let (said, again) = play(to, &can, &mut learned, |rung| fates[at(rung)]);
        prop_assert_eq!(proven.is_some(), again.is_some(), "{:?}", said);
    }

    #[test]
    fn no_order_of_events_breaks_it(events in prop::collection::vec(0u8..9, 0..60)) {
        let mut ladder = Ladder::new(NextBoot::Network, &Rung::ALL, &Learned::default(), None);
        let (mut out, mut wanted) = (Vec::new(), None);
        for (at, event) in events.into_iter().enumerate() {
            let now = Millis(u64::try_from(at).unwrap() * 60_000);
            let set = |rung, result| Event::Set { rung, result };
            let rung = wanted.unwrap_or(Rung::Ipmi);
            let event = match event {
                0 => Event::Begin,
                1 => set(rung, Ok(vec![])),
                2 => set(rung, Err(Trouble::odd("x"))),
                3 => set(Rung::InOs, Ok(vec![])),
                4 => Event::Restarted,
                5 => Event::Sighted(Sighting::Disk),
                6 => Event::Sighted(Sighting::Http),
                _ => Event::Tick,
            };
            let was = ladder.has_ended();
            out.clear();
            ladder.handle(now, event, &mut out);
            prop_assert!(!was || out.is_empty());
            for action in &out {
                if let Action::Set(rung) = action { wanted = Some(*rung); }
            }
        }
    }
}
