// SPDX-License-Identifier: Apache-2.0
//! Real clients' packets, from captures that nobody in this project made.

use crate::frames::{Datagram, datagrams_of};
use crate::packet::{Desk, codes, network, refusal, show};
use dhcproto::Decodable as _;
use groundstate_api::boot::BootAnswer;
use pxe_core::dhcp::{Action, Request};
use std::fmt::Write as _;
use std::path::PathBuf;

/// What the capture sends to the server's port.
fn requests(file: &[u8]) -> Vec<Vec<u8>> {
    let to_us = |one: &Datagram| one.to.port() == 67;
    let all = datagrams_of(file).into_iter().filter(to_us);
    all.map(|one| one.bytes).collect()
}

fn corpus_root() -> PathBuf {
    std::env::var_os("GROUNDSTATE_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    )
}

fn corpus(name: &str) -> Option<Vec<u8>> {
    match std::fs::read(corpus_root().join("pcap").join(name)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{name}: {error}");
            eprintln!("skipped: {name}: {error}");
            None
        }
    }
}

/// Each distinct client of the capture, and what it is told.
fn check(name: &str, expect: expect_test::Expect) {
    let Some(file) = corpus(name) else { return };
    let mut seen = Vec::new();
    let mut text = String::new();
    for bytes in requests(&file) {
        match Request::parse(&bytes) {
            Err(error) => writeln!(text, "refused: {error}").unwrap(),
            Ok(request) => {
                let who = (request.mac, request.message, request.client);
                if seen.contains(&who) {
                    continue;
                }
                seen.push(who);
                writeln!(
                    text,
                    "{} {:?} {:?} uuid={:?}",
                    who.0, who.1, who.2, request.uuid
                )
                .unwrap();
                let out = Desk::new(&network()).ask(&bytes, &BootAnswer::MaintenanceOs);
                for line in show(&out).lines() {
                    let told = [
                        "send", "  xid", "  43", "  60", "  66", "  67", "  175", "Dropped",
                    ];
                    if told.iter().any(|t| line.starts_with(t)) {
                        writeln!(text, "    {}", line.trim()).unwrap();
                    }
                }
            }
        }
    }
    expect.assert_eq(&text);
}

/// Every capture of the corpus, every answer of the boot policy: whatever real clients sent is refused with the cause or
/// answered with a message that another program reads back whole.
#[test]
fn every_capture_is_answered_well() {
    let Some(root) = pcaps() else { return };
    let answers = [
        BootAnswer::MaintenanceOs,
        BootAnswer::LOCAL_DISK,
        BootAnswer::Nothing,
        refusal(),
    ];
    let mut replies = 0;
    for file in root {
        let bytes = std::fs::read(&file).unwrap();
        for packet in requests(&bytes) {
            for answer in &answers {
                let mut desk = Desk::new(&network());
                let Ok(request) = Request::parse(&packet) else {
                    continue;
                };
                for action in desk.ask(&packet, answer) {
                    let Action::Send { bytes, .. } = action else {
                        continue;
                    };
                    replies += 1;
                    assert!((300..=1_472).contains(&bytes.len()), "{}", file.display());
                    let reply = dhcproto::v4::Message::from_bytes(&bytes).unwrap();
                    assert_eq!(reply.xid(), request.xid);
                    assert_eq!(reply.chaddr(), request.mac.0);
                    assert_eq!(codes(&bytes).len(), reply.opts().iter().count());
                }
            }
        }
    }
    assert!(replies > 0);
}

/// The captures, where they are there.
fn pcaps() -> Option<Vec<PathBuf>> {
    corpus("wireshark/dhcp.pcap")?;
    let mut found = Vec::new();
    let mut folders = vec![corpus_root().join("pcap")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            if path.is_dir() {
                folders.push(path);
            } else if matches!(ending, Some("pcap" | "pcapng")) {
                found.push(path);
            }
        }
    }
    Some(found)
}

