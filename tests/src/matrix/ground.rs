// SPDX-License-Identifier: Apache-2.0
//! The matrix's network: the boot service on a bridge, and each client in a network namespace of its own behind a cable.
//!
//! It ends only what it started, and leaves its folder behind: logs and captures are for people.

use super::wire::{self, Wire};
use crate::rack::{Capture, Net, NetOptions, Parts};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Our address, and the pool that is leased.
pub(super) const SERVER: &str = "10.77.0.1";
pub(super) const POOL: &str = "10.77.0.100-10.77.0.199";
/// Our address of IPv6.
const SERVER6: &str = "fd77::1/64";
/// What leased addresses begin with.
pub(super) const LEASED: &str = "10.77.0.1";
/// How often something is looked at that is awaited.
pub(super) const POLL: Duration = Duration::from_millis(50);
/// tcpdump takes packets from the kernel after a second at the latest; what it has not taken it does not write.
const CAPTURED: Duration = Duration::from_millis(1_300);
/// How long the boot service may take to listen, and a small program to end.
const SMALL: Duration = Duration::from_secs(30);

/// A child process that is ended with its owner.
#[derive(Debug)]
pub(super) struct Ours(Child);

impl Ours {
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let log = File::create(log).with_context(|| log.display().to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn();
        child
            .map(Self)
            .with_context(|| format!("cannot start {}", command.get_program().display()))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        // It may have ended by itself; both then fail, and that is well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The network with the boot service on it. It belongs to the thread that made it.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) net: Net,
    pub(super) folder: PathBuf,
    pub(super) boot_dir: PathBuf,
    groundstate: PathBuf,
    service: Option<Ours>,
    cables: u32,
}

impl Ground {
    pub(super) fn set(groundstate: &Path, boot_dir: &Path, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let net = Net::new(&NetOptions {
            taps: 1,
            capture: None,
        })?;
        Ok(Self {
            net,
            folder: folder.to_owned(),
            boot_dir: boot_dir.to_owned(),
            groundstate: groundstate.to_owned(),
            service: None,
            cables: 0,
        })
    }

    /// Starts the boot service anew with these further arguments, and returns when it listens.
    pub(super) fn serve(&mut self, arguments: &[&str]) -> Result<()> {
        drop(self.service.take());
        let state = self.folder.join("state");
        // Each start begins without leases, so that every client is a stranger.
        if state.exists() {
            fs::remove_dir_all(&state)?;
        }
        let log = self.folder.join("pxe-server.log");
        let mut command = Command::new(&self.groundstate);
        command.args(["pxe-server", "--interface", self.net.bridge()]);
        command.arg("--boot-dir").arg(&self.boot_dir);
        command.arg("--state-dir").arg(&state);
        command.args(arguments).env("RUST_LOG", "info");
        let mut service = Ours::start(&mut command, &log)?;
        let until = Instant::now() + SMALL;
        while std::net::TcpStream::connect((SERVER, 80)).is_err() {
            let words = || fs::read_to_string(&log).unwrap_or_default();
            ensure!(!service.has_ended(), "the boot service ended: {}", words());
            ensure!(
                Instant::now() < until,
                "the boot service does not listen: {}",
                words()
            );
            thread::sleep(POLL);
        }
        self.service = Some(service);
        Ok(())
    }

    /// Gives the bridge an address of IPv6, which the rack's network has switched off.
    pub(super) fn speak_ipv6(&self) -> Result<()> {
        let bridge = self.net.bridge();
        fs::write(
            format!("/proc/sys/net/ipv6/conf/{bridge}/disable_ipv6"),
            "0",
        )?;
        run(Command::new("ip").args(["-6", "addr", "replace", SERVER6, "dev", bridge, "nodad"]))
            .map(drop)
    }

    /// Starts a DHCP server that is not ours, on the same wire.
    pub(super) fn foreign(&mut self) -> Result<Foreign> {
        let program = Parts::program("dnsmasq", "dnsmasq-base")?;
        let place = self.client()?;
        place.address("eth0", "10.77.0.254/24")?;
        let leases = self.folder.join("dnsmasq.leases");
        let mut command = place.command(&program.display().to_string());
        command.args([
            "--keep-in-foreground",
            "--port=0",
            "--conf-file=/dev/null",
            "--user=root",
            "--pid-file=",
            "--interface=eth0",
            "--dhcp-authoritative",
            "--dhcp-range=10.77.0.100,10.77.0.150,1h",
        ]);
        command.arg(format!("--dhcp-leasefile={}", leases.display()));
        let server = Ours::start(&mut command, &self.folder.join("dnsmasq.log"))?;
        Ok(Foreign {
            _server: server,
            _place: place,
        })
    }

