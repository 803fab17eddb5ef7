// SPDX-License-Identifier: Apache-2.0
//! Programs that are not ours, run for one test on loopback.

use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A program that runs until it is dropped.
pub(crate) struct Peer(Child);

impl Peer {
    /// `None` where it cannot be run.
    pub(crate) fn start(program: &Path, arguments: &[&str], dir: &Path) -> Option<Self> {
        let said = File::create(dir.join("peer.log")).unwrap();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        // A group of its own: it may be a script that starts another program.
        command.process_group(0).spawn().ok().map(Self)
    }

    /// Waits until something is so; ends early where the program does.
    pub(crate) fn until(&mut self, mut so: impl FnMut() -> bool) -> bool {
        for _ in 0..1_500 {
            if self.0.try_wait().unwrap().is_some() {
                return false;
            }
            if so() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    pub(crate) fn listens(&mut self, address: SocketAddr) -> bool {
        self.until(|| TcpStream::connect(address).is_ok())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// A port that is free just now.
pub(crate) fn tcp() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A port that is free just now.
pub(crate) fn udp() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Where set-up puts Python's peers, else the program of that name.
pub(crate) fn python(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let made = target.join("groundstate/peers/python/bin").join(name);
    if made.is_file() {
        made
    } else {
        PathBuf::from(name)
    }
}

/// Says that a test is skipped.
pub(crate) fn skipped(name: &str) {
    eprintln!("skipped: no {name} here");
}
