// SPDX-License-Identifier: Apache-2.0
//! TFTP over a real cable: clients in earnest, frames of several sizes, and many at once.

use crate::room::{Room, away, in_a_namespace, run};
use crate::tftp_client::Client;
use groundstate_api::boot::BootAnswer;
use pxe_core::script::CommandLine;
use pxe_server::{BootDir, BootFiles};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// What stands in the file for netascii: every kind of line end.
const TEXT: &[u8] = b"default menu\r\n\nprompt 0\rend\n\r\0x";
/// More blocks of 512 bytes than 16 bits count.
const LARGE: usize = 34 << 20;

pub(crate) fn large() -> Vec<u8> {
    (0u32..).flat_map(u32::to_le_bytes).take(LARGE).collect()
}

/// A room that serves a folder, with files that its clients may not have beside it.
pub(crate) fn folder_room(with_large: bool) -> Room {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let boot = dir.path().join("boot");
    std::fs::create_dir_all(boot.join("sub/dir")).unwrap();
    std::fs::write(dir.path().join("secret"), b"not for you").unwrap();
    std::fs::write(boot.join("text.txt"), TEXT).unwrap();
    std::fs::write(boot.join("sub/dir/file.bin"), vec![7; 5_000]).unwrap();
    let large = if with_large {
        large()
    } else {
        vec![3; 600_000]
    };
    std::fs::write(boot.join("large.bin"), large).unwrap();
    std::os::unix::fs::symlink("../secret", boot.join("out")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", boot.join("passwd")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", boot.join("zero")).unwrap();
    let command_line = CommandLine::parse("console=ttyS0").unwrap();
    let files = BootFiles::of_folder(Arc::new(BootDir::open(&boot).unwrap()), command_line);
    Room::open_with(dir, BootAnswer::MaintenanceOs, files)
}

fn command(at: &Path, program: &str, arguments: &[&str]) {
    let done = Command::new(program)
        .current_dir(at)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = [done.stdout, done.stderr].concat();
    assert!(
        done.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&said)
    );
}

#[test]
fn tftp_hpa_atftp_busybox_and_curl_fetch_the_same_bytes() {
    in_a_namespace(|| {
        let room = folder_room(false);
        let at = room.dir.path().join("got");
        std::fs::create_dir_all(&at).unwrap();
        away("10.77.0.2/24", move || {
            let host = "10.77.0.1";
            let size = ["--option", "blksize 1468"];
            let wide = [&size[..], &["--option", "windowsize 16"]].concat();
            let get = ["--get", "--remote-file", "large.bin", "--local-file"];
            let busybox = ["tftp", "-g", "-r", "large.bin", "-l"];
            for (name, program, arguments) in [
                (
                    "hpa",
                    "tftp",
                    vec!["-m", "binary", host, "-c", "get", "large.bin", "hpa"],
                ),
                ("at", "atftp", [&get[..], &["at", host]].concat()),
                (
                    "at-wide",
                    "atftp",
                    [&wide[..], &get, &["at-wide", host]].concat(),
                ),
                ("bb", "busybox", [&busybox[..], &["bb", host]].concat()),
                (
                    "bb-wide",
                    "busybox",
                    [&busybox[..], &["bb-wide", "-b", "1468", host]].concat(),
                ),
                (
                    "curl",
                    "curl",
                    vec![
                        "-sS",
                        "--max-time",
                        "20",
                        "-o",
                        "curl",
                        "tftp://10.77.0.1/large.bin",
                    ],
                ),
            ] {
                command(&at, program, &arguments);
                let got = std::fs::read(at.join(name)).unwrap();
                assert!(got == vec![3; 600_000], "{name}: {} bytes", got.len());
            }
            // tftp-hpa takes netascii for granted, and undoes it.
            command(&at, "tftp", &[host, "-c", "get", "text.txt", "text"]);
            assert_eq!(std::fs::read(at.join("text")).unwrap(), TEXT);
        });
    });
}

#[test]
fn a_block_is_no_larger_than_a_frame_on_the_way() {
    in_a_namespace(|| {
        let room = folder_room(false);
        let asked = "blksize\x0065464\0windowsize\x0016\0tsize\x000\0";
        let process = std::process::id();
        let server = nix::unistd::gettid();
        let inside = format!("/proc/{process}/task/{server}/ns/net");
        away("10.77.0.2/24", move || {
            let at_server = move |arguments: &[&str]| {
                let net = format!("--net={inside}");
                run("nsenter", &[&[net.as_str(), "ip"], arguments].concat());
            };
            let fetch = |size: usize, change: &dyn Fn(u64)| {
                let mut client = Client::new();
                client.ask("large.bin", asked);
                let said = format!("|blksize|{size}|tsize|600000|windowsize|16|");
                assert_eq!(format!("|{}", client.options()), said);
                assert_eq!(client.fetch(size, 16, change).len(), 600_000);
            };
            fetch(1_468, &|_| {});
            run("ip", &["link", "set", "client", "mtu", "9000"]);
            at_server(&["link", "set", "server", "mtu", "9000"]);
            fetch(8_968, &|_| {});
            at_server(&[
                "route",
                "add",
                "10.77.0.2/32",
                "dev",
                "server",
                "mtu",
                "1000",
            ]);
            fetch(968, &|_| {});
            at_server(&["route", "del", "10.77.0.2/32", "dev", "server"]);
            // A way that becomes narrower in the middle: windows by one call are refused, and fragments arrive.
            fetch(8_968, &|blocks| {
                if blocks == 16 {
                    at_server(&["link", "set", "server", "mtu", "1500"]);
                }
            });
        });
        drop(room);
    });
}

#[test]
fn more_blocks_than_sixteen_bits_count_arrive_in_order() {
    in_a_namespace(|| {
        let room = folder_room(true);
        away("10.77.0.2/24", || {
            let mut client = Client::new();
            client.ask("large.bin", "windowsize\x0032\0");
            assert_eq!(client.options(), "windowsize|32|");
            assert!(client.fetch(512, 32, |_| {}) == large());
        });
        drop(room);
    });
}

#[test]
fn five_hundred_clients_of_one_address_are_served_at_once() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        let file = room.file("undionly.kpxe");
        away("10.77.0.2/24", move || {
            let mut clients: Vec<Client> = (0..500).map(|_| Client::new()).collect();
            for client in &mut clients {
                client.ask("undionly.kpxe", "blksize\x001468\0windowsize\x004\0");
            }
            for client in &mut clients {
                assert_eq!(client.options(), "blksize|1468|windowsize|4|");
            }
            for client in &mut clients {
                assert_eq!(client.fetch(1_468, 4, |_| {}), file);
            }
        });
    });
}

#[test]
fn the_address_that_was_asked_answers_and_a_broadcast_is_not_answered() {
    in_a_namespace(|| {
        let room = Room::open(BootAnswer::MaintenanceOs);
        run("ip", &["addr", "add", "10.77.0.50/24", "dev", "server"]);
        let file = room.file("undionly.kpxe");
        away("10.77.0.2/24", move || {
            let mut client = Client::new();
            let request = b"\0\x01undionly.kpxe\0octet\0blksize\x001468\0";
            client.socket.set_broadcast(true).unwrap();
            client.socket.send_to(request, "10.77.0.255:69").unwrap();
            assert!(client.hears_nothing());
            client.socket.send_to(request, "10.77.0.50:69").unwrap();
            client.options();
            assert_eq!(client.peer.unwrap().ip().to_string(), "10.77.0.50");
            assert_eq!(client.fetch(1_468, 1, |_| {}), file);
        });
    });
}
