// SPDX-License-Identifier: Apache-2.0
//! Real clients' packets, from captures that nobody in this project made.

use crate::frames::datagrams;
use crate::packet::{config, server_id, show};
use expect_test::{Expect, expect};
use groundstate_api::Millis;
use groundstate_api::boot::BootAnswer;
use pxe_core::dhcp6::{Event6, Request6, Server6};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// Each distinct message of a capture to port 547, and what it is told.
fn check(name: &str, expect: Expect) {
    let Some(datagrams) = datagrams(name) else {
        return;
    };
    let mut text = String::new();
    let mut seen = Vec::new();
    for mut datagram in datagrams {
        let SocketAddr::V6(from) = datagram.from else {
            continue;
        };
        if datagram.to.port() != 547 {
            continue;
        }
        // The view of replies knows one transaction.
        datagram.bytes[1..4].copy_from_slice(&[0xab, 0xcd, 0xef]);
        match Request6::parse(&datagram.bytes, *from.ip()) {
            Err(error) => writeln!(text, "refused: {error}").unwrap(),
            Ok(request) => {
                let who = (request.message, request.client, request.mac);
                if seen.contains(&who) {
                    continue;
                }
                seen.push(who);
                writeln!(
                    text,
                    "{:?} {:?} {:?} {:?}",
                    who.0, who.1, who.2, request.uuid
                )
                .unwrap();
                let answer = request.question().map(|_| BootAnswer::MaintenanceOs);
                let (request, mut out) = (Box::new(request), Vec::new());
                let mut server = Server6::new(config(), server_id(), []).unwrap();
                server.handle(
                    Millis(1_000_000),
                    Event6::Asked { request, answer },
                    &mut out,
                );
                for line in show(&out).lines() {
                    writeln!(text, "    {line}").unwrap();
                }
            }
        }
    }
    expect.assert_eq(&text);
}

#[test]
fn ovmf() {
    check(
        "ovmf-debian/edk2-pxev4-pxev6-httpv4.pcap",
        expect![[r#"
        Solicit Pxe { architecture: 7 } Some(52:54:00:12:34:56) None
            send to Client
              advertise
              1 0001000131db0835525400123456
              2 0001000130000000525400000001
              7 "�"
              3 ia 2605809654 t1=1800 t2=2880
                address fd77::d6:2c9f:2d51 for 3600 s
              dns fd77::53
              59 tftp://[fd77::1]/snponly.efi
    "#]],
    );
}

#[test]
fn an_operating_system_with_a_uuid_for_a_name() {
    check(
        "danderson-netboot/dhcp6.pcap",
        expect![[r#"
        Solicit Plain Some(28:d2:44:85:7b:1d) Some(74c475b0-d742-d4ca-3681-fe4bc6f66c24)
            send to Client
              advertise
              1 000474c475b0d742d4ca3681fe4bc6f66c24
              2 0001000130000000525400000001
              7 "�"
              3 ia 1149598493 t1=1800 t2=2880
                address fd77::d6:147b:ae26 for 3600 s
              dns fd77::53
              24 "\u{4}rack\u{7}example\0"
        Request Plain Some(28:d2:44:85:7b:1d) Some(74c475b0-d742-d4ca-3681-fe4bc6f66c24)
            dropped: the client chose another server
    "#]],
    );
}

#[test]
fn another_operating_system() {
    check(
        "tcpdump/dhcpv6-ia-na.pcap",
        expect![[r#"
        Solicit Plain Some(00:01:02:03:04:05) None
            send to Client
              advertise
              1 00030001000102030405
              2 0001000130000000525400000001
              7 "�"
              3 ia 33752069 t1=1800 t2=2880
                address fd77::d6:5207:41d4 for 3600 s
              dns fd77::53
              24 "\u{4}rack\u{7}example\0"
        Request Plain Some(00:01:02:03:04:05) None
            dropped: the client chose another server
    "#]],
    );
}
