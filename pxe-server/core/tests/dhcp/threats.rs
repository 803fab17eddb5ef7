// SPDX-License-Identifier: Apache-2.0
//! T6: malformed DHCP, starvation, storms of DECLINEs. No panic, bounded memory, known machines keep their addresses.

use crate::packet::{Desk, MAC, Packet, SERVER, config, reply, subnet};
use groundstate_api::boot::BootAnswer;
use groundstate_api::{MacAddr, Millis};
use pxe_core::dhcp::{
    Action, Dropped, Event, LeaseState, Malformed, Request, Reservation, ServerConfig, Who,
};
use std::net::Ipv4Addr;

#[test]
fn t6_option_overload() {
    // Option 52 in the overloaded field does not overload again, and a field without an end ends with itself.
    let mut packet = Packet::new(1, MAC).option(52, &[1]).0;
    packet[108..111].copy_from_slice(&[52, 1, 2]);
    packet[44] = 60;
    packet.push(255);
    assert!(Request::parse(&packet).is_ok(), "`sname` is not looked at");
    let mut packet = Packet::new(1, MAC).option(52, &[3]).0;
    packet[108..110].copy_from_slice(&[60, 200]);
    assert_eq!(
        Request::parse(&packet).unwrap_err(),
        Malformed::Truncated { code: 60 }
    );
    for value in [&[0u8][..], &[4], &[], &[1, 1]] {
        let packet = Packet::new(1, MAC).option(52, value);
        let bytes = value.len();
        assert_eq!(
            Request::parse(&packet.end()).unwrap_err(),
            Malformed::OptionLength { code: 52, bytes }
        );
    }
}

#[test]
fn t6_long_form_concatenation() {
    // As many pieces as an Ethernet frame has room for, of an option that is echoed and of one that is not.
    let mut packet = Packet::new(1, MAC);
    for _ in 0..600 {
        packet = packet.option(61, &[]);
    }
    assert!(Request::parse(&packet.option(61, &[1; 200]).end()).is_ok());
    let packet = Packet::new(1, MAC)
        .option(61, &[1; 200])
        .option(61, &[1; 56]);
    assert_eq!(
        Request::parse(&packet.end()).unwrap_err(),
        Malformed::OptionLength {
            code: 61,
            bytes: 256
        }
    );
    let mut packet = Packet::new(1, MAC).option(55, &[1]);
    for _ in 0..4 {
        packet = packet.option(55, &[121; 255]);
    }
    let out = Desk::of(config(), Vec::new()).ask(&packet.end(), &BootAnswer::MaintenanceOs);
    assert!(!reply(&out).yiaddr().is_unspecified());
}

#[test]
fn t6_bad_cookie_and_hardware_address() {
    let good = || Packet::new(1, MAC);
    for at in 236..240 {
        assert_eq!(
            Request::parse(&good().at(at, &[0]).end()).unwrap_err(),
            Malformed::NoCookie
        );
    }
    for hlen in [0, 5, 7, 16, 17, 255] {
        assert_eq!(
            Request::parse(&good().at(2, &[hlen]).end()).unwrap_err(),
            Malformed::NotEthernet { htype: 1, hlen }
        );
    }
    for mac in [[0; 6], [0xff; 6], [1, 0, 0x5e, 0, 0, 1]] {
        let mac = MacAddr(mac);
        assert_eq!(
            Request::parse(&Packet::new(1, mac).end()).unwrap_err(),
            Malformed::NotAMachine { mac }
        );
    }
}

#[test]
fn t6_wrong_sizes_of_options_82_93_97_and_175() {
    for length in 0..=255usize {
        let filler = vec![0xa5; length];
        let question = |code| Request::parse(&Packet::new(1, MAC).option(code, &filler).end());
        assert_eq!(
            question(93).is_ok(),
            length > 0 && length % 2 == 0,
            "93 with {length}"
        );
        let uuid = question(97).unwrap();
        assert_eq!(uuid.uuid, None, "97 of an unknown type with {length}");
        assert!(question(175).is_ok());
        // Sub-options that run past the end are not there; the whole is echoed as it came.
        let relayed = Packet::new(1, MAC)
            .giaddr([10, 77, 0, 2])
            .option(82, &filler);
        let out = Desk::of(config(), Vec::new()).ask(&relayed.end(), &BootAnswer::MaintenanceOs);
        let Some(Action::Send { bytes, .. }) = out.first() else {
            panic!("{out:?}");
        };
        let mut tail = vec![82, u8::try_from(length).unwrap()];
        tail.extend(&filler);
        tail.push(255);
        let echoed = bytes.windows(tail.len()).any(|window| window == tail);
        assert!(echoed, "82 with {length}");
    }
}

