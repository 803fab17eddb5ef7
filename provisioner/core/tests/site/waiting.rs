// SPDX-License-Identifier: Apache-2.0
//! Machines of no node: shown, bounded, told what they wait for, gone once they are a node's.

use super::site;
use groundstate_api::boot::BootSighting;
use groundstate_api::enrol::EnrolRequest;
use groundstate_api::event::{Event, Happened};
use groundstate_api::machine::Left;
use groundstate_api::{MacAddr, Millis};
use prov_core::waiting_room::{ASKED_MAX, HEARD_MAX, OF_ADDRESS_MAX};
use prov_core::{Fleet, Reply, Wish};
use std::net::{IpAddr, Ipv4Addr};

fn mac(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr([2, 9, a, b, c, d])
}

fn request(number: u32) -> EnrolRequest {
    serde_json::from_value(serde_json::json!({
        "schema": 1, "macs": [mac(number)], "boot_mac": mac(number), "serial": format!("S{number}"),
        "uuid": format!("564d1234-5678-9abc-def0-0000{number:08x}"), "model": "Dell Inc. PowerEdge R640",
        "boot_id": "11111111-1111-1111-1111-111111111111", "uefi": true, "csr_pem": "",
    }))
    .unwrap()
}

fn from(number: u32) -> Option<IpAddr> {
    Some(Ipv4Addr::from(0x0a14_0000 + number).into())
}

fn open_fleet() -> Fleet {
    let mut site = site();
    site.policy.closed = false;
    Fleet::new(&site, Millis(0))
}

fn asks(fleet: &mut Fleet, now: u64, number: u32, address: u32) -> Vec<Wish> {
    let mut wishes = Vec::new();
    fleet.stranger_enrols(Millis(now), &request(number), from(address), &mut wishes);
    wishes
}

fn events(wishes: &[Wish]) -> Vec<&Happened> {
    let event = |wish: &'_ Wish| matches!(wish, Wish::Append(_));
    wishes
        .iter()
        .filter(|wish| event(wish))
        .map(|wish| match wish {
            Wish::Append(happened) => happened,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_machine_waits_is_proposed_a_profile_and_told_what_for() {
    let mut fleet = open_fleet();
    let wishes = asks(&mut fleet, 10, 1, 1);
    assert!(
        matches!(events(&wishes)[..], [Happened::MachineSeen { .. }]),
        "{wishes:?}"
    );
    let Some(Wish::Reply(Reply::NotEnrolled { reason, .. })) = wishes.last() else {
        panic!("{wishes:?}");
    };
    assert!(
        reason
            .next_step
            .contains("groundstate machine accept 02:09:00:00:00:01"),
        "{reason}"
    );
    let machines = fleet.machines(&site());
    assert_eq!(machines.len(), 1);
    assert_eq!(machines[0].profile.as_deref(), Some("r640"));
    assert!(machines[0].can_be_accepted());
    // It asks again: nothing is journalled, and it is known to be there still.
    assert!(events(&asks(&mut fleet, 20, 1, 1)).is_empty());
    assert_eq!(fleet.machines(&site())[0].last_seen, Millis(20));
    assert_eq!(fleet.machines(&site())[0].first_seen, Millis(10));
}

#[test]
fn a_closed_site_refuses_and_shows_it_all_the_same() {
    let mut fleet = Fleet::new(&site(), Millis(0));
    let wishes = asks(&mut fleet, 10, 1, 1);
    assert!(
        matches!(
            events(&wishes)[..],
            [Happened::EnrolRefused { .. }, Happened::MachineSeen { .. }]
        ),
        "{wishes:?}"
    );
    let mut wishes = Vec::new();
    let leased = BootSighting::Leased {
        address: "10.20.0.9".into(),
        firmware: None,
    };
    fleet.stranger_boots(Millis(11), mac(2), leased, &mut wishes);
    let machines = fleet.machines(&site());
    assert_eq!(machines.len(), 2);
    assert!(!machines[1].can_be_accepted(), "only its card was heard");
    assert_eq!(machines[1].address.as_deref(), Some("10.20.0.9"));
}

#[test]
fn a_flood_costs_bounded_memory_few_events_and_nobodys_place_who_goes_on_asking() {
    let mut fleet = open_fleet();
    asks(&mut fleet, 0, 1, 1);
    let mut journalled = 0;
    for number in 2..20_000u32 {
        let now = u64::from(number);
        journalled += events(&asks(&mut fleet, now, number, number)).len();
        let mut wishes = Vec::new();
        let sent = BootSighting::SentToLocalDisk;
        fleet.stranger_boots(Millis(now), mac(100_000 + number), sent, &mut wishes);
        journalled += events(&wishes).len();
        if number % 500 == 0 {
            asks(&mut fleet, now, 1, 1);
        }
    }
    let machines = fleet.machines(&site());
    assert_eq!(machines.len(), ASKED_MAX + HEARD_MAX);
    assert!(machines.iter().any(|machine| machine.mac == mac(1)));
    assert!(journalled < 1_024, "{journalled} events");
}

#[test]
fn one_address_does_not_fill_the_room() {
    let mut fleet = open_fleet();
    asks(&mut fleet, 0, 1, 1);
    for number in 2..2_000 {
        asks(&mut fleet, u64::from(number), number, 2);
    }
    let machines = fleet.machines(&site());
    assert_eq!(machines.len(), 1 + OF_ADDRESS_MAX);
    assert_eq!(machines[0].mac, mac(1));
}

#[test]
fn what_was_journalled_is_there_after_a_restart_and_gone_once_it_is_a_node() {
    let mut fleet = open_fleet();
    let wishes = asks(&mut fleet, 10, 1, 1);
    let mut after = open_fleet();
    for (number, what) in events(&wishes).into_iter().enumerate() {
        let number = u64::try_from(number).unwrap() + 1;
        after.apply(&Event {
            number,
            at: Millis(10),
            node: None,
            what: what.clone(),
        });
    }
    assert_eq!(after.machines(&site()), fleet.machines(&site()));
    let mut other = site();
    other.nodes[0].mac = mac(1);
    fleet.reconcile(&other, Millis(20));
    assert_eq!(fleet.machines_waiting(), 0, "it is a node");
    let mut wishes = Vec::new();
    assert!(after.machine_leaves(mac(1), Left::Forgotten, "operator:ana", &mut wishes));
    let what = events(&wishes)[0].clone();
    after.apply(&Event {
        number: 9,
        at: Millis(30),
        node: None,
        what,
    });
    assert_eq!(after.machines_waiting(), 0);
    assert!(!after.machine_leaves(mac(1), Left::Forgotten, "operator:ana", &mut wishes));
}
