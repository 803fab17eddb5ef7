// SPDX-License-Identifier: Apache-2.0
//! Random machines in random order: what holds whatever they do.

use crate::packet::{Desk, Packet, SERVER, config, reply, subnet};
use groundstate_api::MacAddr;
use groundstate_api::Millis;
use groundstate_api::boot::BootAnswer;
use proptest::prelude::*;
use pxe_core::dhcp::{
    Action, Destination, Event, LeaseState, Reservation, Server, ServerConfig, SubnetConfig, Who,
};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Machines in the game; the first has a reservation, the second too, by relay port.
const MACHINES: u8 = 12;
const LEASE: u64 = 3_600_000;
const RELAYS: [[u8; 4]; 3] = [[0; 4], [10, 77, 0, 2], [10, 78, 0, 1]];

fn two_subnets(probe: bool) -> ServerConfig {
    let mut config = config();
    config.subnets[0].pools = vec![([10, 77, 0, 100].into(), [10, 77, 0, 104].into())];
    config.subnets.push(SubnetConfig {
        pools: vec![
            ([10, 78, 0, 100].into(), [10, 78, 0, 101].into()),
            ([10, 78, 0, 110].into(), [10, 78, 0, 111].into()),
        ],
        ..subnet(78)
    });
    let reserved = |who, address: [u8; 4]| Reservation {
        who,
        address: address.into(),
        host_name: None,
    };
    let port = Who::RelayPort {
        circuit: vec![1],
        remote: None,
    };
    config.reservations = vec![
        reserved(Who::Mac(machine(0)), [10, 77, 0, 102]),
        reserved(port, [10, 78, 0, 50]),
    ];
    config.probe = probe;
    config
}

