// SPDX-License-Identifier: Apache-2.0
//! Other work on the same machine: a disk that is written to, processors that compress, and a loop of fsync.

use super::super::ground::{Ground, text};
use anyhow::{Context as _, Result};
use std::process::{Child, Command, Stdio};

/// It ends when it is dropped.
pub(super) struct Noise(Vec<Child>);

impl Noise {
    pub(super) fn begin(ground: &Ground) -> Result<Self> {
        let folder = ground.path("noise");
        std::fs::create_dir_all(&folder)?;
        let folder = text(&folder)?.to_owned();
        let loops = [
            format!(
                "while :; do dd if=/dev/zero of={folder}/dd bs=1M count=512 conv=fsync status=none; done"
            ),
            format!(
                "while :; do head -c 256M /dev/urandom > {folder}/z; zstd -q -f -T2 -9 {folder}/z -o {folder}/z.zst; done"
            ),
            format!(
                "while :; do dd if=/dev/zero of={folder}/sync bs=4k count=1 conv=fsync status=none; done"
            ),
        ];
        let start = |script: &String| {
            Command::new("setsid")
                .args(["sh", "-c", script])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .context("cannot start other work")
        };
        let mut noise = Self(Vec::new());
        for script in &loops {
            noise.0.push(start(script)?);
        }
        Ok(noise)
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Each is the leader of a session of its own: what it started goes with it.
            if let Ok(pid) = i32::try_from(child.id()) {
                let group = nix::unistd::Pid::from_raw(pid);
                let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
