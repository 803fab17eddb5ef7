// SPDX-License-Identifier: Apache-2.0
//! T8, each threat by its name: what is tried, and that the next machine is served as before.

use crate::room::{Room, in_a_namespace, run};
use groundstate_api::boot::BootAnswer;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Sends bytes, and reads until the service closes.
fn converse(bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect("10.77.0.1:80").unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    // The service may close before it has read all of it.
    let _ = stream.write_all(bytes);
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    String::from_utf8_lossy(&reply).into_owned()
}

fn answers(reply: &str) -> usize {
    reply.matches("HTTP/1.1 ").count()
}

fn still_served(room: &Room) {
    let out = room.dir.path().join("still");
    let path = out.to_str().unwrap();
    run(
        "curl",
        &[
            "-sSf",
            "--max-time",
            "20",
            "-o",
            path,
            "http://10.77.0.1/boot/vmlinuz",
        ],
    );
    assert_eq!(std::fs::read(&out).unwrap(), room.file("vmlinuz"));
}

#[test]
fn smuggling_a_second_request_in_a_body_gets_no_second_answer() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        let hidden = "GET /boot/uname HTTP/1.1\r\nHost: x\r\n\r\n";
        for head in [
            format!("Content-Length: {}\r\n", hidden.len()),
            "Transfer-Encoding: chunked\r\n".to_owned(),
            format!(
                "Transfer-Encoding: chunked\r\nContent-Length: {}\r\n",
                hidden.len()
            ),
            format!(
                "Content-Length: 0\r\nTransfer-Encoding: chunked\r\nContent-Length: {}\r\n",
                hidden.len()
            ),
            "Content-Length: 0\r\nContent-Length: 5\r\n".to_owned(),
            "Transfer-Encoding: xchunked\r\n".to_owned(),
            "Transfer-Encoding : chunked\r\n".to_owned(),
            "Content-Length: +5\r\n".to_owned(),
        ] {
            let sent =
                format!("GET /boot/vmlinuz HTTP/1.1\r\nHost: x\r\n{head}\r\n0\r\n\r\n{hidden}");
            let reply = converse(sent.as_bytes());
            assert!(answers(&reply) <= 1, "{head:?}: {reply}");
            assert!(
                reply.is_empty() || reply.starts_with("HTTP/1.1 400"),
                "{head:?}: {reply}"
            );
        }
        // An empty body is none.
        let sent = "GET /boot/nothing HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        assert!(converse(sent.as_bytes()).starts_with("HTTP/1.1 404"));
        still_served(&room);
    });
}

#[test]
fn slow_loris_is_closed_and_does_not_keep_others_out() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        let mut slow = TcpStream::connect("10.77.0.1:80").unwrap();
        slow.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        slow.write_all(b"GET /boot/vmlinuz HTTP/1.1\r\n").unwrap();
        let began = Instant::now();
        let mut byte = [0];
        loop {
            // A header a second is as slow as none.
            let _ = slow.write_all(b"x: y\r\n");
            match slow.read(&mut byte) {
                Ok(_) => break,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => still_served(&room),
                Err(_) => break,
            }
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "it is never closed"
            );
        }
        still_served(&room);
    });
}

#[test]
fn range_abuse_never_sends_more_than_the_file() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        let length = room.file("vmlinuz").len();
        let many = (0..1_000)
            .map(|n| format!("{n}-"))
            .collect::<Vec<_>>()
            .join(",");
        let out = room.dir.path().join("part");
        let path = out.to_str().unwrap();
        for (range, code, bytes) in [
            ("bytes=0-,0-,0-", "200", length),
            (format!("bytes={many}").as_str(), "200", length),
            ("bytes=5-1", "200", length),
            ("bytes=0-18446744073709551615", "206", length),
            ("bytes=-18446744073709551615", "206", length),
            (
                "bytes=18446744073709551615-",
                "416",
                "the file is shorter\n".len(),
            ),
            ("bytes=1-1", "206", 1),
        ] {
            let header = format!("Range: {range}");
            let url = "http://10.77.0.1/boot/vmlinuz";
            let said = run(
                "curl",
                &["-sS", "-H", &header, "-o", path, "-w", "%{http_code}", url],
            );
            assert_eq!(said, code, "{range}");
            assert_eq!(std::fs::read(&out).unwrap().len(), bytes, "{range}");
        }
        still_served(&room);
    });
}

#[test]
fn traversal_finds_no_file_however_it_is_spelled() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        for path in [
            "/../etc/passwd",
            "/boot/../../etc/passwd",
            "/%2e%2e/%2e%2e/etc/passwd",
            "/boot/%2e%2e%2fetc%2fpasswd",
            "/boot/..%5c..%5cetc%5cpasswd",
            "/boot/..\\..\\etc\\passwd",
            "/boot/vmlinuz%00.efi",
            "/boot/%252e%252e/etc/passwd",
            "/boot/vmlinuz/../../../etc/passwd",
            "/boot/.%2e/vmlinuz",
            "/etc/passwd",
            "/proc/self/environ",
            "/boot/%c0%ae%c0%ae/etc/passwd",
        ] {
            let reply =
                converse(format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n").as_bytes());
            let refused = reply.starts_with("HTTP/1.1 404") || reply.starts_with("HTTP/1.1 400");
            assert!(refused && !reply.contains("root:"), "{path}: {reply}");
        }
        let reply =
            converse(b"GET http://elsewhere/boot/nothing HTTP/1.1\r\nConnection: close\r\n\r\n");
        assert!(
            reply.starts_with("HTTP/1.1 404") && !reply.contains("ocation:"),
            "{reply}"
        );
        still_served(&room);
    });
}

#[test]
fn huge_headers_are_refused_and_not_kept() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        for head in [
            format!("x: {}\r\n", "y".repeat(1 << 20)),
            "a: b\r\n".repeat(100_000),
            format!("{}: b\r\n", "n".repeat(70_000)),
        ] {
            let reply = converse(format!("GET /boot/vmlinuz HTTP/1.1\r\n{head}\r\n").as_bytes());
            assert!(
                reply.is_empty() || reply.starts_with("HTTP/1.1 431"),
                "{reply}"
            );
        }
        let reply = converse(
            format!(
                "GET /{} HTTP/1.1\r\nConnection: close\r\n\r\n",
                "a".repeat(9_000)
            )
            .as_bytes(),
        );
        assert!(reply.starts_with("HTTP/1.1 4"), "{reply}");
        still_served(&room);
    });
}

#[test]
fn an_old_client_and_one_that_keeps_its_connection_are_answered_alike() {
    in_a_namespace(|| {
        let _room = Room::open(BootAnswer::MaintenanceOs);
        let reply = converse(b"GET /boot/nothing HTTP/1.0\r\n\r\n");
        assert!(
            reply.starts_with("HTTP/1.0 404")
                && reply.to_ascii_lowercase().contains("content-length: 18"),
            "{reply}"
        );
        let twice = b"HEAD /boot/vmlinuz HTTP/1.1\r\n\r\nGET /boot/nothing HTTP/1.1\r\nConnection: close\r\n\r\n";
        let reply = converse(twice);
        assert_eq!(answers(&reply), 2, "{reply}");
        assert!(
            reply
                .to_ascii_lowercase()
                .contains("content-length: 300000"),
            "{reply}"
        );
    });
}
