// SPDX-License-Identifier: Apache-2.0
//! Machines in network namespaces of their own, on one bridge.
//!
//! All namespaces share the kernel's one table of neighbours, of 1,024 by default, and 33 machines that all speak to one another
//! need more. Machines of a rack have a kernel each; here every machine is told the others' hardware addresses, which then do
//! not count.

use super::super::ground::{run, text};
use anyhow::{Context as _, Result, ensure};
use std::fs::{self, File};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const BRIDGE: &str = "rack0";
/// The bridge's own address: the plan is there.
pub(super) const HOME: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);
/// How long a namespace may take to come up.
const PATIENCE: Duration = Duration::from_secs(20);

/// The bridge; it goes with the namespace of this process.
pub(super) fn lay_bridge() -> Result<()> {
    let ip = |arguments: &[&str]| run("ip", arguments).map(drop);
    // A broadcast reaches everybody without anybody's membership.
    ip(&[
        "link",
        "add",
        BRIDGE,
        "type",
        "bridge",
        "mcast_snooping",
        "0",
    ])?;
    ip(&["addr", "add", &format!("{HOME}/16"), "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])
}

/// A program on a machine of its own. It is killed when this is dropped.
pub(super) struct Station {
    child: Child,
    cable: String,
    pub(super) input: Option<ChildStdin>,
}

/// The address of a machine.
pub(super) fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 64, 1, number)
}

/// Its hardware address.
fn hardware(number: u8) -> String {
    format!("02:00:0a:40:01:{number:02x}")
}

impl Station {
    /// Starts the program on a machine that knows these others; its output, and what it complains of in `log`.
    pub(super) fn start(
        number: u8,
        others: &[u8],
        log: &Path,
        command: &[&str],
    ) -> Result<(Self, ChildStdout)> {
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", "read -r go && exec \"$@\"", "sh"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .spawn()
            .context("cannot start unshare")?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut station = Self {
            child,
            cable: format!("m{number}"),
            input,
        };
        station.lay_cable(number, others)?;
        station.say("go")?;
        Ok((station, output.context("it has no output")?))
    }

    pub(super) fn say(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("it has no input")?;
        writeln!(input, "{line}")?;
        Ok(input.flush()?)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its cable carries so much and no more, both ways.
    pub(super) fn slow_down(&self, rate: &str) -> Result<()> {
        let shape = [
            "root", "tbf", "rate", rate, "burst", "64k", "latency", "50ms",
        ];
        let add = ["qdisc", "add", "dev"];
        run("tc", &[&add[..], &[&self.cable], &shape].concat())?;
        let pid = self.pid().to_string();
        let inside = ["-t", &pid, "-n", "tc"];
        run("nsenter", &[&inside[..], &add, &["eth0"], &shape].concat()).map(drop)
    }

    /// Bytes that it has sent over its cable, as the bridge's end counts them.
    pub(super) fn sent(&self) -> Result<u64> {
        let text = run("ip", &["-s", "-j", "link", "show", "dev", &self.cable])?;
        let links: serde_json::Value = serde_json::from_str(&text)?;
        let bytes = links
            .pointer("/0/stats64/rx/bytes")
            .and_then(serde_json::Value::as_u64);
        bytes.with_context(|| format!("no counters of {}", self.cable))
    }

    pub(super) fn wait(&mut self) -> Result<()> {
        let status = self.child.wait()?;
        ensure!(status.success(), "a machine's program ended: {status}");
        Ok(())
    }

    fn lay_cable(&self, number: u8, others: &[u8]) -> Result<()> {
        let pid = self.pid().to_string();
        let its = format!("/proc/{pid}/ns/net");
        let until = Instant::now() + PATIENCE;
        while fs::read_link("/proc/self/ns/net")? == fs::read_link(&its)? {
            ensure!(Instant::now() < until, "unshare makes no network namespace");
            std::thread::sleep(Duration::from_millis(2));
        }
        let ip = |arguments: &[&str]| run("ip", arguments).map(drop);
        ip(&[
            "link",
            "add",
            &self.cable,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "address",
            &hardware(number),
            "netns",
            &pid,
        ])?;
        ip(&["link", "set", &self.cable, "master", BRIDGE, "up"])?;
        let inside = |arguments: &[&str]| {
            run("nsenter", &[&["-t", &pid, "-n", "ip"], arguments].concat()).map(drop)
        };
        inside(&["link", "set", "lo", "up"])?;
        inside(&[
            "addr",
            "add",
            &format!("{}/16", address(number)),
            "brd",
            "+",
            "dev",
            "eth0",
        ])?;
        inside(&["link", "set", "eth0", "up"])?;
        let known = others.iter().filter(|other| **other != number);
        let known = known.map(|other| {
            let (address, hardware) = (address(*other), hardware(*other));
            format!("neigh replace {address} lladdr {hardware} dev eth0 nud permanent\n")
        });
        let mut batch = tempfile::NamedTempFile::new()?;
        batch.write_all(known.collect::<String>().as_bytes())?;
        inside(&["-batch", text(batch.path())?])?;
        // udpcast's multicasts need a way out.
        inside(&["route", "add", "default", "dev", "eth0"])
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Its end went with its namespace, sooner or later; the next cable has the same name.
        let _ = run("ip", &["link", "del", &self.cable]);
    }
}
