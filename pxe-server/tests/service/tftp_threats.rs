// SPDX-License-Identifier: Apache-2.0
//! T7: what must not work by TFTP, and what must go on all the same.

use crate::room::{Room, away, in_a_namespace};
use crate::tftp::folder_room;
use crate::tftp_client::{Client, SERVER};
use groundstate_api::boot::BootAnswer;
use std::net::UdpSocket;
use std::time::Duration;

const OPTIONS: &str = "blksize\x001468\0windowsize\x004\0";

/// An ERROR's code.
fn refused(packet: &[u8]) -> Option<u16> {
    match packet {
        [0, 5, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

/// Names that mean to climb out of the folder, or to what lies in it and is not served.
fn climbing() -> Vec<String> {
    let steps = [
        "..",
        "...",
        ".",
        "sub/..",
        "sub/dir/../..",
        "%2e%2e",
        "..%2f",
        "..\\",
        "....//",
        "~",
    ];
    let ends = [
        "secret",
        "etc/passwd",
        "etc\\shadow",
        "dev/zero",
        "proc/self/environ",
        "boot/large.bin",
        "passwd",
        "zero",
        "out",
        "large.bin/.",
        "LARGE.BIN",
        "large.bin%00",
        "C:\\boot.ini",
    ];
    let starts = [
        "",
        "/",
        "//",
        "\\",
        "boot/",
        "./",
        "/proc/self/root/",
        "large.bin/",
    ];
    let mut names = Vec::new();
    for start in starts {
        for end in ends {
            for step in steps {
                for depth in 1..=5 {
                    let climbed = vec![step; depth].join("/");
                    names.push(format!("{start}{climbed}/{end}"));
                }
            }
        }
    }
    names
}

#[test]
fn five_thousand_names_that_climb_bring_no_byte() {
    in_a_namespace(|| {
        let room = folder_room(false);
        away("10.77.0.2/24", || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let names = climbing();
            assert!(names.len() >= 5_000, "{}", names.len());
            for name in names {
                let packet = format!("\0\u{1}{name}\0octet\0");
                socket.send_to(packet.as_bytes(), SERVER).unwrap();
                let mut reply = [0; 2_048];
                let (length, _) = socket.recv_from(&mut reply).unwrap();
                assert_eq!(refused(&reply[..length]), Some(1), "{name}");
            }
            // What is there is found, with the slashes of others too.
            for name in [
                "sub/dir/file.bin",
                "/sub/dir/file.bin",
                "\\sub\\dir\\file.bin",
                "//sub//dir/file.bin",
            ] {
                let mut client = Client::new();
                client.ask(name, OPTIONS);
                assert_eq!(client.options(), "blksize|1468|windowsize|4|", "{name}");
                assert_eq!(client.fetch(1_468, 4, |_| {}), vec![7; 5_000]);
            }
        });
        drop(room);
    });
}

#[test]
fn links_out_of_the_folder_devices_and_writes_are_refused() {
    in_a_namespace(|| {
        let room = folder_room(false);
        away("10.77.0.2/24", || {
            for (packet, code) in [
                (&b"\0\x01out\0octet\0"[..], 1),
                (b"\0\x01passwd\0octet\0", 1),
                (b"\0\x01zero\0octet\0", 1),
                (b"\0\x01sub\0octet\0", 1),
                (b"\0\x01sub/dir\0octet\0", 1),
                (b"\0\x02text.txt\0octet\0", 2),
                (b"\0\x02new\0netascii\0blksize\x00512\0", 2),
                (b"\0\x01text.txt\0mail\0", 4),
                (b"\0\x01text.txt", 4),
                (b"\0\x01text.txt\0octet", 4),
                (&[&b"\0\x01"[..], &[b'x'; 600], b"\0octet\0"].concat(), 4),
            ] {
                let mut client = Client::new();
                client.socket.send_to(packet, SERVER).unwrap();
                assert_eq!(refused(&client.hear()), Some(code), "{packet:?}");
            }
            // An ERROR, a late ACK, DATA and noise on the port are nobody's request.
            let client = Client::new();
            for packet in [
                &b"\0\x05\0\0x\0"[..],
                b"\0\x04\0\x01",
                b"\0\x03\0\x01x",
                b"",
                b"\0",
            ] {
                client.socket.send_to(packet, SERVER).unwrap();
            }
            assert!(client.hears_nothing());
        });
        let new = room.dir.path().join("boot/new");
        assert!(!new.exists());
    });
}

#[test]
fn a_stranger_on_a_transfers_port_is_told_so_and_the_transfer_goes_on() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        let file = room.file("undionly.kpxe");
        away("10.77.0.2/24", move || {
            let mut client = Client::new();
            client.ask("undionly.kpxe", OPTIONS);
            client.options();
            let transfer = client.peer.unwrap();
            let mut stranger = Client::new();
            let got = client.fetch(1_468, 4, |blocks| {
                if blocks % 8 == 0 {
                    let [.., high, low] = blocks.to_be_bytes();
                    stranger
                        .socket
                        .send_to(&[0, 4, high, low], transfer)
                        .unwrap();
                    assert_eq!(refused(&stranger.hear()), Some(5));
                    // Its ERROR does not end what is another's, and is not answered.
                    stranger
                        .socket
                        .send_to(b"\0\x05\0\0end it\0", transfer)
                        .unwrap();
                }
            });
            assert_eq!(got, file);
            assert!(stranger.hears_nothing());
        });
    });
}

