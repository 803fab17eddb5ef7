// SPDX-License-Identifier: Apache-2.0
//! Several subnets, several pools, and addresses that are one machine's alone.

use crate::packet::{Desk, MAC, Packet, SERVER, config, reply, subnet};
use expect_test::expect;
use groundstate_api::boot::BootAnswer;
use groundstate_api::{MacAddr, SystemUuid};
use pxe_core::dhcp::{
    Action, Destination, Dropped, Reservation, Route, Server, ServerConfig, SubnetConfig, Who,
};
use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// 10.77.0.0/24 with us in it, 10.78.0.0/24 and 10.79.0.0/24 behind relay agents.
fn three() -> ServerConfig {
    let mut config = config();
    let far = |second| SubnetConfig {
        pools: vec![
            ([10, second, 0, 200].into(), [10, second, 0, 209].into()),
            ([10, second, 0, 100].into(), [10, second, 0, 109].into()),
        ],
        router: Some([10, second, 0, 1].into()),
        ..subnet(second)
    };
    config.subnets.extend([far(78), far(79)]);
    config
}

fn offered(desk: &mut Desk, packet: Packet) -> Result<(Ipv4Addr, Destination), Dropped> {
    let out = desk.ask(&packet.end(), &BootAnswer::MaintenanceOs);
    let to = out.iter().find_map(|action| match action {
        Action::Send { to, .. } => Some(*to),
        _ => None,
    });
    match (to, out.last()) {
        (Some(to), _) => Ok((reply(&out).yiaddr(), to)),
        (None, Some(Action::Dropped { why, .. })) => Err(*why),
        _ => panic!("{out:?}"),
    }
}

#[test]
fn what_is_never_leased_is_not_counted_and_a_pool_of_nothing_else_is_refused_by_name() {
    let mut config = config();
    let us = config.address;
    let last = Ipv4Addr::from(u32::from(us) + 4);
    config.subnets = vec![SubnetConfig {
        pools: vec![(us, last)],
        router: Some(last),
        ..config.subnets[0].clone()
    }];
    config.reservations = Vec::new();
    assert_eq!(Server::new(config.clone(), []).unwrap().pool_size(), 3);
    config.subnets[0].pools = vec![(us, us)];
    let refused = Server::new(config, []).err().unwrap().to_string();
    assert!(
        refused.contains(&format!("the pool {us}-{us} has no address to lease")),
        "{refused}"
    );
}

#[test]
fn the_subnet_is_the_relay_agents_or_the_link_that_it_names() {
    let mut desk = Desk::of(three(), Vec::new());
    let from = |n: u8| Packet::new(1, MacAddr([2, 0, 0, 0, 0, n]));
    let relay = Ipv4Addr::new(10, 78, 0, 1);
    let cases = [
        ("no relay agent: the interface's", from(1), Ok((77, None))),
        (
            "in the interface's own subnet",
            from(2).giaddr([10, 77, 0, 2]),
            Ok((77, Some(Ipv4Addr::new(10, 77, 0, 2)))),
        ),
        (
            "by giaddr",
            from(3).giaddr(relay.octets()),
            Ok((78, Some(relay))),
        ),
        (
            "RFC 3527: link selection goes before giaddr",
            from(4)
                .giaddr(relay.octets())
                .option(82, &[1, 1, 9, 5, 4, 10, 79, 0, 0]),
            Ok((79, Some(relay))),
        ),
        (
            "RFC 3011: subnet selection",
            from(5).giaddr(relay.octets()).option(118, &[10, 79, 0, 0]),
            Ok((79, Some(relay))),
        ),
        (
            "subnet selection without a relay agent is not listened to",
            from(6).option(118, &[10, 79, 0, 0]),
            Ok((77, None)),
        ),
        (
            "link selection without a relay agent neither",
            from(7).option(82, &[5, 4, 10, 79, 0, 0]),
            Ok((77, None)),
        ),
        (
            "a relay agent in no subnet",
            from(8).giaddr([192, 168, 0, 1]),
            Err(Dropped::ForeignRelay([192, 168, 0, 1].into())),
        ),
        (
            "a link in no subnet",
            from(9)
                .giaddr(relay.octets())
                .option(82, &[5, 4, 10, 99, 0, 0]),
            Err(Dropped::ForeignRelay([10, 99, 0, 0].into())),
        ),
    ];
    for (says, packet, expected) in cases {
        let found = offered(&mut desk, packet).map(|(address, to)| {
            let to = match to {
                Destination::Relay(relay) => Some(relay),
                _ => None,
            };
            (address.octets()[1], to)
        });
        assert_eq!(found, expected, "{says}");
    }
}

