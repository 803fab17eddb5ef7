// SPDX-License-Identifier: Apache-2.0
//! T7, as far as it is decided here: what a client can make us send, and what a name can mean.

use crate::drive::{begin, request};
use groundstate_api::Millis;
use pxe_core::tftp::{
    Action, Admission, Event, Session, TRANSFERS_MAX, TftpRefusal, Transfers, error_packet,
    read_request, with_slashes,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Names on an allow-list, as a test of exactness.
const THERE: [&str; 4] = ["snponly.efi", "boot/bcd", "a b", "..."];

#[test]
fn five_thousand_names_that_climb_name_nothing() {
    let steps = [
        "..",
        "...",
        ".",
        "%2e%2e",
        "..%2f",
        "..\\",
        "....//",
        "\u{ff0e}\u{ff0e}",
        "~",
        "",
    ];
    let ends = [
        "etc/passwd",
        "etc\\shadow",
        "dev/zero",
        "proc/self/mem",
        "snponly.efi\u{1}",
        "boot/bcd/..",
        "snponly.efi/.",
        "BOOT/BCD",
        "snponly.ef",
        "snponly.efi%00",
        "C:\\boot.ini",
        "*",
        "local-disk",
    ];
    let starts = ["", "/", "//", "\\", "\\\\host\\", "boot/", "file:///", "./"];
    let mut names = 0;
    for start in starts {
        for end in ends {
            for (n, step) in steps.iter().enumerate() {
                for depth in 1..=5 {
                    for between in ["/", "\\"] {
                        let climbed = vec![*step; depth].join(between);
                        let name = format!("{start}{climbed}{between}{end}");
                        let packet = format!("\0\u{1}{name}\0octet\0");
                        names += 1;
                        let read = read_request(packet.as_bytes()).unwrap();
                        assert_eq!(read.name, name, "{n}: as it was sent");
                        let other = with_slashes(&name);
                        let tried = [Some(name), other];
                        for name in tried.into_iter().flatten() {
                            assert!(!THERE.contains(&name.as_str()), "{name}");
                        }
                    }
                }
            }
        }
    }
    assert!(names >= 5_000, "{names}");
}

#[test]
fn a_request_to_write_is_refused_whatever_it_says() {
    for mode in ["octet", "netascii", "mail", ""] {
        for name in ["snponly.efi", "new", "../etc/passwd", ""] {
            let packet = format!("\0\u{2}{name}\0{mode}\0tsize\x005\0");
            assert_eq!(read_request(packet.as_bytes()), Err(TftpRefusal::Write));
        }
    }
    assert_eq!(read_request(b"\0\x02"), Err(TftpRefusal::Write));
    assert_eq!(
        error_packet(&TftpRefusal::Write).unwrap()[..4],
        [0, 5, 0, 2]
    );
}

#[test]
fn names_without_an_end_and_names_of_512_bytes_are_malformed() {
    for packet in [
        b"\0\x01snponly.efi".to_vec(),
        b"\0\x01snponly.efi\0octet".to_vec(),
        b"\0\x01".to_vec(),
        b"\0\x01\0".to_vec(),
        format!("\0\u{1}{}\0octet\0", "x".repeat(512)).into_bytes(),
    ] {
        assert_eq!(read_request(&packet), Err(TftpRefusal::Malformed));
    }
    let longest = format!("\0\u{1}{}\0octet\0", "x".repeat(512 - 9));
    assert_eq!(read_request(longest.as_bytes()).unwrap().name.len(), 503);
}

#[test]
fn sizes_that_make_no_sense_are_cut_or_left_out() {
    for (options, size, window) in [
        ("blksize\x000\0windowsize\x000\0", 512, None),
        ("blksize\x008\0windowsize\x001\0", 8, Some(1)),
        ("blksize\x0065464\0windowsize\x0065535\0", 1_468, Some(64)),
        ("blksize\x0065465\0windowsize\x0065536\0", 1_468, None),
        ("blksize\x0099999999999999999999\0", 512, None),
        ("blksize\0-1\0windowsize\0 4\0", 512, None),
    ] {
        let request = request(options);
        assert_eq!(
            (request.block_bytes(), request.windowsize),
            (size, window),
            "{options:?}"
        );
    }
}

#[test]
fn ten_thousand_half_open_reads_stay_within_the_table_and_send_little() {
    let mut table = Transfers::default();
    let mut sessions = BTreeMap::new();
    let request = request("");
    let (mut sent, mut bytes) = (0, 0);
    let mut count = |out: &[Action]| {
        for action in out {
            if let Action::Data(blocks) = action {
                sent += 1;
                bytes += blocks.bytes() + 4;
            }
        }
    };
    for n in 0..10_000u16 {
        let [high, low] = n.to_be_bytes();
        let peer = SocketAddr::from(([10, 99, high, low], 2_000));
        let Ok(Admission::Begins { id, instead_of }) = table.admit(peer, &request) else {
            panic!("an address that has none");
        };
        if let Some(old) = instead_of {
            sessions.remove(&old);
        }
        let mut out = Vec::new();
        let session = Session::begin(Millis(n.into()), &request, 1 << 20, &mut out);
        count(&out);
        sessions.insert(id, session);
        assert!(sessions.len() <= TRANSFERS_MAX && table.count() == sessions.len());
    }
    for session in sessions.values_mut() {
        while let Some(at) = session.deadline() {
            let mut out = Vec::new();
            session.handle(at, Event::Timeout, &mut out);
            count(&out);
        }
    }
    // A false sender's victim gets each block four times at most.
    assert_eq!(sent, 10_000 + 3 * TRANSFERS_MAX as u64);
    assert_eq!(bytes, sent * 516);
}

#[test]
fn acks_that_were_made_up_neither_speed_nor_end_a_transfer() {
    let (mut it, _) = begin("windowsize\x004\0", 10_000_000);
    it.ack(0);
    for block in 5..=u16::MAX {
        assert_eq!(it.ack(block), "", "{block} was never sent");
    }
    for noise in [
        &b"\0\x03\0\x01data"[..],
        b"\0\x01f\0octet\0",
        b"\0\x06",
        b"\0\x05\0",
        b"\0",
    ] {
        assert_eq!(it.handle(Event::Packet(noise)), []);
    }
    assert_eq!(it.ack(4), "5-8");
}
