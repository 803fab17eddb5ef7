// SPDX-License-Identifier: Apache-2.0
//! Two `groundstate up` over one etcd in one network, as the guide sets them up: the first has the boot service, the second is
//! started without one and leads. What the boot service saw is then in the journal all the same, by whoever leads.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

mod network;

use network::{in_own_network, ip};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const ETCD: &str = "/usr/bin/etcd";
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
/// The longest wait for something that always comes.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// The boot service, and the relay agent that asks it for a machine.
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 1);
const RELAY: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 3);
const MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];

const SITE: &str = r#"
name = "lab"
[network]
address = "10.79.0.1"
prefix = 24
pool_first = "10.79.0.100"
pool_last = "10.79.0.199"
[policy]
image = "debian-host"
hand_over = "kexec"
[[node]]
name = "node-1"
mac = "52:54:00:00:00:01"
uuid = "564d1234-5678-9abc-def0-123456789abc"
serial = "HOST-1"
"#;

/// What ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct World {
    dir: TempDir,
    _etcd: Running,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let assets = dir.path().join("assets");
        fs::create_dir(&assets).unwrap();
        for (name, content) in [
            ("vmlinuz", "kernel"),
            ("initrd.base", "070701"),
            ("undionly.kpxe", "undionly"),
            ("snponly.efi", "snponly"),
            ("cmdline", "console=ttyS0\n"),
            ("uname", "6.1.0-1-amd64\n"),
        ] {
            fs::write(assets.join(name), content).unwrap();
        }
        fs::copy(STUB, assets.join("linuxx64.efi.stub")).unwrap();
        fs::write(dir.path().join("site.toml"), SITE).unwrap();
        let etcd = Command::new(ETCD)
            .args(["--name", "one", "--log-level", "error"])
            .arg("--data-dir")
            .arg(dir.path().join("etcd"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            dir,
            _etcd: Running(etcd),
        }
    }

    fn state(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    /// Starts a provisioner, and waits until it has said everything of its start.
    fn up(&self, name: &str, listen: &str, more: &[&str]) -> Running {
        let log = File::create(self.dir.path().join(format!("{name}.log"))).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_groundstate"));
        command
            .args(["up", "--journal", "etcd://127.0.0.1:2379/lab"])
            .args(["--name", name, "--listen", listen])
            .args(["--page", "127.0.0.1:0"])
            .arg("--site")
            .arg(self.dir.path().join("site.toml"))
            .arg("--state-dir")
            .arg(self.state(name))
            .args(more)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let mut running = Running(command.spawn().unwrap());
        let said = |running: &mut Running| {
            assert!(
                running.0.try_wait().unwrap().is_none(),
                "{}",
                self.log(name)
            );
            self.log(name).contains("\ntry ").then_some(())
        };
        until("the greeting", || said(&mut running));
        running
    }

    /// A command of an operator, asked of this address.
    fn operator(&self, name: &str, server: &str, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_groundstate"));
        command.args(words).args(["--server", server]);
        command
            .arg("--credential")
            .arg(self.state(name).join("pki/operator"));
        command.output().unwrap()
    }

    /// Waits until such a command says these words.
    fn says(&self, server: &str, words: &[&str], wanted: &str) {
        until(wanted, || {
            let out = self.operator("one", server, words);
            let said = String::from_utf8_lossy(&out.stdout).into_owned();
            said.contains(wanted).then_some(())
        });
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(LOOK);
    }
}

/// A packet of UEFI firmware that boots by PXE, as a relay agent passes it on.
fn packet(kind: u8, wish: Option<Ipv4Addr>) -> Vec<u8> {
    let mut bytes = vec![0; 240];
    bytes[..8].copy_from_slice(&[1, 1, 6, 1, 1, 2, 3, 4]);
    bytes[24..28].copy_from_slice(&RELAY.octets());
    bytes[28..34].copy_from_slice(&MAC);
    bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
    bytes.extend([
        53, 1, kind, 55, 4, 1, 3, 66, 67, 93, 2, 0, 7, 94, 3, 1, 3, 16,
    ]);
    let vendor = b"PXEClient:Arch:00007:UNDI:003016";
    bytes.extend([60, 32]);
    bytes.extend(vendor);
    if let Some(wish) = wish {
        bytes.extend([50, 4]);
        bytes.extend(wish.octets());
        bytes.extend([54, 4]);
        bytes.extend(SERVER.octets());
    }
    bytes.push(255);
    bytes
}

