// SPDX-License-Identifier: Apache-2.0
//! What each kind of client is told.

use crate::packet::{Desk, MAC, Packet, SERVER, network, refusal, reply};
use dhcproto::v4::{DhcpOption, OptionCode};
use expect_test::{Expect, expect};
use groundstate_api::boot::{BootAnswer, BootSighting, Firmware};
use pxe_core::dhcp::{Action, Client, Dropped, Request};

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
            send to Hardware { mac: 52:54:00:12:34:56, address: 10.77.0.191 }
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
            send to Hardware { mac: 52:54:00:12:34:56, address: 10.77.0.191 }
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
            send to Hardware { mac: 52:54:00:12:34:56, address: 10.77.0.191 }
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
    assert_eq!(
        request.client,
        Client::Ipxe {
            architecture: Some(7)
        }
    );
    let by_rfc_3004 = pxe(1, 7).option(77, b"\x04iPXE");
    assert_eq!(
        Request::parse(&by_rfc_3004.end()).unwrap().client,
        Client::Ipxe {
            architecture: Some(7)
        }
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
            Keep(Lease { address: 10.77.0.191, mac: 52:54:00:12:34:56, state: Bound, since: Millis(1000000), until: Millis(4600000), uuid: None, firmware: None })
            send to Hardware { mac: 52:54:00:12:34:56, address: 10.77.0.191 }
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
        let out = desk.ask(&packet.clone().end(), &BootAnswer::LOCAL_DISK);
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
        let again = desk.ask(&packet.end(), &BootAnswer::LOCAL_DISK);
        assert!(!again.contains(&saw), "a repeated DISCOVER is one sighting");
    }
    let mut desk = Desk::new(&network());
    let ipxe = desk.ask(
        &pxe(1, 0).option(77, b"iPXE").end(),
        &BootAnswer::LOCAL_DISK,
    );
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
    let plain = desk.ask(&Packet::new(1, MAC).end(), &BootAnswer::LOCAL_DISK);
    assert_eq!(plain.len(), 1);
}

#[test]
fn firmware_that_is_sent_to_its_disk_is_not_told_of_as_a_network_boot() {
    let sightings = |answer: &BootAnswer, discover: &Packet, request: fn() -> Packet| {
        let mut desk = Desk::new(&network());
        let mut out = desk.ask(&discover.clone().end(), answer);
        let address = reply(&out).yiaddr().octets();
        let request = request().option(50, &address).option(54, &SERVER);
        out.extend(desk.ask(&request.end(), answer));
        assert!(
            out.iter().any(|a| matches!(a, Action::Keep(_))),
            "it has its address"
        );
        let lease = desk.server.of_machine(MAC).unwrap();
        assert!(lease.firmware.is_some(), "and its firmware is remembered");
        out.into_iter()
            .filter_map(|action| match action {
                Action::Saw { sighting, .. } => Some(sighting),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let kinds: [(Packet, fn() -> Packet); 3] = [
        (http(1), || http(3)),
        (pxe(1, 7), || pxe(3, 7)),
        (pxe(1, 0), || pxe(3, 0)),
    ];
    for (discover, request) in kinds {
        assert_eq!(
            sightings(&BootAnswer::LOCAL_DISK, &discover, request),
            [BootSighting::SentToLocalDisk]
        );
        assert!(matches!(
            sightings(&BootAnswer::MaintenanceOs, &discover, request).as_slice(),
            [BootSighting::Leased {
                firmware: Some(_),
                ..
            }]
        ));
    }
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
                    .any(|a| matches!(a, Action::Send { .. } | Action::Keep(_))),
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
