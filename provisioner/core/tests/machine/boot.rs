// SPDX-License-Identifier: Apache-2.0
//! What a machine boots, and what the boot service saw.

use crate::world::*;
use prov_core::deadline::*;

#[test]
fn what_a_machine_boots() {
    let unknown = BootQuestion {
        firmware: Some(Firmware::Bios),
        ..BootQuestion::about(MacAddr([2, 0, 0, 0, 0, 7]))
    };
    let world = World::new();
    assert!(
        matches!(world.fleet.boot(&unknown), BootAnswer::Refuse { reason } if reason.code == ReasonCode::UnknownMachine)
    );
    let mut open = site();
    open.policy.closed = false;
    assert_eq!(
        Fleet::new(&open, Millis(0)).boot(&unknown),
        BootAnswer::MaintenanceOs,
        "it gets into the waiting room"
    );
    for firmware in [Firmware::Bios, Firmware::UefiPxe, Firmware::UefiHttp] {
        assert_eq!(
            World::new().boot(firmware),
            BootAnswer::LOCAL_DISK,
            "nothing is ordered"
        );
        let (mut world, plan) = World::deploying(1);
        assert_eq!(world.boot(firmware), BootAnswer::MaintenanceOs);
        world.hand_over(&plan);
        let host = if firmware.is_uefi() {
            BootAnswer::LOCAL_DISK
        } else {
            BootAnswer::MaintenanceOs
        };
        assert_eq!(world.boot(firmware), host);
        world.put(register(&plan, BOOT_B));
        assert_eq!(world.boot(firmware), host);
        assert_eq!(
            world.put(enrol(BOOT_A, "new")),
            Some(Reply::BootLocal(Box::new(plan)))
        );
    }
}

#[test]
fn sightings_move_an_ordered_node_and_spare_the_journal() {
    let mut world = World::new();
    world.put(ordered(1, false));
    let os_lease = BootSighting::Leased {
        address: "10.77.0.100".into(),
        firmware: None,
    };
    world.put(Input::Sighted(os_lease));
    assert_eq!(
        world.phase(),
        Phase::Ordered,
        "an operating system's lease is not a network boot"
    );
    let lease = BootSighting::Leased {
        address: "10.77.0.100".into(),
        firmware: Some(Firmware::UefiHttp),
    };
    world.put(Input::Sighted(lease));
    assert_eq!(world.phase(), Phase::Booting);
    let events = world.journal.len();
    for done in 0..200 {
        let sighting = BootSighting::FileProgress {
            file: "groundstate.efi".into(),
            done: Bytes(done),
            length: Bytes(200),
        };
        world.put(Input::Sighted(sighting));
    }
    assert_eq!(world.journal.len(), events + 1);
    assert!(matches!(
        world.node().view().boot,
        Some(BootSighting::FileProgress {
            done: Bytes(199),
            ..
        })
    ));
    assert_eq!(world.node().firmware, Some(Firmware::UefiHttp));
}

#[test]
fn sightings_are_journalled_once_a_minute_per_kind_and_file() {
    let mut world = World::new();
    let events = world.journal.len();
    let leased = |last: u64| BootSighting::Leased {
        address: format!("10.77.0.{}", last % 200),
        firmware: Some(Firmware::Bios),
    };
    let sent = |file: &str, length| BootSighting::FileSent {
        file: file.into(),
        length: Bytes(length),
        by: "tftp".into(),
    };
    for number in 0..590 {
        world.now = world.now.plus(Millis(100));
        world.put(Input::Sighted(leased(number)));
        world.put(Input::Sighted(sent("undionly.kpxe", number)));
        world.put(Input::Sighted(sent("snponly.efi", number)));
        let reason = Reason::new(ReasonCode::BadRequest, format!("{number}"), "n");
        world.put(Input::Sighted(BootSighting::Refused { reason }));
    }
    assert_eq!(world.journal.len(), events + 4);
    world.now = world.now.plus(SIGHTING_AGAIN);
    world.put(Input::Sighted(leased(1)));
    assert_eq!(world.journal.len(), events + 5);
    // A new order is a new boot: what is seen of it is news.
    world.put(ordered(1, false));
    let events = world.journal.len();
    world.put(Input::Sighted(leased(1)));
    assert_eq!(
        world.journal.len(),
        events + 2,
        "the sighting and the phase"
    );
}