/// The address that is offered or granted to the machine; what is lost is asked again, as firmware does.
fn ask(socket: &UdpSocket, kind: u8, wish: Option<Ipv4Addr>) -> Ipv4Addr {
    until("an answer of DHCP", || {
        socket.send_to(&packet(kind, wish), (SERVER, 67)).unwrap();
        let mut bytes = [0; 2_048];
        let (length, _) = socket.recv_from(&mut bytes).ok()?;
        let octets: [u8; 4] = bytes.get(16..20)?.try_into().ok()?;
        (length > 240 && bytes[28..34] == MAC).then_some(octets.into())
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.unwrap().success());
}

/// Ends it as systemd does, so that it gives up to lead at once.
fn stop(mut running: Running) {
    kill(
        Pid::from_raw(i32::try_from(running.0.id()).unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    assert!(running.0.wait().unwrap().success());
}

/// The relay agent's socket at the other end of the cable, in a namespace of its own: port 67 of this one is the server's.
fn relay() -> UdpSocket {
    let (say, said) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel();
    let there = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        say.send(nix::unistd::gettid()).unwrap();
        gone.recv().unwrap();
        ip("addr add 10.79.0.3/24 dev cli");
        ip("link set cli up");
        UdpSocket::bind((RELAY, 67)).unwrap()
    });
    ip(&format!("link set cli netns {}", said.recv().unwrap()));
    go.send(()).unwrap();
    // A socket stays in the namespace that it was made in, and keeps it.
    let socket = there.join().unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    socket
}

/// Runs it at the server's end of the cable, where everything it needs is there.
fn in_network(test: impl FnOnce() + Send + 'static) {
    for needed in [ETCD, STUB] {
        if !Path::new(needed).exists() {
            assert!(std::env::var_os("CI").is_none(), "{needed} is missing");
            eprintln!("skipped: {needed} is missing");
            return;
        }
    }
    in_own_network(|| {
        for arguments in [
            "link set lo up",
            "link add srv type veth peer name cli",
            "addr add 10.79.0.1/24 dev srv",
            "addr add 10.79.0.2/24 dev srv",
            "link set srv up",
        ] {
            ip(arguments);
        }
        test();
    });
}

#[test]
fn what_the_boot_service_of_a_follower_saw_is_written_down_by_the_leader() {
    const ONE: &str = "https://10.79.0.1:8443";
    const TWO: &str = "https://10.79.0.2:8443";
    in_network(|| {
        let world = World::new();
        let assets = world.dir.path().join("assets");
        let with_boots = [
            "--interface",
            "srv",
            "--boot-assets",
            assets.to_str().unwrap(),
        ];
        let one = world.up("one", "10.79.0.1:8443", &with_boots);
        assert!(
            world.log("one").contains("DHCP 0.0.0.0:67"),
            "{}",
            world.log("one")
        );
        world.says(ONE, &["fleet"], "led by one");
        copy(&world.state("one").join("pki"), &world.state("two"));
        // The first one has every port of a boot service; the second needs none.
        let _two = world.up("two", "10.79.0.2:8443", &["--no-boot-service"]);
        let said = world.log("two");
        assert!(
            said.contains("boot        not here: another machine of the site serves it"),
            "{said}"
        );
        stop(one);
        world.says(TWO, &["fleet"], "led by two");
        let _one = world.up("one", "10.79.0.1:8443", &with_boots);
        world.says(ONE, &["fleet"], "led by two");
        let ordered = world.operator("one", ONE, &["node", "provision", "node-1"]);
        assert!(ordered.status.success(), "{ordered:?}");
        // The boot service asks its own provisioner, which follows.
        let socket = relay();
        let offered = ask(&socket, 1, None);
        let leased = ask(&socket, 3, Some(offered));
        assert_eq!(offered, leased);
        let wanted = format!("leased {leased} to uefi-pxe");
        world.says(TWO, &["events", "--node", "node-1"], &wanted);
        world.says(TWO, &["boot", "ls"], "52:54:00:00:00:01");
        assert!(
            !world
                .log("one")
                .contains("a sighting is not in the journal"),
            "{}",
            world.log("one")
        );
    });
}
