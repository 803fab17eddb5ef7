// SPDX-License-Identifier: Apache-2.0
//! The whole service on its real ports, in a network namespace of the test's own, against real clients: tftp-hpa, curl
//! and a DHCP client that is written here.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

#[path = "service/dhcp.rs"]
mod dhcp;
#[path = "service/dhcp_client.rs"]
mod dhcp_client;
#[path = "service/floods.rs"]
mod floods;
#[path = "service/handed_over.rs"]
mod handed_over;
#[path = "service/http_threats.rs"]
mod http_threats;
#[path = "service/room.rs"]
mod room;
#[path = "service/seen.rs"]
mod seen;
#[path = "service/tftp.rs"]
mod tftp;
#[path = "service/tftp_client.rs"]
mod tftp_client;
#[path = "service/tftp_threats.rs"]
mod tftp_threats;

use groundstate_api::boot::{BootAnswer, BootSighting, Firmware};
use groundstate_api::{Bytes, MacAddr, Reason, ReasonCode};
use room::{Room, in_a_namespace, run};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);

fn curl(room: &Room, arguments: &[&str]) -> (String, Vec<u8>) {
    let out = room.dir.path().join("got");
    let _ = std::fs::remove_file(&out);
    let path = out.to_str().unwrap().to_owned();
    let mut all = vec![
        "-sS",
        "--max-time",
        "20",
        "-o",
        &path,
        "-w",
        "%{http_code} %{content_type} %{size_download}",
    ];
    all.extend(arguments);
    let said = run("curl", &all);
    (said, std::fs::read(&out).unwrap_or_default())
}

#[test]
fn tftp_hpa_and_curl_fetch_boot_files_by_tftp() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        let out = room.dir.path().join("by-tftp-hpa");
        let path = out.to_str().unwrap();
        run(
            "tftp",
            &[
                "-m",
                "binary",
                "10.77.0.1",
                "-c",
                "get",
                "snponly.efi",
                path,
            ],
        );
        assert_eq!(std::fs::read(&out).unwrap(), room.file("snponly.efi"));
        for options in [
            &["--tftp-blksize", "1468"][..],
            &["--tftp-no-options"],
            &["--tftp-blksize", "512"],
        ] {
            let url = ["tftp://10.77.0.1/undionly.kpxe"];
            let (_, got) = curl(&room, &[options, &url].concat());
            assert_eq!(got, room.file("undionly.kpxe"), "{options:?}");
        }
        // 70,000 blocks of 8 bytes and more: the block number rolls over.
        let (_, got) = curl(
            &room,
            &["--tftp-blksize", "8", "tftp://10.77.0.1/snponly.efi"],
        );
        assert_eq!(got, room.file("snponly.efi"));
        for name in [
            "nothing",
            "local-disk",
            "..%2f..%2fetc%2fpasswd",
            "%2fetc%2fpasswd",
            "boot%2fsnponly.efi",
        ] {
            let status = std::process::Command::new("curl")
                .args([
                    "-sS",
                    "--max-time",
                    "20",
                    "-o",
                    "/dev/null",
                    &format!("tftp://10.77.0.1/{name}"),
                ])
                .output()
                .unwrap();
            assert_eq!(
                status.status.code(),
                Some(68),
                "curl's TFTP_NOTFOUND for {name}"
            );
        }
        let put = room.dir.path().join("put");
        std::fs::write(&put, b"x").unwrap();
        let status = std::process::Command::new("curl")
            .args([
                "-sS",
                "--max-time",
                "20",
                "-T",
                put.to_str().unwrap(),
                "tftp://10.77.0.1/snponly.efi",
            ])
            .output()
            .unwrap();
        assert_eq!(status.status.code(), Some(69), "curl's TFTP_PERM");
    });
}

#[test]
fn curl_fetches_boot_files_by_http() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        let image = room.file("groundstate.efi");
        let whole = format!("200 application/efi {}", image.len());
        for path in ["/boot/groundstate.efi", "//boot//groundstate.efi"] {
            let (said, got) = curl(&room, &["--path-as-is", &format!("http://10.77.0.1{path}")]);
            assert_eq!(
                (said.as_str(), got == image),
                (whole.as_str(), true),
                "{path}"
            );
        }
        let head = run(
            "curl",
            &[
                "-sSI",
                "--max-time",
                "20",
                "http://10.77.0.1/boot/groundstate.efi",
            ],
        );
        let head = head.to_ascii_lowercase();
        assert!(
            head.contains(&format!("content-length: {}\r\n", image.len())),
            "{head}"
        );
        let (said, got) = curl(&room, &["-r", "10-19", "http://10.77.0.1/boot/vmlinuz"]);
        assert_eq!(said, "206 application/octet-stream 10");
        assert_eq!(got, room.file("vmlinuz")[10..20]);
        let (said, _) = curl(&room, &["-r", "99999999-", "http://10.77.0.1/boot/vmlinuz"]);
        assert!(said.starts_with("416"), "{said}");
        for path in [
            "/",
            "/boot/",
            "/boot/nothing",
            "/boot/local-disk",
            "/boot/../etc/passwd",
            "/boot/%2e%2e/x",
            "/etc/passwd",
        ] {
            let (said, _) = curl(&room, &["--path-as-is", &format!("http://10.77.0.1{path}")]);
            assert!(said.starts_with("404"), "{path}: {said}");
        }
        let (said, _) = curl(
            &room,
            &["-X", "POST", "-d", "x", "http://10.77.0.1/boot/vmlinuz"],
        );
        assert!(said.starts_with("405"), "{said}");
    });
}

