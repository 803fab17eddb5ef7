// SPDX-License-Identifier: Apache-2.0
//! Sockets from systemd's own program, and what a reload leaves as it is.

use crate::world::{Client, World, in_two_namespaces, run};
use crate::{OWN, discover};
use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks at this port of the service until it answers.
fn ask(client: &Client, port: u16, question: &[u8]) -> Vec<u8> {
    client.inside(|| {
        let socket = UdpSocket::bind("0.0.0.0:68").unwrap();
        socket.set_broadcast(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(question, (OWN, port)).unwrap();
        let mut reply = [0; 1_500];
        let (length, from) = socket.recv_from(&mut reply).unwrap();
        assert_eq!(from.to_string(), format!("{OWN}:{port}"));
        reply[..length].to_vec()
    })
}

fn has(reply: &[u8], text: &str) -> bool {
    reply
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// Whether systemd's program is here; where tests have to run, it must be.
fn can_activate() -> bool {
    let there = Command::new("systemd-socket-activate")
        .arg("--version")
        .output()
        .is_ok();
    assert!(
        there || std::env::var_os("CI").is_none(),
        "the package systemd is missing"
    );
    if !there {
        eprintln!("skipped: no systemd-socket-activate");
    }
    there
}

#[test]
fn systemd_socket_activate_hands_every_port_over_of_one_family_or_of_both() {
    if !can_activate() {
        return;
    }
    for before in ["0.0.0.0:", ""] {
        in_two_namespaces(move |client| {
            let world = World::new(&[("snponly.efi", b"uefi"), ("vmlinuz", &[7; 300_000])]);
            let path = |name: &str| world.dir.path().join(name).to_str().unwrap().to_owned();
            let made = rcgen::generate_simple_self_signed(vec![OWN.to_owned()]).unwrap();
            fs::write(path("cert.pem"), made.cert.pem()).unwrap();
            fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
            let config = format!(
                "proxy = true\n[tls]\ncertificate = {:?}\nkey = {:?}\n",
                path("cert.pem"),
                path("key.pem")
            );
            fs::write(path("pxe.toml"), config).unwrap();
            run(&mut client.command("ip", &["addr", "add", "10.55.0.7/24", "dev", "cli"]));
            let port = |number: u16| format!("{before}{number}");
            let (udp, tcp) = ([67, 69, 4_011].map(port), [80, 443].map(port));
            let mut served = world.serve_activated(
                &udp.each_ref().map(String::as_str),
                &tcp.each_ref().map(String::as_str),
                &["--config", &path("pxe.toml")],
            );
            served.said_until("4011 as 5");
            // What wakes it is answered, too.
            let reply = ask(client, 4_011, &discover(7, [10, 55, 0, 7]));
            assert!(has(&reply, "snponly.efi"), "{reply:?}");
            let out = path("got");
            let (tftp, http) = ("tftp://10.55.0.1/vmlinuz", "http://10.55.0.1/vmlinuz");
            for url in [tftp, http, "https://10.55.0.1/vmlinuz"] {
                let cert = path("cert.pem");
                let arguments = [
                    "-sSf",
                    "--max-time",
                    "60",
                    "--cacert",
                    &cert,
                    "-o",
                    &out,
                    url,
                ];
                client.run("curl", &arguments);
                assert_eq!(fs::read(&out).unwrap(), world.file("vmlinuz"), "{url}");
            }
            let reply = ask(client, 67, &discover(7, [0; 4]));
            assert!(
                has(&reply, "snponly.efi") && has(&reply, "PXEClient"),
                "{reply:?}"
            );
            served.stop();
        });
    }
}

#[test]
fn an_interface_that_is_removed_ends_the_service_and_says_so() {
    in_two_namespaces(|_| {
        let world = World::new(&[("boot.ipxe", b"#!ipxe\n")]);
        let mut served = world.serve(&[]);
        served.said_until("iPXE ");
        run(Command::new("ip").args(["link", "del", "srv"]));
        served.said_until("the network interface \"srv\" is gone");
        served.ended(1);
    });
}

#[test]
fn a_reload_names_no_port_that_nobody_serves_and_says_so_each_time() {
    in_two_namespaces(|client| {
        let world = World::new(&[("boot.ipxe", b"#!ipxe\n")]);
        let config = world.dir.path().join("pxe.toml");
        fs::write(&config, "lease_secs = 600\n").unwrap();
        let mut served = world.serve(&["--config", config.to_str().unwrap()]);
        served.said_until("iPXE ");
        run(&mut client.command("ip", &["addr", "add", "10.55.0.7/24", "dev", "cli"]));
        fs::write(&config, "lease_secs = 900\nhttp_port = 8080\n").unwrap();
        for changed in ["RELOAD      subnet 10.55.0.1/24 changed", ""] {
            served.hang_up();
            let said = served.said_until("restart the service for: http_port");
            assert!(said.contains(changed), "{said}");
        }
        // The lease is the new one, and the URL is of the port that is served.
        let mut question = discover(0, [0; 4]);
        question.splice(10..12, [0x80, 0]);
        question.splice(240..240, [77, 4, b'i', b'P', b'X', b'E']);
        let reply = ask(client, 67, &question);
        assert!(has(&reply, "http://10.55.0.1/boot/boot.ipxe"), "{reply:?}");
        assert!(
            reply.windows(6).any(|part| part == [51, 4, 0, 0, 3, 132]),
            "{reply:?}"
        );
        // What would be another service is refused as a whole.
        fs::write(&config, "lease_secs = 1200\nproxy = true\n").unwrap();
        served.hang_up();
        served
            .said_until("what was in force stays: proxy was turned on; restart the service for it");
        let reply = ask(client, 67, &question);
        assert!(
            reply.windows(6).any(|part| part == [51, 4, 0, 0, 3, 132]),
            "{reply:?}"
        );
        run(Command::new("ip").args(["addr", "del", "10.55.0.1/24", "dev", "srv"]));
        run(Command::new("ip").args(["addr", "add", "10.55.0.2/24", "dev", "srv"]));
        fs::write(&config, "lease_secs = 1200\n").unwrap();
        served.hang_up();
        served.said_until("srv's address is 10.55.0.2 and was 10.55.0.1 when the service started");
        served.stop();
    });
}
