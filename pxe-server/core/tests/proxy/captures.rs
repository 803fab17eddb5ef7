// SPDX-License-Identifier: Apache-2.0
//! Real clients' packets, from captures that nobody in this project made.

use crate::frames::datagrams;
use crate::packet::{ask, show};
use expect_test::{Expect, expect};
use groundstate_api::boot::BootAnswer;
use pxe_core::proxy::{Port, ProxyRequest};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// Each distinct question of a capture to port 67 or 4011, and what it is told.
fn check(name: &str, expect: Expect) {
    let Some(datagrams) = datagrams(name) else {
        return;
    };
    let mut text = String::new();
    let mut seen = Vec::new();
    for datagram in datagrams {
        let port = match datagram.to.port() {
            67 => Port::Dhcp,
            4011 => Port::BootServer,
            _ => continue,
        };
        let SocketAddr::V4(from) = datagram.from else {
            continue;
        };
        match ProxyRequest::parse(&datagram.bytes, port, from) {
            Err(error) => writeln!(text, "refused: {error}").unwrap(),
            Ok(asked) => {
                let who = (
                    port,
                    asked.request.mac,
                    asked.request.message,
                    asked.request.client,
                );
                if seen.contains(&who) {
                    continue;
                }
                seen.push(who);
                writeln!(text, "{:?} {} {:?} {:?}", who.0, who.1, who.2, who.3).unwrap();
                let out = ask(&datagram.bytes, port, from, &BootAnswer::MaintenanceOs);
                for line in show(&out).lines() {
                    writeln!(text, "    {line}").unwrap();
                }
            }
        }
    }
    expect.assert_eq(&text);
}

#[test]
fn real_uefi_firmware_asks_port_4011_from_port_4011() {
    check(
        "tianocore/BZ-387-PXE-UEFI.pcapng",
        expect![[r#"
        Dhcp 52:54:00:83:ec:bc Discover Pxe { architecture: 7 }
            send to 255.255.255.255:68
              xid=42c12124 ciaddr=0.0.0.0 siaddr=10.77.0.2 giaddr=0.0.0.0 sname="10.77.0.2" file="snponly.efi"
              53 MessageType(Offer)
              54 ServerIdentifier(10.77.0.2)
              60 "PXEClient"
              66 "10.77.0.2"
              67 "snponly.efi"
              97 ClientMachineIdentifier([0, 23, 247, 129, 193, 232, 72, 130, 76, 131, 103, 228, 127, 76, 151, 45, 136])
        Dhcp 52:54:00:83:ec:bc Request Pxe { architecture: 7 }
            dropped: this message is for the DHCP server that gives the address
        BootServer 52:54:00:83:ec:bc Request Pxe { architecture: 7 }
            send to 192.168.122.63:4011
              xid=16467fd3 ciaddr=192.168.122.63 siaddr=10.77.0.2 giaddr=0.0.0.0 sname="10.77.0.2" file="snponly.efi"
              53 MessageType(Ack)
              54 ServerIdentifier(10.77.0.2)
              60 "PXEClient"
              66 "10.77.0.2"
              67 "snponly.efi"
              97 ClientMachineIdentifier([0, 23, 247, 129, 193, 232, 72, 130, 76, 131, 103, 228, 127, 76, 151, 45, 136])
    "#]],
    );
}

#[test]
fn a_real_bios_rom_beside_a_real_proxy() {
    check(
        "danderson-netboot/dhcp.pcap",
        expect![[r#"
        Dhcp d0:50:99:4e:05:57 Discover Pxe { architecture: 0 }
            send to 255.255.255.255:68
              xid=9b4e0557 ciaddr=0.0.0.0 siaddr=10.77.0.2 giaddr=0.0.0.0 sname="10.77.0.2" file="undionly.kpxe"
              43 VendorExtensions([6, 1, 8, 255])
              53 MessageType(Offer)
              54 ServerIdentifier(10.77.0.2)
              60 "PXEClient"
              66 "10.77.0.2"
              67 "undionly.kpxe"
              97 ClientMachineIdentifier([0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9])
        Dhcp 00:24:d7:ba:0b:20 Request Plain
            dropped: this is no network boot client, and addresses are the other server's business
    "#]],
    );
}

#[test]
fn ovmf_by_pxe_and_http() {
    check(
        "ovmf-debian/edk2-pxev4-pxev6-httpv4.pcap",
        expect![[r#"
        Dhcp 52:54:00:12:34:56 Discover Pxe { architecture: 7 }
            send to 255.255.255.255:68
              xid=10ab5346 ciaddr=0.0.0.0 siaddr=10.77.0.2 giaddr=0.0.0.0 sname="10.77.0.2" file="snponly.efi"
              53 MessageType(Offer)
              54 ServerIdentifier(10.77.0.2)
              60 "PXEClient"
              66 "10.77.0.2"
              67 "snponly.efi"
              97 ClientMachineIdentifier([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        Dhcp 52:54:00:12:34:56 Discover Http { architecture: 16 }
            send to 255.255.255.255:68
              xid=10ab5349 ciaddr=0.0.0.0 siaddr=10.77.0.2 giaddr=0.0.0.0 sname="" file="http://10.77.0.2/boot/groundstate.efi"
              53 MessageType(Offer)
              54 ServerIdentifier(10.77.0.2)
              60 "HTTPClient"
              67 "http://10.77.0.2/boot/groundstate.efi"
              97 ClientMachineIdentifier([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    "#]],
    );
}

#[test]
fn the_ipxe_rom_then_ovmf() {
    check(
        "ovmf-debian/qemu-ipxe-rom-then-edk2-pxe.pcap",
        expect![[r#"
        Dhcp 52:54:00:12:34:56 Discover Ipxe { architecture: Some(7) }
            send to 255.255.255.255:68
              xid=fddbde60 ciaddr=0.0.0.0 siaddr=10.77.0.2 giaddr=0.0.0.0 sname="" file="http://10.77.0.2/boot/ipxe/52-54-00-12-34-56.ipxe"
              53 MessageType(Offer)
              54 ServerIdentifier(10.77.0.2)
              60 "PXEClient"
              61 ClientIdentifier([1, 82, 84, 0, 18, 52, 86])
              67 "http://10.77.0.2/boot/ipxe/52-54-00-12-34-56.ipxe"
              97 ClientMachineIdentifier([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        Dhcp 52:54:00:12:34:56 Request Ipxe { architecture: Some(7) }
            dropped: this message is for the DHCP server that gives the address
        Dhcp 52:54:00:12:34:56 Discover Pxe { architecture: 7 }
            send to 255.255.255.255:68
              xid=f7855b9f ciaddr=0.0.0.0 siaddr=10.77.0.2 giaddr=0.0.0.0 sname="10.77.0.2" file="snponly.efi"
              53 MessageType(Offer)
              54 ServerIdentifier(10.77.0.2)
              60 "PXEClient"
              66 "10.77.0.2"
              67 "snponly.efi"
              97 ClientMachineIdentifier([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    "#]],
    );
}

#[test]
fn an_ordinary_client_gets_nothing() {
    check(
        "wireshark/dhcp.pcap",
        expect![[r#"
        Dhcp 00:0b:82:01:fc:42 Discover Plain
            dropped: this is no network boot client, and addresses are the other server's business
        Dhcp 00:0b:82:01:fc:42 Request Plain
            dropped: this is no network boot client, and addresses are the other server's business
    "#]],
    );
}
