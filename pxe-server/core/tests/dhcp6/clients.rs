// SPDX-License-Identifier: Apache-2.0
//! What each kind of client is told to boot.

use crate::packet::{Desk, INFORMATION, Packet, REQUEST, SOLICIT, config, ip, show};
use expect_test::expect;
use groundstate_api::boot::{BootAnswer, Firmware, LocalBoot};
use groundstate_api::{MacAddr, Reason, ReasonCode};
use pxe_core::dhcp6::{Dhcp6Config, Request6};

fn pxe() -> Packet {
    Packet::new(SOLICIT, 0x56)
        .ia(&[])
        .firmware("PXEClient:Arch:00007:UNDI:003001", 7)
}

fn http() -> Packet {
    Packet::new(SOLICIT, 0x56)
        .ia(&[])
        .firmware("HTTPClient:Arch:00016:UNDI:003001", 16)
}

#[test]
fn uefi_pxe_gets_a_tftp_url_in_brackets() {
    expect![[r#"
        send to Client
          advertise
          1 00030001525400123456
          2 0001000130000000525400000001
          7 "�"
          3 ia 7 t1=1800 t2=2880
            address fd77::d6:9095:7bac for 3600 s
          dns fd77::53
          59 tftp://[fd77::1]/snponly.efi
    "#]]
    .assert_eq(&Desk::new().says(&pxe()));
}

#[test]
fn uefi_http_boot_gets_an_http_url_and_its_class_back() {
    expect![[r#"
        send to Client
          advertise
          1 00030001525400123456
          2 0001000130000000525400000001
          7 "�"
          3 ia 7 t1=1800 t2=2880
            address fd77::d6:9095:7bac for 3600 s
          dns fd77::53
          59 http://[fd77::1]/boot/groundstate.efi
          16 "\0\0\u{1}W\0\nHTTPClient"
    "#]]
    .assert_eq(&Desk::new().says(&http()));
}

#[test]
fn ipxe_gets_its_script_and_an_operating_system_nothing_to_boot() {
    let ipxe = pxe().option(15, b"\0\x04iPXE");
    let text = Desk::new().says(&ipxe);
    let url = "  59 http://[fd77::1]/boot/ipxe/52-54-00-12-34-56.ipxe\n";
    assert!(text.contains(url), "{text}");
    let plain = Packet::new(SOLICIT, 0x56)
        .ia(&[])
        .option(6, &[0, 23, 0, 24, 0, 59]);
    expect![[r#"
        send to Client
          advertise
          1 00030001525400123456
          2 0001000130000000525400000001
          7 "�"
          3 ia 7 t1=1800 t2=2880
            address fd77::d6:9095:7bac for 3600 s
          dns fd77::53
          24 "\u{4}rack\u{7}example\0"
    "#]]
    .assert_eq(&Desk::new().says(&plain));
}

#[test]
fn parameters_and_another_port_stand_in_the_answer() {
    let mut desk = Desk::with(
        Dhcp6Config {
            http_port: 8080,
            parameters: vec!["one".into(), "two".into()],
            preference: None,
            ..config()
        },
        Vec::new(),
    );
    let text = desk.says(&http());
    assert!(
        text.contains("59 http://[fd77::1]:8080/boot/groundstate.efi\n"),
        "{text}"
    );
    assert!(text.contains(r#"60 "\0\u{3}one\0\u{3}two""#), "{text}");
    assert!(!text.contains("  7 "), "{text}");
}

#[test]
fn information_alone_names_the_boot_file_and_no_address() {
    let packet = Packet::nobody(INFORMATION).firmware("PXEClient:Arch:00007:UNDI:003001", 7);
    expect![[r#"
        send to Client
          reply
          2 0001000130000000525400000001
          dns fd77::53
          59 tftp://[fd77::1]/snponly.efi
    "#]]
    .assert_eq(&Desk::new().says(&packet));
}

#[test]
fn the_boot_policy_decides() {
    let refuse = BootAnswer::Refuse {
        reason: Reason::new(ReasonCode::UnknownMachine, "not in the site file", "add it"),
    };
    let local = |how| BootAnswer::LocalDisk { how };
    for (packet, answer, expected) in [
        (
            pxe(),
            local(LocalBoot::Usual),
            Some("59 tftp://[fd77::1]/local-disk\n"),
        ),
        (
            http(),
            local(LocalBoot::Exit),
            Some("59 http://[fd77::1]/boot/local-disk\n"),
        ),
        (pxe(), local(LocalBoot::NoAnswer), None),
        (pxe(), BootAnswer::Nothing, Some("address ")),
        (pxe(), refuse, None),
    ] {
        let text = show(&Desk::new().ask(&packet, &answer));
        match expected {
            Some(part) => assert!(text.contains(part), "{text}"),
            None => assert!(text.contains("dropped") && !text.contains("send"), "{text}"),
        }
        if answer == BootAnswer::Nothing {
            assert!(!text.contains("59 "), "{text}");
        }
    }
    // No file for this architecture: an address, and a reason for people.
    let arm = Packet::new(REQUEST, 0x56)
        .naming_us()
        .ia(&[])
        .firmware("PXEClient", 11);
    let text = Desk::new().says(&arm);
    assert!(
        text.contains("architecture type 11") && text.contains("address "),
        "{text}"
    );
    assert!(!text.contains("59 "), "{text}");
}

#[test]
fn who_it_is_is_seen_in_its_address_or_its_name() {
    let mac = |last| MacAddr([0x52, 0x54, 0, 0x12, 0x34, last]);
    let seen = |packet: &Packet, from: &str| Request6::parse(&packet.0, ip(from)).unwrap();
    let eui = "fe80::5054:ff:fe12:3401";
    let other = "fe80::1:2:3:4";
    // Firmware is known by the port it asks from, an operating system by its name; each by the other where there is none.
    assert_eq!(seen(&pxe(), eui).mac, Some(mac(1)));
    assert_eq!(seen(&pxe(), other).mac, Some(mac(0x56)));
    let plain = Packet::new(SOLICIT, 0x56);
    assert_eq!(seen(&plain, eui).mac, Some(mac(0x56)));
    let uuid = [
        0, 4, 0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
        0xee, 0xff,
    ];
    let named = Packet::nobody(SOLICIT).option(1, &uuid);
    assert_eq!(seen(&named, eui).mac, Some(mac(1)));
    assert_eq!(seen(&named, other).mac, None);
    assert_eq!(seen(&named, other).question(), None);
    // EDK2 writes SMBIOS's bytes.
    let firmware = named.firmware("PXEClient:Arch:00007:UNDI:003001", 7);
    let question = seen(&firmware, eui).question().unwrap();
    assert_eq!(
        question.uuid.unwrap().to_string(),
        "00112233-4455-6677-8899-aabbccddeeff"
    );
    assert_eq!(
        (question.firmware, question.architecture),
        (Some(Firmware::UefiPxe), Some(7))
    );
}

#[test]
fn whom_nobody_can_name_gets_an_address_only_where_that_is_wished() {
    let uuid = [0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    let nobody = Packet::nobody(SOLICIT).option(1, &uuid).ia(&[]);
    let hidden = nobody.relayed(0, ip("fd77::9"), ip("fd77::abcd"));
    let text = Desk::new().says(&hidden);
    assert!(text.contains("no MAC address can be seen"), "{text}");
    let nameless = Dhcp6Config {
        nameless: true,
        ..config()
    };
    let text = Desk::with(nameless, Vec::new()).says(&hidden);
    assert!(text.contains("address fd77::d6:"), "{text}");
}