#[test]
fn every_address_of_every_pool_is_leased_once_and_none_beside() {
    let mut desk = Desk::of(three(), Vec::new());
    let mut seen = Vec::new();
    for n in 0..20 {
        let mac = MacAddr([2, 0, 0, 0, 7, n]);
        let offer = Packet::new(1, mac).giaddr([10, 78, 0, 1]);
        let (address, _) = offered(&mut desk, offer).unwrap();
        let request = Packet::new(3, mac)
            .giaddr([10, 78, 0, 1])
            .option(50, &address.octets())
            .option(54, &SERVER);
        desk.ask(&request.end(), &BootAnswer::MaintenanceOs);
        seen.push(address.octets()[3]);
    }
    seen.sort_unstable();
    assert_eq!(seen, (100..110).chain(200..210).collect::<Vec<u8>>());
    let full = Packet::new(1, MAC).giaddr([10, 78, 0, 1]);
    assert_eq!(offered(&mut desk, full), Err(Dropped::PoolExhausted));
    assert!(
        offered(&mut desk, Packet::new(1, MAC)).is_ok(),
        "the others go on"
    );
}

#[test]
fn a_routed_client_renews_with_us_directly_and_a_moved_one_begins_again() {
    let mut desk = Desk::of(three(), Vec::new());
    let (address, _) = offered(&mut desk, Packet::new(1, MAC).giaddr([10, 78, 0, 1])).unwrap();
    let request = Packet::new(3, MAC)
        .giaddr([10, 78, 0, 1])
        .option(50, &address.octets())
        .option(54, &SERVER);
    desk.ask(&request.end(), &BootAnswer::MaintenanceOs);
    let renewal = Packet::new(3, MAC).ciaddr(address.octets());
    let found = offered(&mut desk, renewal);
    assert_eq!(found, Ok((address, Destination::Client(address))));
    // Strangers do not reach into another subnet past its relay agent.
    let stranger = MacAddr([6, 0, 0, 0, 0, 1]);
    for packet in [
        Packet::new(3, stranger).ciaddr([10, 78, 0, 107]),
        Packet::new(3, stranger)
            .ciaddr([10, 78, 0, 107])
            .option(54, &SERVER),
    ] {
        assert_eq!(offered(&mut desk, packet), Err(Dropped::NoAddress));
    }
    let (near, _) = offered(&mut desk, Packet::new(1, stranger).ciaddr([10, 78, 0, 107])).unwrap();
    assert_eq!(near.octets()[1], 77);
    // It moves to our own wire and asks for what it had.
    let reboot = Packet::new(3, MAC).option(50, &address.octets());
    let out = desk.ask(&reboot.end(), &BootAnswer::MaintenanceOs);
    let nak = out.iter().any(|a| {
        matches!(
            a,
            Action::Send {
                to: Destination::Broadcast,
                ..
            }
        )
    });
    assert!(nak && reply(&out).yiaddr().is_unspecified(), "{out:?}");
    assert_eq!(
        offered(&mut desk, Packet::new(1, MAC)).unwrap().0.octets()[1],
        77
    );
    // INFORM is answered for addresses of our subnets and for no others: nobody is made a target.
    let inform = |address: [u8; 4]| Packet::new(8, MAC).ciaddr(address);
    assert!(offered(&mut desk, inform([10, 79, 0, 7])).is_ok());
    assert_eq!(
        offered(&mut desk, inform([192, 0, 2, 7])),
        Err(Dropped::NotServed([192, 0, 2, 7].into()))
    );
}

fn reservation(who: Who, address: [u8; 4]) -> Reservation {
    Reservation {
        who,
        address: address.into(),
        host_name: Some("node-1".to_owned()),
    }
}

fn uuid_option() -> Vec<u8> {
    [0].into_iter().chain(1..17).collect()
}

