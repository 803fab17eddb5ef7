// SPDX-License-Identifier: Apache-2.0
//! A packet capture by tcpdump, begun before the first packet and ended so that its file is whole.

use super::parts::{POLL, tail};
use super::{Parts, RackError};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long tcpdump may take to begin or to end: both are instant unless the machine is very busy.
const LIMIT: Duration = Duration::from_secs(20);

/// A running packet capture. Dropping it ends it.
#[derive(Debug)]
pub struct Capture {
    child: Child,
    file: PathBuf,
    ended: bool,
}

impl Capture {
    /// Begins a capture of `interface`, and returns when tcpdump listens.
    ///
    /// # Errors
    /// What tcpdump said, when it does not listen within the limit.
    pub fn start(interface: &str, file: &Path) -> Result<Self, RackError> {
        let program = Parts::program("tcpdump", "tcpdump")?;
        let words = file.with_extension("tcpdump.log");
        let log = File::create(&words).map_err(RackError::file(&words))?;
        let mut command = Command::new(program);
        // -Z root: as root stay root, so that it can write the file; -U: each packet is in the file at once; -B: the
        // kernel keeps 64 MiB for tcpdump, so that a file that comes at the wire's speed is not lost in between.
        command
            .args(["-i", interface, "-n", "-U", "-s", "0", "-B", "65536"])
            .args(["-Z", "root", "-w"])
            .arg(file);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().map_err(|cause| RackError::CommandStart {
            command: "tcpdump".to_owned(),
            cause,
        })?;
        let mut capture = Self {
            child,
            file: file.to_path_buf(),
            ended: false,
        };
        let until = Instant::now() + LIMIT;
        while !tail(&words, 5).contains("listening on") {
            if capture.has_ended() || Instant::now() >= until {
                return Err(RackError::TooLong {
                    what: format!("tcpdump listening on {interface}"),
                    limit: LIMIT,
                    detail: format!(": {}", tail(&words, 3)),
                });
            }
            thread::sleep(POLL);
        }
        Ok(capture)
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Ends the capture and gives the file.
    ///
    /// # Errors
    /// When tcpdump had to be killed: the file may then lack its last packets.
    pub fn end(mut self) -> Result<PathBuf, RackError> {
        if self.stop() {
            return Ok(self.file.clone());
        }
        Err(RackError::TooLong {
            what: "the end of tcpdump".to_owned(),
            limit: LIMIT,
            detail: format!("; {} may lack its last packets", self.file.display()),
        })
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Interrupts tcpdump, and kills it when that does not help. Whether it ended by itself.
    fn stop(&mut self) -> bool {
        if self.ended || self.has_ended() {
            return true;
        }
        self.ended = true;
        let pid = Pid::from_child(&self.child);
        let until = Instant::now() + LIMIT;
        let mut asked = kill_process(pid, Signal::INT).is_ok();
        while asked && !self.has_ended() {
            asked = Instant::now() < until;
            thread::sleep(POLL);
        }
        if !asked {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        asked
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop();
    }
}
