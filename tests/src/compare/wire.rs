// SPDX-License-Identifier: Apache-2.0
//! A cable between this process and a server, each in a network namespace of its own.
//!
//! Nothing reaches the machine's own network. A server's namespace, its cable and its folder go when it is dropped, so
//! that the next one begins with nothing.

use super::ground::text;
use anyhow::{Context as _, Result, bail, ensure};
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::unistd::{Pid, getgid, getuid};
use std::fs::{self, File};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The network: `10.64.0.0/12`, wide enough for a million leases.
pub(super) const PREFIX: u8 = 12;
/// The server's address.
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);
/// Our own: a relay agent's, as far as a DHCP server can see.
pub(super) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 2);
/// The first address that may be leased.
pub(super) const FIRST: Ipv4Addr = Ipv4Addr::new(10, 65, 0, 0);
/// The last one.
pub(super) const LAST: Ipv4Addr = Ipv4Addr::new(10, 79, 255, 254);
/// The client's end of the cable.
pub(super) const OUR_END: &str = "bench0";
/// The server's end.
pub(super) const THEIR_END: &str = "serve0";
/// How long a server may take to come up, or to go.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often something is looked at again.
const LOOK: Duration = Duration::from_millis(10);

/// This process in a network namespace of its own.
#[derive(Debug)]
pub(super) struct Wire {
    /// Where servers run, where it is not everywhere.
    servers_on: Option<CpuSet>,
    /// Where this thread may run.
    allowed: CpuSet,
}

impl Wire {
    /// Enters it; where that needs it, also a user namespace of our own.
    pub(super) fn enter() -> Result<Self> {
        if unshare(CloneFlags::CLONE_NEWNET).is_err() {
            let (user, group) = (getuid(), getgid());
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
                .context("no network namespace, neither as this user nor as one of our own")?;
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
            fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
        }
        ip(&["link", "set", "lo", "up"])?;
        Ok(Self {
            servers_on: None,
            allowed: sched_getaffinity(Pid::from_raw(0))?,
        })
    }

    /// From now on, this thread and every server use all processors, as they like.
    pub(super) fn together(&mut self) -> Result<()> {
        self.servers_on = Some(self.allowed);
        Ok(sched_setaffinity(Pid::from_raw(0), &self.allowed)?)
    }

    /// From now on, this thread has a processor of its own, and every server another one, all its threads. Whether this
    /// machine has two.
    pub(super) fn apart(&mut self) -> Result<bool> {
        let this = Pid::from_raw(0);
        let allowed = self.allowed;
        let mut both = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
        let (Some(server), Some(own)) = (both.next(), both.next()) else {
            return Ok(false);
        };
        let only = |cpu| -> Result<CpuSet> {
            let mut set = CpuSet::new();
            set.set(cpu)?;
            Ok(set)
        };
        sched_setaffinity(this, &only(own)?)?;
        self.servers_on = Some(only(server)?);
        Ok(true)
    }

    /// Starts a server at the other end of a fresh cable. What it prints goes to `server.log` in `folder`.
    pub(super) fn start(
        &self,
        folder: &Path,
        program: &str,
        arguments: &[String],
    ) -> Result<Server> {
        self.start_with(folder, program, arguments, &[])
    }

    /// As [`Self::start`], with these variables in its environment.
    pub(super) fn start_with(
        &self,
        folder: &Path,
        program: &str,
        arguments: &[String],
        environment: &[(&str, String)],
    ) -> Result<Server> {
        let began = Instant::now();
        let log = folder.join("server.log");
        let said = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        // `unshare` and `sh` replace themselves by the program: the process is the same from beginning to end.
        let child = Command::new("unshare")
            .args([
                "--net",
                "sh",
                "-c",
                "read -r go && exec \"$@\"",
                "sh",
                program,
            ])
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::piped())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let laid_in = Duration::ZERO;
        // It waits for a word, so none of its threads is there yet.
        if let Some(cpus) = &self.servers_on {
            sched_setaffinity(Pid::from_raw(i32::try_from(child.id())?), cpus)?;
        }
        let mut server = Server {
            child,
            log,
            laid_in,
        };
        server.lay_cable()?;
        server.laid_in = began.elapsed();
        let go = server.child.stdin.take().context("it has no input")?;
        (&go).write_all(b"go\n")?;
        Ok(server)
    }
}