#[test]
fn ovmf_by_pxe_and_http() {
    check(
        "ovmf-debian/edk2-pxev4-pxev6-httpv4.pcap",
        expect_test::expect![[r#"
            52:54:00:12:34:56 Discover Pxe { architecture: 7 } uuid=None
                send to Broadcast
                xid=10ab5346 ciaddr=0.0.0.0 yiaddr=10.77.0.191 siaddr=10.77.0.1 giaddr=0.0.0.0 sname="10.77.0.1" file="snponly.efi"
                43 VendorExtensions([6, 1, 8, 255])
                60 "PXEClient"
                66 "10.77.0.1"
                67 "snponly.efi"
            52:54:00:12:34:56 Discover Http { architecture: 16 } uuid=None
                send to Broadcast
                xid=10ab5349 ciaddr=0.0.0.0 yiaddr=10.77.0.191 siaddr=10.77.0.1 giaddr=0.0.0.0 sname="" file="http://10.77.0.1/boot/groundstate.efi"
                60 "HTTPClient"
                67 "http://10.77.0.1/boot/groundstate.efi"
        "#]],
    );
}

#[test]
fn the_ipxe_rom_then_ovmf() {
    check(
        "ovmf-debian/qemu-ipxe-rom-then-edk2-pxe.pcap",
        expect_test::expect![[r#"
            52:54:00:12:34:56 Discover Ipxe { architecture: Some(7) } uuid=None
                send to Hardware { mac: 52:54:00:12:34:56, address: 10.77.0.191 }
                xid=fddbde60 ciaddr=0.0.0.0 yiaddr=10.77.0.191 siaddr=10.77.0.1 giaddr=0.0.0.0 sname="" file="http://10.77.0.1/boot/ipxe/52-54-00-12-34-56.ipxe"
                67 "http://10.77.0.1/boot/ipxe/52-54-00-12-34-56.ipxe"
                175 Unknown(UnknownOption { code: 175, data: [176, 1, 1] })
            52:54:00:12:34:56 Request Ipxe { architecture: Some(7) } uuid=None
                Dropped { mac: 52:54:00:12:34:56, why: OtherServer(192.168.76.2) }
            52:54:00:12:34:56 Discover Pxe { architecture: 7 } uuid=None
                send to Broadcast
                xid=f7855b9f ciaddr=0.0.0.0 yiaddr=10.77.0.191 siaddr=10.77.0.1 giaddr=0.0.0.0 sname="10.77.0.1" file="snponly.efi"
                43 VendorExtensions([6, 1, 8, 255])
                60 "PXEClient"
                66 "10.77.0.1"
                67 "snponly.efi"
        "#]],
    );
}

#[test]
fn real_uefi_firmware() {
    check(
        "tianocore/BZ-387-PXE-UEFI.pcapng",
        expect_test::expect![[r#"
            52:54:00:83:ec:bc Discover Pxe { architecture: 7 } uuid=Some(c181f717-48e8-4c82-8367-e47f4c972d88)
                send to Broadcast
                xid=42c12124 ciaddr=0.0.0.0 yiaddr=10.77.0.122 siaddr=10.77.0.1 giaddr=0.0.0.0 sname="10.77.0.1" file="snponly.efi"
                43 VendorExtensions([6, 1, 8, 255])
                60 "PXEClient"
                66 "10.77.0.1"
                67 "snponly.efi"
            52:54:00:83:ec:bc Request Pxe { architecture: 7 } uuid=Some(c181f717-48e8-4c82-8367-e47f4c972d88)
                Dropped { mac: 52:54:00:83:ec:bc, why: OtherServer(192.168.122.250) }
        "#]],
    );
}

#[test]
fn netboot_clients() {
    check(
        "danderson-netboot/dhcp.pcap",
        expect_test::expect![[r#"
            d0:50:99:4e:05:57 Discover Pxe { architecture: 0 } uuid=Some(03000200-0400-0500-0006-000700080009)
                send to Broadcast
                xid=9b4e0557 ciaddr=0.0.0.0 yiaddr=10.77.0.182 siaddr=10.77.0.1 giaddr=0.0.0.0 sname="10.77.0.1" file="undionly.kpxe"
                43 VendorExtensions([6, 1, 8, 255])
                60 "PXEClient"
                66 "10.77.0.1"
                67 "undionly.kpxe"
            00:24:d7:ba:0b:20 Request Plain uuid=None
                Dropped { mac: 00:24:d7:ba:0b:20, why: ForeignRelay(192.168.40.1) }
        "#]],
    );
}

#[test]
fn an_ordinary_client() {
    check(
        "wireshark/dhcp.pcap",
        expect_test::expect![[r#"
            00:0b:82:01:fc:42 Discover Plain uuid=None
                send to Hardware { mac: 00:0b:82:01:fc:42, address: 10.77.0.151 }
                xid=3d1d ciaddr=0.0.0.0 yiaddr=10.77.0.151 siaddr=10.77.0.1 giaddr=0.0.0.0 sname="" file=""
            00:0b:82:01:fc:42 Request Plain uuid=None
                Dropped { mac: 00:0b:82:01:fc:42, why: OtherServer(192.168.0.1) }
        "#]],
    );
}
