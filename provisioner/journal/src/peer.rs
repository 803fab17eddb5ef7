// SPDX-License-Identifier: Apache-2.0
//! Real etcd on loopback, for tests: its data in a private folder, its members killed one by one. It starts nothing where
//! Debian's `etcd-server` is not installed.

use crate::etcd::EtcdOptions;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where Debian puts it.
const ETCD: &str = "/usr/bin/etcd";
/// How long a cluster may take to answer for the first time.
const START_MAX: Duration = Duration::from_secs(60);

/// A cluster. Dropped, its members are killed and its data is gone.
pub struct Cluster {
    dir: tempfile::TempDir,
    members: Vec<Member>,
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
        format!("etcd://{}/{prefix}", at.join(","))
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
        let all = self.members.iter().enumerate();
        let all: Vec<_> = all.map(|(n, m)| format!("m{n}={}", url(m.peer))).collect();
        let log = std::fs::File::create(self.dir.path().join(format!("m{member}.log")));
        let this = &self.members[member];
        let child = Command::new(ETCD)
            .args(["--name", &format!("m{member}")])
            .arg("--data-dir")
            .arg(self.data(member))
            .args(["--listen-client-urls", &url(this.client)])
            .args(["--advertise-client-urls", &url(this.client)])
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
        let options = self.options("started");
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