fn reserved() -> ServerConfig {
    let uuid = SystemUuid([4, 3, 2, 1, 6, 5, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16]);
    let port = |remote: Option<&[u8]>| Who::RelayPort {
        circuit: b"eth7".to_vec(),
        remote: remote.map(<[u8]>::to_vec),
    };
    let mut config = three();
    config.reservations = vec![
        reservation(Who::Mac(MAC), [10, 77, 0, 150]),
        reservation(Who::Mac(MAC), [10, 78, 0, 50]),
        reservation(Who::Uuid(uuid), [10, 77, 0, 20]),
        reservation(port(None), [10, 78, 0, 105]),
        reservation(port(Some(b"switch-2")), [10, 78, 0, 60]),
    ];
    config
}

#[test]
fn a_reservation_by_mac_address_uuid_and_relay_port() {
    let mut desk = Desk::of(reserved(), Vec::new());
    let other = MacAddr([2, 0, 0, 0, 0, 5]);
    let relayed = |mac| Packet::new(1, mac).giaddr([10, 78, 0, 1]);
    let port = |option: &[u8]| relayed(other).option(82, option);
    let cases = [
        ("by MAC address", Packet::new(1, MAC), [10, 77, 0, 150]),
        ("where it is now", relayed(MAC), [10, 78, 0, 50]),
        (
            "by UUID",
            Packet::new(1, other).option(97, &uuid_option()),
            [10, 77, 0, 20],
        ),
        ("by circuit", port(b"\x01\x04eth7"), [10, 78, 0, 105]),
        (
            "by circuit, another switch",
            port(b"\x01\x04eth7\x02\x03abc"),
            [10, 78, 0, 105],
        ),
        (
            "by circuit and remote",
            port(b"\x01\x04eth7\x02\x08switch-2"),
            [10, 78, 0, 60],
        ),
        (
            "in either order",
            port(b"\x02\x08switch-2\x01\x04eth7"),
            [10, 78, 0, 60],
        ),
    ];
    for (says, packet, expected) in cases {
        let (address, _) = offered(&mut desk, packet.clone()).unwrap();
        assert_eq!(address, Ipv4Addr::from(expected), "{says}");
        let mut named = packet.option(55, &[12]);
        named = named.option(50, &[10, 77, 0, 101]);
        let out = desk.ask(&named.end(), &BootAnswer::MaintenanceOs);
        assert_eq!(
            reply(&out).yiaddr(),
            Ipv4Addr::from(expected),
            "{says}: whatever it wishes"
        );
        let name = reply(&out);
        let name = name.opts().get(dhcproto::v4::OptionCode::Hostname);
        assert!(format!("{name:?}").contains("node-1"), "{says}: {name:?}");
    }
}

#[test]
fn an_operating_system_keeps_what_its_firmware_got_by_uuid_or_port() {
    let mut desk = Desk::of(reserved(), Vec::new());
    let mac = MacAddr([2, 0, 0, 0, 0, 5]);
    let firmware = Packet::new(3, mac)
        .option(97, &uuid_option())
        .option(50, &[10, 77, 0, 20])
        .option(54, &SERVER);
    let out = desk.ask(&firmware.end(), &BootAnswer::MaintenanceOs);
    assert!(matches!(out[0], Action::Keep(_)), "{out:?}");
    let system = offered(&mut desk, Packet::new(1, mac)).unwrap();
    assert_eq!(system.0, Ipv4Addr::new(10, 77, 0, 20));
    // The same machine's other interface has the same UUID: the address is in use, it gets one of the pool.
    let second = Packet::new(1, MacAddr([2, 0, 0, 0, 0, 6])).option(97, &uuid_option());
    let (address, _) = offered(&mut desk, second).unwrap();
    assert!((100..200).contains(&address.octets()[3]), "{address}");
}

