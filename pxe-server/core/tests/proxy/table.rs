// SPDX-License-Identifier: Apache-2.0
//! What each kind of client is told on each port.

use crate::packet::{MAC, NOWHERE, OURS, Packet, ask, config, pxe, show};
use expect_test::{Expect, expect};
use groundstate_api::boot::{BootAnswer, LocalBoot};
use groundstate_api::boot_session::BootStep;
use groundstate_api::{Reason, ReasonCode};
use pxe_core::proxy::{Port, Proxy, ProxyAction, ProxyConfig};
use std::net::SocketAddrV4;

fn check(packet: Packet, port: Port, from: SocketAddrV4, expect: Expect) {
    let out = ask(&packet.end(), port, from, &BootAnswer::MaintenanceOs);
    expect.assert_eq(&show(&out));
}

fn refusal() -> BootAnswer {
    BootAnswer::Refuse {
        reason: Reason::new(ReasonCode::UnknownMachine, "not in the site file", "add it"),
    }
}

#[test]
fn a_bios_is_told_to_take_the_file_of_the_offer() {
    let mut uuid = vec![0];
    uuid.extend(1..=16);
    check(
        pxe(1, 0).option(97, &uuid).option(61, &[1, 2, 3]),
        Port::Dhcp,
        NOWHERE,
        expect![[r#"
            send to 255.255.255.255:68
              xid=deadbeef ciaddr=0.0.0.0 siaddr=10.77.0.2 giaddr=0.0.0.0 sname="10.77.0.2" file="undionly.kpxe"
              43 VendorExtensions([6, 1, 8, 255])
              53 MessageType(Offer)
              54 ServerIdentifier(10.77.0.2)
              60 "PXEClient"
              61 ClientIdentifier([1, 2, 3])
              66 "10.77.0.2"
              67 "undionly.kpxe"
              97 ClientMachineIdentifier([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
        "#]],
    );
}

#[test]
fn uefi_is_offered_without_discovery_control_and_asks_port_4011() {
    check(
        pxe(1, 7),
        Port::Dhcp,
        NOWHERE,
        expect![[r#"
        send to 255.255.255.255:68
          xid=deadbeef ciaddr=0.0.0.0 siaddr=10.77.0.2 giaddr=0.0.0.0 sname="10.77.0.2" file="snponly.efi"
          53 MessageType(Offer)
          54 ServerIdentifier(10.77.0.2)
          60 "PXEClient"
          66 "10.77.0.2"
          67 "snponly.efi"
    "#]],
    );
    // EDK2 listens on the port that it asks from.
    check(
        pxe(3, 7).ciaddr([10, 77, 0, 100]),
        Port::BootServer,
        "10.77.0.100:4011".parse().unwrap(),
        expect![[r#"
            send to 10.77.0.100:4011
              xid=deadbeef ciaddr=10.77.0.100 siaddr=10.77.0.2 giaddr=0.0.0.0 sname="10.77.0.2" file="snponly.efi"
              53 MessageType(Ack)
              54 ServerIdentifier(10.77.0.2)
              60 "PXEClient"
              66 "10.77.0.2"
              67 "snponly.efi"
        "#]],
    );
    // Without an address in the header the sender's is taken, and without that one everybody's.
    for (from, to) in [
        ("10.77.0.100:68", "10.77.0.100:68"),
        ("0.0.0.0:68", "255.255.255.255:68"),
    ] {
        let from = from.parse().unwrap();
        let out = ask(
            &pxe(3, 7).end(),
            Port::BootServer,
            from,
            &BootAnswer::MaintenanceOs,
        );
        assert!(
            show(&out).starts_with(&format!("send to {to}\n")),
            "{}",
            show(&out)
        );
    }
}

#[test]
fn a_boot_item_is_named_in_the_answer() {
    check(
        pxe(3, 0)
            .ciaddr([10, 77, 0, 100])
            .option(43, &[71, 4, 0, 1, 0, 0, 255]),
        Port::BootServer,
        "10.77.0.100:68".parse().unwrap(),
        expect![[r#"
            send to 10.77.0.100:68
              xid=deadbeef ciaddr=10.77.0.100 siaddr=10.77.0.2 giaddr=0.0.0.0 sname="10.77.0.2" file="undionly.kpxe"
              43 VendorExtensions([6, 1, 8, 71, 4, 0, 1, 0, 0, 255])
              53 MessageType(Ack)
              54 ServerIdentifier(10.77.0.2)
              60 "PXEClient"
              66 "10.77.0.2"
              67 "undionly.kpxe"
        "#]],
    );
    // A search for boot servers by broadcast is answered too; the request for an address is the other server's.
    let search = pxe(3, 0).option(43, &[71, 4, 0, 1, 0, 0, 255]);
    let out = ask(
        &search.clone().end(),
        Port::Dhcp,
        NOWHERE,
        &BootAnswer::MaintenanceOs,
    );
    assert!(show(&out).contains("MessageType(Ack)"), "{}", show(&out));
    let other = search.option(54, &[10, 77, 0, 1]).end();
    let out = ask(&other, Port::Dhcp, NOWHERE, &BootAnswer::MaintenanceOs);
    assert_eq!(
        show(&out),
        "dropped: the client chose another boot server\n"
    );
}

#[test]
fn http_boot_and_ipxe_get_urls() {
    check(
        Packet::new(1)
            .option(60, b"HTTPClient:Arch:00016:UNDI:003001")
            .option(93, &[0, 16]),
        Port::Dhcp,
        NOWHERE,
        expect![[r#"
            send to 255.255.255.255:68
              xid=deadbeef ciaddr=0.0.0.0 siaddr=10.77.0.2 giaddr=0.0.0.0 sname="" file="http://10.77.0.2/boot/groundstate.efi"
              53 MessageType(Offer)
              54 ServerIdentifier(10.77.0.2)
              60 "HTTPClient"
              67 "http://10.77.0.2/boot/groundstate.efi"
        "#]],
    );
    check(
        pxe(1, 0).option(77, b"iPXE").option(175, &[177, 1, 1]),
        Port::Dhcp,
        NOWHERE,
        expect![[r#"
            send to 255.255.255.255:68
              xid=deadbeef ciaddr=0.0.0.0 siaddr=10.77.0.2 giaddr=0.0.0.0 sname="" file="http://10.77.0.2/boot/ipxe/52-54-00-12-34-56.ipxe"
              53 MessageType(Offer)
              54 ServerIdentifier(10.77.0.2)
              60 "PXEClient"
              67 "http://10.77.0.2/boot/ipxe/52-54-00-12-34-56.ipxe"
        "#]],
    );
}

#[test]
fn a_relayed_question_is_answered_through_the_relay_agent() {
    check(
        pxe(1, 0).giaddr([10, 78, 0, 1]).option(82, &[1, 2, 7, 7]),
        Port::Dhcp,
        "10.78.0.1:67".parse().unwrap(),
        expect![[r#"
            send to 10.78.0.1:67
              xid=deadbeef ciaddr=0.0.0.0 siaddr=10.77.0.2 giaddr=10.78.0.1 sname="10.77.0.2" file="undionly.kpxe"
              43 VendorExtensions([6, 1, 8, 255])
              53 MessageType(Offer)
              54 ServerIdentifier(10.77.0.2)
              60 "PXEClient"
              66 "10.77.0.2"
              67 "undionly.kpxe"
              82 RelayAgentInformation(RelayAgentInformation({AgentCircuitId: AgentCircuitId([7, 7])}))
        "#]],
    );
}

#[test]
fn what_is_not_for_a_boot_service_is_left_to_the_dhcp_server() {
    let cases = [
        (Packet::new(1), Port::Dhcp, "this is no network boot client"),
        (
            Packet::new(3),
            Port::BootServer,
            "this is no network boot client",
        ),
        (
            Packet::new(8).ciaddr([10, 77, 0, 9]),
            Port::Dhcp,
            "this is no network boot client",
        ),
        (pxe(3, 0), Port::Dhcp, "for the DHCP server"),
        (pxe(4, 0), Port::Dhcp, "for the DHCP server"),
        (pxe(7, 7), Port::BootServer, "for the DHCP server"),
    ];
    for (packet, port, why) in cases {
        let out = ask(&packet.end(), port, NOWHERE, &BootAnswer::MaintenanceOs);
        let [ProxyAction::Dropped { mac, why: said }] = out.as_slice() else {
            panic!("{out:?}");
        };
        assert!(*mac == MAC && said.to_string().contains(why), "{said}");
    }
}

#[test]
fn the_boot_policy_decides() {
    let local = |how| BootAnswer::LocalDisk { how };
    for (architecture, answer, expect) in [
        (0, local(LocalBoot::Usual), Some("\"local-disk\"")),
        (0, local(LocalBoot::Exit), Some("\"undionly.kpxe\"")),
        (7, local(LocalBoot::Exit), Some("\"local-disk\"")),
        (7, local(LocalBoot::NoAnswer), None),
        (0, BootAnswer::Nothing, None),
        (0, refusal(), None),
        (11, BootAnswer::MaintenanceOs, None),
    ] {
        let out = ask(&pxe(1, architecture).end(), Port::Dhcp, NOWHERE, &answer);
        let text = show(&out);
        match expect {
            Some(file) => assert!(text.contains(&format!("67 {file}")), "{text}"),
            None => {
                assert!(!text.contains("send"), "{text}");
                let last = |step: &BootStep| matches!(step, BootStep::Unanswered { .. });
                assert!(
                    out.iter().any(
                        |action| matches!(action, ProxyAction::Step { step, .. } if last(step))
                    )
                );
            }
        }
    }
    let out = ask(&pxe(1, 0).end(), Port::Dhcp, NOWHERE, &refusal());
    expect![[r#"
        saw Refused { reason: Reason { code: UnknownMachine, part: None, what: "not in the site file", evidence: [], since: None, deadline: None, next_automatic: "nothing: it waits for a person", next_step: "add it" } }
        dropped: the boot policy refuses this machine
    "#]].assert_eq(&show(&out));
    let out = ask(
        &pxe(1, 11).end(),
        Port::Dhcp,
        NOWHERE,
        &BootAnswer::MaintenanceOs,
    );
    expect![[r#"
        saw Refused { reason: Reason { code: PlanRefused, part: Some(Machine { said: "52:54:00:12:34:56" }), what: "there is no boot file for processor architecture type 11", evidence: ["DHCP option 93 says 11; served are 0, 7, 9, 16"], since: None, deadline: None, next_automatic: "nothing: it waits for a person", next_step: "boot this machine as one that is served, or name a boot file for its architecture" } }
        dropped: there is no boot file for processor architecture type 11
    "#]].assert_eq(&show(&out));
}

#[test]
fn an_address_that_nobody_could_fetch_from_is_refused() {
    for address in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1"] {
        let config = ProxyConfig {
            address: address.parse().unwrap(),
            ..config()
        };
        let error = Proxy::new(config).unwrap_err().to_string();
        assert!(error.contains(address), "{error}");
    }
    assert_eq!(Proxy::new(config()).unwrap().config().address, OURS);
}
