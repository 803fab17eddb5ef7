// SPDX-License-Identifier: Apache-2.0
//! What is no message for a server says why.

use crate::packet::{INFORMATION, LINK_LOCAL, Packet, REBIND, REQUEST, SOLICIT, ip};
use pxe_core::dhcp6::Request6;

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn each_fault_is_named() {
    let raw = |bytes: &[u8]| Packet(bytes.to_vec());
    let ia = |address: &[u8]| {
        let mut value = vec![0; 12];
        value.extend([0, 5, 0, u8::try_from(address.len()).unwrap()]);
        value.extend(address);
        value
    };
    let many = (0..9).fold(Packet::new(SOLICIT, 1), |p, n| p.numbered(n, &[]));
    let crowded = Packet::new(SOLICIT, 1).ia(&[ip("fd77::1"); 9]);
    let relay = |options: &[u8]| {
        let mut bytes = vec![12, 0];
        bytes.extend([0; 32]);
        bytes.extend(options);
        Packet(bytes)
    };
    for (packet, says) in [
        (raw(&[]), "0 bytes are no"),
        (raw(&[1, 2, 3]), "3 bytes are no"),
        (raw(&[2, 0, 0, 0]), "message type 2"),
        (raw(&[13, 0, 0, 0]), "message type 13"),
        (raw(&[255, 0, 0, 0]), "message type 255"),
        (Packet::nobody(SOLICIT), "no client identifier"),
        (
            Packet::nobody(SOLICIT).option(1, &[0, 3]),
            "option 1 has 2 bytes",
        ),
        (
            Packet::nobody(SOLICIT).option(1, &[0; 131]),
            "option 1 has 131 bytes",
        ),
        (
            Packet::new(SOLICIT, 1).option(1, &[0, 3, 0, 1]),
            "option 1 stands there twice",
        ),
        (
            Packet::new(SOLICIT, 1).naming_us(),
            "option 2 must not stand",
        ),
        (
            Packet::new(REBIND, 1).naming_us(),
            "option 2 must not stand",
        ),
        (Packet::new(REQUEST, 1), "option 2 must stand"),
        (
            Packet::nobody(INFORMATION).naming_us().naming_us(),
            "option 2 stands there twice",
        ),
        (
            Packet::new(SOLICIT, 1).option(3, &[0; 11]),
            "option 3 has 11 bytes",
        ),
        (
            Packet::new(SOLICIT, 1).option(3, &ia(&[0; 23])),
            "option 5 has 23 bytes",
        ),
        (
            Packet::new(SOLICIT, 1).option(6, &[0]),
            "option 6 has 1 bytes",
        ),
        (
            Packet::new(SOLICIT, 1).option(15, &[0, 9, 1]),
            "option 15 runs past",
        ),
        (
            Packet::new(SOLICIT, 1).option(16, &[0, 0, 1]),
            "option 16 has 3 bytes",
        ),
        (
            Packet::new(SOLICIT, 1).option(61, &[]),
            "option 61 has 0 bytes",
        ),
        (
            Packet::new(SOLICIT, 1).option(61, &[0, 7, 0]),
            "option 61 has 3 bytes",
        ),
        (
            Packet::new(SOLICIT, 1).option(62, &[1]),
            "option 62 has 1 bytes",
        ),
        (many, "option 3 stands there more than 8 times"),
        (crowded, "option 5 stands there more than 8 times"),
        (relay(&[]), "must hold one message"),
        (relay(&[0, 9, 0, 0, 0, 9, 0, 0]), "must hold one message"),
        (relay(&[0, 9, 0, 0]), "0 bytes are no"),
        (relay(&[0, 9, 0, 1]), "option 9 runs past"),
        (raw(&[12, 0, 0]), "3 bytes are no"),
        (
            Packet::new(SOLICIT, 1)
                .relayed(0, ip("::"), LINK_LOCAL)
                .option(18, &[0; 257]),
            "option 18 has 257 bytes",
        ),
    ] {
        let error = Request6::parse(&packet.0, LINK_LOCAL)
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
}
