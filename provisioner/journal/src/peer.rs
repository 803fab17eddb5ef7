// SPDX-License-Identifier: Apache-2.0
//! Real etcd on loopback, for tests: its data in a private folder, its members killed one by one. It starts nothing where
//! Debian's `etcd-server` is not installed.

mod papers;

pub use papers::Papers;

use crate::etcd::EtcdOptions;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where Debian puts it.
const ETCD: &str = "/usr/bin/etcd";
/// And its command, of `etcd-client`.
const ETCDCTL: &str = "/usr/bin/etcdctl";
/// How long a cluster may take to answer for the first time.
const START_MAX: Duration = Duration::from_secs(60);

/// A cluster. Dropped, its members are killed and its data is gone.
pub struct Cluster {
    dir: tempfile::TempDir,
    members: Vec<Member>,
    papers: Option<Papers>,
}

struct Member {
    client: u16,
    peer: u16,
    child: Option<Child>,
}

impl Cluster {
    /// Starts a cluster and waits until it can be written to. `None` where etcd is not installed, said on stderr.
    ///
    /// # Panics
    /// Where it does not start; and where etcd is missing although the environment has `CI`.
    #[must_use]
    pub fn start(members: usize) -> Option<Self> {
        Self::with(members, false)
    }

    /// The same over TLS, where a client must show a certificate: see [`Self::papers`].
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_over_tls(members: usize) -> Option<Self> {
        Self::with(members, true)
    }

    fn with(members: usize, tls: bool) -> Option<Self> {
        if !std::path::Path::new(ETCD).exists() {
            assert!(
                std::env::var_os("CI").is_none(),
                "{ETCD} is missing: install etcd-server"
            );
            eprintln!("skipped: {ETCD} is missing (Debian's etcd-server)");
            return None;
        }
        let dir = tempfile::tempdir().expect("a folder for etcd");
        // All are held at once, so that no port is given out twice.
        let held: Vec<TcpListener> = (0..members * 2)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"))
            .collect();
        let port = |at: usize| held[at].local_addr().expect("its address").port();
        let members = (0..members).map(|n| Member {
            client: port(2 * n),
            peer: port(2 * n + 1),
            child: None,
        });
        let mut cluster = Self {
            members: members.collect(),
            papers: tls.then(|| Papers::write(dir.path())),
            dir,
        };
        drop(held);
        for member in 0..cluster.members.len() {
            cluster.spawn(member);
        }
        cluster.wait_until_it_writes();
        Some(cluster)
    }

    /// How it is reached, under a prefix.
    #[must_use]
    pub fn options(&self, prefix: &str) -> EtcdOptions {
        EtcdOptions::parse(&self.address(prefix)).expect("an address")
    }

    /// The same in words: `etcd://127.0.0.1:1,127.0.0.1:2/prefix`.
    #[must_use]
    pub fn address(&self, prefix: &str) -> String {
        let members = self.members.iter();
        let at: Vec<_> = members.map(|m| format!("127.0.0.1:{}", m.client)).collect();
        let scheme = if self.papers.is_some() {
            "etcds"
        } else {
            "etcd"
        };
        format!("{scheme}://{}/{prefix}", at.join(","))
    }

    /// Its certificates, where it speaks TLS.
    #[must_use]
    pub const fn papers(&self) -> Option<&Papers> {
        self.papers.as_ref()
    }

    /// How many members it has.
    #[must_use]
    pub const fn members(&self) -> usize {
        self.members.len()
    }

    /// Where one member listens for clients: 127.0.0.1 and this port.
    #[must_use]
    pub fn port(&self, member: usize) -> u16 {
        self.members[member].client
    }

    /// Carries out a command of `etcdctl`, as `user:password` where one is given.
    ///
    /// # Panics
    /// Where it fails.
    pub fn ctl(&self, user: Option<&str>, words: &[&str]) {
        let at: Vec<_> = self
            .members
            .iter()
            .map(|m| format!("127.0.0.1:{}", m.client))
            .collect();
        let mut command = Command::new(ETCDCTL);
        command
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &at.join(",")]);
        if let Some(papers) = &self.papers {
            command.arg("--cacert").arg(&papers.ca);
            command
                .arg("--cert")
                .arg(&papers.client.0)
                .arg("--key")
                .arg(&papers.client.1);
        }
        if let Some(user) = user {
            command.args(["--user", user]);
        }
        let output = command.args(words).output().expect("etcdctl");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "etcdctl {words:?}: {said}");
    }

    /// Stops a member without a word (SIGSTOP), or lets it go on (SIGCONT).
    ///
    /// # Panics
    /// Where the kernel refuses.
    pub fn pause(&self, member: usize, paused: bool) {
        let child = self.members[member]
            .child
            .as_ref()
            .expect("a member that runs");
        let signal = if paused { "-STOP" } else { "-CONT" };
        let sent = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(sent.expect("kill").success());
    }

    /// Kills a member (SIGKILL).
    ///
    /// # Panics
    /// Where the kernel refuses.
    pub fn kill(&mut self, member: usize) {
        if let Some(mut child) = self.members[member].child.take() {
            child.kill().expect("a member of ours");
            child.wait().expect("a child of ours");
        }
    }

    /// Starts a member again that was killed.
    pub fn restart(&mut self, member: usize) {
        self.kill(member);
        self.spawn(member);
    }

    fn data(&self, member: usize) -> PathBuf {
        self.dir.path().join(format!("m{member}"))
    }

    fn spawn(&mut self, member: usize) {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let client = match &self.papers {
            None => url(self.members[member].client),
            Some(_) => format!("https://127.0.0.1:{}", self.members[member].client),
        };
        let all = self.members.iter().enumerate();
        let all: Vec<_> = all.map(|(n, m)| format!("m{n}={}", url(m.peer))).collect();
        let log = std::fs::File::create(self.dir.path().join(format!("m{member}.log")));
        let this = &self.members[member];
        let mut command = Command::new(ETCD);
        if let Some(papers) = &self.papers {
            command
                .arg("--client-cert-auth")
                .arg("--trusted-ca-file")
                .arg(&papers.ca);
            command.arg("--cert-file").arg(&papers.server.0);
            command.arg("--key-file").arg(&papers.server.1);
        }
        let child = command
            .args(["--name", &format!("m{member}")])
            .arg("--data-dir")
            .arg(self.data(member))
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &url(this.peer)])
            .args(["--initial-advertise-peer-urls", &url(this.peer)])
            .args(["--initial-cluster", &all.join(",")])
            .args(["--initial-cluster-state", "new"])
            .args(["--log-level", "warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .spawn()
            .expect("etcd starts");
        self.members[member].child = Some(child);
    }

    fn wait_until_it_writes(&self) {
        let end = Instant::now() + START_MAX;
        let mut options = self.options("started");
        if let Some(papers) = &self.papers {
            options = papers.over(options);
        }
        while let Err(error) = crate::EtcdJournal::open(&options) {
            assert!(Instant::now() < end, "etcd does not start: {error}");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for member in 0..self.members.len() {
            self.kill(member);
        }
    }
}
