// SPDX-License-Identifier: Apache-2.0
//! One host that wants everything: others boot all the same.

use crate::curl;
use crate::room::{Room, in_a_namespace, run};
use groundstate_api::boot::BootAnswer;
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

/// What the boot service allows one address by HTTP.
const CONNECTIONS_OF_ONE_MAX: usize = 64;
/// Less than the service lets a connection idle, so that waiting for others to time out is no way through.
const SOON: Duration = Duration::from_secs(10);

/// Sends one request from an address that is not ours, and is gone.
fn spoof(from: SocketAddrV4, request: &[u8]) {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.set_ip_transparent_v4(true).unwrap();
    socket.bind(&from.into()).unwrap();
    let to = SocketAddrV4::new([10, 77, 0, 1].into(), 69);
    socket.send_to(request, &to.into()).unwrap();
}

#[test]
fn tftp_requests_with_false_senders_do_not_keep_a_machine_from_booting() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        // What is sent to 10.99/16 goes to a station that is not there: no answer, no "port unreachable".
        let gateway = [
            "neigh",
            "add",
            "10.77.0.250",
            "lladdr",
            "02:00:00:00:00:fa",
            "dev",
            "server",
            "nud",
            "permanent",
        ];
        run("ip", &gateway);
        run(
            "ip",
            &["route", "add", "10.99.0.0/16", "via", "10.77.0.250"],
        );
        // Twice as many as there may be transfers.
        for n in 0..4_096u16 {
            let [high, low] = (n / 16).to_be_bytes();
            let from = SocketAddrV4::new(Ipv4Addr::new(10, 99, high, low), 2_000 + n % 16);
            spoof(from, b"\0\x01snponly.efi\0octet\0timeout\x00255\0");
        }
        let seconds = SOON.as_secs().to_string();
        let (_, got) = curl(
            &room,
            &["--max-time", &seconds, "tftp://10.77.0.1/undionly.kpxe"],
        );
        assert_eq!(got, room.file("undionly.kpxe"));
    });
}

#[test]
fn idle_http_connections_of_one_host_do_not_keep_another_from_booting() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        room.take_address([10, 77, 0, 100].into());
        let idle = || TcpStream::connect("10.77.0.1:80").unwrap();
        let held: Vec<TcpStream> = (0..1_100).map(|_| idle()).collect();
        // The last one is closed at once, where idling would be ended only after 20 s.
        let mut last = held.last().unwrap();
        last.set_read_timeout(Some(SOON)).unwrap();
        match last.read(&mut [0]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("the last connection is still there: {other:?}"),
        }
        let open = held.iter().filter(|stream| {
            stream.set_nonblocking(true).unwrap();
            let mut stream = *stream;
            matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
        });
        assert!(open.count() <= CONNECTIONS_OF_ONE_MAX);
        let seconds = SOON.as_secs().to_string();
        let other = [
            "--max-time",
            &seconds,
            "--interface",
            "10.77.0.100",
            "http://10.77.0.1/boot/vmlinuz",
        ];
        let (said, got) = curl(&room, &other);
        assert!(said.starts_with("200"), "{said}");
        assert_eq!(got, room.file("vmlinuz"));
    });
}
