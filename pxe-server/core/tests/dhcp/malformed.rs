// SPDX-License-Identifier: Apache-2.0
//! Packets as wrong as they like: refused with the cause, and nothing breaks.

use crate::packet::{Desk, MAC, Packet, network, refusal, show};
use groundstate_api::MacAddr;
use groundstate_api::boot::BootAnswer;
use pxe_core::dhcp::{Client, Malformed, Request};

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
            Malformed::NotForServers { message: 2 },
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
        Client::Pxe { architecture: 7 }
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
        let answer = [BootAnswer::MaintenanceOs, BootAnswer::LOCAL_DISK, refusal()][usize::from(answer)].clone();
        if Request::parse(&packet.0).is_ok() {
            let out = Desk::new(&network()).ask(&packet.0, &answer);
            show(&out);
        }
        let _ = Request::parse(&packet.0[3..]);
        let _ = Request::parse(&header);
    }
}
