// SPDX-License-Identifier: Apache-2.0
//! DHCP over the wire: what is durable when the service is killed, what a full disk does, relay agents, unicast and
//! broadcast as tcpdump sees them, other DHCP servers, malformed floods, perfdhcp.

use crate::dhcp_client::{self, Wants};
use crate::room::{FOREIGN, Room, away, in_a_namespace, run};
use groundstate_api::MacAddr;
use groundstate_api::boot::BootAnswer;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// By which a process of this very test program knows that it is the service, and in which folder.
const SERVE_IN: &str = "GROUNDSTATE_TEST_SERVE_IN";
const WINDOWS: &[u8] = b"MSFT 5.0";
/// Addresses of the room's pool.
const POOL: u8 = 100;

fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 1, n])
}

/// Not a test by itself: the service as a process that can be killed.
#[test]
fn serves_until_it_is_killed() {
    let Some(folder) = std::env::var_os(SERVE_IN) else {
        return;
    };
    let folder = tempfile::TempDir::with_prefix_in("served-", folder).unwrap();
    // The room's folder is found again by the link.
    let link = folder.path().parent().unwrap().join("room");
    std::os::unix::fs::symlink(folder.path(), link).unwrap();
    let _room = Room::open_in(Arc::new(folder), BootAnswer::MaintenanceOs);
    std::thread::sleep(Duration::from_secs(600));
}

fn service_process(folder: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "dhcp::serves_until_it_is_killed", "--nocapture"])
        .env(SERVE_IN, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..2_000 {
        if std::net::TcpStream::connect("10.77.0.1:80").is_ok() {
            return child;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("the service does not come up");
}

#[test]
fn whatever_was_acknowledged_before_a_kill_is_kept() {
    in_a_namespace(|| {
        // Each time it is killed a little later into the load.
        for kill_after in [1, 20, 60] {
            let folder = tempfile::tempdir().unwrap();
            let mut child = service_process(folder.path());
            let (socket, client) = (dhcp_client::socket(), dhcp_client::client(WINDOWS));
            (0..POOL).for_each(|n| dhcp_client::send(&socket, &client.ask(Wants::Any, mac(n))));
            let mut acknowledged = BTreeMap::new();
            let mut hear = |socket: &UdpSocket| {
                let (kind, mac, address) = dhcp_client::hear(socket)?;
                if kind == dhcp_client::OFFER {
                    dhcp_client::send(socket, &client.ask(Wants::Offered(address), mac));
                } else {
                    assert_eq!(kind, dhcp_client::ACK);
                    acknowledged.insert(mac, address);
                }
                Some(acknowledged.len())
            };
            while hear(&socket).unwrap() < kill_after {}
            child.kill().unwrap();
            child.wait().unwrap();
            // What had left before counts, too.
            socket
                .set_read_timeout(Some(Duration::from_millis(200)))
                .unwrap();
            while hear(&socket).is_some() {}
            let log = folder.path().join("room/state/leases.log");
            let log = std::fs::read_to_string(log).unwrap();
            for (mac, address) in &acknowledged {
                let kept = log.lines().any(|line| {
                    line.contains(&format!("\"{mac}\"")) && line.contains(&format!("\"{address}\""))
                });
                assert!(kept, "{mac} was granted {address}: {log}");
            }
        }
    });
}

#[test]
fn a_full_disk_keeps_nobody_from_an_address_and_is_made_up_for() {
    in_a_namespace(|| {
        // A file system of the test's own, seen by nobody else.
        if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS) {
            assert!(
                std::env::var_os("CI").is_none(),
                "no mount namespace: {error}"
            );
            eprintln!("skipped: no mount namespace ({error}); run as root");
            return;
        }
        run("mount", &["--make-rprivate", "/"]);
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let state = dir.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let state = state.to_str().unwrap();
        run("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs", state]);
        let room = Room::open_in(Arc::clone(&dir), BootAnswer::MaintenanceOs);
        let log = || std::fs::read_to_string(format!("{state}/leases.log")).unwrap();
        let first = dhcp_client::lease(mac(1), WINDOWS, 0);
        let filler = format!("{state}/filler");
        // Until nothing more fits, and the log's own page with it.
        let mut leased = Vec::new();
        let _ = std::fs::write(&filler, vec![0; 64 << 10]);
        for n in 2..=40 {
            leased.push((mac(n), dhcp_client::lease(mac(n), WINDOWS, 0)));
        }
        let missing = leased
            .iter()
            .filter(|(mac, _)| !log().contains(&mac.to_string()));
        assert!(missing.count() > 0, "the disk was not full");
        std::fs::remove_file(&filler).unwrap();
        let all_kept = || {
            leased
                .iter()
                .all(|(mac, _)| log().contains(&mac.to_string()))
        };
        let mut patience = 2_000;
        while !all_kept() {
            std::thread::sleep(Duration::from_millis(10));
            patience -= 1;
            assert!(patience > 0, "{}", log());
        }
        let room = room.restart();
        assert_eq!(dhcp_client::lease(mac(1), WINDOWS, 0), first);
        let (late, address) = leased.pop().unwrap();
        assert_eq!(dhcp_client::lease(late, WINDOWS, 0), address);
        drop(room);
        run("umount", &[state]);
    });
}

