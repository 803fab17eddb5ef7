// SPDX-License-Identifier: Apache-2.0
//! A site that is applied while clients lease: the boot service that runs takes it. A provisioner, its boot service and clients
//! behind a relay agent, in a network namespace of the test's own.

#[path = "../../../tests/network/mod.rs"]
mod network;

use super::super::glue::Boot;
use super::follow;
use groundstate_api::MacAddr;
use groundstate_api::site::Site;
use network::{in_own_network, ip};
use provisioner::peer::NoImages;
use provisioner::{Options, Provisioner};
use pxe_core::dhcp::{Server, ServerConfig};
use pxe_core::script::CommandLine;
use pxe_server::{BootDir, BootFiles, BootService, Config, Sockets};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const US: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The relay agents, each in its subnet.
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);

fn site(more: &str) -> Site {
    let text = format!(
        r#"
        name = "hall"
        [network]
        address = "10.77.0.1"
        prefix = 24
        {more}
        [policy]
        image = "debian-host"
        hand_over = "kexec"
        closed = false
        "#
    );
    toml::from_str(&text).unwrap()
}

/// A packet of a client's operating system, as a relay agent passes it on.
fn packet(kind: u8, mac: MacAddr, relay: Ipv4Addr, wish: Option<Ipv4Addr>) -> Vec<u8> {
    let mut bytes = vec![0; 240];
    bytes[..8].copy_from_slice(&[1, 1, 6, 1, 1, 2, 3, mac.0[5]]);
    bytes[24..28].copy_from_slice(&relay.octets());
    bytes[28..34].copy_from_slice(&mac.0);
    bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
    bytes.extend([53, 1, kind, 55, 3, 3, 6, 51]);
    if let Some(wish) = wish {
        bytes.extend([50, 4]);
        bytes.extend(wish.octets());
        bytes.extend([54, 4]);
        bytes.extend(US.octets());
    }
    bytes.push(255);
    bytes
}

/// What a client got: its address, and options by number.
struct Got {
    kind: u8,
    address: Ipv4Addr,
    bytes: Vec<u8>,
}

impl Got {
    fn option(&self, wanted: u8) -> &[u8] {
        let mut at = 240;
        while self.bytes[at] != 255 {
            let (code, length) = (self.bytes[at], usize::from(self.bytes[at + 1]));
            if code == wanted {
                return &self.bytes[at + 2..at + 2 + length];
            }
            at += 2 + length;
        }
        &[]
    }
}

struct Relay(UdpSocket, Ipv4Addr);

impl Relay {
    fn at(address: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind((address, 67)).unwrap();
        let wait = Some(Duration::from_secs(2));
        socket.set_read_timeout(wait).unwrap();
        Self(socket, address)
    }

    /// Asks until it is answered: what is lost is asked again, as clients do.
    fn ask(&self, kind: u8, mac: MacAddr, wish: Option<Ipv4Addr>) -> Got {
        for _ in 0..30 {
            let sent = packet(kind, mac, self.1, wish);
            self.0.send_to(&sent, (US, 67)).unwrap();
            let mut bytes = vec![0; 2_048];
            while let Ok((length, _)) = self.0.recv_from(&mut bytes) {
                if bytes[28..34] != mac.0 {
                    continue;
                }
                bytes.truncate(length);
                let octets: [u8; 4] = bytes[16..20].try_into().unwrap();
                let mut got = Got {
                    kind: 0,
                    address: octets.into(),
                    bytes,
                };
                got.kind = got.option(53)[0];
                return got;
            }
        }
        panic!("nobody answers {mac}");
    }

    /// DISCOVER and REQUEST.
    fn lease(&self, number: u8) -> Got {
        let mac = MacAddr([2, 0, 0, 0, 9, number]);
        let offer = self.ask(1, mac, None);
        let ack = self.ask(3, mac, Some(offer.address));
        assert_eq!((ack.kind, ack.address), (5, offer.address));
        ack
    }
}

/// Runs it where the provisioner and both relay agents have their addresses.
fn in_network(test: impl FnOnce() + Send + 'static) {
    in_own_network(|| {
        for arguments in [
            "addr add 10.77.0.1/24 dev lo",
            "addr add 10.77.0.2/24 dev lo",
            "addr add 10.78.0.2/24 dev lo",
            "link set lo up",
        ] {
            ip(arguments);
        }
        test();
    });
}

const BEFORE: &str = r#"
pool_first = "10.77.0.100"
pool_last = "10.77.0.109"
router = "10.77.0.254"
dns = ["10.77.0.53"]
lease_secs = 600
"#;
const AFTER: &str = r#"
pool_first = "10.77.0.200"
pool_last = "10.77.0.209"
router = "10.77.0.253"
dns = ["10.77.0.54", "10.77.0.55"]
lease_secs = 1200
[[network.pool]]
name = "far"
network = "10.78.0.0/24"
first = "10.78.0.100"
last = "10.78.0.109"
router = "10.78.0.1"
"#;

