// SPDX-License-Identifier: Apache-2.0
//! What each kind of client is told.

use crate::packet::{Desk, MAC, Packet, SERVER, network, refusal, reply, show};
use dhcproto::v4::{DhcpOption, MessageType, OptionCode};
use expect_test::{Expect, expect};
use groundstate_api::MacAddr;
use groundstate_api::boot::{BootAnswer, BootSighting, Firmware};
use groundstate_api::site::Network;
use pxe_core::dhcp::{Action, Client, Destination, Dropped, Malformed, Request};
use std::net::Ipv4Addr;

fn check(text: &str, expect: Expect) {
    expect.assert_eq(text);
}

fn pxe(message: u8, architecture: u8) -> Packet {
    let class = format!("PXEClient:Arch:{architecture:05}:UNDI:003001");
    Packet::new(message, MAC)
        .option(60, class.as_bytes())
        .option(93, &[0, architecture])
}

fn http(message: u8) -> Packet {
    Packet::new(message, MAC)
        .option(60, b"HTTPClient:Arch:00016:UNDI:003001")
        .option(93, &[0, 16])
}

#[test]
fn bios_pxe_gets_undionly_by_tftp() {
    let mut uuid = vec![0, 0x34, 0x12, 0x4d, 0x56, 0x78, 0x56, 0xbc, 0x9a];
    uuid.extend([0xde, 0xf0, 1, 2, 3, 4, 5, 6]);
    let packet = pxe(1, 0).option(97, &uuid).option(61, &[1, 2, 3]);
    let question = Request::parse(&packet.clone().end()).unwrap().question();
    assert_eq!(
        question.uuid.unwrap().to_string(),
        "564d1234-5678-9abc-def0-010203040506"
    );
    assert_eq!(question.firmware, Some(Firmware::Bios));
    check(
        &Desk::new(&network()).says(packet),
        expect![[r#"
            send to Broadcast
              xid=deadbeef ciaddr=0.0.0.0 yiaddr=10.77.0.191 siaddr=10.77.0.1 giaddr=0.0.0.0 sname="10.77.0.1" file="undionly.kpxe"
              1 SubnetMask(255.255.255.0)
              3 Router([10.77.0.254])
              6 DomainNameServer([10.77.0.253])
              28 BroadcastAddr(10.77.0.255)
              43 VendorExtensions([6, 1, 8, 255])
              51 AddressLeaseTime(3600)
              53 MessageType(Offer)
              54 ServerIdentifier(10.77.0.1)
              58 Renewal(1800)
              59 Rebinding(3150)
              60 "PXEClient"
              61 ClientIdentifier([1, 2, 3])
              66 "10.77.0.1"
              67 "undionly.kpxe"
              97 ClientMachineIdentifier([0, 52, 18, 77, 86, 120, 86, 188, 154, 222, 240, 1, 2, 3, 4, 5, 6])
        "#]],
    );
}

#[test]
fn uefi_pxe_gets_snponly_by_tftp() {
    for architecture in [7, 9] {
        let out =
            Desk::new(&network()).ask(&pxe(1, architecture).end(), &BootAnswer::MaintenanceOs);
        let name = reply(&out).opts().get(OptionCode::BootfileName).cloned();
        assert_eq!(
            name,
            Some(DhcpOption::BootfileName(b"snponly.efi".to_vec()))
        );
    }
}

#[test]
fn uefi_http_boot_gets_a_url() {
    check(
        &Desk::new(&network()).says(http(1)),
        expect![[r#"
        send to Broadcast
          xid=deadbeef ciaddr=0.0.0.0 yiaddr=10.77.0.191 siaddr=10.77.0.1 giaddr=0.0.0.0 sname="" file="http://10.77.0.1/boot/groundstate.efi"
          1 SubnetMask(255.255.255.0)
          3 Router([10.77.0.254])
          6 DomainNameServer([10.77.0.253])
          28 BroadcastAddr(10.77.0.255)
          51 AddressLeaseTime(3600)
          53 MessageType(Offer)
          54 ServerIdentifier(10.77.0.1)
          58 Renewal(1800)
          59 Rebinding(3150)
          60 "HTTPClient"
          67 "http://10.77.0.1/boot/groundstate.efi"
    "#]],
    );
}

#[test]
fn ipxe_gets_its_script_by_user_class_or_option_175() {
    let by_class = pxe(1, 0).option(77, b"iPXE");
    check(
        &Desk::new(&network()).says(by_class),
        expect![[r#"
        send to Broadcast
          xid=deadbeef ciaddr=0.0.0.0 yiaddr=10.77.0.191 siaddr=10.77.0.1 giaddr=0.0.0.0 sname="" file="http://10.77.0.1/boot/ipxe/52-54-00-12-34-56.ipxe"
          1 SubnetMask(255.255.255.0)
          3 Router([10.77.0.254])
          6 DomainNameServer([10.77.0.253])
          28 BroadcastAddr(10.77.0.255)
          51 AddressLeaseTime(3600)
          53 MessageType(Offer)
          54 ServerIdentifier(10.77.0.1)
          58 Renewal(1800)
          59 Rebinding(3150)
          67 "http://10.77.0.1/boot/ipxe/52-54-00-12-34-56.ipxe"
          175 Unknown(UnknownOption { code: 175, data: [176, 1, 1] })
    "#]],
    );
    let by_options = pxe(1, 7).option(175, &[177, 5, 1]);
    let request = Request::parse(&by_options.end()).unwrap();
    assert_eq!(request.client, Client::Ipxe(Some(Firmware::UefiPxe)));
    let by_rfc_3004 = pxe(1, 7).option(77, b"\x04iPXE");
    assert_eq!(
        Request::parse(&by_rfc_3004.end()).unwrap().client,
        Client::Ipxe(Some(Firmware::UefiPxe))
    );
}

#[test]
fn an_operating_system_gets_an_address_and_nothing_to_boot() {
    let mut desk = Desk::new(&network());
    let address = desk.lease(MAC);
    let request = Packet::new(3, MAC).option(50, &address).option(54, &SERVER);
    check(
        &desk.says(request),
        expect![[r#"
        KeepLeases
        send to Broadcast
          xid=deadbeef ciaddr=0.0.0.0 yiaddr=10.77.0.191 siaddr=10.77.0.1 giaddr=0.0.0.0 sname="" file=""
          1 SubnetMask(255.255.255.0)
          3 Router([10.77.0.254])
          6 DomainNameServer([10.77.0.253])
          28 BroadcastAddr(10.77.0.255)
          51 AddressLeaseTime(3600)
          53 MessageType(Ack)
          54 ServerIdentifier(10.77.0.1)
          58 Renewal(1800)
          59 Rebinding(3150)
        Saw { mac: 52:54:00:12:34:56, sighting: Leased { address: "10.77.0.191", firmware: None } }
    "#]],
    );
}

#[test]
fn local_disk_means_no_file_for_firmware_an_exit_script_for_ipxe_and_an_address_for_all() {
    for packet in [pxe(1, 0), pxe(1, 7), http(1)] {
        let mut desk = Desk::new(&network());
        let out = desk.ask(&packet.clone().end(), &BootAnswer::LocalDisk);
        let saw = Action::Saw {
            mac: MAC,
            sighting: BootSighting::SentToLocalDisk,
        };
        assert_eq!(out.iter().filter(|a| **a == saw).count(), 1);
        let message = reply(&out);
        let file = message
            .fname_str()
            .unwrap()
            .unwrap()
            .trim_end_matches('\0')
            .to_owned();
        assert!(
            file.ends_with("local-disk"),
            "sent for a file that does not exist: {file}"
        );
        let again = desk.ask(&packet.end(), &BootAnswer::LocalDisk);
        assert!(!again.contains(&saw), "a repeated DISCOVER is one sighting");
    }
    let mut desk = Desk::new(&network());
    let ipxe = desk.ask(&pxe(1, 0).option(77, b"iPXE").end(), &BootAnswer::LocalDisk);
    assert_eq!(
        reply(&ipxe)
            .fname_str()
            .unwrap()
            .unwrap()
            .trim_end_matches('\0')
            .split('/')
            .nth(3),
        Some("boot")
    );
    let plain = desk.ask(&Packet::new(1, MAC).end(), &BootAnswer::LocalDisk);
    assert_eq!(plain.len(), 1);
}

#[test]
fn a_refused_machine_gets_no_answer_at_all() {
    let mut desk = Desk::new(&network());
    for (message, sightings) in [(1, 1), (3, 0), (8, 0)] {
        for packet in [Packet::new(message, MAC), pxe(message, 7)] {
            let packet = packet
                .option(50, &[10, 77, 0, 120])
                .ciaddr([10, 77, 0, 120]);
            let out = desk.ask(&packet.end(), &refusal());
            assert!(
                !out.iter()
                    .any(|a| matches!(a, Action::Send { .. } | Action::KeepLeases)),
                "{out:?}"
            );
            assert!(out.contains(&Action::Dropped {
                mac: MAC,
                why: Dropped::Refused
            }));
            let saw = out
                .iter()
                .filter(|a| matches!(a, Action::Saw { .. }))
                .count();
            assert!(saw <= sightings, "told once in 30 s: {out:?}");
        }
    }
    desk.now += 30_000;
    let out = desk.ask(&pxe(1, 7).end(), &refusal());
    assert!(matches!(
        &out[0],
        Action::Saw {
            sighting: BootSighting::Refused { .. },
            ..
        }
    ));
}

#[test]
fn an_architecture_without_a_boot_file_is_told_of() {
    let out = Desk::new(&network()).ask(&pxe(1, 11).end(), &BootAnswer::MaintenanceOs);
    let told = out.iter().find_map(|a| match a {
        Action::Saw {
            sighting: BootSighting::Refused { reason },
            ..
        } => Some(reason.to_string()),
        _ => None,
    });
    assert!(told.unwrap().contains("option 93 says 11"));
    assert!(reply(&out).fname().is_none());
}

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
    let ack = MessageType::Ack;
    let nak = MessageType::Nak;
    let broadcast = Destination::Broadcast;
    let selecting = |mac, a: [u8; 4]| Packet::new(3, mac).option(50, &a).option(54, &SERVER);
    let reboot = |mac, a: [u8; 4]| Packet::new(3, mac).option(50, &a);
    let renew = |mac, a: [u8; 4]| Packet::new(3, mac).ciaddr(a);
    let to_own = Destination::Client(Ipv4Addr::from(own));
    let relay = [10, 77, 0, 2];
    let cases = [
        ("selecting", selecting(MAC, own), Some((ack, broadcast))),
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
        ("init-reboot", reboot(MAC, own), Some((ack, broadcast))),
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
        let kept = out.iter().position(|a| *a == Action::KeepLeases);
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
    assert_eq!(
        desk.ask(&Packet::new(7, mac(1)).ciaddr(one).end(), &refusal()),
        [Action::KeepLeases]
    );
    assert_eq!(desk.lease(mac(3)), one);
    // Machine 3 finds its address in use: nobody gets it for ten minutes.
    let decline = Packet::new(4, mac(3)).option(50, &one).option(54, &SERVER);
    assert_eq!(
        desk.ask(&decline.end(), &BootAnswer::MaintenanceOs),
        [Action::KeepLeases]
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

#[test]
fn inform_gets_options_and_no_lease() {
    let packet = Packet::new(8, MAC).ciaddr([10, 77, 0, 30]);
    check(
        &Desk::new(&network()).says(packet),
        expect![[r#"
        send to Client(10.77.0.30)
          xid=deadbeef ciaddr=10.77.0.30 yiaddr=0.0.0.0 siaddr=10.77.0.1 giaddr=0.0.0.0 sname="" file=""
          1 SubnetMask(255.255.255.0)
          3 Router([10.77.0.254])
          6 DomainNameServer([10.77.0.253])
          28 BroadcastAddr(10.77.0.255)
          53 MessageType(Ack)
          54 ServerIdentifier(10.77.0.1)
    "#]],
    );
}

#[test]
fn malformed_packets_are_refused_with_the_cause() {
    let good = || Packet::new(1, MAC);
    let cases: Vec<(Vec<u8>, Malformed)> = vec![
        (vec![], Malformed::Short { bytes: 0 }),
        (vec![1; 239], Malformed::Short { bytes: 239 }),
        (good().at(0, &[2]).end(), Malformed::NotARequest { op: 2 }),
        (good().at(236, &[0]).end(), Malformed::NoCookie),
        (
            good().at(2, &[17]).end(),
            Malformed::NotEthernet { htype: 1, hlen: 17 },
        ),
        (
            good().at(1, &[6]).end(),
            Malformed::NotEthernet { htype: 6, hlen: 6 },
        ),
        (
            good().at(28, &[0xff; 6]).end(),
            Malformed::NotAMachine {
                mac: MacAddr([0xff; 6]),
            },
        ),
        (
            good().option(53, &[1]).end(),
            Malformed::OptionLength { code: 53, bytes: 2 },
        ),
        (
            good().option(50, &[1, 2, 3]).end(),
            Malformed::OptionLength { code: 50, bytes: 3 },
        ),
        (
            good().option(93, &[0]).end(),
            Malformed::OptionLength { code: 93, bytes: 1 },
        ),
        (
            good().option(93, &[]).end(),
            Malformed::OptionLength { code: 93, bytes: 0 },
        ),
        (
            good().option(52, &[9]).end(),
            Malformed::OptionLength { code: 52, bytes: 1 },
        ),
        (
            good().option(82, &[0; 200]).option(82, &[0; 200]).end(),
            Malformed::OptionLength {
                code: 82,
                bytes: 400,
            },
        ),
        (
            [good().0, vec![60, 200, 1]].concat(),
            Malformed::Truncated { code: 60 },
        ),
        (
            [good().0, vec![60]].concat(),
            Malformed::Truncated { code: 60 },
        ),
        (
            Packet::new(2, MAC).end(),
            Malformed::NotForServers { message: Some(2) },
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(Request::parse(&bytes).unwrap_err(), expected);
    }
}

#[test]
fn options_in_file_and_sname_are_read() {
    let mut packet = Packet::new(1, MAC).option(52, &[3]).0;
    packet[108..112].copy_from_slice(&[60, 2, b'P', b'X']);
    packet[112] = 255;
    packet[44..52].copy_from_slice(&[60, 6, b'E', b'C', b'l', b'i', b'e', b'n']);
    packet[52..55].copy_from_slice(&[60, 1, b't']);
    packet.extend([93, 2, 0, 7, 255]);
    assert_eq!(
        Request::parse(&packet).unwrap().client,
        Client::Pxe(Firmware::UefiPxe)
    );
}

proptest::proptest! {
    /// Whatever comes, nothing panics, and what is answered is decodable and goes to the subnet.
    #[test]
    fn no_packet_breaks_the_server(
        message in 0u8..10,
        header in proptest::collection::vec(0u8.., 24),
        tail in proptest::collection::vec(0u8.., 0..300),
        options in proptest::collection::vec((0u8.., proptest::collection::vec(0u8.., 0..20)), 0..12),
        answer in 0u8..3,
    ) {
        let mut packet = Packet::new(message, MAC).at(4, &header);
        for (code, value) in options {
            packet = packet.option(code, &value);
        }
        packet.0.extend(tail);
        let answer = [BootAnswer::MaintenanceOs, BootAnswer::LocalDisk, refusal()][usize::from(answer)].clone();
        if Request::parse(&packet.0).is_ok() {
            let out = Desk::new(&network()).ask(&packet.0, &answer);
            show(&out);
        }
        let _ = Request::parse(&packet.0[3..]);
        let _ = Request::parse(&header);
    }
}