#[test]
fn a_relay_agent_gets_the_answers_from_the_address_that_it_asked() {
    in_a_namespace(|| {
        run("ip", &["addr", "add", "10.77.0.9/24", "dev", "server"]);
        let _room = Room::open(BootAnswer::MaintenanceOs);
        away("10.77.0.2/24", || {
            let relay = UdpSocket::bind("10.77.0.2:67").unwrap();
            relay
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let client = dhcp_client::client(WINDOWS).behind([10, 77, 0, 2].into());
            for (n, server) in [(1, "10.77.0.1"), (2, "10.77.0.9")] {
                let mut buffer = [0; 1_500];
                relay
                    .send_to(&client.ask(Wants::Any, mac(n)), (server, 67))
                    .unwrap();
                let (length, from) = relay.recv_from(&mut buffer).unwrap();
                assert_eq!(from.to_string(), format!("{server}:67"));
                let (kind, whose, _) = dhcp_client::read(&buffer[..length]);
                assert_eq!((kind, whose), (dhcp_client::OFFER, mac(n)));
                // The relay agent is told that it is the one (giaddr).
                assert_eq!(buffer[24..28], [10, 77, 0, 2]);
            }
        });
    });
}

/// tcpdump at the client's end: the lines of the next `count` packets from a DHCP server.
fn watched(count: u8, work: impl FnOnce()) -> Vec<String> {
    let mut tcpdump = Command::new("tcpdump")
        .args([
            "-i",
            "client",
            "-enlU",
            "-c",
            &count.to_string(),
            "udp src port 67",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("package tcpdump");
    let mut errors = BufReader::new(tcpdump.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening on") {
        line.clear();
        assert!(errors.read_line(&mut line).unwrap() > 0, "tcpdump ended");
    }
    work();
    let out = BufReader::new(tcpdump.stdout.take().unwrap());
    let lines = out.lines().take(count.into()).map(Result::unwrap).collect();
    tcpdump.wait().unwrap();
    lines
}

#[test]
fn a_machine_without_an_address_gets_a_unicast_unless_it_says_that_it_cannot() {
    in_a_namespace(|| {
        let _room = Room::open(BootAnswer::MaintenanceOs);
        let able = dhcp_client::client(WINDOWS).takes_unicasts();
        let socket = dhcp_client::socket();
        let unicast = watched(1, || {
            dhcp_client::send(&socket, &able.ask(Wants::Any, mac(1)))
        });
        assert!(
            unicast[0].contains("> 02:00:00:00:01:01,")
                && unicast[0].contains("10.77.0.1.67 > 10.77.0."),
            "{unicast:?}"
        );
        let broadcast = watched(2, || {
            dhcp_client::lease(mac(2), WINDOWS, 0);
        });
        for line in &broadcast {
            assert!(
                line.contains("> ff:ff:ff:ff:ff:ff,")
                    && line.contains("10.77.0.1.67 > 255.255.255.255.68"),
                "{line}"
            );
        }
        // A NAK goes to everybody: whoever asked has no address (RFC 2131 section 4.1).
        let foreign = Ipv4Addr::new(10, 77, 0, 5);
        let nak = watched(1, || {
            dhcp_client::send(&socket, &able.ask(Wants::Again(foreign), mac(3)));
        });
        assert!(nak[0].contains("> ff:ff:ff:ff:ff:ff,"), "{nak:?}");
    });
}

#[test]
fn another_dhcp_server_raises_an_alarm() {
    in_a_namespace(|| {
        let _room = Room::open(BootAnswer::MaintenanceOs);
        away("10.77.0.66/24", || {
            let rogue = UdpSocket::bind("10.77.0.66:67").unwrap();
            rogue.set_broadcast(true).unwrap();
            let offer = dhcp_client::client(WINDOWS).offer_of([10, 77, 0, 66].into(), mac(1));
            rogue.send_to(&offer, (Ipv4Addr::BROADCAST, 68)).unwrap();
        });
        let mut patience = 2_000;
        while FOREIGN.lock().unwrap().as_slice() != ["10.77.0.66"] {
            std::thread::sleep(Duration::from_millis(10));
            patience -= 1;
            assert!(patience > 0, "{:?}", FOREIGN.lock().unwrap());
        }
    });
}

#[test]
fn malformed_floods_cost_nobody_an_address() {
    in_a_namespace(|| {
        let _room = Room::open(BootAnswer::MaintenanceOs);
        let socket = dhcp_client::socket();
        let whole =
            dhcp_client::client(b"PXEClient:Arch:00000:UNDI:002001").ask(Wants::Any, mac(1));
        let mut flood: Vec<Vec<u8>> = (0..whole.len()).map(|n| whole[..n].to_vec()).collect();
        for at in 0..whole.len() {
            let mut one = whole.clone();
            one[at] ^= 0xff;
            flood.push(one);
        }
        // Option 52 over fields that are full of it, pieces of one option without end, lengths beyond everything.
        for options in [
            &[52, 1, 3, 255][..],
            &[93, 1, 0, 93, 1, 0, 93, 1, 0, 255],
            &[82, 255, 1, 255],
            &[97, 0, 175, 0, 255],
        ] {
            let mut one = whole[..240].to_vec();
            one[44..236].fill(52);
            one.extend(options);
            flood.push(one);
        }
        flood.push(vec![0xff; 1_472]);
        for datagram in flood.iter().cycle().take(20_000) {
            let _ = socket.send_to(datagram, (Ipv4Addr::BROADCAST, 67));
        }
        drop(socket);
        // Some of the flood were good requests of machines: their answers may still be on the wire.
        let socket = dhcp_client::socket();
        let known = dhcp_client::client(WINDOWS);
        socket
            .set_read_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        // It asks again, as machines do.
        let answered = (0..20).any(|_| {
            dhcp_client::send(&socket, &known.ask(Wants::Any, mac(9)));
            std::iter::from_fn(|| dhcp_client::hear(&socket)).any(|(_, whose, _)| whose == mac(9))
        });
        assert!(answered);
    });
}

#[test]
fn perfdhcp_loses_nothing() {
    if Command::new("perfdhcp").arg("-v").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "no perfdhcp");
        eprintln!("skipped: no perfdhcp; install kea-admin");
        return;
    }
    in_a_namespace(|| {
        let _room = Room::open(BootAnswer::MaintenanceOs);
        away("10.77.0.2/24", || {
            // As many machines as the pool has addresses, each of them again and again.
            let machines = POOL.to_string();
            let arguments = ["-4", "-l", "10.77.0.2", "-r", "100", "-R", &machines];
            let out = Command::new("perfdhcp")
                .args(arguments)
                .args(["-p", "3", "-W", "1000000", "10.77.0.1"])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&out.stdout);
            assert!(out.status.success(), "{said}");
            assert_eq!(said.matches("drops: 0").count(), 2, "{said}");
        });
    });
}
