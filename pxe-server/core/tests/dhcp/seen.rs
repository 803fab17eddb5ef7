// SPDX-License-Identifier: Apache-2.0
//! What the server notices beside its own exchanges: addresses in use, other servers.

use crate::packet::{Desk, MAC, Packet, SERVER, config, reply};
use groundstate_api::MacAddr;
use groundstate_api::Millis;
use groundstate_api::boot::BootAnswer;
use pxe_core::dhcp::{Action, Event, LeaseState, Overheard};
use std::net::Ipv4Addr;

fn probing() -> Desk {
    let mut config = config();
    config.probe = true;
    Desk::of(config, Vec::new())
}

fn tell(desk: &mut Desk, event: Event) -> Vec<Action> {
    let mut out = Vec::new();
    desk.server.handle(Millis(desk.now), event, &mut out);
    out
}

fn probed(out: &[Action]) -> Option<Ipv4Addr> {
    out.iter().find_map(|action| match action {
        Action::Probe { address } => Some(*address),
        _ => None,
    })
}

#[test]
fn an_address_in_use_is_put_aside_and_the_machine_begins_again() {
    let mut desk = probing();
    let out = desk.ask(&Packet::new(1, MAC).end(), &BootAnswer::MaintenanceOs);
    let address = reply(&out).yiaddr();
    assert_eq!(
        probed(&out),
        Some(address),
        "while it is offered, not before"
    );
    let answered = Event::ProbeAnswered { address, by: None };
    let out = tell(&mut desk, answered.clone());
    assert!(
        matches!(&out[..], [Action::Keep(lease)] if lease.state == LeaseState::Declined && lease.address == address),
        "{out:?}"
    );
    let request = Packet::new(3, MAC)
        .option(50, &address.octets())
        .option(54, &SERVER);
    let out = desk.ask(&request.end(), &BootAnswer::MaintenanceOs);
    assert!(reply(&out).yiaddr().is_unspecified(), "NAK");
    assert!(!out.iter().any(|a| matches!(a, Action::Keep(_))));
    let next = desk.lease(MAC);
    assert_ne!(Ipv4Addr::from(next), address);
    // A bound address is not probed again, and an answer about it changes nothing: it is the machine itself.
    let out = desk.ask(&Packet::new(1, MAC).end(), &BootAnswer::MaintenanceOs);
    assert_eq!((probed(&out), reply(&out).yiaddr()), (None, next.into()));
    let late = Event::ProbeAnswered {
        address: next.into(),
        by: None,
    };
    assert_eq!(tell(&mut desk, late), []);
    assert_eq!(tell(&mut desk, answered), [], "told twice");
}

#[test]
fn the_machine_itself_may_answer_and_probes_are_off_unless_asked_for() {
    let mut desk = probing();
    let out = desk.ask(&Packet::new(1, MAC).end(), &BootAnswer::MaintenanceOs);
    let address = reply(&out).yiaddr();
    let itself = Event::ProbeAnswered {
        address,
        by: Some(MAC),
    };
    assert_eq!(tell(&mut desk, itself), []);
    assert_eq!(Ipv4Addr::from(desk.lease(MAC)), address);
    let nobody = Event::ProbeAnswered {
        address: [10, 77, 0, 5].into(),
        by: None,
    };
    assert_eq!(tell(&mut desk, nobody), []);
    let out =
        Desk::of(config(), Vec::new()).ask(&Packet::new(1, MAC).end(), &BootAnswer::MaintenanceOs);
    assert_eq!(probed(&out), None);
}

#[test]
fn a_flood_is_not_one_of_probes() {
    let mut desk = probing();
    let probes = (0..2_000u32).filter(|n| {
        let [a, b, c, d] = n.to_be_bytes();
        let packet = Packet::new(1, MacAddr([6, 0, a, b, c, d]));
        probed(&desk.ask(&packet.end(), &BootAnswer::MaintenanceOs)).is_some()
    });
    assert_eq!(probes.count(), 256);
}

fn foreign(out: &[Action]) -> Vec<(Ipv4Addr, MacAddr)> {
    let server = |action: &Action| match action {
        Action::Foreign { server, mac } => Some((*server, *mac)),
        _ => None,
    };
    out.iter().filter_map(server).collect()
}

/// A server's message as it is heard on port 68.
fn heard(kind: u8, server: [u8; 4]) -> Vec<u8> {
    Packet::new(kind, MAC)
        .at(0, &[2])
        .at(16, &[10, 77, 0, 66])
        .option(54, &server)
        .end()
}

#[test]
fn another_server_is_an_alarm_once_a_minute() {
    let mut desk = Desk::of(config(), Vec::new());
    let other = Ipv4Addr::new(10, 77, 0, 9);
    let event = || Event::Overheard(Overheard::parse(&heard(2, other.octets())).unwrap());
    assert_eq!(foreign(&tell(&mut desk, event())), [(other, MAC)]);
    let chosen = Packet::new(3, MAC)
        .option(50, &[10, 77, 0, 66])
        .option(54, &other.octets());
    let ask =
        |desk: &mut Desk| foreign(&desk.ask(&chosen.clone().end(), &BootAnswer::MaintenanceOs));
    assert_eq!(ask(&mut desk), [], "told already");
    desk.now += 60_000;
    assert_eq!(ask(&mut desk), [(other, MAC)]);
    assert_eq!(foreign(&tell(&mut desk, event())), []);
    let ours = Event::Overheard(Overheard::parse(&heard(5, SERVER)).unwrap());
    assert_eq!(tell(&mut desk, ours), []);
    // A relay agent that names itself is no server.
    let relay = [10, 77, 0, 2];
    let through = Packet::new(3, MAC)
        .giaddr(relay)
        .option(54, &relay)
        .option(50, &[10, 77, 0, 66]);
    assert_eq!(
        foreign(&desk.ask(&through.end(), &BootAnswer::MaintenanceOs)),
        []
    );
}

#[test]
fn what_is_heard_is_read_or_passed_over() {
    let good = heard(2, [10, 77, 0, 9]);
    assert_eq!(
        Overheard::parse(&good),
        Some(Overheard {
            server: [10, 77, 0, 9].into(),
            mac: MAC,
            address: [10, 77, 0, 66].into(),
        })
    );
    for kind in [1, 3, 4, 7, 8, 13] {
        assert_eq!(
            Overheard::parse(&heard(kind, [10, 77, 0, 9])),
            None,
            "type {kind}"
        );
    }
    for length in 0..good.len() - 1 {
        assert_eq!(Overheard::parse(&good[..length]), None, "{length} bytes");
    }
    let request = Packet::new(2, MAC).option(54, &[10, 77, 0, 9]).end();
    assert_eq!(Overheard::parse(&request), None, "a client's");
}
