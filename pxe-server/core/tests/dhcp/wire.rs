// SPDX-License-Identifier: Apache-2.0
//! The bytes of replies: what the RFCs say of them, with the RFCs' own examples where they have any.

use crate::packet::{Desk, MAC, Packet, SERVER, codes, config, reply};
use groundstate_api::MacAddr;
use groundstate_api::boot::{BootAnswer, BootRecipe};
use pxe_core::dhcp::{Action, Client, Destination, Request, Route, ServerConfig};
use std::net::Ipv4Addr;

/// The options of a reply as a client reads them: the options field, then `file` and `sname` where option 52 says so,
/// pieces of one number joined.
fn read(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    fn walk(mut area: &[u8], found: &mut Vec<(u8, Vec<u8>)>) {
        while let [code, rest @ ..] = area {
            match code {
                255 => return,
                0 => area = rest,
                _ => {
                    let length = usize::from(rest[0]);
                    let value = &rest[1..=length];
                    match found.iter_mut().find(|(known, _)| known == code) {
                        Some((_, joined)) => joined.extend(value),
                        None => found.push((*code, value.to_vec())),
                    }
                    area = &rest[1 + length..];
                }
            }
        }
        panic!("a field without its end");
    }
    let mut found = Vec::new();
    walk(&bytes[240..], &mut found);
    let overload = found
        .iter()
        .find(|(code, _)| *code == 52)
        .map_or(0, |(_, value)| value[0]);
    if overload & 1 != 0 {
        walk(&bytes[108..236], &mut found);
    }
    if overload & 2 != 0 {
        walk(&bytes[44..108], &mut found);
    }
    found
}

fn value(bytes: &[u8], code: u8) -> Option<Vec<u8>> {
    read(bytes)
        .into_iter()
        .find(|(it, _)| *it == code)
        .map(|(_, value)| value)
}

fn sent(desk: &mut Desk, packet: Packet, answer: &BootAnswer) -> (Destination, Vec<u8>) {
    let out = desk.ask(&packet.end(), answer);
    out.into_iter()
        .find_map(|action| match action {
            Action::Send { to, bytes } => Some((to, bytes)),
            _ => None,
        })
        .expect("an answer")
}

fn offer(config: ServerConfig, packet: Packet) -> Vec<u8> {
    sent(
        &mut Desk::of(config, Vec::new()),
        packet,
        &BootAnswer::MaintenanceOs,
    )
    .1
}

fn named(file: &str) -> BootAnswer {
    BootAnswer::Recipe {
        recipe: BootRecipe {
            file: Some(file.to_owned()),
            ..BootRecipe::default()
        },
    }
}

#[test]
fn rfc_3396_a_long_value_is_read_from_its_pieces_and_sent_in_pieces() {
    // Section 8's example: the pieces are in the options field, in `file`, in `sname`, in this order.
    let mut packet = Packet::new(1, MAC)
        .option(52, &[3])
        .option(60, b"PXEClient:A")
        .0;
    packet[108..118].copy_from_slice(&[60, 7, b'r', b'c', b'h', b':', b'0', b'0', b'0', 255]);
    packet[44..49].copy_from_slice(&[60, 2, b'0', b'7', 255]);
    packet.push(255);
    let request = Request::parse(&packet).unwrap();
    assert_eq!(request.client, Client::Pxe { architecture: 7 });
    // A boot file's URL of 300 bytes goes out in pieces of at most 255, and not into the header's field.
    let long = "x".repeat(300 - "http://10.77.0.1/boot/".len());
    let packet = Packet::new(1, MAC)
        .option(77, b"iPXE")
        .option(57, &[5, 220]);
    let (_, bytes) = sent(&mut Desk::of(config(), Vec::new()), packet, &named(&long));
    assert_eq!(
        value(&bytes, 67).unwrap(),
        format!("http://10.77.0.1/boot/{long}").into_bytes()
    );
    assert_eq!(codes(&bytes).iter().filter(|code| **code == 67).count(), 2);
    assert_eq!(bytes[108], 0);
    // One of 127 bytes stands in both.
    let fits = "x".repeat(127 - "http://10.77.0.1/boot/".len());
    let packet = Packet::new(1, MAC).option(77, b"iPXE");
    let (_, bytes) = sent(&mut Desk::of(config(), Vec::new()), packet, &named(&fits));
    assert_eq!(
        bytes[108..236].split(|b| *b == 0).next(),
        value(&bytes, 67).as_deref()
    );
}