#[test]
fn a_reserved_address_is_nobody_elses_in_the_pool_and_outside() {
    let mut desk = Desk::of(reserved(), Vec::new());
    for (n, address) in [(1, [10, 77, 0, 150]), (2, [10, 77, 0, 20])] {
        let thief = MacAddr([6, 0, 0, 0, 0, n]);
        let wishes = Packet::new(1, thief).option(50, &address);
        assert_ne!(
            offered(&mut desk, wishes).unwrap().0,
            Ipv4Addr::from(address)
        );
        for packet in [
            Packet::new(3, MacAddr([6, 0, 0, 0, 1, n])).option(50, &address),
            Packet::new(3, MacAddr([6, 0, 0, 0, 1, n]))
                .option(50, &address)
                .option(54, &SERVER),
            Packet::new(3, MacAddr([6, 0, 0, 0, 1, n])).ciaddr(address),
        ] {
            let out = desk.ask(&packet.end(), &BootAnswer::MaintenanceOs);
            assert!(reply(&out).yiaddr().is_unspecified(), "{out:?}");
            assert!(!out.iter().any(|a| matches!(a, Action::Keep(_))), "{out:?}");
        }
    }
    // The whole pool is leased to others, and the machine gets what is reserved for it.
    for n in 0..=255 {
        let mac = MacAddr([6, 0, 0, 0, 2, n]);
        if let Ok((address, _)) = offered(&mut desk, Packet::new(1, mac)) {
            let request = Packet::new(3, mac)
                .option(50, &address.octets())
                .option(54, &SERVER);
            desk.ask(&request.end(), &BootAnswer::MaintenanceOs);
        }
    }
    assert_eq!(
        desk.server.leases(),
        99,
        "100 addresses, one of them reserved"
    );
    assert_eq!(desk.lease(MAC), [10, 77, 0, 150]);
}

#[test]
fn a_reservation_that_is_made_later_moves_the_machine_and_whoever_has_the_address() {
    let mut desk = Desk::of(three(), Vec::new());
    let own = desk.lease(MAC);
    let holder = MacAddr([2, 0, 0, 0, 0, 5]);
    let held = desk.lease(holder);
    let mut config = three();
    config.reservations = vec![reservation(Who::Mac(MAC), held)];
    desk.server.reload(config).unwrap();
    // The lease of whoever holds it is kept until it asks again, so that no two machines have the address.
    assert_eq!(desk.lease(MAC), own);
    let renewal = |mac, address: [u8; 4]| Packet::new(3, mac).ciaddr(address).end();
    let out = desk.ask(&renewal(holder, held), &BootAnswer::MaintenanceOs);
    assert!(
        matches!(out[0], Action::Keep(lease) if lease.until.0 == desk.now),
        "{out:?}"
    );
    assert!(reply(&out).yiaddr().is_unspecified());
    let out = desk.ask(&renewal(MAC, own), &BootAnswer::MaintenanceOs);
    assert!(
        reply(&out).yiaddr().is_unspecified(),
        "it is to begin again"
    );
    assert_eq!(desk.lease(MAC), held);
    assert_ne!(desk.lease(holder), held);
    let broken = ServerConfig {
        subnets: Vec::new(),
        ..three()
    };
    desk.server.reload(broken).unwrap_err();
    assert_eq!(
        desk.lease(MAC),
        held,
        "a configuration that cannot be served changes nothing"
    );
}