fn machine(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

fn may_be_given(address: Ipv4Addr, mac: MacAddr) -> bool {
    let [a, b, c, d] = address.octets();
    match (a, b, c, d) {
        (10, 77, 0, 102) => mac == machine(0),
        (10, 77, 0, 100..=104) | (10, 78, 0, 50 | 100 | 101 | 110 | 111) => true,
        _ => false,
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Ask {
        mac: u8,
        message: u8,
        relay: u8,
        address: u8,
        port: bool,
        named: u8,
        size: u16,
    },
    /// What was offered last is requested.
    Take {
        mac: u8,
    },
    Probed {
        address: u8,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let ask = (
        0..MACHINES,
        0u8..6,
        0u8..3,
        0u8..16,
        any::<bool>(),
        0u8..4,
        0u16..1_600,
    )
        .prop_map(
            |(mac, message, relay, address, port, named, size)| Step::Ask {
                mac,
                message: [1, 1, 3, 4, 7, 8][usize::from(message)],
                relay,
                address,
                port,
                named,
                size,
            },
        );
    prop_oneof![
        2 => prop_oneof![0u64..100, Just(59_000), Just(601_000), Just(LEASE), Just(90_000_000)].prop_map(Step::Wait),
        8 => ask,
        8 => (0..MACHINES).prop_map(|mac| Step::Take { mac }),
        1 => (0u8..16).prop_map(|address| Step::Probed { address }),
        1 => Just(Step::Restart),
    ]
}

/// Addresses that are asked for: those of both subnets, and two of nobody's.
fn address(n: u8) -> [u8; 4] {
    match n {
        0..=4 => [10, 77, 0, 100 + n],
        5..=6 => [10, 78, 0, 95 + n],
        7..=8 => [10, 78, 0, 103 + n],
        9 => [10, 78, 0, 50],
        10 => [10, 77, 0, 7],
        11 => [192, 168, 0, 1],
        _ => [0; 4],
    }
}

/// What the machines know: who was told that it has which address, until when.
#[derive(Default)]
struct World {
    has: BTreeMap<Ipv4Addr, (MacAddr, u64)>,
    offered: BTreeMap<u8, (Ipv4Addr, u8, bool)>,
}

fn check(world: &mut World, now: u64, packet: &[u8], mac: MacAddr, out: &[Action], most: usize) {
    let giaddr = Ipv4Addr::from(<[u8; 4]>::try_from(&packet[24..28]).unwrap());
    let kept: Vec<_> = out
        .iter()
        .filter(|a| matches!(a, Action::Keep(_)))
        .collect();
    for action in out {
        let Action::Send { to, bytes } = action else {
            continue;
        };
        assert!(
            (300..=most).contains(&bytes.len()),
            "{} bytes of {most}",
            bytes.len()
        );
        if !giaddr.is_unspecified() {
            assert_eq!(*to, Destination::Relay(giaddr));
        }
        let reply = reply(out);
        let kind = reply.opts().msg_type().unwrap();
        let address = reply.yiaddr();
        if address.is_unspecified() {
            if kind == dhcproto::v4::MessageType::Nak {
                world
                    .has
                    .retain(|_, (holder, _)| *holder != mac || kept.is_empty());
            }
            continue;
        }
        assert!(may_be_given(address, mac), "{address} to {mac}");
        if kind == dhcproto::v4::MessageType::Ack {
            assert_eq!(kept.len(), 1, "an ACK of what is not kept");
            if let Some((holder, until)) = world.has.get(&address) {
                assert!(
                    *holder == mac || *until <= now,
                    "{address} is {holder}'s, and goes to {mac}"
                );
            }
            world.has.retain(|_, (holder, _)| *holder != mac);
            world.has.insert(address, (mac, now + LEASE));
        }
    }
}

fn consistent(server: &Server, now: u64) {
    let kept = server.keep();
    let mut machines = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for lease in &kept {
        assert!(
            addresses.insert(lease.address, lease).is_none(),
            "two leases of one address"
        );
        assert_eq!(server.of_address(lease.address), Some(*lease));
        assert!(lease.until.0 <= now + LEASE);
        if lease.state == LeaseState::Bound {
            assert!(
                machines.insert(lease.mac, lease).is_none(),
                "two leases of one machine"
            );
            assert_eq!(server.of_machine(lease.mac), Some(*lease));
            assert!(may_be_given(lease.address, lease.mac));
        }
    }
    assert!(kept.len() <= 10, "{} leases of 10 addresses", kept.len());
    assert!(
        server.offers() <= 10,
        "{} offers of 10 addresses",
        server.offers()
    );
}

/// A packet of a machine, with the largest reply that it takes and what it says of the relay agent.
struct Said {
    packet: Packet,
    mac: u8,
    message: u8,
    via: (u8, bool),
    most: usize,
}

fn via(packet: Packet, (relay, port): (u8, bool)) -> Packet {
    let packet = packet.giaddr(RELAYS[usize::from(relay)]);
    if port {
        packet.option(82, &[1, 1, 1])
    } else {
        packet
    }
}

impl Said {
    fn of(step: &Step, world: &World) -> Option<Self> {
        match *step {
            Step::Wait(_) | Step::Probed { .. } | Step::Restart => None,
            Step::Take { mac } => {
                let (address, relay, port) = *world.offered.get(&mac)?;
                let packet = via(Packet::new(3, machine(mac)), (relay, port))
                    .option(50, &address.octets())
                    .option(54, &SERVER);
                Some(Self {
                    packet,
                    mac,
                    message: 3,
                    via: (relay, port),
                    most: 548,
                })
            }
            Step::Ask {
                mac,
                message,
                relay,
                address: wanted,
                port,
                named,
                size,
            } => {
                let wanted = address(wanted);
                let mut packet = via(Packet::new(message, machine(mac)), (relay, port))
                    .option(57, &size.to_be_bytes());
                if named & 1 != 0 || message == 7 || message == 8 {
                    packet = packet.ciaddr(wanted);
                } else if wanted != [0; 4] {
                    packet = packet.option(50, &wanted);
                }
                if named & 2 != 0 {
                    packet = packet.option(54, &SERVER);
                }
                let most = usize::from(size).saturating_sub(28).clamp(548, 1_472);
                Some(Self {
                    packet,
                    mac,
                    message,
                    via: (relay, port),
                    most,
                })
            }
        }
    }

    fn ask(self, desk: &mut Desk, world: &mut World) {
        let bytes = self.packet.end();
        let out = desk.ask(&bytes, &BootAnswer::MaintenanceOs);
        if self.message == 1 && out.iter().any(|a| matches!(a, Action::Send { .. })) {
            let (relay, port) = self.via;
            let address = reply(&out).yiaddr();
            world.offered.insert(self.mac, (address, relay, port));
        }
        // What a machine gives back or declines is no longer its own.
        let mac = machine(self.mac);
        if matches!(self.message, 4 | 7) {
            world.has.retain(|_, (holder, _)| *holder != mac);
        }
        check(world, desk.now, &bytes, mac, &out, self.most);
    }
}

fn play(steps: Vec<Step>, probe: bool) {
    let mut desk = Desk::of(two_subnets(probe), Vec::new());
    let mut world = World::default();
    for step in steps {
        if let Some(said) = Said::of(&step, &world) {
            said.ask(&mut desk, &mut world);
        }
        match step {
            Step::Wait(time) => desk.now += time,
            Step::Restart => {
                let now = desk.now;
                desk = Desk::of(two_subnets(probe), desk.server.keep());
                desk.now = now;
                world.offered.clear();
            }
            Step::Probed { address: n } => {
                let address = Ipv4Addr::from(address(n));
                let event = Event::ProbeAnswered { address, by: None };
                desk.server.handle(Millis(desk.now), event, &mut Vec::new());
            }
            Step::Ask { .. } | Step::Take { .. } => {}
        }
        consistent(&desk.server, desk.now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Never two machines with one address, never an address outside the pools or of another's reservation, never more
    /// bytes than the client takes, to a relay agent what came through it, and a bounded memory.
    #[test]
    fn whatever_machines_do(steps in proptest::collection::vec(step(), 1..120), probe in any::<bool>()) {
        play(steps, probe);
    }
}
