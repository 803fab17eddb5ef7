// SPDX-License-Identifier: Apache-2.0
//! Which address is whose: pools, reservations, restarts, floods.

use crate::packet::{Desk, MAC, Packet, RELEASE, REQUEST, SOLICIT, config, given, ip, show};
use groundstate_api::boot::BootAnswer;
use groundstate_api::{MacAddr, Millis};
use pxe_core::dhcp6::{Dhcp6Config, LEASES_MAX, Lease6, Reservation6, Subnet6, Who6};
use std::collections::BTreeSet;

fn pool(last: &str) -> Dhcp6Config {
    Dhcp6Config {
        subnets: vec![Subnet6 {
            first: ip("fd77::100"),
            last: ip(last),
            ..config().subnets[0]
        }],
        ..config()
    }
}

#[test]
fn a_small_pool_is_used_to_its_last_address_and_then_says_so() {
    let mut desk = Desk::with(pool("fd77::109"), Vec::new());
    let addresses: BTreeSet<_> = (0..10).map(|n| desk.lease(n).unwrap()).collect();
    assert_eq!(addresses.len(), 10);
    assert_eq!(desk.lease(10), None);
    let text = desk.says(&Packet::new(REQUEST, 10).naming_us().ia(&[]));
    assert!(text.contains("status 2 no address is free"), "{text}");
    // An address that was given back is free at once, and one that ran out as well.
    let third = *addresses.iter().nth(3).unwrap();
    let holder = (0..10)
        .find(|n| {
            let text = desk.says(&Packet::new(RELEASE, *n).naming_us().ia(&[third]));
            text.contains("keep")
        })
        .unwrap();
    assert_eq!(desk.lease(10), Some(third));
    assert_eq!(desk.lease(holder), None);
    desk.now = desk.now.plus(Millis::secs(3_601));
    assert!(desk.lease(holder).is_some());
}

#[test]
fn leases_outlive_a_restart() {
    let mut desk = Desk::new();
    let address = desk.lease(1).unwrap();
    let kept: Vec<Lease6> = desk.server.leases().cloned().collect();
    let text = serde_json::to_string(&kept).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Lease6>>(&text).unwrap(), kept);
    let mut after = Desk::with(config(), kept.clone());
    assert_eq!(after.server.of_address(address), kept.first());
    let wish = Packet::new(SOLICIT, 2).ia(&[address]);
    let other = given(&after.ask(&wish, &BootAnswer::MaintenanceOs)).unwrap();
    assert_ne!(other, address, "it is somebody's");
    // A pool that has moved keeps nothing of the old one.
    let moved = Desk::with(pool("fd77::1ff"), kept);
    assert_eq!(moved.server.leases().count(), 0);
}

#[test]
fn a_reserved_address_is_one_machines_alone() {
    let reserved = ip("fd77::102");
    let reservations = vec![Reservation6 {
        who: Who6::Mac(MAC),
        address: reserved,
    }];
    let config = Dhcp6Config {
        reservations,
        ..pool("fd77::103")
    };
    let mut desk = Desk::with(config, Vec::new());
    let strangers: BTreeSet<_> = (1..5).filter_map(|n| desk.lease(n)).collect();
    assert_eq!(strangers.len(), 3, "of four addresses one is reserved");
    assert!(!strangers.contains(&reserved));
    assert_eq!(desk.lease(0x56), Some(reserved));
    // The same machine under another name (its operating system's) has the same address.
    let other = Packet::nobody(REQUEST)
        .option(
            1,
            &[0, 1, 0, 1, 1, 2, 3, 4, 0x52, 0x54, 0, 0x12, 0x34, 0x56],
        )
        .naming_us()
        .ia(&[]);
    let out = desk.ask(&other, &BootAnswer::MaintenanceOs);
    assert_eq!(given(&out), Some(reserved), "{}", show(&out));
    assert_eq!(desk.server.leases().count(), 4);
}

#[test]
fn a_flood_of_solicits_costs_no_memory_and_one_of_requests_is_bounded() {
    let known = MacAddr([2, 0, 0, 0, 0, 1]);
    let config = Dhcp6Config {
        reservations: vec![Reservation6 {
            who: Who6::Mac(known),
            address: ip("fd77::7"),
        }],
        ..config()
    };
    let mut desk = Desk::with(config, Vec::new());
    let stranger = |kind: u8, n: u32| {
        let [a, b, c, d] = n.to_be_bytes();
        Packet::nobody(kind).option(1, &[0, 3, 0, 1, 4, 0, a, b, c, d])
    };
    for n in 0..2_000 {
        desk.ask(&stranger(SOLICIT, n).ia(&[]), &BootAnswer::Nothing);
    }
    assert_eq!(desk.server.leases().count(), 0);
    let most = u32::try_from(LEASES_MAX).unwrap();
    for n in 0..most + 300 {
        desk.ask(
            &stranger(REQUEST, n).naming_us().ia(&[]),
            &BootAnswer::Nothing,
        );
    }
    assert!(desk.server.leases().count() <= LEASES_MAX + 2);
    let refused = desk.ask(
        &stranger(REQUEST, most + 300).naming_us().ia(&[]),
        &BootAnswer::Nothing,
    );
    assert!(show(&refused).contains("status 2"), "{}", show(&refused));
    // A machine with a reservation still gets its address.
    let [a, b, c, d, e, f] = known.0;
    let machine = Packet::nobody(REQUEST).option(1, &[0, 3, 0, 1, a, b, c, d, e, f]);
    let out = desk.ask(&machine.naming_us().ia(&[]), &BootAnswer::MaintenanceOs);
    assert_eq!(given(&out), Some(ip("fd77::7")), "{}", show(&out));
}
