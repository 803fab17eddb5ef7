// SPDX-License-Identifier: Apache-2.0
//! Every lie with every method: the disk ends in quarantine each time, whatever it held.

use super::drive::{Filled, Lie, SIZE, Sim};
use crate::erase::ladder;
use groundstate_api::Millis;
use groundstate_api::erase::{EraseClass, EraseMethod, EraseOutcome};

const LIES: [Lie; 22] = [
    Lie::DoesNothing,
    Lie::LeavesTheEnd(512),
    Lie::LeavesTheEnd(8 * 512),
    Lie::LeavesTheEnd(SIZE / 2),
    Lie::Leaves(0, 512),
    Lie::Leaves(3 << 18, 4_096),
    Lie::Leaves(1 << 18, 1 << 19),
    Lie::AnswersOld(4_096 * 7, 4_096),
    Lie::AnswersOld(0, SIZE),
    Lie::Shifts(4_096),
    Lie::Shifts(1 << 18),
    Lie::StandsStill,
    Lie::NeverEnds,
    Lie::FallsSilent,
    Lie::SaysFailed,
    Lie::FailsAndErases,
    Lie::Resets,
    Lie::Unclear,
    Lie::NeverStarts,
    Lie::Unreadable(1 << 19),
    Lie::Gone,
    Lie::LeavesAPattern,
];

#[test]
fn every_lie_with_every_method_ends_in_quarantine() {
    let mut tried = 0;
    for method in EraseMethod::ALL {
        for lie in LIES.into_iter().chain([Lie::StopsReading]) {
            let mut sim = Sim::new(method, Filled::Full);
            sim.lie = lie;
            let record = sim.erase(EraseClass::Clear);
            assert!(
                matches!(&record.outcome, EraseOutcome::Quarantine { method: Some(one), why } if *one == method && !why.is_empty()),
                "{method} {lie:?}: {record:?}"
            );
            assert_eq!(
                sim.begun,
                [method],
                "{lie:?}: nothing follows a method that began"
            );
            tried += 1;
        }
    }
    assert_eq!(tried, 14 * 23);
}

/// On a blank disk nothing could tell: the witnesses that were written there do. What they do not lie on, no erase of a
/// blank disk can be held to.
#[test]
fn a_drive_that_does_nothing_is_found_out_on_a_blank_disk_too() {
    let lies = [
        Lie::DoesNothing,
        Lie::AnswersOld(0, SIZE),
        Lie::LeavesTheEnd(SIZE / 2),
        Lie::Leaves(1 << 18, 1 << 19),
        Lie::Shifts(4_096),
    ];
    for method in EraseMethod::ALL {
        for lie in lies {
            let mut sim = Sim::new(method, Filled::Blank);
            sim.lie = lie;
            let record = sim.erase(EraseClass::Clear);
            assert!(
                matches!(record.outcome, EraseOutcome::Quarantine { .. }),
                "{method} {lie:?}: {record:?}"
            );
        }
    }
}

#[test]
fn a_drive_that_hangs_is_given_up_at_the_end_of_its_own_time() {
    for (lie, most) in [
        (Lie::FallsSilent, Millis::secs(3 * 60)),
        (Lie::NeverStarts, Millis::secs(3 * 60)),
        // Three times its estimate of a minute, and ten minutes.
        (Lie::StandsStill, Millis::secs(13 * 60 + 2)),
        (Lie::NeverEnds, Millis::secs(13 * 60 + 2)),
    ] {
        let mut sim = Sim::new(EraseMethod::NvmeSanitizeBlock, Filled::Full);
        sim.lie = lie;
        sim.erase(EraseClass::Clear);
        assert!(sim.ended <= most, "{lie:?}: {}", sim.ended);
    }
}

#[test]
fn what_a_drive_cannot_do_or_must_not_is_left_out_with_its_reason() {
    use crate::erase::{AtaFacts, AtaSecurity, DriveFacts, Interface, NvmeFacts};
    let drive = |interface| DriveFacts {
        size: groundstate_api::Bytes::gib(100),
        sector: 512,
        rotational: true,
        interface,
    };
    let ata = |security: AtaSecurity, hidden| {
        drive(Interface::Ata(AtaFacts {
            sanitize: true,
            sanitize_overwrite: true,
            sanitize_frozen: security.frozen,
            security: Some(security),
            hidden: Some(hidden),
            ..AtaFacts::default()
        }))
    };
    let methods = |drive: &DriveFacts| {
        let found = ladder(drive, EraseClass::Clear);
        let methods: Vec<&str> = found
            .rungs
            .iter()
            .map(|rung| rung.method.as_str())
            .collect();
        let whys: Vec<String> = found.left_out.iter().map(|one| one.why.clone()).collect();
        (methods.join(" "), whys.join("; "))
    };
    let plain = AtaSecurity::default();
    let (has, why) = methods(&ata(plain, 0));
    assert_eq!(has, "ata-sanitize-overwrite ata-security-erase overwrite");
    assert!(why.contains("does not have it"), "{why}");
    let (has, why) = methods(&ata(
        AtaSecurity {
            frozen: true,
            ..plain
        },
        0,
    ));
    assert_eq!(has, "overwrite");
    assert!(why.contains("frozen"), "{why}");
    let locked = AtaSecurity {
        locked: true,
        enabled: true,
        ..plain
    };
    let (has, why) = methods(&ata(locked, 0));
    assert_eq!(has, "");
    assert!(why.contains("locked"), "{why}");
    let (has, why) = methods(&ata(plain, 2_048));
    assert_eq!(has, "ata-sanitize-overwrite");
    assert!(why.contains("hides 2048 sectors"), "{why}");
    let two = NvmeFacts {
        sanitize_block: true,
        format: true,
        format_crypto: true,
        namespaces: 2,
        ..NvmeFacts::default()
    };
    let (has, why) = methods(&drive(Interface::Nvme(two.clone())));
    assert_eq!(has, "nvme-format-crypto nvme-format-user-data overwrite");
    assert!(why.contains("all 2 namespaces"), "{why}");
    let for_all = NvmeFacts {
        format_is_for_all: true,
        ..two
    };
    assert_eq!(methods(&drive(Interface::Nvme(for_all))).0, "overwrite");
    let (has, why) = methods(&drive(Interface::Plain("a virtio disk".into())));
    assert_eq!((has.as_str(), why.as_str()), ("overwrite", "a virtio disk"));
}