#[test]
fn a_late_copy_of_a_request_changes_nothing_and_a_machine_that_was_reset_begins_anew() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        let file = room.file("undionly.kpxe");
        away("10.77.0.2/24", move || {
            let mut client = Client::new();
            client.ask("undionly.kpxe", OPTIONS);
            client.options();
            let first = client.peer;
            client.ask("undionly.kpxe", OPTIONS);
            client.peer = first;
            let mut copies = 0;
            let request = format!("\0\u{1}undionly.kpxe\0octet\0{OPTIONS}");
            let twin = client.socket.try_clone().unwrap();
            let got = client.fetch(1_468, 4, |_| {
                copies += 1;
                twin.send_to(request.as_bytes(), SERVER).unwrap();
            });
            assert_eq!(got, file);
            assert!(copies > 10);
            client.ask("undionly.kpxe", OPTIONS);
            client.options();
            let transfer = client.peer.unwrap();
            client.ack(0);
            let packet = client.hear();
            assert_eq!(packet[..4], [0, 3, 0, 1]);
            std::thread::sleep(Duration::from_millis(1_100));
            // The machine was reset, and asks for the same from the same port.
            client.ask("undionly.kpxe", OPTIONS);
            loop {
                client.peer = None;
                if client.hear().starts_with(&[0, 6]) {
                    break;
                }
            }
            assert_ne!(client.peer, Some(transfer));
            assert_eq!(client.fetch(1_468, 4, |_| {}), file);
        });
    });
}

#[test]
fn a_client_that_ends_it_or_closes_its_port_hears_no_more() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        away("10.77.0.2/24", || {
            let mut client = Client::new();
            client.ask("snponly.efi", "tsize\x000\0blksize\x001468\0");
            assert_eq!(client.options(), "blksize|1468|tsize|600001|");
            let end = b"\0\x05\0\x08User aborted the transfer\0";
            client.socket.send_to(end, client.peer.unwrap()).unwrap();
            assert!(client.hears_nothing());
            // The same port asks in earnest.
            client.ask("snponly.efi", OPTIONS);
            assert_eq!(client.options(), "blksize|1468|windowsize|4|");
            assert_eq!(client.fetch(1_468, 4, |_| {}).len(), 600_001);
        });
        drop(room);
    });
}