fn with_routes() -> ServerConfig {
    let mut config = config();
    let route = |to: [u8; 4], prefix| Route {
        to: to.into(),
        prefix,
        via: [10, 77, 0, 254].into(),
    };
    // RFC 3442's examples of destinations, from /8 to /32.
    config.subnets[0].routes = vec![
        route([10, 0, 0, 0], 8),
        route([10, 0, 0, 0], 24),
        route([10, 17, 0, 0], 16),
        route([10, 27, 129, 0], 24),
        route([10, 229, 0, 128], 25),
        route([10, 198, 122, 47], 32),
    ];
    config
}

#[test]
fn rfc_3442_routes_as_the_rfc_writes_them_and_only_to_who_asks() {
    let via = [10, 77, 0, 254];
    let mut expected = vec![0];
    expected.extend(via);
    for destination in [
        &[8u8, 10][..],
        &[24, 10, 0, 0],
        &[16, 10, 17],
        &[24, 10, 27, 129],
        &[25, 10, 229, 0, 128],
        &[32, 10, 198, 122, 47],
    ] {
        expected.extend(destination);
        expected.extend(via);
    }
    for (asks, code) in [
        (&[1u8, 121, 3][..], 121u8),
        (&[249, 1], 249),
        (&[249, 121], 121),
    ] {
        let bytes = offer(with_routes(), Packet::new(1, MAC).option(55, asks));
        assert_eq!(value(&bytes, code).as_ref(), Some(&expected));
        assert_eq!(value(&bytes, 3), None, "the default route is among them");
    }
    for packet in [
        Packet::new(1, MAC),
        Packet::new(1, MAC).option(55, &[1, 3, 6]),
    ] {
        let bytes = offer(with_routes(), packet);
        assert_eq!((value(&bytes, 121), value(&bytes, 249)), (None, None));
        assert_eq!(value(&bytes, 3).unwrap(), via);
    }
    // Without routes, whoever asks for them gets the router.
    let bytes = offer(config(), Packet::new(1, MAC).option(55, &[121]));
    assert_eq!(
        (value(&bytes, 121), value(&bytes, 3)),
        (None, Some(via.to_vec()))
    );
}

#[test]
fn optional_options_go_to_who_asks_and_boot_options_always() {
    let mut rich = config();
    rich.subnets[0].ntp = vec![[10, 77, 0, 251].into()];
    rich.subnets[0].domain = Some("rack.example".to_owned());
    rich.subnets[0].mtu = Some(9_000);
    let bytes = offer(rich.clone(), Packet::new(1, MAC).option(55, &[15, 26, 42]));
    assert_eq!(value(&bytes, 42).unwrap(), [10, 77, 0, 251]);
    assert_eq!(value(&bytes, 15).unwrap(), b"rack.example");
    assert_eq!(value(&bytes, 26).unwrap(), [0x23, 0x28]);
    let pxe = Packet::new(1, MAC)
        .option(55, &[1])
        .option(60, b"PXEClient");
    let bytes = offer(rich.clone(), pxe);
    assert_eq!(
        (value(&bytes, 15), value(&bytes, 26), value(&bytes, 42)),
        (None, None, None)
    );
    assert_eq!(value(&bytes, 67).unwrap(), b"undionly.kpxe");
    assert_eq!(value(&bytes, 43).unwrap(), [6, 1, 8, 255]);
    // An operating system that asks for a boot file (busybox does) gets none.
    let bytes = offer(rich, Packet::new(1, MAC).option(55, &[1, 66, 67]));
    assert_eq!((value(&bytes, 66), value(&bytes, 67)), (None, None));
}