#[test]
fn t6_giaddr_outside_any_subnet() {
    let mut desk = Desk::of(config(), Vec::new());
    for giaddr in [
        [192, 168, 0, 1],
        [10, 76, 255, 255],
        [10, 78, 0, 0],
        [255, 255, 255, 255],
        [127, 0, 0, 1],
        [10, 77, 0, 255],
        [10, 77, 0, 0],
    ] {
        for message in [1, 3, 4, 7, 8] {
            let packet = Packet::new(message, MAC)
                .giaddr(giaddr)
                .ciaddr([10, 77, 0, 120])
                .option(50, &[10, 77, 0, 120]);
            let why = Dropped::ForeignRelay(giaddr.into());
            let out = desk.ask(&packet.end(), &BootAnswer::MaintenanceOs);
            assert_eq!(out, [Action::Dropped { mac: MAC, why }]);
        }
    }
    // Nor where it names a link of ours: nothing is sent to everybody's address.
    for giaddr in [[255, 255, 255, 255], [224, 0, 0, 1], [127, 0, 0, 1]] {
        let packet = Packet::new(1, MAC)
            .giaddr(giaddr)
            .option(82, &[5, 4, 10, 77, 0, 0]);
        let why = Dropped::ForeignRelay(giaddr.into());
        let out = desk.ask(&packet.end(), &BootAnswer::MaintenanceOs);
        assert_eq!(out, [Action::Dropped { mac: MAC, why }]);
    }
    assert_eq!((desk.server.leases(), desk.server.offers()), (0, 0));
}

fn machine(kind: u8, n: u32) -> MacAddr {
    let [_, b, c, d] = n.to_be_bytes();
    MacAddr([kind, 0, 0, b, c, d])
}

/// A site of 4,000 addresses: 500 machines with a reservation, 500 that have leases by now.
fn site() -> (Desk, Vec<(MacAddr, Ipv4Addr)>) {
    let mut site = config();
    site.subnets = vec![pxe_core::dhcp::SubnetConfig {
        prefix: 16,
        pools: vec![([10, 77, 16, 0].into(), [10, 77, 31, 159].into())],
        ..subnet(77)
    }];
    let mut known = Vec::new();
    for n in 0..500u32 {
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 77, 17, 0)) + n);
        let mac = machine(0x52, n);
        known.push((mac, address));
        site.reservations.push(Reservation {
            who: Who::Mac(mac),
            address,
            host_name: None,
        });
    }
    let mut desk = Desk::of(site, Vec::new());
    for n in 500..1_000 {
        let mac = machine(0x52, n);
        known.push((mac, desk.lease(mac).into()));
    }
    (desk, known)
}

/// A question of any machine, read once.
fn template() -> Request {
    Request::parse(&Packet::new(1, MAC).end()).unwrap()
}

fn discover(desk: &mut Desk, template: &Request, mac: MacAddr, out: &mut Vec<Action>) {
    let mut request = Box::new(template.clone());
    request.mac = mac;
    let answer = BootAnswer::MaintenanceOs;
    desk.server
        .handle(Millis(desk.now), Event::Asked { request, answer }, out);
}

#[test]
fn t6_starvation_by_made_up_machines_never_costs_a_known_machine_its_address() {
    starve(150_000);
}

#[test]
#[ignore = "a minute without optimisation; `cargo test --release -p pxe-core --test dhcp -- --ignored`"]
fn t6_starvation_by_a_million_machines_never_costs_a_known_machine_its_address() {
    starve(1_000_000);
}

/// So many made-up machines ask, 20,000 a second. Every known machine boots meanwhile, at first with a lease that holds.
fn starve(machines: u32) {
    let (mut desk, known) = site();
    let template = template();
    let mut out = Vec::new();
    let mut turn = known.iter().cycle();
    for n in 0..machines {
        out.clear();
        discover(&mut desk, &template, machine(0x06, n), &mut out);
        if n % 20 == 0 {
            desk.now += 1;
        }
        if n % 100 == 0 {
            let (mac, address) = turn.next().unwrap();
            assert_eq!(
                Ipv4Addr::from(desk.lease(*mac)),
                *address,
                "{mac} after {n}"
            );
        }
    }
    assert!(desk.server.offers() <= 4_000, "one address is offered once");
    assert!(desk.server.leases() <= 1_000);
    // Leases have run out, and it goes on: what a machine had is still what it gets, though strangers are offered it.
    desk.now += 3_600_000;
    for n in 0..20_000 {
        out.clear();
        discover(&mut desk, &template, machine(0x0a, n), &mut out);
        if n % 20 == 0 {
            let (mac, address) = turn.next().unwrap();
            assert_eq!(
                Ipv4Addr::from(desk.lease(*mac)),
                *address,
                "{mac} after its lease ended"
            );
        }
    }
}

