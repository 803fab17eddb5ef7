// SPDX-License-Identifier: Apache-2.0
//! A boot on the wire, and what is seen of it: the session, the metrics, the capture.

use crate::dhcp_client;
use crate::room::{Ear, Policy, boot_files, in_a_namespace, run};
use groundstate_api::MacAddr;
use groundstate_api::boot::BootAnswer;
use groundstate_api::boot_session::{BootSessions, SessionState};
use groundstate_api::metrics::BOOT_SERVICE;
use groundstate_api::site::Network;
use pxe_server::{AdminAddress, BootService, Capture, CaptureConfig, Config, Sockets};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tokio::sync::watch;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);
const CLASS: &[u8] = b"PXEClient:Arch:00007:UNDI:003016";

/// A running service with an endpoint on a Unix socket, and captures.
struct Watched {
    dir: tempfile::TempDir,
    policy: Arc<Policy>,
    stop: watch::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
    _heard: mpsc::Receiver<(MacAddr, groundstate_api::boot::BootSighting)>,
}

impl Watched {
    fn open(answer: BootAnswer) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = boot_files(dir.path());
        let network = Network {
            address: [10, 77, 0, 1].into(),
            prefix: 24,
            pool_first: [10, 77, 0, 100].into(),
            pool_last: [10, 77, 0, 199].into(),
            router: None,
            dns: Vec::new(),
            lease_secs: 3_600,
            http_port: 80,
            https_port: 8_443,
            pools: Vec::new(),
        };
        let config = Config::of_site("server", &network, &dir.path().join("state"));
        let captures = dir.path().join("captures");
        std::fs::create_dir(&captures).unwrap();
        let policy = Arc::new(Policy(Mutex::new(answer)));
        let (sender, heard) = mpsc::channel();
        let (stop, stopped) = watch::channel(false);
        let (asked, socket) = (policy.clone(), dir.path().join("admin.sock"));
        let (up, is_up) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let ear = Arc::new(Ear(Mutex::new(sender)));
                let mut service =
                    BootService::open(config, Sockets::default(), files, asked, ear).unwrap();
                let address: AdminAddress = format!("unix:{}", socket.display()).parse().unwrap();
                service.admin_on(address.open().await.unwrap());
                let config = CaptureConfig {
                    folder: captures,
                    only: vec![MAC],
                };
                service.capture_into(Capture::start(config).unwrap());
                up.send(()).unwrap();
                service.serve(stopped).await.unwrap();
            });
        });
        is_up.recv().unwrap();
        Self {
            dir,
            policy,
            stop,
            thread: Some(thread),
            _heard: heard,
        }
    }

    fn get(&self, path: &str) -> String {
        let socket = self.dir.path().join("admin.sock");
        let url = format!("http://localhost{path}");
        let socket = socket.to_str().unwrap();
        run(
            "curl",
            &[
                "-sS",
                "--fail",
                "--max-time",
                "20",
                "--unix-socket",
                socket,
                &url,
            ],
        )
    }

    fn boots(&self) -> BootSessions {
        serde_json::from_str(&self.get("/v1/boots?mac=02:00:00:00:00:07")).unwrap()
    }

    /// The newest session, once it is in this state.
    fn until(&self, state: &SessionState) -> groundstate_api::boot_session::BootSession {
        for _ in 0..2_000 {
            let newest = self.boots().sessions.into_iter().next();
            if let Some(session) = newest.filter(|session| session.state == *state) {
                return session;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("never {state:?}: {:?}", self.boots());
    }

    fn fetch(&self, from: &str, url: &str) {
        let out = self.dir.path().join("got");
        run(
            "curl",
            &[
                "-sS",
                "--max-time",
                "20",
                "--interface",
                from,
                "-o",
                out.to_str().unwrap(),
                url,
            ],
        );
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

fn number(metrics: &str, name: &str) -> f64 {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name}\n{metrics}"))
        .parse()
        .unwrap()
}

#[test]
fn a_boot_is_joined_from_discover_to_kernel_and_a_power_cycle_begins_another() {
    in_a_namespace(|| {
        let watched = Watched::open(BootAnswer::MaintenanceOs);
        let address = dhcp_client::lease(MAC, CLASS, 7);
        run(
            "ip",
            &["addr", "add", &format!("{address}/24"), "dev", "client"],
        );
        let from = address.to_string();
        watched.fetch(&from, "tftp://10.77.0.1/snponly.efi");
        watched.fetch(&from, "http://10.77.0.1/boot/ipxe/02-00-00-00-00-07.ipxe");
        watched.fetch(&from, "http://10.77.0.1/boot/missing.img");
        watched.fetch(&from, "http://10.77.0.1/boot/vmlinuz");
        watched.fetch(&from, "http://10.77.0.1/boot/initrd.img");
        let session = watched.until(&SessionState::Fetched);
        let said: Vec<String> = session.steps.iter().map(|step| step.step.says()).collect();
        let all = said.join("\n");
        let mut rest = all.as_str();
        for step in [
            "UEFI PXE asked by DHCP".to_owned(),
            format!("was offered {address}, boot file snponly.efi"),
            format!("has {address}, boot file snponly.efi"),
            "asked for snponly.efi by TFTP".to_owned(),
            "got snponly.efi by TFTP".to_owned(),
            "did not get missing.img by HTTP: no such file".to_owned(),
            "got vmlinuz by HTTP".to_owned(),
            "got initrd.img by HTTP".to_owned(),
        ] {
            let Some((_, after)) = rest.split_once(&step) else {
                panic!("{step:?} is not in its place:\n{all}");
            };
            rest = after;
        }
        assert_eq!(session.address.as_deref(), Some(from.as_str()));

        // The machine is started again, and now it shall boot its own disk.
        *watched.policy.0.lock().unwrap() = BootAnswer::LOCAL_DISK;
        dhcp_client::lease(MAC, CLASS, 7);
        watched.until(&SessionState::LocalDisk);
        assert_eq!(watched.boots().sessions.len(), 2);

        let metrics = watched.get("/metrics");
        for (name, least) in [
            ("groundstate_dhcp_received_total", 4.0),
            ("groundstate_dhcp_sent_total", 4.0),
            ("groundstate_boot_sessions_begun_total", 2.0),
            ("groundstate_boot_sessions_fetched_total", 1.0),
            ("groundstate_boot_sessions_local_disk_total", 1.0),
            ("groundstate_dhcp_answer_seconds_count", 4.0),
            ("groundstate_lease_commit_seconds_count", 1.0),
            ("groundstate_tftp_transfers_completed_total", 1.0),
            ("groundstate_dhcp_leases{state=\"bound\"}", 1.0),
            ("groundstate_boot_sessions{state=\"fetched\"}", 1.0),
        ] {
            assert!(number(&metrics, name) >= least, "{name}\n{metrics}");
        }
        assert!((number(&metrics, "groundstate_dhcp_pool_free_addresses") - 99.0).abs() < 0.5);
        for (name, kind) in BOOT_SERVICE {
            let line = format!("# TYPE {name} {}\n", kind.as_str());
            assert!(metrics.contains(&line), "{line} is not served");
        }
        assert_eq!(
            metrics.matches("# TYPE ").count(),
            BOOT_SERVICE.len(),
            "every name is a word"
        );
        assert_eq!(watched.get("/healthz"), "ok\n");
        assert!(watched.get("/v1/leases").contains(&from));
        captured(
            &watched.dir.path().join("captures/02-00-00-00-00-07.pcap"),
            &from,
        );
    });
}

/// tcpdump reads both ways of DHCP, each reply where it went, and the TFTP request.
fn captured(file: &Path, address: &str) {
    let able = dhcp_client::client(CLASS).takes_unicasts();
    let question = able.ask(dhcp_client::Wants::Any, MAC);
    dhcp_client::send(&dhcp_client::socket(), &question);
    let said = (0..2_000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(10));
        let said = run("tcpdump", &["-n", "-v", "-r", file.to_str().unwrap()]);
        (said.matches("BOOTP/DHCP").count() >= 10).then_some(said)
    });
    let said = said.expect("eight DHCP packets of two leases, and a last offer");
    for to in ["255.255.255.255", address] {
        assert!(
            said.contains(&format!("10.77.0.1.67 > {to}.68:")),
            "{to}\n{said}"
        );
    }
    for word in ["Discover", "Offer", "Request", "ACK"] {
        assert!(said.contains(word), "{word}\n{said}");
    }
    assert!(said.contains(address), "{said}");
    assert!(said.contains("RRQ \"snponly.efi\""), "{said}");
    assert!(!said.contains("bad udp cksum"), "{said}");
}

#[test]
fn the_endpoint_changes_nothing_and_knows_its_paths() {
    in_a_namespace(|| {
        let watched = Watched::open(BootAnswer::MaintenanceOs);
        let socket = watched.dir.path().join("admin.sock");
        let status = |more: &[&str], path: &str| {
            let url = format!("http://localhost{path}");
            let mut all = vec![
                "-sS",
                "--max-time",
                "20",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
            ];
            all.extend(["--unix-socket", socket.to_str().unwrap()]);
            all.extend(more);
            all.push(&url);
            run("curl", &all)
        };
        for (more, path, wants) in [
            (&["-I"][..], "/metrics", "200"),
            (&["-X", "POST", "-d", "x"], "/v1/boots", "405"),
            (&["-X", "DELETE"], "/v1/leases", "405"),
            (&[], "/", "404"),
            (&[], "/v1/boots?mac=x", "400"),
            (&[], "/v1/boots", "200"),
        ] {
            assert_eq!(status(more, path), wants, "{more:?} {path}");
        }
    });
}