#[test]
fn lease_times_and_fixed_fields() {
    let bytes = offer(config(), Packet::new(1, MAC).at(8, &[0, 9]).at(3, &[4]));
    assert_eq!(
        codes(&bytes)[..3],
        [53, 54, 51],
        "the message type comes first"
    );
    assert_eq!(value(&bytes, 51).unwrap(), 3_600u32.to_be_bytes());
    assert_eq!(value(&bytes, 58).unwrap(), 1_800u32.to_be_bytes());
    assert_eq!(value(&bytes, 59).unwrap(), 3_150u32.to_be_bytes());
    assert_eq!(bytes[..4], [2, 1, 6, 0], "hops are ours");
    assert_eq!(bytes[4..8], [0xde, 0xad, 0xbe, 0xef]);
    assert_eq!(bytes[8..10], [0, 0], "secs too");
    assert_eq!(bytes[20..24], SERVER);
    assert_eq!(
        bytes.len(),
        300,
        "the least that every relay agent passes on"
    );
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn rfc_2131_4_1_where_each_reply_goes() {
    let own = [10, 77, 0, 191];
    let mut desk = Desk::of(config(), Vec::new());
    assert_eq!(desk.lease(MAC), own);
    let relay = [10, 77, 0, 2];
    let hardware = Destination::Hardware {
        mac: MAC,
        address: own.into(),
    };
    let client = Destination::Client(own.into());
    let discover = || Packet::new(1, MAC);
    let selecting = || Packet::new(3, MAC).option(50, &own).option(54, &SERVER);
    let flag = |packet: Packet| packet.at(10, &[0x80, 0]);
    let cases = [
        ("an offer", discover(), hardware),
        (
            "an offer, broadcast flag",
            flag(discover()),
            Destination::Broadcast,
        ),
        (
            "an offer never goes to ciaddr",
            discover().ciaddr(own),
            hardware,
        ),
        (
            "an offer through a relay agent",
            flag(discover()).giaddr(relay),
            Destination::Relay(relay.into()),
        ),
        ("an ack", selecting(), hardware),
        (
            "an ack, broadcast flag",
            flag(selecting()),
            Destination::Broadcast,
        ),
        (
            "an ack to an address in use",
            Packet::new(3, MAC).ciaddr(own),
            client,
        ),
        (
            "the same, broadcast flag",
            flag(Packet::new(3, MAC).ciaddr(own)),
            client,
        ),
        (
            "a renewal through a relay agent",
            Packet::new(3, MAC).ciaddr(own).giaddr(relay),
            Destination::Relay(relay.into()),
        ),
        (
            "an ack never goes to another's address",
            selecting().ciaddr([8, 8, 8, 8]),
            hardware,
        ),
        ("an inform", Packet::new(8, MAC).ciaddr(own), client),
        (
            "an inform through a relay agent",
            Packet::new(8, MAC).ciaddr(own).giaddr(relay),
            Destination::Relay(relay.into()),
        ),
        (
            "a nak",
            Packet::new(3, MAC).option(50, &[10, 77, 0, 9]),
            Destination::Broadcast,
        ),
        (
            "a nak to an address in use",
            Packet::new(3, MAC).ciaddr([10, 77, 0, 9]),
            Destination::Broadcast,
        ),
        (
            "a nak through a relay agent",
            Packet::new(3, MAC)
                .option(50, &[10, 77, 0, 9])
                .giaddr(relay),
            Destination::Relay(relay.into()),
        ),
    ];
    for (says, packet, expected) in cases {
        let (to, bytes) = sent(&mut desk, packet, &BootAnswer::MaintenanceOs);
        assert_eq!(to, expected, "{says}");
        let nak = value(&bytes, 53).unwrap() == [6];
        assert_eq!(nak, says.starts_with("a nak"), "{says}");
        if nak {
            assert_eq!(bytes[12..24], [0; 12], "{says}: no address");
            let relayed = matches!(to, Destination::Relay(_));
            assert_eq!(
                bytes[10] & 0x80 != 0,
                relayed,
                "{says}: the relay agent is to broadcast"
            );
            assert!(
                value(&bytes, 51).is_none() && value(&bytes, 56).is_some(),
                "{says}"
            );
        }
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn rfc_2131_table_3_what_stands_in_each_reply() {
    let (own, none) = ([10, 77, 0, 191], [0; 4]);
    let mut desk = Desk::of(config(), Vec::new());
    assert_eq!(desk.lease(MAC), own);
    // Whatever a client says of itself, and padding behind its hardware address.
    let (id, relay_said) = ([0, 1, 2, 3], [1, 1, 7]);
    let full = |packet: Packet| {
        packet
            .option(
                55,
                &[1, 3, 6, 28, 43, 50, 51, 54, 55, 57, 58, 59, 60, 66, 67, 97],
            )
            .option(57, &[5, 220])
            .option(60, b"PXEClient:Arch:00007:UNDI:003016")
            .option(61, &id)
            .option(93, &[0, 7])
            .option(97, &[0; 17])
            .option(82, &relay_said)
            .at(3, &[2])
            .at(8, &[0, 9])
            .at(34, &[0xee; 10])
    };
    let wants = |address: &[u8]| Packet::new(3, MAC).option(50, address);
    let cases = [
        ("offer", Packet::new(1, MAC), 2, none, own),
        (
            "ack, selecting",
            wants(&own).option(54, &SERVER),
            5,
            none,
            own,
        ),
        ("ack, init-reboot", wants(&own), 5, none, own),
        (
            "ack, renewing",
            Packet::new(3, MAC).ciaddr(own),
            5,
            own,
            own,
        ),
        ("ack, inform", Packet::new(8, MAC).ciaddr(own), 5, own, none),
        ("nak", wants(&[10, 77, 0, 9]), 6, none, none),
    ];
    for (says, packet, kind, ciaddr, yiaddr) in cases {
        for relay in [none, [10, 77, 0, 2]] {
            let asked = full(packet.clone().giaddr(relay)).0;
            let answer = BootAnswer::MaintenanceOs;
            let (_, bytes) = sent(&mut desk, Packet(asked.clone()), &answer);
            let nak = kind == 6;
            assert_eq!(bytes[..8], [2, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef], "{says}");
            let flags = if nak && relay != none { 0x80 } else { 0 };
            assert_eq!(bytes[8..12], [0, 0, flags, 0], "{says}");
            let siaddr = if nak { none } else { SERVER };
            let addresses = [ciaddr, yiaddr, siaddr, relay].concat();
            assert_eq!(bytes[12..28], addresses, "{says}");
            assert_eq!(bytes[28..44], asked[28..44], "{says}: the padding, too");
            let has = |code: u8| value(&bytes, code).is_some();
            assert_eq!(value(&bytes, 53).unwrap(), [kind], "{says}");
            assert_eq!(value(&bytes, 54).unwrap(), SERVER, "{says}");
            assert_eq!(value(&bytes, 61).unwrap(), id, "{says}");
            assert_eq!(value(&bytes, 82).unwrap(), relay_said, "{says}");
            assert_eq!(codes(&bytes).last(), Some(&82), "{says}");
            let lease = yiaddr != none;
            assert_eq!([51, 58, 59].map(has), [lease; 3], "{says}");
            assert_eq!([50, 52, 55, 57, 93].map(has), [false; 5], "{says}");
            assert_eq!(has(56), nak, "{says}");
            if nak {
                let only = [53, 54, 56, 61, 82];
                assert!(
                    codes(&bytes).iter().all(|code| only.contains(code)),
                    "{says}"
                );
                assert!(bytes[44..236].iter().all(|byte| *byte == 0), "{says}");
            }
        }
    }
}

#[test]
fn rfc_2131_table_3_a_nak_never_puts_options_into_file_and_sname() {
    let long = [7; 255];
    let asked = Packet::new(3, MAC)
        .option(50, &[192, 168, 0, 1])
        .option(61, &long)
        .option(82, &long);
    let bytes = offer(config(), asked);
    assert_eq!(value(&bytes, 53).unwrap(), [6]);
    assert_eq!(value(&bytes, 54).unwrap(), SERVER);
    assert_eq!(value(&bytes, 82).unwrap(), long);
    assert_eq!(value(&bytes, 52), None);
    assert!(bytes[44..236].iter().all(|byte| *byte == 0));
    assert!(bytes.len() <= 548, "{} bytes", bytes.len());
}

#[test]
fn rfc_6842_the_client_identifier_is_returned_in_every_reply() {
    let id = [0xff, 1, 2, 3, 4, 0, 2];
    for packet in [
        Packet::new(1, MAC),
        Packet::new(3, MAC).option(50, &[10, 77, 0, 120]),
        Packet::new(3, MAC).option(50, &[192, 168, 0, 1]),
        Packet::new(8, MAC).ciaddr([10, 77, 0, 9]),
    ] {
        let bytes = offer(config(), packet.clone().option(61, &id));
        assert_eq!(value(&bytes, 61).as_deref(), Some(&id[..]));
        assert_eq!(value(&offer(config(), packet), 61), None);
    }
}

#[test]
fn rfc_5107_the_relay_agents_server_identifier() {
    let relay = [10, 77, 0, 2];
    let relayed = |message| {
        Packet::new(message, MAC)
            .giaddr(relay)
            .option(82, &[1, 1, 7, 11, 4, 10, 77, 0, 2])
    };
    let mut desk = Desk::of(config(), Vec::new());
    let (_, bytes) = sent(&mut desk, relayed(1), &BootAnswer::MaintenanceOs);
    assert_eq!(value(&bytes, 54).unwrap(), relay);
    assert_eq!(bytes[20..24], SERVER, "files are with us all the same");
    let address = reply(&desk.ask(&relayed(1).end(), &BootAnswer::MaintenanceOs))
        .yiaddr()
        .octets();
    let request = relayed(3).option(50, &address).option(54, &relay);
    let (_, bytes) = sent(&mut desk, request, &BootAnswer::MaintenanceOs);
    assert_eq!(
        (value(&bytes, 53).unwrap(), value(&bytes, 54).unwrap()),
        (vec![5], relay.to_vec())
    );
    let decline = relayed(4).option(50, &address).option(54, &relay);
    let out = desk.ask(&decline.end(), &BootAnswer::MaintenanceOs);
    assert!(matches!(out[..], [Action::Keep(_)]), "{out:?}");
    // Without a relay agent nobody says who we are.
    let forged = Packet::new(1, MAC).option(82, &[11, 4, 10, 77, 0, 2]);
    assert_eq!(value(&offer(config(), forged), 54).unwrap(), SERVER);
}

#[test]
fn rfc_3046_relay_information_is_the_last_option_byte_for_byte_however_little_room_there_is() {
    let odd: Vec<u8> = (0..255u8).collect();
    for echoed in [&[1u8, 2, 0xaa, 0xbb, 99, 1, 7][..], &[9], &odd] {
        for message in [1, 3, 8] {
            let packet = Packet::new(message, MAC)
                .giaddr([10, 77, 0, 2])
                .ciaddr([10, 77, 0, 9])
                .option(60, b"PXEClient:Arch:00007:UNDI:003016")
                .option(61, &[7; 255])
                .option(82, echoed);
            let bytes = offer(with_routes(), packet);
            assert_eq!(codes(&bytes).last(), Some(&82));
            assert_eq!(value(&bytes, 82).as_deref(), Some(echoed));
            assert!(bytes.len() <= 548, "{} bytes", bytes.len());
        }
    }
}

#[test]
fn option_52_is_used_when_the_client_takes_little_and_only_then() {
    let asks = |size: u16| {
        Packet::new(1, MAC)
            .option(57, &size.to_be_bytes())
            .option(55, &[121, 15, 42])
            .option(61, &[7; 200])
    };
    let mut rich = with_routes();
    rich.subnets[0].domain =
        Some("a-rather-long-name.of-a-rack.in-a-room.of-a-site.example".to_owned());
    rich.subnets[0].ntp = vec![[10, 77, 0, 251].into(); 4];
    let large = offer(rich.clone(), asks(1_500));
    assert_eq!(value(&large, 52), None);
    let small = offer(rich.clone(), asks(576));
    assert!(small.len() <= 548, "{} bytes", small.len());
    assert_eq!(value(&small, 52).unwrap(), [1], "`sname` was not needed");
    assert_eq!(codes(&small)[..2], [53, 52]);
    let sorted = |bytes: &[u8]| {
        let mut options = read(bytes);
        options.retain(|(code, _)| *code != 52);
        options.sort();
        options
    };
    assert_eq!(sorted(&small), sorted(&large), "nothing was left out");
    // A size below the least that every client takes counts as that.
    assert_eq!(offer(rich.clone(), asks(1)).len(), small.len());
    // The header's fields are not taken from firmware that reads its boot file there.
    let bytes = offer(rich, asks(576).option(60, b"PXEClient"));
    assert!(bytes[108..].starts_with(b"undionly.kpxe\0"));
    assert!(bytes[44..].starts_with(b"10.77.0.1\0"));
    assert_eq!(value(&bytes, 67).unwrap(), b"undionly.kpxe");
    assert_eq!(value(&bytes, 121), None, "what could be missed is");
}

#[test]
fn what_a_client_takes_is_never_exceeded() {
    let mut desk = Desk::of(with_routes(), Vec::new());
    for (n, size) in (0..=255u8).zip((0..2_000u16).step_by(9)) {
        let packet = Packet::new(1, MacAddr([2, 0, 0, 0, 3, n]))
            .option(57, &size.to_be_bytes())
            .option(77, b"iPXE")
            .option(55, &[121, 12, 15])
            .option(61, &[9; 120]);
        let out = desk.ask(&packet.end(), &named(&"y".repeat(usize::from(n) * 2)));
        let Some(Action::Send { bytes, .. }) = out.first() else {
            continue;
        };
        let most = usize::from(size).saturating_sub(28).clamp(548, 1_472);
        assert!(bytes.len() <= most, "{} bytes of {most}", bytes.len());
        read(bytes);
    }
}

#[test]
fn plain_bootp_is_told_apart_and_not_answered() {
    let mut bootp = Packet::new(1, MAC).0;
    bootp.truncate(240);
    bootp.extend([255; 60]);
    let error = Request::parse(&bootp).unwrap_err();
    assert_eq!(
        error.to_string(),
        "plain BOOTP: there is no message type (option 53)"
    );
}

#[test]
fn the_question_says_what_is_known() {
    let packet = Packet::new(1, MAC)
        .giaddr([10, 77, 0, 2])
        .option(60, b"PXEClient:Arch:00011:UNDI:003000")
        .option(93, &[0, 11]);
    let question = Request::parse(&packet.end()).unwrap().question();
    assert_eq!(question.architecture, Some(11));
    assert_eq!(question.firmware, None);
    assert_eq!(question.relay, Some(Ipv4Addr::new(10, 77, 0, 2)));
}
