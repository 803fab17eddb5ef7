// SPDX-License-Identifier: Apache-2.0
//! Who holds which address: DHCPREQUEST in its meanings, relays, release and decline, restarts, floods.

use crate::packet::{Desk, MAC, Packet, SERVER, network, refusal, reply, show};
use dhcproto::v4::MessageType;
use groundstate_api::boot::BootAnswer;
use groundstate_api::site::Network;
use groundstate_api::{MacAddr, Millis};
use pxe_core::dhcp::{Action, Destination, Dropped, Lease, LeaseState};
use std::net::Ipv4Addr;

fn kind(out: &[Action]) -> (Option<MessageType>, Option<Destination>) {
    let to = out.iter().find_map(|a| match a {
        Action::Send { to, .. } => Some(*to),
        _ => None,
    });
    (to.map(|_| reply(out).opts().msg_type().unwrap()), to)
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn request_in_each_of_its_meanings() {
    let mut desk = Desk::new(&network());
    let own = desk.lease(MAC);
    let other = MacAddr([2, 0, 0, 0, 0, 9]);
    let others = desk.lease(other);
    let free = [
        10,
        77,
        0,
        if own[3] == 150 || others[3] == 150 {
            151
        } else {
            150
        },
    ];
    let stranger = MacAddr([2, 0, 0, 0, 0, 10]);
    let lost = MacAddr([2, 0, 0, 0, 0, 11]);
    let is_used = |last: &u8| [own[3], others[3], free[3]].contains(&(150 + last));
    let unused = (0..4).find(|last| !is_used(last)).unwrap();
    let ack = MessageType::Ack;
    let nak = MessageType::Nak;
    let broadcast = Destination::Broadcast;
    let hardware = Destination::Hardware {
        mac: MAC,
        address: own.into(),
    };
    let selecting = |mac, a: [u8; 4]| Packet::new(3, mac).option(50, &a).option(54, &SERVER);
    let reboot = |mac, a: [u8; 4]| Packet::new(3, mac).option(50, &a);
    let renew = |mac, a: [u8; 4]| Packet::new(3, mac).ciaddr(a);
    let to_own = Destination::Client(Ipv4Addr::from(own));
    let relay = [10, 77, 0, 2];
    let cases = [
        ("selecting", selecting(MAC, own), Some((ack, hardware))),
        (
            "selecting, takes no unicast yet",
            selecting(MAC, own).at(10, &[0x80, 0]),
            Some((ack, broadcast)),
        ),
        (
            "selecting, not ours",
            selecting(MAC, others),
            Some((nak, broadcast)),
        ),
        (
            "selecting another server",
            Packet::new(3, stranger)
                .option(50, &free)
                .option(54, &[10, 77, 0, 9]),
            None,
        ),
        ("init-reboot", reboot(MAC, own), Some((ack, hardware))),
        (
            "init-reboot, wrong net",
            reboot(MAC, [192, 168, 1, 7]),
            Some((nak, broadcast)),
        ),
        (
            "init-reboot, somebody's",
            reboot(stranger, others),
            Some((nak, broadcast)),
        ),
        (
            "init-reboot, another free one",
            reboot(MAC, free),
            Some((nak, broadcast)),
        ),
        // Not known here: we are the only server on the network, so that is ours to say (RFC 2131, 4.3.2).
        (
            "init-reboot, not known here, a free one",
            reboot(lost, [10, 77, 0, 150 + unused]),
            Some((
                ack,
                Destination::Hardware {
                    mac: lost,
                    address: [10, 77, 0, 150 + unused].into(),
                },
            )),
        ),
        (
            "init-reboot, not known here, wrong net",
            reboot(stranger, [192, 168, 1, 7]),
            Some((nak, broadcast)),
        ),
        (
            "init-reboot, outside the pool",
            reboot(stranger, [10, 77, 0, 50]),
            Some((nak, broadcast)),
        ),
        ("renew", renew(MAC, own), Some((ack, to_own))),
        (
            "renew somebody's",
            renew(stranger, others),
            Some((nak, broadcast)),
        ),
        (
            "renew after lost leases",
            renew(stranger, free),
            Some((ack, Destination::Client(free.into()))),
        ),
        (
            "relayed",
            selecting(MAC, own).giaddr(relay),
            Some((ack, Destination::Relay(relay.into()))),
        ),
        (
            "relayed nak",
            reboot(MAC, others).giaddr(relay),
            Some((nak, Destination::Relay(relay.into()))),
        ),
        (
            "foreign relay",
            selecting(MAC, own).giaddr([192, 168, 1, 2]),
            None,
        ),
        ("nothing named", Packet::new(3, MAC), None),
    ];
    for (name, packet, expected) in cases {
        let out = desk.ask(&packet.end(), &BootAnswer::MaintenanceOs);
        let (message, to) = kind(&out);
        assert_eq!(message.zip(to), expected, "{name}: {out:?}");
        let kept = out.iter().position(|a| matches!(a, Action::Keep(_)));
        assert_eq!(
            kept.is_some(),
            message == Some(ack),
            "{name}: a lease is kept before its ACK, and only then"
        );
        if message == Some(nak) {
            assert_eq!(reply(&out).yiaddr(), Ipv4Addr::UNSPECIFIED, "{name}");
            assert_eq!(
                reply(&out).flags().broadcast(),
                name == "relayed nak",
                "{name}"
            );
        }
    }
}

#[test]
fn relay_information_is_echoed_last_byte_for_byte() {
    let packet = Packet::new(1, MAC)
        .option(82, &[1, 2, 0xaa, 0xbb, 99, 1, 7])
        .giaddr([10, 77, 0, 2]);
    let out = Desk::new(&network()).ask(&packet.end(), &BootAnswer::MaintenanceOs);
    let Action::Send { bytes, .. } = &out[0] else {
        panic!("{out:?}")
    };
    assert!(
        bytes
            .windows(10)
            .any(|w| w == [82, 7, 1, 2, 0xaa, 0xbb, 99, 1, 7, 255])
    );
    show(&out);
}

#[test]
fn an_address_stays_with_its_machine() {
    let mut desk = Desk::new(&network());
    let address = desk.lease(MAC);
    assert_eq!(
        Desk::new(&network()).lease(MAC),
        address,
        "without any memory too"
    );
    desk.now += 4_000_000;
    for n in 0..50 {
        desk.lease(MacAddr([2, 0, 0, 0, 1, n]));
    }
    assert_eq!(desk.lease(MAC), address, "after its lease ran out");
    let kept = desk.server.keep();
    let mut again = Desk::with(&network(), kept);
    again.now = desk.now;
    assert_eq!(again.server.keep(), desk.server.keep());
    assert_eq!(again.lease(MAC), address, "after a restart");
}

#[test]
fn a_hundred_thousand_leases_are_taken_back_as_they_were() {
    let wide = Network {
        prefix: 8,
        pool_first: [10, 100, 0, 0].into(),
        pool_last: [10, 101, 255, 255].into(),
        ..network()
    };
    let first = u32::from(Ipv4Addr::new(10, 100, 0, 0));
    let mut kept: Vec<Lease> = (0..100_000u32)
        .map(|n| {
            let [_, b, c, d] = n.to_be_bytes();
            Lease {
                address: (first + n * 7 % 131_072).into(),
                mac: MacAddr([2, 0, 0, b, c, d]),
                state: LeaseState::Bound,
                since: Millis(5),
                until: Millis(1_000_000 + u64::from(n)),
                uuid: None,
                firmware: None,
            }
        })
        .collect();
    // An older lease of the same machine, an older one of the same address, one outside the pool: none of them counts.
    let newest = kept[7];
    let older = |address: Ipv4Addr, mac| Lease {
        address,
        mac,
        until: Millis(500),
        ..newest
    };
    let mut all = kept.clone();
    all.push(older([10, 101, 255, 255].into(), newest.mac));
    all.push(older(newest.address, MAC));
    all.push(older([10, 99, 0, 0].into(), MacAddr([2, 9, 9, 9, 9, 9])));
    let desk = Desk::with(&wide, all);
    let mut again = desk.server.keep();
    again.sort_by_key(|lease| lease.address);
    kept.sort_by_key(|lease| lease.address);
    assert!(again == kept, "{} and {}", again.len(), kept.len());
    assert_eq!(desk.server.of_machine(newest.mac), Some(newest));
    assert_eq!(desk.server.of_machine(MAC), None);
}

#[test]
fn release_decline_and_an_exhausted_pool() {
    let small = Network {
        pool_last: [10, 77, 0, 101].into(),
        ..network()
    };
    let mut desk = Desk::new(&small);
    let mac = |n| MacAddr([2, 0, 0, 0, 0, n]);
    let (one, two) = (desk.lease(mac(1)), desk.lease(mac(2)));
    assert_ne!(one, two);
    let full = desk.ask(&Packet::new(1, mac(3)).end(), &BootAnswer::MaintenanceOs);
    assert_eq!(
        full,
        [Action::Dropped {
            mac: mac(3),
            why: Dropped::PoolExhausted
        }]
    );
    let not_its_own = desk.ask(
        &Packet::new(7, mac(3)).ciaddr(one).end(),
        &BootAnswer::MaintenanceOs,
    );
    assert_eq!(
        not_its_own,
        [Action::Dropped {
            mac: mac(3),
            why: Dropped::NoAddress
        }]
    );
    let released = desk.ask(&Packet::new(7, mac(1)).ciaddr(one).end(), &refusal());
    assert!(matches!(&released[..], [Action::Keep(lease)] if lease.mac == mac(1)));
    assert_eq!(desk.lease(mac(3)), one);
    // Machine 3 finds its address in use: nobody gets it for ten minutes.
    let decline = Packet::new(4, mac(3)).option(50, &one).option(54, &SERVER);
    let declined = desk.ask(&decline.end(), &BootAnswer::MaintenanceOs);
    assert!(
        matches!(&declined[..], [Action::Keep(lease)] if lease.state == pxe_core::dhcp::LeaseState::Declined)
    );
    let full = desk.ask(&Packet::new(1, mac(3)).end(), &BootAnswer::MaintenanceOs);
    assert_eq!(
        full,
        [Action::Dropped {
            mac: mac(3),
            why: Dropped::PoolExhausted
        }]
    );
    let mut restarted = Desk::with(&small, desk.server.keep());
    restarted.now = desk.now;
    let still = restarted.ask(&Packet::new(1, mac(3)).end(), &BootAnswer::MaintenanceOs);
    assert_eq!(
        still, full,
        "a declined address stays declined over a restart"
    );
    desk.now += 600_000;
    assert_eq!(desk.lease(mac(3)), one);
}

#[test]
fn random_machines_do_not_take_a_known_machines_address() {
    let mut desk = Desk::new(&network());
    let address = desk.lease(MAC);
    for n in 0..5_000u32 {
        let [a, b, c, d] = n.to_be_bytes();
        desk.ask(
            &Packet::new(1, MacAddr([6, 0, a, b, c, d])).end(),
            &BootAnswer::MaintenanceOs,
        );
    }
    assert_eq!(desk.lease(MAC), address);
    // Offers run out, and a known machine that had no lease yet gets an address again.
    desk.now += 60_000;
    desk.lease(MacAddr([2, 0, 0, 0, 0, 7]));
    assert!(desk.server.keep().len() == 2);
}
