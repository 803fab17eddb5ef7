// SPDX-License-Identifier: Apache-2.0
//! LLDP frames that real switches sent, as tcpdump's own tests keep them.

use crate::corpus;
use hw_core::machine::lldp::{ETHERTYPE, NotLldp, neighbour};
use std::collections::BTreeMap;

/// The frames of a capture in pcap's classic format, either byte order (draft-ietf-opsawg-pcap).
fn frames(capture: &[u8]) -> Vec<&[u8]> {
    let number = |at: usize| {
        let four: [u8; 4] = capture[at..at + 4].try_into().unwrap();
        match capture[0] {
            0xd4 | 0x4d => u32::from_le_bytes(four),
            _ => u32::from_be_bytes(four),
        }
    };
    assert_eq!(number(20) & 0xffff, 1, "not a capture of Ethernet frames");
    let mut frames = Vec::new();
    let mut at = 24;
    while at + 16 <= capture.len() {
        let length = usize::try_from(number(at + 8)).unwrap();
        frames.push(&capture[at + 16..at + 16 + length]);
        at += 16 + length;
    }
    frames
}

#[test]
fn switches_name_themselves_and_their_ports() {
    let mut seen = 0;
    for folder in ["pcap/tcpdump", "pcap/wireshark"] {
        let Some(folder) = corpus(folder) else {
            return;
        };
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "pcap") {
                continue;
            }
            let capture = std::fs::read(&path).unwrap();
            let mut said: BTreeMap<String, usize> = BTreeMap::new();
            for frame in frames(&capture) {
                let lldp = frame.get(12..14) == Some(ETHERTYPE.to_be_bytes().as_slice());
                match neighbour(frame) {
                    Ok(neighbour) => *said.entry(neighbour.words()).or_default() += 1,
                    Err(error) => assert!(!lldp && error == NotLldp::OtherProtocol, "{error}"),
                }
                for end in 0..frame.len() {
                    let _ = neighbour(&frame[..end]);
                }
            }
            seen += said.len();
            if path.ends_with("LLDP_and_CDP.pcap") {
                expect_test::expect![[r#"
                    {
                        "port Fa0/13 of S1.cisco.com (00:18:ba:98:68:8f), VLAN 1": 4,
                        "port Uplink to S1 of S2.cisco.com (00:19:2f:a7:b2:8d), VLAN 1": 4,
                    }
                "#]]
                .assert_debug_eq(&said);
            }
        }
    }
    assert!(seen > 0, "no capture holds LLDP");
}
