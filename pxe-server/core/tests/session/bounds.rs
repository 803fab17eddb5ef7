// SPDX-License-Identifier: Apache-2.0
//! What a flood costs: strangers, never a machine that is known.

use super::play::{BEGAN, Play, mac};
use groundstate_api::boot_session::{BootStep, SessionState, Via};
use groundstate_api::{MacAddr, Millis};
use pxe_core::session::{About, Event, Limits};

fn asked(mac: MacAddr, known: bool) -> Event {
    let step = BootStep::Asked {
        via: Via::Dhcp,
        client: "UEFI PXE".into(),
        firmware: None,
    };
    let about = About {
        known,
        ..About::default()
    };
    Event::Step { mac, step, about }
}

fn asks_for(mac: MacAddr, file: &str) -> Event {
    let (via, file) = (Via::Tftp, file.into());
    let about = About::default();
    Event::Step {
        mac,
        step: BootStep::FileAsked { via, file },
        about,
    }
}

#[test]
fn a_flood_of_strangers_takes_no_known_machines_session() {
    let limits = Limits {
        sessions: 64,
        ..Limits::default()
    };
    let mut play = Play::new(limits);
    for n in 0..16 {
        play.event(BEGAN, asked(mac(n), true));
    }
    for n in 16..24 {
        play.event(BEGAN, asked(mac(n), false));
        play.event(BEGAN, asks_for(mac(n), "snponly.efi"));
    }
    for n in 0..10_000u32 {
        play.event(
            BEGAN.plus(Millis(1 + u64::from(n))),
            asked(mac(1_000 + n), false),
        );
    }
    let left = play.sessions.list(None);
    assert!(left.len() <= 64, "{}", left.len());
    for n in 0..24 {
        assert!(
            left.iter().any(|session| session.mac == mac(n)),
            "machine {n}"
        );
    }
    // Most of the flood's machines were let go; the last of them is there.
    assert!(left.iter().any(|session| session.mac == mac(10_999)));
    assert!(play.sessions.forgotten() >= 9_900);
    // A known machine that comes later finds room.
    play.event(BEGAN.plus(Millis(20_000)), asked(mac(50), true));
    assert_eq!(play.sessions.list(Some(mac(50))).len(), 1);
}

#[test]
fn where_all_are_known_a_stranger_gets_no_session_and_a_known_one_takes_the_oldest() {
    let limits = Limits {
        sessions: 8,
        ..Limits::default()
    };
    let mut play = Play::new(limits);
    for n in 0..8 {
        play.event(BEGAN.plus(Millis(u64::from(n))), asked(mac(n), true));
    }
    play.event(BEGAN.plus(Millis(10)), asked(mac(90), false));
    assert_eq!(play.sessions.list(Some(mac(90))).len(), 0);
    play.event(BEGAN.plus(Millis(11)), asked(mac(91), true));
    assert_eq!(play.sessions.list(Some(mac(91))).len(), 1);
    assert_eq!(play.sessions.list(Some(mac(0))).len(), 0);
    assert_eq!(play.sessions.list(None).len(), 8);
}

#[test]
fn one_machines_sessions_and_steps_are_bounded() {
    let mut play = Play::new(Limits::default());
    for boot in 0..10u64 {
        let at = BEGAN.plus(Millis::secs(boot * 1_000));
        play.until(at);
        play.event(at, asked(mac(1), true));
    }
    let now = BEGAN.plus(Millis::secs(9_001));
    for n in 0..500 {
        play.event(now, asks_for(mac(1), &format!("file-{n}")));
    }
    let sessions = play.sessions.list(Some(mac(1)));
    assert_eq!(sessions.len(), Limits::default().per_machine);
    let newest = &sessions[0];
    assert_eq!(newest.steps.len(), Limits::default().steps);
    assert_eq!(newest.left_out, 501 - 40);
    assert!(newest.steps[0].step.says().contains("asked by DHCP"));
    assert!(newest.steps[39].step.says().contains("file-499"));
}

#[test]
fn names_of_the_wire_steer_no_terminal_and_are_cut() {
    let mut play = Play::new(Limits::default());
    let name = format!("\u{1b}[2J\u{202e}{}", "x".repeat(500));
    play.event(BEGAN, asks_for(mac(1), &name));
    let said = play.sessions.list(None)[0].steps[0].step.says();
    assert!(
        said.contains("?[2J?xxx") && said.chars().count() < 200,
        "{said}"
    );
    play.until(BEGAN.plus(Millis::secs(10_000)));
    let state = play.sessions.list(None)[0].state.clone();
    let SessionState::Stopped { why, .. } = state else {
        panic!("{state:?}");
    };
    assert!(
        !why.contains('\u{1b}') && why.chars().count() < 400,
        "{why}"
    );
}

#[test]
fn addresses_find_their_machine_and_the_newest_has_it() {
    let mut play = Play::new(Limits::default());
    let v6 = "2001:db8::5".parse().unwrap();
    let v4 = "10.0.0.5".parse().unwrap();
    play.script("0 1 asks UEFI PXE\n0 1 offer 10.0.0.5 snponly.efi\n1 1 bound 2001:db8::5");
    assert_eq!(play.sessions.of_address(v4), Some(mac(1)));
    assert_eq!(play.sessions.of_address(v6), Some(mac(1)));
    play.script("2 2 asks UEFI PXE\n3 2 bound 10.0.0.5 snponly.efi");
    assert_eq!(play.sessions.of_address(v4), Some(mac(2)));
    assert_eq!(play.sessions.of_address(v6), Some(mac(1)));
}

#[test]
fn who_asks_by_http_for_what_is_not_there_begins_no_boot_and_in_a_boot_it_is_told() {
    let missed = |n| Event::Step {
        mac: mac(n),
        step: BootStep::FileEnded {
            via: Via::Http,
            file: "favicon.ico".into(),
            why: "no such file".into(),
        },
        about: About::default(),
    };
    let mut play = Play::new(Limits::default());
    play.event(BEGAN, missed(1));
    assert!(play.sessions.list(None).is_empty());
    play.event(BEGAN, asked(mac(2), false));
    play.event(BEGAN, missed(2));
    let steps: Vec<String> = play.sessions.list(Some(mac(2)))[0]
        .steps
        .iter()
        .map(|step| step.step.says())
        .collect();
    assert_eq!(steps[1], "did not get favicon.ico by HTTP: no such file");
}

#[test]
fn followers_get_each_change_once() {
    let mut play = Play::new(Limits::default());
    play.script("0 1 asks UEFI PXE\n0 2 asks UEFI PXE\n0 3 asks UEFI PXE");
    let (first, at) = play.sessions.changed(0, 2);
    assert_eq!(
        first.iter().map(|s| s.mac).collect::<Vec<_>>(),
        [mac(1), mac(2)]
    );
    let (second, at) = play.sessions.changed(at, 2);
    assert_eq!(second.iter().map(|s| s.mac).collect::<Vec<_>>(), [mac(3)]);
    assert_eq!(play.sessions.changed(at, 2), (vec![], at));
    play.script("1 1 offer 10.0.0.5");
    assert_eq!(play.sessions.changed(at, 2).0[0].mac, mac(1));
}
