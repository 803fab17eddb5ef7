// SPDX-License-Identifier: Apache-2.0
//! Whatever comes in whatever order: bounds hold, every running session has an end in time, and nothing panics.

use super::play::{BEGAN, mac};
use groundstate_api::boot_session::{BootStep, SessionState, Via};
use groundstate_api::{Bytes, Millis};
use proptest::prelude::*;
use pxe_core::session::{About, Action, Event, Limits, Sessions};
use std::collections::BTreeSet;

const LIMITS: Limits = Limits {
    sessions: 12,
    per_machine: 3,
    steps: 6,
};

fn file() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("local-disk".to_owned()),
        Just("snponly.efi".to_owned()),
        Just("http://10.0.0.1/boot/ipxe/x.ipxe".to_owned()),
        Just("vmlinuz".to_owned()),
        Just("initrd.img".to_owned()),
        Just("pxelinux.0".to_owned()),
        Just("own.bin".to_owned()),
        any::<String>(),
    ]
}

fn step() -> impl Strategy<Value = BootStep> {
    let client = prop_oneof![
        Just("BIOS PXE".to_owned()),
        Just("UEFI HTTP Boot".to_owned()),
        Just("iPXE".to_owned()),
        Just("an operating system".to_owned()),
        Just("architecture 11".to_owned()),
    ];
    let address = (0u8..6).prop_map(|n| format!("10.0.0.{n}"));
    let via = prop_oneof![Just(Via::Tftp), Just(Via::Http)];
    let took = Just(Millis(1));
    prop_oneof![
        client.prop_map(|client| BootStep::Asked {
            via: Via::Dhcp,
            client,
            firmware: None
        }),
        (address.clone(), proptest::option::of(file())).prop_map(|(address, file)| {
            BootStep::Offered {
                via: Via::Dhcp,
                address: Some(address),
                file,
            }
        }),
        (address, proptest::option::of(file())).prop_map(|(address, file)| BootStep::Bound {
            via: Via::Dhcp,
            address,
            file
        }),
        any::<String>().prop_map(|why| BootStep::Denied {
            via: Via::Dhcp,
            why
        }),
        any::<String>().prop_map(|why| BootStep::Unanswered {
            via: Via::Dhcp,
            why
        }),
        (via.clone(), file()).prop_map(|(via, file)| BootStep::FileAsked { via, file }),
        (via.clone(), file(), took).prop_map(|(via, file, took)| BootStep::FileSent {
            via,
            file,
            length: Bytes(1),
            took,
            again: 0
        }),
        (via, file(), any::<String>()).prop_map(|(via, file, why)| BootStep::FileEnded {
            via,
            file,
            why
        }),
        Just(BootStep::SentToLocalDisk { via: Via::Dhcp }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(u64, u32, bool, BootStep)>> {
    let pause = prop_oneof![3 => 0u64..2_000, 1 => 0u64..400_000];
    let one = (pause, 0u32..20, any::<bool>(), step());
    proptest::collection::vec(one, 0..120)
}

fn check_bounds(sessions: &Sessions) {
    let all = sessions.list(None);
    assert!(all.len() <= LIMITS.sessions);
    let machines: BTreeSet<_> = all.iter().map(|session| session.mac).collect();
    for mac in machines {
        let own = sessions.list(Some(mac));
        assert!(own.len() <= LIMITS.per_machine);
        // Only the newest boot of a machine can go on.
        for old in own.iter().skip(1) {
            assert_ne!(old.state, SessionState::Running);
        }
    }
    for session in &all {
        assert!(!session.steps.is_empty() && session.steps.len() <= LIMITS.steps);
        assert!(session.began <= session.last);
        assert!(session.steps.iter().all(|step| step.at <= step.last));
        if let SessionState::Stopped { why, next } = &session.state {
            assert!(!why.is_empty() && !next.is_empty());
        }
    }
    let counts = sessions.counts();
    let sum = counts.running + counts.fetched + counts.local_disk + counts.stopped;
    assert_eq!(sum, all.len());
    assert_eq!(sessions.deadline().is_some(), counts.running > 0);
}

proptest! {
    #[test]
    fn whatever_comes_bounds_hold_and_each_session_ends(steps in steps()) {
        let mut sessions = Sessions::new(LIMITS);
        let mut now = BEGAN;
        let (mut began, mut ended) = (0usize, 0usize);
        let mut out = Vec::new();
        for (pause, machine, known, step) in steps {
            now = now.plus(Millis(pause));
            let about = About { known, ..About::default() };
            sessions.handle(now, Event::Timeout, &mut out);
            sessions.handle(now, Event::Step { mac: mac(machine), step, about }, &mut out);
            prop_assert!(sessions.deadline().is_none_or(|at| at > now));
            check_bounds(&sessions);
        }
        // An hour of silence ends every session.
        sessions.handle(now.plus(Millis::secs(3_600)), Event::Timeout, &mut out);
        check_bounds(&sessions);
        prop_assert_eq!(sessions.counts().running, 0);
        for action in out {
            match action {
                Action::Began(_) => began += 1,
                Action::Ended(session) => {
                    prop_assert_ne!(session.state, SessionState::Running);
                    ended += 1;
                }
                Action::Foreign(_) => prop_assert!(false, "nobody heard one"),
            }
        }
        prop_assert!(sessions.list(None).len() <= began);
        prop_assert!(ended + usize::try_from(sessions.forgotten()).unwrap() >= began);
    }
}
