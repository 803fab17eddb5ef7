// SPDX-License-Identifier: Apache-2.0
//! DHCPv6 on a real socket: which address a message was sent to.

use crate::network::ip;
use crate::world::{World, in_two_namespaces, run};
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;

const CLIENT_ID: [u8; 10] = [0, 3, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56];
const GROUP: &str = "ff02::1:2";
const OURS: &str = "fd77::1";
/// How often it is sent before an answer is given up: a new address is looked for on the link first.
const TRIES: usize = 20;

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&code.to_be_bytes(), &length, value].concat()
}

fn message(kind: u8, server: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = vec![kind, 1, 2, kind];
    bytes.extend(option(1, &CLIENT_ID));
    bytes.extend(server.map(|server| option(2, server)).unwrap_or_default());
    bytes.extend(option(3, &[0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]));
    bytes
}

/// An option of an answer.
fn find(answer: &[u8], wanted: u16) -> Option<Vec<u8>> {
    let mut rest = answer.get(4..)?;
    while let [a, b, c, d, more @ ..] = rest {
        let (value, after) = more.split_at(usize::from(u16::from_be_bytes([*c, *d])));
        if u16::from_be_bytes([*a, *b]) == wanted {
            return Some(value.to_vec());
        }
        rest = after;
    }
    None
}

fn ask(to: &str, bytes: &[u8]) -> Vec<u8> {
    let index = nix::net::if_::if_nametoindex("cli").unwrap();
    let address: Ipv6Addr = to.parse().unwrap();
    let scope = if address.is_multicast() { index } else { 0 };
    let socket = UdpSocket::bind("[::]:546").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let mut buffer = [0; 1_500];
    for _ in 0..TRIES {
        // An address that is still being looked for on the link cannot send yet.
        if socket
            .send_to(bytes, SocketAddrV6::new(address, 547, 0, scope))
            .is_err()
        {
            std::thread::sleep(Duration::from_millis(250));
            continue;
        }
        if let Ok(length) = socket.recv(&mut buffer) {
            return buffer[..length].to_vec();
        }
    }
    panic!("no answer from {to}");
}

#[test]
fn who_asks_our_own_address_is_told_to_ask_the_group() {
    in_two_namespaces(|client| {
        ip("-6 addr add fd77::1/64 dev srv nodad");
        let world = World::new(&[("boot.ipxe", b"#!ipxe\n".as_slice())]);
        let mut served = world.serve(&["--dhcp6"]);
        served.said_until("iPXE ");
        run(&mut client.command(
            "ip",
            &["-6", "addr", "add", "fd77::7/64", "dev", "cli", "nodad"],
        ));
        let (advert, refused, granted) = client.inside(|| {
            let advert = ask(GROUP, &message(1, None));
            let server = find(&advert, 2).unwrap();
            let request = message(3, Some(&server));
            (advert, ask(OURS, &request), ask(GROUP, &request))
        });
        assert_eq!(advert[0], 2, "{advert:?}");
        assert!(find(&advert, 3).is_some(), "{advert:?}");
        let status = find(&refused, 13).unwrap();
        assert_eq!((refused[0], &status[..2]), (7, &[0, 5][..]), "{refused:?}");
        assert_eq!(find(&refused, 3), None, "{refused:?}");
        assert_eq!((granted[0], find(&granted, 13)), (7, None), "{granted:?}");
        assert!(find(&granted, 3).unwrap().len() > 12, "{granted:?}");
        served.stop();
    });
}
