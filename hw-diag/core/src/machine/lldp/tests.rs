// SPDX-License-Identifier: Apache-2.0
use super::*;
use proptest::prelude::*;

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap();
    let mut bytes = (u16::from(kind) << 9 | length).to_be_bytes().to_vec();
    bytes.extend(value);
    bytes
}

fn frame(tlvs: &[Vec<u8>]) -> Vec<u8> {
    let mut frame = vec![1, 0x80, 0xc2, 0, 0, 0x0e, 2, 0, 0, 0, 0, 1, 0x88, 0xcc];
    frame.extend(tlvs.concat());
    frame
}

/// A frame with everything that is read, ids of every usual subtype.
fn whole() -> Vec<u8> {
    frame(&[
        tlv(1, &[4, 0, 0x11, 0x22, 0x33, 0x44, 0x55]),
        tlv(2, b"\x05Gi1/0/12"),
        tlv(3, &[0, 120]),
        tlv(4, b"rack 7\x1b[31m"),
        tlv(5, b"switch-7"),
        tlv(6, b"some switch\nsecond line"),
        tlv(7, &[0, 4, 0, 4]),
        tlv(8, &[5, 1, 10, 0, 0, 7, 2, 0, 0, 0, 1, 0]),
        tlv(
            8,
            &[
                17, 2, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2,
            ],
        ),
        tlv(127, &[0, 0x80, 0xc2, 1, 0, 77]),
        tlv(127, b"\x00\x80\xc2\x03\x00\x4d\x05nodes"),
        tlv(127, &[0, 0x12, 0x0f, 1, 3, 0, 0, 0, 0]),
        tlv(0, &[]),
        vec![0xff; 4],
    ])
}

#[test]
fn a_neighbour_is_named_with_its_port_and_vlan() {
    let seen = neighbour(&whole()).unwrap();
    assert_eq!(
        seen,
        Neighbour {
            chassis: "00:11:22:33:44:55".into(),
            port: "Gi1/0/12".into(),
            port_description: "rack 7?[31m".into(),
            system: "switch-7".into(),
            system_description: "some switch second line".into(),
            addresses: vec!["10.0.0.7".into(), "fe80::1".into()],
            vlan: Some(77),
            vlan_names: vec![(77, "nodes".into())],
            holds_seconds: 120,
        }
    );
    assert_eq!(
        seen.words(),
        "port Gi1/0/12 of switch-7 (00:11:22:33:44:55), VLAN 77"
    );
}

#[test]
fn tags_before_the_ethertype_are_passed_over() {
    let mut tagged = whole();
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x4d]);
    assert_eq!(neighbour(&tagged), neighbour(&whole()));
    tagged.splice(12..12, [0x88, 0xa8, 0x00, 0x4d]);
    assert_eq!(neighbour(&tagged), neighbour(&whole()));
}

#[test]
fn half_a_frame_names_nobody() {
    let whole = whole();
    let ended = whole.len() - 6;
    for end in 0..ended {
        // Between two TLVs after the third a cut cannot be seen: some switches send no End TLV.
        match neighbour(&whole[..end]) {
            Err(NotLldp::OtherProtocol) => assert!(end < ETHERNET_HEADER),
            Err(NotLldp::Cut { at }) => assert!(at >= ETHERNET_HEADER && at <= end),
            Ok(seen) => assert_eq!((seen.port.as_str(), seen.holds_seconds), ("Gi1/0/12", 120)),
            Err(other) => panic!("cut at {end}: {other}"),
        }
    }
    assert_eq!(neighbour(b""), Err(NotLldp::OtherProtocol));
    let out_of_order = [tlv(2, b"\x05x"), tlv(1, b"\x07y"), tlv(3, &[0, 1])];
    let order = NotLldp::Order {
        number: 1,
        wanted: 1,
        found: 2,
    };
    assert_eq!(neighbour(&frame(&out_of_order)), Err(order));
    let empty = [tlv(1, b"\x07y"), tlv(2, b"\x07"), tlv(3, &[0, 1])];
    assert_eq!(neighbour(&frame(&empty)), Err(NotLldp::Empty { kind: 2 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn mutated_frames(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
                      end in any::<prop::sample::Index>()) {
        let mut frame = whole();
        for (at, value) in changes {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        frame.truncate(end.index(frame.len()) + 1);
        if let Ok(seen) = neighbour(&frame) {
            prop_assert!(!seen.chassis.is_empty() && !seen.port.is_empty());
            prop_assert!(seen.words().bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert!(seen.addresses.len() <= LIST_MAX && seen.vlan_names.len() <= LIST_MAX);
        }
    }
}