#[test]
fn t6_offers_to_strangers_give_way_and_a_newcomer_gets_in() {
    let (mut desk, _) = site();
    let template = template();
    let mut out = Vec::new();
    for n in 0..20_000 {
        discover(&mut desk, &template, machine(0x06, n), &mut out);
        out.clear();
    }
    // Its offer is the newest. Even when it gives way to others before its REQUEST comes, the first of those that were
    // offered an address has it.
    discover(&mut desk, &template, MAC, &mut out);
    let address = reply(&out).yiaddr();
    for n in 20_000..40_000 {
        discover(&mut desk, &template, machine(0x06, n), &mut out);
    }
    let request = Packet::new(3, MAC)
        .option(50, &address.octets())
        .option(54, &SERVER);
    let out = desk.ask(&request.end(), &BootAnswer::MaintenanceOs);
    assert_eq!(reply(&out).yiaddr(), address);
    assert_eq!(desk.server.of_address(address).unwrap().mac, MAC);
}

#[test]
fn t6_settled_machines_outlast_made_up_ones_that_take_their_leases() {
    let mut small = config();
    small.subnets[0].pools = vec![([10, 77, 0, 100].into(), [10, 77, 0, 119].into())];
    let mut desk = Desk::of(small, Vec::new());
    let settled: Vec<_> = (0..5).map(|n| machine(0x52, n)).collect();
    let mut addresses = Vec::new();
    for hours in 0..3 {
        desk.now = 1_000_000 + hours * 1_800_000;
        addresses = settled.iter().map(|mac| desk.lease(*mac)).collect();
    }
    // They are switched off for half a day, and made-up machines take whole leases, one after the other.
    let mut refused = 0;
    for n in 0..12 * 60 {
        desk.now += 60_000;
        let packet = Packet::new(1, machine(0x06, n));
        let out = desk.ask(&packet.end(), &BootAnswer::MaintenanceOs);
        if matches!(
            out[..],
            [Action::Dropped {
                why: Dropped::PoolExhausted,
                ..
            }]
        ) {
            refused += 1;
            continue;
        }
        desk.lease(machine(0x06, n));
    }
    assert!(
        refused > 0 && desk.server.leases() == 20,
        "{refused} of 720 were refused"
    );
    let again: Vec<_> = settled.iter().map(|mac| desk.lease(*mac)).collect();
    assert_eq!(again, addresses);
    // Two days later they are not coming back, and their addresses are used again.
    desk.now += 2 * 86_400_000;
    for n in 0..20 {
        desk.lease(machine(0x0a, n));
    }
}

#[test]
fn t6_a_storm_of_declines_of_one_machine_and_of_many() {
    let mut desk = Desk::of(config(), Vec::new());
    let decline = |desk: &mut Desk, mac| {
        let address = desk.lease(mac);
        let packet = Packet::new(4, mac).option(50, &address).option(54, &SERVER);
        desk.ask(&packet.end(), &BootAnswer::MaintenanceOs)
    };
    let aside = |desk: &Desk| {
        let kept = desk.server.keep();
        kept.iter()
            .filter(|lease| lease.state == LeaseState::Declined)
            .count()
    };
    let believed = (0..10).filter(|_| {
        let out = decline(&mut desk, MAC);
        !out.iter().any(|a| {
            matches!(
                a,
                Action::Dropped {
                    why: Dropped::Declines,
                    ..
                }
            )
        })
    });
    assert_eq!(believed.count(), 3);
    assert_eq!(aside(&desk), 3);
    // Many machines: at most a quarter of the pool is put aside at a time, whatever they say.
    for n in 0..500 {
        decline(&mut desk, machine(0x06, n));
        assert!(aside(&desk) <= 25, "{} of 100", aside(&desk));
    }
    assert_eq!(aside(&desk), 25);
    // Nobody declines what is not its own.
    let own = desk.lease(machine(0x52, 1));
    for mac in [machine(0x52, 2), MAC] {
        let packet = Packet::new(4, mac).option(50, &own).option(54, &SERVER);
        let out = desk.ask(&packet.end(), &BootAnswer::MaintenanceOs);
        assert_eq!(
            out,
            [Action::Dropped {
                mac,
                why: Dropped::NoAddress
            }]
        );
    }
    assert_eq!(desk.lease(machine(0x52, 1)), own);
}

#[test]
fn t6_a_flood_in_one_subnet_leaves_the_others_alone() {
    let mut config: ServerConfig = config();
    config.subnets.push(pxe_core::dhcp::SubnetConfig {
        pools: vec![([10, 78, 0, 100].into(), [10, 78, 0, 101].into())],
        ..subnet(78)
    });
    let mut desk = Desk::of(config, Vec::new());
    let far = Packet::new(1, MAC).giaddr([10, 78, 0, 1]);
    let address = reply(&desk.ask(&far.end(), &BootAnswer::MaintenanceOs)).yiaddr();
    let template = template();
    let mut out = Vec::new();
    for n in 0..20_000 {
        discover(&mut desk, &template, machine(0x06, n), &mut out);
        out.clear();
    }
    assert_eq!(desk.server.offers(), 101);
    let request = Packet::new(3, MAC)
        .giaddr([10, 78, 0, 1])
        .option(50, &address.octets())
        .option(54, &SERVER);
    assert_eq!(
        reply(&desk.ask(&request.end(), &BootAnswer::MaintenanceOs)).yiaddr(),
        address
    );
}
