// SPDX-License-Identifier: Apache-2.0
//! A network namespace with a cable in it, and the service at one end.

use groundstate_api::boot::{BootAnswer, BootConfig, BootQuestion, BootSighting};
use groundstate_api::boot_session::ForeignServer;
use groundstate_api::site::Network;
use groundstate_api::{MacAddr, SCHEMA};
use nix::sched::{CloneFlags, unshare};
use pxe_server::{Assets, BootFiles, BootPolicy, Config, ServeError, Sightings, assemble, serve};
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// Runs a program of this namespace; what it printed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let out = Command::new(program).args(arguments).output();
    let out = out.unwrap_or_else(|error| panic!("{program}: {error}"));
    let (said, erred) = (
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    );
    assert!(
        out.status.success(),
        "{program} {arguments:?}: {said}{erred}"
    );
    said.into_owned()
}

/// Runs a test in a namespace of its own: `server` 10.77.0.1/24 and `client`, without address, on one cable.
pub(crate) fn in_a_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            assert!(
                std::env::var_os("CI").is_none(),
                "no network namespace: {error}"
            );
            eprintln!("skipped: no network namespace ({error}); run as root");
            return;
        }
        run("ip", &["link", "set", "lo", "up"]);
        run(
            "ip",
            &[
                "link", "add", "server", "type", "veth", "peer", "name", "client",
            ],
        );
        run("ip", &["addr", "add", "10.77.0.1/24", "dev", "server"]);
        run("ip", &["link", "set", "server", "up"]);
        run("ip", &["link", "set", "client", "up"]);
        // Both ends are in one namespace, so that the client sees its own namespace's address as the sender.
        for key in [
            "client.accept_local=1",
            "all.rp_filter=0",
            "client.rp_filter=0",
            "server.rp_filter=0",
        ] {
            run("sysctl", &["-q", "-w", &format!("net.ipv4.conf.{key}")]);
        }
        run(
            "sysctl",
            &["-q", "-w", "net.ipv4.conf.server.accept_local=1"],
        );
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Does some work at the client's end of the cable, which moves to a namespace of its own with this address: what it
/// sends goes over the wire.
pub(crate) fn away<T: Send + 'static>(
    address: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (tell, told) = mpsc::channel();
    let (go, gone) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        tell.send(nix::unistd::gettid()).unwrap();
        gone.recv().unwrap();
        run("ip", &["link", "set", "lo", "up"]);
        run("ip", &["addr", "add", address, "dev", "client"]);
        run("ip", &["link", "set", "client", "up"]);
        work()
    });
    let (process, thread_id) = (std::process::id(), told.recv().unwrap());
    let namespace = format!("/proc/{process}/task/{thread_id}/ns/net");
    run("ip", &["link", "set", "client", "netns", &namespace]);
    go.send(()).unwrap();
    match thread.join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

pub(crate) struct Policy(pub(crate) Mutex<BootAnswer>);

impl BootPolicy for Policy {
    fn ask(&self, _: &BootQuestion) -> BootAnswer {
        self.0.lock().unwrap().clone()
    }
}

/// The other DHCP servers that an alarm was raised of.
pub(crate) static FOREIGN: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub(crate) struct Ear(pub(crate) Mutex<mpsc::Sender<(MacAddr, BootSighting)>>);

impl Sightings for Ear {
    fn saw(&self, mac: MacAddr, sighting: BootSighting) {
        let _ = self.0.lock().unwrap().send((mac, sighting));
    }

    fn foreign(&self, server: &ForeignServer) {
        FOREIGN.lock().unwrap().push(server.server.clone());
    }
}

/// The service, running on a thread of this namespace.
pub(crate) struct Room {
    pub(crate) dir: Arc<tempfile::TempDir>,
    files: BootFiles,
    policy: Arc<Policy>,
    heard: mpsc::Receiver<(MacAddr, BootSighting)>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Room {
    pub(crate) fn open(answer: BootAnswer) -> Self {
        Self::open_in(Arc::new(tempfile::tempdir().unwrap()), answer)
    }

    pub(crate) fn open_in(dir: Arc<tempfile::TempDir>, answer: BootAnswer) -> Self {
        let files = boot_files(dir.path());
        Self::open_with(dir, answer, files)
    }

    /// With these files.
    pub(crate) fn open_with(
        dir: Arc<tempfile::TempDir>,
        answer: BootAnswer,
        files: BootFiles,
    ) -> Self {
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
        let policy = Arc::new(Policy(Mutex::new(answer)));
        let (sender, heard) = mpsc::channel();
        let (stop, stopped) = watch::channel(false);
        let (served, asked): (_, Arc<dyn BootPolicy>) = (files.clone(), policy.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(serve(
                config,
                served,
                asked,
                Arc::new(Ear(Mutex::new(sender))),
                stopped,
            ))
        });
        let room = Self {
            dir,
            files,
            policy,
            heard,
            stop,
            thread: Some(thread),
        };
        room.wait_until_served();
        room
    }

    /// The HTTP port is opened last.
    fn wait_until_served(&self) {
        for _ in 0..2_000 {
            if std::net::TcpStream::connect("10.77.0.1:80").is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the service does not come up");
    }

    pub(crate) fn answer(&self, answer: BootAnswer) {
        *self.policy.0.lock().unwrap() = answer;
    }

    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        bytes(&self.files, name)
    }

    pub(crate) fn sighting(&self) -> (MacAddr, BootSighting) {
        self.heard.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    /// The client's end takes the address that it was leased.
    pub(crate) fn take_address(&self, address: Ipv4Addr) {
        run(
            "ip",
            &["addr", "add", &format!("{address}/32"), "dev", "client"],
        );
    }

    fn close(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.stop.send(true).unwrap();
            thread.join().unwrap().unwrap();
        }
    }

    pub(crate) fn restart(mut self) -> Self {
        self.close();
        let answer = self.policy.0.lock().unwrap().clone();
        Self::open_in(Arc::clone(&self.dir), answer)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.close();
        }
    }
}

/// What is served under a name.
pub(crate) fn bytes(files: &BootFiles, name: &str) -> Vec<u8> {
    let content = files.file(name).unwrap();
    let mut bytes = vec![0; usize::try_from(content.length()).unwrap()];
    content.read_at(0, &mut bytes).unwrap();
    bytes
}

pub(crate) fn boot_files(dir: &std::path::Path) -> BootFiles {
    let assets = dir.join("assets");
    std::fs::create_dir_all(&assets).unwrap();
    let bytes = |length: usize, seed: usize| -> Vec<u8> {
        (0..length)
            .map(|n| u8::try_from((n * 31 + n / 251 + seed) % 256).unwrap())
            .collect()
    };
    let stub = std::fs::read("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
        .expect("package systemd-boot-efi");
    for (name, content) in [
        ("vmlinuz", bytes(300_000, 1)),
        ("initrd.base", bytes(100_001, 2)),
        ("linuxx64.efi.stub", stub),
        ("undionly.kpxe", bytes(73_408, 3)),
        ("snponly.efi", bytes(600_001, 4)),
        ("cmdline", b"console=ttyS0\n".to_vec()),
        ("uname", b"6.1.0-1-amd64\n".to_vec()),
    ] {
        std::fs::write(assets.join(name), content).unwrap();
    }
    let site = BootConfig {
        schema: SCHEMA,
        site: "test".to_owned(),
        provisioner: "https://10.77.0.1:8443".to_owned(),
        others: Vec::new(),
        ca_pem: String::new(),
    };
    assemble(&Assets::read(&assets).unwrap(), &site, &dir.join("out")).unwrap()
}