    /// A client of its own, on the bridge.
    pub(super) fn client(&mut self) -> Result<Client> {
        let client = Client::new(self.cables)?;
        self.cables += 1;
        client.plug_in(self.cables, Some(self.net.bridge()), "eth0")?;
        Ok(client)
    }

    /// A cable between two clients: its ends are called `there` in the first and `eth0` in the second.
    pub(super) fn cable(&mut self, from: &Client, there: &str, to: &Client) -> Result<()> {
        self.cables += 1;
        let port = format!("port{}", self.cables);
        to.plug_in(self.cables, None, "eth0")?;
        run(Command::new("ip").args(["link", "set", &port, "netns", &from.pid(), "name", there]))?;
        run(from.command("ip").args(["link", "set", there, "up"])).map(drop)
    }

    /// A client that is on no wire yet.
    pub(super) fn loose(&mut self) -> Result<Client> {
        self.cables += 1;
        Client::new(self.cables)
    }

    /// Begins to capture what goes through this interface.
    pub(super) fn capture(&self, interface: &str, name: &str) -> Result<Capture> {
        let file = self.folder.join(format!("{name}.pcap"));
        Ok(Capture::start(interface, &file)?)
    }
}

/// Somebody else's DHCP server; it ends with this.
#[derive(Debug)]
pub(super) struct Foreign {
    _server: Ours,
    _place: Client,
}

/// Ends a capture once everything is in it, and reads it.
pub(super) fn read(capture: Capture) -> Result<Wire> {
    thread::sleep(CAPTURED);
    wire::read(&capture.end()?)
}

/// A network namespace of one client. It lasts as long as the process that keeps it.
#[derive(Debug)]
pub(super) struct Client {
    keeper: Ours,
    number: u32,
}

impl Client {
    fn new(number: u32) -> Result<Self> {
        let unshare = Parts::program("unshare", "util-linux")?;
        let before = fs::read_link("/proc/thread-self/ns/net")?;
        let mut command = Command::new(unshare);
        command.args(["--net", "sleep", "3600"]);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start unshare")?;
        let client = Self {
            keeper: Ours(child),
            number,
        };
        let space = format!("/proc/{}/ns/net", client.pid());
        let until = Instant::now() + SMALL;
        while fs::read_link(&space).map_or(true, |now| now == before) {
            ensure!(Instant::now() < until, "unshare made no network namespace");
            thread::sleep(POLL);
        }
        // Addresses of IPv6 would be noise in the count of packets.
        run(client.command("sh").args([
            "-c",
            "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; ip link set lo up",
        ]))?;
        Ok(client)
    }

    fn pid(&self) -> String {
        self.keeper.pid().to_string()
    }

    /// The end of its cable in the server's namespace.
    pub(super) fn port(&self) -> String {
        format!("port{}", self.number + 1)
    }

    fn plug_in(&self, cable: u32, bridge: Option<&str>, name: &str) -> Result<()> {
        let port = format!("port{cable}");
        let pid = self.pid();
        let mac = format!("52:54:00:77:00:{cable:02x}");
        run(Command::new("ip").args([
            "link", "add", &port, "type", "veth", "peer", "name", name, "address", &mac, "netns",
            &pid,
        ]))?;
        if let Some(bridge) = bridge {
            run(Command::new("ip").args(["link", "set", &port, "master", bridge, "up"]))?;
        }
        run(self.command("ip").args(["link", "set", name, "up"])).map(drop)
    }

    /// A program in this namespace.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.pid()));
        command.arg("--").arg(program);
        command
    }

    /// Gives its interface an address by hand.
    pub(super) fn address(&self, interface: &str, address: &str) -> Result<()> {
        run(self
            .command("ip")
            .args(["addr", "add", address, "dev", interface]))
        .map(drop)
    }
}

/// Runs a program to its end within a limit, and gives what it said; an error where it fails.
pub(super) fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let Output {
        status,
        stdout,
        stderr,
    } = limited(command, SMALL)?;
    let words = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    ensure!(
        status.success(),
        "{shown} failed ({status}): {}",
        words.trim()
    );
    Ok(words)
}

fn limited(command: &mut Command, limit: Duration) -> Result<Output> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = child
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let until = Instant::now() + limit;
    // What these programs say fits a pipe.
    while child.try_wait()?.is_none() {
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            bail!("{command:?} did not end within {} s", limit.as_secs());
        }
        thread::sleep(POLL);
    }
    Ok(child.wait_with_output()?)
}