#[test]
fn our_own_address_and_the_routers_are_never_leased_though_the_pool_spans_them() {
    let mut config = config();
    config.subnets[0].pools = vec![([10, 77, 0, 1].into(), [10, 77, 0, 4].into())];
    config.subnets[0].router = Some([10, 77, 0, 3].into());
    config.subnets[0].dns = vec![[10, 77, 0, 4].into()];
    let mut desk = Desk::of(config, Vec::new());
    assert_eq!(desk.lease(MAC), [10, 77, 0, 2]);
    let other = Packet::new(1, MacAddr([2, 0, 0, 0, 0, 5]));
    assert_eq!(offered(&mut desk, other), Err(Dropped::PoolExhausted));
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn a_configuration_that_cannot_be_served_names_the_field() {
    let with = |change: fn(&mut ServerConfig)| {
        let mut config = reserved();
        change(&mut config);
        config
    };
    let cases = [
        with(|c| c.subnets.clear()),
        with(|c| c.subnets[0].prefix = 31),
        with(|c| c.subnets[1].pools = vec![([10, 78, 0, 9].into(), [10, 78, 0, 8].into())]),
        with(|c| c.subnets[1].pools = vec![([10, 78, 0, 9].into(), [10, 78, 0, 255].into())]),
        with(|c| c.subnets[1].pools = vec![([10, 79, 0, 9].into(), [10, 79, 0, 10].into())]),
        with(|c| {
            c.subnets[1].pools = vec![
                ([10, 78, 0, 9].into(), [10, 78, 0, 20].into()),
                ([10, 78, 0, 20].into(), [10, 78, 0, 30].into()),
            ];
        }),
        with(|c| c.subnets[0].router = Some([10, 78, 0, 1].into())),
        with(|c| c.subnets[0].lease_secs = 59),
        with(|c| c.subnets[0].dns = vec![[10, 77, 0, 1].into(); 9]),
        with(|c| c.subnets[0].domain = Some("a b".to_owned())),
        with(|c| c.subnets[0].mtu = Some(67)),
        with(|c| {
            c.subnets[0].routes = vec![Route {
                to: [10, 1, 2, 3].into(),
                prefix: 16,
                via: [10, 77, 0, 1].into(),
            }];
        }),
        with(|c| c.subnets[1] = c.subnets[0].clone()),
        with(|c| {
            c.subnets[1] = SubnetConfig {
                network: [10, 77, 0, 128].into(),
                prefix: 25,
                ..subnet(77)
            };
        }),
        with(|c| {
            c.subnets[0].prefix = 8;
            c.subnets.truncate(1);
            c.subnets[0].pools = vec![([10, 0, 0, 1].into(), [10, 16, 0, 1].into())];
        }),
        with(|c| c.address = [10, 77, 0, 255].into()),
        with(|c| {
            c.reservations
                .push(reservation(Who::Mac(MAC), [192, 168, 0, 1]))
        }),
        with(|c| {
            c.reservations
                .push(reservation(Who::Mac(MAC), [10, 77, 0, 151]))
        }),
        with(|c| {
            c.reservations.push(reservation(
                Who::Uuid(SystemUuid([1; 16])),
                [10, 77, 0, 150],
            ))
        }),
        with(|c| {
            c.reservations
                .push(reservation(Who::Uuid(SystemUuid([1; 16])), [10, 77, 0, 1]))
        }),
        with(|c| {
            let who = Who::RelayPort {
                circuit: Vec::new(),
                remote: None,
            };
            c.reservations.push(reservation(who, [10, 77, 0, 9]));
        }),
        with(|c| c.reservations[0].host_name = Some("a\nb".to_owned())),
        with(|c| drop(c.boot.pxe.insert(0, "two words".to_owned()))),
        with(|c| drop(c.boot.http.insert(16, "x".repeat(128)))),
    ];
    let mut text = String::new();
    for config in cases {
        let error = Server::new(config, Vec::new()).unwrap_err();
        writeln!(text, "{error}").unwrap();
    }
    expect![[r#"
        there is no subnet to serve
        subnet 10.77.0.1/31: prefix is 31; it must be 8 to 30
        subnet 10.78.0.0/24: the pool 10.78.0.9-10.78.0.8 ends before it begins
        subnet 10.78.0.0/24: pool has 10.78.0.255, which is not a host address of this subnet
        subnet 10.78.0.0/24: pool has 10.79.0.9, which is not a host address of this subnet
        subnet 10.78.0.0/24: two pools have 10.78.0.20
        subnet 10.77.0.1/24: router has 10.78.0.1, which is not a host address of this subnet
        subnet 10.77.0.1/24: lease_secs is 59; it must be 60 to 31,536,000
        subnet 10.77.0.1/24: dns has 9 entries; 8 is the most
        subnet 10.77.0.1/24: domain is "a b"; a domain name has 1 to 253 letters, digits, '-', '_' and dots
        subnet 10.77.0.1/24: mtu is 67; 68 is the least
        subnet 10.77.0.1/24: routes has 10.1.2.3/16, which is no network
        subnet 10.77.0.0/24 and subnet 10.77.0.0/24 share addresses
        subnet 10.77.0.0/24 and subnet 10.77.0.128/25 share addresses
        the pools have 1048577 addresses together; 1048576 is the most
        address is 10.77.0.255, which is not a host's address
        reservation of 192.168.0.1: it is not a host address of any subnet; there are 10.77.0.0/24, 10.78.0.0/24, 10.79.0.0/24
        reservation of 10.77.0.151: the same machine has another reservation in this subnet, 10.77.0.150
        reservation of 10.77.0.150: it is reserved twice
        reservation of 10.77.0.1: it is the server's or a router's
        reservation of 10.77.0.9: its relay port has a circuit-id or remote-id of 0 bytes; it must have 1 to 253
        reservation of 10.77.0.150: its host name is "a\nb"; a host name has 1 to 253 letters, digits, '-', '_' and dots
        the boot file of architecture 0 is "two words"; a name has 1 to 127 printable ASCII characters without blanks
        the boot file of architecture 16 is "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"; a name has 1 to 127 printable ASCII characters without blanks
    "#]].assert_eq(&text);
}