#[test]
fn http_that_is_none_is_closed_and_others_are_served() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        for request in [
            "GET /boot/vmlinuz HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
                .to_owned(),
            "\0\0\0\0\r\n\r\n".to_owned(),
            format!(
                "GET /boot/vmlinuz HTTP/1.1\r\nx: {}\r\n\r\n",
                "y".repeat(100_000)
            ),
            format!(
                "GET /boot/vmlinuz HTTP/1.1\r\n{}\r\n",
                "a: b\r\n".repeat(500)
            ),
        ] {
            let mut stream = TcpStream::connect("10.77.0.1:80").unwrap();
            let _ = stream.write_all(request.as_bytes());
            let mut reply = Vec::new();
            let _ = stream.read_to_end(&mut reply);
            assert!(
                reply.is_empty() || reply.starts_with(b"HTTP/1.1 4"),
                "{}",
                String::from_utf8_lossy(&reply)
            );
        }
        let (said, _) = curl(&room, &["http://10.77.0.1/boot/vmlinuz"]);
        assert!(said.starts_with("200"), "{said}");
    });
}

#[test]
fn a_machine_is_leased_an_address_fetches_its_files_and_is_seen() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        let address = dhcp_client::lease(MAC, b"PXEClient:Arch:00007:UNDI:003016", 7);
        assert_eq!(
            room.sighting(),
            (
                MAC,
                BootSighting::Leased {
                    address: address.to_string(),
                    firmware: Some(Firmware::UefiPxe)
                }
            )
        );
        let leases = std::fs::read_to_string(room.dir.path().join("state/leases.log")).unwrap();
        assert!(
            leases.contains(&address.to_string()),
            "durable before the ACK: {leases}"
        );
        room.take_address(address);
        let by = address.to_string();
        let sent = |file: &str, by: &str| BootSighting::FileSent {
            file: file.to_owned(),
            length: Bytes(room.file(file).len() as u64),
            by: by.to_owned(),
        };
        curl(&room, &["--interface", &by, "tftp://10.77.0.1/snponly.efi"]);
        assert_eq!(room.sighting(), (MAC, sent("snponly.efi", "tftp")));
        curl(
            &room,
            &["--interface", &by, "http://10.77.0.1/boot/groundstate.efi"],
        );
        assert_eq!(room.sighting(), (MAC, sent("groundstate.efi", "http")));
        let (said, script) = curl(
            &room,
            &["http://10.77.0.1/boot/ipxe/02-00-00-00-00-07.ipxe"],
        );
        assert!(said.starts_with("200"), "{said}");
        assert_eq!(
            String::from_utf8(script).unwrap(),
            "#!ipxe\nkernel http://10.77.0.1/boot/vmlinuz initrd=initrd.img console=ttyS0\n\
             initrd http://10.77.0.1/boot/initrd.img\nboot\n"
        );
        let room = room.restart();
        assert_eq!(
            dhcp_client::lease(MAC, b"MSFT 5.0", 0),
            address,
            "the same address after a restart"
        );
        let seen = room.sighting().1;
        assert!(
            matches!(seen, BootSighting::Leased { firmware: None, .. }),
            "{seen:?}"
        );
    });
}

#[test]
fn local_disk_gets_an_exit_script_and_a_refused_machine_gets_nothing() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::LOCAL_DISK);
        let (_, script) = curl(
            &room,
            &["http://10.77.0.1/boot/ipxe/02-00-00-00-00-07.ipxe"],
        );
        assert_eq!(script, b"#!ipxe\nexit\n");
        assert_eq!(room.sighting(), (MAC, BootSighting::SentToLocalDisk));
        let reason = Reason::new(
            ReasonCode::UnknownMachine,
            "not in the site file",
            "add it to the site file",
        );
        room.answer(BootAnswer::Refuse {
            reason: reason.clone(),
        });
        let other = MacAddr([2, 0, 0, 0, 0, 8]);
        dhcp_client::discover(other, b"PXEClient:Arch:00000:UNDI:002001", 0);
        assert_eq!(room.sighting(), (other, BootSighting::Refused { reason }));
        // The next answer on the wire is the next machine's: the refused one got none.
        room.answer(BootAnswer::MaintenanceOs);
        let third = MacAddr([2, 0, 0, 0, 0, 9]);
        dhcp_client::lease(third, b"MSFT 5.0", 0);
        let (said, body) = {
            room.answer(BootAnswer::Refuse {
                reason: Reason::new(ReasonCode::UnknownMachine, "no", "add"),
            });
            curl(
                &room,
                &["http://10.77.0.1/boot/ipxe/02-00-00-00-00-08.ipxe"],
            )
        };
        assert!(said.starts_with("403"), "{said}");
        assert!(String::from_utf8(body).unwrap().contains("unknown-machine"));
    });
}