/// A server in its own namespace, with a cable to us.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    log: PathBuf,
    laid_in: Duration,
}

impl Server {
    fn lay_cable(&mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        let (own, its) = ("/proc/self/ns/net", format!("/proc/{pid}/ns/net"));
        let until = Instant::now() + PATIENCE;
        while fs::read_link(own)? == fs::read_link(&its)? {
            ensure!(Instant::now() < until, "unshare makes no network namespace");
            std::thread::sleep(LOOK);
        }
        ip(&[
            "link", "add", OUR_END, "type", "veth", "peer", "name", THEIR_END, "netns", &pid,
        ])?;
        let inside = |arguments: &[&str]| {
            let enter = ["-t", &pid, "-n", "ip"];
            super::ground::run("nsenter", &[&enter, arguments].concat()).map(drop)
        };
        let (ours, theirs) = (format!("{CLIENT}/{PREFIX}"), format!("{SERVER}/{PREFIX}"));
        inside(&["link", "set", "lo", "up"])?;
        inside(&["addr", "add", &theirs, "dev", THEIR_END])?;
        inside(&["link", "set", THEIR_END, "up"])?;
        ip(&["addr", "add", &ours, "dev", OUR_END])?;
        ip(&["link", "set", OUR_END, "up"])
    }

    /// Waits until it is ready, as `ready` finds out.
    pub(super) fn wait_until(&mut self, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !ready()? {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended ({status}): {}", self.last_words());
            }
            ensure!(
                Instant::now() < until,
                "the server does not come up: {}",
                self.last_words()
            );
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// How long it took before the program could begin.
    pub(super) const fn laid_in(&self) -> Duration {
        self.laid_in
    }

    /// The end of what it printed.
    pub(super) fn last_words(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        let from = said.len().saturating_sub(600);
        String::from_utf8_lossy(said.get(from..).unwrap_or_default())
            .trim()
            .to_owned()
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory that it has had at once, at most, in bytes: its peak resident set.
    pub(super) fn memory_peak(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    /// Memory that it has now, in bytes: its resident set.
    pub(super) fn memory_now(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    fn memory(&self, field: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kib.with_context(|| format!("{path} has no {field}"))? * 1_024)
    }

    /// Seconds of processor time that it has used.
    pub(super) fn processor_time(&self) -> Result<f64> {
        let path = format!("/proc/{}/stat", self.pid());
        let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        // Behind the name, which may have blanks, in parentheses: fields 14 and 15 are user and system time.
        let (_, fields) = stat.rsplit_once(')').context("no process")?;
        let ticks: f64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<f64>().ok())
            .sum();
        // USER_HZ, the same on every Linux machine of this kind.
        Ok(ticks / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).map(Pid::from_raw);
        if let Ok(pid) = pid {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        }
        let until = Instant::now() + Duration::from_secs(3);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Its end went with its namespace, sooner or later; the next cable has the same name.
        let _ = ip(&["link", "del", OUR_END]);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    super::ground::run("ip", arguments).map(drop)
}

/// Our program, and what it is told to serve this folder at the server's end.
pub(super) fn ours(boot: &Path, state: &Path, pool: &str) -> Result<(String, Vec<String>)> {
    let program = std::env::var("GROUNDSTATE").context("GROUNDSTATE names no program")?;
    let arguments = [
        "pxe-server",
        "--interface",
        THEIR_END,
        "--pool",
        pool,
        "--boot-dir",
        text(boot)?,
        "--state-dir",
        text(state)?,
    ];
    Ok((program, arguments.map(str::to_owned).to_vec()))
}
