// SPDX-License-Identifier: Apache-2.0
//! Where the servers of a rack keep their journal: in their own file, or in an etcd that the rack starts in its own network, on
//! loopback, with its data in the rack's folder.

use anyhow::{Context as _, Result, bail};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where Debian puts it.
const ETCD: &str = "/usr/bin/etcd";
/// Where it listens for clients and for other members, of which there are none; the network is the rack's alone.
const CLIENTS: &str = "http://127.0.0.1:2379";
const PEERS: &str = "http://127.0.0.1:2380";
/// How long it may take to answer.
const START_MAX: Duration = Duration::from_secs(60);
/// How often it is asked meanwhile.
const START_POLL: Duration = Duration::from_millis(100);

/// Where the journal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RackJournal {
    /// A file of the state directory.
    #[default]
    Sqlite,
    /// An etcd of the rack's own.
    Etcd,
}

impl RackJournal {
    /// `sqlite` or `etcd`.
    ///
    /// # Errors
    /// What else was said.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "sqlite" => Ok(Self::Sqlite),
            "etcd" => Ok(Self::Etcd),
            other => Err(format!("{other:?} is no journal: sqlite or etcd")),
        }
    }
}

/// An etcd of one member. Dropped, it is killed; its data stays in the folder.
#[derive(Debug)]
pub struct RackEtcd(Child);

impl RackEtcd {
    /// What `--journal` says of it.
    pub const ADDRESS: &str = "etcd://127.0.0.1:2379/rack";

    /// Starts it in the calling thread's network, and waits until it answers.
    ///
    /// # Errors
    /// What is missing, or its log's end.
    pub fn start(folder: &Path) -> Result<Self> {
        if !Path::new(ETCD).exists() {
            bail!("{ETCD} is missing: install etcd-server, or run cargo xtask setup");
        }
        let data = folder.join("etcd");
        fs::create_dir_all(&data).with_context(|| format!("making {}", data.display()))?;
        let log_path = folder.join("etcd.log");
        let log = File::create(&log_path).context("etcd's log")?;
        let child = Command::new(ETCD)
            .args(["--name", "rack", "--log-level", "warn"])
            .arg("--data-dir")
            .arg(&data)
            .args(["--listen-client-urls", CLIENTS])
            .args(["--advertise-client-urls", CLIENTS])
            .args(["--listen-peer-urls", PEERS])
            .args(["--initial-advertise-peer-urls", PEERS])
            .args(["--initial-cluster", &format!("rack={PEERS}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("starting etcd")?;
        let mut started = Self(child);
        let until = Instant::now() + START_MAX;
        while !answers() {
            let ended = started.0.try_wait().context("waiting for etcd")?;
            if ended.is_some() || Instant::now() >= until {
                let said = fs::read_to_string(&log_path).unwrap_or_default();
                bail!("etcd does not answer: {said}");
            }
            std::thread::sleep(START_POLL);
        }
        Ok(started)
    }
}

impl Drop for RackEtcd {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Whether it takes part in a quorum: `/health` says true then only.
fn answers() -> bool {
    use std::io::{Read as _, Write as _};
    let ask = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect("127.0.0.1:2379")?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /health HTTP/1.0\r\nHost: rack\r\n\r\n")?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    };
    ask().is_ok_and(|said| said.contains("\"health\":\"true\""))
}