#[test]
#[allow(clippy::too_many_lines, reason = "one story, told once")]
fn clients_that_lease_get_what_is_applied_from_the_service_that_runs() {
    in_network(|| {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let boot = dir.path().join("boot");
        std::fs::create_dir(&boot).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let _within = runtime.enter();
        let ours = Provisioner::open(Options {
            site: site(BEFORE),
            state_dir: dir.path().to_owned(),
            images: Arc::new(NoImages),
        })
        .unwrap();
        let network = ours.site().network.clone();
        let sockets = Sockets {
            dhcp: Some(UdpSocket::bind((US, 67)).unwrap()),
            tftp: Some(UdpSocket::bind((US, 0)).unwrap()),
            http: Some(TcpListener::bind((US, 0)).unwrap()),
            https: None,
        };
        let files = BootFiles::of_folder(
            Arc::new(BootDir::open(&boot).unwrap()),
            CommandLine::default(),
        );
        let config = Config::of_site("lo", &network, dir.path());
        let policy = Arc::new(Boot::new(ours.clone(), None));
        let service = BootService::open(config, sockets, files, policy.clone(), policy).unwrap();
        let (stop, stopped) = watch::channel(false);
        let reloader = service.reloader();
        let follows = runtime.spawn(follow(ours.clone(), reloader, network, stopped.clone()));
        let serves = runtime.spawn(service.serve(stopped));
        let near = Relay::at(NEAR);
        let first = near.lease(1);
        assert_eq!(first.address.octets()[..3], [10, 77, 0]);
        assert!((100..110).contains(&first.address.octets()[3]));
        assert_eq!(first.option(51), 600u32.to_be_bytes());
        assert_eq!(first.option(3), [10, 77, 0, 254]);
        // Somebody applies another site, over the API or the command.
        let plan = ours.change_site("operator:ana", |_, _| Ok(site(AFTER)));
        assert!(plan.unwrap().changes.iter().all(|change| !change.restart));
        // From some moment on, and then for good, everybody new gets what it says.
        let mut number = 2;
        let second = loop {
            let got = near.ask(1, MacAddr([2, 0, 0, 0, 8, number]), None);
            if got.address.octets()[3] >= 200 {
                break near.lease(100);
            }
            number += 1;
            assert!(number < 100, "the site does not reach the service");
            std::thread::sleep(Duration::from_millis(50));
        };
        assert!(
            (200..210).contains(&second.address.octets()[3]),
            "{}",
            second.address
        );
        assert_eq!(second.option(51), 1_200u32.to_be_bytes());
        assert_eq!(second.option(3), [10, 77, 0, 253]);
        assert_eq!(second.option(6), [10, 77, 0, 54, 10, 77, 0, 55]);
        // A pool in another subnet is leased through its own relay agent, with its own router.
        let far = Relay::at(FAR).lease(101);
        assert_eq!(far.address.octets()[..3], [10, 78, 0]);
        assert_eq!(far.option(3), [10, 78, 0, 1]);
        stop.send(true).unwrap();
        runtime.block_on(follows).unwrap().unwrap();
        runtime.block_on(serves).unwrap().unwrap();
    });
}

/// What the site's check lets through, the boot service can serve: for networks put together by a simple generator.
#[test]
fn what_the_check_of_a_site_lets_through_is_served() {
    let mut state = 7u32;
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let (mut good, mut bad) = (0, 0);
    for _ in 0..4_000 {
        let mut text = format!(
            "pool_first = \"10.77.0.{}\"\npool_last = \"10.77.0.{}\"\nlease_secs = {}\n",
            next(256),
            next(256),
            290 + next(40)
        );
        for index in 0..next(4) {
            let subnet = 76 + next(4);
            text += &format!("[[network.pool]]\nname = \"p{}\"\n", index.min(2));
            if next(4) > 0 {
                text += &format!("network = \"10.{subnet}.0.0/{}\"\n", 22 + next(4));
                text += &format!("router = \"10.{subnet}.0.{}\"\n", 1 + next(3));
            }
            let (first, length) = (next(250), next(30));
            text += &format!("first = \"10.{subnet}.0.{first}\"\n");
            text += &format!("last = \"10.{subnet}.0.{}\"\n", (first + length).min(255));
            if next(3) == 0 {
                text += &format!(
                    "[[network.pool.reservation]]\nmac = \"02:00:00:00:00:0{}\"\naddress = \"10.{subnet}.0.{}\"\n",
                    next(3),
                    next(256)
                );
            }
        }
        let site = site(&text);
        let faults = prov_core::site_check::check(&site);
        let served = Server::new(ServerConfig::from(&site.network), Vec::new());
        if faults.is_empty() {
            good += 1;
            assert!(served.is_ok(), "{text}: {:?}", served.err());
        } else {
            bad += 1;
        }
    }
    assert!(good > 100 && bad > 100, "{good} good, {bad} bad");
}
